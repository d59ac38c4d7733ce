"""`fahr fit` in the rig: fahr itself knows but one registry, that of ECR, and SageMaker's SDK but one STS.

`fahr_fit.py REGISTRY ARGUMENT…`
"""

import os
import sys

import fahr.fahr
import sagemaker.session
from fahr.cli import cli

REGISTRY = sys.argv.pop(1)
address_at_ecr = fahr.fahr.get_repository_info


def address_in_the_rig(session, tag, sts_client=None):
    region, account, _ = address_at_ecr(session, tag, sts_client)
    return region, account, f"{REGISTRY}/{tag}"


fahr.fahr.get_repository_info = address_in_the_rig
sagemaker.session.sts_regional_endpoint = lambda region: os.environ["AWS_ENDPOINT_URL"]
sys.argv.insert(1, "fit")
cli()
