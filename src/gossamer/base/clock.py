"""Time as a parameter: the one clock type below the server layer, and the clock of tests and simulations.

A wait is a parameter too, for the few directives that slow a server down on purpose.
"""

from typing import final

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class Clock:
    """Unix time in microseconds. The server layer extends it with the real one."""

    def now_us(self) -> i64:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Delay:
    """Waits where a directive asks for it; here no time passes. The server layer extends it with the real one."""

    def wait(self, delay_us: i64) -> None:
        """Wait so long; a negative number: a moment, once in that many times by chance."""


@final
class ManualClock(Clock):
    """A clock that moves only when told."""

    def __init__(self, start_us: i64 = 1_700_000_000_000_000) -> None:
        self.current_us: i64 = start_us

    def now_us(self) -> i64:
        return self.current_us

    def advance_ms(self, ms: i64) -> None:
        self.current_us += ms * 1000
