"""How papermill talks to the kernel here: output at once, a stop that keeps results."""

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

ENGINE = "alekseylearn"

# A stopped cell is interrupted, as by Jupyter's stop button, and may take this
# long to end by itself before its kernel is killed.
STOP_SECONDS = 30
START_SECONDS = 120
# After a cell's end, the wait for output that is still on its way.
OUTPUT_SECONDS = 600
TAIL_BYTES = 1 << 16

# Run by the kernel before the first cell; neither line leaves a name behind.
# A crash in native code shall say where it happened, past the messages which it
# cuts off. Modules at the top of the code folder can be imported from a notebook
# in a subfolder, but, unlike with PYTHONPATH, a `random.py` there cannot keep
# the kernel itself from starting.
PREPARATION = (
    "__import__('faulthandler').enable(__import__('sys').stderr); "
    "__import__('sys').path.insert(1, {!r})"
)

_OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\r\n])")


class Stopped(BaseException):
    """The job was asked to stop, and the notebook shall run no further."""


class Session:
    """One run of a notebook: what it is doing, and whether it was told to stop."""

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
        """Mark a cell's execution, so that a stop meets it or comes before it."""
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
        """Give the end of what the kernel's process itself said."""
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
    """Papermill's client, which also shows what cells display."""

    session = None  # type: Session

    def create_kernel_manager(self) -> Any:
        """Talk over sockets in the file system: no ports, and nobody else listens.

        They need a folder of their own; by default they would lie among the code.
        """
        manager = super().create_kernel_manager()
        manager.transport = "ipc"
        manager.ip = str(self.session.scratch / "kernel")
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
        """Store an output as Jupyter does: one text for what a stream says in a row.

        Otherwise each flush of a long-running cell would be an output of its own
        in the notebook, and each state of a progress bar a part of it.
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
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        session = options["session"]
        preparation = PREPARATION.format(options["code_folder"])
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            startup_timeout=START_SECONDS,
            iopub_timeout=OUTPUT_SECONDS,
            shutdown_kernel="immediate",
            log_output=True,
            extra_arguments=["--IPKernelApp.exec_lines=" + preparation],
        )
        client.session, session.client = session, client
        # What a cell writes past Python comes as a message and, again, from the
        # kernel's own streams. Only a kernel that died has more to say there.
        return client.execute(stdout=subprocess.DEVNULL, stderr=session.kernel_stderr)


class WholeFiles(LocalHandler):
    """Writes a notebook so that a reader never finds half of it."""

    def write(self, buf: str, path: str) -> None:
        draft = Path(path + ".part")
        draft.write_text(buf, encoding="utf-8")
        os.replace(str(draft), path)


papermill_engines.register(ENGINE, KernelEngine)
papermill_io.register("/", WholeFiles())
