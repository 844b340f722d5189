"""maxmemory: which keys go when memory is short, under each of the eight policies.

As in Redis, a few sampled keys of each database compete for places in a pool of sixteen candidates that lives
on from one eviction to the next, which comes close to true LRU or LFU without any order being kept. A sample
is whole buckets from a random place on: which keys share a bucket is chance.

Invariant: the listener hears of every key that goes (replicas get a DEL).
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.limits import (
    POLICY_LFU,
    POLICY_LRU,
    POLICY_NOEVICTION,
    POLICY_RANDOM,
    POLICY_TTL,
    POLICY_VOLATILE,
    Limits,
)
from gossamer.datatypes.packed_random import find_random
from gossamer.datatypes.packed_table import NEVER
from gossamer.keyspace.access import lfu_decayed, lru_idle_seconds
from gossamer.keyspace.database import Database
from gossamer.keyspace.events import NOTIFY_EVICTED
from gossamer.keyspace.keyspace import Keyspace

POOL_SIZE: Final = 16
KEYS_PER_LOOK: Final = 16  # evicted between two looks at the clock
_TENACITY_STEP: Final = 1.15


@final
class Candidate:
    """A key that may be evicted; the one with the highest score goes first."""

    def __init__(self, score: i64, key: bytes, db_index: i64) -> None:
        self.score: i64 = score
        self.key: bytes = key
        self.db_index: i64 = db_index


@final
class Evictor:
    """Frees memory by evicting keys; owns the pool of candidates."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace: Keyspace = keyspace
        self.limits: Limits = keyspace.state.limits
        self.pool: list[Candidate] = []  # by score, lowest first
        self.pool_policy: i64 = POLICY_NOEVICTION
        self.next_db: i64 = 0
        self.freed_bytes: i64 = 0
        self.unfinished: bool = False  # the time was up before enough was freed: go on in the next iteration

    def perform(self, used_bytes: i64, clock: Clock) -> bool:
        """Evict until used_bytes would be within maxmemory; False where nothing is left that may be evicted.

        When the time that `maxmemory-eviction-tenacity` grants is up, answers True and sets `unfinished`.
        """
        self.unfinished = False
        limits = self.limits
        excess: i64 = used_bytes - limits.maxmemory_bytes
        if limits.maxmemory_bytes == 0 or excess <= 0:
            return True
        if limits.maxmemory_policy == POLICY_NOEVICTION:
            return False
        limit_us: i64 = eviction_time_limit_us(limits.maxmemory_eviction_tenacity)
        until_us: i64 = clock.now_us() + limit_us
        self.freed_bytes = 0
        evicted: i64 = 0
        while self.freed_bytes < excess:
            if not self.evict_one():
                return False
            evicted += 1
            if limit_us >= 0 and evicted % KEYS_PER_LOOK == 0 and clock.now_us() >= until_us:
                self.unfinished = self.freed_bytes < excess
                return True
        return True

    def evict_one(self) -> bool:
        """Evict the key that the policy names; False where there is none."""
        policy: i64 = self.limits.maxmemory_policy
        if policy & POLICY_RANDOM:
            return self.evict_random(policy)
        if policy != self.pool_policy:
            self.pool = []
            self.pool_policy = policy
        while True:
            if self.fill_pool(policy) == 0:
                return False
            while self.pool:
                candidate = self.pool.pop()
                database = self.keyspace.databases[candidate.db_index]
                if self.is_eligible(database, candidate.key, policy):
                    self.evict(database, candidate.key)
                    return True

    def evict_random(self, policy: i64) -> bool:
        """Evict a random key of the next database that has one."""
        databases = self.keyspace.databases
        volatile: bool = policy & POLICY_VOLATILE != 0
        tries: i64 = len(databases)
        while tries > 0:
            self.next_db = (self.next_db + 1) % i64(len(databases))
            database = databases[self.next_db]
            if database.eligible_keys(volatile) > 0:
                if volatile:
                    self.pool = []
                    self.sample(database, policy, 1)
                    key = self.pool[self.keyspace.state.rng.below(len(self.pool))].key
                    self.pool = []
                else:
                    find_random(database.table, self.keyspace.state.rng)
                    key = database.table.found_key()
                self.evict(database, key)
                return True
            tries -= 1
        return False

    def evict(self, database: Database, key: bytes) -> None:
        """Remove a key, due or not, and tell everyone."""
        before: i64 = database.used_bytes()
        database.table.find(key)
        database.discard_found_timed(b"eviction-del")
        self.freed_bytes += before - database.used_bytes()
        state = self.keyspace.state
        state.evicted_keys += 1
        state.listener.on_modified(key, database.index)
        state.notify(NOTIFY_EVICTED, b"evicted", key, database.index)
        state.listener.on_removed_by_server(key, database.index, True)

    def is_eligible(self, database: Database, key: bytes, policy: i64) -> bool:
        """Whether a candidate of the pool is still there and still one."""
        table = database.table
        return table.find(key) and (policy & POLICY_VOLATILE == 0 or table.at_expire != 0)

    # -- the pool -----------------------------------------------------------------------------------------

    def fill_pool(self, policy: i64) -> i64:
        """Let a sample of every database compete; answers how many keys may be evicted at all."""
        eligible: i64 = 0
        for database in self.keyspace.databases:
            count: i64 = database.eligible_keys(policy & POLICY_VOLATILE != 0)
            if count > 0:
                eligible += count
                self.sample(database, policy, self.limits.maxmemory_samples)
        return eligible

    def offer_found(self, database: Database, score: i64) -> None:
        """Put the entry found last into its place in the pool, if it is better than the worst there."""
        pool = self.pool
        n: i64 = len(pool)
        if n >= POOL_SIZE and score <= pool[0].score:
            return
        key = database.table.found_key()
        at: i64 = 0
        i: i64 = 0
        while i < n:
            known = pool[i]
            if known.score < score:
                at = i + 1
            if known.key == key and known.db_index == database.index:
                return
            i += 1
        pool.insert(at, Candidate(score, key, database.index))
        if n >= POOL_SIZE:
            del pool[0]

    # -- sampling -----------------------------------------------------------------------------------------

    def sample(self, database: Database, policy: i64, count: i64) -> None:
        """Offer at least `count` eligible entries, or all where there are fewer."""
        table = database.table
        volatile: bool = policy & POLICY_VOLATILE != 0
        buckets: i64 = table.bucket_count()
        index: i64 = self.keyspace.state.rng.below(buckets)
        patience: i64 = buckets
        while patience > 0 and count > 0:
            if not volatile or table.earliest[index] != NEVER:
                count -= self.sample_bucket(database, index, policy)
            index += 1
            if index == buckets:
                index = 0
            patience -= 1

    def sample_bucket(self, database: Database, index: i64, policy: i64) -> i64:
        """Offer the eligible entries of one bucket; answers their number."""
        table = database.table
        volatile: bool = policy & POLICY_VOLATILE != 0
        n: i64 = 0
        there: bool = table.note_first(index)
        while there:
            if not volatile or table.at_expire != 0:
                self.offer_found(database, self.score_found(database, policy))
                n += 1
            there = table.note_next()
        if volatile and n == 0:
            table.earliest[index] = NEVER  # what expired from here is gone: pass by next time
        return n

    def score_found(self, database: Database, policy: i64) -> i64:
        """How much the entry found last deserves to go."""
        table = database.table
        state = self.keyspace.state
        if policy & POLICY_LRU:
            return lru_idle_seconds(table.found_extra24(), state.now_ms)
        if policy & POLICY_LFU:
            return 255 - lfu_decayed(table.found_extra24(), (state.now_ms // 60000) & 0xFFFF, self.limits)
        if policy & POLICY_TTL:
            return NEVER - table.at_expire
        return 0


def eviction_time_limit_us(tenacity: i64) -> i64:
    """How long one call may evict at `maxmemory-eviction-tenacity` 0 to 100; -1: without limit."""
    if tenacity >= 100:
        return -1
    if tenacity <= 10:
        return 50 * tenacity
    limit: float = 500.0
    step: i64 = tenacity
    while step > 10:
        limit *= _TENACITY_STEP
        step -= 1
    return int(limit)
