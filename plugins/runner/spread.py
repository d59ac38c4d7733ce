"""Runs several processes of one script on a host, each with torchrun's variables.

The runner starts itself as `spread COUNT COMMAND …`, which its supervisor treats as
one script. A process that fails ends the others, and its exit code becomes the
script's.
"""

import os
import re
import selectors
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Dict, List, Mapping, Optional

from supervise import CHUNK_BYTES, Sink, shell_code

# After one process has failed, the others have this long to end by themselves.
PATIENCE_SECONDS = 30.0
POLL_SECONDS = 0.1

# Prefix of each line, which names its process.
PREFIX = "rank {}: "
# The last line if a process failed; `failure.py` reads the rank.
VERDICT = "alekseylearn: rank {} ended with exit code {}"
FAILED = re.compile(r"^alekseylearn: rank (\d+) ended with exit code \d+$")

_PIECE = re.compile(rb"[^\r\n]*(?:\r?\n|\r|$)")


def main(arguments: List[str]) -> int:
    count, command = int(arguments[0]), arguments[1:]
    return _Group(count).run(command)


def environment_of(local_rank: int, count: int, environment: Mapping[str, str]) -> Dict[str, str]:
    """Return the environment of one process on a host, as torchrun sets it.

    `environment` is the one that a single process on the host would get.
    """
    hosts = int(environment.get("WORLD_SIZE", "1"))
    host_rank = int(environment.get("RANK", "0"))
    rank, size = host_rank * count + local_rank, hosts * count
    made = dict(environment)
    made.setdefault("MASTER_ADDR", "127.0.0.1")
    made.setdefault("MASTER_PORT", environment.get("SM_MASTER_PORT", "7777"))
    # Otherwise each process would use all cores.
    made.setdefault("OMP_NUM_THREADS", "1")
    made.update(
        RANK=str(rank),
        LOCAL_RANK=str(local_rank),
        WORLD_SIZE=str(size),
        LOCAL_WORLD_SIZE=str(count),
        GROUP_RANK=str(host_rank),
        GROUP_WORLD_SIZE=str(hosts),
        NODE_RANK=str(host_rank),
        ROLE_NAME="default",
        ROLE_RANK=str(rank),
        ROLE_WORLD_SIZE=str(size),
        TORCHELASTIC_RESTART_COUNT="0",
        TORCHELASTIC_MAX_RESTARTS="0",
        TORCHELASTIC_RUN_ID=environment.get("TRAINING_JOB_NAME", "none"),
    )
    return made


class _Lines:
    """Forwards one stream of a process, with the rank before each line."""

    def __init__(self, prefix: bytes, sink: Sink) -> None:
        self._prefix, self._sink = prefix, sink
        self._held = b""

    def feed(self, chunk: bytes) -> None:
        data = self._held + chunk
        # The meaning of a carriage return depends on the next byte.
        end = max(data.rfind(b"\n"), data.rfind(b"\r", 0, len(data) - 1)) + 1
        self._held = data[end:]
        pieces = [piece for piece in _PIECE.findall(data[:end]) if piece]
        self._sink.write(b"".join(self._prefix + piece for piece in pieces))

    def close(self) -> None:
        if self._held:
            self._sink.write(self._prefix + self._held.rstrip(b"\r") + b"\n")


class _Group:
    """The processes of one host."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._processes = []  # type: List[subprocess.Popen]
        self._selector = selectors.DefaultSelector()
        self._stop_signal = None  # type: Optional[int]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)

    def run(self, command: List[str]) -> int:
        first = int(os.environ.get("RANK", "0")) * self._count
        for local_rank in range(self._count):
            process = subprocess.Popen(
                command,
                env=environment_of(local_rank, self._count, os.environ),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            self._processes.append(process)
            prefix = PREFIX.format(first + local_rank).encode("ascii") if self._count > 1 else b""
            for pipe, target in ((process.stdout, sys.stdout), (process.stderr, sys.stderr)):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
                lines = _Lines(prefix, Sink(target.fileno()))
                self._selector.register(pipe.fileno(), selectors.EVENT_READ, lines)
        if self._stop_signal is not None:
            self._send(self._stop_signal)
        failed = self._wait()
        self._take_what_is_left()
        if failed is None:
            return 0
        code = shell_code(self._processes[failed].returncode)
        if self._count > 1:
            verdict = VERDICT.format(first + failed, code)
            Sink(sys.stderr.fileno()).write(verdict.encode("ascii") + b"\n")
        return code

    def _wait(self) -> Optional[int]:
        """Forward all output until the processes have ended; return the rank that failed first."""
        failed = None  # type: Optional[int]
        deadline = None  # type: Optional[float]
        while any(process.returncode is None for process in self._processes):
            self._read(POLL_SECONDS)
            for number, process in enumerate(self._processes):
                if process.returncode is None and process.poll() not in (None, 0) and failed is None:
                    failed = number
                    if self._stop_signal is None:
                        self._send(signal.SIGTERM)
                        deadline = time.monotonic() + PATIENCE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                self._send(signal.SIGKILL)
                deadline = None
        return failed

    def _read(self, patience: float) -> bool:
        """Forward available output; return whether there was any."""
        any_read = False
        for key, _ in self._selector.select(patience):
            try:
                chunk = os.read(key.fd, CHUNK_BYTES)
            except BlockingIOError:
                continue
            any_read = True
            if chunk:
                key.data.feed(chunk)
            else:
                key.data.close()
                self._selector.unregister(key.fd)
        return any_read

    def _take_what_is_left(self) -> None:
        while self._selector.get_map() and self._read(0):
            pass
        for key in list(self._selector.get_map().values()):
            key.data.close()

    def _on_stop(self, number: int, _frame: Optional[FrameType]) -> None:
        self._stop_signal = number
        self._send(number)

    def _send(self, number: int) -> None:
        for process in self._processes:
            if process.returncode is None:
                try:
                    process.send_signal(number)
                except ProcessLookupError:
                    pass
