"""The constants of the rig, and the few settings that a test may change."""

from dataclasses import dataclass, fields
from typing import Any

HOST = "127.0.0.1"
ACCOUNT = "123456789012"
REGION = "us-east-1"
FOREIGN_REGION = "eu-west-1"

ACCESS_KEY = "AKIAALEKSEYLEARNRIG0"
SECRET_KEY = "rig-secret-that-opens-nothing"

ROLE = "alekseylearn-training"
UNTRUSTED_ROLE = "alekseylearn-untrusted"
BUCKET = "alekseylearn-test"
FOREIGN_BUCKET = "alekseylearn-elsewhere"


@dataclass
class Settings:
    """Changed by `POST /_rig/settings`, reset by `POST /_rig/reset`."""

    stop_grace_seconds: float = 120.0
    """The time between SIGTERM and SIGKILL for a stopped job. The service gives 120 s."""
    may_pass_role: float = 1.0
    """The decision of SimulatePrincipalPolicy on iam:PassRole: 0 denies it."""

    training_quota: float = 20.0
    """The quota in Service Quotas for each instance type in training jobs."""
    spot_quota: float = 4.0
    """The same on spot capacity."""

    def update(self, changes: dict[str, Any]) -> None:
        """Apply the changes, or raise ValueError and apply none."""
        known = {field.name for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"unknown setting {name!r}; known: {', '.join(sorted(known))}")
            if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
                raise ValueError(f"setting {name!r} wants a number of at least 0, not {value!r}")
        for name, value in changes.items():
            setattr(self, name, float(value))

    def reset(self) -> None:
        for field in fields(self):
            setattr(self, field.name, field.default)
