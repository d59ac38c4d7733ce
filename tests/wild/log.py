"""Commands, and logs of what they write."""

import re
import shlex
import subprocess
from pathlib import Path


class Log:
    """A file that takes all output of one run."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
        self.path = path

    def note(self, text: str) -> None:
        """Writes a line of our own, which is none of the output."""
        with self.path.open("a") as file:
            file.write("$ " + text.replace("\n", "\\n") + "\n")

    def run(self, command: list[str], limit: float, **options) -> int:
        """Runs a command, its output at the end of the log. Returns its exit status, 124 past the limit."""
        self.note(shlex.join(command))
        with self.path.open("ab") as file:
            output = {"stdin": subprocess.DEVNULL, "stdout": file, "stderr": subprocess.STDOUT}
            process = subprocess.Popen(command, **output, **options)
            try:
                return process.wait(limit)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait(60)
                return 124

    def lines(self) -> list[str]:
        """What the commands wrote, without empty lines."""
        text = self.path.read_text(errors="replace")
        return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("$ ")]

    def last_line(self, status: int) -> str:
        """Why a command failed with this status, by the last line that is no note of an installer."""
        if status == 124:
            return "took too long"
        lines = [line for line in self.lines() if not re.match(r"\[notice\]|WARNING|hint:|note:|  +", line)]
        return shortened(lines[-1]) if lines else f"ended with {status}"


def quiet(command: list[str]) -> str:
    """The output of a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout


def shortened(text: str) -> str:
    """One line, without colours and without what this machine alone has."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    text = re.sub(r"/\S*/checkout", "…", text)
    return text if len(text) < 160 else text[:157] + "…"
