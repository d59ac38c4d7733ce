"""Hyperparameters as values, and as the script's command line."""

import json
from typing import Any, Dict, List


def decode(text: Any) -> Any:
    """Give a hyperparameter's value: it arrives as a string, JSON where it can be, else as it stands."""
    try:
        return json.loads(text)
    except (TypeError, ValueError):
        return text


def script_arguments(texts: Dict[str, Any], as_written: bool) -> List[str]:
    """Give `--key value` pairs in the order of the keys, `-k value` for one letter.

    As it is written, only a JSON string stands for something else: the text in it.
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
    """Write a value as SageMaker's toolkit does: as Python prints it.

    So `true` becomes `True`, null an empty string, and an object `a=1,b=2`.
    """
    if value is None:
        return ""
    if isinstance(value, dict):
        return ",".join("{}={}".format(key, value[key]) for key in sorted(value))
    return str(value)
