"""The access field of a key: idle time under LRU, logarithmic counter under LFU (Redis: "LFU", maxmemory)."""

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.keyspace.state import LFU_INIT_VALUE


def lfu_decayed(field: i64, now_minutes: i64, limits: Limits) -> i64:
    """The counter of a field after the decay due since its minute."""
    counter: i64 = field & 0xFF
    if limits.lfu_decay_time_minutes == 0:
        return counter
    elapsed: i64 = (now_minutes - (field >> 8)) & 0xFFFF
    counter -= elapsed // limits.lfu_decay_time_minutes
    return counter if counter > 0 else 0


def lfu_touched(field: i64, now_minutes: i64, limits: Limits, rng: Random64) -> i64:
    """The field after one more access: decayed, incremented with probability 1/((counter-5)*factor+1)."""
    counter: i64 = lfu_decayed(field, now_minutes, limits)
    if counter < 255:
        base: i64 = counter - LFU_INIT_VALUE
        if base < 0:
            base = 0
        if rng.below(base * limits.lfu_log_factor + 1) == 0:
            counter += 1
    return (now_minutes & 0xFFFF) << 8 | counter


def lru_idle_seconds(field: i64, now_ms: i64) -> i64:
    """Seconds since the access that the field records; the 24-bit clock wraps after 194 days."""
    return ((now_ms // 1000) - field) & 0xFFFFFF
