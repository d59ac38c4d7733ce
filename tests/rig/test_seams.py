"""Tests of the seams: faults, the call log and settings."""

import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError, ConnectionClosedError, IncompleteReadError, ResponseStreamingError

from .conftest import RigUnderTest

_ONCE = {"retries": {"total_max_attempts": 1}}
UNTURNED = {"stop_grace_seconds": 120, "may_pass_role": 1, "training_quota": 20, "spot_quota": 4}


def error_code(client_call: Callable[..., Any], **parameters: Any) -> str:
    with pytest.raises(ClientError) as error:
        client_call(**parameters)
    return error.value.response["Error"]["Code"]


@pytest.mark.parametrize(
    ("service", "operation", "throttled", "expired", "denied"),
    [
        ("sagemaker", "list_training_jobs", "ThrottlingException", "ExpiredTokenException", "AccessDeniedException"),
        ("ecr", "describe_repositories", "ThrottlingException", "ExpiredTokenException", "AccessDeniedException"),
        ("logs", "describe_log_groups", "ThrottlingException", "ExpiredTokenException", "AccessDeniedException"),
        ("s3", "list_buckets", "SlowDown", "ExpiredToken", "AccessDenied"),
        ("iam", "list_roles", "Throttling", "ExpiredToken", "AccessDenied"),
        ("sts", "get_caller_identity", "Throttling", "ExpiredToken", "AccessDenied"),
    ],
)
def test_errors_have_the_services_format(
    rig: RigUnderTest, service: str, operation: str, throttled: str, expired: str, denied: str
) -> None:
    call = getattr(rig.client(service, **_ONCE), operation)
    for fault, code in (("throttle", throttled), ("expired-token", expired), ("access-denied", denied)):
        rig.fault(fault, match={"service": service})
        assert error_code(call) == code
    for fault, status in (("error-500", 500), ("error-503", 503)):
        rig.fault(fault, match={"service": service})
        with pytest.raises(ClientError) as error:
            call()
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    call()


def test_a_fault_ends_after_its_times_and_retries_succeed(rig: RigUnderTest) -> None:
    rig.fault("throttle", times=2, match={"service": "sagemaker", "operation": "ListTrainingJobs"})
    rig.client("sagemaker", retries={"mode": "standard", "total_max_attempts": 3}).list_training_jobs()
    statuses = [call["status"] for call in rig.seam("GET", "calls").json()]
    assert statuses == [400, 400, 200]


def test_a_cut_answer_breaks_off_in_its_middle(rig: RigUnderTest) -> None:
    s3, key = rig.client("s3", **_ONCE), f"cut-{uuid.uuid4()}"
    s3.put_object(Bucket=rig.facts["bucket"], Key=key, Body=b"x" * 100_000)
    rig.fault("cut", match={"operation": "GetObject"}, after_bytes=60_000)
    answer = s3.get_object(Bucket=rig.facts["bucket"], Key=key)
    assert answer["ContentLength"] == 100_000
    with pytest.raises((IncompleteReadError, ResponseStreamingError)):
        answer["Body"].read()
    assert len(s3.get_object(Bucket=rig.facts["bucket"], Key=key)["Body"].read()) == 100_000


def test_a_cut_before_the_answer_leaves_the_work_done(rig: RigUnderTest) -> None:
    s3, key = rig.client("s3", **_ONCE), f"cut-{uuid.uuid4()}"
    rig.fault("cut", match={"operation": "PutObject"}, after_bytes=0)
    with pytest.raises(ConnectionClosedError):
        s3.put_object(Bucket=rig.facts["bucket"], Key=key, Body=b"done")
    assert s3.get_object(Bucket=rig.facts["bucket"], Key=key)["Body"].read() == b"done"


def test_a_slow_response_is_sent_slowly(rig: RigUnderTest) -> None:
    s3, key = rig.client("s3"), f"slow-{uuid.uuid4()}"
    s3.put_object(Bucket=rig.facts["bucket"], Key=key, Body=b"x" * 10_000)
    rig.fault("slow", match={"path": key}, delay_ms=200, bytes_per_second=20_000)
    started = time.monotonic()
    assert len(s3.get_object(Bucket=rig.facts["bucket"], Key=key)["Body"].read()) == 10_000
    assert 0.6 < time.monotonic() - started < 3


