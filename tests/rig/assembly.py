"""Assembles, starts, seeds and stops the rig."""

import json
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from . import settings as world
from .aws import AwsEndpoint, FrontDoor
from .calls import CallLog
from .control import Control
from .ecr import Ecr, repository_exists
from .faults import FaultPlan
from .gateway import Gateway
from .iam import Iam
from .identify import aws_call, registry_call
from .quotas import Quotas
from .registry import Registry
from .registry_proxy import RegistryProxy
from .s3 import S3
from .sagemaker.api import SageMaker
from .sagemaker.containers import Engine
from .sagemaker.executor import Executor
from .sagemaker.references import References
from .settings import Settings
from .storage import Storage
from .web import Door


class Rig:
    """The assembled rig, with three servers: AWS, the image registry, and an inner one.

    The inner server is moto alone. The executor uses it, so that the faults and the call log for
    the program under test do not affect the rig's own requests.
    """

    def __init__(self, state: Path, registry_program: Path) -> None:
        self._description_file = state / "rig.json"
        self._description_file.unlink(missing_ok=True)  # A killed rig may have left its file.
        self._aws_door, self._registry_door, self._inner_door = Door(), Door(), Door()
        self._registry = Registry(registry_program, state / "registry")
        self._engine = Engine(self._registry, f"{os.getpid()}")
        self._sagemaker = self._wire()

    def _wire(self) -> SageMaker:
        moto = DomainDispatcherApplication(create_backend_app)
        calls, plan, settings = CallLog(), FaultPlan(), Settings()
        address = self._registry_door.address

        storage = Storage(self._client("s3"))
        references = References(self._client("iam"), storage, self._registry, address)
        executor = Executor(self._engine, storage, self._registry, references, settings)
        sagemaker = SageMaker(moto, references, executor)
        aws = AwsEndpoint(
            moto,
            {
                "s3": S3(moto),
                "sagemaker": sagemaker,
                "ecr": Ecr(moto, self._registry, address),
                "iam": Iam(moto, settings),
                "service-quotas": Quotas(moto, settings),
            },
        )
        control = Control(plan, calls, settings, storage, sagemaker.stop_jobs)

        self._inner_door.open(moto)
        self._aws_door.open(FrontDoor(control, Gateway(aws, aws_call, calls, plan)))
        proxy = RegistryProxy(self._registry, repository_exists)
        self._registry_door.open(Gateway(proxy, registry_call, calls, plan))
        return sagemaker

    def start(self) -> None:
        """Start the registry, seed the resources for tests, and write the description."""
        self._registry.start()
        self._seed()
        self._registry.wait()
        _write_atomically(self._description_file, json.dumps(self._description(), indent=2) + "\n")

    def stop(self) -> None:
        """Stop everything in reverse order, even if stopping a part fails."""
        with ExitStack() as steps:
            steps.callback(self._registry.stop)
            for door in (self._aws_door, self._registry_door, self._inner_door):
                steps.callback(door.close)
            steps.callback(self._engine.clean_up)
            steps.callback(self._sagemaker.stop_jobs)
            steps.callback(self._description_file.unlink, missing_ok=True)

    def _seed(self) -> None:
        iam, s3 = self._client("iam"), self._client("s3")
        for role, service in ((world.ROLE, "sagemaker"), (world.UNTRUSTED_ROLE, "lambda")):
            iam.create_role(RoleName=role, AssumeRolePolicyDocument=_trust(f"{service}.amazonaws.com"))
        s3.create_bucket(Bucket=world.BUCKET)
        s3.create_bucket(
            Bucket=world.FOREIGN_BUCKET,
            CreateBucketConfiguration={"LocationConstraint": world.FOREIGN_REGION},
        )

    def _description(self) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "endpoint": self._aws_door.url,
            "registry": self._registry_door.address,
            "account": world.ACCOUNT,
            "region": world.REGION,
            "role": world.ROLE,
            "untrusted_role": world.UNTRUSTED_ROLE,
            "bucket": world.BUCKET,
            "foreign_bucket": world.FOREIGN_BUCKET,
            "env": {
                "AWS_ENDPOINT_URL": self._aws_door.url,
                "AWS_ACCESS_KEY_ID": world.ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": world.SECRET_KEY,
                "AWS_REGION": world.REGION,
                "AWS_DEFAULT_REGION": world.REGION,
                "AWS_EC2_METADATA_DISABLED": "true",
            },
        }

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self._inner_door.url,
            region_name=world.REGION,
            aws_access_key_id=world.ACCESS_KEY,
            aws_secret_access_key=world.SECRET_KEY,
        )


def _trust(service: str) -> str:
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _write_atomically(path: Path, text: str) -> None:
    """Write a file so that readers never see a part of it."""
    unfinished = path.with_suffix(".new")
    unfinished.write_text(text)
    unfinished.replace(path)
