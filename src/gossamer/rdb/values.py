"""From a type byte and the bytes behind it to a value, and back: the one place that knows every type.

A string is plain bytes. Anything else is a Value.
"""

from typing import final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.streams import Stream
from gossamer.datatypes.value import (
    KIND_HASH_LISTPACK,
    KIND_LAST_STRING,
    KIND_LIST_LISTPACK,
    KIND_SET_INTSET,
    KIND_SET_LISTPACK,
    KIND_ZSET_LISTPACK,
    Value,
)
from gossamer.datatypes.zsets import ZSet
from gossamer.rdb.format import (
    TYPE_HASH,
    TYPE_HASH_2,
    TYPE_HASH_LISTPACK,
    TYPE_HASH_LISTPACK_EX,
    TYPE_HASH_LISTPACK_EX_PRE_GA,
    TYPE_HASH_METADATA,
    TYPE_HASH_ZIPLIST,
    TYPE_HASH_ZIPMAP,
    TYPE_LIST,
    TYPE_LIST_QUICKLIST,
    TYPE_LIST_QUICKLIST_2,
    TYPE_LIST_ZIPLIST,
    TYPE_SET,
    TYPE_SET_INTSET,
    TYPE_SET_LISTPACK,
    TYPE_STREAM_LISTPACKS,
    TYPE_STREAM_LISTPACKS_2,
    TYPE_STREAM_LISTPACKS_3,
    TYPE_STRING,
    TYPE_ZSET,
    TYPE_ZSET_2,
    TYPE_ZSET_LISTPACK,
    TYPE_ZSET_ZIPLIST,
    VERSION_VALKEY,
    VERSION_WITH_FIELD_EXPIRY,
    VERSION_WITH_LISTPACKS,
    VERSION_WITH_SET_LISTPACK,
)
from gossamer.rdb.hashes import hash_type, read_hash, read_hash_with_expiry, write_hash, write_hash_listpack
from gossamer.rdb.input import Input
from gossamer.rdb.lists import list_type, read_list, write_list, write_single_node
from gossamer.rdb.output import Output
from gossamer.rdb.sets import read_set, set_type, write_set, write_set_listpack
from gossamer.rdb.streams import read_stream, stream_type, write_stream
from gossamer.rdb.zsets import packed_zset_type, read_zset, write_zset, write_zset_listpack, zset_type


@final
class Decoder:
    """Reads values; `is_valkey` decides what type 22 means."""

    def __init__(self, limits: Limits, is_valkey: bool = False) -> None:
        self.limits: Limits = limits
        self.is_valkey: bool = is_valkey

    def read(self, source: Input, value_type: i64) -> bytes | Value:
        """The value whose type byte was `value_type`; CorruptError for damage and for what cannot be held."""
        if value_type == TYPE_STRING:
            return source.string()
        limits = self.limits
        if value_type == TYPE_HASH_LISTPACK or value_type == TYPE_HASH:
            return read_hash(source, value_type, limits)
        if value_type == TYPE_ZSET_LISTPACK or value_type == TYPE_ZSET_2:
            return read_zset(source, value_type, limits)
        if value_type == TYPE_SET or value_type == TYPE_SET_INTSET or value_type == TYPE_SET_LISTPACK:
            return read_set(source, value_type, limits)
        if (
            value_type == TYPE_LIST_QUICKLIST_2
            or value_type == TYPE_LIST_QUICKLIST
            or value_type == TYPE_LIST_ZIPLIST
            or value_type == TYPE_LIST
        ):
            return read_list(source, value_type, limits)
        if value_type == TYPE_HASH_ZIPLIST or value_type == TYPE_HASH_ZIPMAP:
            return read_hash(source, value_type, limits)
        if value_type == TYPE_ZSET or value_type == TYPE_ZSET_ZIPLIST:
            return read_zset(source, value_type, limits)
        if (
            value_type == TYPE_STREAM_LISTPACKS
            or value_type == TYPE_STREAM_LISTPACKS_2
            or value_type == TYPE_STREAM_LISTPACKS_3
        ):
            return read_stream(source, value_type)
        if value_type == TYPE_HASH_2 or (
            not self.is_valkey
            and (
                value_type == TYPE_HASH_METADATA
                or value_type == TYPE_HASH_LISTPACK_EX
                or value_type == TYPE_HASH_LISTPACK_EX_PRE_GA
            )
        ):
            return read_hash_with_expiry(source, value_type, self.is_valkey, limits)
        raise source.fail("Value of a type that is not known")


def packed_type(kind: i64, version: i64) -> i64:
    """The type byte of a string or packed value that is at hand as its bytes, by its KIND_."""
    if kind <= KIND_LAST_STRING:
        return TYPE_STRING
    if kind == KIND_HASH_LISTPACK:
        return TYPE_HASH_LISTPACK if version >= VERSION_WITH_LISTPACKS else TYPE_HASH
    if kind == KIND_LIST_LISTPACK:
        return list_type(version)
    if kind == KIND_SET_INTSET:
        return TYPE_SET_INTSET
    if kind == KIND_ZSET_LISTPACK:
        return packed_zset_type(version)
    assert kind == KIND_SET_LISTPACK
    return TYPE_SET_LISTPACK if version >= VERSION_WITH_SET_LISTPACK else TYPE_SET


def write_packed(output: Output, kind: i64, content: bytes) -> None:
    """The value whose type byte `packed_type` gives."""
    if kind == KIND_LIST_LISTPACK:
        write_single_node(output, content)
    elif kind == KIND_SET_LISTPACK:
        write_set_listpack(output, content)
    elif kind == KIND_HASH_LISTPACK:
        write_hash_listpack(output, content)
    elif kind == KIND_ZSET_LISTPACK:
        write_zset_listpack(output, content)
    else:
        output.string(content)


def version_with_field_expiry(version: int, for_valkey: bool) -> int:
    """The version to write, in place of the given one, where hashes have expiring fields: the first that knows them.

    Redis reads them since version 12, Valkey only in files of its own.
    """
    if version >= VERSION_WITH_FIELD_EXPIRY:
        return version
    return VERSION_VALKEY if for_valkey else VERSION_WITH_FIELD_EXPIRY


def value_type_of(value: bytes | Value, version: i64) -> i64:
    """The type byte under which `write_value` writes."""
    if isinstance(value, bytes):
        return TYPE_STRING
    if isinstance(value, Hash):
        return hash_type(value, version)
    if isinstance(value, ZSet):
        return zset_type(value, version)
    if isinstance(value, Set):
        return set_type(value, version)
    if isinstance(value, List):
        return list_type(version)
    assert isinstance(value, Stream)
    return stream_type(version)


def write_value(output: Output, value: bytes | Value) -> None:
    """The bytes of a value, without its type byte."""
    if isinstance(value, bytes):
        output.string(value)
    elif isinstance(value, Hash):
        write_hash(output, value)
    elif isinstance(value, ZSet):
        write_zset(output, value)
    elif isinstance(value, Set):
        write_set(output, value)
    elif isinstance(value, List):
        write_list(output, value)
    else:
        assert isinstance(value, Stream)
        write_stream(output, value)
