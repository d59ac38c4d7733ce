"""A training job's record: its request, its status and its timeline."""

import threading
import time
from typing import Any

from ..settings import ACCOUNT, REGION

TERMINAL = {"Completed", "Failed", "Stopped"}
_BEFORE_UPLOAD = {"Downloading", "Training"}


class TrainingJob:
    """A training job. The thread that runs it shares it with those that describe it."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.name: str = request["TrainingJobName"]
        self.arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/{self.name}"
        self.tags = {tag["Key"]: tag["Value"] for tag in request.get("Tags", [])}
        self.created = self.modified = time.time()
        self.status = "InProgress"
        self.secondary_status = "Starting"
        self.stop_requested = threading.Event()
        self.abandoned = threading.Event()
        """Whether the rig itself stops the job, without a grace period."""
        self._lock = threading.RLock()
        self._transitions: list[dict[str, Any]] = []
        self._failure_reason: str | None = None
        self._training_start: float | None = None
        self._training_end: float | None = None
        self.advance("Starting", "Preparing the instances for training")

    @property
    def output_prefix(self) -> str:
        """Where the artifacts go, as an S3 address without a slash at its end."""
        return f"{self.request['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{self.name}/output"

    @property
    def compresses_output(self) -> bool:
        return self.request["OutputDataConfig"].get("CompressionType", "GZIP") == "GZIP"

    @property
    def max_runtime(self) -> int:
        return self.request["StoppingCondition"]["MaxRuntimeInSeconds"]

    def advance(self, secondary_status: str, message: str) -> None:
        """Enter the next secondary status, or change the message of the current one."""
        with self._lock:
            if self.stop_requested.is_set() and secondary_status in _BEFORE_UPLOAD:
                return  # The job was stopped meanwhile, and must not resume.
            now = self.modified = time.time()
            self.secondary_status = secondary_status
            last = self._transitions[-1] if self._transitions else {}
            if last.get("Status") == secondary_status:
                last["StatusMessage"] = message
                return
            if last:
                last["EndTime"] = now
            self._transitions.append({"Status": secondary_status, "StartTime": now, "StatusMessage": message})

    def start_billing(self) -> None:
        """Start the billable time: the service charges for downloads too."""
        with self._lock:
            self._training_start = time.time()

    def request_stop(self) -> bool:
        """Request a running job to stop. Returns False if it has already ended."""
        with self._lock:
            if self.status in TERMINAL:
                return False
            self.stop_requested.set()
            self.stopping("Stopping", "Stopping the training job")
            return True

    def stopping(self, secondary_status: str, message: str) -> None:
        with self._lock:
            self.status = "Stopping"
            self.advance(secondary_status, message)

    def finish(self, status: str, secondary_status: str, message: str, failure_reason: str | None = None) -> None:
        with self._lock:
            self.advance(secondary_status, message)
            self._transitions[-1]["EndTime"] = self.modified
            self._failure_reason = failure_reason
            self._training_end = self.modified if self._training_start else None
            self.status = status

    def describe(self) -> dict[str, Any]:
        """The response of DescribeTrainingJob."""
        with self._lock:
            request = {name: value for name, value in self.request.items() if name != "Tags"}
            return request | self.summary() | self._result()

    def summary(self) -> dict[str, Any]:
        """One entry of ListTrainingJobs."""
        with self._lock:
            summary = {
                "TrainingJobName": self.name,
                "TrainingJobArn": self.arn,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "TrainingJobStatus": self.status,
                "SecondaryStatus": self.secondary_status,
                "TrainingEndTime": self._training_end,
            }
            return _given(summary)

    def _result(self) -> dict[str, Any]:
        artifact = "model.tar.gz" if self.compresses_output else "model/"
        seconds = None
        if self._training_start and self._training_end:
            seconds = max(1, round(self._training_end - self._training_start))
        result = {
            "SecondaryStatusTransitions": [dict(transition) for transition in self._transitions],
            "ModelArtifacts": {"S3ModelArtifacts": f"{self.output_prefix}/{artifact}"},
            "FailureReason": self._failure_reason,
            "TrainingStartTime": self._training_start,
            "TrainingTimeInSeconds": seconds,
            "BillableTimeInSeconds": seconds,
        }
        return _given(result)


def _given(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
