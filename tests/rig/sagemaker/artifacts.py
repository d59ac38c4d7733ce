"""Uploads the results of a job to S3: its model, output data and checkpoints."""

import io
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from ..storage import Location, Storage
from .containers import Container
from .inputs import DEFAULT_CHECKPOINTS
from .job import TrainingJob

_MODEL = "/opt/ml/model"
_OUTPUT = "/opt/ml/output/data"

Member = tuple[tarfile.TarInfo, IO[bytes] | None]


def upload_model(job: TrainingJob, containers: list[Container], storage: Storage) -> None:
    _upload(job, "model", containers, _MODEL, storage)


def upload_output(job: TrainingJob, containers: list[Container], storage: Storage) -> None:
    _upload(job, "output", containers, _OUTPUT, storage)


def upload_checkpoints(job: TrainingJob, containers: list[Container], storage: Storage) -> None:
    """Upload the checkpoints at the end of the job. The service syncs them while the job runs."""
    if config := job.request.get("CheckpointConfig"):
        folder = config.get("LocalPath", DEFAULT_CHECKPOINTS).rstrip("/")
        _upload_objects(Location.parse(config["S3Uri"]), _members(containers, folder), storage)


def _upload(job: TrainingJob, name: str, containers: list[Container], folder: str, storage: Storage) -> None:
    """Upload one archive or prefix for all nodes. An empty folder creates nothing in S3."""
    prefix = Location.parse(job.output_prefix)
    members = _members(containers, folder)
    if job.compresses_output:
        _upload_archive(prefix / f"{name}.tar.gz", members, storage)
    else:
        _upload_objects(prefix / name, members, storage)


def _upload_archive(target: Location, members: Iterable[Member], storage: Storage) -> None:
    with tempfile.TemporaryFile() as file:
        count = 0
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as archive:
            for member, content in members:
                archive.addfile(member, content)
                count += 1
        if count:
            file.seek(0)
            storage.upload(target, file)


def _upload_objects(target: Location, members: Iterable[Member], storage: Storage) -> None:
    for member, content in members:
        if content is not None:
            with tempfile.TemporaryFile() as file:
                shutil.copyfileobj(content, file)
                file.seek(0)
                storage.upload(target / member.name, file)


def _members(containers: list[Container], folder: str) -> Iterator[Member]:
    """All members of a folder of every node, with names relative to that folder."""
    top = folder.rsplit("/", 1)[-1] + "/"
    for container in containers:
        archive = container.archive(folder)
        if archive is None:
            continue
        with tarfile.open(fileobj=io.BufferedReader(_Pieces(archive)), mode="r|") as tar:
            for member in tar:
                if not member.name.startswith(top):
                    continue
                member.name = member.name.removeprefix(top)
                if member.islnk():
                    member.linkname = member.linkname.removeprefix(top)
                # The engine's archive has long names in PAX headers too, which would override the new name.
                for said in ("path", "linkpath"):
                    member.pax_headers.pop(said, None)
                yield member, tar.extractfile(member) if member.isreg() else None


class _Pieces(io.RawIOBase):
    """A stream of byte strings as a read-only file."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._pieces, b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
