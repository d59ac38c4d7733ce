"""A job truly run: its image in the engine of this machine, with what Vertex AI gives a container."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

import docker

_LABEL = {"alekseylearn.test": "google"}
_CERTIFICATES = "/tmp/certificates.pem"
_VARIABLE = re.compile(r"(\$?)\$\(([A-Za-z_][A-Za-z0-9_]*)\)")


def run(job: Any, surroundings: dict[str, str]) -> None:
    """From the request for a job to its log and its end."""
    client = docker.from_env()
    try:
        _run(client, job, surroundings)
    except Exception as error:  # noqa: BLE001: the program under test must not wait for ever
        job.write(f"the scripted Vertex AI broke: {error}")
        job.states = ["FAILED"]
    finally:
        client.close()


def _run(client: Any, job: Any, surroundings: dict[str, str]) -> None:
    spec = job.body["jobSpec"]
    container = spec["workerPoolSpecs"][0]["containerSpec"]
    base = spec["baseOutputDirectory"]["outputUriPrefix"].rstrip("/")
    hosts = {"workerpool0": ["localhost:2222"]}
    variables = {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
        "CLOUD_ML_JOB_ID": job.name.rpartition("/")[2],
        "CLUSTER_SPEC": json.dumps({"cluster": hosts, "task": {"type": "workerpool0", "index": 0}}),
    }
    for variable in container.get("env", []):
        variables[variable["name"]] = _expanded(variable["value"], variables)
    created = client.containers.create(
        container["imageUri"],
        container.get("args", []),
        # How the test's container finds the test's services; the machine's own finds Google's.
        environment=variables | {k: v for k, v in surroundings.items() if k != "certificates"} | {"SSL_CERT_FILE": _CERTIFICATES},
        network_mode="host",
        labels=_LABEL,
    )
    try:
        created.put_archive("/tmp", _tar("certificates.pem", Path(surroundings["certificates"]).read_bytes()))
        created.start()
        job.container = created
        job.states = ["RUNNING"]
        for line in created.logs(stream=True, follow=True, timestamps=True):
            at, _, text = line.decode("utf-8", "replace").partition(" ")
            job.write(text, at)
        code = created.wait()["StatusCode"]
        if job.cancelled:
            job.states = ["CANCELLED"]
        elif code == 0:
            job.states = ["SUCCEEDED"]
        else:
            message = f"The replica workerpool0-0 exited with a non-zero status of {code}. To find out more, see the logs."
            job.error = {"code": 3, "message": message}
            job.states = ["FAILED"]
    finally:
        created.remove(force=True, v=True)


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
