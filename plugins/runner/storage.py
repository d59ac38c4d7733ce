"""A client for Google Cloud Storage's JSON API, with the token of the machine's service account."""

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, BinaryIO, Callable, Dict, Iterator, NamedTuple, Optional, Tuple
from urllib.parse import quote

ADDRESS = "https://storage.googleapis.com"
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
# A token that expires sooner is renewed.
TOKEN_MARGIN_SECONDS = 225.0
# A multiple of 262,144, as the service requires.
CHUNK_BYTES = 32 * 262144
TIMEOUT_SECONDS = 60.0
# Pauses between retries of passing errors: two minutes in total.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)


class StorageError(OSError):
    """A request failed. The message explains why."""


class Place(NamedTuple):
    """`gs://bucket/path`; a folder's path ends in a slash or is empty."""

    bucket: str
    path: str

    @classmethod
    def parse(cls, uri: str) -> "Place":
        scheme, _, rest = uri.partition("://")
        bucket, _, path = rest.partition("/")
        if scheme != "gs" or not bucket:
            raise StorageError("{!r} is not a Cloud Storage location".format(uri))
        return cls(bucket, path if not path or path.endswith("/") else path + "/")

    def object(self, name: str) -> "Place":
        return Place(self.bucket, self.path + name)

    def __str__(self) -> str:
        return "gs://{}/{}".format(self.bucket, self.path)


class _Keep(urllib.request.HTTPRedirectHandler):
    """Follows no redirects: 308 asks for the rest of an upload, and the token must not go elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        return None


_AWAY = urllib.request.build_opener(_Keep)
# The metadata server is only reachable without a proxy.
_NEAR = urllib.request.build_opener(_Keep, urllib.request.ProxyHandler({}))


class Storage:
    """A client with the credentials of one service account."""

    def __init__(self) -> None:
        self._token = ""
        self._token_end = 0.0

    def names(self, folder: Place) -> Iterator[str]:
        """Yield the names of all objects in a folder, relative to it."""
        page = ""
        while True:
            url = "{}/storage/v1/b/{}/o?prefix={}&fields=items(name)%2CnextPageToken{}".format(
                ADDRESS, folder.bucket, quote(folder.path, safe=""), page
            )
            answer = json.loads(self._ask("GET", url)[2].decode("utf-8"))
            for item in answer.get("items", []):
                yield item["name"][len(folder.path) :]
            if not answer.get("nextPageToken"):
                return
            page = "&pageToken=" + quote(answer["nextPageToken"], safe="")

    def read(self, place: Place) -> bytes:
        """Return an object's whole content."""
        url = "{}/download/storage/v1/b/{}/o/{}?alt=media".format(ADDRESS, place.bucket, quote(place.path, safe=""))
        return self._ask("GET", url)[2]

    def writer(self, place: Place) -> "Upload":
        """Start an object, which exists once the writer is closed."""
        url = "{}/upload/storage/v1/b/{}/o?uploadType=resumable&name={}".format(
            ADDRESS, place.bucket, quote(place.path, safe="")
        )
        _, headers, _ = self._ask("POST", url, b"", {"X-Upload-Content-Type": "application/octet-stream"})
        return Upload(self._ask, headers["location"])

    def write(self, place: Place, source: BinaryIO) -> None:
        """Upload a file."""
        writer = self.writer(place)
        while True:
            piece = source.read(CHUNK_BYTES)
            if not piece:
                break
            writer.write(piece)
        writer.close()

    def _ask(
        self, method: str, url: str, body: Optional[bytes] = None, headers: Optional[Dict[str, str]] = None
    ) -> Tuple[int, Dict[str, str], bytes]:
        """Return status, headers and body of a response that succeeded, or asks for more of an upload.

        Passing errors are retried, but not a piece of an upload: the service first
        has to report how much of it has arrived.
        """
        piece = method == "PUT" and bool(body)
        renewed = False
        for pause in PAUSES + (None,):  # type: ignore[operator]
            request = urllib.request.Request(url, data=body, method=method)
            for name, value in (headers or {}).items():
                request.add_header(name, value)
            request.add_header("Authorization", "Bearer " + self._bearer())
            status, answer, content = _send(_AWAY, request)
            if status in (200, 201, 204, 308):
                return status, answer, content
            if status == 401 and not renewed:
                # The token may have been revoked early.
                self._token, renewed = "", True
                continue
            if status != 0 and status != 429 and status < 500:
                raise StorageError(_reason(status, content))
            if piece:
                return status, answer, content
            if pause is None:
                raise StorageError(_reason(status, content))
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _bearer(self) -> str:
        if self._token and time.monotonic() < self._token_end:
            return self._token
        host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
        request = urllib.request.Request("http://{}{}".format(host, TOKEN_PATH), headers={"Metadata-Flavor": "Google"})
        status, content = 0, b""
        for pause in PAUSES[:4]:
            status, _, content = _send(_NEAR, request)
            if status == 200:
                answer = json.loads(content.decode("utf-8"))
                self._token = answer["access_token"]
                self._token_end = time.monotonic() + float(answer["expires_in"]) - TOKEN_MARGIN_SECONDS
                return self._token
            if 400 <= status < 500:
                break
            time.sleep(pause)
        raise StorageError("cannot get a token from the metadata server: " + _reason(status, content))


