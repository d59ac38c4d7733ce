"""The first process of a training container: runs a script by SageMaker's contract.

Started as `python -I -S /opt/alekseylearn/runner train`, so that nothing from the
project, or from a folder that a variable names, is imported here.
"""

import signal
import sys

if sys.argv[1:] == ["train"]:
    # A first process ignores signals without a handler, but a blocked signal waits until there is one.
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from cluster import meet, stay
from environment import script_environment
from failure import explain, write_failure
from job import Job, SetupError, read_job
from launch import command
from leavings import gather, manifest
from roots import Roots
from supervise import Sink, Supervisor
from written import Snapshot, is_empty

if TYPE_CHECKING:
    from results import Results

USAGE_EXIT_CODE = 2
SETUP_EXIT_CODE = 1
# A script that ends this soon without any output has most likely done nothing.
IDLE_SECONDS = 10.0


def main(arguments: List[str]) -> int:
    if arguments == ["notebook"]:
        # The runner starts itself again if the artifact is a notebook ...
        from notebook import main as run_notebook

        return run_notebook()
    if arguments[:1] == ["spread"]:
        # ... or if the script runs in several processes.
        from spread import main as run_spread

        return run_spread(arguments[1:])
    if arguments != ["train"]:
        _complain('this image takes the single argument "train", not {}'.format(arguments))
        return USAGE_EXIT_CODE
    supervisor = Supervisor()
    roots = Roots.from_environment()
    results = None  # type: Optional[Results]
    try:
        results = _results(roots)
        roots.make_output_folders()
        job = read_job(roots)
        folder = job.working_folder(roots)
        # The image has no folder without files.
        folder.mkdir(parents=True, exist_ok=True)
        if results is not None:
            results.begin(job)
        missing = meet(job, roots, supervisor.is_stopping)
        to_run = command(job, roots)
        before = Snapshot.of(roots.code)
    except (SetupError, OSError) as error:
        return _cannot_start(str(error), roots, results)
    if missing:
        _complain("no address found for {}: continuing without".format(", ".join(missing)))
    met = time.monotonic()
    try:
        outcome = supervisor.run(to_run, script_environment(job, roots), folder)
    except OSError as error:
        return _cannot_start("cannot run {}: {}".format(to_run[0], error.strerror), roots, results)
    if outcome.exit_code != 0:
        write_failure(roots.failure, explain(outcome))
    else:
        stay(job, met, supervisor.is_stopping)
    well = outcome.exit_code == 0 or outcome.stop_signal is not None
    is_kept = _gather(job, roots, before, well) and (results is None or _keep(results, roots, well))
    if outcome.exit_code == 0 and not outcome.printed and outcome.seconds < IDLE_SECONDS:
        _note_idleness(job, roots)
    _say(manifest(roots))
    return outcome.exit_code if is_kept else outcome.exit_code or SETUP_EXIT_CODE


def _cannot_start(why: str, roots: Roots, results: "Optional[Results]") -> int:
    _complain(why)
    write_failure(roots.failure, "The training could not start: {}\n".format(why))
    if results is not None:
        _keep_failure(results)
    return SETUP_EXIT_CODE


def _gather(job: Job, roots: Roots, before: Snapshot, well: bool) -> bool:
    """Complete the results. A training whose model cannot be kept has failed."""
    try:
        for line in gather(job, roots, before, well):
            _say("alekseylearn: " + line)
        return True
    except OSError as error:
        message = "cannot keep the script's results in {}: {}".format(roots.ml, error.strerror or error)
        _complain(message)
        write_failure(roots.failure, message[0].upper() + message[1:] + "\n")
        return False


def _note_idleness(job: Job, roots: Roots) -> None:
    if job.kind not in ("script", "module") or not is_empty(roots.model) or not is_empty(roots.output_data):
        return
    said = "alekseylearn: the script printed and wrote nothing"
    if job.kind == "script" and not _has_guard(roots.code / job.artifact):
        said += ': does it call its main function below `if __name__ == "__main__":`?'
    _say(said)


def _has_guard(script: Path) -> bool:
    try:
        return "__main__" in script.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def _results(roots: Roots) -> "Optional[Results]":
    """Return what uploads the results; None if the platform keeps them itself."""
    if not os.environ.get("AIP_MODEL_DIR"):
        return None
    # Imported only if needed, because the modules load slowly.
    from results import Results

    return Results(roots, os.environ)


def _keep(results: "Results", roots: Roots, well: bool) -> bool:
    """Upload the results. A training whose results are lost has failed."""
    try:
        results.keep(with_model=well)
        return True
    except OSError as error:
        message = "cannot upload the results to {}: {}".format(results, error)
        _complain(message)
        write_failure(roots.failure, message[0].upper() + message[1:] + "\n")
        _keep_failure(results)
        return False


def _keep_failure(results: "Results") -> None:
    try:
        results.keep_failure()
    except OSError:
        pass  # the cause has already been reported


def _say(line: str) -> None:
    """Print a line of the runner's own, whatever the locale."""
    Sink(sys.stdout.fileno()).write(line.encode("utf-8", "backslashreplace") + b"\n")


def _complain(message: str) -> None:
    print("alekseylearn: " + message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
