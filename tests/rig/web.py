"""WSGI helpers: a server on a free port, bodies, JSON responses."""

import functools
import io
import json
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

from .settings import HOST

Environ = dict[str, Any]

_POLL_SECONDS = 0.1
"""How long closing a server may take, in seconds."""


class _Handler(MotoRequestHandler):
    """moto's handler, which keeps underscores in S3 metadata names, without logging each request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def _not_ready(environ: Environ, start_response: Any) -> Iterable[bytes]:
    return Response("the rig is starting", 503)(environ, start_response)


class Door:
    """A threaded WSGI server on a free port of the loopback.

    The port is known before the application is, because applications name each other's ports.
    """

    def __init__(self) -> None:
        self._server: BaseWSGIServer = make_server(HOST, 0, _not_ready, threaded=True, request_handler=_Handler)
        self.address = f"{HOST}:{self._server.server_port}"
        self.url = f"http://{self.address}"

    def open(self, app: Any) -> None:
        self._server.app = app
        serve = functools.partial(self._server.serve_forever, poll_interval=_POLL_SECONDS)
        threading.Thread(target=serve, name=f"door {self.address}", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def read_body(environ: Environ) -> bytes:
    """The whole request body, which the next reader can read again."""
    body = get_input_stream(environ).read()
    replace_body(environ, body)
    return body


def replace_body(environ: Environ, body: bytes) -> None:
    environ["wsgi.input"] = io.BytesIO(body)
    environ["CONTENT_LENGTH"] = str(len(body))
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ.pop("wsgi.input_terminated", None)


def json_response(value: object, status: int = 200, content_type: str = "application/json") -> Response:
    return Response(json.dumps(value), status, content_type=content_type)
