"""The first process of a training container: SageMaker's contract around a script.

Started as `python /opt/alekseylearn/runner train`.
"""

import sys
from pathlib import Path
from typing import List

from arguments import script_arguments
from cluster import meet
from environment import script_environment
from failure import explain, write_failure
from job import Job, SetupError, read_job
from roots import Roots
from supervise import Supervisor

USAGE_EXIT_CODE = 2
SETUP_EXIT_CODE = 1


def main(arguments: List[str]) -> int:
    if arguments != ["train"]:
        _complain('this image is to be started with the one argument "train", not with {}'.format(arguments))
        return USAGE_EXIT_CODE
    supervisor = Supervisor()
    roots = Roots.from_environment()
    try:
        roots.make_output_folders()
        job = read_job(roots)
        missing = meet(job, roots, supervisor.is_stopping)
    except (SetupError, OSError) as error:
        _complain(str(error))
        write_failure(roots.failure, "The training could not start: {}\n".format(error))
        return SETUP_EXIT_CODE
    if missing:
        _complain("no address was found for {}: the training goes on without".format(", ".join(missing)))
    outcome = supervisor.run(_command(job), script_environment(job, roots), roots.code)
    if outcome.exit_code != 0:
        write_failure(roots.failure, explain(outcome))
    return outcome.exit_code


def _command(job: Job) -> List[str]:
    """Give what to run: the script with its arguments, or the program that runs notebooks."""
    if job.is_notebook:
        return [sys.executable, "-u", str(Path(__file__).resolve().parent / "notebook.py")]
    return [sys.executable, "-u", job.artifact] + script_arguments(job.hyperparameters)


def _complain(message: str) -> None:
    print("alekseylearn: " + message, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
