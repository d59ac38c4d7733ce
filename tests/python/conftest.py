"""A user with an empty home, the real program, and the Docker engine of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "python"
sys.path.insert(0, str(PACKAGE))

TRAIN = """\
import os, sys, time

for epoch in range(3):
    print(f"loss={1 / (epoch + 1)}", flush=True)
    time.sleep(0.2)
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as model:
    model.write(" ".join(sys.argv[1:]))
"""
# It ends when it is stopped, and not before.
FOR_EVER = """\
import time

print("begun", flush=True)
while True:
    time.sleep(0.1)
"""

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, as a user with an empty home."""
    for name in list(os.environ):
        if name.startswith(("XDG_", "AWS_", "KAGGLE_", "GOOGLE_")):
            monkeypatch.delenv(name)
    for name in ("home", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    # Compiled drivers are the same for all.
    monkeypatch.setenv("XDG_CACHE_HOME", str(Path(tempfile.gettempdir(), "alekseylearn-tests-cache")))
    monkeypatch.setenv("PYTHONPATH", str(PACKAGE))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def write(work: Path) -> Write:
    """Write a file below the working folder."""

    def write(name: str, text: str) -> Path:
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@pytest.fixture
def config() -> dict[str, Any]:
    """Options by which this machine's engine can build."""
    if "ALEKSEYLEARN_PROGRAM" not in os.environ:
        pytest.skip("ALEKSEYLEARN_PROGRAM is not set")
    engine = subprocess.run(["docker", "info"], capture_output=True)  # noqa: S607
    if engine.returncode:
        pytest.skip("no Docker Engine")
    return {"base_image": os.environ.get("ALEKSEYLEARN_BASE_IMAGE", "python:3.11-slim")}
