"""Tests of ECR: addresses, token, images and refusals."""

import json
import time
import uuid
from base64 import b64decode
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

import docker
import pytest
import requests
from botocore.exceptions import ClientError

from .conftest import RigUnderTest, push
from .test_jobs import Request, run

_INDEX = "application/vnd.oci.image.index.v1+json"


def login(rig: RigUnderTest) -> tuple[str, str]:
    entry = rig.client("ecr").get_authorization_token()["authorizationData"][0]
    user, _, password = b64decode(entry["authorizationToken"]).decode().partition(":")
    return user, password


def new_repository(rig: RigUnderTest) -> str:
    name = f"rig-test/{uuid.uuid4().hex[:8]}"
    rig.client("ecr").create_repository(repositoryName=name)
    return name


def test_the_token_opens_the_registry_for_twelve_hours(rig: RigUnderTest) -> None:
    entry = rig.client("ecr").get_authorization_token()["authorizationData"][0]
    assert entry["proxyEndpoint"] == f"http://{rig.facts['registry']}"
    hours = (entry["expiresAt"] - datetime.now(UTC)).total_seconds() / 3600
    assert 11.9 < hours <= 12
    assert requests.get(base(rig) + "/", auth=login(rig), timeout=10).status_code == 200
    denied = requests.get(base(rig) + "/", auth=("AWS", "wrong"), timeout=10)
    assert denied.status_code == 401
    assert denied.headers["WWW-Authenticate"].startswith("Basic ")


def test_repositories_have_the_registrys_address(rig: RigUnderTest) -> None:
    name = new_repository(rig)
    found = rig.client("ecr").describe_repositories(repositoryNames=[name])["repositories"][0]
    assert found["repositoryUri"] == f"{rig.facts['registry']}/{name}"
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        rig.client("ecr").describe_repositories(repositoryNames=["nobody-made-this"])
    with pytest.raises(ClientError, match="RepositoryAlreadyExistsException"):
        rig.client("ecr").create_repository(repositoryName=name)


@pytest.mark.parametrize("name", ["Capitals", "a", "-a", "a" * 257, "a//b"])
def test_a_wrong_repository_name_is_refused(rig: RigUnderTest, name: str) -> None:
    with pytest.raises(ClientError, match="InvalidParameterException"):
        rig.client("ecr", parameter_validation=False).create_repository(repositoryName=name)


@pytest.mark.parametrize("name", ["a__b", "a--b", "team/a.b-c_d"])
def test_a_valid_repository_name_is_accepted(rig: RigUnderTest, name: str) -> None:
    rig.client("ecr").create_repository(repositoryName=f"{name}/{uuid.uuid4().hex[:8]}")


def test_a_push_to_a_missing_repository_is_refused(
    rig: RigUnderTest, engine: docker.DockerClient, local_image: str
) -> None:
    with pytest.raises(RuntimeError, match="The repository with name 'missing' does not exist"):
        push(rig, engine, local_image, f"{rig.facts['registry']}/missing:1")


def test_images_are_those_of_the_registry(rig: RigUnderTest, image: str) -> None:
    ecr, name = rig.client("ecr"), repository_of(image)
    details = ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "latest"}])["imageDetails"]
    assert [entry["imageTags"] for entry in details] == [["latest"]]
    digest = details[0]["imageDigest"]
    assert digest in [entry["imageDigest"] for entry in ecr.describe_images(repositoryName=name)["imageDetails"]]
    answer = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "latest"}, {"imageTag": "other"}])
    assert "sha256:" + sha256(answer["images"][0]["imageManifest"].encode()).hexdigest() == digest
    assert answer["failures"][0]["failureCode"] == "ImageNotFound"
    assert {"imageDigest": digest, "imageTag": "latest"} in ecr.list_images(repositoryName=name)["imageIds"]
    with pytest.raises(ClientError, match="ImageNotFoundException"):
        ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": "other"}])
    with pytest.raises(ClientError, match="RepositoryNotFoundException"):
        ecr.describe_images(repositoryName="nobody-made-this")


def test_a_large_layer_passes_through(rig: RigUnderTest) -> None:
    repository, piece, count = new_repository(rig), b"x" * (1024 * 1024), 200
    started = time.monotonic()
    digest = put_blob(rig, repository, [piece] * count)
    received = requests.get(f"{base(rig)}/{repository}/blobs/{digest}", auth=login(rig), timeout=60).content
    assert len(received) == count * len(piece)
    print(f"{count} MiB up and down in {time.monotonic() - started:.1f} s")


def test_an_image_index_fails_the_job(rig: RigUnderTest, job_request: Request, image: str) -> None:
    """A build with an attestation pushes an index."""
    name = repository_of(image)
    detail = rig.client("ecr").describe_images(repositoryName=name)["imageDetails"][0]
    entry = {"mediaType": detail["imageManifestMediaType"], "digest": detail["imageDigest"], "size": 1}
    put_manifest(rig, name, "index", {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]})
    reason = reason_of_failure(rig, job_request, image, "index")
    assert f"Unsupported manifest media type {_INDEX}" in reason


def test_an_image_for_another_platform_fails_the_job(rig: RigUnderTest, job_request: Request, image: str) -> None:
    """A build on Apple Silicon pushes such an image."""
    name = repository_of(image)
    found = rig.client("ecr").batch_get_image(repositoryName=name, imageIds=[{"imageTag": "latest"}])
    manifest = json.loads(found["images"][0]["imageManifest"])
    config = json.dumps({"os": "linux", "architecture": "arm64"}).encode()
    manifest["config"].update(digest=put_blob(rig, name, [config]), size=len(config))
    put_manifest(rig, name, "arm64", manifest)
    assert "linux/arm64" in reason_of_failure(rig, job_request, image, "arm64")


def reason_of_failure(rig: RigUnderTest, job_request: Request, image: str, tag: str) -> str:
    request = job_request()
    request["AlgorithmSpecification"]["TrainingImage"] = image.replace(":latest", f":{tag}")
    return run(rig, request)["FailureReason"]


def repository_of(image: str) -> str:
    return image.partition("/")[2].partition(":")[0]


def base(rig: RigUnderTest) -> str:
    return f"http://{rig.facts['registry']}/v2"


def put_blob(rig: RigUnderTest, repository: str, pieces: list[bytes]) -> str:
    """Upload in chunks, as Docker does; returns the digest."""
    digest, auth = "sha256:" + sha256(b"".join(pieces)).hexdigest(), login(rig)
    opened = requests.post(f"{base(rig)}/{repository}/blobs/uploads/", auth=auth, timeout=10)
    place = urljoin(base(rig), opened.headers["Location"])
    patched = requests.patch(place, data=iter(pieces), auth=auth, timeout=60)
    place = urljoin(base(rig), patched.headers["Location"])
    requests.put(f"{place}&digest={digest}", auth=auth, timeout=60).raise_for_status()
    return digest


def put_manifest(rig: RigUnderTest, repository: str, tag: str, manifest: dict[str, Any]) -> None:
    requests.put(
        f"{base(rig)}/{repository}/manifests/{tag}",
        data=json.dumps(manifest),
        headers={"Content-Type": manifest["mediaType"]},
        auth=login(rig),
        timeout=10,
    ).raise_for_status()
