"""Eviction: what each policy chooses, who is told, how long it may take, and how close it comes to Redis's choice."""

import random

import pytest

from gossamer.base.clock import Clock, ManualClock
from gossamer.base.limits import POLICIES, Limits
from gossamer.base.rng import Random64
from gossamer.keyspace.events import NOTIFY_EVICTED, KeyspaceListener
from gossamer.keyspace.eviction import Evictor, eviction_time_limit_us
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import ACCESS_LFU, KeyspaceState

MINUTE_MS = 60_000
DAY_MS = 86_400_000


class Recorder(KeyspaceListener):
    def __init__(self) -> None:
        self.removed: list[tuple[bytes, int]] = []
        self.modified: list[tuple[bytes, int]] = []
        self.events: list[tuple[bytes, bytes, int]] = []
        self.timed: list[tuple[bytes, int]] = []

    def on_event(self, event_class: int, event: bytes, key: bytes, db_index: int) -> None:
        self.events.append((event, key, db_index))

    def on_modified(self, key: bytes, db_index: int) -> None:
        self.modified.append((key, db_index))

    def on_removal_timed(self, event: bytes, elapsed_us: int) -> None:
        self.timed.append((event, elapsed_us))

    def on_removed_by_server(self, key: bytes, db_index: int, evicted: bool) -> None:
        self.removed.append((key, db_index))


class SteppingClock(Clock):
    """Every look at it takes 100 microseconds."""

    def __init__(self) -> None:
        self.current_us = 0

    def now_us(self) -> int:
        self.current_us += 100
        return self.current_us


def keyspace_with(policy: bytes, samples: int = 5) -> tuple[Keyspace, Evictor, Recorder]:
    limits = Limits()
    limits.maxmemory_policy = POLICIES[policy]
    limits.maxmemory_samples = samples
    recorder = Recorder()
    state = KeyspaceState(limits, Random64(7), recorder)
    if policy.endswith(b"lfu"):
        state.access_mode = ACCESS_LFU
    state.set_time(DAY_MS * 20_000)
    keyspace = Keyspace(state, 4)
    return keyspace, Evictor(keyspace), recorder


