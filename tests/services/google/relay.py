"""A relay from a container network to a service that listens only on this machine."""

import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Self

_CHUNK = 1 << 16


class Relay:
    """Listens on an address of this machine, and forwards each connection to another address."""

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
            # An open connection does not block the shutdown.
            block_on_close = False

            def handle_error(self, *_: Any) -> None:
                """Ignore clients that disconnect."""

        self._server = Server((host, 0), Handler)
        self.address = f"{host}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Copy until the source ends, and then close the target for writing."""
    try:
        while data := source.recv(_CHUNK):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass
