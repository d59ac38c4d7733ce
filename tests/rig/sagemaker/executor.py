"""Runs a training job: download, train, upload, with failure or stop in between."""

import logging
import queue
import tempfile
import threading
import time
from dataclasses import dataclass

from docker.errors import DockerException
from docker.models.networks import Network

from ..errors import ServiceError
from ..registry import DOCKER_MANIFEST, Registry
from ..settings import Settings
from ..storage import Storage
from . import artifacts
from .containers import Container, Engine
from .inputs import hosts, write_inputs
from .job import TrainingJob
from .references import References

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.05
_FAILURE_FILE = "/opt/ml/output/failure"
_LONGEST_FAILURE = 1024

Exits = queue.Queue[tuple[Container, int]]


class JobFailed(Exception):
    """Ends a job with a FailureReason."""


@dataclass
class Outcome:
    """How the containers of a job ended."""

    failed: Container | None = None
    exit_code: int = 0
    stopped: bool = False
    exceeded: bool = False


class Executor:
    """Runs every job on its own thread."""

    def __init__(
        self, engine: Engine, storage: Storage, registry: Registry, references: References, settings: Settings
    ) -> None:
        self._engine = engine
        self._storage = storage
        self._registry = registry
        self._references = references
        self._settings = settings
        self._lock = threading.Lock()
        self._running: dict[TrainingJob, threading.Thread] = {}

    def start(self, job: TrainingJob) -> None:
        thread = threading.Thread(target=self._run, args=(job,), name=f"job {job.name}", daemon=True)
        with self._lock:
            self._running[job] = thread
        thread.start()

    def stop_all(self) -> None:
        """Stop all jobs without the service's grace period, and wait for their end."""
        with self._lock:
            running = dict(self._running)
        for job in running:
            job.abandoned.set()
            job.request_stop()
        for thread in running.values():
            thread.join()

    def _run(self, job: TrainingJob) -> None:
        containers: list[Container] = []
        networks: list[Network] = []
        try:
            self._live(job, containers, networks)
        except JobFailed as failure:
            job.finish("Failed", "Failed", "Training job failed", str(failure))
        except Exception as error:
            _log.exception("job %s", job.name)
            job.finish("Failed", "Failed", "Training job failed", f"InternalServerError: {error}")
        finally:
            for part in [*containers, *networks]:
                part.remove()
            with self._lock:
                del self._running[job]

    def _live(self, job: TrainingJob, containers: list[Container], networks: list[Network]) -> None:
        job.start_billing()
        job.advance("Downloading", "Downloading the training image")
        image = self._pull(job)
        self._create(job, image, containers, networks)
        if not job.stop_requested.is_set():
            job.advance("Training", "Training image download completed. Training in progress.")
            outcome = self._train(job, containers)
            job.advance("Uploading", "Uploading generated training model")
            self._upload(job, containers, outcome)
            if outcome.failed is not None:
                raise JobFailed(_failure_reason(outcome.failed, outcome.exit_code))
            if outcome.exceeded:
                job.finish("Stopped", "MaxRuntimeExceeded", "Training job runtime exceeded MaxRuntimeInSeconds")
                return
            if not outcome.stopped:
                job.finish("Completed", "Completed", "Training job completed")
                return
        job.finish("Stopped", "Stopped", "Training job stopped")

    def _pull(self, job: TrainingJob) -> str:
        """The image, if the service accepts it: it must have exactly the right platform."""
        try:
            repository, manifest = self._references.image(job.request)
        except ServiceError as error:
            raise JobFailed(f"ClientError: {error.message}") from error
        image = job.request["AlgorithmSpecification"]["TrainingImage"]
        if manifest.media_type != DOCKER_MANIFEST:
            raise JobFailed(
                f"ClientError: Unsupported manifest media type {manifest.media_type} for image {image}."
                " Ensure that valid manifest media type is used for specified image."
            )
        config = self._registry.blob(repository, manifest.content["config"]["digest"])
        platform = f"{config.get('os')}/{config.get('architecture')}"
        if platform != "linux/amd64":
            raise JobFailed(f"ClientError: The image {image} is for {platform}; instances run linux/amd64.")
        try:
            return self._engine.pull(repository, manifest.digest)
        except DockerException as error:
            raise JobFailed(f"ClientError: Failed to download the image {image}: {error}") from error

    def _create(self, job: TrainingJob, image: str, containers: list[Container], networks: list[Network]) -> None:
        job.advance("Downloading", "Downloading input data")
        cluster = hosts(job.request["ResourceConfig"])
        if len(cluster) > 1:
            networks.append(self._engine.network(job))
        for host in cluster:
            containers.append(self._engine.create(job, host, image, networks[0] if networks else None))
            with tempfile.TemporaryFile() as tar:
                write_inputs(job.request, host, cluster, self._storage, tar)
                tar.seek(0)
                containers[-1].provide(tar)

    def _train(self, job: TrainingJob, containers: list[Container]) -> Outcome:
        """Run all containers to their end. A failed one ends the others, and so does a stop, with a grace period."""
        exits: Exits = queue.Queue()
        for container in containers:
            _launch(container, exits)
        running = list(containers)
        outcome = Outcome()
        runtime_ends = time.monotonic() + job.max_runtime
        grace_ends: float | None = None
        while running:
            try:
                container, code = exits.get(timeout=_POLL_SECONDS)
                running.remove(container)
            except queue.Empty:
                code = 0
            if code and grace_ends is None and outcome.failed is None:
                outcome.failed, outcome.exit_code = container, code
                _signal(running, "SIGKILL")
            if grace_ends is None and outcome.failed is None:
                outcome.stopped = job.stop_requested.is_set()
                outcome.exceeded = not outcome.stopped and time.monotonic() > runtime_ends
                if outcome.exceeded:
                    job.stopping("Stopping", "Stopping the training job: MaxRuntimeInSeconds is over")
                if outcome.stopped or outcome.exceeded:
                    _signal(running, "SIGTERM")
                    grace_ends = time.monotonic() + self._settings.stop_grace_seconds
            elif grace_ends is not None and (job.abandoned.is_set() or time.monotonic() > grace_ends):
                _signal(running, "SIGKILL")
                grace_ends = float("inf")
        return outcome

    def _upload(self, job: TrainingJob, containers: list[Container], outcome: Outcome) -> None:
        """Upload the results. A failed job has its output and checkpoints, but no model."""
        if outcome.failed is None:
            artifacts.upload_model(job, containers, self._storage)
        artifacts.upload_output(job, containers, self._storage)
        artifacts.upload_checkpoints(job, containers, self._storage)


def _launch(container: Container, exits: Exits) -> None:
    """Start it immediately, so that a signal finds it running. Wait for its end on another thread."""
    code = container.start()
    if code is not None:
        exits.put((container, code))
        return
    threading.Thread(target=lambda: exits.put((container, container.wait())), daemon=True).start()


def _failure_reason(failed: Container, exit_code: int) -> str:
    failure = failed.read(_FAILURE_FILE) or ""
    return f"AlgorithmError: {failure[:_LONGEST_FAILURE]}, exit code: {exit_code}"


def _signal(containers: list[Container], name: str) -> None:
    for container in containers:
        container.signal(name)
