"""Python values as the program's command line."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypedDict, Union

from ._errors import InvalidError

StrPath = Union[str, "os.PathLike[str]"]
Config = Mapping[str, Any]

# Below these, a list is JSON; elsewhere its items stand between commas.
_TAKE_JSON = ("hyperparameters", "request")
_FLAGS = "hyperparameters"


class Training(TypedDict, total=False):
    """The keyword arguments of `fit` and `check`, except the path."""

    args: Iterable[object]
    build_driver: str | None
    train_driver: str | None
    config: Config | None
    module: str | None
    packages: Iterable[str]
    env_file: StrPath | None
    extras: Iterable[str]
    groups: Iterable[str]
    detect: bool
    as_of: str | None
    root: StrPath | None
    include: Iterable[str]
    model: Iterable[str]
    secrets: Iterable[str]
    trust: bool


# Options of the program that take one value, and those that take several.
_SINGLE = {
    "module": "module",
    "build_driver": "build-driver",
    "train_driver": "train-driver",
    "env_file": "env-file",
    "as_of": "as-of",
    "root": "root",
}
_SEVERAL = {
    "packages": "with",
    "extras": "extra",
    "groups": "group",
    "include": "include",
    "model": "model",
    "secrets": "secret",
}


def training(path: StrPath | None, options: Training) -> tuple[list[str], list[str]]:
    """Return the command-line arguments for a training, and the script's own arguments."""
    given: dict[str, Any] = {**options}
    if unknown := sorted(given.keys() - Training.__annotations__.keys()):
        raise TypeError(f"unexpected keyword argument '{unknown[0]}'")
    if (path is None) == (given.get("module") is None):
        raise InvalidError("give a path or a module", hint="the path of a script or notebook, or module='package.name'")
    words = [] if path is None else [positional(path)]
    words += [f"--{option}={os.fspath(given[name])}" for name, option in _SINGLE.items() if given.get(name) is not None]
    for name, option in _SEVERAL.items():
        words += [f"--{option}={value}" for value in several(given.get(name, ()))]
    if not given.get("detect", True):
        words.append("--no-detect")
    if given.get("trust"):
        words.append("--trust")
    words += settings(given.get("config") or {})
    arguments = given.get("args", ())
    if isinstance(arguments, (str, bytes)):
        raise InvalidError("args is one text", hint='give a list, such as args=["--epochs", "10"]')
    return words, [_word(argument) for argument in arguments]


def several(values: Iterable[str]) -> list[str]:
    """Return a list of strings; a single string becomes a list of one."""
    return [values] if isinstance(values, str) else list(values)


def positional(path: StrPath) -> str:
    """Return a path that does not look like an option."""
    text = os.fspath(path)
    return f"./{text}" if text.startswith("-") else text


def settings(config: Config) -> Iterator[str]:
    """Yield each option as `--config=KEY=VALUE`; names of nested mappings are joined by dots."""
    for key, value in _leaves("", config):
        if value is not None:
            yield f"--config={key}={_value(key, value)}"
        elif key.startswith(f"{_FLAGS}."):
            # A hyperparameter without a value is a flag of the script.
            yield f"--config={key}"


def _leaves(prefix: str, config: Config) -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _leaves(f"{key}.", value)
        else:
            yield key, value


def _value(key: str, value: Any) -> str:
    if isinstance(value, (list, tuple)):
        if key.partition(".")[0] in _TAKE_JSON:
            return json.dumps(value)
        return ",".join(_word(item) for item in value)
    return _word(value)


def _word(value: Any) -> str:
    """Format a value for the command line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(os.fspath(value) if isinstance(value, os.PathLike) else value)
