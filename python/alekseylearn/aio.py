"""The same for asyncio: `await fit(…)`, `await job.wait()`, `async for line in job.logs()`.

A task that is cancelled interrupts its run of the program, as Ctrl-C does: a job that was submitted goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _commands
from ._arguments import StrPath, Training
from ._commands import Check
from ._events import LogLine, Metrics, Status
from ._handle import Handle
from ._run import PATIENCE, Run

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

__all__ = ["Job", "check", "fit", "jobs"]


async def _wait_for(run: Run, happened: Callable[[], bool]) -> None:
    """Wait until something happened, or the child ended."""
    loop = asyncio.get_running_loop()
    changed = asyncio.Event()

    def tell() -> None:
        # The loop may be gone before the child.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(changed.set)

    with run.listening(tell):
        while not (run.ended or happened()):
            await changed.wait()
            changed.clear()


async def _interrupt(run: Run) -> None:
    run.ask_to_end()
    try:
        await asyncio.wait_for(_wait_for(run, lambda: False), PATIENCE)
    except (asyncio.TimeoutError, asyncio.CancelledError):
        run.kill()
        await _wait_for(run, lambda: False)


async def _seen(run: Run, happened: Callable[[], bool] = lambda: False) -> Run:
    try:
        await _wait_for(run, happened)
    except BaseException:
        await _interrupt(run)
        raise
    return run


async def _finish(run: Run) -> dict[str, Any]:
    return (await _seen(run)).outcome()


class Job(Handle):
    """A job; the async twin of `alekseylearn.Job`, whose properties `status` and `metrics` are methods here."""

    async def wait(self) -> Self:
        """Wait until the job has ended, and return it.

        Raises JobFailedError or JobStoppedError if it did not complete.
        """
        while True:
            run = self._follower()
            try:
                await _seen(run)
            except BaseException:
                self._leave()
                raise
            judged = self._judge(run)
            if judged or (judged is None and _commands.completed(await self.status())):
                return self

    async def logs(self, *, follow: bool = True) -> AsyncIterator[LogLine]:
        """Yield the lines of the job's log from the beginning; with `follow`, until the job ends."""
        run = Run(_commands.logs(self.name, follow=follow), keeps_log=True)
        try:
            while True:
                ended = run.ended
                line = run.line_now()
                if line is not None:
                    yield line
                elif ended:
                    break
                else:
                    await _wait_for(run, lambda: run.has_line)
        except BaseException:
            await _interrupt(run)
            raise
        run.outcome()

    async def status(self) -> Status:
        """Ask the service how the job is."""
        return Status.of(await self._status())

    async def _status(self) -> dict[str, Any]:
        return await _finish(Run(_commands.status(self.name)))

    async def metrics(self) -> Metrics:
        """Return the metrics in the log so far."""
        if (live := self._live_metrics()) is not None:
            return live
        status = await self._status()
        if not self._knows_metrics(status):
            await _finish(Run(_commands.logs(self.name, follow=False)))
            status = await self._status()
        return self._metrics_in(status)

    async def stop(self, *, wait: bool = True, timeout: int = 600) -> str:
        """Stop the job, and give its state: at its end, or with `wait=False` at once."""
        data = await _finish(Run(_commands.stop(self.name, wait=wait, timeout=timeout)))
        return str(data["state"])

    async def fetch(
        self,
        folder: StrPath,
        *,
        output_data: bool = False,
        checkpoints: bool = False,
        overwrite: bool = False,
        extract: bool = True,
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
        return _commands.files(await _finish(Run(words)))


async def fit(path: StrPath | None = None, *, overwrite: bool = False, **training: Unpack[Training]) -> Job:
    """Train a script or notebook: return as soon as its service has the job.

    The parameters are those of `alekseylearn.fit`.
    """
    run = Run(*_commands.fit(path, training, overwrite=overwrite))
    await _seen(run, lambda: run.story.job is not None)
    return Job._of_fit(run)


async def check(path: StrPath | None = None, **training: Unpack[Training]) -> Check:
    """Look whether a run would work, and what it may cost, as `alekseylearn.check` does."""
    return Check.of(await _seen(Run(*_commands.check(path, training))))


async def jobs(
    tag: str | None = None,
    *,
    status: str | Iterable[str] = (),
    driver: str | None = None,
    since: str | datetime | None = None,
    sort: str | None = None,
    limit: int = 20,
) -> list[Job]:
    """List the jobs that this machine submitted, as `alekseylearn.jobs` does."""
    words = _commands.jobs(tag, status=status, driver=driver, since=since, sort=sort, limit=limit)
    data = await _finish(Run(words))
    return [Job(record.name, record=record) for record in _commands.records(data)]
