"""Identifies the service and operation of a request, by AWS's own models."""

import json
import re
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qs, parse_qsl

import botocore.session
from botocore.model import OperationModel

from .calls import Call
from .web import Environ, read_body

_TARGETS = {
    "SageMaker": "sagemaker",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "Logs_20140328": "logs",
    "ServiceQuotasV20190624": "service-quotas",
}
_CREDENTIAL_SERVICE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request")
_REGISTRY_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs/uploads|blobs|tags)/")
_REGISTRY_KINDS = {"manifests": "Manifest", "blobs/uploads": "BlobUpload", "blobs": "Blob", "tags": "Tags"}


def aws_call(environ: Environ) -> Call:
    """Identify a request to the AWS endpoint. S3 bodies are not read, because they may be large."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    prefix, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
    if operation:
        service = _TARGETS.get(prefix, prefix)
        body = read_body(environ)
        return Call(service, operation, method, path, _json(body) if service == "sagemaker" else None)
    signed_for = _CREDENTIAL_SERVICE.search(environ.get("HTTP_AUTHORIZATION", ""))
    service = signed_for[1] if signed_for else "s3"
    if service == "s3":
        return Call("s3", _s3_operation(environ), method, path)
    form = parse_qs(read_body(environ).decode(errors="replace") or environ["QUERY_STRING"])
    return Call(service, form.get("Action", [""])[0], method, path)


def registry_call(environ: Environ) -> Call:
    """Identify a request to the image registry by verb and object: `PutManifest`, `HeadBlob`."""
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    match = _REGISTRY_PATH.match(path)
    kind = _REGISTRY_KINDS[match["kind"]] if match else "Base"
    return Call("registry", method.capitalize() + kind, method, path)


def registry_repository(path: str) -> str | None:
    """The repository in a registry's path, if any."""
    match = _REGISTRY_PATH.match(path)
    return match["name"] if match else None


def _json(body: bytes) -> object:
    try:
        return json.loads(body or b"{}")
    except ValueError:
        return None


@dataclass(frozen=True)
class _Route:
    """How S3's model identifies an operation."""

    operation: str
    method: str
    path: re.Pattern[str]
    literals: frozenset[tuple[str, str]]
    parameters: frozenset[str]
    headers: frozenset[str]

    @classmethod
    def of(cls, model: OperationModel) -> "_Route":
        path, _, query = model.http["requestUri"].partition("?")
        pattern = re.sub(r"\{\w+\+\}", ".+", path)
        pattern = re.sub(r"\{\w+\}", "[^/]+", pattern)
        required = [model.input_shape.members[name].serialization for name in _required(model)]
        return cls(
            model.name,
            model.http["method"],
            re.compile(pattern),
            frozenset(parse_qsl(query, keep_blank_values=True)),
            frozenset(place["name"] for place in required if place.get("location") == "querystring"),
            frozenset(place["name"].lower() for place in required if place.get("location") == "header"),
        )

    def fits(self, method: str, path: str, query: dict[str, str], headers: set[str]) -> bool:
        return (
            method == self.method
            and self.path.fullmatch(path) is not None
            and self.literals <= query.items()
            and self.parameters <= query.keys()
            and self.headers <= headers
        )

    @property
    def precision(self) -> int:
        return len(self.literals) + len(self.parameters) + len(self.headers)


def _required(model: OperationModel) -> list[str]:
    return model.input_shape.required_members if model.input_shape else []


@cache
def _s3_routes() -> list[_Route]:
    service = botocore.session.get_session().get_service_model("s3")
    routes = [_Route.of(service.operation_model(name)) for name in sorted(service.operation_names)]
    return sorted(routes, key=lambda route: -route.precision)


def _s3_operation(environ: Environ) -> str:
    path = environ["PATH_INFO"]
    if path.count("/") == 2:
        path = path.removesuffix("/")
    query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    headers = {name[5:].lower().replace("_", "-") for name in environ if name.startswith("HTTP_")}
    for route in _s3_routes():
        if route.fits(environ["REQUEST_METHOD"], path, query, headers):
            return route.operation
    return ""
