"""Really runs a kernel: in a container of a local image, with Kaggle's file layout."""

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import docker

_LABEL = {"alekseylearn.test": "kaggle"}
_BUNDLE = "etc/certificates-of-the-machine.pem"
# How this machine reaches the internet. The session uses the same.
_NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "PIP_INDEX_URL", "UV_DEFAULT_INDEX")
_NOTEBOOK = """
import json
cells = json.load(open("/kaggle/src/kernel"))["cells"]
names = {"__name__": "__main__"}
for cell in cells:
    if cell["cell_type"] == "code":
        exec(compile(cell["source"], "cell", "exec"), names)
"""


def run(image: str, session: Any, inputs: dict[str, dict[str, bytes]]) -> None:
    """Run a session to its end, with its source and datasets, and store its log and outputs."""
    client = docker.from_env()
    try:
        _run(client, image, session, inputs)
    except Exception as error:  # noqa: BLE001: the program under test must not wait for ever
        session.log.append({"stream_name": "stderr", "time": 0, "data": f"the scripted Kaggle broke: {error}\n"})
        session.statuses = ["ERROR"]
    finally:
        client.close()


def _run(client: Any, image: str, session: Any, inputs: dict[str, dict[str, bytes]]) -> None:
    is_notebook = session.request["kernelType"] == "notebook"
    command = ["python3", "-u"] + (["-c", _NOTEBOOK] if is_notebook else ["/kaggle/src/kernel"])
    network = None if session.request["enableInternet"] else "none"
    bundle = next(filter(None, map(os.environ.get, ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"))), None)
    variables = {name: os.environ[name] for name in _NETWORK if name in os.environ}
    if bundle:
        variables |= dict.fromkeys(("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE"), f"/{_BUNDLE}")
    created = client.containers.create(
        image,
        command,
        entrypoint=[],
        working_dir="/kaggle/working",
        network_mode=network,
        environment=variables,
        labels=_LABEL,
    )
    try:
        files = {"kaggle/src/kernel": session.request["text"].encode(), "kaggle/working/.keep": b""}
        for name, content in inputs.items():
            # One of the locations where Kaggle was seen to mount datasets.
            files |= {f"kaggle/input/datasets/{name}/{file}": data for file, data in content.items()}
        if bundle:
            files[_BUNDLE] = Path(bundle).read_bytes()
        created.put_archive("/", _tar(files))
        created.start()
        session.statuses = ["RUNNING"]
        for line in created.logs(stream=True, follow=True):
            session.log.append({"stream_name": "stdout", "time": 0, "data": line.decode("utf-8", "replace")})
        code = created.wait()["StatusCode"]
        session.outputs = _outputs(created)
        session.statuses = ["COMPLETE" if code == 0 else "ERROR"]
    finally:
        created.remove(force=True, v=True)


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def _outputs(created: Any) -> dict[str, bytes]:
    stream, _ = created.get_archive("/kaggle/working")
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
        found = {}
        for entry in archive:
            content = archive.extractfile(entry)
            name = entry.name.removeprefix("working/")
            if content is not None and name != ".keep":
                found[name] = content.read()
        return found
