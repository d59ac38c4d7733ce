"""Checks a request against botocore's own model of the service.

botocore itself checks only types, required members and lower bounds; the service also enforces
upper bounds, enumerations and patterns, and says so in one message that lists every violation.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import regex
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

from ..errors import ServiceError


@cache
def service_model() -> ServiceModel:
    return botocore.session.get_session().get_service_model("sagemaker")


def validate(operation: str, request: Any) -> dict[str, Any]:
    """Return the request, or raise the ValidationException that the service would return."""
    if not isinstance(request, dict):
        raise ServiceError("SerializationException", "Start of structure or map found where not expected")
    violations = list(_structure(service_model().operation_model(operation).input_shape, request, ""))
    if violations:
        plural = "s" if len(violations) > 1 else ""
        raise ServiceError(
            "ValidationException",
            f"{len(violations)} validation error{plural} detected: {'; '.join(violations)}",
        )
    return request


def _violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    match shape.type_name:
        case "structure":
            _expect(value, dict, path)
            yield from _structure(shape, value, path)
        case "list":
            _expect(value, list, path)
            yield from _list(shape, value, path)
        case "map":
            _expect(value, dict, path)
            yield from _map(shape, value, path)
        case "string":
            _expect(value, str, path)
            yield from _string(shape, value, path)
        case "integer" | "long":
            _expect(value, int, path)
            yield from _bounds(shape, value, value, "value", path)
        case "boolean":
            _expect(value, bool, path)
        case "double" | "float" | "timestamp":
            _expect(value, (int, float), path)


def _structure(shape: StructureShape, value: dict[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield _failed(None, _join(path, _camel(name)), "Member must not be null")
    for name, member in value.items():
        if name not in shape.members:
            yield _failed(member, _join(path, _camel(name)), "Member is not known to the service")
        elif member is not None:
            yield from _violations(shape.members[name], member, _join(path, _camel(name)))


def _list(shape: ListShape, value: list[Any], path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), value, "length", path)
    for number, member in enumerate(value, 1):
        yield from _violations(shape.member, member, f"{path}.{number}.member")


def _map(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), value, "length", path)
    for key, member in value.items():
        yield from _violations(shape.key, key, f"{path}.key")
        yield from _violations(shape.value, member, f"{path}.{key}.member")


def _string(shape: Shape, value: str, path: str) -> Iterator[str]:
    yield from _bounds(shape, len(value), value, "length", path)
    allowed = shape.metadata.get("enum")
    if allowed and value not in allowed:
        yield _failed(value, path, f"Member must satisfy enum value set: [{', '.join(allowed)}]")
    pattern = shape.metadata.get("pattern")
    if pattern and not regex.fullmatch(pattern, value):
        yield _failed(value, path, f"Member must satisfy regular expression pattern: {pattern}")


def _bounds(shape: Shape, measured: int, value: Any, what: str, path: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and measured < least:
        yield _failed(value, path, f"Member must have {what} greater than or equal to {least}")
    if most is not None and measured > most:
        yield _failed(value, path, f"Member must have {what} less than or equal to {most}")


def _expect(value: Any, kind: type | tuple[type, ...], path: str) -> None:
    """Refuse a wrong type. That is not a violated constraint: the service cannot even parse the request."""
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ServiceError("SerializationException", f"Unexpected {type(value).__name__} at '{path}'")


def _failed(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _camel(name: str) -> str:
    return name[:1].lower() + name[1:]
