"""The packed table against a dict, and what only it promises: the walk, the account, the sweep, fair chance."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.base.rng import Random64
from gossamer.datatypes.packed_content import all_items, all_keys, keys_in
from gossamer.datatypes.packed_expiry import sweep
from gossamer.datatypes.packed_random import find_random
from gossamer.datatypes.packed_table import (
    EMPTY_BYTES,
    ENTRIES_PER_BUCKET,
    META_EXPIRE,
    META_KIND,
    NEVER,
    SLOT_BYTES,
    PackedTable,
    resident_bytes,
)


@dataclass
class Entry:
    kind: int
    payload: bytes
    expire_ms: int
    extra: int


def insert_or_replace(table: PackedTable, key: bytes, entry: Entry) -> None:
    table.new_extra = entry.extra
    if table.find(key):
        table.replace_found(key, entry.kind, entry.payload, entry.expire_ms)
    else:
        table.insert(key, entry.kind, entry.payload, entry.expire_ms)


def read(table: PackedTable, key: bytes) -> Entry | None:
    if not table.find(key):
        return None
    extra = table.found_extra24() if table.extra else 0
    return Entry(table.at_meta & META_KIND, table.found_payload(), table.at_expire, extra)


def own_account(table: PackedTable) -> int:
    """bytes_used, added up from nothing."""
    total = EMPTY_BYTES - resident_bytes(0)
    total += sum(resident_bytes(len(bucket)) for bucket in table.buckets) + 8 * (len(table.buckets) - 1)
    for held in table.objects:
        total += SLOT_BYTES + (resident_bytes(len(held)) if isinstance(held, bytes) else 0)
    return total + SLOT_BYTES * len(table.earliest)


def check_invariants(table: PackedTable) -> None:
    count = expires = 0
    for index in range(table.bucket_count()):
        earliest = NEVER
        there = table.note_first(index)
        while there:
            key = table.found_key()
            assert table.bucket_of(hash(key)) == index
            count += 1
            if table.at_meta & META_EXPIRE:
                expires += 1
                earliest = min(earliest, table.at_expire)
            there = table.note_next()
        if table.tracks_expires:
            assert table.earliest[index] <= earliest
            if table.sweep_at == 0:
                assert table.earliest_of_all <= table.earliest[index]
    assert table.count == count
    assert table.expires_count == expires
    assert table.bytes_used == own_account(table)
    assert len(table.buckets) == table.mask + 1 + table.split


keys = st.one_of(
    st.integers(0, 40).map(lambda n: b"key:%d" % n),
    st.integers(0, 5).map(lambda n: b"long" * 70 + b"%d" % n),
    st.sampled_from([b"", b"k" * 254, b"k" * 255, b"k" * 7, b"k" * 8, b"k" * 9]),
)
payloads = st.one_of(
    st.binary(max_size=12),
    st.sampled_from([b"p" * 511, b"p" * 512, b"p" * 513, b"p" * 5000]),
)
entries = st.builds(
    Entry,
    kind=st.integers(0, 2),
    payload=payloads,
    expire_ms=st.one_of(st.just(0), st.integers(1, 1000)),
    extra=st.integers(0, 0xFFFFFF),
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, entries),
        st.tuples(st.just("remove"), keys),
        st.tuples(st.just("expire"), keys, st.one_of(st.just(0), st.integers(1, 1000))),
        st.tuples(st.just("touch"), keys, st.integers(0, 0xFFFFFF)),
        st.tuples(st.just("sweep"), st.integers(0, 1000), st.integers(1, 4)),
        st.tuples(st.just("clear")),
    ),
    max_size=120,
)


@given(operations, st.integers(0, 60))
@settings(max_examples=150, deadline=None)
def test_a_table_answers_as_a_dict_and_keeps_its_invariants(steps: list[tuple], filler: int) -> None:
    table = PackedTable(3)
    model: dict[bytes, Entry] = {}
    for n in range(filler):
        key = b"filler:%d" % n
        model[key] = Entry(0, b"x", 0, 7)
        insert_or_replace(table, key, model[key])
    for step in steps:
        apply_step(table, model, step)
        if step[0] not in ("clear", "sweep"):
            assert read(table, step[1]) == model.get(step[1])
    check_invariants(table)
    assert sorted(all_keys(table)) == sorted(model)
    flat = all_items(table)
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == {key: e.payload for key, e in model.items()}
    for key, entry in model.items():
        assert read(table, key) == entry


def apply_step(table: PackedTable, model: dict[bytes, Entry], step: tuple) -> None:
    name = step[0]
    if name == "put":
        insert_or_replace(table, step[1], step[2])
        model[step[1]] = Entry(**vars(step[2]))
    elif name == "remove":
        assert table.remove(step[1]) == (model.pop(step[1], None) is not None)
    elif name == "expire":
        assert table.find(step[1]) == (step[1] in model)
        if step[1] in model:
            table.set_found_expire(step[2])
            model[step[1]].expire_ms = step[2]
    elif name == "touch":
        if table.find(step[1]):
            table.set_found_extra(step[2])
            model[step[1]].extra = step[2]
    elif name == "sweep":
        due: list[bytes] = []
        sweep(table, step[1], step[2], due)
        for key in due:
            assert 0 < model.pop(key).expire_ms < step[1]
            assert table.remove(key)
    else:
        table.clear()
        model.clear()


@pytest.mark.parametrize("extra_bytes", [0, 3])
def test_growing_and_shrinking_back_loses_nothing(extra_bytes: int) -> None:
    table = PackedTable(extra_bytes)
    names = [b"member:%d" % n for n in range(3000)]
    for name in names:
        assert table.put(name, b"v" + name)
    check_invariants(table)
    assert table.bucket_count() >= 3000 // ENTRIES_PER_BUCKET
    for name in names[:2990]:
        assert table.remove(name)
    check_invariants(table)
    assert table.bucket_count() <= 4
    assert [table.get(name) for name in names[2990:]] == [b"v" + name for name in names[2990:]]


def test_an_empty_table_is_charged_as_a_new_one() -> None:
    table = PackedTable(3)
    for n in range(500):
        table.put(b"k%d" % n * 60, b"p" * (n * 3))
    for n in range(500):
        table.remove(b"k%d" % n * 60)
    assert table.bytes_used == EMPTY_BYTES


@given(st.integers(0, 400), st.lists(st.integers(-60, 60), max_size=60), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_scan_sees_every_key_that_stays_whatever_comes_and_goes(
    size: int, changes: list[int], random
) -> None:
    table = PackedTable(0)
    stay = {b"stay:%d" % n for n in range(size)}
    for key in stay:
        table.put(key, b"")
    passing: list[bytes] = []
    seen: list[bytes] = []
    cursor = number = 0
    steps = iter(changes)
    while True:
        keys_in(table, table.scan_bucket(cursor), seen)
        cursor = table.scan_next(cursor)
        if cursor == 0:
            break
        for _ in range(abs(change := next(steps, 0)) * 8):
            if change > 0:
                number += 1
                passing.append(b"passing:%d" % number)
                table.put(passing[-1], b"")
            elif passing:
                table.remove(passing.pop(random.randrange(len(passing))))
    assert stay <= set(seen)


def test_a_scan_of_a_table_at_rest_sees_every_key_once() -> None:
    for size in (0, 1, 8, 9, 100, 777, 1024):
        table = PackedTable(0)
        for n in range(size):
            table.put(b"%d" % n, b"")
        seen: list[bytes] = []
        cursor = 0
        for _ in range(table.bucket_count()):
            keys_in(table, table.scan_bucket(cursor), seen)
            cursor = table.scan_next(cursor)
        assert cursor == 0
        assert sorted(seen) == sorted(b"%d" % n for n in range(size))


@pytest.mark.parametrize("size", [1, 3, 8, 20, 300])
def test_every_entry_is_drawn_equally_often(size: int) -> None:
    table = PackedTable(0)
    for n in range(size):
        table.put(b"%d" % n, b"")
    rng = Random64(11)
    draws = 60 * size
    counts = dict.fromkeys(all_keys(table), 0)
    for _ in range(draws):
        find_random(table, rng)
        counts[table.found_key()] += 1
    chi_square = sum((count - 60) ** 2 / 60 for count in counts.values())
    degrees = size - 1
    assert chi_square <= degrees + 6 * (2 * degrees) ** 0.5 + 1e-9


def test_a_sweep_finds_every_due_key_and_then_costs_nothing() -> None:
    table = PackedTable(3)
    for n in range(2000):
        table.find(b"%d" % n)
        table.insert(b"%d" % n, 0, b"", n + 1)
    due: list[bytes] = []
    removed: set[bytes] = set()
    unfinished = True
    while unfinished:
        unfinished = sweep(table, 1001, 16, due)
        removed.update(due)
        for key in due:
            table.remove(key)
        due.clear()
    assert removed == {b"%d" % n for n in range(1000)}
    assert table.earliest_of_all == 1001
    assert not sweep(table, 1001, 16, due) and not due
    check_invariants(table)


def test_a_sweep_that_is_cut_up_misses_no_key_that_shrinking_moves_back() -> None:
    for start in range(0, 60, 7):
        table = PackedTable(3)
        for n in range(400):
            table.find(b"%d" % n)
            table.insert(b"%d" % n, 0, b"", 10 if n % 2 else 0)
        due: list[bytes] = []
        for _ in range(start):
            sweep(table, 5, 1, due)
        for n in range(0, 400, 2):
            table.remove(b"%d" % n)
        for _ in range(3):
            while sweep(table, 11, 3, due):
                pass
        assert sorted(due) == sorted({b"%d" % n for n in range(1, 400, 2)})


def test_a_key_found_twice_in_a_row_is_where_it_was_after_every_kind_of_change() -> None:
    table = PackedTable(3)
    key = b"the same object"
    for n in range(20):
        table.put(b"other:%d" % n, b"")
    table.put(key, b"1")
    for change in (
        lambda: table.set_found_extra(5),
        lambda: table.set_found_expire(77),
        lambda: table.replace_found(key, 1, b"x" * 600, 77),
        lambda: table.replace_found(key, 2, b"2", 0),
        lambda: table.replace_found(key, 0, b"3", 0),
        lambda: table.put(b"new", b""),
        lambda: table.remove(b"other:3"),
        lambda: find_random(table, Random64(1)),
    ):
        assert table.find(key)
        change()
        assert table.find(key)
        assert table.found_key() == key
    table.remove(key)
    assert not table.find(key)
