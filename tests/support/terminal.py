"""Runs a program on a terminal of its own: terminal.py COLUMNS ROWS PROGRAM [ARGUMENT]...

What the program shows goes to standard output; what is typed comes from standard input. A line `\\0COLUMNS ROWS` among
that changes the terminal's size. Whoever waits for a program that is silent for two minutes waits in vain: it is ended.
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
            except OSError:  # how Linux says that the last program on it has ended
                shown = b""
            if not shown:
                return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            sys.stdout.buffer.write(shown)
            sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
