"""Trains an image by the local mode of SageMaker's SDK: `local_mode.py IMAGE FOLDER [NAME=VALUE]…`.

FOLDER gets the `model.tar.gz`; the rest are hyperparameters.
"""

import sys
from pathlib import Path

from sagemaker.estimator import Estimator
from sagemaker.local import LocalSession

image, folder = sys.argv[1], Path(sys.argv[2]).resolve()
session = LocalSession()
session.config = {"local": {"local_code": True, "container_root": str(folder)}}
Estimator(
    image_uri=image,
    role="arn:aws:iam::123456789012:role/bench",
    instance_count=1,
    instance_type="local",
    sagemaker_session=session,
    output_path=folder.as_uri(),
    hyperparameters=dict(argument.split("=", 1) for argument in sys.argv[3:]),
).fit()