def test_an_empty_page_is_not_the_end_of_a_log(rig: RigUnderTest) -> None:
    logs, place = rig.client("logs"), {"logGroupName": f"/rig/{uuid.uuid4()}", "logStreamName": "s"}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)
    logs.put_log_events(**place, logEvents=[{"timestamp": int(time.time() * 1000), "message": "m"}])
    rig.fault("empty-page", times=2, match={"operation": "GetLogEvents"})
    tokens, page = set(), logs.get_log_events(**place, startFromHead=True)
    while not page["events"]:
        assert page["nextForwardToken"] not in tokens
        tokens.add(page["nextForwardToken"])
        page = logs.get_log_events(**place, startFromHead=True, nextToken=page["nextForwardToken"])
    assert (len(tokens), page["events"][0]["message"]) == (2, "m")


def test_a_response_can_be_replaced_or_refused(rig: RigUnderTest) -> None:
    sts, sagemaker = rig.client("sts"), rig.client("sagemaker")
    rig.fault("replace", match={"operation": "GetCallerIdentity"}, find="arn:aws:", put="arn:aws-cn:")
    assert sts.get_caller_identity()["Arn"].startswith("arn:aws-cn:")
    assert sts.get_caller_identity()["Arn"].startswith("arn:aws:")
    rig.fault("refuse", match={"operation": "ListTrainingJobs"}, status=400, code="OddException", message="odd")
    with pytest.raises(sagemaker.exceptions.ClientError, match="OddException.*odd"):
        sagemaker.list_training_jobs()


def test_the_registry_fails_too(rig: RigUnderTest) -> None:
    rig.fault("expired-token", match={"service": "registry"})
    answer = requests.get(f"http://{rig.facts['registry']}/v2/", timeout=10)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "DENIED")


def test_calls_are_recorded_with_the_names_of_their_operations(rig: RigUnderTest) -> None:
    s3, bucket, key = rig.client("s3"), rig.facts["bucket"], f"dir/{uuid.uuid4()}"
    s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.head_object(Bucket=bucket, Key=key)
    s3.list_objects_v2(Bucket=bucket)
    s3.head_bucket(Bucket=bucket)
    s3.get_bucket_location(Bucket=bucket)
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"x")
    s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=upload)
    rig.client("sts").get_caller_identity()
    rig.client("iam").get_role(RoleName=rig.facts["role"])
    rig.client("sagemaker").list_training_jobs(MaxResults=5)
    requests.get(f"http://{rig.facts['registry']}/v2/", timeout=10)
    calls = rig.seam("GET", "calls").json()
    assert [call["operation"] for call in calls] == [
        "PutObject",
        "HeadObject",
        "ListObjectsV2",
        "HeadBucket",
        "GetBucketLocation",
        "CreateMultipartUpload",
        "UploadPart",
        "AbortMultipartUpload",
        "GetCallerIdentity",
        "GetRole",
        "ListTrainingJobs",
        "GetBase",
    ]
    assert calls[-2]["body"] == {"MaxResults": 5}
    rig.seam("DELETE", "calls")
    assert rig.seam("GET", "calls").json() == []


def test_a_misspelt_seam_is_an_error(rig: RigUnderTest) -> None:
    for name, body in (
        ("faults", {"fault": "trottle"}),
        ("faults", {"fault": "cut", "match": {"servce": "s3"}}),
        ("settings", {"grace": 1}),
        ("settings", {"stop_grace_seconds": "1"}),
    ):
        answer = rig.seam("POST", name, body)
        assert answer.status_code == 400
        assert answer.json()["error"]
    assert rig.seam("GET", "nothing").status_code == 404


def test_reset_restores_the_settings(rig: RigUnderTest) -> None:
    assert rig.seam("POST", "settings", {"stop_grace_seconds": 5}).json() == dict(UNTURNED, stop_grace_seconds=5)
    rig.seam("POST", "reset")
    assert rig.seam("GET", "settings").json() == UNTURNED
