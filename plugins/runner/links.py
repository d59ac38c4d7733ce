"""Links and odd files among a job's results: these must be of use when they are somewhere else."""

import os
import shutil
import stat
from pathlib import Path
from typing import Iterator, List


def straighten(folder: Path, left_alone: Path) -> None:
    """Make the links below a folder good for any other place.

    An absolute link to something in the folder becomes a relative one. One that
    leads out of the folder becomes what it leads to, for that is gone with the
    container; only not if that is below `left_alone` (the job's input, of which
    there are other copies), too large for the disk, or holds the folder itself.
    What leads to nothing stays as it is.
    """
    top = os.path.realpath(str(folder))
    for link in list(_links(top)):
        target = os.readlink(link)
        real = os.path.realpath(link)
        if real == top or real.startswith(top + os.sep):
            if os.path.isabs(target):
                _replace_by_link(link, os.path.relpath(real, os.path.dirname(link)))
        elif os.path.exists(real) and not _holds(real, top) and not _holds(os.path.realpath(str(left_alone)), real):
            _replace_by_copy(link, real)


def remove_odd(folder: Path) -> List[str]:
    """Remove sockets, pipes and devices, which no archive can bring home, and return their names."""
    removed = []
    for parent, _, names in os.walk(str(folder)):
        for name in names:
            path = os.path.join(parent, name)
            mode = os.lstat(path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
                os.unlink(path)
                removed.append(os.path.relpath(path, str(folder)))
    return sorted(removed)


def _links(top: str) -> Iterator[str]:
    for parent, folders, names in os.walk(top):
        for name in folders + names:
            path = os.path.join(parent, name)
            if os.path.islink(path):
                yield path


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _replace_by_link(link: str, target: str) -> None:
    draft = link + ".part"
    try:
        os.symlink(target, draft)
        os.replace(draft, link)
    except OSError:
        pass  # it stays as it was


def _replace_by_copy(link: str, real: str) -> None:
    draft = link + ".part"
    try:
        if os.path.isdir(real):
            shutil.copytree(real, draft, symlinks=True)
        elif os.path.isfile(real):
            shutil.copy2(real, draft)
        else:
            return
        os.unlink(link)
        os.rename(draft, link)
    except (OSError, shutil.Error):
        shutil.rmtree(draft, ignore_errors=True)
        if os.path.isfile(draft):
            os.unlink(draft)
