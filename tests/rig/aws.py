"""The AWS endpoint: passes each call to a part of the rig."""

from collections.abc import Iterable
from typing import Any

from .control import PREFIX
from .web import Environ


class AwsEndpoint:
    """A WSGI application that passes calls on by service, and to moto by default."""

    def __init__(self, moto: Any, services: dict[str, Any]) -> None:
        self._moto = moto
        self._services = services

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        app = self._services.get(environ["rig.call"].service, self._moto)
        return app(environ, start_response)


class FrontDoor:
    """Separates the rig's own paths from AWS's."""

    def __init__(self, control: Any, aws: Any) -> None:
        self._control = control
        self._aws = aws

    def __call__(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        app = self._control if environ["PATH_INFO"].startswith(PREFIX) else self._aws
        return app(environ, start_response)
