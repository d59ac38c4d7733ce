"""The hosts of a training job as containers of the local Docker Engine."""

import io
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any

import docker
from docker.errors import APIError, NotFound
from docker.models.containers import Container as DockerContainer
from docker.models.networks import Network
from docker.types import LogConfig, Mount

from ..registry import USER, Registry
from .inputs import Host
from .job import TrainingJob
from .logs import LogShipper, LogStream

_LABEL = "alekseylearn.rig"
_CHUNK = 1024 * 1024
_NOT_FOUND_EXIT_CODE = 127
"""The exit code of a shell for a missing command, and of a container that cannot start."""


class Container:
    """One host of a job. Files are copied through the engine, so nothing stays on this disk."""

    def __init__(self, container: DockerContainer, stream: LogStream) -> None:
        self._container = container
        self._stream = stream
        self._shipper: LogShipper | None = None

    def provide(self, tar: IO[bytes]) -> None:
        """Unpack a tar at the root of the container, before it starts."""
        self._container.put_archive("/", tar)

    def start(self) -> int | None:
        """Start it with its output already attached, so that not even the first line is lost.

        A command that the image does not have is told in the log and is an exit code at once.
        """
        frames = self._container.attach(stdout=True, stderr=True, stream=True, demux=True)
        try:
            self._container.start()
        except APIError as error:
            if not error.is_client_error():
                raise
            self._stream.add(str(error.explanation).encode())
            self._stream.flush()
            return _NOT_FOUND_EXIT_CODE
        self._shipper = LogShipper(frames, self._stream)
        return None

    def wait(self) -> int:
        """Its exit code, once it has ended and its last line has arrived."""
        code = self._container.wait()["StatusCode"]
        if self._shipper:
            self._shipper.join()
        return code

    def signal(self, name: str) -> None:
        with suppress(APIError):  # It may have ended in the meantime.
            self._container.kill(name)

    def archive(self, path: str) -> Iterator[bytes] | None:
        """A tar of a file or folder; None if there is none."""
        try:
            return self._container.get_archive(path, chunk_size=_CHUNK)[0]
        except NotFound:
            return None

    def read(self, path: str) -> str | None:
        """A small text file; None if there is none."""
        archive = self.archive(path)
        if archive is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(archive))) as tar:
            files = [tar.extractfile(member) for member in tar]
            return files[0].read().decode(errors="replace") if files[0] else None

    def remove(self) -> None:
        self._container.remove(force=True, v=True)


class Engine:
    """The Docker Engine, as far as this rig uses it. Everything that it creates has the rig's label."""

    def __init__(self, registry: Registry, name: str) -> None:
        self._registry = registry
        self._label = {_LABEL: name}
        self._pulled: set[str] = set()
        self._docker: docker.DockerClient | None = None

    @property
    def _client(self) -> docker.DockerClient:
        """The connection, made when first needed: without Docker, everything except running jobs works."""
        if self._docker is None:
            self._docker = docker.from_env(timeout=None)
        return self._docker

    def pull(self, repository: str, digest: str) -> str:
        """Pull from the registry itself, without faults. Returns the image's name."""
        name = f"{self._registry.address}/{repository}"
        self._client.images.pull(name, tag=digest, auth_config={"username": USER, "password": self._registry.password})
        self._pulled.add(f"{name}@{digest}")
        return f"{name}@{digest}"

    def network(self, job: TrainingJob) -> Network:
        """A private network on which the hosts of a job find each other by name."""
        isolated = job.request.get("EnableNetworkIsolation", False)
        return self._client.networks.create(f"rig-{job.name}", driver="bridge", internal=isolated, labels=self._label)

    def create(self, job: TrainingJob, host: Host, image: str, network: Network | None) -> Container:
        container = self._client.containers.create(
            image,
            **_command(job.request["AlgorithmSpecification"]),
            environment={
                **job.request.get("Environment", {}),
                "TRAINING_JOB_NAME": job.name,
                "TRAINING_JOB_ARN": job.arn,
            },
            hostname=host.name,
            labels=self._label,
            log_config=LogConfig(type="none"),
            mounts=[Mount("/opt/ml", None, type="volume", no_copy=True)],
            **self._networking(job, host, network),
        )
        return Container(container, LogStream(job.name, host.name))

    def _networking(self, job: TrainingJob, host: Host, network: Network | None) -> dict[str, Any]:
        if network is not None:
            endpoint = self._client.api.create_endpoint_config(aliases=[host.name])
            return {"network": network.name, "networking_config": {network.name: endpoint}}
        return {"network_mode": "none"} if job.request.get("EnableNetworkIsolation") else {}

    def clean_up(self) -> None:
        """Remove remaining containers, networks, and the names of pulled images."""
        if self._docker is None:
            return
        label = f"{_LABEL}={self._label[_LABEL]}"
        for container in self._client.containers.list(all=True, filters={"label": label}):
            container.remove(force=True, v=True)
        for network in self._client.networks.list(filters={"label": label}):
            network.remove()
        for image in self._pulled:
            with suppress(APIError):  # It may be in use, or already removed.
                self._client.images.remove(image)


def _command(algorithm: dict[str, Any]) -> dict[str, Any]:
    """The argument is `train`, unless the job brings its own entrypoint or arguments."""
    entrypoint, arguments = algorithm.get("ContainerEntrypoint"), algorithm.get("ContainerArguments")
    if entrypoint:
        return {"entrypoint": entrypoint, "command": arguments or []}
    return {"command": arguments or ["train"]}
