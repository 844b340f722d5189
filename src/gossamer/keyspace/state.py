"""What all databases of one server share: the time of the current command, limits, counters, the listener.

The time is a value that the driver writes before each command; nothing here reads a clock.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock, Delay
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.keyspace.events import KeyspaceListener
from gossamer.keyspace.lazyfree import LazyFree

ACCESS_LRU: Final = 0
ACCESS_LFU: Final = 1
LFU_INIT_VALUE: Final = 5


@final
class KeyspaceState:
    """Shared by every Database of a Keyspace."""

    def __init__(self, limits: Limits, rng: Random64, listener: KeyspaceListener) -> None:
        self.limits: Limits = limits
        self.rng: Random64 = rng
        self.listener: KeyspaceListener = listener
        self.delay: Delay = Delay()
        self.stopwatch: Clock | None = None  # while removals of the server's own accord are timed
        self.now_ms: i64 = 0  # Unix time, written once per command
        self.access_mode: i64 = ACCESS_LRU
        self.access_now: i64 = 0  # LRU: seconds, 24 bits; LFU: minutes (16 bits) << 8 | counter of a new key
        self.notify_mask: i64 = 0
        self.touches: bool = True  # reads renew the access field (off for CLIENT NO-TOUCH)
        # A due key is removed when it is met. Off on a replica and while loading, where the primary decides:
        # then due keys are hidden, or (so that the primary's own stream finds them) still there.
        self.expiry_paused: bool = False  # CLIENT PAUSE: what is due is hidden and stays
        self.expires_now: bool = True
        self.hides_expired: bool = True
        self.lazyfree: LazyFree = LazyFree()
        self.dirty: i64 = 0  # changes since the last save
        self.hits: i64 = 0
        self.misses: i64 = 0
        self.expired_keys: i64 = 0
        self.expired_fields: i64 = 0
        self.expired_stale_percent: float = 0.0
        self.expired_time_cap_reached: i64 = 0
        self.evicted_keys: i64 = 0
        self.payloads_sanitized: i64 = 0

    def set_time(self, now_ms: i64) -> None:
        """Move the time; the access clock follows."""
        self.now_ms = now_ms
        if self.access_mode == ACCESS_LRU:
            self.access_now = (now_ms // 1000) & 0xFFFFFF
        else:
            self.access_now = ((now_ms // 60000) & 0xFFFF) << 8 | LFU_INIT_VALUE

    def notify(self, event_class: i64, event: bytes, key: bytes, db_index: i64) -> None:
        """Tell the listener of a keyspace event if its class is asked for."""
        if self.notify_mask & event_class:
            self.listener.on_event(event_class, event, key, db_index)
