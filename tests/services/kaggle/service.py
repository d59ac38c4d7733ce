"""Kaggle's API, its storage for uploads and its storage for outputs."""

import json
import threading
from typing import Any

from ..exchange import Answer, Request
from .accounts import Accounts
from .datasets import Datasets
from .kernels import Kernels

API = "api.kaggle.com"
UPLOADS = "www.googleapis.com"
OUTPUTS = "www.kaggleusercontent.com"


class Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Kaggle:
    hosts = (API, UPLOADS, OUTPUTS)

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._accounts, self._datasets = Accounts(), Datasets()
        self._kernels = Kernels(self._datasets)

    def script(self, changes: dict[str, Any]) -> None:
        with self._lock:
            for name, value in changes.items():
                for part in (self._accounts, self._datasets, self._kernels):
                    if name in part.scripted:
                        setattr(part, name, value)
                        break
                else:
                    raise ValueError(f"nothing of Kaggle is called {name}")

    def state(self) -> dict[str, Any]:
        with self._lock:
            return {"kernels": self._kernels.state(), "datasets": self._datasets.state()}

    def answer(self, request: Request) -> Answer:
        if request.host == UPLOADS:
            return self._datasets.receive(request)
        if request.host == OUTPUTS:
            # Signed URLs are requested without a credential.
            if "authorization" in request.headers:
                return Answer(400, b"only one credential is allowed")
            return self._kernels.give(request)
        method = request.path.removeprefix("/v1/")
        if answer := self._accounts.answer(method, request):
            return answer
        user = self._accounts.user(request.headers.get("authorization", ""))
        if user is None:
            return _error(401, "Unauthenticated")
        if method.startswith("kernels/logs/stream/"):
            return self._kernels.stream(user, request)
        if not isinstance(request.json, dict):
            return _error(400, "the body is no JSON object")
        with self._lock:
            for part in (self._kernels, self._datasets):
                call = part.calls.get(method)
                if call is not None:
                    try:
                        return Answer.of(call(user, request.json))
                    except KeyError:
                        return _error(404, "Not found")
                    except PermissionError:
                        return _error(403, "Permission 'kernels.get' was denied")
                    except ValueError as error:
                        return _error(400, str(error))
        return _error(404, f"no method {method}")


def _error(status: int, message: str) -> Answer:
    return Answer(status, json.dumps({"code": status, "message": message}).encode(), {"Content-Type": "application/json"})
