"""The wall clock, which only the server layer reads."""

from typing import final

from librt.time import time
from mypy_extensions import i64

from gossamer.base.clock import Clock


@final
class SystemClock(Clock):
    """Unix time of this machine."""

    def now_us(self) -> i64:
        return i64(time() * 1000000.0)
