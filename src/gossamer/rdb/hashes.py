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

Written are HASH and HASH_LISTPACK; a hash with expiring fields as METADATA, in a file of VALKEY as HASH_2.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.field_expiry import earliest_expire_ms
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.packed_content import all_items, items_in
from gossamer.datatypes.packed_table import PackedTable
from gossamer.rdb.format import (
    TYPE_HASH,
    TYPE_HASH_2,
    TYPE_HASH_LISTPACK,
    TYPE_HASH_LISTPACK_EX,
    TYPE_HASH_LISTPACK_EX_PRE_GA,
    TYPE_HASH_METADATA,
    TYPE_HASH_ZIPLIST,
    TYPE_HASH_ZIPMAP,
    VERSION_VALKEY,
    VERSION_WITH_LISTPACKS,
)
from gossamer.rdb.input import Input
from gossamer.rdb.legacy import ziplist_entries, zipmap_entries
from gossamer.rdb.output import Output
from gossamer.rdb.plain import write_plain
from gossamer.rdb.sanitize import checked_count

_DUPLICATE: Final = "Hash has a field twice"
_BAD_TIME: Final = "Hash has a time that is out of range"
_LAST_MS: Final = 0x7FFFFFFFFFFFFFFF


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


def read_hash_with_expiry(source: Input, value_type: i64, is_valkey: bool, limits: Limits) -> Hash:
    """A hash whose fields may expire."""
    value = Hash(limits)
    table = value.become_large()
    if value_type == TYPE_HASH_LISTPACK_EX or value_type == TYPE_HASH_LISTPACK_EX_PRE_GA:
        if value_type == TYPE_HASH_LISTPACK_EX:
            source.int64()
        _read_triples(source, table)
    elif is_valkey and value_type == TYPE_HASH_2:
        count = source.count(3)
        while count > 0:
            field = source.string()
            text = source.string()
            expire_ms = source.int64()
            _add(source, table, field, text, 0 if expire_ms == -1 else expire_ms)
            count -= 1
    else:
        _read_metadata(source, table, value_type == TYPE_HASH_METADATA)
    return value if table.expires_count > 0 else Hash.from_pairs(all_items(table), limits)


def _read_metadata(source: Input, table: PackedTable, is_relative: bool) -> None:
    earliest = source.int64() if is_relative else 0
    if earliest < 0:
        raise source.fail(_BAD_TIME)
    count = source.count(3)
    while count > 0:
        time = source.unsigned()
        if time != 0 and is_relative:
            time += int(earliest) - 1
        if time > _LAST_MS:
            raise source.fail(_BAD_TIME)
        field = source.string()
        _add(source, table, field, source.string(), i64(time))
        count -= 1


def _read_triples(source: Input, table: PackedTable) -> None:
    """Take apart a listpack of field, value, time."""
    offset = source.offset()
    packed = source.string()
    if checked_count(packed, offset) % 3:
        raise source.fail_at("Hash has a field without a value or a time", offset)
    position: i64 = listpack.first(packed)
    while position >= 0:
        field = listpack.element_at(packed, position)
        position = listpack.next_position(packed, position)
        text = listpack.element_at(packed, position)
        position = listpack.next_position(packed, position)
        if not listpack.is_integer_at(packed, position):
            raise source.fail_at("Hash has a time that is no number", offset + position)
        _add(source, table, field, text, listpack.integer_at(packed, position))
        position = listpack.next_position(packed, position)


def _add(source: Input, table: PackedTable, field: bytes, text: bytes, expire_ms: i64) -> None:
    """Put in a field that expires at that time; 0: never."""
    if expire_ms < 0:
        raise source.fail(_BAD_TIME)
    if table.find(field):
        raise source.fail(_DUPLICATE)
    table.insert(field, 0, text, expire_ms)


def hash_type(value: Hash, version: i64) -> i64:
    """The form in which a hash is written."""
    if value.expiring() > 0:
        return TYPE_HASH_2 if version == VERSION_VALKEY else TYPE_HASH_METADATA
    return TYPE_HASH if value.packed() is None or version < VERSION_WITH_LISTPACKS else TYPE_HASH_LISTPACK


def write_hash_listpack(output: Output, packed: bytes) -> None:
    """A hash that is one listpack, in the form that the version knows."""
    if output.version >= VERSION_WITH_LISTPACKS:
        output.string(packed)
    else:
        write_plain(output, packed, 2)


def write_hash(output: Output, value: Hash) -> None:
    """The value, without its type byte."""
    table = value.table
    if table is None:
        write_hash_listpack(output, value.pairs)
        return
    if table.expires_count > 0:
        _write_expiring(output, table)
        return
    output.length(table.count)
    buckets: i64 = len(table.buckets)
    index: i64 = 0
    while index < buckets:
        flat: list[bytes] = []
        items_in(table, index, flat)
        for element in flat:
            output.string(element)
        output.flush_if_large()
        index += 1


def _write_expiring(output: Output, table: PackedTable) -> None:
    is_valkey = output.version == VERSION_VALKEY
    earliest: i64 = 0
    if not is_valkey:
        earliest = earliest_expire_ms(table)
        output.int64(earliest)
    output.length(table.count)
    buckets: i64 = len(table.buckets)
    index: i64 = 0
    while index < buckets:
        there: bool = table.note_first(index)
        while there:
            expire_ms = table.at_expire
            if not is_valkey:
                output.length(0 if expire_ms == 0 else expire_ms - earliest + 1)
            output.string(table.found_key())
            output.string(table.found_payload())
            if is_valkey:
                output.int64(-1 if expire_ms == 0 else expire_ms)
            there = table.note_next()
        output.flush_if_large()
        index += 1
