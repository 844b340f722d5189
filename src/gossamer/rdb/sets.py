"""Sets in RDB.

    SET            count | member ...         strings
    SET_INTSET     one string: an intset
    SET_LISTPACK   one string: a listpack     since 7.2, version 11

A set that is held as a listpack is written as SET where the version does not know SET_LISTPACK.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import intset, listpack
from gossamer.datatypes.packed_content import keys_in
from gossamer.datatypes.sets import Set
from gossamer.rdb.format import TYPE_SET, TYPE_SET_INTSET, TYPE_SET_LISTPACK, VERSION_WITH_SET_LISTPACK
from gossamer.rdb.input import Input
from gossamer.rdb.output import Output
from gossamer.rdb.plain import write_plain

_DUPLICATE: Final = "Set has a member twice"


def read_set(source: Input, value_type: i64, limits: Limits) -> Set:
    if value_type == TYPE_SET:
        return _read_plain(source, limits)
    offset = source.offset()
    packed = source.string()
    if value_type == TYPE_SET_INTSET:
        intset.validate(packed, offset)
        value = Set.from_intset(packed, limits)
    else:
        listpack.validate(packed, int(offset))
        if source.has_duplicates(packed, 1):
            raise source.fail_at(_DUPLICATE, offset)
        value = Set.from_listpack(packed, limits)
    value.apply_limits()
    return value


def _read_plain(source: Input, limits: Limits) -> Set:
    count = source.count(1)
    if count <= limits.set_max_intset_entries or count <= limits.set_max_listpack_entries:
        members: list[bytes] = []
        while len(members) < count:
            members.append(source.string())
        value = Set.from_members(members, limits)
        if value.length() != count:
            raise source.fail(_DUPLICATE)
        return value
    value = Set(limits)
    table = value.become_large()
    while count > 0:
        if not table.put(source.string(), b""):
            raise source.fail(_DUPLICATE)
        count -= 1
    return value


def set_type(value: Set, version: i64) -> i64:
    """The form in which a set is written."""
    if value.table is not None:
        return TYPE_SET
    if value.is_intset:
        return TYPE_SET_INTSET
    return TYPE_SET_LISTPACK if version >= VERSION_WITH_SET_LISTPACK else TYPE_SET


def write_set_listpack(output: Output, packed: bytes) -> None:
    """A set that is one listpack, in the form that the version knows."""
    if output.version >= VERSION_WITH_SET_LISTPACK:
        output.string(packed)
        return
    write_plain(output, packed, 1)


def write_set(output: Output, value: Set) -> None:
    """The value, without its type byte."""
    table = value.table
    if table is None:
        if value.is_intset:
            output.string(value.data)
        else:
            write_set_listpack(output, value.data)
        return
    output.length(table.count)
    buckets: i64 = len(table.buckets)
    index: i64 = 0
    while index < buckets:
        members: list[bytes] = []
        keys_in(table, index, members)
        for member in members:
            output.string(member)
        output.flush_if_large()
        index += 1
