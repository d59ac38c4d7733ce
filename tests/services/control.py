"""The proxy's own paths for tests."""

from typing import Any

from .exchange import Answer, Record, Request
from .faults import Faults


class Control:
    def __init__(self, services: dict[str, Any], record: Record, faults: Faults) -> None:
        self._services, self._record, self._faults = services, record, faults

    def answer(self, request: Request) -> Answer:
        try:
            match request.method, request.path.strip("/").split("/"):
                case "GET", ["asked"]:
                    return Answer.of(self._record.to_json())
                case "DELETE", ["faults"]:
                    self._faults.clear()
                    return Answer.of({})
                case "POST", ["faults"]:
                    self._faults.add(request.json)
                    return Answer.of({})
                case "POST", ["script", name]:
                    self._services[name].script(request.json)
                    return Answer.of({})
                case "GET", ["state", name]:
                    return Answer.of(self._services[name].state())
        except (ValueError, KeyError, TypeError) as error:
            return Answer.of({"error": repr(error)}, 400)
        return Answer.of({"error": f"no such control: {request.method} {request.path}"}, 404)
