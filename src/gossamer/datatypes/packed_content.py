"""The whole content of a packed table as lists: its keys, or keys and payloads in turn.

Shares the layout of packed_table.py. The order is that of the buckets, and no order to anybody else.
"""

from librt.strings import read_i16_le, read_i32_le
from mypy_extensions import i64

from gossamer.datatypes.packed_table import HEADER_BYTES, META_EXPIRE, META_OBJECT, PackedTable


def keys_in(table: PackedTable, index: i64, keys: list[bytes]) -> None:
    """Append the keys of bucket `index`."""
    bucket: bytes = table.buckets[index]
    size: i64 = len(bucket)
    position: i64 = 0
    while position < size:
        keys.append(table.key_at(bucket, position))
        position += i64(read_i16_le(bucket, position + 1))


def items_in(table: PackedTable, index: i64, flat: list[bytes]) -> None:
    """Append key and payload (bytes) of each entry of bucket `index`, in turn."""
    bucket: bytes = table.buckets[index]
    size: i64 = len(bucket)
    position: i64 = 0
    while position < size:
        end: i64 = position + i64(read_i16_le(bucket, position + 1))
        meta: i64 = i64(bucket[position + 3])
        start: i64 = position + HEADER_BYTES + table.extra
        if meta & META_EXPIRE:
            start += 8
        key_end: i64 = start + i64(bucket[position + 4])
        flat.append(table.key_at(bucket, position))
        if meta & META_OBJECT:
            held = table.objects[i64(read_i32_le(bucket, key_end))]
            assert isinstance(held, bytes)
            flat.append(held)
        else:
            flat.append(bucket[key_end:end])
        position = end


def all_keys(table: PackedTable) -> list[bytes]:
    """Every key."""
    keys: list[bytes] = []
    n: i64 = len(table.buckets)
    i: i64 = 0
    while i < n:
        keys_in(table, i, keys)
        i += 1
    return keys


def all_items(table: PackedTable) -> list[bytes]:
    """key, payload, key, payload ... of every entry; the payloads must be bytes."""
    flat: list[bytes] = []
    n: i64 = len(table.buckets)
    i: i64 = 0
    while i < n:
        items_in(table, i, flat)
        i += 1
    return flat
