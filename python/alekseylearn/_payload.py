"""Writes Python objects as a folder that `fit` can train: pickled, with the versions of the packages that they need."""

from __future__ import annotations

import ast
import dis
import importlib.metadata
import io
import re
import sys
import sysconfig
import tempfile
import types
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cloudpickle

from ._errors import InvalidError

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
RESULT = "result.pkl"

# What a job runs before it reads a pickle: another Python can misread it.
_CHECK = f"""\
import sys
if sys.version_info[:2] != {tuple(sys.version_info[:2])}:
    raise SystemExit(
        "alekseylearn: this is Python %d.%d, but the code comes from Python {PYTHON}: "
        "choose a base image with Python {PYTHON}" % sys.version_info[:2]
    )
"""

_SUPPORT = f"""\
import os
{_CHECK}
import cloudpickle

FOLDER = os.path.dirname(os.path.abspath(__file__))


def load(name):
    with open(os.path.join(FOLDER, name), "rb") as file:
        return cloudpickle.load(file)


def leave(value):
    # Of several machines, the first one's counts.
    if os.environ.get("RANK", "0") == "0":
        with open(os.path.join(os.environ["SM_MODEL_DIR"], "{RESULT}"), "wb") as file:
            cloudpickle.dump(value, file)
"""


class Payload:
    """The content of such a folder: pickles, and what they need."""

    def __init__(self, packages: Iterable[str] = ()) -> None:
        self._named = [packages] if isinstance(packages, str) else list(packages)
        self._modules = {"cloudpickle"}
        self._files: dict[str, bytes] = {}

    def pickle(self, value: object) -> bytes:
        """Pickle a value, code of this user's own modules included. Raises what the value raises if it cannot be."""
        buffer = io.BytesIO()
        with _own_modules_by_value() as is_own:
            pickler = _Pickler(buffer, self._modules, is_own)
            pickler.dump(value)
        return buffer.getvalue()

    def add(self, name: str, content: str | bytes) -> None:
        """Put a file into the folder."""
        self._files[name] = content.encode() if isinstance(content, str) else content

    def needs_imports_of(self, code: ast.AST) -> None:
        """Add what code imports."""
        for node in ast.walk(code):
            if isinstance(node, ast.Import):
                self._modules |= {name.name.partition(".")[0] for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                self._modules.add(node.module.partition(".")[0])

    def requirements(self) -> list[str]:
        """The packages for the job: the versions installed here, except for packages that the user named."""
        named = {_canonical(package) for package in self._named}
        found: dict[str, str] = {}
        for distribution in importlib.metadata.distributions():
            if not self._modules.isdisjoint(_modules_of(distribution)):
                # What is behind a `+` is of a build that no index has.
                version = distribution.version.partition("+")[0]
                name = distribution.metadata["Name"]
                # The first one on the path is the one that is imported.
                found.setdefault(_canonical(name), f"{name}=={version}")
        return [requirement for name, requirement in sorted(found.items()) if name not in named] + self._named

    @contextmanager
    def folder(self, name: str) -> Iterator[Path]:
        """Write the folder, for as long as it is needed."""
        self.add("alekseylearn_support.py", _SUPPORT)
        self.add("requirements.txt", "".join(f"{line}\n" for line in self.requirements()))
        self.add(".python-version", f"{PYTHON}\n")
        with tempfile.TemporaryDirectory(prefix="alekseylearn-") as place:
            folder = Path(place, name)
            folder.mkdir()
            for file, content in self._files.items():
                (folder / file).write_bytes(content)
            yield folder


def load_result(files: Iterable[Path]) -> Any:
    """Load the result of a job. Raises InvalidError if there is none."""
    for file in files:
        if file.name == RESULT:
            return cloudpickle.loads(file.read_bytes())
    raise InvalidError("the job left no result", hint="`fetch` downloads what it left")


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Records the modules of all objects that it pickles."""

    def __init__(self, file: io.BytesIO, modules: set[str], is_own: Callable[[str], bool]) -> None:
        super().__init__(file)
        self._modules = modules
        self._is_own = is_own

    def reducer_override(self, obj: Any) -> Any:
        """Record the module of an object that is about to be pickled."""
        if isinstance(obj, types.ModuleType):
            name = obj.__name__
        elif isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType)):
            name = obj.__module__ or ""
        else:
            name = type(obj).__module__
        top = name.partition(".")[0]
        if not self._is_own(top):
            self._modules.add(top)
        elif isinstance(obj, types.FunctionType):
            self._modules |= {module for module in _imports(obj.__code__) if not self._is_own(module)}
        return super().reducer_override(obj)


def _imports(code: types.CodeType) -> Iterator[str]:
    """The modules that a function imports when it is called."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            yield str(instruction.argval).partition(".")[0]
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _imports(constant)


@contextmanager
def _own_modules_by_value() -> Iterator[Callable[[str], bool]]:
    """Pickle the user's own modules with their code: those that pip did not install, so that the job lacks them."""
    paths = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    installed = [path.resolve() for path in paths]
    own: dict[str, bool] = {"__main__": True, "alekseylearn": False}
    registered = []
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if top not in own:
            file = getattr(sys.modules.get(top), "__file__", None)
            place = Path(file).resolve() if file else None
            own[top] = place is not None and not any(place.is_relative_to(folder) for folder in installed)
        if own[top] and top != "__main__" and isinstance(module, types.ModuleType) and module.__name__ == name:
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield lambda top: own.get(top, False)
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)


def _modules_of(distribution: importlib.metadata.Distribution) -> set[str]:
    """The modules that a distribution brings; Python 3.10 knows only those that it lists."""
    if listed := distribution.read_text("top_level.txt"):
        return set(listed.split())
    files = [file for file in distribution.files or [] if file.suffix in (".py", ".so")]
    return {file.parts[0].partition(".")[0] for file in files}


def _canonical(requirement: str) -> str:
    """The name of a requirement, as indexes compare it."""
    name = re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0]
    return re.sub(r"[-_.]+", "-", name).lower()
