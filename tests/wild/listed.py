"""The list of repositories, and what became of them."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIST = HERE / "repositories.toml"
OUTCOMES = HERE / "outcomes.json"


@dataclass(frozen=True)
class Repository:
    """One entry of the list. README.md says more of each key."""

    name: str
    """`owner/name` on GitHub."""
    commit: str
    kind: str
    """The way in which it is written, such as `src layout`."""
    path: str
    """The file that trains, from the root."""
    command: str
    """What the README says to run."""
    before: str = ""
    """What it says to run before the training, such as a preparation of data; `fit` finds what that has written."""
    install: str = ""
    """What the README says to install."""
    folder: str = ""
    """The folder to stand in, from the root."""
    importable: tuple[str, ...] = ()
    """The folders that an installation of the repository would make importable."""
    writes: tuple[str, ...] = ()
    """Patterns of the files that the training is for. `a|b` is either."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Folders of data by channel, for those that expect them under `/opt/ml/input/data`."""
    fit: tuple[str, ...] = ()
    """The arguments of `alekseylearn fit` that say the same as `command`; `{root}` is the checkout."""
    after: tuple[str, ...] = ()
    """The same after the one message was followed that the first try ended with."""
    unfit: str = ""
    """Why no baseline can work; then nothing is run."""


def repositories() -> list[Repository]:
    """The list, in its order."""
    found = []
    for entry in tomllib.loads(LIST.read_text())["repository"]:
        lists = {key: tuple(value) for key, value in entry.items() if isinstance(value, list)}
        found.append(Repository(**{**entry, **lists}))
    return found


def outcomes(file: Path = OUTCOMES) -> dict[str, dict]:
    """What became of each repository, by its name: of each run whether it `works`, its `seconds`, and `why` not."""
    return json.loads(file.read_text()) if file.exists() else {}


def keep(found: dict[str, dict], file: Path = OUTCOMES) -> None:
    """Saves outcomes in the order of the list."""
    ordered = {one.name: found[one.name] for one in repositories() if one.name in found}
    file.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
