"""A training container without a container: the real runner on temporary roots."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Dict, NamedTuple, Optional

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = REPOSITORY / "plugins" / "runner"
PROJECTS = REPOSITORY / "tests" / "projects"
TIMEOUT_SECONDS = 60


class Ended(NamedTuple):
    """What a run left to look at."""

    exit_code: int
    stdout: bytes
    stderr: bytes
    failure: Optional[str]


class Container:
    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.code = self.home / "code"
        self.ml = folder / "ml"
        self.folder = folder
        self.code.mkdir(parents=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "ALEKSEYLEARN_HOME": str(self.home),
            "ALEKSEYLEARN_ML_ROOT": str(self.ml),
        }
        self.process: Optional[subprocess.Popen] = None

    def holds_project(self, name: str, artifact: str = "train.py") -> None:
        self.code.rmdir()
        self.code.symlink_to(PROJECTS / name)
        self.trains(artifact)

    def holds_script(self, source: str, artifact: str = "train.py") -> None:
        path = self.code / artifact
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        self.trains(artifact)

    def trains(self, artifact: str) -> None:
        (self.home / "artifact.json").write_text(json.dumps({"artifact": artifact}))

    def is_given(self, name: str, content: object) -> None:
        """Give one of the files in input/config, without its extension."""
        config = self.ml / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / (name + ".json")).write_text(json.dumps(content))

    def has_hyperparameters(self, **parameters: str) -> None:
        self.is_given("hyperparameters", parameters)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start the runner; its output goes to files, so that no test has to read along."""
        with open(self.folder / "stdout", "wb") as stdout, open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(RUNNER), *(arguments or ["train"])],
                env=self.environment,
                stdout=stdout,
                stderr=stderr,
            )
        return self.process

    def wait_for_output(self, text: str) -> None:
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while text not in (self.folder / "stdout").read_text():
            assert time.monotonic() < deadline, f"{text!r} was never printed"
            assert self.process.poll() is None, f"the run ended before it printed {text!r}"
            time.sleep(0.02)

    def wait(self) -> Ended:
        exit_code = self.process.wait(TIMEOUT_SECONDS)
        failure = self.ml / "output" / "failure"
        return Ended(
            exit_code=exit_code,
            stdout=(self.folder / "stdout").read_bytes(),
            stderr=(self.folder / "stderr").read_bytes(),
            failure=failure.read_text() if failure.exists() else None,
        )

    def run(self, *arguments: str) -> Ended:
        self.start(*arguments)
        return self.wait()

    def seen(self) -> Dict:
        """Give what the hyperparameters project wrote down."""
        return json.loads((self.ml / "model" / "seen.json").read_text())


@pytest.fixture
def container(tmp_path):
    container = Container(tmp_path)
    yield container
    process = container.process
    if process is not None and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
