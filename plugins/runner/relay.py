"""Forwards a script's output, and makes progress bars visible to log services.

Log services and Docker's log files split at line feeds only, so a bar that redraws
itself with carriage returns would be invisible until its end. Each redraw therefore
becomes a line that ends in CR LF, at most one per second. When another line comes,
the bar's last state ends in LF, like all other lines, including those that the
script ended in CR LF. All other bytes are unchanged.
"""

import re
from typing import Callable, Optional

REDRAW_SECONDS = 1.0
# How long to wait for the end of an unfinished line: a script may write the text
# and its carriage return separately.
HOLD_SECONDS = 0.05
HOLD_BYTES = 1 << 16

# Text and its end. A carriage return is only matched if the next byte is known.
_SEGMENT = re.compile(rb"([^\r\n]*)(\r?\n|\r(?=[^\n]))")
# tqdm ends the redraw of a lower bar with this, to return to the upper one.
_CURSOR_UP = b"\x1b[A"


class Relay:
    """Forwards one stream from the script to the log."""

    def __init__(self, write: Callable[[bytes], None]) -> None:
        self._write = write
        self._held = b""  # the part of the unfinished line that is not forwarded yet
        self._held_since = 0.0
        self._is_open = False  # the start of the unfinished line is forwarded
        self._redrawing = False  # this line had a carriage return
        self._return_leads = False  # ... as its first byte, as with tqdm
        self._newest = b""  # the newest redraw that is not forwarded yet
        self._shown = b""  # the redraw that was forwarded last
        self._next_redraw = 0.0

    def feed(self, chunk: bytes, now: float) -> None:
        """Add output, and forward the lines that are complete."""
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
        """Return when `tick` must be called even if nothing more arrives."""
        times = []
        if self._newest:
            times.append(self._next_redraw)
        if self._held and self._held != self._shown:
            hold_end = self._held_since + HOLD_SECONDS
            is_unfinished_redraw = self._redrawing and not self._held.endswith(b"\r")
            times.append(max(hold_end, self._next_redraw) if is_unfinished_redraw else hold_end)
        return min(times) if times else None

    def tick(self, now: float) -> None:
        """Forward what has waited long enough."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return
        if self._held and now >= self._held_since + HOLD_SECONDS:
            self._pass_held(now)
        self._pass_newest(now)

    def close(self) -> None:
        """Forward the rest at the stream's end."""
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
        # If redraws end in a carriage return, this line is not the bar's last state
        # but the next output, and the last state still has to be written.
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
        """Forward the unfinished line without waiting for its end."""
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
