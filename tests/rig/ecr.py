"""The parts of ECR that moto invents, taken from the real registry.

moto stores the repositories and their policies. This adds their real addresses, a working token
for the registry, and the images that were really pushed.
"""

import json
import time
from base64 import b64encode
from typing import Any

import botocore.session
import moto.ecr.models
from moto.ecr.models import ecr_backends
from werkzeug.test import run_wsgi_app
from werkzeug.wrappers import Response

from .errors import ServiceError
from .registry import USER, Manifest, Registry
from .settings import ACCOUNT, REGION
from .web import Environ, read_body

_CONTENT_TYPE = "application/x-amz-json-1.1"
_TOKEN_SECONDS = 12 * 3600
_WITH_ADDRESSES = {"CreateRepository", "DescribeRepositories", "DeleteRepository"}


def repository_exists(name: str) -> bool:
    return name in ecr_backends[ACCOUNT][REGION].repositories


class Ecr:
    """Serves ECR's calls. `address` is where clients push to."""

    def __init__(self, backend: Any, registry: Registry, address: str) -> None:
        self._backend = backend
        self._registry = registry
        self._address = address
        moto.ecr.models.ECR_REPOSITORY_NAME_PATTERN = _repository_name_pattern()
        self._own = {
            "GetAuthorizationToken": self._authorization_token,
            "DescribeImages": self._describe_images,
            "ListImages": self._list_images,
            "BatchGetImage": self._batch_get_image,
        }

    def __call__(self, environ: Environ, start_response: Any) -> Any:
        operation = environ["rig.call"].operation
        if operation in _WITH_ADDRESSES:
            response = self._with_addresses(environ)
        elif answer := self._own.get(operation):
            response = _answered(answer, json.loads(read_body(environ) or b"{}"))
        else:
            return self._backend(environ, start_response)
        return response(environ, start_response)

    def _with_addresses(self, environ: Environ) -> Response:
        body, status, headers = run_wsgi_app(self._backend, environ)
        answer = json.loads(b"".join(body))
        for repository in [*answer.get("repositories", []), answer.get("repository")]:
            if repository:
                repository["repositoryUri"] = f"{self._address}/{repository['repositoryName']}"
        headers.remove("Content-Length")
        return Response(json.dumps(answer), status, headers)

    def _authorization_token(self, _: dict[str, Any]) -> dict[str, Any]:
        token = b64encode(f"{USER}:{self._registry.password}".encode()).decode()
        entry = {
            "authorizationToken": token,
            "expiresAt": time.time() + _TOKEN_SECONDS,
            "proxyEndpoint": f"http://{self._address}",
        }
        return {"authorizationData": [entry]}

    def _describe_images(self, request: dict[str, Any]) -> dict[str, Any]:
        repository = _repository(request)
        tags = self._tags_by_digest(repository)
        if "imageIds" in request:
            found = [self._required(repository, image_id) for image_id in request["imageIds"]]
        else:
            found = [self._required(repository, {"imageDigest": digest}) for digest in tags]
        return {"imageDetails": [_details(repository, manifest, tags) for manifest in found]}

    def _list_images(self, request: dict[str, Any]) -> dict[str, Any]:
        tags = self._tags_by_digest(_repository(request))
        ids = [{"imageDigest": digest, "imageTag": tag} for digest, names in tags.items() for tag in names]
        return {"imageIds": ids}

    def _batch_get_image(self, request: dict[str, Any]) -> dict[str, Any]:
        repository = _repository(request)
        images, failures = [], []
        for image_id in request.get("imageIds", []):
            manifest = self._find(repository, image_id)
            if manifest is None:
                reason = {"failureCode": "ImageNotFound", "failureReason": "Requested image not found"}
                failures.append({"imageId": image_id, **reason})
                continue
            images.append(
                {
                    "registryId": ACCOUNT,
                    "repositoryName": repository,
                    "imageId": {**image_id, "imageDigest": manifest.digest},
                    "imageManifest": manifest.text,
                    "imageManifestMediaType": manifest.media_type,
                }
            )
        return {"images": images, "failures": failures}

    def _find(self, repository: str, image_id: dict[str, str]) -> Manifest | None:
        reference = image_id.get("imageDigest") or image_id.get("imageTag")
        if not reference:
            raise ServiceError("InvalidParameterException", "Invalid request parameters: imageIds")
        return self._registry.manifest(repository, reference)

    def _required(self, repository: str, image_id: dict[str, str]) -> Manifest:
        manifest = self._find(repository, image_id)
        if manifest is None:
            digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
            raise ServiceError(
                "ImageNotFoundException",
                f"The image with imageId {{imageDigest:'{digest}', imageTag:'{tag}'}} does not exist"
                f" within the repository with name '{repository}' in the registry with id '{ACCOUNT}'",
            )
        return manifest

    def _tags_by_digest(self, repository: str) -> dict[str, list[str]]:
        tags: dict[str, list[str]] = {}
        for tag in self._registry.tags(repository):
            if manifest := self._registry.manifest(repository, tag):
                tags.setdefault(manifest.digest, []).append(tag)
        return tags


def _answered(answer: Any, request: dict[str, Any]) -> Response:
    try:
        return Response(json.dumps(answer(request)), content_type=_CONTENT_TYPE)
    except ServiceError as error:
        return error.response()


def _repository_name_pattern() -> str:
    """The rule of the service's model. moto's own is older and has no lengths."""
    rule = botocore.session.get_session().get_service_model("ecr").shape_for("RepositoryName").metadata
    return f"(?=.{{{rule['min']},{rule['max']}}}$){rule['pattern']}"


def _repository(request: dict[str, Any]) -> str:
    name = request.get("repositoryName", "")
    if not repository_exists(name):
        raise ServiceError(
            "RepositoryNotFoundException",
            f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'",
        )
    return name


def _details(repository: str, manifest: Manifest, tags: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "imageDigest": manifest.digest,
        "imageTags": tags.get(manifest.digest, []),
        "imageSizeInBytes": manifest.size,
        "imageManifestMediaType": manifest.media_type,
        "artifactMediaType": manifest.content.get("config", {}).get("mediaType", manifest.media_type),
    }
