"""Expire times across a whole packed table: the sweep for what is due, the live keys, the mean.

Shares the layout of packed_table.py. A table knows the earliest expire time in each bucket and (but for a sweep
under way) of all, so a sweep reads only buckets with something due, and a table without costs nothing.
"""

from librt.strings import read_i16_le, read_i64_le
from mypy_extensions import i64

from gossamer.datatypes.packed_table import HEADER_BYTES, META_EXPIRE, NEVER, PackedTable


def sweep(table: PackedTable, now_ms: i64, buckets: i64, keys: list[bytes]) -> bool:
    """Look for entries whose expire time is before now, through so many more buckets at most.

    Appends the keys of the first bucket that has any; the caller must remove them. False when nothing more
    can be due; else the next call goes on from here. (Removing shrinks the table, which can move what is
    due to buckets that were passed already: then the next call begins at the first bucket again.)
    """
    at: i64 = table.sweep_at
    n: i64 = len(table.earliest)
    if at == 0:
        if table.earliest_of_all >= now_ms:
            return False
        table.sweep_earliest = NEVER
        table.earliest_of_all = NEVER
    end: i64 = at + buckets
    if end > n:
        end = n
    found: bool = False
    while at < end and not found:
        earliest: i64 = table.earliest[at]
        if earliest < now_ms:
            earliest = take_expired(table, at, now_ms, keys)
            found = len(keys) > 0
        if earliest < table.sweep_earliest:
            table.sweep_earliest = earliest
        at += 1
    if at < n:
        table.sweep_at = at
        return True
    table.sweep_at = 0
    if table.sweep_earliest < table.earliest_of_all:
        table.earliest_of_all = table.sweep_earliest
    return table.earliest_of_all < now_ms


def take_expired(table: PackedTable, index: i64, now_ms: i64, keys: list[bytes]) -> i64:
    """Append the keys of bucket `index` that are due; answer the earliest expire time of the others."""
    bucket: bytes = table.buckets[index]
    size: i64 = len(bucket)
    earliest: i64 = NEVER
    position: i64 = 0
    while position < size:
        if i64(bucket[position + 3]) & META_EXPIRE:
            expire: i64 = read_i64_le(bucket, position + HEADER_BYTES + table.extra)
            if expire < now_ms:
                keys.append(table.key_at(bucket, position))
            elif expire < earliest:
                earliest = expire
        position += i64(read_i16_le(bucket, position + 1))
    table.earliest[index] = earliest
    return earliest


def average_expire_ms(table: PackedTable, wanted_buckets: i64) -> i64:
    """Mean expire time of the entries that have one in the first buckets with any; NEVER without any."""
    total: float = 0.0
    count: i64 = 0
    index: i64 = 0
    while index < i64(len(table.earliest)) and wanted_buckets > 0:
        if table.earliest[index] != NEVER:
            wanted_buckets -= 1
            bucket: bytes = table.buckets[index]
            position: i64 = 0
            while position < i64(len(bucket)):
                if i64(bucket[position + 3]) & META_EXPIRE:
                    total += float(read_i64_le(bucket, position + HEADER_BYTES + table.extra))
                    count += 1
                position += i64(read_i16_le(bucket, position + 1))
        index += 1
    return i64(total / float(count)) if count else NEVER


def live_keys_in(table: PackedTable, index: i64, now_ms: i64, keys: list[bytes]) -> None:
    """Append those keys of bucket `index` whose expire time is not before now."""
    there: bool = table.note_first(index)
    while there:
        if table.at_expire == 0 or table.at_expire >= now_ms:
            keys.append(table.found_key())
        there = table.note_next()
