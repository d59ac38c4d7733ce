"""Finds the program: the one in the same wheel, or another."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path

from ._errors import ProgramNotFoundError

VARIABLE = "ALEKSEYLEARN_PROGRAM"
_NAME = "alekseylearn"


def program() -> str:
    """Return the program's path: ALEKSEYLEARN_PROGRAM, else the one of this installation, else the one on the PATH."""
    if named := os.environ.get(VARIABLE):
        if found := shutil.which(named):
            return found
        raise ProgramNotFoundError(
            f"{VARIABLE} does not name a program",
            hint=f"set {VARIABLE} to the path of the program, or unset it",
        )
    for folder in _script_folders():
        beside = folder / _NAME
        if beside.is_file() and os.access(beside, os.X_OK):
            return str(beside)
    if found := shutil.which(_NAME):
        return found
    raise ProgramNotFoundError(
        "the program alekseylearn is not installed",
        hint=f"`pip install alekseylearn` installs it, or set {VARIABLE} to its path",
    )


def _script_folders() -> list[Path]:
    """The folders where pip installs programs, also with `--user` and `--target`."""
    folders = [Path(sysconfig.get_path("scripts"))]
    here = Path(__file__).resolve().parent.parent
    user = f"{os.name}_user"
    if user in sysconfig.get_scheme_names() and here == Path(sysconfig.get_path("purelib", user)).resolve():
        folders.append(Path(sysconfig.get_path("scripts", user)))
    return [*folders, here / "bin"]
