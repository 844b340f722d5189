"""Memory of large values and flushed databases, given back a little at a time.

A value that leaves the keyspace waits here until no command can still be at work on it; then it hands its long
lists over (Value.hand_over), and they are cut down slice by slice. So neither DEL of a key with a million
elements nor FLUSHALL holds other clients up.
"""

from typing import Any, Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.datatypes.packed_table import PackedTable
from gossamer.datatypes.value import Value

LARGE_BYTES: Final = 64 * 1024  # a value with less is freed at once
ENTRIES_PER_STEP: Final = 1024
LAST_ENTRIES_PER_STEP: Final = 8  # with the last of its entries, the allocator gives whole arenas back
SLICE_US: Final = 500
PAUSE_MS: Final = 1
IDLE_MS: Final = 100


@final
class LazyFree:
    """The values that have left, and the lists that are being cut down."""

    def __init__(self) -> None:
        self.values: list[Value] = []
        self.lists: list[list[Any]] = []
        self.freed_objects: i64 = 0

    def bury_value(self, value: Value) -> None:
        """Take over a value that is no longer in the keyspace."""
        self.values.append(value)

    def bury_table(self, table: PackedTable) -> None:
        """Take over all that a database held."""
        self.freed_objects += table.count
        table.hand_over(self.lists)

    def pending(self) -> i64:
        """How many values and lists are still to be freed."""
        return i64(len(self.values)) + i64(len(self.lists))

    def free_step(self) -> bool:
        """Free some entries; False when nothing is left."""
        if not self.lists:
            if not self.values:
                return False
            self.values.pop().hand_over(self.lists)
            self.freed_objects += 1
            return True
        last = self.lists[len(self.lists) - 1]
        n: i64 = len(last)
        start: i64 = n - (ENTRIES_PER_STEP if n > ENTRIES_PER_STEP else LAST_ENTRIES_PER_STEP)
        if start < 0:
            start = 0
        for entry in last[start:]:
            if isinstance(entry, Value) and entry.accounted >= LARGE_BYTES:
                self.values.append(entry)  # a large value of a flushed database
        if start > 0:
            del last[start:]
        else:
            self.lists.pop()
        return self.pending() > 0

    def slow(self, clock: Clock) -> i64:
        """One slice; answers the ms until the next is wanted."""
        if self.pending() == 0:
            return IDLE_MS
        until_us: i64 = clock.now_us() + SLICE_US
        more: bool = True
        while more and clock.now_us() < until_us:
            more = self.free_step()
        return PAUSE_MS if more else IDLE_MS
