"""Hashes in RDB, in every form ever written.

    HASH            count | ( field | value ) ...                          strings
    HASH_ZIPMAP     one string: a zipmap                                   to 2.4
    HASH_ZIPLIST    one string: a ziplist                                  to 6.2
    HASH_LISTPACK   one string: a listpack                                 since 7.0

Hashes whose fields expire (times are Unix milliseconds):

    METADATA          earliest i64 | count | ( ttl | field | value ) ...  ttl: 0 never, or time - earliest + 1
    LISTPACK_EX       earliest i64 | one string: a listpack of field, value, time (0: never)
    METADATA_PRE_GA   count | ( time, 0: never | field | value ) ...       a release candidate of Redis 7.4
    LISTPACK_EX_PRE_GA  one string, as above                               the same
    HASH_2            count | ( field | value | time i64, -1: never ) ...  VALKEY

Written are HASH and HASH_LISTPACK.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash
from gossamer.rdb.format import (
    TYPE_HASH,
    TYPE_HASH_2,
    TYPE_HASH_LISTPACK,
    TYPE_HASH_LISTPACK_EX,
    TYPE_HASH_LISTPACK_EX_PRE_GA,
    TYPE_HASH_METADATA,
    TYPE_HASH_ZIPLIST,
    TYPE_HASH_ZIPMAP,
)
from gossamer.rdb.input import Input
from gossamer.rdb.legacy import ziplist_entries, zipmap_entries
from gossamer.rdb.output import Output
from gossamer.rdb.sanitize import checked_count

_DUPLICATE: Final = "Hash has a field twice"


def read_hash(source: Input, value_type: i64, limits: Limits) -> Hash:
    """A hash without expiring fields."""
    if value_type == TYPE_HASH:
        return _read_plain(source, limits)
    offset = source.offset()
    packed = source.string()
    if value_type == TYPE_HASH_ZIPMAP:
        return _from_pairs(source, zipmap_entries(packed, offset), limits)
    if value_type == TYPE_HASH_ZIPLIST:
        packed = listpack.encode(ziplist_entries(packed, offset))
    if checked_count(packed, offset) & 1:
        raise source.fail_at("Hash has a field without a value", offset)
    if source.has_duplicates(packed, 2):
        raise source.fail_at(_DUPLICATE, offset)
    value = Hash.from_packed(packed, limits)
    value.apply_limits()
    return value


def _from_pairs(source: Input, flat: list[bytes], limits: Limits) -> Hash:
    value = Hash.from_pairs(flat, limits)
    if value.length() * 2 != len(flat):
        raise source.fail(_DUPLICATE)
    return value


def _read_plain(source: Input, limits: Limits) -> Hash:
    count = source.count(2)
    if count <= limits.hash_max_listpack_entries:
        flat: list[bytes] = []
        while count > 0:
            flat.append(source.string())
            flat.append(source.string())
            count -= 1
        return _from_pairs(source, flat, limits)
    value = Hash(limits)
    table = value.become_large()
    while count > 0:
        field = source.string()
        if not table.put(field, source.string()):
            raise source.fail(_DUPLICATE)
        count -= 1
    return value


def read_hash_with_expiry(
    source: Input, value_type: i64, is_valkey: bool, limits: Limits, expire_at_ms: dict[bytes, int]
) -> Hash:
    """A hash whose fields may expire; fills `expire_at_ms` for the fields that do."""
    flat: list[bytes] = []
    if value_type == TYPE_HASH_LISTPACK_EX or value_type == TYPE_HASH_LISTPACK_EX_PRE_GA:
        if value_type == TYPE_HASH_LISTPACK_EX:
            source.int64()
        _read_triples(source, flat, expire_at_ms)
        return _from_pairs(source, flat, limits)
    earliest = source.int64() if value_type == TYPE_HASH_METADATA else 0
    count = source.count(3)
    while count > 0:
        time: int = 0
        if not (is_valkey and value_type == TYPE_HASH_2):
            time = source.unsigned()
            if time != 0 and value_type == TYPE_HASH_METADATA:
                time += int(earliest) - 1
        field = source.string()
        flat.append(field)
        flat.append(source.string())
        if is_valkey and value_type == TYPE_HASH_2:
            time = int(source.int64())
            if time == -1:
                time = 0
        _note_expiry(source, field, time, expire_at_ms)
        count -= 1
    return _from_pairs(source, flat, limits)


def _read_triples(source: Input, flat: list[bytes], expire_at_ms: dict[bytes, int]) -> None:
    """Take apart a listpack of field, value, time."""
    offset = source.offset()
    packed = source.string()
    if checked_count(packed, offset) % 3:
        raise source.fail_at("Hash has a field without a value or a time", offset)
    position: i64 = listpack.first(packed)
    while position >= 0:
        field = listpack.element_at(packed, position)
        position = listpack.next_position(packed, position)
        flat.append(field)
        flat.append(listpack.element_at(packed, position))
        position = listpack.next_position(packed, position)
        if not listpack.is_integer_at(packed, position):
            raise source.fail_at("Hash has a time that is no number", offset + position)
        _note_expiry(source, field, int(listpack.integer_at(packed, position)), expire_at_ms)
        position = listpack.next_position(packed, position)


def _note_expiry(source: Input, field: bytes, time: int, expire_at_ms: dict[bytes, int]) -> None:
    if time < 0 or time > 0x7FFFFFFFFFFFFFFF:
        raise source.fail("Hash has a time that is out of range")
    if time > 0:
        expire_at_ms[field] = time


def hash_type(value: Hash) -> i64:
    """The form in which a hash is written."""
    return TYPE_HASH if value.packed() is None else TYPE_HASH_LISTPACK


def write_hash(output: Output, value: Hash) -> None:
    """The value, without its type byte."""
    table = value.table
    if table is None:
        output.string(value.pairs)
        return
    output.length(table.count)
    buckets: i64 = len(table.buckets)
    index: i64 = 0
    while index < buckets:
        flat: list[bytes] = []
        table.items_in(index, flat)
        for element in flat:
            output.string(element)
        output.flush_if_large()
        index += 1
