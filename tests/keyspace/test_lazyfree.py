"""Giving memory back piecemeal: nothing at once, everything in the end, and nothing that is still in use."""

import pytest

from gossamer.base.clock import Clock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.sets import Set
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.database import Database
from gossamer.keyspace.events import KeyspaceListener
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.lazyfree import ENTRIES_PER_STEP, SLICE_US
from gossamer.keyspace.state import KeyspaceState

COUNT = 30_000


class SteppingClock(Clock):
    """Every look at it takes 100 microseconds."""

    def __init__(self) -> None:
        self.current_us = 0

    def now_us(self) -> int:
        self.current_us += 100
        return self.current_us


@pytest.fixture
def database() -> Database:
    return Keyspace(KeyspaceState(Limits(), Random64(1), KeyspaceListener()), 1).databases[0]


def large_value(kind: str, limits: Limits) -> Value:
    names = [b"member:%d" % n for n in range(COUNT)]
    if kind == "set":
        return Set.from_members(names, limits)
    if kind == "hash":
        return Hash.from_pairs([word for name in names for word in (name, b"v" * 10)], limits)
    return ZSet.from_entries(names, [float(n) for n in range(COUNT)], limits)


@pytest.mark.parametrize("kind", ["set", "hash", "zset"])
@pytest.mark.parametrize("how", ["delete", "overwrite", "clear"])
def test_a_large_value_is_freed_in_short_steps(database: Database, kind: str, how: str) -> None:
    database.store(b"k", large_value(kind, database.state.limits))
    if how == "delete":
        database.delete(b"k")
    elif how == "overwrite":
        database.set_string(b"k", b"", 0, False)
    else:
        database.clear()
    assert database.values_bytes == 0
    lazyfree = database.state.lazyfree
    steps = 0
    while lazyfree.free_step():
        steps += 1
        assert all(len(part) <= COUNT for part in lazyfree.lists)
    assert lazyfree.pending() == 0
    assert steps >= COUNT // 16 // ENTRIES_PER_STEP
    assert lazyfree.freed_objects == (2 if how == "clear" else 1)


def test_a_slice_ends_when_its_time_is_up(database: Database) -> None:
    for _ in range(3):
        database.store(b"k", large_value("set", database.state.limits))
        database.delete(b"k")
    clock = SteppingClock()
    assert database.state.lazyfree.slow(clock) == 1
    assert clock.current_us <= SLICE_US + 300
    while database.state.lazyfree.slow(clock) == 1:
        pass
    assert database.state.lazyfree.pending() == 0


def test_a_value_that_moves_or_is_in_use_stays_whole(database: Database) -> None:
    value = large_value("set", database.state.limits)
    database.store(b"k", value)
    database.transfer(b"k", database, b"moved", False)
    assert database.state.lazyfree.pending() == 0
    database.delete(b"moved")
    assert value.length() == COUNT  # the command that deleted it may go on with it


def test_a_small_value_is_freed_at_once(database: Database) -> None:
    database.store(b"k", Set.from_members([b"%d" % n for n in range(100)], database.state.limits))
    database.delete(b"k")
    assert database.state.lazyfree.pending() == 0
