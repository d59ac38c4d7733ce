"""The image registry: Debian's docker-registry as a child process, and a client of it."""

import json
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import bcrypt
import requests

from .settings import HOST

USER = "AWS"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_MANIFEST_TYPES = (
    DOCKER_MANIFEST,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)


@dataclass(frozen=True)
class Manifest:
    """A manifest in the registry."""

    digest: str
    media_type: str
    text: str

    @cached_property
    def content(self) -> dict[str, Any]:
        return json.loads(self.text)

    @property
    def size(self) -> int:
        """The image's size as in ECR: its layers and its configuration."""
        parts = [*self.content.get("layers", []), self.content.get("config", {})]
        return sum(part.get("size", 0) for part in parts)


class Registry:
    """A running docker-registry with one user and a random password."""

    def __init__(self, program: Path, state: Path) -> None:
        self.password = secrets.token_urlsafe(32)
        self.address = f"{HOST}:{_free_port()}"
        self.url = f"http://{self.address}"
        self._auth = (USER, self.password)
        self._program, self._state = program, state
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        htpasswd, config = self._state / "htpasswd", self._state / "config.yml"
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(rounds=4)).decode()
        htpasswd.write_text(f"{USER}:{hashed}\n")
        config.write_text(json.dumps(self._config(htpasswd), indent=2))
        with (self._state / "registry.log").open("ab") as log:
            self._process = subprocess.Popen([self._program, "serve", config], stdout=log, stderr=log)

    def _config(self, htpasswd: Path) -> dict[str, Any]:
        """JSON is YAML, so the configuration needs no YAML writer."""
        return {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._state / "images")}},
            "http": {"addr": self.address, "relativeurls": True},
            "auth": {"htpasswd": {"realm": "rig", "path": str(htpasswd)}},
        }

    def wait(self, seconds: float = 10) -> None:
        """Wait until it responds, or raise an error."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self._process and self._process.poll() is None:
            try:
                self._get("/v2/").raise_for_status()
                return
            except requests.RequestException:
                time.sleep(0.02)
        raise RuntimeError("the image registry did not start; see registry.log in the rig's state folder")

    def stop(self) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(timeout=10)

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """The manifest of a tag or digest, of any media type."""
        answer = self._get(f"/v2/{repository}/manifests/{reference}", Accept=", ".join(_MANIFEST_TYPES))
        if answer.status_code == 404:
            return None
        answer.raise_for_status()
        return Manifest(answer.headers["Docker-Content-Digest"], answer.headers["Content-Type"], answer.text)

    def tags(self, repository: str) -> list[str]:
        answer = self._get(f"/v2/{repository}/tags/list")
        return (answer.json().get("tags") or []) if answer.ok else []

    def blob(self, repository: str, digest: str) -> dict[str, Any]:
        answer = self._get(f"/v2/{repository}/blobs/{digest}")
        answer.raise_for_status()
        return answer.json()

    def _get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.url + path, headers=headers, auth=self._auth, timeout=30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