class Upload:
    """An upload of an object in pieces."""

    def __init__(self, ask: Callable[..., Tuple[int, Dict[str, str], bytes]], url: str) -> None:
        self._ask, self._url = ask, url
        self._held = b""
        self._arrived = 0
        self._stalled = 0

    def write(self, data: bytes) -> int:
        self._held += data
        # Only the last piece may be short, so some data is always kept for it.
        while len(self._held) > CHUNK_BYTES:
            self._send(CHUNK_BYTES, None)
        return len(data)

    def close(self) -> None:
        total = self._arrived + len(self._held)
        while self._send(len(self._held), total) == 308:
            pass

    def _send(self, size: int, total: Optional[int]) -> int:
        """Send the next piece, and return how much of it has arrived."""
        piece = self._held[:size]
        whole = "*" if total is None else str(total)
        span = "bytes */{}".format(whole)
        if piece:
            span = "bytes {}-{}/{}".format(self._arrived, self._arrived + len(piece) - 1, whole)
        status, headers, content = self._ask("PUT", self._url, piece, {"Content-Range": span})
        for pause in PAUSES:
            if status < 400 and status != 0:
                break
            time.sleep(pause)
            status, headers, content = self._ask("PUT", self._url, b"", {"Content-Range": "bytes */{}".format(whole)})
        if status >= 400 or status == 0:
            raise StorageError(_reason(status, content))
        if status == 308:
            last = headers.get("range", "").rpartition("-")[2]
            arrived = int(last) + 1 if last else 0
            if not self._arrived <= arrived <= self._arrived + len(piece):
                raise StorageError("the upload failed: {} bytes arrived of {} sent".format(arrived, self._arrived))
            self._stalled = 0 if arrived > self._arrived else self._stalled + 1
            if self._stalled > len(PAUSES):
                raise StorageError("the upload makes no progress")
            self._held = self._held[arrived - self._arrived :]
            self._arrived = arrived
        else:
            self._arrived += len(self._held)
            self._held = b""
        return status


def _send(opener: Any, request: urllib.request.Request) -> Tuple[int, Dict[str, str], bytes]:
    """Return the response. Without one, the status is 0 and the body holds the cause."""
    try:
        with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, _lower(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers), error.read()
    except (OSError, ValueError) as error:
        return 0, {}, str(error).encode("utf-8")


def _lower(headers: Any) -> Dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _reason(status: int, content: bytes) -> str:
    text = content.decode("utf-8", "replace").strip()
    try:
        text = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        pass
    return "no response: {}".format(text[:200]) if status == 0 else "HTTP status {}: {}".format(status, text[:200])
