"""The content of /opt/ml when a container starts, as one tar stream."""

import io
import json
import tarfile
import tempfile
import time
from dataclasses import dataclass
from typing import IO, Any

from ..storage import Location, Storage

_FOLDERS = ("input", "input/config", "input/data", "model", "output", "output/data", "checkpoints")
DEFAULT_CHECKPOINTS = "/opt/ml/checkpoints/"


@dataclass(frozen=True)
class Host:
    """A machine of the job: its name, its type, and the instance group it belongs to."""

    name: str
    instance_type: str
    group: str


def hosts(resources: dict[str, Any]) -> list[Host]:
    """algo-1 to algo-N, over all instance groups."""
    groups = resources.get("InstanceGroups") or [
        {
            "InstanceGroupName": "homogeneousCluster",
            "InstanceType": resources["InstanceType"],
            "InstanceCount": resources["InstanceCount"],
        }
    ]
    machines = [group for group in groups for _ in range(group["InstanceCount"])]
    return [
        Host(f"algo-{number}", group["InstanceType"], group["InstanceGroupName"])
        for number, group in enumerate(machines, 1)
    ]


def write_inputs(request: dict[str, Any], host: Host, cluster: list[Host], storage: Storage, file: IO[bytes]) -> None:
    """Write the tar for one host: folders, configuration and data."""
    channels = [channel for channel in request.get("InputDataConfig", []) if _is_for(channel, host)]
    with tarfile.open(fileobj=file, mode="w") as tar:
        for folder in _FOLDERS:
            _add_folder(tar, f"opt/ml/{folder}")
        _add_json(tar, "hyperparameters", request.get("HyperParameters", {}))
        _add_json(tar, "resourceconfig", _resource_config(host, cluster))
        _add_json(tar, "inputdataconfig", {c["ChannelName"]: _channel_config(c, request) for c in channels})
        for channel in channels:
            folder = f"opt/ml/input/data/{channel['ChannelName']}"
            _add_folder(tar, folder)
            for name, location in _channel_objects(channel, host, cluster, storage):
                _add_object(tar, f"{folder}/{name}", location, storage)
        if checkpoints := request.get("CheckpointConfig"):
            folder = checkpoints.get("LocalPath", DEFAULT_CHECKPOINTS).strip("/")
            _add_folder(tar, folder)
            for name, location in _objects(Location.parse(checkpoints["S3Uri"]), storage):
                _add_object(tar, f"{folder}/{name}", location, storage)


def _resource_config(host: Host, cluster: list[Host]) -> dict[str, Any]:
    groups: dict[str, dict[str, Any]] = {}
    for member in cluster:
        group = groups.setdefault(
            member.group,
            {"instance_group_name": member.group, "instance_type": member.instance_type, "hosts": []},
        )
        group["hosts"].append(member.name)
    return {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": sorted(member.name for member in cluster),
        "instance_groups": list(groups.values()),
        "network_interface_name": "eth0",
    }


def _is_for(channel: dict[str, Any], host: Host) -> bool:
    """Whether a channel is for a machine: channels are for all machines, or for those of the groups that they name."""
    groups = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
    return not groups or host.group in groups


def _channel_config(channel: dict[str, Any], request: dict[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"],
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    if "ContentType" in channel:
        config["ContentType"] = channel["ContentType"]
    return config


def _channel_objects(
    channel: dict[str, Any], host: Host, cluster: list[Host], storage: Storage
) -> list[tuple[str, Location]]:
    source = channel["DataSource"]["S3DataSource"]
    location = Location.parse(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        objects = _manifest_objects(location, storage)
    else:
        objects = _objects(location, storage)
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        sharers = [member for member in cluster if _is_for(channel, member)]
        return objects[sharers.index(host) :: len(sharers)]
    return objects


def _objects(prefix: Location, storage: Storage) -> list[tuple[str, Location]]:
    """The objects under a prefix with their names below it.

    A prefix that ends inside a name (`s3://bucket/data/part-`, or a whole key) leaves the whole name.
    """
    keys = storage.keys(prefix)
    base = prefix.key if prefix.key.endswith("/") else prefix.key + "/"
    if not all(key.startswith(base) for key in keys) or not prefix.key:
        base = prefix.key[: prefix.key.rfind("/") + 1]
    return [(key.removeprefix(base), Location(prefix.bucket, key)) for key in keys]


def _manifest_objects(manifest: Location, storage: Storage) -> list[tuple[str, Location]]:
    """A manifest is `[{"prefix": "s3://…/"}, "name", …]`."""
    first, *names = json.loads(storage.read(manifest))
    base = first["prefix"]
    return [(name, Location.parse(base + name)) for name in names]


def _add_folder(tar: tarfile.TarFile, path: str) -> None:
    tar.addfile(_member(path, tarfile.DIRTYPE, 0o755))


def _add_json(tar: tarfile.TarFile, name: str, value: object) -> None:
    content = json.dumps(value).encode()
    member = _member(f"opt/ml/input/config/{name}.json", tarfile.REGTYPE, 0o644)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _add_object(tar: tarfile.TarFile, path: str, location: Location, storage: Storage) -> None:
    with tempfile.TemporaryFile() as file:
        storage.download(location, file)
        member = _member(path, tarfile.REGTYPE, 0o644)
        member.size = file.tell()
        file.seek(0)
        tar.addfile(member, file)


def _member(path: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(path)
    member.type, member.mode, member.mtime = kind, mode, time.time()
    return member
