"""Artifact Registry: repositories, and the operations that create them."""

import re
import urllib.parse
from typing import Any

from ..exchange import Request
from .errors import Refusal

_PATH = re.compile(r"/v1/projects/([^/]+)/locations/([^/]+)/(repositories|operations)(?:/([^/]+))?")


class Registry:
    scripted = ("repositories", "looks", "operation_error")

    def __init__(self) -> None:
        self.repositories: dict[str, str] = {}
        """Formats by full name."""
        self.looks = 2
        """How often an operation is polled before it is done."""
        self.operation_error: str | None = None
        self._operations: dict[str, dict[str, Any]] = {}

    def answer(self, request: Request) -> dict[str, Any]:
        match = _PATH.fullmatch(request.path)
        if match is None:
            raise Refusal(404, f"no such path {request.path}")
        project, location, kind, name = match.groups()
        parent = f"projects/{project}/locations/{location}"
        if kind == "operations":
            return self._look(f"{parent}/operations/{name}")
        if request.method == "GET":
            full = f"{parent}/repositories/{name}"
            if full not in self.repositories:
                raise Refusal(404, f'Requested entity was not found: "{full}"')
            return {"name": full, "format": self.repositories[full]}
        query = urllib.parse.parse_qs(request.query)
        full = f"{parent}/repositories/{query['repositoryId'][0]}"
        if full in self.repositories:
            raise Refusal(409, "the repository already exists")
        operation = {"name": f"{parent}/operations/{len(self._operations)}", "looks": self.looks}
        self._operations[operation["name"]] = operation | {"makes": full, "format": request.json["format"]}
        return {"name": operation["name"], "metadata": {}}

    def _look(self, name: str) -> dict[str, Any]:
        operation = self._operations[name]
        operation["looks"] -= 1
        if operation["looks"] > 0:
            return {"name": name}
        if self.operation_error is not None:
            return {"name": name, "done": True, "error": {"code": 7, "message": self.operation_error}}
        self.repositories[operation["makes"]] = operation["format"]
        return {"name": name, "done": True, "response": {"name": operation["makes"]}}
