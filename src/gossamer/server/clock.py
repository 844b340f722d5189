"""The wall clock, which only the server layer reads, and waiting by it."""

import time as clock
from typing import final

from librt.time import time
from mypy_extensions import i64

from gossamer.base.clock import Clock, Delay
from gossamer.base.rng import Random64


@final
class SystemClock(Clock):
    """Unix time of this machine."""

    def now_us(self) -> i64:
        return i64(time() * 1000000.0)


@final
class SystemDelay(Delay):
    """Sleeps."""

    def __init__(self, rng: Random64) -> None:
        self.rng: Random64 = rng

    def wait(self, delay_us: i64) -> None:
        if delay_us < 0:
            delay_us = 1 if self.rng.below(-delay_us) == 0 else 0
        if delay_us > 0:
            clock.sleep(float(delay_us) / 1_000_000)
