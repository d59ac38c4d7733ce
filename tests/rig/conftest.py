"""Fixtures: the rig under test, its clients, and an image that runs a test's shell script."""

import base64
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
import requests
from botocore.config import Config

_PACKAGES = Path(__file__).parent.parent
_ENTRY = b'[ "$1" = train ] || { echo "unknown argument $1" >&2; exit 64; }\neval "$SCRIPT"\n'


@dataclass(frozen=True)
class RigUnderTest:
    """The content of rig.json, and the seams."""

    facts: dict[str, Any]

    @property
    def role_arn(self) -> str:
        return f"arn:aws:iam::{self.facts['account']}:role/{self.facts['role']}"

    @property
    def output(self) -> str:
        return f"s3://{self.facts['bucket']}/output"

    def client(self, service: str, **config: Any) -> Any:
        env = self.facts["env"]
        return boto3.client(
            service,
            endpoint_url=self.facts["endpoint"],
            region_name=self.facts["region"],
            aws_access_key_id=env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=env["AWS_SECRET_ACCESS_KEY"],
            config=Config(**config),
        )

    def seam(self, method: str, name: str, body: Any = None) -> requests.Response:
        return requests.request(method, f"{self.facts['endpoint']}/_rig/{name}", json=body, timeout=60)

    def fault(self, fault: str, times: int | None = 1, match: dict[str, str] | None = None, **more: Any) -> None:
        body = {"match": match or {}, "fault": fault, "times": times, **more}
        self.seam("POST", "faults", body).raise_for_status()


@pytest.fixture(scope="session")
def running_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RigUnderTest]:
    """The rig in ALEKSEYLEARN_RIG, or a new one."""
    if given := os.environ.get("ALEKSEYLEARN_RIG"):
        yield RigUnderTest(json.loads(Path(given).read_text()))
        return
    program = os.environ.get("ALEKSEYLEARN_REGISTRY_PROGRAM")
    if not program:
        pytest.skip("neither ALEKSEYLEARN_RIG nor ALEKSEYLEARN_REGISTRY_PROGRAM is set")
    state = tmp_path_factory.mktemp("rig")
    command = [sys.executable, "-m", "rig", "--state", str(state), "--registry-program", program]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(_PACKAGES)})
    try:
        wait_until((state / "rig.json").exists)
        yield RigUnderTest(json.loads((state / "rig.json").read_text()))
    finally:
        process.terminate()
        assert process.wait(timeout=60) == 0


@pytest.fixture
def rig(running_rig: RigUnderTest) -> Iterator[RigUnderTest]:
    """The rig after a reset. Objects of earlier tests remain."""
    running_rig.seam("POST", "reset").raise_for_status()
    yield running_rig
    running_rig.seam("POST", "reset").raise_for_status()


@pytest.fixture(scope="session")
def engine() -> docker.DockerClient:
    try:
        client = docker.from_env()
        client.ping()
    except docker.errors.DockerException as error:
        pytest.skip(f"no Docker Engine: {error}")
    return client


@pytest.fixture(scope="session")
def local_image(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An image with only busybox. Its argument must be `train`, and it runs the script in SCRIPT."""
    tag = f"rig-test:{uuid.uuid4().hex[:8]}"
    root = _busybox_root(tmp_path_factory.mktemp("busybox"))
    repository, _, name = tag.partition(":")
    engine.api.import_image_from_data(
        root, repository=repository, tag=name, changes=['ENTRYPOINT ["/bin/sh", "/entry.sh"]']
    )
    yield tag
    engine.images.remove(tag, force=True)


@pytest.fixture(scope="session")
def image(running_rig: RigUnderTest, engine: docker.DockerClient, local_image: str) -> str:
    """The same image, pushed to a repository of the rig's ECR."""
    uri = running_rig.client("ecr").create_repository(repositoryName=f"rig-test-{uuid.uuid4().hex[:8]}")
    name = f"{uri['repository']['repositoryUri']}:latest"
    push(running_rig, engine, local_image, name)
    return name


@pytest.fixture
def job_request(rig: RigUnderTest, image: str) -> Callable[..., dict[str, Any]]:
    """Makes a request for a job that runs a shell script."""

    def make(script: str = "true", **members: Any) -> dict[str, Any]:
        return {
            "TrainingJobName": f"test-{uuid.uuid4().hex[:12]}",
            "RoleArn": rig.role_arn,
            "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": rig.output},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            "Environment": {"SCRIPT": script},
            **members,
        }

    return make


def push(rig: RigUnderTest, engine: docker.DockerClient, local: str, remote: str) -> None:
    """Tag and push with ECR's token. Raise errors in the stream, because the HTTP status is 200 anyway."""
    entry = rig.client("ecr").get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(entry["authorizationToken"]).decode().partition(":")
    engine.images.get(local).tag(remote)
    try:
        login = {"username": user, "password": password}
        for event in engine.api.push(remote, stream=True, decode=True, auth_config=login):
            if "error" in event:
                raise RuntimeError(event["error"])
    finally:
        engine.images.remove(remote, noprune=True)


def wait_until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.05)
    raise TimeoutError("the condition did not come true")


def _busybox_root(folder: Path) -> bytes:
    """A root file system of Debian's static busybox, as a tar."""
    try:
        subprocess.run(["apt-get", "download", "-qq", "busybox-static"], cwd=folder, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no busybox-static to make an image of: {error}")
    package = next(folder.glob("*.deb"))
    subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    program = folder / "root/bin/busybox"
    applets = subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(program, "bin/busybox")
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        entry = tarfile.TarInfo("entry.sh")
        entry.size = len(_ENTRY)
        tar.addfile(entry, io.BytesIO(_ENTRY))
    return content.getvalue()
