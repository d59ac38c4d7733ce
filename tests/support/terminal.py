"""Run a program on its own terminal: terminal.py COLUMNS ROWS PROGRAM [ARGUMENT]...

The program's output goes to standard output, and standard input is typed. A line `\\0COLUMNS ROWS` in the input changes
the terminal's size. A program that is silent for two minutes is killed.
"""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios

SILENCE = 120  # seconds
RESIZE = re.compile(rb"\0(\d+) (\d+)\n")


def resize(terminal: int, columns: int, rows: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def main() -> int:
    columns, rows, *command = sys.argv[1:]
    child, terminal = pty.fork()
    if child == 0:
        resize(0, int(columns), int(rows))
        os.execvp(command[0], command)
    watched = [terminal, 0]
    while True:
        ready, _, _ = select.select(watched, [], [], SILENCE)
        if not ready:
            os.kill(child, signal.SIGKILL)
            return 1
        if 0 in ready:
            typed = os.read(0, 1 << 16)
            if not typed:
                watched.remove(0)
            for size in RESIZE.findall(typed):
                resize(terminal, *map(int, size))
            os.write(terminal, RESIZE.sub(b"", typed))
        if terminal in ready:
            try:
                shown = os.read(terminal, 1 << 16)
            except OSError:  # Linux reports the end of the last program on the terminal
                shown = b""
            if not shown:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            sys.stdout.buffer.write(shown)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
