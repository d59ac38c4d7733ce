"""The connection between papermill and the kernel: immediate output, and a stop that keeps results."""

import math
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Iterator, Optional

from nbclient.exceptions import CellExecutionError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.iorw import LocalHandler, papermill_io

from complete import complete

ENGINE = "alekseylearn"

# A stopped cell is interrupted, as by Jupyter's stop button. Its kernel is killed
# if the cell has not ended after this time.
STOP_SECONDS = 30
START_SECONDS = 120
# How long to wait for outstanding output after a cell's end.
OUTPUT_SECONDS = 600
TAIL_BYTES = 1 << 16

# Run by the kernel before the first cell, without defining any names. A crash in
# native code then prints where it happened directly to the process's stderr, because
# the kernel's messages are lost. `exit(3)` ends the run as in a script: IPython would
# only ask its front end to close, continue the cell, and take the code for a flag.
PREPARATION = (
    "__import__('faulthandler').enable(__import__('sys').stderr); "
    "__import__('IPython.core.autocall', fromlist=['autocall']).ZMQExitAutocall.__call__ = "
    "lambda self, keep_kernel=None: __import__('sys').exit(None if keep_kernel is True else keep_kernel)"
)
# The kernel's first lines. They remove its folder from the import path; the
# notebook's folder is added only when the kernel is up. So a `random.py` beside
# the notebook cannot prevent the start.
KERNEL = "import sys; del sys.path[0]\nfrom ipykernel import kernelapp\nkernelapp.launch_new_instance()\n"

_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")


class Stopped(BaseException):
    """The job was asked to stop, so the notebook must not continue."""


class Session:
    """The state of one run of a notebook."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.kernel_stderr = tempfile.TemporaryFile()
        self.client = None  # type: Optional[Client]
        self.cell = None  # type: Any
        self.error = None  # type: Optional[CellExecutionError]
        self.kernel_exit = None  # type: Optional[int]
        self.stop_signal = None  # type: Optional[int]
        self._is_executing = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_stop)
        signal.signal(signal.SIGALRM, self._on_patience_over)

    @contextmanager
    def executing(self, cell: Any) -> Iterator[None]:
        """Mark a cell's execution, so that a stop happens before or during it."""
        if self.stop_signal is not None:
            raise Stopped
        self.cell = cell
        self._is_executing = True
        try:
            yield
        except CellExecutionError as error:
            self.error = error
            raise
        finally:
            self._is_executing = False

    def kernel_words(self) -> bytes:
        """Return the end of the kernel process's own output."""
        size = self.kernel_stderr.seek(0, os.SEEK_END)
        self.kernel_stderr.seek(max(0, size - TAIL_BYTES))
        return self.kernel_stderr.read()

    def _on_stop(self, number: int, _frame: Optional[FrameType]) -> None:
        self.stop_signal = number
        signal.alarm(STOP_SECONDS)
        if self._is_executing and self.client is not None:
            self.client.interrupt()

    def _on_patience_over(self, _number: int, _frame: Optional[FrameType]) -> None:
        raise Stopped


class Client(PapermillNotebookClient):
    """Papermill's client, extended to show what cells display."""

    session = None  # type: Session

    def create_kernel_manager(self) -> Any:
        """Connect by Unix sockets, which need no ports and which nobody else can reach.

        They get their own folder; by default they would be in the code folder.
        """
        manager = super().create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = str(self.session.scratch / "kernel")
        launcher = self.session.scratch / "launch" / "kernel.py"
        launcher.parent.mkdir(exist_ok=True)
        launcher.write_text(KERNEL, encoding="utf-8")
        manager.kernel_spec.argv = [sys.executable, str(launcher), "-f", "{connection_file}"]
        return manager

    def execute_cell(self, cell: Any, cell_index: int, **options: Any) -> Any:
        with self.session.executing(cell):
            try:
                return super().execute_cell(cell, cell_index, **options)
            except DeadKernelError:
                self.session.kernel_exit = self.km.provisioner.process.poll()
                raise

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in the running cell."""
        try:
            os.killpg(self.km.provisioner.pgid, signal.SIGINT)
        except ProcessLookupError:
            pass

    def output(self, outs: list, msg: dict, display_id: Any, cell_index: int) -> Any:
        """Store an output as Jupyter does: consecutive output of a stream is one text.

        Otherwise each flush of a long-running cell would become a separate output in
        the notebook, and keep every state of a progress bar.
        """
        out = super().output(outs, msg, display_id, cell_index)
        if out is not None and len(outs) > 1 and out.output_type == "stream":
            previous = outs[-2]
            if previous.output_type == "stream" and previous.name == out.name:
                earlier, line_feed, line = previous.text.rpartition("\n")
                previous.text = earlier + line_feed + _OVERWRITTEN.sub("", line + out.text)
                outs.pop()
        return out

    def log_output_message(self, output: Any) -> None:
        """Show an output as it comes. Errors are shown once, at the end."""
        if output.output_type == "stream":
            target = sys.stderr if output.name == "stderr" else sys.stdout
            target.write(output.text)
        elif "text/plain" in output.get("data", {}):
            sys.stdout.write(output.data["text/plain"] + "\n")


class KernelEngine(Engine):
    """The papermill engine that uses the client above."""

    @classmethod
    def execute_notebook(cls, nb: Any, kernel_name: str, **options: Any) -> Any:
        made = nb.metadata.get("papermill", {})
        if "parameters" in made:
            made["parameters"] = _as_json(made["parameters"])
        return super().execute_notebook(nb, kernel_name, **options)

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        session = options["session"]
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=START_SECONDS,
            iopub_timeout=OUTPUT_SECONDS,
            shutdown_kernel="immediate",
            log_output=True,
            extra_arguments=["--IPKernelApp.exec_lines=" + PREPARATION],
        )
        client.session, session.client = session, client
        # Native output of a cell arrives as a message and again on the kernel's own
        # streams, which are only read if the kernel died.
        return client.execute(stdout=subprocess.DEVNULL, stderr=session.kernel_stderr)


def _as_json(value: Any) -> Any:
    """Return a value for JSON, which has no NaN and Infinity: they become strings."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


class WholeFiles(LocalHandler):
    """Completes notebooks when reading them, and writes them atomically."""

    def read(self, path: str) -> str:
        return complete(super().read(path))

    def write(self, buf: str, path: str) -> None:
        draft = Path(path + ".part")
        draft.write_text(buf, encoding="utf-8")
        os.replace(str(draft), path)


papermill_engines.register(ENGINE, KernelEngine)
papermill_io.register("/", WholeFiles())
