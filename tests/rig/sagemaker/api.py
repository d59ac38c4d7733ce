"""Serves SageMaker's training calls over JSON 1.1. Other SageMaker calls go to moto."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from ..errors import ServiceError
from ..web import Environ, json_response
from .executor import Executor
from .job import TrainingJob
from .references import References
from .validation import validate

_CONTENT_TYPE = "application/x-amz-json-1.1"
_DAY = 24 * 3600
_LONGEST_RUNTIME = 28 * _DAY
_PAGE = 100
_SORT_KEYS: dict[str, Callable[[TrainingJob], Any]] = {
    "Name": lambda job: job.name,
    "CreationTime": lambda job: job.created,
    "Status": lambda job: job.status,
}


class SageMaker:
    """A WSGI application that owns the jobs of the account."""

    def __init__(self, moto: Any, references: References, executor: Executor) -> None:
        self._moto = moto
        self._references = references
        self._executor = executor
        self._lock = threading.Lock()
        self._jobs: dict[str, TrainingJob] = {}
        self._operations = {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop,
            "AddTags": self._add_tags,
            "ListTags": self._list_tags,
        }

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        call = environ["rig.call"]
        operation = self._operations.get(call.operation)
        if operation is None:
            return self._moto(environ, start_response)
        try:
            response = json_response(operation(validate(call.operation, call.body)), content_type=_CONTENT_TYPE)
        except ServiceError as error:
            response = error.response()
        return response(environ, start_response)

    def stop_jobs(self) -> None:
        """Stop all running jobs at once and wait for them."""
        self._executor.stop_all()

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        _check_combinations(request)
        self._references.check(request)
        job = TrainingJob({"StoppingCondition": {"MaxRuntimeInSeconds": _DAY}, **request})
        with self._lock:
            if existing := self._jobs.get(job.name):
                raise ServiceError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training"
                    f" job with this name already exists ({existing.arn})",
                )
            self._jobs[job.name] = job
        self._executor.start(job)
        return {"TrainingJobArn": job.arn}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._job(request).describe()

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self._job(request)
        if not job.request_stop():
            raise _refusal(f"The request was rejected because the training job is in status {job.status}.")
        return {}

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            jobs = [job for job in self._jobs.values() if _selected(job, request)]
        jobs.sort(key=_SORT_KEYS[request.get("SortBy", "CreationTime")])
        if request.get("SortOrder") == "Descending":
            jobs.reverse()
        start = int(request.get("NextToken", 0))
        end = start + request.get("MaxResults", _PAGE)
        answer: dict[str, Any] = {"TrainingJobSummaries": [job.summary() for job in jobs[start:end]]}
        if end < len(jobs):
            answer["NextToken"] = str(end)
        return answer

    def _add_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        job = self._job_of_arn(request["ResourceArn"])
        job.tags.update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
        return {"Tags": _tags(job)}

    def _list_tags(self, request: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": _tags(self._job_of_arn(request["ResourceArn"]))}

    def _job(self, request: dict[str, Any]) -> TrainingJob:
        with self._lock:
            job = self._jobs.get(request["TrainingJobName"])
        if job is None:
            raise _refusal("Requested resource not found.")
        return job

    def _job_of_arn(self, arn: str) -> TrainingJob:
        return self._job({"TrainingJobName": arn.rpartition("/")[2]})


def _check_combinations(request: dict[str, Any]) -> None:
    """Check what the model cannot express: members that require or exclude each other."""
    algorithm = request.get("AlgorithmSpecification", {})
    if not algorithm.get("TrainingImage"):
        raise _refusal("The rig runs images only: AlgorithmSpecification.TrainingImage is missing.")
    resources = request.get("ResourceConfig", {})
    if not resources.get("InstanceGroups") and not (resources.get("InstanceType") and resources.get("InstanceCount")):
        raise _refusal("ResourceConfig must name an InstanceType and an InstanceCount of at least 1.")
    if resources.get("InstanceGroups") and (resources.get("InstanceType") or resources.get("InstanceCount")):
        raise _refusal("ResourceConfig must name InstanceGroups, or an InstanceType and an InstanceCount, but not both.")
    _check_groups(request, [group["InstanceGroupName"] for group in resources.get("InstanceGroups", [])])
    modes = [algorithm["TrainingInputMode"], *(c.get("InputMode") for c in request.get("InputDataConfig", []))]
    if "Pipe" in modes:
        raise _refusal("The rig does not feed pipes: use input mode File or FastFile.")
    channels = [channel["ChannelName"] for channel in request.get("InputDataConfig", [])]
    if len(channels) != len(set(channels)):
        raise _refusal("Channel names must be unique within a training job.")
    _check_times(request.get("StoppingCondition", {}), request.get("EnableManagedSpotTraining", False))


def _check_groups(request: dict[str, Any], groups: list[str]) -> None:
    if len(groups) != len(set(groups)):
        raise _refusal("Instance group names must be unique within a training job.")
    for channel in request.get("InputDataConfig", []):
        source = channel["DataSource"].get("S3DataSource", {})
        for name in source.get("InstanceGroupNames", []):
            if name not in groups:
                raise _refusal(f"Instance group {name} of channel {channel['ChannelName']} is not defined.")


def _check_times(condition: dict[str, int], spot: bool) -> None:
    runtime, wait = condition.get("MaxRuntimeInSeconds", _DAY), condition.get("MaxWaitTimeInSeconds")
    if runtime > _LONGEST_RUNTIME:
        raise _refusal(f"MaxRuntimeInSeconds must be less than or equal to {_LONGEST_RUNTIME}")
    if spot and (wait is None or wait < runtime):
        raise _refusal(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )
    if not spot and wait is not None:
        raise _refusal(
            "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
        )


def _selected(job: TrainingJob, request: dict[str, Any]) -> bool:
    return (
        request.get("NameContains", "") in job.name
        and request.get("StatusEquals", job.status) == job.status
        and _within(job.created, request, "CreationTime")
        and _within(job.modified, request, "LastModifiedTime")
    )


def _within(moment: float, request: dict[str, Any], what: str) -> bool:
    return request.get(f"{what}After", 0) <= moment <= request.get(f"{what}Before", moment)


def _tags(job: TrainingJob) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in job.tags.items()]


def _refusal(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
