"""`python -m services --folder DIR`: serve until standard input ends."""

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import Any

from .control import Control
from .exchange import Answer, Record, Request
from .faults import Faults
from .google import Google
from .kaggle import Kaggle
from .proxy import Authority, Proxy


class Hosts:
    """Passes each request to the service of its host, and requests without a host to the control."""

    def __init__(self, services: dict[str, Any]) -> None:
        self._record, self._faults = Record(), Faults()
        self._control = Control(services, self._record, self._faults)
        self._services = {host: service for service in services.values() for host in service.hosts}

    def __call__(self, request: Request) -> Answer:
        if not request.host:
            return self._control.answer(request)
        self._record.add(request)
        fault = self._faults.take(request)
        if fault is not None and fault.status != 0:
            return fault
        service = self._services.get(request.host)
        if service is None:
            return Answer.of({"error": f"nobody is {request.host} here"}, 421)
        answer = service.answer(request)
        return answer if fault is None else fault


def main() -> None:
    parser = argparse.ArgumentParser(prog="services")
    parser.add_argument("--folder", type=Path, required=True, help="folder for certificates")
    parser.add_argument("--registry-program", type=Path, help="Debian's docker-registry, for images")
    arguments = parser.parse_args()
    authority = Authority(arguments.folder)
    google = Google(arguments.folder, arguments.registry_program)
    proxy = Proxy(authority, Hosts({"kaggle": Kaggle(), "google": google}))
    google.lead(proxy.url, authority.certificates)
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    print(json.dumps({"proxy": proxy.url, "certificates": str(authority.certificates)}), flush=True)
    sys.stdin.read()
    google.stop()


if __name__ == "__main__":
    main()
