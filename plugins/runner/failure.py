"""The reason of a failure, in the file from which SageMaker takes it.

Only its first 1,024 characters become the job's failure reason, so what went
wrong comes first and the end of the traceback next.
"""

import os
import re
import signal
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from spread import FAILED, PREFIX
from supervise import Outcome

REASON_CHARACTERS = 1024
HEADLINE_CHARACTERS = 480
LAST_LINES = 20
CRASH_LINES = 8

MEANINGS = {
    2: "usually an argument that the script does not accept",
    126: "a command could not be executed",
    127: "a command was not found",
    130: "interrupted by SIGINT",
    132: "SIGILL: native code uses an instruction that this processor does not have",
    134: "SIGABRT: native code gave up",
    135: "SIGBUS: often too little shared memory in /dev/shm",
    136: "SIGFPE: an arithmetic error in native code",
    137: "killed by SIGKILL, usually because memory ran out",
    139: "SIGSEGV: a segmentation fault in native code",
    143: "ended by SIGTERM",
}

_TRACEBACK = "Traceback (most recent call last):"
# The margin beside the parts of an exception group.
_MARGIN = re.compile(r"^ *[|+] ")
_SOURCE_LINE = re.compile(r'  File ".+", line \d+')
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def explain(outcome: Outcome) -> str:
    """Explain why the script failed, from its exit code and the end of its stderr."""
    lines = of_failed_rank(readable_lines(outcome.stderr_tail))
    code = outcome.exit_code
    traceback = None if code >= 128 else last_traceback(lines)
    if traceback:
        return reason(*traceback)
    if outcome.stop_signal is not None and code == 128 + outcome.stop_signal:
        headline = "The job was stopped by {}.".format(signal.Signals(outcome.stop_signal).name)
    elif code in MEANINGS:
        headline = "The script ended with exit code {}: {}.".format(code, MEANINGS[code])
    else:
        headline = "The script ended with exit code {} and no traceback.".format(code)
    return reason(headline, last_words(lines))


def of_failed_rank(lines: List[str]) -> List[str]:
    """Return only the failed process's lines, without the rank before them."""
    failed = next(filter(None, map(FAILED.match, reversed(lines))), None)
    if failed is None:
        return lines
    prefix = PREFIX.format(failed.group(1))
    return [line[len(prefix) :] for line in lines if line.startswith(prefix)] or lines


def reason(headline: str, details: List[str]) -> str:
    """Return the headline, followed by the last lines of the details that fit.

    If this cuts anything, the full text follows.
    """
    head = headline
    if len(head) > HEADLINE_CHARACTERS:
        head = head[: HEADLINE_CHARACTERS - 1] + "…"
    kept = []  # type: List[str]
    room = REASON_CHARACTERS - len(head)
    for line in reversed(details):
        room -= len(line) + 1
        if room < 0:
            break
        kept.insert(0, line)
    text = "\n".join([head] + kept) + "\n"
    if head == headline and len(kept) == len(details):
        return text
    return text + "\nIn full:\n" + "\n".join([headline] + details) + "\n"


def last_traceback(lines: List[str]) -> Optional[Tuple[str, List[str]]]:
    """Find the last traceback: the exception, and its frames."""
    lines = [_MARGIN.sub("", line) for line in lines]
    starts = [i for i, line in enumerate(lines) if line.endswith(_TRACEBACK)]
    if starts:
        start = starts[-1] + 1
    else:  # a syntax error in the script itself has no title
        starts = [i for i, line in enumerate(lines) if _SOURCE_LINE.match(line)]
        if not starts:
            return None
        start = starts[-1]
    end = start
    while end < len(lines) and lines[end].startswith(" "):
        end += 1
    if end == len(lines):
        return None
    return lines[end], lines[start:end] + lines[end + 1 : end + 1 + LAST_LINES]


def last_words(lines: List[str]) -> List[str]:
    """Return the most useful lines if there is no traceback.

    A crash in native code lists the thread's frames starting with the innermost,
    so the first ones matter.
    """
    for start, line in enumerate(lines):
        if line.startswith("Current thread 0x"):
            return lines[start : start + CRASH_LINES]
    return lines[-LAST_LINES:]


def readable_lines(output: bytes) -> List[str]:
    """Return the output's lines as a terminal shows them: no colours, no overwritten text."""
    text = _ESCAPE.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n")
    lines = [line.rpartition("\r")[2].rstrip() for line in text.split("\n")]
    return [line for line in lines if line]


def write_failure(path: Path, text: str) -> None:
    """Write the failure file, unless the script has written its own."""
    if path.exists():
        return
    draft = path.with_name(path.name + ".part")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(str(draft), str(path))
    except OSError as error:
        print("alekseylearn: cannot write {}: {}".format(path, error), file=sys.stderr)
