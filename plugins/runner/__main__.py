"""The first process of a training container: SageMaker's contract around a script.

Started as `python /opt/alekseylearn/runner train`.
"""

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, List, Optional

from cluster import meet, stay
from environment import script_environment
from failure import explain, write_failure
from job import Job, SetupError, read_job
from roots import Roots
from supervise import Outcome, Supervisor

if TYPE_CHECKING:
    from results import Results

USAGE_EXIT_CODE = 2
SETUP_EXIT_CODE = 1


def main(arguments: List[str]) -> int:
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
        if results is not None:
            results.begin(job)
        missing = meet(job, roots, supervisor.is_stopping)
    except (SetupError, OSError) as error:
        _complain(str(error))
        write_failure(roots.failure, "The training could not start: {}\n".format(error))
        if results is not None:
            _keep_failure(results)
        return SETUP_EXIT_CODE
    if missing:
        _complain("no address was found for {}: the training goes on without".format(", ".join(missing)))
    met = time.monotonic()
    folder = job.working_folder(roots)
    # A folder without files is in no image.
    folder.mkdir(parents=True, exist_ok=True)
    outcome = supervisor.run(_command(job, roots), script_environment(job, roots), folder)
    if outcome.exit_code != 0:
        write_failure(roots.failure, explain(outcome))
    else:
        stay(job, met, supervisor.is_stopping)
    if results is not None and not _keep(results, roots, outcome):
        return outcome.exit_code or SETUP_EXIT_CODE
    return outcome.exit_code


def _results(roots: Roots) -> "Optional[Results]":
    """Give what brings results to where the platform says; none where it keeps them by itself."""
    if not os.environ.get("AIP_MODEL_DIR"):
        return None
    # What this needs of Python takes a while to load.
    from results import Results

    return Results(roots, os.environ)


def _keep(results: "Results", roots: Roots, outcome: Outcome) -> bool:
    """Bring the results to where the platform wants them; without them a training has failed."""
    try:
        results.keep(with_model=outcome.exit_code == 0 or outcome.stop_signal is not None)
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


def _command(job: Job, roots: Roots) -> List[str]:
    """Give what to run: the script with its arguments, or the program that runs notebooks."""
    if job.is_notebook:
        return [sys.executable, "-u", str(Path(__file__).resolve().parent / "notebook.py")]
    path = os.path.relpath(str(roots.code / job.artifact), str(job.working_folder(roots)))
    # Python would take a name that begins so for an option.
    return [sys.executable, "-u", os.path.join(".", path) if path.startswith("-") else path] + job.arguments


def _complain(message: str) -> None:
    print("alekseylearn: " + message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
