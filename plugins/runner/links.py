"""Makes links and special files among a job's results portable."""

import os
import shutil
import stat
from pathlib import Path
from typing import Iterator, List


def straighten(folder: Path, left_alone: Path) -> None:
    """Make the links below a folder portable.

    An absolute link into the folder becomes relative. A link out of the folder is
    replaced by a copy of its target, which is lost with the container otherwise.
    It is kept if the target is below `left_alone` (the job's input, which exists
    elsewhere), too large for the disk, or contains the folder. Broken links are
    unchanged.
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
    """Remove sockets, pipes and devices, which cannot be archived, and return their names."""
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
        pass  # keep the link unchanged


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
