"""One run of the program with `--json`: a child process, and its events so far."""

from __future__ import annotations

import atexit
import json
import os
import queue
import signal
import subprocess
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

from ._errors import AlekseylearnError, FailedError, ProgramNotFoundError, error_of
from ._events import Event, LiveMetrics, LogLine
from ._program import program

# Seconds that a run may take to end after SIGINT.
PATIENCE = 15.0
# As many lines of log as a live view can show, and as may wait for a reader.
TAIL = 200
WAITING = 1000
# As much of what the program wrote to standard error as an error shows, in characters.
LAST_WORDS = 2000


class Story:
    """The events of a run so far. One thread writes it, and others read it."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.progress: str | None = None
        self.warnings: list[str] = []
        self.job: str | None = None
        self.driver: str | None = None
        self.state: str | None = None
        self.detail: str | None = None
        self.metrics = LiveMetrics()
        self.tail: deque[str] = deque(maxlen=TAIL)
        self.logged = 0
        self.result: dict[str, Any] | None = None
        self.error: AlekseylearnError | None = None
        self._redrawn: set[str] = set()

    def hear(self, event: Event) -> None:
        """Add an event; unknown kinds are ignored."""
        kind = event["event"]
        if kind == "stage":
            self.stages.append(event["name"])
            self.progress = None
        elif kind == "progress":
            self.progress = _progress(event)
        elif kind == "waiting":
            self.progress = f"{event['step'] or event['stage']}: {event['elapsed_seconds']} s"
        elif kind == "warning":
            self.warnings.append(event["text"])
        elif kind == "submitted":
            self.job, self.driver = event["job"], event["driver"]
        elif kind == "status":
            self.job, self.state, self.detail = event["job"], event["state"], event["detail"]
        elif kind == "log":
            self._log(event)
        elif kind == "metrics":
            self.metrics.hear(event["metrics"])
        elif kind == "result":
            self.result = event["data"]
            self.state = self.result.get("state", self.state)
            # `status` has them in another form.
            if isinstance(told := self.result.get("metrics"), list):
                self.metrics.hear(told)
        elif kind == "error":
            self.error = error_of(event)

    def _log(self, event: Event) -> None:
        node = event["node"]
        if node in self._redrawn and self.tail:
            self.tail.pop()
        self.tail.append(event["text"])
        self.logged += 1
        self._redrawn.discard(node)
        if event["redrawn"]:
            self._redrawn.add(node)


def _progress(event: Event) -> str:
    done, total = event["done"], event["total"]
    if total:
        return f"{event['what']}: {100 * done // total} % of {total / 2**20:.1f} MiB"
    return f"{event['what']}: {done / 2**20:.1f} MiB"


class Run:
    """A run of the program.

    The child is in a session of its own, so that a Ctrl-C on the terminal reaches it once: when `interrupt` sends it.
    """

    def __init__(self, words: Sequence[str], arguments: Sequence[str] = (), *, keeps_log: bool = False) -> None:
        command = [program(), *words, "--json", *(["--", *arguments] if arguments else [])]
        self.story = Story()
        self.code: int | None = None
        self._keeps_log = keeps_log
        self._lines: queue.Queue[LogLine] = queue.Queue(WAITING)
        self._is_muted = False
        self._is_interrupted = False
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], None]] = []
        self._last_words: str | None = None
        self._owner = os.getpid()
        # A file, because a pipe that nobody reads holds up the child.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._errors.close()
            raise ProgramNotFoundError(f"cannot start {command[0]}: {error.strerror}") from error
        self._stdout = cast("IO[bytes]", self._process.stdout)
        _alive.add(self)
        threading.Thread(target=self._read, name="alekseylearn", daemon=True).start()

    @property
    def ended(self) -> bool:
        """Whether the child has ended and all its events were read."""
        return self.code is not None

    def _read(self) -> None:
        try:
            for line in self._stdout:
                self._hear(line)
        except Exception as error:
            # Of another version, perhaps. Whoever waits must not wait for ever.
            self.kill()
            self.story.error = FailedError(f"cannot understand the program alekseylearn: {error!r}")
        self._stdout.close()
        code = self._process.wait()
        self._last_words = _end_of(self._errors)
        self._errors.close()
        _alive.discard(self)
        with self._changed:
            self.code = code
            self._changed.notify_all()
        self._tell()

    def _hear(self, text: bytes) -> None:
        if not text.endswith(b"\n"):
            # Of one that was killed in the middle of a line.
            return
        event: Event = json.loads(text)
        if self._keeps_log and event["event"] == "log":
            line = LogLine.of(event)
            # The child waits for whoever reads slowly.
            while not self._is_muted:
                try:
                    self._lines.put(line, timeout=0.1)
                    break
                except queue.Full:
                    pass
        with self._changed:
            self.story.hear(event)
            self._changed.notify_all()
        self._tell()

    def _tell(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    @contextmanager
    def listening(self, listener: Callable[[], None]) -> Iterator[None]:
        """Call the listener after each event and at the end, in another thread."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    @contextmanager
    def held(self) -> Iterator[Story]:
        """Return the story, locked against changes."""
        with self._changed:
            yield self.story

    def wait_for(
        self,
        happened: Callable[[], bool],
        *,
        timeout: float | None = None,
        look: Callable[[], None] | None = None,
    ) -> bool:
        """Wait until a condition holds or the child ends; return whether it did in time. `look` is called meanwhile."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if end is None else max(end - time.monotonic(), 0)
            with self._changed:
                done = self._changed.wait_for(
                    lambda: self.ended or happened(), _least(left, None if look is None else 0.25)
                )
            if look is not None:
                look()
            if done:
                return True
            if end is not None and time.monotonic() >= end:
                return False

    def finish(self, look: Callable[[], None] | None = None) -> dict[str, Any]:
        """Wait for the end, and return the data of the result; empty if the command has none.

        A Ctrl-C interrupts the child, and is raised again once that has ended.
        """
        try:
            self.wait_for(lambda: False, look=look)
        except BaseException:
            self.interrupt()
            raise
        return self.outcome()

    def lines(self) -> Iterator[LogLine]:
        """Yield the lines of the log as they come, until the end."""
        while True:
            ended = self.ended
            try:
                yield self._lines.get(timeout=None if ended else 0.1, block=not ended)
            except queue.Empty:
                if ended:
                    return

    @property
    def has_line(self) -> bool:
        """Whether a line of the log is ready to be read."""
        return not self._lines.empty()

    def line_now(self) -> LogLine | None:
        """Return the next line of the log; `None` if there is none yet."""
        try:
            return self._lines.get_nowait()
        except queue.Empty:
            return None

    def ask_to_end(self) -> None:
        """Send SIGINT, as Ctrl-C does, and only once: at a second one the program ends without a word."""
        self._is_muted = True
        if not self._is_interrupted:
            self._is_interrupted = True
            self._send(signal.SIGINT)

    def kill(self) -> None:
        """End the child at once: the program loses nothing by that."""
        self._is_muted = True
        self._send(signal.SIGKILL)

    def _send(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def interrupt(self) -> None:
        """Ask the child to end, and wait for that; kill it if it takes too long, or at a second Ctrl-C."""
        if self.ended:
            return
        self.ask_to_end()
        try:
            ended = self.wait_for(lambda: False, timeout=PATIENCE)
        except KeyboardInterrupt:
            # Pressed again.
            ended = False
        if not ended:
            self.kill()
            self.wait_for(lambda: False, timeout=PATIENCE)

    def outcome(self) -> dict[str, Any]:
        """Return the data of the result of an ended run; empty if the command has none.

        Raises the program's error as an exception.
        """
        if self.story.error is not None:
            raise self.story.error
        if self.code != 0:
            raise FailedError(self._ending(), details=self._last_words, exit_code=self.code)
        return self.story.result or {}

    def _ending(self) -> str:
        code = self.code or 0
        if code < 0:
            return f"the program alekseylearn was ended by {signal.Signals(-code).name}"
        return f"the program alekseylearn ended with exit code {code} and no reason"


def _end_of(file: IO[bytes]) -> str | None:
    file.seek(0, os.SEEK_END)
    file.seek(max(file.tell() - LAST_WORDS, 0))
    return file.read().decode(errors="replace").strip() or None


def _least(*seconds: float | None) -> float | None:
    return min((one for one in seconds if one is not None), default=None)


_alive: weakref.WeakSet[Run] = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """Leave jobs to themselves when Python ends, as Ctrl-C does: the program then knows that this is on purpose."""
    mine = [run for run in _alive if run._owner == os.getpid()]
    for run in mine:
        run.ask_to_end()
    for run in mine:
        run.interrupt()
