"""The container registry: Debian's docker-registry, with access tokens."""

import base64
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .accounts import Accounts

_USER = "oauth2accesstoken"


class Images:
    """The registry, started when a test first needs its address."""

    def __init__(self, folder: Path, program: Path | None, accounts: Accounts) -> None:
        self._folder, self._program, self._accounts = folder, program, accounts
        self._lock = threading.Lock()
        self._address: str | None = None
        self._registry: Any = None
        self.logins: list[str] = []
        """The users of all accepted requests."""

    def address(self) -> str | None:
        with self._lock:
            if self._address is None and self._program is not None:
                self._address = self._start(self._program)
        return self._address

    def stop(self) -> None:
        if self._registry is not None:
            self._registry.stop()

    def _start(self, program: Path) -> str:
        # Imported here because both are slow to load and few tests need them.
        from rig.registry import Registry
        from rig.registry_proxy import RegistryProxy
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                """Log nothing: Docker tries TLS first, which would be logged as an error."""

        self._registry = Registry(program, self._folder / "registry")
        self._registry.start()
        self._registry.wait()
        proxy = RegistryProxy(self._registry, lambda _: True)

        def front(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
            scheme, _, pair = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
            user, _, token = base64.b64decode(pair).decode().partition(":") if scheme == "Basic" else ("", "", "")
            if user != _USER or token not in self._accounts.tokens:
                headers = [("WWW-Authenticate", 'Basic realm="images"'), ("Content-Type", "application/json")]
                start_response("401 Unauthorized", headers)
                return [b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}']
            self.logins.append(self._accounts.tokens[token])
            environ["HTTP_AUTHORIZATION"] = proxy._authorization
            return proxy(environ, start_response)

        server = make_server("127.0.0.1", 0, front, threaded=True, request_handler=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"127.0.0.1:{server.server_port}"
