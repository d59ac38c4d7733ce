"""Files that a script created or changed in its code: its model, if `/opt/ml/model` is empty."""

import errno
import fnmatch
import glob
import json
import os
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

# Files and folders that are never results. This is the only list of them.
CLUTTER_FOLDERS = frozenset(
    [
        "__pycache__",
        "__pypackages__",
        "node_modules",
        "site-packages",
        # Python's and other tools' own
        ".cache",
        ".config",
        ".conda",
        ".eggs",
        ".git",
        ".idea",
        ".ipynb_checkpoints",
        ".ipython",
        ".jupyter",
        ".local",
        ".matplotlib",
        ".mypy_cache",
        ".nox",
        ".npm",
        ".nv",
        ".pip-cache",
        ".pytest_cache",
        ".ruff_cache",
        ".tox",
        ".triton",
        ".venv",
        # downloads of Hugging Face, PyTorch and others
        ".huggingface",
        ".keras",
        ".torch",
        "hf_cache",
        "huggingface_hub",
        "pip-cache",
        "torchinductor_root",
    ]
)
CLUTTER_PATTERNS = (
    "*.egg-info",
    "*.lock",
    "*.log",
    "*.pid",
    "*.pyc",
    "*.swp",
    "*.tmp",
    ".DS_Store",
    ".coverage",
    ".nfs*",
    "core.[0-9]*",
    "models--*",
    "datasets--*",
    "nohup.out",
)
# A folder with this file is a cache, see https://bford.info/cachedir/.
CACHE_TAG = "CACHEDIR.TAG"

# How many names a message lists.
NAMED = 5
# Folders in which trackers of experiments keep many small files.
TRACKERS = ("mlruns", "wandb", "lightning_logs", "runs")


class File(NamedTuple):
    """A file or link, by its path relative to the code folder, with `/`."""

    name: str
    size: int
    changed: int  # nanoseconds


class Snapshot:
    """The files of a folder at one point in time."""

    def __init__(self, files: Dict[str, Tuple[int, int]]) -> None:
        self._files = files

    @classmethod
    def of(cls, folder: Path) -> "Snapshot":
        return cls({file.name: (file.size, file.changed) for file in files_below(folder)})

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._files), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Snapshot":
        saved = json.loads(path.read_text(encoding="utf-8"))
        return cls({name: (size, changed) for name, (size, changed) in saved.items()})

    def since(self, folder: Path) -> List[File]:
        """Return the files that are new or changed since then, sorted by name."""
        now = files_below(folder)
        return sorted(file for file in now if self._files.get(file.name) != (file.size, file.changed))


def files_below(folder: Path) -> Iterator[File]:
    """Yield the files and links below a folder, except clutter."""
    waiting = [""]
    while waiting:
        parent = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(str(folder), parent)))
        except OSError:
            continue  # unreadable, or removed meanwhile
        if any(entry.name == CACHE_TAG for entry in entries):
            continue
        for entry in entries:
            name = parent + entry.name
            if is_clutter(entry.name):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name + "/")
                elif entry.is_symlink() or entry.is_file(follow_symlinks=False):
                    found = entry.stat(follow_symlinks=False)
                    yield File(name, found.st_size, found.st_mtime_ns)
            except FileNotFoundError:
                continue


def is_clutter(name: str) -> bool:
    """Return whether a file or folder of this name is a cache, a log or similar."""
    return name in CLUTTER_FOLDERS or any(fnmatch.fnmatchcase(name, pattern) for pattern in CLUTTER_PATTERNS)


def chosen(patterns: Sequence[str], working_folder: Path, code: Path) -> Tuple[List[Tuple[str, Path]], List[str]]:
    """Return the files that match the user's patterns with their names in the model, and the patterns without a match.

    A folder stands for everything below it. Names are paths relative to the code
    folder. Files elsewhere get a path relative to the folder that was named.
    """
    found = {}  # type: Dict[str, Path]
    unmatched = []
    for pattern in patterns:
        path = os.path.join(str(working_folder), os.path.expanduser(pattern))
        places = [path] if os.path.lexists(path) else sorted(glob.glob(path, recursive=True))
        matched = False
        for place in map(os.path.normpath, places):
            outside = os.path.dirname(place)
            inside = os.path.relpath(place, str(code))
            base = outside if inside == ".." or inside.startswith("../") else str(code)
            for file in _all_below(place):
                matched = True
                found[os.path.relpath(file, base)] = Path(file)
        if not matched:
            unmatched.append(pattern)
    return sorted(found.items()), unmatched


def _all_below(place: str) -> Iterator[str]:
    if os.path.islink(place) or not os.path.isdir(place):
        yield place
        return
    for parent, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name not in CLUTTER_FOLDERS]
        linked = [name for name in folders if os.path.islink(os.path.join(parent, name))]
        for name in names + linked:
            yield os.path.join(parent, name)


def bring(files: Sequence[Tuple[str, Path]], target: Path) -> None:
    """Copy files into a folder under these names, and replace existing ones.

    Raises OSError if the disk is full, or a file cannot be read.
    """
    _make_room(files, target)
    taken = {os.path.realpath(str(path)): name for name, path in files if not path.is_symlink()}
    for name, path in files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = place.with_name(place.name + ".part")
        try:
            _copy(path, draft, taken, name)
            os.replace(str(draft), str(place))
        except OSError:
            _remove(draft)
            raise


def _make_room(files: Sequence[Tuple[str, Path]], target: Path) -> None:
    """Check the disk space first: half a model is useless."""
    device = os.stat(str(target)).st_dev
    needed = 0
    for _, path in files:
        found = os.lstat(str(path))
        needed += found.st_size if found.st_dev != device else 0
    free = shutil.disk_usage(str(target)).free
    if needed > free:
        raise OSError(errno.ENOSPC, "{} needed, {} free on the disk".format(size_text(needed), size_text(free)))


def _copy(path: Path, draft: Path, taken: Dict[str, str], name: str) -> None:
    """Link a file to another path if the file system is the same, else copy it."""
    _remove(draft)
    source = str(path)
    if path.is_symlink():
        real = os.path.realpath(source)
        if real in taken:
            os.symlink(os.path.relpath(taken[real], os.path.dirname(name) or "."), str(draft))
            return
        if not os.path.isfile(real):
            os.symlink(os.readlink(source), str(draft))
            return
        source = real
    try:
        os.link(source, str(draft))
    except OSError:
        shutil.copy2(source, str(draft))


def _remove(path: Path) -> None:
    try:
        os.unlink(str(path))
    except OSError:
        pass


def is_empty(folder: Path) -> bool:
    """Return whether there is no file below a folder."""
    return next(iter(_entries(folder)), None) is None


def left_in(folder: Path) -> List[Tuple[str, int]]:
    """Return the names and sizes of all files below a folder."""
    return sorted(_entries(folder))


def _entries(folder: Path) -> Iterator[Tuple[str, int]]:
    for parent, folders, names in os.walk(str(folder)):
        for name in names + [name for name in folders if os.path.islink(os.path.join(parent, name))]:
            path = os.path.join(parent, name)
            try:
                yield os.path.relpath(path, str(folder)), os.lstat(path).st_size
            except OSError:
                continue


def readable(name: str) -> str:
    """Return a file's name in a form that a log can hold."""
    text = os.fsencode(name).decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def some_of(names: Sequence[str]) -> str:
    """Return the first few names as text for a person. A tracker's many files come last."""
    names = sorted(names, key=lambda name: name.split("/")[0] in TRACKERS)
    text = ", ".join(readable(name) for name in names[:NAMED])
    return text if len(names) <= NAMED else "{} and {} more".format(text, len(names) - NAMED)


def size_text(size: int) -> str:
    amount = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return "{:.0f} {}".format(amount, unit) if unit == "B" else "{:.2f} {}".format(amount, unit)
        amount /= 1024
    return "{:.2f} TiB".format(amount)