def evict_to(keyspace: Keyspace, evictor: Evictor, limit_bytes: int) -> bool:
    keyspace.state.limits.maxmemory_bytes = limit_bytes
    keyspace.state.limits.maxmemory_eviction_tenacity = 100
    return evictor.perform(keyspace.used_bytes(), ManualClock())


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_memory_is_brought_within_the_limit_or_the_write_is_refused(policy: bytes) -> None:
    keyspace, evictor, _ = keyspace_with(policy)
    far = keyspace.state.now_ms + DAY_MS
    for n in range(2000):
        # No two keys of a database are equally old, rarely used or near their end: among equals any may go.
        key, database = b"key:%d" % n, keyspace.databases[n % 3]
        database.set_string(key, b"v" * 50, far + n if n % 2 else 0, False)
        rank = n * 997 % 2000
        database.set_access_field(
            key, keyspace.state.access_now - (rank // 8 if policy.endswith(b"lfu") else rank)
        )
    limit = keyspace.used_bytes() * 7 // 10
    done = evict_to(keyspace, evictor, limit)
    if policy == b"noeviction":
        assert not done and keyspace.size() == 2000
    else:
        assert done
        assert limit * 9 // 10 < keyspace.used_bytes() <= limit
        assert keyspace.state.evicted_keys == 2000 - keyspace.size()
        assert all(database.size() < 667 for database in keyspace.databases[:3])


@pytest.mark.parametrize("policy", [p for p in sorted(POLICIES) if p.startswith(b"volatile")])
def test_a_volatile_policy_touches_no_key_without_an_expire_time(policy: bytes) -> None:
    keyspace, evictor, _ = keyspace_with(policy)
    database = keyspace.databases[0]
    for n in range(500):
        database.set_string(b"keep:%d" % n, b"v" * 50, 0, False)
    for n in range(7):
        database.set_string(b"go:%d" % n, b"v" * 50, keyspace.state.now_ms + DAY_MS, False)
    assert not evict_to(keyspace, evictor, 1)
    assert database.size() == 500
    assert keyspace.state.evicted_keys == 7


def test_volatile_ttl_lets_those_go_first_that_expire_soonest() -> None:
    keyspace, evictor, recorder = keyspace_with(b"volatile-ttl", samples=10)
    for n in range(1000):
        keyspace.databases[0].set_string(b"%d" % n, b"", keyspace.state.now_ms + 1000 * (n + 1), False)
    for _ in range(200):
        assert evictor.evict_one()
    evicted = [int(key) for key, _ in recorder.removed]
    assert sum(number < 400 for number in evicted) > 190


def test_a_key_that_was_just_used_survives_under_lru() -> None:
    keyspace, evictor, _ = keyspace_with(b"allkeys-lru", samples=10)
    state = keyspace.state
    database = keyspace.databases[0]
    for n in range(1000):
        state.set_time(state.now_ms + 1000)
        database.set_string(b"%d" % n, b"", 0, False)
    for n in range(0, 1000, 10):
        assert database.get_string(b"%d" % n) is not None
    for _ in range(500):
        assert evictor.evict_one()
    assert sum(database.exists(b"%d" % n) for n in range(0, 1000, 10)) == 100
    assert sum(database.exists(b"%d" % n) for n in range(900, 1000)) > 90


def test_a_key_that_is_often_used_survives_under_lfu() -> None:
    keyspace, evictor, _ = keyspace_with(b"allkeys-lfu", samples=10)
    database = keyspace.databases[0]
    for n in range(500):
        database.set_string(b"%d" % n, b"", 0, False)
    for _ in range(50):
        for n in range(0, 500, 10):
            database.get_string(b"%d" % n)
    for _ in range(400):
        assert evictor.evict_one()
    assert sum(database.exists(b"%d" % n) for n in range(0, 500, 10)) == 50


def test_everyone_hears_of_an_evicted_key() -> None:
    keyspace, evictor, recorder = keyspace_with(b"allkeys-random")
    keyspace.state.notify_mask = NOTIFY_EVICTED
    keyspace.databases[2].set_string(b"only", b"v", 0, False)
    assert evictor.evict_one()
    assert recorder.removed == [(b"only", 2)]
    assert recorder.modified == [(b"only", 2)]
    assert recorder.events == [(b"evicted", b"only", 2)]
    assert not evictor.evict_one()


def test_a_candidate_that_was_deleted_or_persisted_meanwhile_is_passed_over() -> None:
    keyspace, evictor, recorder = keyspace_with(b"volatile-ttl")
    database = keyspace.databases[0]
    for n in range(30):
        database.set_string(b"%d" % n, b"", keyspace.state.now_ms + 1000 + n, False)
    assert evictor.evict_one()
    assert evictor.pool
    for candidate in evictor.pool[::2]:
        database.delete(candidate.key)
    for candidate in evictor.pool[1::2]:
        database.set_expire(candidate.key, 0)
    left = database.eligible_keys(True)
    while evictor.evict_one():
        pass
    assert database.eligible_keys(True) == 0
    assert len(recorder.removed) == 1 + left


def test_one_call_stops_when_its_time_is_up_and_says_so() -> None:
    keyspace, evictor, _ = keyspace_with(b"allkeys-random")
    for n in range(5000):
        keyspace.databases[0].set_string(b"%d" % n, b"", 0, False)
    keyspace.state.limits.maxmemory_bytes = 1
    assert evictor.perform(keyspace.used_bytes(), SteppingClock())
    assert evictor.unfinished
    assert 0 < 5000 - keyspace.size() < 300


def test_the_time_limit_follows_the_tenacity() -> None:
    assert [eviction_time_limit_us(n) for n in (0, 1, 10, 11, 100)] == [0, 50, 500, 575, -1]
    assert eviction_time_limit_us(99) > 100_000_000


# -- the quality of the choice ---------------------------------------------------------------------------

UNIVERSE = 20_000
CAPACITY = 3_850
ACCESSES = 60_000
ACCESSES_PER_MS = 2
# The misses, in percent of the second half, of redis-server 7.0.15 under these very accesses at this rate, with
# five samples and a maxmemory that left room for CAPACITY keys; exact LRU: 35.3.
REDIS_MISSES = {b"allkeys-lru": 36.2, b"allkeys-lfu": 32.2}


def popular(fraction: float) -> int:
    """A key of the universe, low ones far more often: density proportional to (UNIVERSE - key) ** 6.2."""
    power = 7.2
    return UNIVERSE - int(((((UNIVERSE + 1) ** power) - 1) * fraction + 1) ** (1 / power)) + 1


def misses_percent(policy: bytes) -> float:
    keyspace, evictor, _ = keyspace_with(policy)
    database = keyspace.databases[0]
    chance = random.Random(1)
    misses = 0
    for number in range(ACCESSES):
        if number % 20 == 0:
            keyspace.state.set_time(keyspace.state.now_ms + 20 // ACCESSES_PER_MS)
        key = b"lru:%d" % popular(chance.random())
        if database.get_string(key) is None:
            misses += number >= ACCESSES // 2
            while database.size() >= CAPACITY:
                assert evictor.evict_one()
            database.set_string(key, b"x" * 100, 0, False)
    return 100 * misses / (ACCESSES // 2)


@pytest.mark.parametrize("policy", sorted(REDIS_MISSES))
def test_no_more_misses_than_redis_by_two_points_in_a_hundred(policy: bytes) -> None:
    assert misses_percent(policy) <= REDIS_MISSES[policy] + 2


def test_removals_are_timed_while_somebody_wants_to_know() -> None:
    keyspace, evictor, recorder = keyspace_with(b"allkeys-random")
    database = keyspace.databases[0]
    for name in (b"due", b"evicted", b"deleted", b"untimed"):
        database.set_string(name, b"v", keyspace.state.now_ms + (1 if name == b"due" else DAY_MS), False)
    keyspace.state.stopwatch = SteppingClock()
    keyspace.state.set_time(keyspace.state.now_ms + 2)
    assert not database.exists(b"due")
    evictor.evict(database, b"evicted")
    assert database.delete(b"deleted")
    assert recorder.timed == [(b"expire-del", 100), (b"eviction-del", 100)]
    keyspace.state.stopwatch = None
    evictor.evict(database, b"untimed")
    assert len(recorder.timed) == 2
