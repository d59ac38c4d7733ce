"""Unpacks bodies and verifies checksums before S3 stores an object, which moto does not do.

SDKs send bodies as `aws-chunked` pieces, followed by the checksum. moto joins such pieces in
quadratic time, and neither keeps nor verifies the checksum.
"""

import base64
import hashlib
import zlib
from collections.abc import Callable, Iterable
from typing import IO, Any

from werkzeug.wsgi import get_input_stream

from . import errors
from .web import Environ, read_body, replace_body

_STREAMING = "STREAMING-"
_CHECKSUM = "x-amz-checksum-"
_WITH_CHECKED_BODY = {"PutObject", "UploadPart"}

_ALGORITHMS: dict[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "sha1": lambda body: hashlib.sha1(body).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
}
"""The algorithms in Python's standard library. Other checksums are stored unverified."""


class S3:
    """A WSGI application in front of moto's."""

    def __init__(self, moto: Any) -> None:
        self._moto = moto

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_CONTENT_SHA256", "").startswith(_STREAMING):
            _unpack(environ)
        call = environ["rig.call"]
        if call.operation in _WITH_CHECKED_BODY and not _checksum_holds(environ):
            return errors.response(call, "bad-digest")(environ, start_response)
        return self._moto(environ, start_response)


def _unpack(environ: Environ) -> None:
    """Replace an aws-chunked body by its content, and turn its trailers into headers."""
    body, trailers = decode(get_input_stream(environ))
    replace_body(environ, body)
    environ["HTTP_X_AMZ_CONTENT_SHA256"] = "UNSIGNED-PAYLOAD"
    encodings = [name.strip() for name in environ.pop("HTTP_CONTENT_ENCODING", "").split(",")]
    if kept := [name for name in encodings if name not in ("", "aws-chunked")]:
        environ["HTTP_CONTENT_ENCODING"] = ",".join(kept)
    environ.pop("HTTP_X_AMZ_TRAILER", None)
    for name, value in trailers.items():
        if name.startswith(_CHECKSUM):
            environ[_environ_name(name)] = value
            environ.setdefault("HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM", name.removeprefix(_CHECKSUM).upper())


def decode(stream: IO[bytes]) -> tuple[bytes, dict[str, str]]:
    """Read `size[;chunk-signature=…]`, the piece, …, a piece of size 0, and then trailers."""
    pieces = []
    while size := int(stream.readline().partition(b";")[0].strip() or b"0", 16):
        pieces.append(stream.read(size))
        stream.readline()
    trailers = {}
    while line := stream.readline().decode().strip():
        name, _, value = line.partition(":")
        trailers[name.strip().lower()] = value.strip()
    return b"".join(pieces), trailers


def _checksum_holds(environ: Environ) -> bool:
    for name, digest in _ALGORITHMS.items():
        if announced := environ.get(_environ_name(_CHECKSUM + name)):
            return base64.b64encode(digest(read_body(environ))).decode() == announced
    return True


def _environ_name(header: str) -> str:
    return "HTTP_" + header.upper().replace("-", "_")
