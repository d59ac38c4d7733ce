"""Hyperparameters as values, and as the script's command line."""

import json
from typing import Any, Dict, List


def decode(text: Any) -> Any:
    """Return a hyperparameter's value. It arrives as a string, which is decoded if it is JSON."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def script_arguments(texts: Dict[str, Any], as_written: bool) -> List[str]:
    """Return `--key value` pairs in the order of the keys, `-k value` for one letter.

    If the arguments are as written, only JSON strings are decoded.
    """
    arguments = []
    for key in sorted(texts):
        value = decode(texts[key])
        if as_written and not isinstance(value, str):
            value = texts[key]
        arguments.append(("--" if len(key) > 1 else "-") + key)
        arguments.append(_argument_value(value))
    return arguments


def _argument_value(value: Any) -> str:
    """Format a value as SageMaker's toolkit does: as Python prints it.

    `true` becomes `True`, null an empty string, and an object `a=1,b=2`.
    """
    if value is None:
        return ""
    if isinstance(value, dict):
        return ",".join("{}={}".format(key, value[key]) for key in sorted(value))
    return str(value)
