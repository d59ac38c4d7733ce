"""A training job really runs: contract, logs, artifacts, failure, stop."""

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

from .conftest import RigUnderTest, wait_until

Request = Callable[..., dict[str, Any]]
_GROUP = "/aws/sagemaker/TrainingJobs"


def run(rig: RigUnderTest, request: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """Submit, wait for the end, describe."""
    rig.client("sagemaker").create_training_job(**request)
    return finished(rig, request["TrainingJobName"], seconds)


def finished(rig: RigUnderTest, name: str, seconds: float = 60) -> dict[str, Any]:
    client = rig.client("sagemaker")
    ends = {"Completed", "Failed", "Stopped"}

    def described() -> dict[str, Any] | None:
        job = client.describe_training_job(TrainingJobName=name)
        return job if job["TrainingJobStatus"] in ends else None

    return wait_until(described, seconds)


def log(rig: RigUnderTest, name: str, host: str = "algo-1") -> list[str]:
    """All messages of one host, page by page."""
    logs = rig.client("logs")
    streams = logs.describe_log_streams(logGroupName=_GROUP, logStreamNamePrefix=f"{name}/{host}-")["logStreams"]
    place = {"logGroupName": _GROUP, "logStreamName": streams[0]["logStreamName"], "startFromHead": True}
    messages: list[str] = []
    page = logs.get_log_events(**place)
    while page["events"]:
        messages += [event["message"] for event in page["events"]]
        page = logs.get_log_events(**place, nextToken=page["nextForwardToken"])
    return messages


def archive(rig: RigUnderTest, request: dict[str, Any], name: str) -> dict[str, bytes]:
    """The files of one of the job's archives."""
    key = f"output/{request['TrainingJobName']}/output/{name}"
    body = rig.client("s3").get_object(Bucket=rig.facts["bucket"], Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isreg()}


def test_a_job_runs_and_leaves_logs_and_flat_archives(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request(
        "echo training; mkdir /opt/ml/model/sub; echo weights > /opt/ml/model/sub/m;"
        " echo table > /opt/ml/output/data/t.csv; printf 'no newline'"
    )
    job = run(rig, request)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Completed", "Completed"), job
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert job["TrainingStartTime"] <= job["TrainingEndTime"]
    assert job["BillableTimeInSeconds"] >= 1
    assert log(rig, request["TrainingJobName"]) == ["training", "no newline"]
    assert archive(rig, request, "model.tar.gz") == {"sub/m": b"weights\n"}
    assert archive(rig, request, "output.tar.gz") == {"t.csv": b"table\n"}
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith(f"/{request['TrainingJobName']}/output/model.tar.gz")
