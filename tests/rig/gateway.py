"""The layer in front of every service: identifies and logs each call, and applies faults."""

from collections.abc import Callable, Iterable
from typing import Any

from . import faults
from .calls import Call, CallLog
from .faults import FaultPlan
from .web import Environ


class Gateway:
    """WSGI middleware. The application finds the identified call under `rig.call` in its environment."""

    def __init__(self, app: Any, identify: Callable[[Environ], Call], calls: CallLog, plan: FaultPlan) -> None:
        self._app = app
        self._identify = identify
        self._calls = calls
        self._plan = plan

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        call = environ["rig.call"] = self._identify(environ)
        self._calls.add(call)

        def noting_status(status: str, *rest: Any) -> Any:
            call.status = int(status.split(" ", 1)[0])
            return start_response(status, *rest)

        fault = self._plan.take(call)
        if fault is None:
            return self._app(environ, noting_status)
        call.fault = fault.kind
        return faults.apply(fault, call, self._app, environ, noting_status)
