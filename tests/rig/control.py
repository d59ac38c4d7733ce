"""The seams of the rig itself: `/_rig/faults`, `/_rig/calls`, `/_rig/settings`,
`/_rig/objects/BUCKET/KEY`, `/_rig/reset`."""

import io
import json
from collections.abc import Callable, Iterable
from typing import Any

from werkzeug.wrappers import Response

from .calls import CallLog
from .faults import Fault, FaultPlan
from .settings import Settings
from .storage import Location, Storage
from .web import Environ, json_response, read_body

PREFIX = "/_rig/"


class Control:
    """A WSGI application. Its calls are not logged and have no faults."""

    def __init__(
        self,
        plan: FaultPlan,
        calls: CallLog,
        settings: Settings,
        storage: Storage,
        stop_jobs: Callable[[], None],
    ) -> None:
        self._plan, self._calls, self._settings, self._storage = plan, calls, settings, storage
        self._stop_jobs = stop_jobs

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        try:
            response = self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ)
        except (ValueError, TypeError) as error:
            response = json_response({"error": str(error)}, 400)
        return response(environ, start_response)

    def _answer(self, method: str, path: str, environ: Environ) -> Response:
        match method, path.removeprefix(PREFIX):
            case "POST", "faults":
                return json_response({"id": self._plan.add(Fault.from_json(_body(environ)))})
            case "DELETE", "faults":
                self._plan.clear()
            case "GET", "calls":
                return json_response(self._calls.to_json())
            case "DELETE", "calls":
                self._calls.clear()
            case "GET", "settings":
                return json_response(vars(self._settings))
            case "POST", "settings":
                self._settings.update(_body(environ))
                return json_response(vars(self._settings))
            case "PUT", key if key.startswith("objects/"):
                place = Location.parse(f"s3://{key.removeprefix('objects/')}")
                self._storage.upload(place, io.BytesIO(read_body(environ)))
            case "POST", "reset":
                self._reset()
            case _:
                return json_response({"error": f"no such seam: {method} {path}"}, 404)
        return json_response({})

    def _reset(self) -> None:
        self._plan.clear()
        self._settings.reset()
        self._stop_jobs()
        self._calls.clear()


def _body(environ: Environ) -> dict[str, Any]:
    value = json.loads(read_body(environ))
    if not isinstance(value, dict):
        raise ValueError("expected a JSON object")
    return value
