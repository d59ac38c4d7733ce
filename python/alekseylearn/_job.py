"""Submits and manages jobs."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _commands
from ._arguments import Config, StrPath, Training
from ._commands import Check
from ._events import LogLine, Metrics, Status
from ._handle import Handle
from ._run import Run
from ._view import view

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class Job(Handle):
    """A handle of a job, by its name, or by a tag such as `models/train` for its newest job.

    `record` is what this machine knows of it, if it came from `jobs`.
    """

    def wait(self, timeout: float | None = None, *, show: bool | None = None) -> Self:
        """Wait until the job has ended, and return it.

        Raises JobFailedError or JobStoppedError if it did not complete, and TimeoutError after so many seconds; it goes
        on then, as it does after Ctrl-C. `show` shows how it goes: in a notebook, unless told otherwise.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            run = self._follower()
            left = None if end is None else max(end - time.monotonic(), 0)
            with view(run, show, live=True) as look:
                try:
                    in_time = run.wait_for(lambda: False, timeout=left, look=look)
                except BaseException:
                    run.interrupt()
                    self._leave()
                    raise
            if not in_time:
                raise TimeoutError(f"the job {self.name} has not ended in {timeout} s; it goes on")
            judged = self._judge(run)
            if judged or (judged is None and _commands.completed(self.status)):
                return self

    def logs(self, *, follow: bool = True) -> Iterator[LogLine]:
        """Yield the lines of the job's log from the beginning; with `follow`, until the job ends."""
        run = Run(_commands.logs(self.name, follow=follow), keeps_log=True)
        try:
            yield from run.lines()
        except BaseException:
            run.interrupt()
            raise
        run.outcome()

    @property
    def status(self) -> Status:
        """The current state of the job at its service."""
        return Status.of(self._status())

    def _status(self) -> dict[str, Any]:
        return Run(_commands.status(self.name)).finish()

    @property
    def metrics(self) -> Metrics:
        """The metrics in the log so far."""
        if (live := self._live_metrics()) is not None:
            return live
        status = self._status()
        if not self._knows_metrics(status):
            Run(_commands.logs(self.name, follow=False)).finish()
            status = self._status()
        return self._metrics_in(status)

    def stop(self, *, wait: bool = True, timeout: int = 600) -> str:
        """Stop the job: the script gets SIGTERM. Return its state at the end, or with `wait=False` at once.

        Raises UnavailableError if it has not ended in so many seconds.
        """
        data = Run(_commands.stop(self.name, wait=wait, timeout=timeout)).finish()
        return str(data["state"])

    def fetch(
        self,
        folder: StrPath,
        *,
        output_data: bool = False,
        checkpoints: bool = False,
        overwrite: bool = False,
        extract: bool = True,
        show: bool | None = None,
    ) -> list[Path]:
        """Download the job's model into a folder, and return the paths of its files."""
        words = _commands.fetch(
            folder,
            self.name,
            output_data=output_data,
            checkpoints=checkpoints,
            overwrite=overwrite,
            extract=extract,
        )
        run = Run(words)
        with view(run, show) as look:
            return _commands.files(run.finish(look))


def fit(
    path: StrPath | None = None,
    *,
    args: Iterable[object] = (),
    build_driver: str | None = None,
    train_driver: str | None = None,
    config: Config | None = None,
    module: str | None = None,
    packages: Iterable[str] = (),
    env_file: StrPath | None = None,
    extras: Iterable[str] = (),
    groups: Iterable[str] = (),
    detect: bool = True,
    as_of: str | None = None,
    root: StrPath | None = None,
    include: Iterable[str] = (),
    model: Iterable[str] = (),
    secrets: Iterable[str] = (),
    trust: bool = False,
    overwrite: bool = False,
    show: bool | None = None,
) -> Job:
    """Submit a script or notebook, and return its job as soon as the service has it.

    `args` are the script's arguments. `config` holds the drivers' options, as in
    `{"hyperparameters": {"epochs": 10}}`; a hyperparameter that is `None` is a flag. `module` runs a module instead of
    a path, like `python -m`. `secrets` names environment variables that the script gets as secrets, or
    `NAME=file:PATH`. The others are the options of `alekseylearn fit` with the same name, except that `packages` is
    `--with` and `detect=False` is `--no-detect`. `show` shows the progress (default: only in a notebook).
    """
    training = Training(
        args=args,
        build_driver=build_driver,
        train_driver=train_driver,
        config=config,
        module=module,
        packages=packages,
        env_file=env_file,
        extras=extras,
        groups=groups,
        detect=detect,
        as_of=as_of,
        root=root,
        include=include,
        model=model,
        secrets=secrets,
        trust=trust,
    )
    run = Run(*_commands.fit(path, training, overwrite=overwrite))
    with view(run, show) as look:
        try:
            run.wait_for(lambda: run.story.job is not None, look=look)
        except BaseException:
            run.interrupt()
            raise
    return Job._of_fit(run)


def check(path: StrPath | None = None, **training: Unpack[Training]) -> Check:
    """Check a run before starting it, and estimate its cost; the parameters are those of `fit`.

    Nothing is built, sent or spent. A problem is a finding of the result, and not raised.
    """
    run = Run(*_commands.check(path, training))
    try:
        run.wait_for(lambda: False)
    except BaseException:
        run.interrupt()
        raise
    return Check.of(run)


def jobs(
    tag: str | None = None,
    *,
    status: str | Iterable[str] = (),
    driver: str | None = None,
    since: str | datetime | None = None,
    sort: str | None = None,
    limit: int = 20,
) -> list[Job]:
    """List the jobs submitted from this machine, newest first.

    The parameters are the options of `alekseylearn jobs`.
    """
    words = _commands.jobs(tag, status=status, driver=driver, since=since, sort=sort, limit=limit)
    return [Job(record.name, record=record) for record in _commands.records(Run(words).finish())]
