"""The log of calls to the rig, for tests."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One request, named by service and operation: `sagemaker` `DescribeTrainingJob`."""

    service: str
    operation: str
    method: str
    path: str
    body: Any = None
    """The request's parameters, for SageMaker only."""
    time: float = field(default_factory=time.time)
    status: int | None = None
    """None until the response begins."""
    fault: str | None = None


class CallLog:
    """All calls since the start or the last clearing, in order of arrival."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        with self._lock:
            self._calls.append(call)

    def clear(self) -> None:
        with self._lock:
            self._calls.clear()

    def to_json(self) -> list[dict[str, Any]]:
        with self._lock:
            return [vars(call).copy() for call in self._calls]
