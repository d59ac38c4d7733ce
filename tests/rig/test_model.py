"""The driver's copy of the service's model is botocore's."""

from pathlib import Path

from rig import model

DRIVERS_COPY = Path(__file__).parents[2] / "plugins/sagemaker/src/model.json"


def test_the_driver_holds_the_services_model() -> None:
    assert DRIVERS_COPY.read_text() == model.text(), "PYTHONPATH=tests python -m rig.model > plugins/sagemaker/src/model.json"
