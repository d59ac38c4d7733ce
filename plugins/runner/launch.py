"""The command that starts each kind of training artifact, as a user would type it."""

import os
import sys
import tempfile
from pathlib import Path
from typing import List

from environment import count_gpus
from job import Job, SetupError
from roots import Roots

SHELL = "/bin/sh"
LONGEST_SHEBANG = 4096

# The script that setuptools and pip write into `bin` for an entry point.
ENTRY_POINT = """\
import sys
from {module} import {first}
if __name__ == "__main__":
    sys.exit({function}())
"""


def command(job: Job, roots: Roots) -> List[str]:
    """Return the job's command line, which runs in its working folder."""
    single = _single(job, roots)
    if job.processes is None:
        return single
    count = count_gpus() or 1 if job.processes == "gpu" else int(job.processes)
    return _runner("spread", str(count)) + single


def _runner(*arguments: str) -> List[str]:
    return [sys.executable, "-I", "-u", str(Path(__file__).resolve().parent)] + list(arguments)


def _single(job: Job, roots: Roots) -> List[str]:
    python = [sys.executable, "-u"]
    if job.kind == "notebook":
        # Isolated, so that the user's modules do not shadow those that papermill needs.
        return _runner("notebook")
    if job.kind == "module":
        return python + ["-m", job.module] + job.arguments
    if job.kind == "function":
        return python + [_entry_point(job)] + job.arguments
    path = os.path.relpath(str(roots.code / job.artifact), str(job.working_folder(roots)))
    if path.startswith("-"):
        path = "./" + path
    if job.kind == "shell":
        return _interpreter(roots.code / job.artifact) + [path] + job.arguments
    return python + [path] + job.arguments


def _entry_point(job: Job) -> str:
    """Write the script that an installation would create, and return its path, the function's sys.argv[0]."""
    names = job.module.split(".") + job.function.split(".")
    if not all(name.isidentifier() for name in names):
        raise SetupError("{}:{} is not a valid function name".format(job.module, job.function))
    folder = Path(tempfile.mkdtemp(prefix="alekseylearn-"))
    script = folder / (job.name or names[-1])
    text = ENTRY_POINT.format(module=job.module, first=job.function.split(".")[0], function=job.function)
    script.write_text(text, encoding="utf-8")
    return str(script)


def _interpreter(script: Path) -> List[str]:
    """Return a shell script's interpreter: from its first line, as the kernel reads it, else `sh`."""
    with script.open("rb") as file:
        line = file.readline(LONGEST_SHEBANG)
    if not line.startswith(b"#!"):
        return [SHELL]
    return os.fsdecode(line[2:].strip()).split(None, 1) or [SHELL]
