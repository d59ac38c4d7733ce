"""Google Cloud Storage, by its JSON API and with the token of the machine's own service account."""

import json
import os
import time
import urllib.error
import urllib.request
from typing import Any, BinaryIO, Callable, Dict, Iterator, NamedTuple, Optional, Tuple
from urllib.parse import quote

ADDRESS = "https://storage.googleapis.com"
TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"
# A token that is about to end is not begun with.
TOKEN_MARGIN_SECONDS = 225.0
# A multiple of 262,144, which the service asks for.
CHUNK_BYTES = 32 * 262144
TIMEOUT_SECONDS = 60.0
# Waits between tries of what may pass: two minutes in all.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 60.0)


class StorageError(OSError):
    """The service cannot be used; the message says why."""


class Place(NamedTuple):
    """`gs://bucket/path`; a folder's path ends in a slash or is empty."""

    bucket: str
    path: str

    @classmethod
    def parse(cls, uri: str) -> "Place":
        scheme, _, rest = uri.partition("://")
        bucket, _, path = rest.partition("/")
        if scheme != "gs" or not bucket:
            raise StorageError("{!r} is no place in Cloud Storage".format(uri))
        return cls(bucket, path if not path or path.endswith("/") else path + "/")

    def object(self, name: str) -> "Place":
        return Place(self.bucket, self.path + name)

    def __str__(self) -> str:
        return "gs://{}/{}".format(self.bucket, self.path)


class _Keep(urllib.request.HTTPRedirectHandler):
    """308 asks for more of an upload, and is no redirect; a token follows no other either."""

    def redirect_request(self, *_: Any) -> None:
        return None


_AWAY = urllib.request.build_opener(_Keep)
# The metadata server is beside the machine: no proxy knows it.
_NEAR = urllib.request.build_opener(_Keep, urllib.request.ProxyHandler({}))


class Storage:
    """One service account's use of the service."""

    def __init__(self) -> None:
        self._token = ""
        self._token_end = 0.0

    def names(self, folder: Place) -> Iterator[str]:
        """Give the names of all objects in a folder, relative to it."""
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
        """Give an object's whole content."""
        url = "{}/download/storage/v1/b/{}/o/{}?alt=media".format(ADDRESS, place.bucket, quote(place.path, safe=""))
        return self._ask("GET", url)[2]

    def writer(self, place: Place) -> "Upload":
        """Begin an object; it is there once the writer is closed."""
        url = "{}/upload/storage/v1/b/{}/o?uploadType=resumable&name={}".format(
            ADDRESS, place.bucket, quote(place.path, safe="")
        )
        _, headers, _ = self._ask("POST", url, b"", {"X-Upload-Content-Type": "application/octet-stream"})
        return Upload(self._ask, headers["location"])

    def write(self, place: Place, source: BinaryIO) -> None:
        """Bring a file."""
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
        """Give status, headers and body of an answer that says yes, or asks for more of an upload.

        What may pass is waited out. An upload's piece is not sent again here: how
        much of it has arrived is the service's to say.
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
                # It may have ended before its time.
                self._token, renewed = "", True
                continue
            if status != 0 and status != 429 and status < 500:
                raise StorageError(_reason(status, content))
            if piece:
                return status, answer, content
            if pause is None:
                raise StorageError(_reason(status, content))
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

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
        raise StorageError("the metadata server gives no token: " + _reason(status, content))


class Upload:
    """An object on its way, in pieces."""

    def __init__(self, ask: Callable[..., Tuple[int, Dict[str, str], bytes]], url: str) -> None:
        self._ask, self._url = ask, url
        self._held = b""
        self._arrived = 0
        self._stalled = 0

    def write(self, data: bytes) -> int:
        self._held += data
        # The last piece is the one that may be short: something is always kept for it.
        while len(self._held) > CHUNK_BYTES:
            self._send(CHUNK_BYTES, None)
        return len(data)

    def close(self) -> None:
        total = self._arrived + len(self._held)
        while self._send(len(self._held), total) == 308:
            pass

    def _send(self, size: int, total: Optional[int]) -> int:
        """Send the next piece, and count what has arrived of it."""
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
                raise StorageError("the upload went wrong: {} bytes have arrived, of {} sent".format(arrived, self._arrived))
            self._stalled = 0 if arrived > self._arrived else self._stalled + 1
            if self._stalled > len(PAUSES):
                raise StorageError("the upload does not get on")
            self._held = self._held[arrived - self._arrived :]
            self._arrived = arrived
        else:
            self._arrived += len(self._held)
            self._held = b""
        return status


def _send(opener: Any, request: urllib.request.Request) -> Tuple[int, Dict[str, str], bytes]:
    """Give what came back; a status of 0 where nothing did, and why as the body."""
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
    return "no answer: {}".format(text[:200]) if status == 0 else "it answers {}: {}".format(status, text[:200])
