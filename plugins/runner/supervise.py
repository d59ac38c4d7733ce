"""Runs the script, with the duties of a container's first process.

That process gets the stop signals and must forward them, and inherits every
orphan and must reap it. Its end ends everything else, so it exits last, with the
script's exit code and after the script's last byte.
"""

import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Dict, List, NamedTuple, Optional

from relay import Relay

# How long to wait for output of processes that outlive the script.
DRAIN_SECONDS = 2.0
# How long the script's workers have to save their state after a stop.
STOP_SECONDS = 60.0
POLL_SECONDS = 0.1

CHUNK_BYTES = 1 << 16
PIPE_BYTES = 1 << 20  # more than a pipe holds
TAIL_BYTES = 1 << 16


class Outcome(NamedTuple):
    """How the script ended."""

    exit_code: int
    stop_signal: Optional[int]
    stderr_tail: bytes
    # Whether the script wrote any output.
    printed: bool
    seconds: float


class _Stream(NamedTuple):
    source: int
    relay: Relay
    sink: "Sink"
    is_stderr: bool


class Supervisor:
    """Runs one script. No stop signal is lost once it is created."""

    def __init__(self) -> None:
        self._pid = 0
        self._exit_code = None  # type: Optional[int]
        self._exited_at = 0.0
        self._stop_signal = None  # type: Optional[int]
        self._stderr_tail = b""
        self._printed = False
        self._selector = selectors.DefaultSelector()
        self._streams = []  # type: List[_Stream]
        self._watch_signals()

    def is_stopping(self) -> bool:
        """Return whether a stop signal has come."""
        return self._stop_signal is not None

    def run(self, command: List[str], environment: Dict[str, str], folder: Path) -> Outcome:
        """Run the command to its end.

        It gets its own session, so that processes that it leaves behind can be found
        by their process group.
        """
        started = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=str(folder),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._pid = process.pid
        if self._stop_signal is not None:
            self._send(self._stop_signal)
        assert process.stdout is not None and process.stderr is not None
        self._open_stream(process.stdout.fileno(), sys.stdout.fileno(), is_stderr=False)
        self._open_stream(process.stderr.fileno(), sys.stderr.fileno(), is_stderr=True)

        while not self._is_over():
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    os.read(key.fd, CHUNK_BYTES)
                else:
                    self._read(key.data, CHUNK_BYTES)
            for stream in self._streams:
                stream.relay.tick(time.monotonic())
            self._reap()
        self._take_what_is_left()
        self._signal_group(signal.SIGKILL)

        assert self._exit_code is not None
        process.returncode = self._exit_code  # it was reaped here, not by Popen
        seconds = self._exited_at - started
        return Outcome(self._exit_code, self._stop_signal, self._stderr_tail, self._printed, seconds)

    # Signals

    def _watch_signals(self) -> None:
        """Make every signal wake the loop, and forward the stop signals at once."""
        wake_source, wake_target = os.pipe()
        os.set_blocking(wake_source, False)
        os.set_blocking(wake_target, False)
        self._selector.register(wake_source, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(wake_target, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGINT, self._on_stop)
        # Those that came before are delivered now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))

    def _on_stop(self, number: int, _frame: Optional[FrameType]) -> None:
        """Forward a stop signal at once, because the loop may be busy writing."""
        self._stop_signal = number
        if self._pid:
            self._send(number)

    def _send(self, number: int) -> None:
        """Signal only the script, and after its end the processes that it left behind.

        The script stops its own workers: a data loader that died of the same signal
        would ruin the checkpoint that the script is about to save.
        """
        if self._exit_code is not None:
            self._signal_group(number)
            return
        try:
            os.kill(self._pid, number)
        except ProcessLookupError:
            pass

    def _signal_group(self, number: int) -> bool:
        """Signal the rest of the script's process group; return whether there was any."""
        try:
            os.killpg(self._pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _reap(self) -> None:
        """Reap all processes that have ended: the script and adopted orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._pid:
                self._exited_at = time.monotonic()
                self._exit_code = shell_code(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))
                if self._stop_signal is not None:
                    self._signal_group(signal.SIGTERM)

    # Output

    def _open_stream(self, source: int, target: int, is_stderr: bool) -> None:
        os.set_blocking(source, False)
        sink = Sink(target)
        stream = _Stream(source, Relay(sink.write), sink, is_stderr)
        self._streams.append(stream)
        self._selector.register(source, selectors.EVENT_READ, stream)

    def _read(self, stream: _Stream, size: int) -> None:
        try:
            chunk = os.read(stream.source, size)
        except BlockingIOError:
            return
        if not chunk:
            self._close(stream)
            return
        self._printed = True
        if stream.is_stderr:
            self._stderr_tail = (self._stderr_tail + chunk)[-TAIL_BYTES:]
        stream.relay.feed(chunk, time.monotonic())

    def _close(self, stream: _Stream) -> None:
        stream.relay.close()
        stream.sink.end_line()
        self._streams.remove(stream)
        self._selector.unregister(stream.source)

    def _take_what_is_left(self) -> None:
        """Empty the pipes that other processes still hold open, without waiting."""
        for stream in list(self._streams):
            self._read(stream, PIPE_BYTES)
        for stream in list(self._streams):
            self._close(stream)

    # Time

    def _patience(self) -> Optional[float]:
        """Return how long the loop may sleep if nothing happens."""
        deadlines = [stream.relay.deadline() for stream in self._streams]
        times = [max(0.0, d - time.monotonic()) for d in deadlines if d is not None]
        if self._exit_code is not None:
            times.append(POLL_SECONDS)
        return min(times) if times else None

    def _is_over(self) -> bool:
        if self._exit_code is None:
            return False
        waited = time.monotonic() - self._exited_at
        if self._stop_signal is not None and self._signal_group(0):
            return waited > STOP_SECONDS
        return not self._streams or waited > DRAIN_SECONDS


def shell_code(code: int) -> int:
    """Return an exit code of `subprocess` as a shell does: 128 plus the number for a signal."""
    return 128 - code if code < 0 else code


class Sink:
    """The target of a stream. A log reader that disappears does not end the training."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._is_inside_line = False

    def write(self, data: bytes) -> None:
        if data:
            self._is_inside_line = not data.endswith(b"\n")
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._target, view) :]
            except BrokenPipeError:
                return

    def end_line(self) -> None:
        """End a line that the script left open, because log services show only complete lines."""
        if self._is_inside_line:
            self.write(b"\n")
