"""The database: what the store keeps true behind lookups and changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.base.errors import CommandError
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.datatypes.sets import Set
from gossamer.datatypes.strings import BUFFER_MIN_BYTES
from gossamer.keyspace.database import KEEP_EXPIRE, NO_EXPIRE, Database
from gossamer.keyspace.events import NOTIFY_KEY_MISS, NOTIFY_NEW, KeyspaceListener
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import ACCESS_LFU, LFU_INIT_VALUE, KeyspaceState

NOW_MS = 1_700_000_000_000
EMPTY_BYTES = 128


class Recorder(KeyspaceListener):
    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.removed: list[bytes] = []

    def on_event(self, event_class: int, event: bytes, key: bytes, db_index: int) -> None:
        self.events.append(event + b" " + key)

    def on_removed_by_server(self, key: bytes, db_index: int, evicted: bool) -> None:
        self.removed.append(key)


def make_keyspace() -> Keyspace:
    state = KeyspaceState(Limits(), Random64(1), Recorder())
    state.set_time(NOW_MS)
    return Keyspace(state, 2)


def own_bytes(database: Database) -> int:
    """The account without the eight bytes per bucket that earliest expire times take."""
    return database.used_bytes() - 8 * len(database.table.earliest)


def large_set(database: Database) -> Set:
    return Set.from_members([b"member:%d" % n for n in range(300)], database.state.limits)


def test_a_due_key_is_removed_when_it_is_met() -> None:
    database = make_keyspace().databases[0]
    database.set_string(b"k", b"v", NOW_MS - 1, False)
    assert database.size() == 1
    assert database.get_string(b"k") is None
    assert database.size() == 0
    assert database.state.listener.removed == [b"k"]  # type: ignore[attr-defined]
    assert (database.state.hits, database.state.misses, database.state.expired_keys) == (0, 1, 1)


def test_many_due_keys_can_be_overwritten_while_the_table_shrinks_under_them() -> None:
    database = make_keyspace().databases[0]
    names = [b"key:%d" % n for n in range(2000)]
    for name in names:
        database.set_string(name, b"old", NOW_MS - 1, False)
    for name in names[::100]:
        database.set_string(name, b"new", NO_EXPIRE, False)
    for name in names:
        database.exists(name)
    assert sorted(database.keys()) == sorted(names[::100])
    assert all(database.get_string(name) == b"new" for name in names[::100])


@pytest.mark.parametrize("hidden", [True, False])
def test_where_the_primary_decides_a_due_key_is_hidden_or_there_but_never_twice(hidden: bool) -> None:
    database = make_keyspace().databases[0]
    database.set_string(b"k", b"v", NOW_MS - 1, False)
    database.state.expires_now = False
    database.state.hides_expired = hidden
    assert database.exists(b"k") is not hidden
    assert database.live_keys() == ([] if hidden else [b"k"])
    database.set_string(b"k", b"w", NO_EXPIRE, False)
    assert database.keys() == [b"k"]
    assert database.get_string(b"k") == b"w"


@pytest.mark.parametrize("mode", ["replaced", "deleted", "cleared", "expired"])
def test_the_account_returns_to_that_of_an_empty_database(mode: str) -> None:
    database = make_keyspace().databases[0]
    database.store(b"set", large_set(database))
    database.set_string(b"string", b"v" * 5000, NO_EXPIRE, False)
    database.find(b"string")
    database.append_found(b"string", b"w" * 5000)
    assert database.used_bytes() > 10_000
    for name in (b"set", b"string"):
        if mode == "replaced":
            database.set_string(name, b"", NO_EXPIRE, False)
        if mode == "expired":
            database.set_expire(name, NOW_MS - 1)
            assert not database.exists(name)
        elif mode != "cleared":
            assert database.delete(name)
    if mode == "cleared":
        database.clear()
    assert (own_bytes(database), database.values_bytes) == (EMPTY_BYTES, 0)


def test_a_held_value_is_charged_as_it_grows() -> None:
    database = make_keyspace().databases[0]
    database.store(b"set", large_set(database))
    before = database.used_bytes()
    value = database.lookup_set(b"set", True)
    assert value is not None
    for n in range(1000):
        value.add(b"more:%d" % n)
    database.store(b"set", value)
    assert database.used_bytes() - before > 10_000
    assert database.values_bytes == value.memory_bytes()


def test_keep_expire_keeps_and_no_expire_removes_the_expire_time() -> None:
    database = make_keyspace().databases[0]
    for value, expire_ms, then in (
        (b"a", NOW_MS + 5, NOW_MS + 5),
        (b"b", KEEP_EXPIRE, NOW_MS + 5),
        (b"c", NO_EXPIRE, -1),
    ):
        database.set_string(b"k", value, expire_ms, False)
        assert database.expire_time(b"k") == then
        assert database.get_string(b"k") == value


@pytest.mark.parametrize("keep", [True, False])
def test_a_transfer_brings_value_encoding_and_expire_time(keep: bool) -> None:
    keyspace = make_keyspace()
    source, target = keyspace.databases
    source.set_string(b"number", b"12", NOW_MS + 9, False)
    source.set_string(b"raw", b"12", NOW_MS + 9, True)
    source.set_string(b"long", b"x", NOW_MS + 9, True)
    source.find(b"long")
    source.append_found(b"long", b"y" * BUFFER_MIN_BYTES)
    source.store_with_expire(b"set", large_set(source), NOW_MS + 9)
    encodings = {name: source.encoding(name) for name in source.keys()}
    values = {name: source.peek(name) for name in source.keys()}
    for name in source.keys():
        source.transfer(name, target, b"new " + name, keep)
    assert source.size() == (4 if keep else 0)
    for name, encoding in encodings.items():
        assert target.encoding(b"new " + name) == encoding
        assert target.expire_time(b"new " + name) == NOW_MS + 9
        moved = target.peek(b"new " + name)
        assert isinstance(moved, Set) or moved == values[name]
    copied = target.lookup_set(b"new set", True)
    assert copied is not None and copied.length() == 300
    copied.remove(b"member:7")
    target.store(b"new set", copied)
    if keep:
        original = source.lookup_set(b"set", False)
        assert original is not None and original.length() == 300
    for database in keyspace.databases:
        database.clear()
        assert database.used_bytes() == EMPTY_BYTES


def test_a_string_command_on_another_type_is_refused() -> None:
    database = make_keyspace().databases[0]
    for name, value in (
        (b"packed", Set.from_members([b"a"], database.state.limits)),
        (b"large", large_set(database)),
    ):
        database.store(name, value)
        assert database.get_if_string(name) is None
        for ask in (database.get_string, database.get_string_write):
            with pytest.raises(CommandError):
                ask(name)


def test_misses_and_new_keys_are_told_when_asked_for() -> None:
    database = make_keyspace().databases[0]
    recorder = database.state.listener
    assert isinstance(recorder, Recorder)
    database.get_string(b"k")
    assert recorder.events == []
    database.state.notify_mask = NOTIFY_KEY_MISS | NOTIFY_NEW
    database.get_string(b"k")
    database.exists(b"k")
    database.set_string(b"k", b"", NO_EXPIRE, False)
    database.set_string(b"k", b"", NO_EXPIRE, False)
    assert recorder.events == [b"keymiss k", b"new k"]


def test_an_access_renews_the_second_and_a_look_does_not() -> None:
    database = make_keyspace().databases[0]
    state = database.state
    database.set_string(b"k", b"v", NO_EXPIRE, False)
    first = database.access_field(b"k")
    assert first == (NOW_MS // 1000) & 0xFFFFFF
    state.set_time(NOW_MS + 5000)
    database.exists(b"k")
    database.peek(b"k")
    database.find_read_untouched(b"k")
    assert database.access_field(b"k") == first
    state.touches = False
    database.get_string(b"k")
    assert database.access_field(b"k") == first
    state.touches = True
    database.get_string(b"k")
    assert database.access_field(b"k") == first + 5
    state.set_time(NOW_MS + 9000)
    database.set_string(b"k", b"w", NO_EXPIRE, False)
    assert database.access_field(b"k") == first + 9


def test_under_lfu_a_key_that_is_overwritten_keeps_its_count() -> None:
    database = make_keyspace().databases[0]
    database.state.access_mode = ACCESS_LFU
    database.state.set_time(NOW_MS)
    database.set_string(b"k", b"v", NO_EXPIRE, False)
    assert database.access_field(b"k") & 0xFF == LFU_INIT_VALUE
    for _ in range(100):
        database.get_string(b"k")
    count = database.access_field(b"k") & 0xFF
    assert count > LFU_INIT_VALUE
    database.set_string(b"k", b"longer", NO_EXPIRE, False)
    assert database.access_field(b"k") & 0xFF >= count


pieces = st.one_of(st.binary(max_size=20), st.sampled_from([b"x" * 600, b"y" * 1500, b"z" * 3000]))


@given(
    st.lists(
        st.tuples(st.sampled_from(["append", "overwrite", "set"]), st.integers(0, 5000), pieces), max_size=25
    )
)
@settings(max_examples=80, deadline=None)
def test_a_string_changed_in_place_reads_as_one_that_is_rebuilt(steps: list[tuple[str, int, bytes]]) -> None:
    database = make_keyspace().databases[0]
    model = b""
    database.set_string(b"k", b"", NOW_MS + 7, True)
    for name, offset, piece in steps:
        database.find(b"k")
        if name == "set":
            model = piece
            database.set_string(b"k", piece, KEEP_EXPIRE, False)
        elif name == "append":
            model += piece
            assert database.append_found(b"k", piece) == len(model)
        else:
            model = model[:offset].ljust(offset, b"\0") + piece + model[offset + len(piece) :]
            assert database.overwrite_found(b"k", offset, piece) == len(model)
        assert database.get_string(b"k") == model
        assert database.found_string_length() == len(model)
        assert database.found_string_cut(1, 9) == model[1:9]
        assert database.expire_time(b"k") == NOW_MS + 7
    database.delete(b"k")
    assert own_bytes(database) == EMPTY_BYTES
