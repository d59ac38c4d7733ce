"""What was asked of the rig, and the record of it that tests read."""

import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Call:
    """One request as a test would name it: `sagemaker` `DescribeTrainingJob`."""

    service: str
    operation: str
    method: str
    path: str
    body: Any = None
    """The request's parameters; kept for SageMaker only, whose requests are what tests look at."""
    time: float = field(default_factory=time.time)
    status: int | None = None
    """None while the answer is still being made."""
    fault: str | None = None


class CallLog:
    """Every call since the start or the last clearing, in the order of arrival."""

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
