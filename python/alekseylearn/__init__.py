"""Train a script, notebook or function on cloud compute.

    import alekseylearn

    job = alekseylearn.fit("train.py", args=["--epochs", "10"]).wait()
    job.fetch("out")

`alekseylearn.aio` is the same for asyncio, and `%load_ext alekseylearn` adds `%%alekseylearn` to a notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import aio
from ._commands import Check
from ._errors import (
    AlekseylearnError,
    ConflictError,
    DeniedError,
    FailedError,
    InvalidError,
    JobFailedError,
    JobStoppedError,
    NotFoundError,
    PluginError,
    ProgramNotFoundError,
    QuotaError,
    RunInterruptedError,
    UnavailableError,
    UnheardError,
    UnsupportedError,
)
from ._events import (
    Cost,
    Finding,
    Listing,
    LogLine,
    Metric,
    Metrics,
    Phase,
    Record,
    Results,
    Status,
    Touched,
)
from ._job import Job, check, fit, jobs
from ._program import program
from ._remote import RemoteFunction, RemoteJob, remote

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__all__ = [
    "AlekseylearnError",
    "Check",
    "ConflictError",
    "Cost",
    "DeniedError",
    "FailedError",
    "Finding",
    "InvalidError",
    "Job",
    "JobFailedError",
    "JobStoppedError",
    "Listing",
    "LogLine",
    "Metric",
    "Metrics",
    "NotFoundError",
    "Phase",
    "PluginError",
    "ProgramNotFoundError",
    "QuotaError",
    "Record",
    "RemoteFunction",
    "RemoteJob",
    "Results",
    "RunInterruptedError",
    "Status",
    "Touched",
    "UnavailableError",
    "UnheardError",
    "UnsupportedError",
    "aio",
    "check",
    "fit",
    "jobs",
    "program",
    "remote",
]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register `%%alekseylearn` for `%load_ext alekseylearn`."""
    from ._magic import register

    register(shell)
