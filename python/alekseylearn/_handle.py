"""The parts that `Job` and its async twin share: the run that follows the job, and the meaning of its end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from . import _commands
from ._errors import AlekseylearnError, FailedError, JobFailedError, JobStoppedError
from ._events import FINAL_STATES, Metrics, Record
from ._run import Run

HandleT = TypeVar("HandleT", bound="Handle")


class Handle:
    """A job by its name or tag, and the run of the program that follows it, if any."""

    def __init__(self, name: str, *, record: Record | None = None) -> None:
        self.name = name
        self.record = record
        self._run: Run | None = None
        self._is_fit = False

    @classmethod
    def _of_fit(cls: type[HandleT], run: Run) -> HandleT:
        """Return a handle of the job that a run of `fit` submitted. Raises the run's error if it submitted none."""
        if run.story.job is None:
            run.outcome()
            raise FailedError("the program alekseylearn ended well, but named no job")
        handle = cls(run.story.job)
        handle._run, handle._is_fit = run, True
        return handle

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _follower(self) -> Run:
        """The run that follows the job: the `fit` that submitted it, or a `logs --follow`."""
        if self._run is None:
            self._run, self._is_fit = Run(_commands.logs(self.name, follow=True)), False
        return self._run

    def _leave(self) -> None:
        """Forget the run, so that another follows the job."""
        self._run = None

    def _judge(self, run: Run) -> bool | None:
        """Return whether the job of an ended run completed; `None` if only its service knows."""
        try:
            data = run.outcome()
        except (JobFailedError, JobStoppedError):
            # It stays, to tell the same again.
            raise
        except AlekseylearnError:
            self._leave()
            raise
        if self._is_fit and data.get("state") == "completed":
            return True
        was_left = self._is_fit
        self._leave()
        return False if was_left else None

    def _live_metrics(self) -> Metrics | None:
        """The metrics that the run of `fit` reported; `None` if there is no such run."""
        run = self._run
        if run is None or not self._is_fit or run.ended:
            return None
        with run.held() as story:
            return story.metrics.metrics()

    def _knows_metrics(self, status: Mapping[str, Any]) -> bool:
        """Whether the record has all metrics: it has those of the log that was read so far."""
        if self._is_fit and self._run is not None:
            return True
        return status["state"] in FINAL_STATES and bool(status["metrics"])

    def _metrics_in(self, status: Mapping[str, Any]) -> Metrics:
        """Read the result of `status`; only a run that followed the job knows the best values."""
        return Metrics.of_status(status["metrics"], self._run.story.metrics.best if self._run else {})
