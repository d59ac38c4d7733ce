"""Exceptions, one for each kind of error of the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AlekseylearnError(Exception):
    """The base class of all errors of the program.

    `message` is the program's sentence, `hint` what to do about it, `details` further lines such as the end of a log,
    and `exit_code` the program's own. The last three are `None` if there are none.
    """

    kind: ClassVar[str] = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        details: str | None = None,
        exit_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details
        self.exit_code = exit_code

    def __str__(self) -> str:
        hint = f"hint: {self.hint}" if self.hint else None
        return "\n".join(part for part in (self.message, self.details, hint) if part)


class FailedError(AlekseylearnError):
    """An error without a more specific kind."""

    kind = "failed"


class InvalidError(AlekseylearnError, ValueError):
    """An argument, an option or a file is invalid."""

    kind = "invalid"


class DeniedError(AlekseylearnError):
    """Credentials, a role or a grant are missing or insufficient."""

    kind = "denied"


class NotFoundError(AlekseylearnError):
    """A job, file or other resource does not exist."""

    kind = "not-found"


class ConflictError(AlekseylearnError):
    """Something already exists, or is in a state that does not allow the operation."""

    kind = "conflict"


class QuotaError(AlekseylearnError):
    """A limit of the service or the account was reached."""

    kind = "quota"


class UnavailableError(AlekseylearnError):
    """Docker or the service is unreachable, or has no capacity."""

    kind = "unavailable"


class UnsupportedError(AlekseylearnError):
    """The service or driver does not support the operation."""

    kind = "unsupported"


class PluginError(AlekseylearnError):
    """A plugin failed, or exceeded its limits."""

    kind = "plugin"


class JobFailedError(AlekseylearnError):
    """The training failed."""

    kind = "job-failed"


class JobStoppedError(AlekseylearnError):
    """The training was stopped."""

    kind = "job-stopped"


class RunInterruptedError(AlekseylearnError):
    """The program was interrupted by another process before it submitted anything."""

    kind = "interrupted"


class UnheardError(AlekseylearnError):
    """The program's output was closed."""

    kind = "unheard"


class ProgramNotFoundError(AlekseylearnError):
    """The program alekseylearn cannot be found or started."""


BY_KIND: dict[str, type[AlekseylearnError]] = {
    error.kind: error
    for error in (
        FailedError,
        InvalidError,
        DeniedError,
        NotFoundError,
        ConflictError,
        QuotaError,
        UnavailableError,
        UnsupportedError,
        PluginError,
        JobFailedError,
        JobStoppedError,
        RunInterruptedError,
        UnheardError,
    )
}


def error_of(event: Mapping[str, Any]) -> AlekseylearnError:
    """Convert the program's `error` event to an exception; an unknown kind becomes the base class."""
    error = BY_KIND.get(event["kind"], AlekseylearnError)
    return error(
        event["message"],
        hint=event.get("hint"),
        details=event.get("details"),
        exit_code=event.get("exit_code"),
    )
