"""The package in a notebook that papermill runs."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import papermill
import pytest
from alekseylearn._events import Metric
from alekseylearn._magic import _needs
from alekseylearn._view import _as_html
from conftest import TRAIN, Write

FIRST = "%load_ext alekseylearn\nimport math\nimport alekseylearn"
TRAINED = [FIRST, "job = alekseylearn.fit('train.py', config=CONFIG)", "job.wait()\njob.metrics"]
SENT = [
    FIRST,
    "numbers = [1, 2, 3]\n\ndef scaled(number):\n    return number * math.pi",
    "%%alekseylearn -c base_image=BASE --output total,where\n"
    "import platform\n"
    "total = sum(scaled(number) for number in numbers)\n"
    "where = platform.node()\n"
    "print(f'accuracy={total}')",
    "assert total == 6 * math.pi and where != __import__('platform').node()\ntotal",
]


def notebook(cells: list[str], config: dict[str, Any]) -> str:
    def cell(number: int, source: str) -> dict[str, Any]:
        source = source.replace("CONFIG", repr(config)).replace("BASE", config["base_image"])
        empty: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        return {**empty, "id": f"cell-{number}", "source": source}

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    written = [cell(number, source) for number, source in enumerate(cells)]
    return json.dumps({"cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5})


def run(path: Path) -> list[str]:
    """The texts of each cell's outputs, in HTML if there is any."""
    executed = papermill.execute_notebook(str(path), None, progress_bar=False, cwd=str(path.parent))

    def text(output: Any) -> str:
        data = output.get("data", {})
        return str(data.get("text/html") or data.get("text/plain") or output.get("text", ""))

    return ["\n".join(text(output) for output in cell.outputs) for cell in executed.cells]


def test_a_notebook_shows_how_a_job_goes(write: Write, config: dict[str, Any]) -> None:
    write("train.py", TRAIN)
    shown = run(write("explore.ipynb", notebook(TRAINED, config)))
    assert "submitted to local" in shown[1]
    assert "completed" in shown[2] and "<td>loss</td>" in shown[2] and "<svg" in shown[2], shown[2]
    assert "loss=0.3333" in shown[2]


def test_a_cell_runs_as_a_job_and_its_variables_are_copied_back(write: Write, config: dict[str, Any]) -> None:
    path = write("explore.ipynb", notebook(SENT, config))
    if sys.version_info[:2] != (3, 11):
        with pytest.raises(papermill.PapermillExecutionError, match=r"the base image has Python 3\.11"):
            run(path)
        return
    shown = run(path)
    assert "accuracy=18.8" in shown[2] and "notebook-cell-" in shown[2], shown[2]
    assert "18.8" in shown[3]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("%%alekseylearn\n!ls", "magic or a shell command"),
        ("%%alekseylearn --no-such-option\npass", "no-such-option"),
        ("%%alekseylearn --output 1x\npass", "does not name variables"),
        ("import threading; lock = threading.Lock()\n", None),
        ("%%alekseylearn\nlock.acquire()", "cannot pickle the variable lock"),
    ],
)
def test_a_cell_that_cannot_be_sent_says_why(
    source: str, why: str | None, write: Write, config: dict[str, Any]
) -> None:
    first = "%load_ext alekseylearn\nimport threading; lock = threading.Lock()"
    path = write("explore.ipynb", notebook([first, source], config))
    if why is None:
        run(path)
        return
    with pytest.raises(papermill.PapermillExecutionError, match=why):
        run(path)


def test_a_cell_needs_what_it_reads_and_does_not_define() -> None:
    namespace = dict.fromkeys(["used", "imported", "defined", "assigned", "inner", "unused", "print"], 0)
    code = ast.parse(
        "import imported\ndef defined(): return inner\nassigned = 1\nprint(used + imported + defined() + missing)\n"
    )
    assert sorted(_needs(code, namespace)) == ["inner", "used"]


def test_what_the_training_wrote_is_no_markup() -> None:
    metric = Metric("<b>", 1, None, None, 0.0, 0.0)
    assert "<b>" not in _as_html(["<b>"], [metric], ["<b>"])
