"""Types and style of the package and of its tests."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPOSITORY


@pytest.mark.parametrize(
    "command",
    [["mypy", "--cache-dir=/dev/null"], ["ruff", "check", "--no-cache"], ["ruff", "format", "--no-cache", "--check"]],
)
def test_the_package_is_typed_and_formatted(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
