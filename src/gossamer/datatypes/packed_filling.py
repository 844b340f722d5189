"""Filling a table fast: with keys that are all at hand, or one by one.

Most of what it costs to add a key to a large table is waiting for the memory of its bucket.

A processor waits for many places of memory at a time, but only if it is told of them together: so whoever has many
keys to add warms the buckets of some, then adds those.
"""

from typing import Final

from librt.strings import read_i64_le, write_i64_le
from librt.vecs import append, vec
from mypy_extensions import i64

from gossamer.datatypes.packed_table import ENTRIES_PER_BUCKET, PackedTable, resident_bytes

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


def fill_empty(table: PackedTable, keys: list[bytes], words: bytes) -> None:
    """Add distinct keys to an empty table; the payload of each is its eight bytes of `words`.

    Every bucket is written once. What results is what adding the keys in turn would have left.
    """
    size: i64 = len(keys)
    count: i64 = (size + ENTRIES_PER_BUCKET - 1) // ENTRIES_PER_BUCKET
    if count < 1:
        count = 1
    mask: i64 = 1
    while 2 * mask <= count:
        mask *= 2
    table.mask = mask - 1
    table.split = count - mask
    table.buckets = [b""] * count
    table.bytes_used += (resident_bytes(0) + 8) * (count - 1)
    # The keys of each bucket as a chain of their numbers, which ascend.
    first = vec[i64](capacity=count)
    i: i64 = 0
    while i < count:
        first = append(first, -1)
        i += 1
    hashes = vec[i64](capacity=size)
    following = vec[i64](capacity=size)
    i = 0
    while i < size:
        hashed: i64 = hash(keys[i])
        hashes = append(hashes, hashed)
        following = append(following, -1)
        i += 1
    i = size - 1
    while i >= 0:
        index = table.bucket_of(hashes[i])
        following[i] = first[index]
        first[index] = i
        i -= 1
    writer = table.writer
    index = 0
    while index < count:
        writer.truncate(0)
        i = first[index]
        while i >= 0:
            table.at_tag = (hashes[i] >> 48) & 0xFF
            table.write_entry_head(writer, keys[i], 0, 8, 0)
            write_i64_le(writer, read_i64_le(words, 8 * i))
            i = following[i]
        table.set_bucket(index, writer.getvalue())
        index += 1
    table.count = size
