"""Really runs a job: one container of its image per replica on this machine's engine, with Vertex AI's environment."""

import io
import json
import queue
import re
import tarfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import docker

from .relay import Relay

_LABEL = {"alekseylearn.test": "google"}
_CERTIFICATES = "/tmp/certificates.pem"
_VARIABLE = re.compile(r"(\$?)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


class _Replica(NamedTuple):
    pool: str
    index: int
    host: str
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.pool}-{self.index}"


def run(job: Any, surroundings: dict[str, str]) -> None:
    """Run a job to its end, and write its log."""
    client = docker.from_env()
    try:
        _run(client, job, surroundings)
    except Exception as error:  # noqa: BLE001: the program under test must not wait for ever
        job.write(f"the scripted Vertex AI broke: {error}")
        job.states = ["FAILED"]
    finally:
        client.close()


def _run(client: Any, job: Any, surroundings: dict[str, str]) -> None:
    replicas = list(_replicas(job))
    ended: queue.Queue[tuple[_Replica, int]] = queue.Queue()
    with ExitStack() as stack:
        network = None
        if len(replicas) > 1:
            network, surroundings = stack.enter_context(_network(client, job, surroundings))
        containers, threads = [], []
        for replica in replicas:
            containers.append(_create(client, job, replica, replicas, surroundings, network))
            stack.callback(containers[-1].remove, force=True, v=True)
        for replica, created in zip(replicas, containers):
            created.start()
            threads.append(threading.Thread(target=_watch, args=(job, replica, created, ended), daemon=True))
            threads[-1].start()
        job.containers = containers
        job.states = ["RUNNING"]
        # A failed replica, or the end of the first one, ends all.
        replica, code = ended.get()
        while code == 0 and replica is not replicas[0]:
            replica, code = ended.get()
        for created in containers:
            created.stop(timeout=10)
        for thread in threads:
            thread.join()
    if job.cancelled:
        job.states = ["CANCELLED"]
    elif code == 0:
        job.states = ["SUCCEEDED"]
    else:
        message = f"The replica {replica} exited with a non-zero status of {code}. To find out more, see the logs."
        job.error = {"code": 3, "message": message}
        job.states = ["FAILED"]


def _replicas(job: Any) -> Iterator[_Replica]:
    number = job.name.rpartition("/")[2]
    for place, spec in enumerate(job.body["jobSpec"]["workerPoolSpecs"]):
        for index in range(int(spec["replicaCount"])):
            yield _Replica(f"workerpool{place}", index, f"cmle-training-workerpool{place}-{number}-{index}", spec)


@contextmanager
def _network(client: Any, job: Any, surroundings: dict[str, str]) -> Iterator[tuple[Any, dict[str, str]]]:
    """Create a network on which replicas find each other by name, and relays from there to the test's services."""
    network = client.networks.create(f"google-{job.body['displayName']}", driver="bridge", labels=_LABEL)
    network.reload()
    gateway = network.attrs["IPAM"]["Config"][0]["Gateway"]
    with ExitStack() as stack:
        stack.callback(network.remove)
        led = dict(surroundings)
        for name in ("HTTPS_PROXY", "GCE_METADATA_HOST"):
            address = surroundings[name].removeprefix("http://")
            relay = stack.enter_context(Relay(gateway, address))
            led[name] = surroundings[name].replace(address, relay.address)
        yield network, led


def _create(
    client: Any, job: Any, replica: _Replica, replicas: list[_Replica], surroundings: dict[str, str], network: Any
) -> Any:
    container = replica.spec["containerSpec"]
    # The variables with which the container finds the test's services instead of Google's.
    leads = {name: value for name, value in surroundings.items() if name not in ("certificates", "token")}
    networking: dict[str, Any] = {"network_mode": "host"}
    if network is not None:
        endpoint = client.api.create_endpoint_config(aliases=[replica.host])
        networking = {"network": network.name, "networking_config": {network.name: endpoint}}
    _pull(client, container["imageUri"], surroundings["token"])
    created = client.containers.create(
        container["imageUri"],
        container.get("args", []),
        environment=_variables(job, replica, replicas) | leads | {"SSL_CERT_FILE": _CERTIFICATES},
        labels=_LABEL,
        **networking,
    )
    created.put_archive("/tmp", _tar("certificates.pem", Path(surroundings["certificates"]).read_bytes()))
    return created


def _pull(client: Any, image: str, token: str) -> None:
    """Pull an image unless the engine built it."""
    try:
        client.images.get(image)
    except docker.errors.ImageNotFound:
        client.images.pull(image, auth_config={"username": "oauth2accesstoken", "password": token})


def _variables(job: Any, replica: _Replica, replicas: list[_Replica]) -> dict[str, str]:
    base = job.body["jobSpec"]["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
    cluster: dict[str, list[str]] = {}
    for other in replicas:
        cluster.setdefault(other.pool, []).append(f"{other.host}:2222")
    task = {"type": replica.pool, "index": replica.index}
    variables = {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
        "CLOUD_ML_JOB_ID": job.name.rpartition("/")[2],
        "CLUSTER_SPEC": json.dumps({"cluster": cluster, "environment": "cloud", "task": task}),
    }
    for variable in replica.spec["containerSpec"].get("env", []):
        variables[variable["name"]] = _expanded(variable["value"], variables)
    return variables


def _watch(job: Any, replica: _Replica, created: Any, ended: "queue.Queue[tuple[_Replica, int]]") -> None:
    try:
        for line in created.logs(stream=True, follow=True, timestamps=True):
            at, _, text = line.decode("utf-8", "replace").partition(" ")
            job.write(text, at, str(replica))
        ended.put((replica, created.wait()["StatusCode"]))
    except Exception as error:  # noqa: BLE001: whoever waits for it must not do so for ever
        job.write(f"the scripted Vertex AI broke: {error}", replica=str(replica))
        ended.put((replica, 1))


def _expanded(text: str, variables: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return match[0][1:] if match[1] else variables.get(match[2], match[0])

    return _VARIABLE.sub(value, text)


def _tar(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = len(content), 0o644
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
