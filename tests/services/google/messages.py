"""The message types of Google's clients, which refuse unknown members."""

import importlib
import importlib.util
import sys
from typing import Any

from google.protobuf import json_format

_TYPES = {
    "GoogleCloudAiplatformV1CustomJob": "aiplatform_v1.types.custom_job.CustomJob",
    "GoogleCloudAiplatformV1CancelCustomJobRequest": "aiplatform_v1.types.job_service.CancelCustomJobRequest",
    "Repository": "artifactregistry_v1.types.repository.Repository",
    "ListLogEntriesRequest": "logging_v2.types.logging.ListLogEntriesRequest",
}
"""The message types of our requests, by schema in the discovery documents."""


def problem(schema: str, body: Any) -> str | None:
    """Return why a body is not a valid message of a schema, or None if it is."""
    if schema not in _TYPES:
        return f"no type of message is known for {schema}"
    module, _, name = f"google.cloud.{_TYPES[schema]}".rpartition(".")
    try:
        json_format.ParseDict(body, getattr(_load(module), name).pb()(), ignore_unknown_fields=False)
    except json_format.ParseError as error:
        return str(error).partition("\n")[0].strip()
    return None


def _load(module: str) -> Any:
    """Import a module of types without its packages, which would import clients and gRPC."""
    parents = module.split(".")
    for length in (3, 4):
        package = ".".join(parents[:length])
        if package not in sys.modules:
            spec = importlib.util.find_spec(package)
            assert spec is not None, f"there is no {package}"
            sys.modules[package] = importlib.util.module_from_spec(spec)
    return importlib.import_module(module)
