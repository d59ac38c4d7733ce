"""The paths inside a training container.

The image's files are below one root, and SageMaker's inputs and outputs below
another. A variable can change each, so that the runner also works outside a
container.
"""

import os
from pathlib import Path
from typing import NamedTuple


class Roots(NamedTuple):
    """The two roots of all other paths."""

    home: Path
    ml: Path

    @classmethod
    def from_environment(cls) -> "Roots":
        return cls(
            home=Path(os.environ.get("ALEKSEYLEARN_HOME", "/opt/alekseylearn")),
            ml=Path(os.environ.get("ALEKSEYLEARN_ML_ROOT", "/opt/ml")),
        )

    @property
    def code(self) -> Path:
        return self.home / "code"

    @property
    def artifact_description(self) -> Path:
        return self.home / "artifact.json"

    @property
    def hostfile(self) -> Path:
        return self.home / "hostfile"

    @property
    def input(self) -> Path:
        return self.ml / "input"

    @property
    def input_config(self) -> Path:
        return self.input / "config"

    @property
    def input_data(self) -> Path:
        return self.input / "data"

    @property
    def model(self) -> Path:
        return self.ml / "model"

    @property
    def output(self) -> Path:
        return self.ml / "output"

    @property
    def output_data(self) -> Path:
        return self.output / "data"

    @property
    def output_intermediate(self) -> Path:
        return self.output / "intermediate"

    @property
    def tensorboard(self) -> Path:
        return self.output / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        return self.ml / "checkpoints"

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    def make_output_folders(self) -> None:
        """Create the folders that a script may expect to exist.

        Not the checkpoint folder: scripts take its presence as a sign that
        checkpoints are kept, which only the platform can ensure.
        """
        for folder in (self.model, self.output_data, self.output_intermediate):
            folder.mkdir(parents=True, exist_ok=True)
