"""Passing a script's output on, with progress bars made visible to log services.

Log services and Docker's log files cut at line feeds only, so a bar that redraws
itself with carriage returns would stay unseen until its end. A redraw therefore
becomes a line of its own that ends in CR LF, at most one a second, and is over
when another line comes: its last state ends in LF, like all other lines, also
those that the script ended in CR LF. Every other byte passes unchanged.
"""

import re
from typing import Callable, Optional

REDRAW_SECONDS = 1.0
# How long an unfinished line waits for its end: a script may write the text and
# its carriage return one after the other.
HOLD_SECONDS = 0.05
HOLD_BYTES = 1 << 16

# Text and its end. A carriage return counts once it is known what follows it.
_SEGMENT = re.compile(rb"([^\r\n]*)(\r?\n|\r(?=[^\n]))")
# What tqdm ends the redraw of a lower bar with, to get back to the upper one.
_CURSOR_UP = b"\x1b[A"


class Relay:
    """One stream on its way from the script to the log."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""  # the unfinished line, as far as it is not passed on
        self._held_since = 0.0
        self._is_open = False  # the start of the unfinished line is passed on
        self._redrawing = False  # a carriage return came earlier on this line
        self._return_leads = False  # ... and it was the line's first byte, as with tqdm
        self._newest = b""  # the newest redraw that is not passed on
        self._shown = b""  # the redraw passed on last
        self._next_redraw = 0.0

    def feed(self, chunk: bytes, now: float) -> None:
        """Take what was read; pass on every finished line of it."""
        data = self._held + chunk
        if b"\r" in data or self._redrawing:
            done = 0
            for segment in _SEGMENT.finditer(data):
                self._take_segment(segment.group(1), segment.group(2), now)
                done = segment.end()
        else:
            done = data.rfind(b"\n") + 1
            if done:
                self._write(data[:done])
                self._is_open = False
        self._held = data[done:]
        self._held_since = now
        if len(self._held) > HOLD_BYTES:
            self._pass_held(now)

    def deadline(self) -> Optional[float]:
        """Say when `tick` has something to do even if nothing more arrives."""
        times = []
        if self._newest:
            times.append(self._next_redraw)
        if self._held and self._held != self._shown:
            hold_end = self._held_since + HOLD_SECONDS
            is_unfinished_redraw = self._redrawing and not self._held.endswith(b"\r")
            times.append(max(hold_end, self._next_redraw) if is_unfinished_redraw else hold_end)
        return min(times) if times else None

    def tick(self, now: float) -> None:
        """Pass on what has waited long enough."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return
        if self._held and now >= self._held_since + HOLD_SECONDS:
            self._pass_held(now)
        self._pass_newest(now)

    def close(self) -> None:
        """The stream has ended: pass on all that is left."""
        if self._held.endswith(b"\r"):
            self._take_segment(self._held[:-1], b"\r", self._next_redraw)
        elif self._held:
            self._take_segment(self._held, b"", self._next_redraw)
        self._held = b""
        self._pass_newest(self._next_redraw)

    def _take_segment(self, text: bytes, end: bytes, now: float) -> None:
        if end == b"\r" or (self._redrawing and text.endswith(_CURSOR_UP)):
            self._take_redraw(text.replace(_CURSOR_UP, b""), now)
        else:
            self._take_line(text, end)

    def _take_redraw(self, text: bytes, now: float) -> None:
        if not self._redrawing:
            self._redrawing = True
            self._return_leads = not text and not self._is_open
        if self._is_open:
            self._write(text + b"\r\n")
            self._is_open = False
            self._next_redraw = now + REDRAW_SECONDS
        elif text.strip() and text != self._shown:
            self._newest = text
            self._pass_newest(now)

    def _take_line(self, text: bytes, end: bytes) -> None:
        # Where redraws end in a carriage return, this line is not the bar's last
        # state but the next thing printed, and the last state is still to come.
        last = self._newest or self._shown
        if last.strip() and not (self._return_leads and text):
            self._write(last + b"\n")
        self._write(text + end.replace(b"\r\n", b"\n"))
        self._newest = self._shown = b""
        self._redrawing = self._is_open = False

    def _pass_newest(self, now: float) -> None:
        if self._newest and now >= self._next_redraw:
            self._write(self._newest + b"\r\n")
            self._shown, self._newest = self._newest, b""
            self._next_redraw = now + REDRAW_SECONDS

    def _pass_held(self, now: float) -> None:
        """Stop waiting for the end of the unfinished line."""
        if self._held.endswith(b"\r"):
            text, self._held = self._held[:-1], b""
            self._take_redraw(text, now)
        elif self._redrawing:
            if self._held.strip():
                self._newest = self._held
            else:
                self._shown = self._held
            self._pass_newest(now)
        else:
            self._write(self._held)
            self._is_open = True
            self._held = b""
