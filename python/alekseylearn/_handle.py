"""What `Job` and its async twin have in common: which run follows the job, and what its end means."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from . import _commands
from ._errors import AlekseylearnError, FailedError, JobFailedError, JobStoppedError
from ._events import FINAL_STATES, Metrics, Record
from ._run import Run

HandleT = TypeVar("HandleT", bound="Handle")


class Handle:
    """A job by its name or tag, with the run of the program that follows it, if there is one."""

    def __init__(self, name: str, *, record: Record | None = None) -> None:
        self.name = name
        self.record = record
        self._run: Run | None = None
        self._is_fit = False

    @classmethod
    def _of_fit(cls: type[HandleT], run: Run) -> HandleT:
        """Make a handle of the job that a run of `fit` submitted. Raises its error if there is none."""
        if run.story.job is None:
            run.outcome()
            raise FailedError("the program alekseylearn ended well, but named no job")
        handle = cls(run.story.job)
        handle._run, handle._is_fit = run, True
        return handle

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def _follower(self) -> Run:
        """The run that follows the job: the `fit` that submitted it, or one of `logs`."""
        if self._run is None:
            self._run, self._is_fit = Run(_commands.logs(self.name, follow=True)), False
        return self._run

    def _leave(self) -> None:
        """Forget the run, so that another follows the job."""
        self._run = None

    def _judge(self, run: Run) -> bool | None:
        """Judge a run that has ended: whether the job completed; `None` if only its service can tell."""
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
        """The metrics as the run of `fit` has heard them; `None` if there is none, or none any more."""
        run = self._run
        if run is None or not self._is_fit or run.ended:
            return None
        with run.held() as story:
            return story.metrics.metrics()

    def _knows_metrics(self, status: Mapping[str, Any]) -> bool:
        """Whether the record has them all: it knows only what somebody has read of the log."""
        if self._is_fit and self._run is not None:
            return True
        return status["state"] in FINAL_STATES and bool(status["metrics"])

    def _metrics_in(self, status: Mapping[str, Any]) -> Metrics:
        """Read what `status` tells; which values are the best knows only a run that followed the job."""
        return Metrics.of_status(status["metrics"], self._run.story.metrics.best if self._run else {})
