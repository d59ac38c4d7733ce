"""The part of botocore's service model for CreateTrainingJob's request, for the sagemaker driver.

`PYTHONPATH=tests python -m rig.model > plugins/sagemaker/src/model.json` regenerates it after an update of botocore.
"""

import json
from typing import Any

import botocore.session

_OPERATION = "CreateTrainingJob"
_LIMITS = ("min", "max", "pattern", "enum", "required")


def extract() -> dict[str, Any]:
    """Every shape that the request reaches, by name: its type, its limits, and the shapes of its parts."""
    shapes = botocore.session.Session().get_service_model("sagemaker")
    pending = [shapes.operation_model(_OPERATION).input_shape.name]
    found: dict[str, Any] = {}
    while pending:
        name = pending.pop()
        if name in found:
            continue
        shape = shapes._shape_resolver._shape_map[name]
        found[name] = {"type": shape["type"]} | {key: shape[key] for key in _LIMITS if shape.get(key) not in (None, [])}
        parts = {key: shape[key]["shape"] for key in ("member", "key", "value") if key in shape}
        members = {member: part["shape"] for member, part in shape.get("members", {}).items()}
        if members:
            found[name]["members"] = members
        found[name] |= parts
        pending += [*parts.values(), *members.values()]
    return dict(sorted(found.items()))


def text() -> str:
    """The model as in the driver's file: one shape per line."""
    lines = [f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in extract().items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(text(), end="")
