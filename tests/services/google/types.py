"""`python -m services.google.types < REQUESTS`: checks recorded requests by Google's own API descriptions.

These are the discovery documents in google-api-python-client. Each request must be one of their methods, with only
known parameters, and a body with only known members of the right types. If a Google client has a message type for the
body, it must be valid for that too. Prints one line per problem, and then the number of checked requests and messages.
"""

import json
import re
import sys
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import googleapiclient

from . import messages

_DOCUMENTS = Path(googleapiclient.__file__).parent / "discovery_cache" / "documents"
_APIS = {
    "aiplatform.googleapis.com": "aiplatform.v1",
    "artifactregistry.googleapis.com": "artifactregistry.v1",
    "logging.googleapis.com": "logging.v2",
    "storage.googleapis.com": "storage.v1",
}
_TYPES: dict[str, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list}
_FORMATS = {
    "int64": r"-?\d+",
    "google-duration": r"\d+(\.\d+)?s",
    "google-datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z",
}
_WITHOUT_MESSAGES = "storage.v1"
"""An API without message types."""


class Api:
    def __init__(self, name: str) -> None:
        self._document = json.loads((_DOCUMENTS / f"{name}.json").read_text())
        self._schemas = self._document["schemas"]
        self._has_messages = name != _WITHOUT_MESSAGES
        self.messages = 0
        """The number of bodies that were checked by a message type."""

    def _methods(self, resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
        yield from resource.get("methods", {}).values()
        for inner in resource.get("resources", {}).values():
            yield from self._methods(inner)

    def _find(self, verb: str, path: str) -> dict[str, Any] | None:
        for method in self._methods(self._document):
            if method["httpMethod"] != verb:
                continue
            known = [self._document["servicePath"] + method.get("flatPath", method["path"])]
            if method.get("supportsMediaDownload"):
                known.append("download/" + known[0])
            for pattern in known:
                parts = re.split(r"\{[^}]*\}", pattern)
                if re.fullmatch("[^/]+".join(map(re.escape, parts)), path.lstrip("/")):
                    return method
        return None

    def problems(self, request: dict[str, Any]) -> Iterator[str]:
        place = f"{request['method']} {request['host']}{request['path']}"
        method = self._find(request["method"], request["path"])
        if method is None:
            yield f"{place}: there is no such method"
            return
        known = method.get("parameters", {}) | self._document["parameters"]
        for name in urllib.parse.parse_qs(request["query"]):
            if name not in known:
                yield f"{place}: no parameter {name}"
        if "request" in method:
            schema = method["request"]["$ref"]
            for problem in self._wrong(request["body"], {"$ref": schema}, "body"):
                yield f"{place}: {problem}"
            if self._has_messages:
                self.messages += 1
                if (problem := messages.problem(schema, request["body"])) is not None:
                    yield f"{place}: {problem}"
        elif request["length"]:
            yield f"{place}: it takes no body"

    def _wrong(self, value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
        if "$ref" in schema:
            schema = self._schemas[schema["$ref"]]
        if schema.get("type") == "object":
            if not isinstance(value, dict):
                yield f"{place} is no object"
                return
            for name, inner in value.items():
                wanted = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
                if wanted is None:
                    yield f"{place}: no member {name}"
                else:
                    yield from self._wrong(inner, wanted, f"{place}.{name}")
            return
        kind = _TYPES[schema["type"]]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            yield f"{place} is no {schema['type']}: {value!r}"
        elif kind is list:
            for index, item in enumerate(value):
                yield from self._wrong(item, schema["items"], f"{place}[{index}]")
        elif "enum" in schema and value not in schema["enum"]:
            yield f"{place}: {value!r} is not known"
        elif kind is str and not re.fullmatch(_FORMATS.get(schema.get("format", ""), r"(?s:.*)"), value):
            yield f"{place} is no {schema['format']}: {value!r}"


def main() -> None:
    apis: dict[str, Api] = {}
    looked_at = 0
    for request in json.load(sys.stdin):
        host = re.sub(r"^[a-z]+-[a-z]+\d+-(?=aiplatform)", "", request["host"])
        # Uploads are described only in prose.
        if host in _APIS and not request["path"].startswith("/upload/"):
            looked_at += 1
            api = apis.setdefault(host, Api(_APIS[host]))
            for problem in api.problems(request):
                print(problem)
    print(f"{looked_at} requests, {sum(api.messages for api in apis.values())} messages")


if __name__ == "__main__":
    main()
