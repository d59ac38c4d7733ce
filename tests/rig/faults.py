"""Faults: how tests make the rig fail."""

import itertools
import json
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from werkzeug.wrappers import Response

from . import errors
from .calls import Call
from .web import Environ, json_response, read_body

KINDS = errors.KINDS | {"cut", "slow", "empty-page", "name-unknown", "replace", "refuse"}
_MATCH_FIELDS = {"service", "operation", "method", "path"}
_NUMBERS = {"times", "after_bytes", "delay_ms", "bytes_per_second"}
_TEXTS = {"find", "put", "code", "message", "status"}


@dataclass
class Fault:
    """What fails, for which calls, and how often."""

    match: dict[str, str]
    kind: str
    times: int | None = 1
    after_bytes: int | None = None
    delay_ms: int = 0
    bytes_per_second: int | None = None
    find: str = ""
    put: str = ""
    code: str = ""
    message: str = ""
    status: int = 400

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Fault":
        """Parse a fault strictly: a misspelt fault that never fires would let a test pass."""
        match, kind = value.get("match", {}), value.get("fault")
        if unknown := (value.keys() - {"match", "fault"} - _NUMBERS - _TEXTS) | (match.keys() - _MATCH_FIELDS):
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        if kind not in KINDS:
            raise ValueError(f"unknown fault {kind!r}; known: {', '.join(sorted(KINDS))}")
        if kind == "name-unknown" and match.get("service") != "registry":
            raise ValueError("only the registry answers name-unknown")
        re.compile(match.get("path", ""))
        return cls(match, kind, **{name: value[name] for name in (_NUMBERS | _TEXTS) & value.keys()})

    def hits(self, call: Call) -> bool:
        if self.times == 0:
            return False
        for name, wanted in self.match.items():
            value = getattr(call, name)
            if not (re.search(wanted, value) if name == "path" else value.lower() == wanted.lower()):
                return False
        return True


class FaultPlan:
    """The active faults. A call uses the first one that matches."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._faults: dict[int, Fault] = {}

    def add(self, fault: Fault) -> int:
        with self._lock:
            number = next(self._ids)
            self._faults[number] = fault
            return number

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, call: Call) -> Fault | None:
        with self._lock:
            for fault in self._faults.values():
                if fault.hits(call):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None


def apply(fault: Fault, call: Call, app: Any, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Respond to a call with a fault. Errors replace the work; `cut` and `slow` follow it."""
    match fault.kind:
        case "cut":
            return _cut(fault, app, environ, start_response)
        case "slow":
            return _slow(fault, app(environ, start_response))
        case "replace":
            return _replace(fault, app, environ, start_response)
        case "refuse":
            return errors.refusal(call, fault.status, fault.code, fault.message)(environ, start_response)
        case "empty-page":
            return _empty_page(environ)(environ, start_response)
        case kind:
            return errors.response(call, kind)(environ, start_response)


def _cut(fault: Fault, app: Any, environ: Environ, start_response: Any) -> Iterator[bytes]:
    """Announce the whole body, send its beginning (default: half), and drop the connection.

    With `after_bytes` 0, not even the status line is sent, although the work is done.
    """
    answer: list[Any] = []
    body = b"".join(app(environ, lambda *head: answer.extend(head[:2])))
    status, headers = answer
    rest = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*rest, ("Content-Length", str(len(body)))])
    sent = len(body) // 2 if fault.after_bytes is None else fault.after_bytes
    if sent:
        yield body[:sent]
    environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("cut by a fault")


def _slow(fault: Fault, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Wait, then send the body slowly."""
    time.sleep(fault.delay_ms / 1000)
    rate = fault.bytes_per_second
    for piece in pieces:
        step = max(1, rate // 10) if rate else max(1, len(piece))
        for start in range(0, len(piece), step):
            yield piece[start : start + step]
            if rate:
                time.sleep(step / rate)


def _replace(fault: Fault, app: Any, environ: Environ, start_response: Any) -> Iterable[bytes]:
    """Do the work, and replace matches of the regular expression `find` in the response by `put`."""
    answer: list[Any] = []
    body = b"".join(app(environ, lambda *head: answer.extend(head[:2]))).decode()
    changed, count = re.subn(fault.find, fault.put, body)
    if not count:
        raise ValueError(f"{fault.find!r} is not in {body!r}")
    status, headers = answer
    kept = [(name, value) for name, value in headers if name.lower() != "content-length"]
    start_response(status, [*kept, ("Content-Length", str(len(changed.encode())))])
    return [changed.encode()]


def _empty_page(environ: Environ) -> Response:
    """A response that GetLogEvents may send in the middle of a stream: no events, and a new token.

    moto's token is a direction and a number, so one more zero makes a new token for the same position.
    """
    token = json.loads(read_body(environ)).get("nextToken") or "f/-1"
    place = f"{int(token[2:]):0{len(token) - 1}d}"
    answer = {"events": [], "nextForwardToken": f"f/{place}", "nextBackwardToken": f"b/{place}"}
    return json_response(answer, content_type="application/x-amz-json-1.1")
