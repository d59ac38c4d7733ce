"""`python -m rig --state DIR --registry-program PATH`: serve until SIGTERM or SIGINT."""

import argparse
import logging
import os
import signal
import threading
from pathlib import Path

from .settings import HOST


def main() -> None:
    parser = argparse.ArgumentParser(prog="rig", description="Serve a rig that stands in for AWS.")
    parser.add_argument("--state", type=Path, required=True, help="folder for rig.json, logs and images")
    parser.add_argument("--registry-program", type=Path, required=True, help="Debian's docker-registry")
    arguments = parser.parse_args()

    arguments.state.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=arguments.state / "rig.log",
        level=logging.WARNING,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    threading.excepthook = _log_uncaught
    _leave_the_users_world()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())

    from .assembly import Rig

    rig = Rig(arguments.state, arguments.registry_program)
    try:
        rig.start()
        ended.wait()
    finally:
        rig.stop()


def _log_uncaught(thread: threading.ExceptHookArgs) -> None:
    """Log an uncaught exception. A thread that dies silently would look like a rig that loses lines."""
    name = thread.thread.name if thread.thread else "a thread"
    logging.getLogger(__name__).error("%s died", name, exc_info=thread.exc_value)


def _leave_the_users_world() -> None:
    """Keep the user's AWS configuration and proxies away from the rig's own parts."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = HOST


if __name__ == "__main__":
    main()
