"""What stands in an entry of a database without being held as an object: packed values, kinds of strings."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.numbers import is_int64
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.value import (
    KIND_HASH_LISTPACK,
    KIND_LIST_LISTPACK,
    KIND_SET_INTSET,
    KIND_SET_LISTPACK,
    KIND_STRING_EMBSTR,
    KIND_STRING_RAW,
    KIND_ZSET_LISTPACK,
    Value,
)
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.state import KeyspaceState

_PACKED_TYPE_NAMES: Final = (b"list", b"hash", b"set", b"set", b"zset")  # by kind, from KIND_LIST_LISTPACK on


def packed_type_name(kind: i64) -> bytes:
    """The type of a packed value, as TYPE answers."""
    return _PACKED_TYPE_NAMES[kind - KIND_LIST_LISTPACK]


def string_encoding(value: bytes, kind: i64) -> bytes:
    """`int`, `embstr` or `raw`, as Redis would hold the string."""
    n: i64 = len(value)
    if kind == KIND_STRING_RAW or n > 44:
        return b"raw"
    return b"int" if kind != KIND_STRING_EMBSTR and is_int64(value) else b"embstr"


def decode_packed(kind: i64, packed: bytes, state: KeyspaceState) -> Value:
    """A Value over the packed bytes of an entry."""
    limits = state.limits
    if kind == KIND_HASH_LISTPACK:
        return Hash.from_packed(packed, limits)
    if kind == KIND_LIST_LISTPACK:
        return List.from_packed(packed, limits)
    if kind == KIND_ZSET_LISTPACK:
        return ZSet.from_packed(packed, limits)
    if kind == KIND_SET_INTSET:
        return Set.from_intset(packed, limits)
    assert kind == KIND_SET_LISTPACK
    return Set.from_listpack(packed, limits)
