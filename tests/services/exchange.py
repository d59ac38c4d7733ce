"""Requests, responses and their record."""

import json
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


_LONGEST_TEXT = 1 << 12
"""How many bytes of a body that is not JSON are recorded."""


@dataclass
class Request:
    host: str
    method: str
    path: str
    """Without the query."""
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        """The body, or None if it is not JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def to_json(self) -> dict[str, Any]:
        body = self.json
        return {
            "host": self.host,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": self.headers,
            "body": body,
            "text": self.body[:_LONGEST_TEXT].decode("utf-8", "replace") if body is None else None,
            "length": len(self.body),
        }


@dataclass
class Answer:
    status: int = 200
    """0 for no response."""
    body: bytes | Iterable[bytes] = b""
    """An iterable is streamed."""
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> "Answer":
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})


class Record:
    """All requests in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: list[Request] = []

    def add(self, request: Request) -> None:
        with self._lock:
            self._requests.append(request)

    def to_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [request.to_json() for request in self._requests]
