"""A training container without a container: the real runner on temporary roots."""

import json
import os
import signal
import site
import subprocess
import sys
import textwrap
import time
import venv
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = REPOSITORY / "plugins" / "runner"
PROJECTS = REPOSITORY / "tests" / "projects"
TIMEOUT_SECONDS = 60


# How an image starts its runner.
START = [sys.executable, "-I", "-S", str(RUNNER)]
MARK = b"alekseylearn: left "


class Ended(NamedTuple):
    """What a run left to look at."""

    exit_code: int
    stdout: bytes  # without the line that tells the host what was left
    stderr: bytes
    failure: Optional[str]
    left: Optional[Dict]
    said: List[str]  # lines of the runner's own, which are in stdout no more


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
        self.python = START

    def holds_project(self, name: str, artifact: str = "train.py") -> None:
        self.code.rmdir()
        self.code.symlink_to(PROJECTS / name)
        self.trains(artifact)

    def holds_script(self, source: str, artifact: str = "train.py") -> None:
        path = self.code / artifact
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))
        self.trains(artifact)

    def trains(self, artifact: str, **more: str) -> None:
        (self.home / "artifact.json").write_text(json.dumps({"artifact": artifact, **more}))

    def holds_file(self, name: str, text: str) -> None:
        path = self.code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def is_asked(self, **run: object) -> None:
        """Say what the user asked of this run, in pieces as the host makes them."""
        text = json.dumps(run)
        for number, start in enumerate(range(0, len(text), 500)):
            self.environment[f"ALEKSEYLEARN_RUN_{number}"] = text[start : start + 500]

    def has_environment(self) -> None:
        """Run in a virtual environment that finds the code folder and its `src`, as an image's does."""
        place = self.folder / "venv"
        venv.create(place, system_site_packages=True, symlinks=True)
        packages = next(place.glob("lib/python*/site-packages"))
        # What the tests run in may be a virtual environment itself.
        paths = [str(self.code), str(self.code / "src"), *site.getsitepackages()]
        (packages / "alekseylearn.pth").write_text("".join(path + "\n" for path in paths))
        self.python = [str(place / "bin" / "python"), *START[1:]]

    def is_given(self, name: str, content: object) -> None:
        """Give one of the files in input/config, without its extension."""
        config = self.ml / "input" / "config"
        config.mkdir(parents=True, exist_ok=True)
        (config / (name + ".json")).write_text(json.dumps(content))

    def has_hyperparameters(self, **parameters: str) -> None:
        self.is_given("hyperparameters", parameters)

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start the runner; its output goes to files, so that no test has to read along."""
        reason = self.ml / "output" / "failure"
        if reason.exists():
            reason.unlink()
        with open(self.folder / "stdout", "wb") as stdout, open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                [*self.python, *(arguments or ["train"])],
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
        lines = (self.folder / "stdout").read_bytes().splitlines(keepends=True)
        left = [line[len(MARK) :] for line in lines if line.startswith(MARK)]
        own = [line for line in lines if line.startswith(b"alekseylearn: ")]
        return Ended(
            exit_code=exit_code,
            stdout=b"".join(line for line in lines if line not in own),
            stderr=(self.folder / "stderr").read_bytes(),
            failure=failure.read_text() if failure.exists() else None,
            left=json.loads(left[-1]) if left else None,
            said=[line.decode().strip() for line in own if not line.startswith(MARK)],
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
