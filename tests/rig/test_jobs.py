"""Tests of real training jobs: contract, logs, artifacts, failure, stop."""

import io
import tarfile
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from .conftest import RigUnderTest, wait_until

Request = Callable[..., dict[str, Any]]
_GROUP = "/aws/sagemaker/TrainingJobs"


def run(rig: RigUnderTest, request: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
    """Submit, wait for the end, describe."""
    rig.client("sagemaker").create_training_job(**request)
    return finished(rig, request["TrainingJobName"], seconds)


def finished(rig: RigUnderTest, name: str, seconds: float = 60) -> dict[str, Any]:
    ends = {"Completed", "Failed", "Stopped"}
    wait_until(lambda: described(rig, name)["TrainingJobStatus"] in ends, seconds)
    return described(rig, name)


def described(rig: RigUnderTest, name: str) -> dict[str, Any]:
    return rig.client("sagemaker").describe_training_job(TrainingJobName=name)


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
        files = {member.name: tar.extractfile(member) for member in tar if member.isreg()}
        return {name: file.read() for name, file in files.items() if file}


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


def test_the_container_finds_its_configuration_data_and_environment(rig: RigUnderTest, job_request: Request) -> None:
    s3 = rig.client("s3")
    for key in ("configured/a.txt", "configured/sub/b.txt"):
        s3.put_object(Bucket=rig.facts["bucket"], Key=key, Body=key.encode())
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{rig.facts['bucket']}/configured"}
    request = job_request(
        "cd /opt/ml/input; cat config/*.json; cat data/training/a.txt data/training/sub/b.txt; echo;"
        " echo $TRAINING_JOB_NAME $TRAINING_JOB_ARN; hostname",
        HyperParameters={"epochs": "3"},
        InputDataConfig=[{"ChannelName": "training", "DataSource": {"S3DataSource": source}}],
    )
    job = run(rig, request)
    said = "\n".join(log(rig, request["TrainingJobName"]))
    assert '{"epochs": "3"}' in said
    assert '"current_host": "algo-1"' in said
    assert '{"training": {"TrainingInputMode": "File"' in said
    assert "configured/a.txtconfigured/sub/b.txt" in said
    assert f"{job['TrainingJobName']} {job['TrainingJobArn']}\nalgo-1" in said


def test_a_failure_brings_its_reason_its_output_and_no_model(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request(
        "echo m > /opt/ml/model/m; echo o > /opt/ml/output/data/o;"
        " printf 'x%.0s' $(seq 2000) > /opt/ml/output/failure; exit 3"
    )
    job = run(rig, request)
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert statuses[-2:] == ["Uploading", "Failed"]
    assert job["FailureReason"] == f"AlgorithmError: {'x' * 1024}, exit code: 3"
    assert archive(rig, request, "output.tar.gz") == {"o": b"o\n"}
    stored = rig.client("s3").list_objects_v2(Bucket=rig.facts["bucket"], Prefix=f"output/{job['TrainingJobName']}/")
    assert stored["KeyCount"] == 1


def test_a_failure_without_a_file_has_only_its_code(rig: RigUnderTest, job_request: Request) -> None:
    assert run(rig, job_request("exit 7"))["FailureReason"] == "AlgorithmError: , exit code: 7"


def test_a_missing_command_is_in_the_log(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request()
    request["AlgorithmSpecification"]["ContainerEntrypoint"] = ["no-such-program"]
    assert run(rig, request)["FailureReason"] == "AlgorithmError: , exit code: 127"
    assert "no-such-program" in log(rig, request["TrainingJobName"])[0]


def test_logs_arrive_while_the_job_runs(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request("echo early; sleep 60")
    rig.client("sagemaker").create_training_job(**request)
    name = request["TrainingJobName"]
    wait_until(lambda: described(rig, name)["SecondaryStatus"] == "Training")
    wait_until(lambda: log(rig, name) == ["early"], seconds=5)


def test_a_talkative_job_loses_no_line(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request("seq 100000; echo err >&2")
    started = time.monotonic()
    run(rig, request)
    lines = log(rig, request["TrainingJobName"])
    print(f"100,000 lines: run and read in {time.monotonic() - started:.1f} s")
    lines.remove("err")
    assert lines == [str(number) for number in range(1, 100_001)]


def test_stop_delivers_sigterm_and_keeps_the_artifacts(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request(
        "trap 'echo saved > /opt/ml/model/m; exit 0' TERM; echo ready; while true; do sleep 0.1; done"
    )
    client, name = rig.client("sagemaker"), request["TrainingJobName"]
    client.create_training_job(**request)
    wait_until(lambda: described(rig, name)["SecondaryStatus"] == "Training" and "ready" in log(rig, name))
    client.stop_training_job(TrainingJobName=name)
    assert described(rig, name)["TrainingJobStatus"] == "Stopping"
    job = finished(rig, name)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert archive(rig, request, "model.tar.gz") == {"m": b"saved\n"}
    with pytest.raises(ClientError, match="is in status Stopped"):
        client.stop_training_job(TrainingJobName=name)


def test_a_job_is_stopped_before_it_trains(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request("sleep 60")
    client, name = rig.client("sagemaker"), request["TrainingJobName"]
    client.create_training_job(**request)
    client.stop_training_job(TrainingJobName=name)
    job = finished(rig, name)
    statuses = [transition["Status"] for transition in job["SecondaryStatusTransitions"]]
    assert (statuses[-2:], job["TrainingJobStatus"]) == (["Stopping", "Stopped"], "Stopped")


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace_period(rig: RigUnderTest, job_request: Request) -> None:
    rig.seam("POST", "settings", {"stop_grace_seconds": 1}).raise_for_status()
    request = job_request("trap '' TERM; echo ready; while true; do sleep 0.1; done")
    name = request["TrainingJobName"]
    rig.client("sagemaker").create_training_job(**request)
    wait_until(lambda: described(rig, name)["SecondaryStatus"] == "Training" and "ready" in log(rig, name))
    started = time.monotonic()
    rig.client("sagemaker").stop_training_job(TrainingJobName=name)
    assert finished(rig, name)["TrainingJobStatus"] == "Stopped"
    assert 1 <= time.monotonic() - started < 5


def test_a_job_over_its_time_is_stopped(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request(
        "trap 'exit 0' TERM; while true; do sleep 0.1; done", StoppingCondition={"MaxRuntimeInSeconds": 1}
    )
    job = run(rig, request)
    assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_several_hosts_know_each_other_and_their_output_is_merged(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request(
        "until ping -c 1 -W 1 algo-1 && ping -c 1 -W 1 algo-2; do sleep 0.1; done; sleep 1;"
        " hostname > /opt/ml/output/data/$(hostname); cat /opt/ml/input/config/resourceconfig.json"
    )
    request["ResourceConfig"]["InstanceCount"] = 2
    job = run(rig, request)
    assert job["TrainingJobStatus"] == "Completed", job
    assert archive(rig, request, "output.tar.gz") == {"algo-1": b"algo-1\n", "algo-2": b"algo-2\n"}
    assert '"current_host": "algo-2"' in log(rig, request["TrainingJobName"], "algo-2")[-1]


def test_one_failing_host_ends_all(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request("[ $(hostname) = algo-2 ] && exit 5; sleep 60")
    request["ResourceConfig"]["InstanceCount"] = 2
    assert run(rig, request, seconds=30)["FailureReason"] == "AlgorithmError: , exit code: 5"


def test_uncompressed_output_is_a_prefix(rig: RigUnderTest, job_request: Request) -> None:
    request = job_request("mkdir /opt/ml/model/a; echo 1 > /opt/ml/model/a/b")
    request["OutputDataConfig"]["CompressionType"] = "NONE"
    job = run(rig, request)
    key = f"output/{job['TrainingJobName']}/output/model/a/b"
    assert rig.client("s3").get_object(Bucket=rig.facts["bucket"], Key=key)["Body"].read() == b"1\n"
    assert job["ModelArtifacts"]["S3ModelArtifacts"].endswith("/output/model/")


def test_checkpoints_come_back_in_the_next_job(rig: RigUnderTest, job_request: Request) -> None:
    config = {"S3Uri": f"s3://{rig.facts['bucket']}/checkpoints/{time.time()}"}
    script = "cat /opt/ml/checkpoints/step; echo 5 > /opt/ml/checkpoints/step"
    run(rig, job_request(script, CheckpointConfig=config))
    second = job_request(script, CheckpointConfig=config)
    run(rig, second)
    assert log(rig, second["TrainingJobName"]) == ["5"]


def test_jobs_are_listed_by_name_and_in_pages(rig: RigUnderTest, job_request: Request) -> None:
    prefix = f"listed-{time.time_ns()}"
    for number in range(3):
        run(rig, job_request(TrainingJobName=f"{prefix}-{number}"))
    paginator = rig.client("sagemaker").get_paginator("list_training_jobs")
    pages = paginator.paginate(
        NameContains=prefix, StatusEquals="Completed", SortBy="Name", PaginationConfig={"PageSize": 2}
    )
    names = [[job["TrainingJobName"] for job in page["TrainingJobSummaries"]] for page in pages]
    assert names == [[f"{prefix}-0", f"{prefix}-1"], [f"{prefix}-2"]]


def test_tags_are_kept(rig: RigUnderTest, job_request: Request) -> None:
    job = run(rig, job_request(Tags=[{"Key": "tool", "Value": "alekseylearn"}]))
    client = rig.client("sagemaker")
    client.add_tags(ResourceArn=job["TrainingJobArn"], Tags=[{"Key": "more", "Value": "1"}])
    tags = client.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    assert {tag["Key"]: tag["Value"] for tag in tags} == {"tool": "alekseylearn", "more": "1"}
    assert "Tags" not in job
