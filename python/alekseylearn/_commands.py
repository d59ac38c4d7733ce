"""Builds the command lines of the program, and reads their results, for `Job` and its async twin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ._arguments import StrPath, Training, positional, several, training
from ._errors import AlekseylearnError, JobFailedError, JobStoppedError
from ._events import Cost, Finding, Record, Status, Touched
from ._run import Run


@dataclass(frozen=True)
class Check:
    """What `check` found.

    `cost` is `None` if the service charges nothing, `request` what the service would be asked for, in its own form, and
    `error` what `fit` would raise, or `None` if nothing is a problem.
    """

    train_driver: str
    findings: tuple[Finding, ...]
    touches: tuple[Touched, ...]
    cost: Cost | None
    request: Any
    error: AlekseylearnError | None

    @property
    def ok(self) -> bool:
        """Whether there are no problems."""
        return self.error is None

    @property
    def problems(self) -> tuple[Finding, ...]:
        """The findings that would make the run fail."""
        return tuple(finding for finding in self.findings if finding.kind == "problem")

    @classmethod
    def of(cls, run: Run) -> Check:
        """Read the result of a run. Raises its error if the check itself failed."""
        data = run.story.result
        if data is None:
            data = run.outcome()
        cost = data["cost"]
        return cls(
            train_driver=data["train_driver"],
            findings=tuple(Finding(found["kind"], found["message"], found["fix"]) for found in data["findings"]),
            touches=tuple(
                Touched(one["what"], one["which"], one["option"], one["by"], one["place"]) for one in data["touches"]
            ),
            cost=None if cost is None else Cost(cost["max_usd"], cost["basis"]),
            request=data["request"],
            error=run.story.error,
        )


def fit(path: StrPath | None, options: Training, *, overwrite: bool) -> tuple[list[str], list[str]]:
    """Return the arguments of `fit`, and the script's arguments."""
    words, arguments = training(path, options)
    return ["fit", *words, *(["--overwrite"] if overwrite else [])], arguments


def check(path: StrPath | None, options: Training) -> tuple[list[str], list[str]]:
    """Return the arguments of `check`, and the script's arguments."""
    words, arguments = training(path, options)
    return ["check", *words], arguments


def logs(job: str, *, follow: bool) -> list[str]:
    """Return the arguments of `logs`."""
    return ["logs", positional(job), *(["--follow"] if follow else [])]


def status(job: str) -> list[str]:
    """Return the arguments of `status`."""
    return ["status", positional(job)]


def jobs(
    tag: str | None,
    *,
    status: str | Iterable[str],
    driver: str | None,
    since: str | datetime | None,
    sort: str | None,
    limit: int,
) -> list[str]:
    """Return the arguments of `jobs`."""
    words = ["jobs", f"--limit={limit}"]
    states = ",".join(several(status))
    moment = since.astimezone().isoformat() if isinstance(since, datetime) else since
    for name, value in (("tag", tag), ("status", states), ("driver", driver), ("since", moment), ("sort", sort)):
        if value:
            words.append(f"--{name}={value}")
    return words


def records(data: Mapping[str, Any]) -> list[Record]:
    """Read the result of `jobs`."""
    return [Record.of(job) for job in data["jobs"]]


def stop(job: str, *, wait: bool, timeout: int) -> list[str]:
    """Return the arguments of `stop`."""
    return ["stop", positional(job), f"--wait={timeout}" if wait else "--detach"]


def fetch(
    folder: StrPath, job: str, *, output_data: bool, checkpoints: bool, overwrite: bool, extract: bool
) -> list[str]:
    """Return the arguments of `fetch`."""
    switches = {
        "--output-data": output_data,
        "--checkpoints": checkpoints,
        "--overwrite": overwrite,
        "--no-extract": not extract,
    }
    return ["fetch", positional(folder), positional(job), *(name for name, on in switches.items() if on)]


def files(data: Mapping[str, Any]) -> list[Path]:
    """Read the result of `fetch`."""
    return [Path(data["folder"], file) for file in data["files"]]


def completed(status: Status) -> bool:
    """Return whether a job has completed; False if it is still running. Raises if it ended in another state."""
    if not status.ended or status.state == "completed":
        return status.ended
    hint = f"`alekseylearn logs {status.job}` shows all that it wrote"
    first, _, rest = (status.reason or "no reason was given").partition("\n")
    if status.state == "stopped":
        reason = f": {first}" if status.reason else ""
        raise JobStoppedError(f"the job {status.job} was stopped{reason}", hint=hint, exit_code=11)
    raise JobFailedError(f"the job {status.job} failed: {first}", hint=hint, details=rest or None, exit_code=10)
