"""Runs a function as a job, and returns its result."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, cast, overload

from ._arguments import Config
from ._errors import InvalidError
from ._job import Job, fit
from ._payload import Payload, load_result

if TYPE_CHECKING:
    from typing_extensions import Self

P = ParamSpec("P")
R = TypeVar("R")

_SCRIPT = """\
import alekseylearn_support

function, args, kwargs = alekseylearn_support.load("call.pkl")
alekseylearn_support.leave(function(*args, **kwargs))
"""


class RemoteJob(Job, Generic[R]):
    """A job that runs a function."""

    def result(self, timeout: float | None = None, *, show: bool | None = None) -> R:
        """Wait for the end, and return the function's result, unpickled. Raises the errors of `wait`."""
        self.wait(timeout, show=show)
        with tempfile.TemporaryDirectory(prefix="alekseylearn-") as folder:
            return cast(R, load_result(self.fetch(folder, show=False)))


class RemoteFunction(Generic[P, R]):
    """A function that runs as a job when it is called."""

    def __init__(self, function: Callable[P, R], packages: Iterable[str], options: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._packages = packages
        self._options = options

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function as a job, wait for it, and return its result."""
        return self.submit(*args, **kwargs).result(show=self._options.get("show"))

    def submit(self, *args: P.args, **kwargs: P.kwargs) -> RemoteJob[R]:
        """Run the function as a job, and return the job as soon as its service has it."""
        payload = Payload(self._packages)
        name = re.sub(r"\W", "_", getattr(self._function, "__name__", "function"), flags=re.ASCII).strip("_")
        try:
            payload.add("call.pkl", payload.pickle((self._function, args, kwargs)))
        except Exception as error:
            raise InvalidError(
                f"cannot pickle {name or 'the function'} and its arguments: {error}",
                hint="give it values that can be pickled, and open files and connections inside of it",
            ) from error
        artifact = f"{name or 'function'}.py"
        payload.add(artifact, _SCRIPT)
        with payload.folder("remote") as folder:
            job = fit(
                folder / artifact,
                root=folder,
                env_file=folder / "requirements.txt",
                detect=False,
                **self._options,
            )
        remote = RemoteJob[R](job.name)
        remote._run, remote._is_fit = job._run, job._is_fit
        return remote

    def local(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Run the function in this process, without a job."""
        return self._function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        # A job has no alekseylearn: there it is the function itself.
        return functools.partial, (self._function,)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        return self


@overload
def remote(function: Callable[P, R], /) -> RemoteFunction[P, R]: ...


@overload
def remote(
    *,
    packages: Iterable[str] = (),
    build_driver: str | None = None,
    train_driver: str | None = None,
    config: Config | None = None,
    trust: bool = False,
    show: bool | None = None,
) -> Callable[[Callable[P, R]], RemoteFunction[P, R]]: ...


def remote(
    function: Callable[..., Any] | None = None,
    /,
    *,
    packages: Iterable[str] = (),
    build_driver: str | None = None,
    train_driver: str | None = None,
    config: Config | None = None,
    trust: bool = False,
    show: bool | None = None,
) -> Any:
    """Decorate a function, so that a call runs it as a job and returns its result.

    The function, its arguments and its result travel by cloudpickle. The job has the same minor version of Python, and
    the packages that the function uses, in the versions that are installed here. `packages` names others, or other
    versions.
    """
    options = {
        "build_driver": build_driver,
        "train_driver": train_driver,
        "config": config,
        "trust": trust,
        "show": show,
    }

    def decorate(function: Callable[..., Any]) -> RemoteFunction[..., Any]:
        return RemoteFunction(function, packages, options)

    return decorate if function is None else decorate(function)
