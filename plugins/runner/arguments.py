"""Hyperparameters as the script's command line, by SageMaker's convention."""

from typing import Any, Dict, List


def script_arguments(hyperparameters: Dict[str, Any]) -> List[str]:
    """Give `--key value` pairs in the order of the keys, `-k value` for one letter."""
    arguments = []
    for key in sorted(hyperparameters):
        arguments.append(("--" if len(key) > 1 else "-") + key)
        arguments.append(_argument_value(hyperparameters[key]))
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
