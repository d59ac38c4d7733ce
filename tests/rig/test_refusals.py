"""The rig refuses what the service refuses, in the service's words."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from .conftest import RigUnderTest
from .test_jobs import run

Request = Callable[..., dict[str, Any]]
_WAIT_TOO_SHORT = {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 8}


def refused(rig: RigUnderTest, request: dict[str, Any], words: str, code: str = "ValidationException") -> None:
    """Send a request without botocore's own checks, like clients in other languages."""
    with pytest.raises(ClientError) as error:
        rig.client("sagemaker", parameter_validation=False).create_training_job(**request)
    assert error.value.response["Error"]["Code"] == code
    assert words in error.value.response["Error"]["Message"]


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"TrainingJobName": "a_b"}, "Value 'a_b' at 'trainingJobName' failed to satisfy constraint: Member"),
        ({"TrainingJobName": "a" * 64}, "Member must have length less than or equal to 63"),
        ({"TrainingJobName": "name\n"}, "Member must satisfy regular expression pattern"),
        ({"HyperParameters": {f"k{number}": "v" for number in range(101)}}, "'hyperParameters'"),
        ({"HyperParameters": {"k": "v" * 2501}}, "Member must have length less than or equal to 2500"),
        ({"Environment": {"1A": "v"}}, "'environment.key'"),
        ({"Tags": [{"Key": "aws!", "Value": "v"}]}, "'tags.1.member.key'"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 0}}, "greater than or equal to 1"),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 9, "MaxWaitTimeInSeconds": 9}}, "It is only supported when"),
        (
            {"EnableManagedSpotTraining": True, "StoppingCondition": _WAIT_TOO_SHORT},
            "greater than or equal to MaxRuntimeInSeconds",
        ),
        ({"EnableManagedSpotTraining": True}, "It must be present"),
        ({"ResourceConfig": {"InstanceType": "ml.x", "InstanceCount": 1}}, "Member must satisfy enum value set"),
        ({"OutputDataConfig": {}}, "Value null at 'outputDataConfig.s3OutputPath'"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket-anywhere/o"}}, "does not exist"),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role"),
    ],
)
def test_a_wrong_request_is_refused(
    rig: RigUnderTest, job_request: Request, members: dict[str, Any], words: str
) -> None:
    refused(rig, job_request(**members), words)


def test_all_violations_are_reported_at_once(rig: RigUnderTest, job_request: Request) -> None:
    refused(rig, job_request(TrainingJobName="-", RoleArn="nobody"), "3 validation errors detected")


def test_a_wrong_type_is_refused(rig: RigUnderTest, job_request: Request) -> None:
    refused(rig, job_request(HyperParameters={"epochs": 3}), "hyperParameters.epochs", "SerializationException")


def test_an_unknown_member_is_refused(rig: RigUnderTest, job_request: Request) -> None:
    answer = requests.post(
        rig.facts["endpoint"],
        data=json.dumps(job_request(TrainingJobNme="x")),
        headers={"X-Amz-Target": "SageMaker.CreateTrainingJob"},
        timeout=10,
    )
    assert answer.status_code == 400
    assert "'trainingJobNme'" in answer.json()["message"]


def test_a_role_that_does_not_trust_the_service_is_refused(rig: RigUnderTest, job_request: Request) -> None:
    arn = f"arn:aws:iam::{rig.facts['account']}:role/{rig.facts['untrusted_role']}"
    refused(rig, job_request(RoleArn=arn), "allows principal 'sagemaker.amazonaws.com' to assume the role")


def test_a_bucket_in_another_region_is_refused(rig: RigUnderTest, job_request: Request) -> None:
    output = {"S3OutputPath": f"s3://{rig.facts['foreign_bucket']}/o"}
    refused(rig, job_request(OutputDataConfig=output), "is in region eu-west-1")


def test_input_that_does_not_exist_is_refused(rig: RigUnderTest, job_request: Request) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{rig.facts['bucket']}/nothing-here/"}
    channel = {"ChannelName": "training", "DataSource": {"S3DataSource": source}}
    refused(rig, job_request(InputDataConfig=[channel]), "No S3 objects found under S3 URL")


def test_an_image_that_was_not_pushed_is_refused(rig: RigUnderTest, job_request: Request, image: str) -> None:
    for name, words in (
        (image.replace(":latest", ":other"), "Cannot find the requested image"),
        (f"{rig.facts['registry']}/no-such-repository:latest", "Cannot find repository"),
        ("python:3.11", "Invalid training image"),
    ):
        request = job_request()
        request["AlgorithmSpecification"]["TrainingImage"] = name
        refused(rig, request, words)


def test_a_name_cannot_be_reused(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request()
    run(rig, request)
    refused(rig, request, "a training job with this name already exists", "ResourceInUse")


def test_a_job_that_does_not_exist_is_not_described(rig: RigUnderTest) -> None:
    with pytest.raises(ClientError, match="Requested resource not found"):
        rig.client("sagemaker").describe_training_job(TrainingJobName="nobody-made-this")
