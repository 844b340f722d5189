"""Filling a table without reading its buckets: no key is ever taken for new that is there."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossamer.datatypes.packed_filling import Filling
from gossamer.datatypes.packed_table import PackedTable


def filled(keys: list[bytes], reserved: int) -> tuple[PackedTable, Filling, list[bool]]:
    table = PackedTable(3)
    table.reserve(reserved)
    filling = Filling(table)
    answers = []
    for key in keys:
        new = filling.is_new(key)
        answers.append(new)
        if new:
            table.insert(key, 0, b"value of " + key, 0)
    return table, filling, answers


@given(st.lists(st.binary(max_size=3), max_size=200), st.sampled_from([0, 16, 50, 1000]))
def test_each_key_is_new_once(keys: list[bytes], reserved: int) -> None:
    table, _, answers = filled(keys, reserved)
    assert answers == [key not in keys[:position] for position, key in enumerate(keys)]
    assert sorted(table.keys()) == sorted(set(keys))
    for key in keys:
        assert table.get(key) == b"value of " + key


def test_a_key_that_came_another_way_is_found() -> None:
    table, filling, _ = filled([b"a"], 100)
    assert not table.find(b"b")
    table.insert(b"b", 0, b"", 0)
    assert not filling.is_new(b"b")


def test_keys_that_were_there_before_are_found() -> None:
    table, _, _ = filled([b"%d" % number for number in range(100)], 0)
    assert not Filling(table).is_new(b"7")


def test_a_table_that_grows_finds_its_keys() -> None:
    keys = [b"%d" % number for number in range(5000)]
    table, filling, answers = filled(keys, 1000)
    assert all(answers) and table.count == 5000
    assert not any(filling.is_new(key) for key in keys)
    shrunk = keys[:4900]
    for key in shrunk:
        assert table.remove(key)
    assert [filling.is_new(key) for key in keys] == [True] * 4900 + [False] * 100
