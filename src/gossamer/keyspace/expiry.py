"""The active expire cycle: due keys are removed although nobody asks for them.

Redis samples keys; here every bucket of a table knows its earliest expire time, so the cycle sweeps exactly:
it reads the buckets with something due and no others, and a database whose earliest expire time lies ahead
costs nothing. A sweep is cut into slices of at most a millisecond, with pauses between them, so that a burst
of due keys never holds other clients up for longer than a slice.

Hashes with expiring fields stand in a table of their own with the time of their first field, so the same sweep
finds those that have something due.

Invariant: a due key is removed through Database.find(), a due field through FieldExpiry.expire_fields(), which count
it, tell the listener and so feed AOF and replicas. On a replica and while loading (`expires_now` off) nothing is
removed.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.datatypes.packed_expiry import sweep
from gossamer.keyspace.database import Database
from gossamer.keyspace.keyspace import Keyspace

SLICE_US: Final = 1000
FAST_SLICE_US: Final = 500
SHARE_PERCENT: Final = 25  # of a core, at effort 1; each further step of effort adds two
BUCKETS_PER_STEP: Final = 1024
HASH_BUCKETS_PER_STEP: Final = 256


@final
class ExpireCycle:
    """Sweeps all databases in turn, a slice at a time."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self.keyspace: Keyspace = keyspace
        self.clock: Clock = clock
        self.hz: i64 = 10
        self.share_percent: i64 = SHARE_PERCENT
        self.db_index: i64 = 0
        self.more: bool = False  # the last slice ended before its sweep did
        self.last_fast_us: i64 = 0
        self.due: list[bytes] = []

    def configure(self, effort: i64, hz: i64) -> None:
        """Take `active-expire-effort` (1 to 10) and `hz`."""
        self.share_percent = SHARE_PERCENT + 2 * (effort - 1)
        self.hz = hz if hz > 0 else 1

    def slow(self) -> i64:
        """One slice; answers the ms until the next is wanted."""
        self.sweep(SLICE_US)
        if not self.more:
            return 1000 // self.hz
        self.keyspace.state.expired_time_cap_reached += 1
        return SLICE_US * (100 - self.share_percent) // self.share_percent // 1000 + 1

    def fast(self) -> None:
        """A shorter slice, at the end of a loop iteration, when the slow one could not finish."""
        if not self.more:
            return
        now_us: i64 = self.clock.now_us()
        if now_us - self.last_fast_us < 2 * FAST_SLICE_US:
            return
        self.sweep(FAST_SLICE_US)
        self.last_fast_us = self.clock.now_us()

    def sweep(self, budget_us: i64) -> None:
        """Go on with the databases where the last slice stopped, for about budget_us."""
        state = self.keyspace.state
        self.more = False
        if not state.expires_now or state.expiry_paused:
            return
        databases = self.keyspace.databases
        until_us: i64 = self.clock.now_us() + budget_us
        remaining: i64 = len(databases)
        while remaining > 0:
            if self.db_index >= i64(len(databases)):
                self.db_index = 0
            if not self.sweep_database(databases[self.db_index], until_us):
                self.more = True
                return
            self.db_index += 1
            remaining -= 1

    def sweep_database(self, database: Database, until_us: i64) -> bool:
        """Sweep one database; False when the time is up before its end."""
        now_ms: i64 = database.state.now_ms
        table = database.table
        due = self.due
        expiring: i64 = table.expires_count
        removed: i64 = 0
        unfinished: bool = True
        in_time: bool = True
        while unfinished and in_time:
            unfinished = sweep(table, now_ms, BUCKETS_PER_STEP, due)
            removed += i64(len(due))
            self.remove(database)
            in_time = self.clock.now_us() < until_us
        self.note_stale(removed, expiring)
        return not unfinished and (
            database.field_expiry.hashes is None or self.sweep_fields(database, until_us)
        )

    def sweep_fields(self, database: Database, until_us: i64) -> bool:
        """Remove due fields of hashes; False when the time is up before all are gone."""
        due = self.due
        unfinished: bool = True
        while unfinished:
            hashes = database.field_expiry.hashes
            if hashes is None:
                return True
            unfinished = sweep(hashes, database.state.now_ms, BUCKETS_PER_STEP, due)
            if due:
                unfinished = True  # a large hash may have to be looked at again
            for key in due:
                database.field_expiry.expire_at(key, HASH_BUCKETS_PER_STEP)
            due.clear()
            if self.clock.now_us() >= until_us:
                return not unfinished
        return True

    def remove(self, database: Database) -> None:
        """Remove the keys that a step of the sweep found due."""
        if self.due:
            for key in self.due:
                database.find(key)
            self.due.clear()

    def note_stale(self, removed: i64, expiring: i64) -> None:
        """Keep the running estimate of how many keys with an expire time are due but still there."""
        if expiring > 0:
            state = self.keyspace.state
            percent: float = 100.0 * float(removed) / float(expiring)
            state.expired_stale_percent = percent * 0.05 + state.expired_stale_percent * 0.95
