"""Blobs with resumable uploads, and datasets of them."""

import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from ..exchange import Answer, Request


@dataclass
class Blob:
    name: str
    size: int
    content: bytes = b""
    interrupted: int = 0


@dataclass
class Dataset:
    request: dict[str, Any]
    files: dict[str, bytes]
    states: list[str] = field(default_factory=list)


class Datasets:
    scripted = ("states", "interruptions", "lose_uploads")

    def __init__(self) -> None:
        self.states = ["PENDING", "READY"]
        """The statuses of a new dataset, one after the other."""
        self.interruptions = 0
        """How often an upload fails with 503 after half of it."""
        self.lose_uploads = False
        """Whether the first interrupted upload is lost."""
        self._blobs: dict[str, Blob] = {}
        self._datasets: dict[str, Dataset] = {}
        self.calls = {
            "blobs.BlobApiService/StartBlobUpload": self._start,
            "datasets.DatasetApiService/CreateDataset": self._create,
            "datasets.DatasetApiService/GetDatasetStatus": self._status,
        }

    def state(self) -> dict[str, Any]:
        return {
            name: {"request": it.request, "files": {key: hashlib.sha256(value).hexdigest() for key, value in it.files.items()}}
            for name, it in self._datasets.items()
        }

    def files(self, name: str) -> dict[str, bytes]:
        return self._datasets[name].files

    def __contains__(self, name: str) -> bool:
        return name in self._datasets

    def _start(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        if body["type"] != "DATASET":
            raise ValueError("of that type there are no blobs")
        token = f"blob-{len(self._blobs) + 1}"
        self._blobs[token] = Blob(body["name"], body["contentLength"])
        return {"token": token, "createUrl": f"https://www.googleapis.com/upload/storage?upload_id={token}"}

    def receive(self, request: Request) -> Answer:
        """Receive a part of an upload, like Cloud Storage's resumable uploads."""
        blob = self._blobs.get(request.query.removeprefix("upload_id="))
        if request.method != "PUT" or "authorization" in request.headers:
            return Answer(400, b"no upload")
        if blob is None or (blob.interrupted and self.lose_uploads):
            if blob is not None:
                self.interruptions = 0
                del self._blobs[request.query.removeprefix("upload_id=")]
            return Answer(404)
        content_range = request.headers.get("content-range", f"bytes 0-{blob.size - 1}/{blob.size}")
        if content_range == f"bytes */{blob.size}":
            return self._reached(blob)
        sent = re.fullmatch(rf"bytes (\d+)-(\d+)/{blob.size}", content_range)
        first, last = (int(sent[1]), int(sent[2])) if sent else (-1, -1)
        if first not in (0, len(blob.content)) or last - first + 1 != len(request.body):
            return Answer(400, b"not where the upload is")
        if last + 1 < blob.size and len(request.body) % (256 << 10) != 0:
            return Answer(400, b"a chunk is a multiple of 256 KiB")
        blob.content = blob.content[:first]
        if blob.interrupted < self.interruptions:
            blob.interrupted += 1
            blob.content += request.body[: len(request.body) // 2]
            return Answer(503)
        blob.content += request.body
        return self._reached(blob)

    def _reached(self, blob: Blob) -> Answer:
        if len(blob.content) == blob.size:
            return Answer.of({})
        headers = {"Range": f"bytes=0-{len(blob.content) - 1}"} if blob.content else {}
        return Answer(308, b"", headers)

    def _create(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        name = f"{body['ownerSlug']}/{body['slug']}"
        if body["ownerSlug"] != user or not 6 <= len(body["slug"]) <= 50 or not 6 <= len(body["title"]) <= 50:
            raise ValueError(f"no dataset can be called {name}")
        if name in self._datasets:
            return {"status": "error", "error": f"The requested slug \"{body['slug']}\" is already in use."}
        blobs = [self._blobs[file["token"]] for file in body["files"]]
        if any(len(blob.content) != blob.size for blob in blobs):
            return {"status": "error", "error": "a file is not whole"}
        files = {blob.name: blob.content for blob in blobs}
        self._datasets[name] = Dataset(body, files, list(self.states))
        return {"ref": f"/datasets/{name}", "url": f"https://www.kaggle.com/datasets/{name}", "status": "ok"}

    def _status(self, _: str, body: dict[str, Any]) -> dict[str, Any]:
        states = self._datasets[f"{body['ownerSlug']}/{body['datasetSlug']}"].states
        return {"status": states.pop(0) if len(states) > 1 else states[0]}
