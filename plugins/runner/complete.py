"""Fixes notebooks that other tools wrote incompletely, so that papermill accepts them."""

import json
from typing import Any


def complete(text: str) -> str:
    """Return a notebook's text with everything that its format requires.

    Older formats are unchanged: nbformat upgrades them.
    """
    book = json.loads(text)
    if not isinstance(book, dict) or book.get("nbformat") != 4:
        return text
    book.setdefault("nbformat_minor", 4)
    metadata = _object(book, "metadata")
    language = metadata.get("language_info")
    if isinstance(language, dict) and isinstance(language.get("version"), (int, float)):
        language["version"] = str(language["version"])
    for cell in book.get("cells", []):
        _object(cell, "metadata")
        if cell.get("cell_type") == "code":
            cell.setdefault("execution_count", None)
            if not isinstance(cell.get("outputs"), list):
                cell["outputs"] = []
    return json.dumps(book, ensure_ascii=False)


def _object(parent: Any, key: str) -> Any:
    """Return a member that is an object. Anything else is replaced by an empty object."""
    if not isinstance(parent.get(key), dict):
        parent[key] = {}
    return parent[key]
