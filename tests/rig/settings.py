"""What is fixed about the rig's world, and the few things a test may turn."""

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
    """Turned by `POST /_rig/settings`, put back by `POST /_rig/reset`."""

    stop_grace_seconds: float = 120.0
    """How long a stopped job may take after SIGTERM before SIGKILL; the service gives 120 s."""
    may_pass_role: float = 1.0
    """What SimulatePrincipalPolicy says of iam:PassRole: 0 is no."""

    training_quota: float = 20.0
    """How many instances of each type may train at once, by Service Quotas."""
    spot_quota: float = 4.0
    """The same on spot capacity."""

    def update(self, changes: dict[str, Any]) -> None:
        """Take the changes, or raise ValueError and take none of them."""
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
