"""Kernels and their versions, each with a session."""

import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from slugify import slugify

from ..exchange import Answer, Request
from . import container
from .datasets import Datasets

_FINAL = ("COMPLETE", "ERROR", "CANCEL_ACKNOWLEDGED")


@dataclass
class Session:
    """One version of a kernel, and its run."""

    request: dict[str, Any]
    statuses: list[Any]
    """Returned one after the other; the last one remains."""
    log: list[dict[str, Any]]
    outputs: dict[str, bytes] = field(default_factory=dict)

    @property
    def status(self) -> Any:
        return self.statuses[0]

    @property
    def has_ended(self) -> bool:
        return isinstance(self.status, str) and self.status in _FINAL


class Kernels:
    scripted = ("statuses", "log", "outputs", "saved", "image", "page_size", "live_log_breaks", "quota", "ranges")

    def __init__(self, datasets: Datasets) -> None:
        self.statuses: list[Any] = ["QUEUED", "RUNNING", "COMPLETE"]
        """The statuses of a new session: strings, null for none, or an object as the whole response."""
        self.log: list[str] = ["hello"]
        self.outputs: dict[str, str] = {}
        """The outputs of a session, by name."""
        self.saved: dict[str, Any] = {}
        """More members of the response to a save. With `error`, nothing is saved."""
        self.image: str | None = None
        """Really run sessions in this local image, if set."""
        self.page_size = 20
        """The maximum number of outputs per page."""
        self.live_log_breaks = False
        """Whether a live log is cut off after its first line."""
        self.ranges = True
        """Whether outputs support range requests."""
        self.quota: dict[str, Any] = {
            "quotaRefreshTime": "2026-11-28T00:00:00.000Z",
            "gpuQuota": {"timeUsed": "3600s", "timeReserved": "0s", "totalTimeAllowed": "108000s"},
            "tpuQuota": {"timeUsed": "0s", "totalTimeAllowed": "72000s"},
        }
        self._datasets = datasets
        self._kernels: dict[str, list[Session]] = {}
        self.calls = {
            "kernels.KernelsApiService/SaveKernel": self._save,
            "kernels.KernelsApiService/GetKernel": self._get,
            "kernels.KernelsApiService/GetKernelSessionStatus": self._status,
            "kernels.KernelsApiService/ListKernelSessionOutput": self._list,
            "kernels.KernelsApiService/GetAcceleratorQuotaStatistics": lambda *_: self.quota,
        }

    def state(self) -> dict[str, Any]:
        return {name: [session.request for session in versions] for name, versions in self._kernels.items()}

    def _save(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        if len(body["text"].encode()) >= 1_000_000:
            raise ValueError("The kernel source must be less than 1 megabytes in size.")
        owner, slug = body["slug"].split("/")
        if owner != user:
            raise PermissionError
        if len(slug) < 5 or slugify(body["newTitle"]) != slug:
            raise ValueError(f"The title does not resolve to {slug}.")
        if self.saved.get("error"):
            return {"ref": "", "url": "", "invalidTags": None, **self.saved}
        session = Session(body, list(self.statuses), [_event(line) for line in self.log])
        session.outputs = {name: text.encode("latin-1") for name, text in self.outputs.items()}
        versions = self._kernels.setdefault(body["slug"], [])
        versions.append(session)
        if self.image is not None:
            session.statuses, session.log, session.outputs = ["QUEUED"], [], {}
            sources = [name for name in body.get("datasetDataSources", []) if name in self._datasets]
            inputs = {name: self._datasets.files(name) for name in sources}
            threading.Thread(target=container.run, args=(self.image, session, inputs), daemon=True).start()
        return {
            "ref": f"/code/{body['slug']}",
            "url": f"https://www.kaggle.com/code/{body['slug']}",
            "versionNumber": len(versions),
            "kernelId": 1,
            "error": None,
            **self.saved,
        }

    def _session(self, user: str, kernel: str, label: str | None) -> Session:
        """Look up a session. A missing kernel and one of another user give the same error."""
        if not kernel.startswith(f"{user}/") or kernel not in self._kernels:
            raise PermissionError
        if label is None:
            return self._kernels[kernel][-1]
        number = re.fullmatch(r"v([1-9]\d*)", label)
        if number is None or int(number[1]) > len(self._kernels[kernel]):
            raise KeyError(label)
        return self._kernels[kernel][int(number[1]) - 1]

    def _named(self, user: str, body: dict[str, Any]) -> Session:
        return self._session(user, f"{body['userName']}/{body['kernelSlug']}", body.get("versionLabel"))

    def _get(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        session = self._named(user, body)
        name = f"{body['userName']}/{body['kernelSlug']}"
        metadata = {"ref": name, "currentVersionNumber": len(self._kernels[name])}
        return {"metadata": metadata, "blob": {"source": session.request["text"]}}

    def _status(self, user: str, body: dict[str, Any]) -> Any:
        session = self._named(user, body)
        status = session.statuses.pop(0) if len(session.statuses) > 1 else session.statuses[0]
        if isinstance(status, dict):
            return status
        return {} if status is None else {"status": status}

    def _list(self, user: str, body: dict[str, Any]) -> dict[str, Any]:
        session = self._named(user, body)
        names = sorted(session.outputs)
        start = int(body.get("pageToken") or 0)
        end = start + min(self.page_size, body.get("pageSize", self.page_size))
        name = f"{body['userName']}/{body['kernelSlug']}"
        version = self._kernels[name].index(session)
        place = f"https://www.kaggleusercontent.com/{name}/{version}"
        files = [{"fileName": file, "url": f"{place}/{number}?signature=signed"} for number, file in enumerate(names)]
        page = {"files": files[start:end], "log": json.dumps(session.log)}
        return page | ({"nextPageToken": str(end)} if end < len(names) else {})

    def give(self, request: Request) -> Answer:
        user, slug, version, number = request.path.strip("/").split("/")
        session = self._kernels[f"{user}/{slug}"][int(version)]
        content = session.outputs[sorted(session.outputs)[int(number)]]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
        if wanted is None or not self.ranges:
            return Answer(200, content)
        first, last = int(wanted[1]), min(int(wanted[2]), len(content) - 1)
        headers = {"Content-Range": f"bytes {first}-{last}/{len(content)}", "ETag": f'"{hash(content)}"'}
        return Answer(206, content[first : last + 1], headers)

    def stream(self, user: str, request: Request) -> Answer:
        kernel = request.path.removeprefix("/v1/kernels/logs/stream/")
        label = request.query.removeprefix("versionLabel=") or None
        try:
            session = self._session(user, kernel, label)
        except (KeyError, PermissionError):
            return Answer.of({"code": 404, "message": "Not found"}, 404)
        if session.has_ended:
            return Answer(200, json.dumps(session.log).encode(), {"Content-Type": "application/json"})
        return Answer(200, self._live(session), {"Content-Type": "text/event-stream"})

    def _live(self, session: Session) -> Iterator[bytes]:
        """Stream the log from its beginning."""
        sent = 0
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for event in session.log[sent:]:
                sent += 1
                yield f"data: {json.dumps(event)}\n\n".encode()
                if self.live_log_breaks:
                    return
            if session.has_ended and sent == len(session.log):
                yield b"data: END_OF_LOG\n\n"
                return
            time.sleep(0.02)


def _event(line: str) -> dict[str, Any]:
    return {"stream_name": "stdout", "time": 1.5, "data": f"{line}\n"}
