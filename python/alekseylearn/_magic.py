"""`%%alekseylearn`: runs a cell as a job."""

from __future__ import annotations

import argparse
import ast
import builtins
import shlex
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn

from ._errors import InvalidError
from ._job import Job, fit
from ._payload import Payload, load_result

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

# The magic's own line is the cell's first, so lines have the numbers that the notebook shows.
_FIRST = 'import alekseylearn_support; globals().update(alekseylearn_support.load("needs.pkl"))'
_LAST = "alekseylearn_support.leave({{name: globals()[name] for name in {names!r}}})"


def register(shell: InteractiveShell) -> None:
    """Register the magic in a shell."""

    def alekseylearn(line: str, cell: str) -> Job:
        return run_cell(shell, line, cell)

    alekseylearn.__doc__ = _parser().format_help()
    shell.register_magic_function(alekseylearn, "cell")


def run_cell(shell: InteractiveShell, line: str, cell: str) -> Job:
    """Run a cell as a job; with `--output`, set what it computed."""
    asked = _parser().parse_args(shlex.split(line))
    code = _code_of(shell, cell)
    payload = Payload(asked.packages)
    payload.needs_imports_of(code)
    payload.add("needs.pkl", _pickled(payload, _needs(code, shell.user_ns)))
    last = _LAST.format(names=asked.output) if asked.output else ""
    payload.add("cell.py", "\n".join([_FIRST, cell, last]))
    with payload.folder(asked.name) as folder:
        job = fit(
            folder / "cell.py",
            root=folder,
            env_file=folder / "requirements.txt",
            build_driver=asked.build_driver,
            train_driver=asked.train_driver,
            config=dict(asked.config),
            trust=asked.trust,
        )
    if asked.detach:
        return job
    job.wait()
    if asked.fetch:
        job.fetch(asked.fetch)
    if asked.output:
        with tempfile.TemporaryDirectory(prefix="alekseylearn-") as place:
            shell.push(load_result(job.fetch(place, show=False)))
    return job


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidError(message, hint="`%%alekseylearn?` shows the options")


def _parser() -> _Parser:
    parser = _Parser(
        prog="%%alekseylearn",
        add_help=False,
        allow_abbrev=False,
        description="Run this cell as a job, with the variables, functions and packages that it uses.",
    )
    parser.add_argument("--train-driver", metavar="NAME", help="driver that runs the training")
    parser.add_argument("--build-driver", metavar="NAME", help="driver that builds the image")
    parser.add_argument(
        "-c", "--config", metavar="KEY=VALUE", type=_option, action="append", default=[], help="a driver's option"
    )
    parser.add_argument(
        "--with",
        dest="packages",
        metavar="PACKAGE",
        action="append",
        default=[],
        help="additional package to install",
    )
    parser.add_argument(
        "--output", metavar="NAMES", type=_names, default=[], help="variables to copy back, separated by commas"
    )
    parser.add_argument("--fetch", metavar="DIR", help="folder to download the model into")
    parser.add_argument("--name", metavar="NAME", default="notebook", help="name of the job, before /cell")
    parser.add_argument("--trust", action="store_true", help="trust what the project's own files ask for")
    parser.add_argument("--detach", action="store_true", help="return as soon as the job is submitted")
    return parser


def _option(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError(f"`{text}` is not KEY=VALUE")
    return key, value


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(name.isidentifier() for name in names):
        raise argparse.ArgumentTypeError(f"`{text}` does not name variables")
    return names


def _code_of(shell: InteractiveShell, cell: str) -> ast.Module:
    """Parse a cell. Raises InvalidError if a job could not run it."""
    try:
        code = ast.parse(cell)
    except SyntaxError as error:
        if "get_ipython()" in shell.transform_cell(cell):
            raise InvalidError(
                "the cell holds a magic or a shell command", hint="use plain Python: a job runs no IPython"
            ) from None
        raise InvalidError(f"the cell is not valid Python: line {(error.lineno or 0) + 1}: {error.msg}") from None
    if any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in code.body):
        raise InvalidError("the cell imports from __future__", hint="remove that line from the cell")
    return code


def _needs(code: ast.Module, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's variables that the cell reads, without those that it imports or defines itself."""
    own: set[str] = set()
    for node in code.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            own |= {name.asname or name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            own.add(node.name)
    read = {node.id for node in ast.walk(code) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    names = sorted((read & namespace.keys()) - own - vars(builtins).keys())
    return {name: namespace[name] for name in names}


def _pickled(payload: Payload, needs: dict[str, Any]) -> bytes:
    """Pickle values together, so that shared objects stay shared."""
    try:
        return payload.pickle(needs)
    except Exception as error:
        blamed = next((name for name, value in needs.items() if not _can_be_pickled(value)), None)
        what = "the cell's variables" if blamed is None else f"the variable {blamed}"
        raise InvalidError(
            f"cannot pickle {what}: {error}", hint="make it inside of the cell, for example by opening the file there"
        ) from error


def _can_be_pickled(value: object) -> bool:
    try:
        Payload().pickle(value)
    except Exception:
        return False
    return True
