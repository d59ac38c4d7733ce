"""Shows how a run goes: in a notebook as a display that is updated, elsewhere as lines on standard error."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ._events import Metric
from ._run import Run, Story

# As many lines of log as a notebook shows, and seconds between two updates.
LINES = 20
PAUSE = 0.5
# Of the course of a metric, in pixels.
WIDTH, HEIGHT = 120, 20


@contextmanager
def view(run: Run, show: bool | None, *, live: bool = False) -> Iterator[Callable[[], None] | None]:
    """Return a function that displays the run, or `None` if nothing is displayed.

    `live` shows the training, else the way to it.
    """
    is_notebook = in_notebook()
    if show is False or (show is None and not is_notebook):
        yield None
        return
    shown = _Display(run, live) if is_notebook else _Lines(run, live)
    try:
        yield shown
    finally:
        shown.close()


def in_notebook() -> bool:
    """Whether this Python is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


class _Lines:
    """Stages, warnings and the log, a line each."""

    def __init__(self, run: Run, live: bool) -> None:
        self._run = run
        self._live = live
        self._told = {"stages": 0, "warnings": 0}
        self._logged = 0

    def __call__(self) -> None:
        with self._run.held() as story:
            lines = [] if self._live else story.stages[self._told["stages"] :]
            warnings = story.warnings[self._told["warnings"] :]
            self._told = {"stages": len(story.stages), "warnings": len(story.warnings)}
            fresh = min(story.logged - self._logged, len(story.tail)) if self._live else 0
            log = list(story.tail)[len(story.tail) - fresh :]
            self._logged = story.logged
        for line in [*lines, *(f"warning: {text}" for text in warnings), *log]:
            sys.stderr.write(f"{line}\n")

    def close(self) -> None:
        self()


class _Display:
    """One output of a cell, in HTML and as text."""

    def __init__(self, run: Run, live: bool) -> None:
        from IPython.display import display

        self._run = run
        self._live = live
        self._last = self._bundle()
        self._shown_at = time.monotonic()
        self._handle: Any = display(self._last, raw=True, display_id=True)

    def __call__(self) -> None:
        if time.monotonic() - self._shown_at >= PAUSE:
            self._update()

    def close(self) -> None:
        self._update()

    def _update(self) -> None:
        bundle = self._bundle()
        if bundle != self._last:
            self._handle.update(bundle, raw=True)
            self._last = bundle
        self._shown_at = time.monotonic()

    def _bundle(self) -> dict[str, str]:
        with self._run.held() as story:
            head = _state(story) if self._live else _way(story)
            metrics = list(story.metrics.metrics().values()) if self._live else []
            log = list(story.tail)[-LINES:] if self._live else []
        return {"text/plain": _as_text(head, metrics, log), "text/html": _as_html(head, metrics, log)}


def _way(story: Story) -> list[str]:
    """What was done so far to submit the job."""
    lines = [*(f"warning: {text}" for text in story.warnings), *story.stages]
    if story.job is not None:
        return [*lines, f"{story.job}: submitted to {story.driver}"]
    return [*lines, story.progress] if story.progress else lines


def _state(story: Story) -> list[str]:
    if story.job is None:
        return list(story.stages[-1:])
    detail = f" ({story.detail})" if story.detail and story.result is None else ""
    state = "failed" if story.error is not None and story.error.kind == "job-failed" else story.state
    return [f"{story.job}: {state or 'submitted'}{detail}"]


def _as_text(head: list[str], metrics: list[Metric], log: list[str]) -> str:
    return "\n".join([*head, *(_line(metric) for metric in metrics), *log])


def _line(metric: Metric) -> str:
    best = "" if metric.best is None else f" (best {_number(metric.best)})"
    return f"{metric.name}: {_number(metric.last)}{best}"


def _as_html(head: list[str], metrics: list[Metric], log: list[str]) -> str:
    parts = [f"<div>{html.escape(line)}</div>" for line in head]
    if metrics:
        titles = "".join(f"<th>{title}</th>" for title in ("metric", "last", "best", "course"))
        parts.append(f"<table><tr>{titles}</tr>{''.join(_row(metric) for metric in metrics)}</table>")
    if log:
        style = "max-height: 22em; overflow: auto; white-space: pre-wrap"
        parts.append(f'<pre style="{style}">{html.escape(chr(10).join(log))}</pre>')
    return f'<div class="alekseylearn">{"".join(parts)}</div>'


def _row(metric: Metric) -> str:
    best = "" if metric.best is None else _number(metric.best)
    cells = (html.escape(metric.name), _number(metric.last), best, _course([value for _, value in metric.points]))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _course(values: list[float]) -> str:
    """Draw the values as a line."""
    if len(values) < 2:
        return ""
    least, most = min(values), max(values)
    spread = (most - least) or 1.0
    points = " ".join(
        f"{index * WIDTH / (len(values) - 1):.1f},{HEIGHT - 1 - (value - least) / spread * (HEIGHT - 2):.1f}"
        for index, value in enumerate(values)
    )
    line = f'<polyline points="{points}" fill="none" stroke="currentColor"/>'
    return f'<svg width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{line}</svg>'


def _number(value: float | None) -> str:
    return "nan" if value is None else f"{value:.5g}"
