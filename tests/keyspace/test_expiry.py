"""The active expire cycle: it removes exactly what is due, tells everyone, and never takes long at once."""

from gossamer.base.clock import Clock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.keyspace.events import NOTIFY_EXPIRED, KeyspaceListener
from gossamer.keyspace.expiry import SLICE_US, ExpireCycle
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import KeyspaceState

START_MS = 1_700_000_000_000


class WorkingClock(Clock):
    """Stands still, but that every removed key takes `cost_us`."""

    def __init__(self, state: KeyspaceState, cost_us: int) -> None:
        self.state = state
        self.cost_us = cost_us

    def now_us(self) -> int:
        return START_MS * 1000 + self.state.expired_keys * self.cost_us


class Recorder(KeyspaceListener):
    def __init__(self) -> None:
        self.removed: list[tuple[bytes, int]] = []
        self.events: list[bytes] = []

    def on_event(self, event_class: int, event: bytes, key: bytes, db_index: int) -> None:
        self.events.append(event)

    def on_removed_by_server(self, key: bytes, db_index: int, evicted: bool) -> None:
        self.removed.append((key, db_index))


def make_cycle(cost_us: int = 1) -> tuple[ExpireCycle, Keyspace, Recorder]:
    recorder = Recorder()
    state = KeyspaceState(Limits(), Random64(1), recorder)
    state.set_time(START_MS)
    state.notify_mask = NOTIFY_EXPIRED
    keyspace = Keyspace(state, 3)
    return ExpireCycle(keyspace, WorkingClock(state, cost_us)), keyspace, recorder


def test_what_is_due_goes_and_everyone_hears_of_it() -> None:
    cycle, keyspace, recorder = make_cycle()
    for n in range(300):
        keyspace.databases[n % 3].set_string(b"%d" % n, b"v", START_MS + (-1 if n % 2 else 1000), False)
        keyspace.databases[n % 3].set_string(b"for ever %d" % n, b"v", 0, False)
    wait_ms = cycle.slow()
    assert wait_ms == 100
    due = {(b"%d" % n, n % 3) for n in range(300) if n % 2}
    assert set(recorder.removed) == due and len(recorder.removed) == 150
    assert recorder.events == [b"expired"] * 150
    assert keyspace.size() == 450
    assert keyspace.state.expired_keys == 150


def test_a_key_that_is_due_this_very_millisecond_lives() -> None:
    cycle, keyspace, _ = make_cycle()
    keyspace.databases[0].set_string(b"k", b"v", START_MS, False)
    cycle.slow()
    assert keyspace.size() == 1
    keyspace.state.set_time(START_MS + 1)
    cycle.slow()
    assert keyspace.size() == 0


def test_a_burst_of_due_keys_is_removed_in_slices_of_a_millisecond() -> None:
    cycle, keyspace, _ = make_cycle(cost_us=2)
    for n in range(10_000):
        keyspace.databases[0].set_string(b"%d" % n, b"v", START_MS - 1, False)
    slices = 0
    more = True
    while more:
        before = cycle.clock.now_us()
        wait_ms = cycle.slow()
        more = cycle.more
        slices += 1
        assert cycle.clock.now_us() - before <= SLICE_US + 100
        assert wait_ms == (4 if more else 100)
    assert keyspace.size() == 0
    assert 15 <= slices <= 25
    assert keyspace.state.expired_time_cap_reached == slices - 1


def test_the_fast_cycle_runs_only_while_the_slow_one_is_behind() -> None:
    cycle, keyspace, _ = make_cycle(cost_us=2)
    for n in range(3000):
        keyspace.databases[1].set_string(b"%d" % n, b"v", START_MS - 1, False)
    cycle.fast()
    assert keyspace.size() == 3000
    cycle.slow()
    left = keyspace.size()
    cycle.fast()
    assert left - 400 <= keyspace.size() < left
    left = keyspace.size()
    cycle.fast()  # at once again: it rests twice as long as it works
    assert keyspace.size() == left


def test_a_later_key_is_found_although_earlier_sweeps_found_nothing() -> None:
    cycle, keyspace, _ = make_cycle()
    database = keyspace.databases[0]
    for n in range(100):
        database.set_string(b"%d" % n, b"v", START_MS + 1000 + n, False)
    for elapsed_ms in range(1000, 1200, 7):
        keyspace.state.set_time(START_MS + elapsed_ms)
        cycle.slow()
        assert database.size() == max(0, min(100, 100 - (elapsed_ms - 1000)))


def test_more_effort_means_shorter_pauses() -> None:
    waits = []
    for effort in (1, 5, 10):
        cycle, keyspace, _ = make_cycle(cost_us=1000)
        cycle.configure(effort, 10)
        for n in range(50):
            keyspace.databases[0].set_string(b"%d" % n, b"v", START_MS - 1, False)
        waits.append(cycle.slow())
    assert waits == sorted(waits, reverse=True) and waits[0] > waits[-1]


def test_nothing_is_removed_where_the_primary_decides() -> None:
    cycle, keyspace, recorder = make_cycle()
    keyspace.databases[0].set_string(b"k", b"v", START_MS - 1, False)
    keyspace.state.expires_now = False
    assert cycle.slow() == 100
    assert keyspace.size() == 1 and not recorder.removed
