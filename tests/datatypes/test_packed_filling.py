"""Warming a bucket leaves the table as it is."""

from gossamer.datatypes.packed_filling import warm
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
