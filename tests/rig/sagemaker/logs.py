"""Sends a container's output to CloudWatch Logs while it runs, without losing a line."""

import threading
import time
from collections import deque
from collections.abc import Iterable

from moto.logs.models import logs_backends

from ..settings import ACCOUNT, REGION

GROUP = "/aws/sagemaker/TrainingJobs"

_MOST_EVENTS = 10_000
_MOST_BYTES = 1_048_576
_EVENT_OVERHEAD = 26
_LONGEST_MESSAGE = 256 * 1024 - _EVENT_OVERHEAD
_FLUSH_SECONDS = 0.2

Frame = tuple[bytes | None, bytes | None]


class LogStream:
    """One host's stream.

    It writes into moto's store in this process: over HTTP, the lines of a talkative job would
    keep the endpoint busy. The limits of PutLogEvents are kept all the same.
    """

    def __init__(self, job: str, host: str) -> None:
        self._name = f"{job}/{host}-{int(time.time())}"
        self._store = logs_backends[ACCOUNT][REGION]
        self._pending: deque[tuple[int, str]] = deque()
        self._last_time = 0
        self._store.ensure_log_group(GROUP)
        self._store.create_log_stream(GROUP, self._name)

    def add(self, line: bytes) -> None:
        """Add one line. CloudWatch accepts no empty messages, so a blank line becomes a space."""
        self._last_time = max(self._last_time, int(time.time() * 1000))
        text = line.decode(errors="replace").removesuffix("\r") or " "
        for start in range(0, len(text), _LONGEST_MESSAGE):
            self._pending.append((self._last_time, text[start : start + _LONGEST_MESSAGE]))

    def flush(self) -> None:
        """Send all pending lines, in batches within the limits of PutLogEvents."""
        while batch := self._next_batch():
            events = [{"timestamp": moment, "message": message} for moment, message in batch]
            self._store.put_log_events(GROUP, self._name, events)

    def _next_batch(self) -> list[tuple[int, str]]:
        batch: list[tuple[int, str]] = []
        size = 0
        while self._pending and len(batch) < _MOST_EVENTS:
            size += len(self._pending[0][1].encode()) + _EVENT_OVERHEAD
            if batch and size > _MOST_BYTES:
                break
            batch.append(self._pending.popleft())
        return batch


class LogShipper:
    """Two threads: one reads the container's output, one sends it a few times per second."""

    def __init__(self, frames: Iterable[Frame], stream: LogStream) -> None:
        self._stream = stream
        self._ended = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(frames,), daemon=True)
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._reader.start()
        self._sender.start()

    def join(self) -> None:
        """Return when the last line has arrived."""
        self._reader.join()
        self._sender.join()

    def _read(self, frames: Iterable[Frame]) -> None:
        """Split the two pipes into lines separately, so that neither splits a line of the other."""
        rests = [b"", b""]
        try:
            for frame in frames:
                for pipe, data in enumerate(frame):
                    if data:
                        *lines, rests[pipe] = (rests[pipe] + data).split(b"\n")
                        for line in lines:
                            self._stream.add(line)
            for rest in filter(None, rests):
                self._stream.add(rest)
        finally:
            self._ended.set()

    def _send(self) -> None:
        while not self._ended.wait(_FLUSH_SECONDS):
            self._stream.flush()
        self._stream.flush()
