"""Filling a table fast: most of what it costs to add a key is waiting for the memory of its bucket.

A processor waits for many places of memory at a time, but only if it is told of them together: so whoever has many
keys to add warms the buckets of some, then adds those.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.datatypes.packed_table import PackedTable

_LINE_BYTES: Final = 64


def warm(table: PackedTable, key: bytes) -> i64:
    """Read a byte of each cache line of the bucket that a key belongs to; what they are does not matter."""
    bucket: bytes = table.buckets[table.bucket_of(hash(key))]
    size: i64 = len(bucket)
    position: i64 = 0
    total: i64 = 0
    while position < size:
        total += i64(bucket[position])
        position += _LINE_BYTES
    return total
