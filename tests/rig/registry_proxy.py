"""ECR's rules in front of the image registry.

ECR refuses pushes to a repository that does not exist; docker-registry creates it. This proxy
refuses too. It streams everything else both ways, so that large layers need no memory.
"""

import http.client
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from werkzeug.wsgi import get_input_stream

from . import errors
from .identify import registry_repository
from .registry import USER, Registry
from .settings import ACCOUNT
from .web import Environ

_CHUNK = 256 * 1024
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"}


class RegistryProxy:
    """A WSGI application that passes requests on to the registry."""

    def __init__(self, registry: Registry, repository_exists: Callable[[str], bool]) -> None:
        self._registry = registry
        self._repository_exists = repository_exists
        self._authorization = "Basic " + b64encode(f"{USER}:{registry.password}".encode()).decode()

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        repository = registry_repository(environ["PATH_INFO"])
        authorized = environ.get("HTTP_AUTHORIZATION") == self._authorization
        if authorized and repository is not None and not self._repository_exists(repository):
            message = f"The repository with name '{repository}' does not exist in the registry with id '{ACCOUNT}'"
            return errors.registry_error(404, "NAME_UNKNOWN", message)(environ, start_response)
        return self._forward(environ, start_response)

    def _forward(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        connection = http.client.HTTPConnection(self._registry.address, timeout=600)
        chunked = environ.get("wsgi.input_terminated", False)
        headers = _request_headers(environ)
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        connection.request(
            environ["REQUEST_METHOD"], environ["RAW_URI"], _request_body(environ), headers, encode_chunked=chunked
        )
        answer = connection.getresponse()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP]
        start_response(f"{answer.status} {answer.reason}", kept)
        return _pieces(answer, connection)


def _request_headers(environ: Environ) -> dict[str, str]:
    headers = {name[5:].replace("_", "-").title(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").title()] = environ[name]
    return {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP | {"expect"}}


def _request_body(environ: Environ) -> Iterator[bytes] | None:
    if not environ.get("wsgi.input_terminated") and not environ.get("CONTENT_LENGTH"):
        return None
    body = get_input_stream(environ)
    return iter(lambda: body.read(_CHUNK), b"")


def _pieces(answer: http.client.HTTPResponse, connection: http.client.HTTPConnection) -> Iterator[bytes]:
    try:
        while piece := answer.read(_CHUNK):
            yield piece
    finally:
        connection.close()
