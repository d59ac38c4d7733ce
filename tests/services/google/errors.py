"""Errors in Google's format."""

from typing import Any

from ..exchange import Answer

_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ALREADY_EXISTS",
    429: "RESOURCE_EXHAUSTED",
}


class Refusal(Exception):
    def __init__(self, code: int, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details or []

    def answer(self) -> Answer:
        error = {"code": self.code, "message": self.message, "status": _STATUSES.get(self.code, "UNKNOWN")}
        return Answer.of({"error": error | ({"details": self.details} if self.details else {})}, self.code)


def disabled(service: str, project: str) -> Refusal:
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "SERVICE_DISABLED",
        "domain": "googleapis.com",
        "metadata": {"service": service, "consumer": f"projects/{project}"},
    }
    return Refusal(403, f"{service} has not been used in project {project} before or it is disabled.", [detail])
