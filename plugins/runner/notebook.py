"""Runs a notebook. The runner starts itself again for it.

The executed notebook is saved after each cell, and is complete whatever happens:
its outputs and its error are in `/opt/ml/output/data/<name>.ipynb`.
"""

import keyword
import logging
import os
import signal
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any, Dict, List

from failure import MEANINGS, last_words, readable_lines, reason, write_failure
from job import Job, read_job
from roots import Roots


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="alekseylearn-") as scratch:
        _prepare_process(Path(scratch))
        return _train(Path(scratch))


def _train(scratch: Path) -> int:
    # Imported late, because they print warnings when they load.
    import papermill
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    from kernel import ENGINE, Session, Stopped

    roots = Roots.from_environment()
    job = read_job(roots)
    session = Session(scratch)
    source = roots.code / job.artifact
    try:
        papermill.execute_notebook(
            _literal_path(source),
            _literal_path(roots.output_data / source.name),
            parameters=_notebook_parameters(job),
            engine_name=ENGINE,
            kernel_name="python3",
            language="python",
            progress_bar=False,
            cwd=source.parent,
            session=session,
        )
    except (PapermillExecutionError, DeadKernelError, Stopped):
        pass  # the session has the details
    except RuntimeError as error:
        if session.cell is not None:
            raise
        return _report_no_kernel(session, roots, error)
    signal.alarm(0)
    if session.stop_signal is not None:
        return 128 + session.stop_signal
    if session.kernel_exit is not None:
        return _report_dead_kernel(session, roots)
    if session.error is not None:
        return _report_failed_cell(session, roots)
    return 0


def _prepare_process(scratch: Path) -> None:
    """Silence the libraries, and keep the kernel's files out of the user's home."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    os.environ.setdefault("IPYTHONDIR", str(scratch / "ipython"))
    os.environ.setdefault("JUPYTER_RUNTIME_DIR", str(scratch / "jupyter"))
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # the kernel of this environment
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"


def _notebook_parameters(job: Job) -> Dict[str, Any]:
    """Return the hyperparameters that are valid Python names, and report the others."""
    parameters = {}
    for key, value in job.hyperparameters.items():
        if key.isidentifier() and not keyword.iskeyword(key):
            parameters[key] = value
        else:
            message = "alekseylearn: the hyperparameter {!r} is not a valid variable name: it is only in SM_HPS"
            print(message.format(key), file=sys.stderr)
    return parameters


def _literal_path(path: Any) -> str:
    """Escape braces in a path, which papermill would expand."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _cell_number(session: Any) -> int:
    """Return the cell's number as in a fresh run in Jupyter, without the parameters' cell."""
    number = 0
    for cell in session.client.nb.cells:
        is_injected = "injected-parameters" in cell.metadata.get("tags", [])
        if cell.cell_type == "code" and cell.source.strip() and not is_injected:
            number += 1
        if cell is session.cell:
            break
    return number


def _report_failed_cell(session: Any, roots: Roots) -> int:
    error = session.error
    if error.ename == "SystemExit" and error.evalue in ("", "None", "0"):
        return 0
    what = "{}: {}".format(error.ename, error.evalue) if error.evalue else error.ename
    traceback = [
        line
        for output in session.cell.outputs
        if output.output_type == "error"
        for line in readable_lines("\n".join(output.traceback).encode("utf-8", "replace"))
    ]
    _report(session, roots, what, traceback)
    if error.ename == "SystemExit" and error.evalue.isdigit():
        return int(error.evalue) % 256
    return 1


def _report_no_kernel(session: Any, roots: Roots, error: RuntimeError) -> int:
    words = last_words(readable_lines(session.kernel_words()))
    headline = "The notebook's kernel did not start: {}".format(words[-1] if words else error)
    print("\n".join(words + [headline]), file=sys.stderr)
    write_failure(roots.failure, reason(headline, words))
    return 1


def _report_dead_kernel(session: Any, roots: Roots) -> int:
    code = session.kernel_exit
    code = 128 - code if code < 0 else code or 1
    meaning = MEANINGS.get(code, "exit code {}".format(code))
    words = last_words(readable_lines(session.kernel_words()))
    _report(session, roots, "its kernel died: {}".format(meaning), words)
    return code


def _report(session: Any, roots: Roots, what: str, evidence: List[str]) -> None:
    headline = "Cell {} failed: {}".format(_cell_number(session), what)
    first_line = session.cell.source.strip().splitlines()[0]
    details = ["The cell begins: " + first_line] + evidence
    print("\n".join(evidence + [headline]), file=sys.stderr)
    write_failure(roots.failure, reason(headline, details))
