"""Errors in the format of each service: JSON 1.1, S3's XML, the query protocol's XML, a registry's JSON."""

import json
import uuid
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from .calls import Call
from .settings import ACCOUNT

_JSON_SERVICES = {"sagemaker", "ecr", "logs"}

_EXPIRED = "The security token included in the request is expired"
_SKEWED = "Signature expired: 20150830T123600Z is now earlier than 20150830T130000Z (20150830T131500Z - 15 min.)"
_ERRORS: dict[str, dict[str, tuple[int, str, str]]] = {
    "json": {
        "throttle": (400, "ThrottlingException", "Rate exceeded"),
        "error-500": (500, "InternalFailure", "The request processing has failed because of an internal error"),
        "error-503": (503, "ServiceUnavailable", "The service is temporarily unavailable"),
        "expired-token": (400, "ExpiredTokenException", _EXPIRED),
        "access-denied": (400, "AccessDeniedException", ""),
        "clock-skew": (400, "InvalidSignatureException", _SKEWED),
    },
    "query": {
        "throttle": (400, "Throttling", "Rate exceeded"),
        "error-500": (500, "InternalFailure", "The request processing has failed because of an internal error"),
        "error-503": (503, "ServiceUnavailable", "The service is temporarily unavailable"),
        "expired-token": (403, "ExpiredToken", _EXPIRED),
        "access-denied": (403, "AccessDenied", ""),
        "clock-skew": (403, "SignatureDoesNotMatch", _SKEWED),
    },
    "s3": {
        "throttle": (503, "SlowDown", "Please reduce your request rate."),
        "error-500": (500, "InternalError", "We encountered an internal error. Please try again."),
        "error-503": (503, "ServiceUnavailable", "Please reduce your request rate."),
        "expired-token": (400, "ExpiredToken", "The provided token has expired."),
        "access-denied": (403, "AccessDenied", "Access Denied"),
        "clock-skew": (
            403,
            "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
        ),
        "bad-digest": (400, "BadDigest", "The checksum you specified did not match what we received."),
    },
    "registry": {
        "throttle": (429, "TOOMANYREQUESTS", "Rate exceeded"),
        "error-500": (500, "UNKNOWN", "unknown error"),
        "error-503": (503, "UNAVAILABLE", "service unavailable"),
        "expired-token": (403, "DENIED", "Your authorization token has expired. Reauthenticate and try again."),
        "access-denied": (403, "DENIED", ""),
        "clock-skew": (403, "DENIED", _SKEWED),
        "name-unknown": (404, "NAME_UNKNOWN", "The repository does not exist in the registry"),
    },
}
KINDS = frozenset(_ERRORS["json"])
"""The errors that every service can return."""


class ServiceError(Exception):
    """An error of a JSON service."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status

    def response(self) -> Response:
        return _json(self.status, self.code, self.message)


def response(call: Call, kind: str) -> Response:
    """The response of a service to this call with this kind of error."""
    status, code, message = _ERRORS[_dialect(call.service)][kind]
    message = message or (
        f"User: arn:aws:sts::{ACCOUNT}:user/moto is not authorized to perform: {call.service}:{call.operation}"
    )
    return refusal(call, status, code, message)


def refusal(call: Call, status: int, code: str, message: str) -> Response:
    """Any error for this call, in its service's format."""
    match _dialect(call.service):
        case "json":
            return _json(status, code, message)
        case "registry":
            return registry_error(status, code, message)
        case "s3":
            error = f"<Code>{code}</Code><Message>{escape(message)}</Message><Resource>{escape(call.path)}</Resource>"
            return _xml(status, f"<Error>{error}<RequestId>{uuid.uuid4()}</RequestId></Error>")
        case _:
            sender = "Sender" if status < 500 else "Receiver"
            error = f"<Error><Type>{sender}</Type><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
            return _xml(status, f"<ErrorResponse>{error}<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>")


def registry_error(status: int, code: str, message: str) -> Response:
    body = json.dumps({"errors": [{"code": code, "message": message}]})
    return Response(body, status, content_type="application/json")


def _dialect(service: str) -> str:
    if service in _JSON_SERVICES:
        return "json"
    return service if service in ("s3", "registry") else "query"


def _json(status: int, code: str, message: str) -> Response:
    body = json.dumps({"__type": code, "message": message})
    return Response(body, status, content_type="application/x-amz-json-1.1")


def _xml(status: int, body: str) -> Response:
    return Response(f'<?xml version="1.0" encoding="UTF-8"?>\n{body}', status, content_type="application/xml")
