"""Filling at once is filling one by one; warming a bucket leaves the table as it is."""

import struct

import pytest

from gossamer.datatypes.packed_content import all_keys
from gossamer.datatypes.packed_filling import fill_empty, warm
from gossamer.datatypes.packed_table import PackedTable


def test_warming_reads_the_bucket_of_a_key_that_is_there_or_not() -> None:
    table = PackedTable(3)
    assert warm(table, b"a") == 0
    for number in range(1000):
        assert table.put(b"%d" % number, b"v" * number)
    before = list(table.buckets)
    for number in range(2000):
        assert (warm(table, b"%d" % number) > 0) == (
            table.buckets[table.bucket_of(hash(b"%d" % number))] != b""
        )
    assert table.buckets == before and table.count == 1000


@pytest.mark.parametrize("size", [0, 1, 8, 9, 64, 65, 1000])
def test_filling_at_once_leaves_what_adding_one_by_one_leaves(size: int) -> None:
    keys = [b"key:%d" % number for number in range(size)]
    if size == 1000:
        keys[500] = b"long" * 100  # held by reference
    words = b"".join(struct.pack("<d", number * 0.5) for number in range(size))
    filled, grown = PackedTable(0), PackedTable(0)
    fill_empty(filled, keys, words)
    for number, key in enumerate(keys):
        grown.put(key, words[8 * number : 8 * number + 8])
    assert sorted(all_keys(filled)) == sorted(keys) and filled.count == grown.count
    assert [filled.get(key) for key in keys] == [grown.get(key) for key in keys]
    assert (filled.mask, filled.split, len(filled.buckets)) == (grown.mask, grown.split, len(grown.buckets))
    assert filled.bytes_used == grown.bytes_used
    assert filled.buckets == grown.buckets or size == 1000  # the slots of what is held may differ
    for number, key in enumerate(keys):
        assert filled.remove(key), number
    assert filled.count == 0
