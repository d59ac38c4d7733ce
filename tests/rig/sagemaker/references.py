"""Refuses a job with a role, bucket or image that does not exist.

The words are those the service uses, where they are known from public reports.
"""

import json
from typing import Any

from botocore.exceptions import ClientError

from ..ecr import repository_exists
from ..errors import ServiceError
from ..registry import Manifest, Registry
from ..settings import ACCOUNT, REGION
from ..storage import Location, Storage

_PRINCIPAL = "sagemaker.amazonaws.com"


class References:
    """Looks up the resources in a request. `address` is where clients push images to."""

    def __init__(self, iam: Any, storage: Storage, registry: Registry, address: str) -> None:
        self._iam = iam
        self._storage = storage
        self._registry = registry
        self._address = address

    def check(self, request: dict[str, Any]) -> None:
        self._check_role(request["RoleArn"])
        self._check_output(request["OutputDataConfig"]["S3OutputPath"])
        for channel in request.get("InputDataConfig", []):
            self._check_input(channel, request["RoleArn"])
        if checkpoints := request.get("CheckpointConfig"):
            self._check_output(checkpoints["S3Uri"])
        self.image(request)

    def image(self, request: dict[str, Any]) -> tuple[str, Manifest]:
        """The repository and the manifest of the job's image."""
        image = request["AlgorithmSpecification"]["TrainingImage"]
        host, _, rest = image.partition("/")
        if host != self._address or not rest:
            raise _refusal(
                "Invalid training image. Please provide a valid Amazon Elastic Container Registry"
                " path of the Docker image to run."
            )
        repository, reference = _split(rest)
        if not repository_exists(repository):
            raise _refusal(
                f"Cannot find repository: {repository} in registry ID: {ACCOUNT}. Please check if your"
                f" ECR repository exists and role {request['RoleArn']} has proper pull permissions for"
                " SageMaker: ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, ecr:GetDownloadUrlForLayer"
            )
        manifest = self._registry.manifest(repository, reference)
        if manifest is None:
            raise _refusal(f"Cannot find the requested image: {image}")
        return repository, manifest

    def _check_role(self, arn: str) -> None:
        try:
            role = self._iam.get_role(RoleName=arn.rsplit("/", 1)[-1])["Role"]
        except ClientError:
            role = None
        if role is None or role["Arn"] != arn or not _trusts_sagemaker(role["AssumeRolePolicyDocument"]):
            raise _refusal(
                f"Could not assume role {arn}. Please ensure that the role exists and allows"
                f" principal '{_PRINCIPAL}' to assume the role."
            )

    def _check_output(self, uri: str) -> None:
        bucket = Location.parse(uri).bucket
        region = self._storage.region(bucket)
        if region is None:
            raise _refusal(f"S3 bucket {bucket} given in output data config does not exist.")
        if region != REGION:
            raise _refusal(f"The bucket {bucket} is in region {region}, not in the selected region ({REGION}).")

    def _check_input(self, channel: dict[str, Any], role: str) -> None:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise _refusal("The rig reads input data from S3 only.")
        location = Location.parse(source["S3Uri"])
        if self._storage.region(location.bucket) == REGION and self._storage.keys(location):
            return
        raise _refusal(
            f'No S3 objects found under S3 URL "{location.uri}" given in input data source. Please ensure'
            f" that the bucket exists in the selected region ({REGION}), that objects exist under that S3"
            f' prefix, and that the role "{role}" has "s3:ListBucket" permissions on bucket "{location.bucket}".'
        )


def _split(name: str) -> tuple[str, str]:
    """`repository@digest`, `repository:tag` or `repository`."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository.partition(":")[0], digest
    repository, _, tag = name.partition(":")
    return repository, tag or "latest"


def _trusts_sagemaker(policy: str | dict[str, Any]) -> bool:
    document = json.loads(policy) if isinstance(policy, str) else policy
    for statement in _listed(document.get("Statement")):
        services = _listed(statement.get("Principal", {}).get("Service"))
        if statement.get("Effect") == "Allow" and _PRINCIPAL in services:
            return True
    return False


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _refusal(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)
