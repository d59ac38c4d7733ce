"""The program's JSON events as Python objects, by the schema of `alekseylearn schema`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

Event = dict[str, Any]

FINAL_STATES = ("completed", "failed", "stopped")


@dataclass(frozen=True)
class LogLine:
    """One line of the training's log; `str` returns its text.

    `time` is `None` if the service tells none. A `redrawn` line, such as a progress bar, is written over by the next
    one of its node.
    """

    text: str
    node: str
    time: datetime | None
    redrawn: bool

    def __str__(self) -> str:
        return self.text

    @classmethod
    def of(cls, event: Event) -> LogLine:
        """Read a `log` event."""
        return cls(event["text"], event["node"], _moment(event["time"]), event["redrawn"])


@dataclass(frozen=True)
class Metric:
    """The values of one metric.

    `last` is `None` if the newest value is not a number, `best` if it is not known whether less or more is better.
    `points` are times (`None` if not known) and values; every `stride`-th value is one.
    """

    name: str
    count: int
    last: float | None
    best: float | None
    min: float
    max: float
    points: tuple[tuple[datetime | None, float], ...] = ()
    stride: int = 1


class Metrics(Mapping[str, Metric]):
    """The metrics of a job, by name."""

    def __init__(self, metrics: Sequence[Metric] = ()) -> None:
        self._metrics = {metric.name: metric for metric in metrics}

    def __getitem__(self, name: str) -> Metric:
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._metrics)

    def __len__(self) -> int:
        return len(self._metrics)

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={metric.last}" for name, metric in self._metrics.items())
        return f"Metrics({shown})"

    def to_pandas(self) -> pandas.DataFrame:
        """Return all points as a data frame: one row each, with the columns `metric`, `step`, `time` and `value`.

        Raises ImportError if pandas is not installed.
        """
        import pandas

        rows = [
            (metric.name, index * metric.stride, moment, value)
            for metric in self._metrics.values()
            for index, (moment, value) in enumerate(metric.points)
        ]
        frame = pandas.DataFrame(rows, columns=["metric", "step", "time", "value"])
        return frame.astype({"metric": "object", "step": "int64", "time": "datetime64[ns, UTC]", "value": "float64"})

    @classmethod
    def of_status(cls, data: Mapping[str, Mapping[str, Any]], best: Mapping[str, float | None]) -> Metrics:
        """Read the result of `status`, and the best values that a run reported."""
        return cls(
            [
                Metric(
                    name=name,
                    count=series["count"],
                    last=series["last"],
                    best=best.get(name),
                    min=series["min"],
                    max=series["max"],
                    points=tuple((_moment(moment), value) for moment, value in series["points"]),
                    stride=max(series["stride"], 1),
                )
                for name, series in data.items()
            ]
        )


class LiveMetrics:
    """The metrics of a running job, from its `metrics` events."""

    def __init__(self) -> None:
        self._told: list[dict[str, Any]] = []
        self._points: dict[str, list[tuple[datetime | None, float]]] = {}
        self._counts: dict[str, int] = {}

    def hear(self, told: list[dict[str, Any]]) -> None:
        """Update from an event, or from the result of a run."""
        now = datetime.fromtimestamp(time.time(), timezone.utc)
        for metric in told:
            name, last = metric["name"], metric["last"]
            if metric["count"] != self._counts.get(name) and last is not None:
                self._points.setdefault(name, []).append((now, last))
            self._counts[name] = metric["count"]
        self._told = told

    @property
    def best(self) -> dict[str, float | None]:
        """The best values, by name."""
        return {metric["name"]: metric["best"] for metric in self._told}

    def metrics(self) -> Metrics:
        """Return the current metrics; a point has the time of its event."""
        return Metrics(
            [
                Metric(
                    name=told["name"],
                    count=told["count"],
                    last=told["last"],
                    best=told["best"],
                    min=told["min"],
                    max=told["max"],
                    points=tuple(self._points.get(told["name"], ())),
                )
                for told in self._told
            ]
        )


@dataclass(frozen=True)
class Phase:
    """A phase of a job; `end` is `None` if it has not ended."""

    name: str
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True)
class Listing:
    """The number of files, their total size in bytes, and names and sizes of the first few."""

    files: int
    bytes: int
    first: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Listing:
        """Read one."""
        return cls(data["files"], data["bytes"], tuple((name, size) for name, size in data["first"]))


@dataclass(frozen=True)
class Results:
    """The results of a job."""

    model: Listing
    output_data: Listing
    checkpoints: Listing

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Results | None:
        """Read them; `None` if they are not known."""
        if data is None:
            return None
        return cls(*(Listing.of(data[kind]) for kind in ("model", "output-data", "checkpoints")))


@dataclass(frozen=True)
class Status:
    """The current state of a job at its service.

    `state` is one of submitting, queued, running, stopping, completed, failed and stopped. What is not known is `None`.
    """

    job: str
    driver: str
    state: str
    detail: str | None
    reason: str | None
    exit_code: int | None
    phases: tuple[Phase, ...]
    billable_seconds: int | None
    cost_usd: float | None
    nodes: int
    arguments: tuple[str, ...]
    installed: tuple[str, ...] | None
    results: Results | None

    @property
    def ended(self) -> bool:
        """Whether the job is over."""
        return self.state in FINAL_STATES

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Status:
        """Read the result of `status`."""
        installed = data["installed"]
        return cls(
            job=data["job"],
            driver=data["driver"],
            state=data["state"],
            detail=data["detail"],
            reason=data["reason"],
            exit_code=data["exit_code"],
            phases=tuple(
                Phase(phase["name"], _moment(phase["start"]), _moment(phase["end"])) for phase in data["phases"]
            ),
            billable_seconds=data["billable_seconds"],
            cost_usd=data["cost_usd"],
            nodes=data["nodes"],
            arguments=tuple(data["arguments"]),
            installed=None if installed is None else tuple(installed),
            results=Results.of(data["results"]),
        )


@dataclass(frozen=True)
class Record:
    """A job as this machine recorded it. `created` and `finished` are UTC; `finished` is `None` before its end."""

    name: str
    tag: str
    artifact: str
    root: str | None
    arguments: tuple[str, ...]
    driver: str
    options: tuple[tuple[str, str], ...]
    state: str
    reason: str | None
    created: datetime
    finished: datetime | None
    billable_seconds: int | None
    cost_usd: float | None

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Record:
        """Read one job from the result of `jobs`."""
        finished = data["finished"]
        return cls(
            name=data["name"],
            tag=data["tag"],
            artifact=data["artifact"],
            root=data["root"],
            arguments=tuple(data["arguments"]),
            driver=data["driver"],
            options=tuple((key, value) for key, value in data["options"]),
            state=data["state"],
            reason=data["reason"],
            created=_time(data["created"]),
            finished=None if finished is None else _time(finished),
            billable_seconds=data["billable_seconds"],
            cost_usd=data["cost_usd"],
        )


@dataclass(frozen=True)
class Finding:
    """A finding of a check: a `problem`, a `warning` or a `note`; `fix` is `None` if there is nothing to fix."""

    kind: str
    message: str
    fix: str | None


@dataclass(frozen=True)
class Cost:
    """The maximum cost of a run in US dollars; `None` if unknown. `basis` explains how it is computed."""

    max_usd: float | None
    basis: str


@dataclass(frozen=True)
class Touched:
    """A resource that a run may access because an option names it, and where the option was set."""

    what: str
    which: str
    option: str
    by: str
    place: str


def _moment(milliseconds: int | None) -> datetime | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, timezone.utc)


def _time(text: str) -> datetime:
    """Parse RFC 3339, whose digits and time zone Python 3.10 does not accept."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    microseconds = int((fraction + "000000")[:6])
    return datetime.fromisoformat(seconds).replace(microsecond=microseconds, tzinfo=timezone.utc)
