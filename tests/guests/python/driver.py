"""Report everything that is visible of the user, and write wherever possible: `dumps` and `escapes` in Python."""

import os
import socket
import sys
from pathlib import Path

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import options, report, types

PLACES = ["/", ".", "/job", "/project", "/etc/passwd", "/root", "/home", "/proc/self/environ"]
EVIL = ["/job/../evil", "/job/../../../../evil", "../evil", "/evil", "/tmp/evil", "evil"]


class Train(exports.Train):
    def options(self):
        return [
            options.OptionSpec.location("output_path", "A location to access", ["s3"]),
            options.OptionSpec.role("role_name", "A role to use"),
        ]

    def check(self, training):
        return [report.Finding.problem(text, "it should not be so") for text in seen(training)]

    def preview(self, training):
        return "{}"

    def prepare(self, training):
        raise Err(types.Error_Unsupported(types.Problem("this is the end of it", "there is no more", None)))

    def submit(self, training):
        raise NotImplementedError

    def status(self, job):
        raise NotImplementedError

    def logs(self, job, cursor):
        raise NotImplementedError

    def stop(self, job):
        raise NotImplementedError

    def artifacts(self, job):
        raise NotImplementedError

    def find(self, location, prefix):
        raise NotImplementedError


def seen(training):
    yield from (f"variable {name}={value}" for name, value in os.environ.items())
    yield from (f"argument {argument}" for argument in sys.argv[1:])
    for place in map(Path, PLACES):
        try:
            yield from (f"entry {entry}" for entry in place.iterdir())
        except OSError:
            pass
        try:
            yield f"file {place}: {place.read_text()}"
        except OSError:
            pass
    for place in EVIL:
        try:
            Path(place).write_text("evil")
            yield f"wrote {place}"
        except OSError:
            pass
    yield from (f"sent {file}" for file in training.files() if "env" in file)
    try:
        training.read(".env")
        yield "read .env"
    except Err:
        pass
    try:
        socket.socket().connect(("127.0.0.1", 80))
        yield "a socket was not refused"
    except OSError:
        pass
