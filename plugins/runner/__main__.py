"""The first process of a training container: SageMaker's contract around a script.

Started as `python -I -S /opt/alekseylearn/runner train`: nothing that lies in the
training folder, or that a variable leads to, is imported here.
"""

import os
import sys
import time
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
# A script that neither writes nor prints in so little time has most likely done nothing.
IDLE_SECONDS = 10.0


def main(arguments: List[str]) -> int:
    if arguments == ["notebook"]:
        # The runner starts itself again, for a job whose artifact is a notebook.
        from notebook import main as run_notebook

        return run_notebook()
    if arguments[:1] == ["spread"]:
        # ... or for one that is to run in several processes.
        from spread import main as run_spread

        return run_spread(arguments[1:])
    if arguments != ["train"]:
        _complain('this image is to be started with the one argument "train", not with {}'.format(arguments))
        return USAGE_EXIT_CODE
    supervisor = Supervisor()
    roots = Roots.from_environment()
    results = None  # type: Optional[Results]
    try:
        results = _results(roots)
        roots.make_output_folders()
        job = read_job(roots)
        folder = job.working_folder(roots)
        # A folder without files is in no image.
        folder.mkdir(parents=True, exist_ok=True)
        if results is not None:
            results.begin(job)
        missing = meet(job, roots, supervisor.is_stopping)
        to_run = command(job, roots)
        before = Snapshot.of(roots.code)
    except (SetupError, OSError) as error:
        return _cannot_start(str(error), roots, results)
    if missing:
        _complain("no address was found for {}: the training goes on without".format(", ".join(missing)))
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
    """Make the results complete. A training whose model cannot be kept has failed."""
    try:
        for line in gather(job, roots, before, well):
            _say("alekseylearn: " + line)
        return True
    except OSError as error:
        message = "what the script wrote cannot be kept in {}: {}".format(roots.ml, error.strerror or error)
        _complain(message)
        write_failure(roots.failure, message[0].upper() + message[1:] + "\n")
        return False


def _note_idleness(job: Job, roots: Roots) -> None:
    if job.kind in ("script", "module") and is_empty(roots.model) and is_empty(roots.output_data):
        _say(
            "alekseylearn: the script printed nothing and wrote nothing: does it call its main function, "
            'below `if __name__ == "__main__":`?'
        )


def _results(roots: Roots) -> "Optional[Results]":
    """Give what brings results to where the platform says; none where it keeps them by itself."""
    if not os.environ.get("AIP_MODEL_DIR"):
        return None
    # What this needs of Python takes a while to load.
    from results import Results

    return Results(roots, os.environ)


def _keep(results: "Results", roots: Roots, well: bool) -> bool:
    """Bring the results to where the platform wants them; without them a training has failed."""
    try:
        results.keep(with_model=well)
        return True
    except OSError as error:
        message = "the results could not be brought to {}: {}".format(results, error)
        _complain(message)
        write_failure(roots.failure, message[0].upper() + message[1:] + "\n")
        _keep_failure(results)
        return False


def _keep_failure(results: "Results") -> None:
    try:
        results.keep_failure()
    except OSError:
        pass  # what stands in the way has been said


def _say(line: str) -> None:
    """Print a line of the runner's own, whatever the locale."""
    Sink(sys.stdout.fileno()).write(line.encode("utf-8", "backslashreplace") + b"\n")


def _complain(message: str) -> None:
    print("alekseylearn: " + message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
