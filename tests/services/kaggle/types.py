"""`python -m services.kaggle.types < REQUESTS`: checks recorded requests by the types of Kaggle's own SDK.

Each request may have only known members of the right types, and must come out of the SDK unchanged. Prints one line per
problem, and then the number of checked requests.
"""

import importlib
import json
import sys
from typing import Any

_MODULES = (
    "kagglesdk.kernels.types.kernels_api_service",
    "kagglesdk.datasets.types.dataset_api_service",
    "kagglesdk.blobs.types.blob_api_service",
    "kagglesdk.security.types.oauth_service",
    "kagglesdk.users.types.account_service",
)


def _class(method: str) -> Any:
    for module in map(importlib.import_module, _MODULES):
        for name in (f"Api{method}Request", f"{method}Request"):
            if hasattr(module, name):
                return getattr(module, name)
    return None


def problems(method: str, body: dict[str, Any]) -> list[str]:
    kind = _class(method)
    if kind is None:
        return [f"{method}: the SDK has no such request"]
    fields = {field.json_name: field for field in kind._fields}
    found = [f"{method}: no member {name}" for name in body if name not in fields]
    if found:
        return found
    try:
        back = kind.to_dict(kind.from_dict(body))
    except Exception as error:  # noqa: BLE001: any error means that the body is not valid
        return [f"{method}: {error!r}"]
    # The SDK omits empty members.
    sent = {name: value for name, value in body.items() if value not in ("", [], 0) or name in back}
    return [] if back == sent else [f"{method}: {sent} comes out as {back}"]


def main() -> None:
    looked_at = 0
    for request in json.load(sys.stdin):
        if request["host"] == "api.kaggle.com" and request["method"] == "POST":
            looked_at += 1
            for problem in problems(request["path"].rpartition("/")[2], request["body"]):
                print(problem)
    print(looked_at)


if __name__ == "__main__":
    main()
