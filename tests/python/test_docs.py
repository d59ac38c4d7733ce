"""Every example of docs/how-to/python.md does what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import papermill
import pytest
from conftest import REPOSITORY, TRAIN, Write
from test_notebook import notebook

PAGE = (REPOSITORY / "docs" / "how-to" / "python.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$(?:\n\n((?:    [^\n]*\n)+))?", re.MULTILINE | re.DOTALL)
EXAMPLES = [(kind, code, (output or "").replace("    ", "")) for kind, code, output in BLOCK.findall(PAGE)]
SCRIPTS = [(code, output) for kind, code, output in EXAMPLES if kind == "python"]


@pytest.fixture
def defaults(tmp_path: Path, config: dict[str, Any], write: Write, work: Path) -> Path:
    """A user whose images begin with what this machine has."""
    settings = tmp_path / "home" / ".config" / "alekseylearn" / "alekseylearn.toml"
    settings.parent.mkdir(parents=True)
    settings.write_text(f'[build.local]\nbase_image = "{config["base_image"]}"\n')
    write("train.py", TRAIN)
    return work


@pytest.mark.parametrize(("code", "output"), SCRIPTS, ids=[str(number) for number in range(len(SCRIPTS))])
def test_a_script_of_the_page_runs(code: str, output: str, defaults: Path, write: Write) -> None:
    path = write("use.py", code)
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=defaults)
    if "remote" in code and sys.version_info[:2] != (3, 11):
        assert "the base image has Python 3.11" in done.stderr
        return
    assert done.returncode == 0, done.stdout + done.stderr
    if output:
        assert done.stdout == output.replace("/home/ada/iris", str(defaults))


def test_the_cells_of_the_page_run(defaults: Path, write: Write, config: dict[str, Any]) -> None:
    cells = [code.rstrip("\n") for kind, code, _ in EXAMPLES if kind == "ipython"]
    path = write("page.ipynb", notebook(cells, config))
    if sys.version_info[:2] != (3, 11):
        with pytest.raises(papermill.PapermillExecutionError, match=r"the base image has Python 3\.11"):
            papermill.execute_notebook(str(path), None, progress_bar=False, cwd=str(defaults))
        return
    executed = papermill.execute_notebook(str(path), None, progress_bar=False, cwd=str(defaults))
    [shown] = [output for kind, _, output in EXAMPLES if kind == "ipython" and output]
    assert executed.cells[-1].outputs[0]["data"]["text/plain"] == shown.strip()
