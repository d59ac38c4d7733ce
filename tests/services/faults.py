"""Faults: responses in place of a service."""

import threading
from typing import Any

from .exchange import Answer, Request


class Faults:
    """The active faults, each `{"path", "method", "times", "after", "status", "headers", "body"}`.

    `path` is a part of the path, `method` is optional, `times` is how often it responds, and `after` how many matching
    requests pass first. With status 0, the service handles the request, and its response is lost.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[dict[str, Any]] = []

    def add(self, fault: dict[str, Any]) -> None:
        unknown = set(fault) - {"path", "method", "times", "after", "status", "headers", "body"}
        if unknown or not isinstance(fault.get("path"), str):
            raise ValueError(f"invalid fault: {fault}")
        with self._lock:
            self._faults.append({"times": 1, "after": 0, "status": 500, "headers": {}, "body": {}, **fault})

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, request: Request) -> Answer | None:
        with self._lock:
            for fault in self._faults:
                if fault["path"] not in request.path or fault["times"] == 0:
                    continue
                if fault.get("method", request.method) != request.method:
                    continue
                if fault["after"] > 0:
                    fault["after"] -= 1
                    continue
                fault["times"] -= 1
                return Answer.of(fault["body"], fault["status"], **fault["headers"])
        return None
