"""Two tables of any sizes share what two sets of their keys share."""

import random

import pytest

from gossamer.datatypes.packed_common import common_keys
from gossamer.datatypes.packed_content import all_keys
from gossamer.datatypes.packed_table import PackedTable


def table_of(keys: list[bytes]) -> PackedTable:
    table = PackedTable(0)
    for key in keys:
        table.put(key, b"")
    return table


@pytest.mark.parametrize("size", [0, 1, 9, 60, 500, 1700])
@pytest.mark.parametrize("other_size", [0, 3, 17, 64, 130, 777, 2500])
def test_what_is_common_is_what_sets_have_in_common(size: int, other_size: int) -> None:
    chance = random.Random(size * 10_000 + other_size)
    names = [b"key:%d" % number for number in range(max(size, other_size) * 3 // 2)]
    names[::7] = [name * 60 for name in names[::7]]  # some are too long for a bucket
    mine, theirs = chance.sample(names, size), chance.sample(names, other_size)
    table, other = table_of(mine), table_of(theirs)
    found = common_keys(table, other)
    assert len(found) == len(set(found)) and set(found) == set(mine) & set(theirs)
    assert found == [key for key in all_keys(table) if key in set(theirs)]
    for key in mine[::2]:
        table.remove(key)
    assert set(common_keys(table, other)) == set(all_keys(table)) & set(theirs)
