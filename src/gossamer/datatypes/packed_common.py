"""The keys that two packed tables share, found bucket by bucket without hashing any.

Shares the layout of packed_table.py. Both tables place a key by the low bits of one hash, so the bucket in which a key
stands in one table leaves few buckets in which it can stand in the other.
"""

from typing import Final

from librt.strings import read_i16_le, read_i64_le
from mypy_extensions import i64

from gossamer.datatypes.packed_content import all_keys
from gossamer.datatypes.packed_table import HEADER_BYTES, META_EXPIRE, META_KEY_OBJECT, PackedTable

SIZES_APART_MAX: Final = (
    4  # beyond, so many buckets would have to be read for a key that hashing it is less work
)


def common_keys(small: PackedTable, large: PackedTable) -> list[bytes]:
    """The keys of `small` that `large` has too, in the order of `small`. Both must hold keys without extra bytes."""
    common: list[bytes] = []
    count: i64 = len(small.buckets)
    if len(large.buckets) > SIZES_APART_MAX * count:
        for key in all_keys(small):
            if large.find(key):
                common.append(key)
        return common
    index: i64 = 0
    while index < count:
        # All keys of this bucket have hashes that are `index` modulo `span`.
        span: i64 = small.mask + 1
        if index < small.split or index >= span:
            span *= 2
        first: i64 = index
        step: i64 = span
        if span > large.mask:
            first = large.bucket_of(index)
            if span > large.mask + 1 or first >= large.split:
                step = len(large.buckets)  # one bucket only
        collect_common(small, index, large, first, step, common)
        index += 1
    return common


def collect_common(
    small: PackedTable, index: i64, large: PackedTable, first: i64, step: i64, common: list[bytes]
) -> None:
    """Append the keys of one bucket that are in the other table's buckets `first`, `first + step` ..."""
    bucket: bytes = small.buckets[index]
    size: i64 = len(bucket)
    count: i64 = len(large.buckets)
    position: i64 = 0
    while position < size:
        meta: i64 = i64(bucket[position + 3])
        if meta & META_KEY_OBJECT:
            key = small.key_at(bucket, position)
            if large.find(key):
                common.append(key)
        else:
            start: i64 = position + HEADER_BYTES
            if meta & META_EXPIRE:
                start += 8
            tag: i64 = i64(bucket[position])
            length: i64 = i64(bucket[position + 4])
            at: i64 = first
            while at < count:
                if bucket_has(large.buckets[at], tag, bucket, start, length):
                    common.append(bucket[start : start + length])
                    break
                at += step
        position += i64(read_i16_le(bucket, position + 1))


def bucket_has(bucket: bytes, tag: i64, data: bytes, start: i64, length: i64) -> bool:
    """Whether a bucket has an entry whose key is data[start:start+length]."""
    size: i64 = len(bucket)
    position: i64 = 0
    while position < size:
        if i64(bucket[position]) == tag and i64(bucket[position + 4]) == length:
            meta: i64 = i64(bucket[position + 3])
            at: i64 = position + HEADER_BYTES
            if meta & META_EXPIRE:
                at += 8
            if not meta & META_KEY_OBJECT and same_bytes(bucket, at, data, start, length):
                return True
        position += i64(read_i16_le(bucket, position + 1))
    return False


def same_bytes(data: bytes, at: i64, other: bytes, other_at: i64, length: i64) -> bool:
    i: i64 = 0
    while i + 8 <= length:
        if read_i64_le(data, at + i) != read_i64_le(other, other_at + i):
            return False
        i += 8
    while i < length:
        if data[at + i] != other[other_at + i]:
            return False
        i += 1
    return True
