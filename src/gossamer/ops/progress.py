"""A bar on standard error for work on large files.

Owns when and how it is drawn. Invariant: nothing is written unless the stream is a terminal or the user asked; on a
terminal the bar is gone when the work is done, elsewhere (a log) one line stands for each tenth.
"""

import time
from collections.abc import Callable
from typing import Final, TextIO

QUIET_S: Final = 0.7  # work that ends sooner shows no bar
REDRAW_S: Final = 0.1
BAR_CHARACTERS: Final = 30
UNITS: Final = ("bytes", "KiB", "MiB", "GiB", "TiB")


def size_text(size_bytes: float) -> str:
    """A size for people: `783 bytes`, `1.2 GiB`."""
    unit = 0
    while size_bytes >= 1024 and unit < len(UNITS) - 1:
        size_bytes /= 1024
        unit += 1
    return f"{size_bytes:.0f} {UNITS[unit]}" if unit == 0 else f"{size_bytes:.1f} {UNITS[unit]}"


def duration_text(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


class Progress:
    """Where work stands. `show` is True and False by the user's word, None for "on a terminal"."""

    def __init__(
        self,
        stream: TextIO,
        show: bool | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self.enabled = self.terminal if show is None else show
        self.eager = show is True
        self.now_s = now_s
        self.title = ""
        self.total_bytes = 0
        self.done_bytes = 0
        self.begun_s = 0.0
        self.drawn_s = 0.0
        self.drawn_tenth = -1
        self.drawn_characters = 0

    def begin(self, title: str, total_bytes: int) -> None:
        """Begin another piece of work."""
        self.title = title
        self.total_bytes = total_bytes
        self.done_bytes = 0
        self.begun_s = self.now_s()
        self.drawn_s = 0.0
        self.drawn_tenth = -1

    def advance(self, more_bytes: int) -> None:
        """So much more is done."""
        self.done_bytes += more_bytes
        if not self.enabled:
            return
        now_s = self.now_s()
        if now_s - self.begun_s < QUIET_S and not self.eager:
            return
        if self.terminal:
            if now_s - self.drawn_s >= REDRAW_S:
                self.drawn_s = now_s
                text = self.text(now_s)
                self.stream.write("\r" + text.ljust(self.drawn_characters))
                self.stream.flush()
                self.drawn_characters = len(text)
        elif self.tenth() > self.drawn_tenth:
            self.drawn_tenth = self.tenth()
            self.stream.write(self.text(now_s) + "\n")
            self.stream.flush()

    def tenth(self) -> int:
        return 10 * self.done_bytes // max(self.total_bytes, 1)

    def text(self, now_s: float) -> str:
        part = min(self.done_bytes / self.total_bytes, 1.0) if self.total_bytes else 1.0
        bar = ("#" * int(part * BAR_CHARACTERS)).ljust(BAR_CHARACTERS, ".")
        text = (
            f"{self.title}  {part:4.0%} [{bar}] {size_text(self.done_bytes)} of {size_text(self.total_bytes)}"
        )
        elapsed_s = now_s - self.begun_s
        if 0 < part < 1 and elapsed_s > 0:
            text += f", {duration_text(elapsed_s * (1 - part) / part)} left"
        return text

    def end(self) -> None:
        """The work is done, or given up: take the bar away."""
        if self.drawn_characters:
            self.stream.write("\r" + " " * self.drawn_characters + "\r")
            self.stream.flush()
            self.drawn_characters = 0
