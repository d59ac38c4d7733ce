"""A way from a network of containers to a service that listens on this machine alone."""

import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Self

_CHUNK = 1 << 16


class Relay:
    """Listens on an address of this machine, and leads each connection to another one."""

    def __init__(self, host: str, to: str) -> None:
        place = (to.rpartition(":")[0], int(to.rpartition(":")[2]))

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with socket.create_connection(place) as service:
                    back = threading.Thread(target=_copy, args=(service, self.request), daemon=True)
                    back.start()
                    _copy(self.request, service)
                    back.join()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            # A connection that is left open holds nothing up.
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Who goes away is its own affair."""

        self._server = Server((host, 0), Handler)
        self.address = f"{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Until the source ends, and tell the target."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
