"""What can go wrong, by the kind that the program gives it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar


class AlekseylearnError(Exception):
    """Something failed; its subclasses say of which kind it is.

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
    """Something failed that no other kind describes."""

    kind = "failed"


class InvalidError(AlekseylearnError, ValueError):
    """An argument, an option or a file is wrong."""

    kind = "invalid"


class DeniedError(AlekseylearnError):
    """Credentials, a role or a grant do not suffice."""

    kind = "denied"


class NotFoundError(AlekseylearnError):
    """What was named does not exist."""

    kind = "not-found"


class ConflictError(AlekseylearnError):
    """It exists already, or its state forbids this."""

    kind = "conflict"


class QuotaError(AlekseylearnError):
    """A limit of the service or the account was reached."""

    kind = "quota"


class UnavailableError(AlekseylearnError):
    """Docker or the service cannot be reached, or has no capacity."""

    kind = "unavailable"


class UnsupportedError(AlekseylearnError):
    """The service or driver cannot do this."""

    kind = "unsupported"


class PluginError(AlekseylearnError):
    """A plugin is broken, or broke its limits."""

    kind = "plugin"


class JobFailedError(AlekseylearnError):
    """The training failed."""

    kind = "job-failed"


class JobStoppedError(AlekseylearnError):
    """The training was stopped."""

    kind = "job-stopped"


class RunInterruptedError(AlekseylearnError):
    """The program was interrupted before anything was submitted, by another than this Python."""

    kind = "interrupted"


class UnheardError(AlekseylearnError):
    """Nobody read the program's output any more."""

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
    """Make an exception of the program's `error` event; of a kind that is not known here, the common one."""
    error = BY_KIND.get(event["kind"], AlekseylearnError)
    return error(
        event["message"],
        hint=event.get("hint"),
        details=event.get("details"),
        exit_code=event.get("exit_code"),
    )
