"""Uploads results to Cloud Storage, on a service that does not keep a container's files.

Vertex AI sets their locations in AIP_*. The model is uploaded twice: as files for
Vertex AI's Model Registry, and as an archive, which keeps modes, links and empty
folders for `fetch`.
"""

import gzip
import os
import tarfile
import threading
from pathlib import Path
from typing import Dict, Iterator, Mapping, Tuple

from job import Job
from leavings import pack
from roots import Roots
from storage import Place, Storage

CHECKPOINT_SECONDS = 60.0


class Results:
    """The results of one training, and their locations."""

    def __init__(self, roots: Roots, environment: Mapping[str, str]) -> None:
        self._roots = roots
        self._storage = Storage()
        self._model = Place.parse(environment["AIP_MODEL_DIR"])
        # The parent of the model's folder.
        self._base = Place(self._model.bucket, self._model.path[: -len("model/")])
        if not self._model.path.endswith("model/"):
            self._base = self._model
        checkpoints, board = (environment.get("AIP_" + name) for name in ("CHECKPOINT_DIR", "TENSORBOARD_LOG_DIR"))
        self._checkpoints = Place.parse(checkpoints) if checkpoints else None
        self._board = Place.parse(board) if board else None
        self._sent = {}  # type: Dict[str, Tuple[float, int]]
        self._leads = True
        self._failure = "failure"
        self._over = threading.Event()
        self._lock = threading.Lock()

    def begin(self, job: Job) -> None:
        """Download the checkpoints of an interrupted run, and start uploading new ones.

        All hosts get the checkpoints that the first host uploaded. The other hosts
        only upload the reasons of their failures.
        """
        self._leads = job.leads
        if not job.leads:
            self._failure = "failure-" + job.replica
        if self._checkpoints is None:
            return
        folder = self._roots.checkpoints
        folder.mkdir(parents=True, exist_ok=True)
        for name in self._storage.names(self._checkpoints):
            if not _is_inside(name):
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self._storage.read(self._checkpoints.object(name)))
            self._sent[name] = _state(path)
        if self._leads:
            threading.Thread(target=self._keep_checkpoints, daemon=True).start()

    def keep(self, with_model: bool) -> None:
        """Upload the results."""
        self._over.set()
        if self._leads:
            if with_model:
                self._send_folder(self._roots.model, self._model)
                self._send_archive(self._roots.model, "model.tar.gz")
            self._send_archive(self._roots.output_data, "output.tar.gz")
            if self._board is not None:
                self._send_folder(self._roots.tensorboard, self._board)
            self._send_checkpoints()
        self.keep_failure()

    def keep_failure(self) -> None:
        """Upload the reason of a failure, which the service would not know otherwise."""
        if self._roots.failure.is_file():
            with self._roots.failure.open("rb") as source:
                self._storage.write(self._base.object(self._failure), source)

    def __str__(self) -> str:
        return str(self._base)

    def _send_folder(self, folder: Path, place: Place) -> None:
        for name, path in _files(folder):
            with path.open("rb") as source:
                self._storage.write(place.object(name), source)

    def _send_archive(self, folder: Path, name: str) -> None:
        if not folder.is_dir() or not any(folder.iterdir()):
            return
        upload = self._storage.writer(self._base.object(name))
        # Streamed, because the disk may not have space for it.
        with gzip.GzipFile(fileobj=upload, mode="wb", compresslevel=1) as packed:  # type: ignore[call-overload]
            with tarfile.open(fileobj=packed, mode="w|") as archive:
                pack(folder, archive)
        upload.close()

    def _keep_checkpoints(self) -> None:
        while not self._over.wait(CHECKPOINT_SECONDS):
            try:
                self._send_checkpoints()
            except OSError as error:
                print("alekseylearn: cannot upload a checkpoint yet: {}".format(error), flush=True)

    def _send_checkpoints(self) -> None:
        if self._checkpoints is None:
            return
        with self._lock:
            for name, path in _files(self._roots.checkpoints):
                state = _state(path)
                if self._sent.get(name) == state:
                    continue
                with path.open("rb") as source:
                    self._storage.write(self._checkpoints.object(name), source)
                self._sent[name] = state


def _files(folder: Path) -> Iterator[Tuple[str, Path]]:
    """Yield all files below a folder with their names relative to it. Links are followed."""
    for parent, _, names in os.walk(str(folder)):
        for name in sorted(names):
            path = Path(parent) / name
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _state(path: Path) -> Tuple[float, int]:
    found = path.stat()
    return found.st_mtime, found.st_size


def _is_inside(name: str) -> bool:
    """Return whether an object's name is a path inside the folder."""
    return bool(name) and all(part not in ("", ".", "..") and "\0" not in part for part in name.split("/"))
