"""Sorted sets in RDB.

    ZSET            count | ( member | score as text ) ...      to version 7
    ZSET_2          count | ( member | score f64 ) ...          since version 8, from the highest score
    ZSET_ZIPLIST    one string: a ziplist of member, score ...  to 6.2
    ZSET_LISTPACK   one string: a listpack of the same          since 7.0

A score as text is a byte with its length and the digits, or one byte alone: 253 nan, 254 inf, 255 -inf.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.base.numbers import NotANumber, parse_double
from gossamer.datatypes import listpack
from gossamer.datatypes.zsets import ZSet
from gossamer.rdb.format import (
    SCORE_NAN,
    SCORE_NEGATIVE_INFINITY,
    SCORE_POSITIVE_INFINITY,
    TYPE_ZSET,
    TYPE_ZSET_2,
    TYPE_ZSET_LISTPACK,
    TYPE_ZSET_ZIPLIST,
    VERSION_WITH_LISTPACKS,
)
from gossamer.rdb.input import Input
from gossamer.rdb.legacy import ziplist_entries
from gossamer.rdb.output import Output
from gossamer.rdb.plain import write_as_ziplist
from gossamer.rdb.sanitize import ORDERED, UNORDERED, checked_count, zset_order

_DUPLICATE: Final = "Sorted set has a member twice"
_BAD_SCORE: Final = "Sorted set has a score that is no number"
_INFINITY: Final = float("inf")
_WRITE_CHUNK: Final = 256


def read_zset(source: Input, value_type: i64, limits: Limits) -> ZSet:
    if value_type == TYPE_ZSET_2 or value_type == TYPE_ZSET:
        return _read_plain(source, value_type, limits)
    offset = source.offset()
    packed = source.string()
    if value_type != TYPE_ZSET_LISTPACK:
        # Scores keep their text: it may tell a zero's sign.
        packed = listpack.encode(ziplist_entries(packed, offset))
    if checked_count(packed, offset) & 1:
        raise source.fail_at("Sorted set has a member without a score", offset)
    if source.has_duplicates(packed, 2):
        raise source.fail_at(_DUPLICATE, offset)
    order = zset_order(packed)
    if order == ORDERED:
        value = ZSet.from_packed(packed, limits)
        if value.length() > limits.zset_max_listpack_entries:
            value.become_large()
        return value
    if order != UNORDERED:
        raise source.fail_at(_BAD_SCORE, offset)
    flat = listpack.entries(packed)
    scores: list[float] = []
    for text in flat[1::2]:
        scores.append(_parse_score(source, text))
    return _from_entries(source, flat[::2], scores, limits)


def _from_entries(source: Input, members: list[bytes], scores: list[float], limits: Limits) -> ZSet:
    if len(set(members)) != len(members):
        raise source.fail(_DUPLICATE)
    return ZSet.from_entries(members, scores, limits)


def _read_plain(source: Input, value_type: i64, limits: Limits) -> ZSet:
    binary = value_type == TYPE_ZSET_2
    count = source.count(9 if binary else 2)
    members: list[bytes] = []
    scores: list[float] = []
    while count > 0:
        members.append(source.string())
        score = source.double() if binary else _read_score_text(source)
        if score != score:
            raise source.fail(_BAD_SCORE)
        scores.append(score)
        count -= 1
    return _from_entries(source, members, scores, limits)


def _read_score_text(source: Input) -> float:
    size = source.byte()
    if size == SCORE_POSITIVE_INFINITY:
        return _INFINITY
    if size == SCORE_NEGATIVE_INFINITY:
        return -_INFINITY
    if size == SCORE_NAN:
        raise source.fail(_BAD_SCORE)
    return _parse_score(source, source.take(size))


def _parse_score(source: Input, text: bytes) -> float:
    try:
        return parse_double(text)
    except NotANumber:
        raise source.fail(_BAD_SCORE) from None


def zset_type(value: ZSet, version: i64) -> i64:
    """The form in which a sorted set is written."""
    return TYPE_ZSET_2 if value.packed() is None else packed_zset_type(version)


def packed_zset_type(version: i64) -> i64:
    return TYPE_ZSET_LISTPACK if version >= VERSION_WITH_LISTPACKS else TYPE_ZSET_ZIPLIST


def write_zset_listpack(output: Output, packed: bytes) -> None:
    """A sorted set that is one listpack, in the form that the version knows."""
    if output.version >= VERSION_WITH_LISTPACKS:
        output.string(packed)
    else:
        write_as_ziplist(output, packed)


def write_zset(output: Output, value: ZSet) -> None:
    """The value, without its type byte; highest score first, as Redis has it."""
    if value.table is None:
        write_zset_listpack(output, value.pairs)
        return
    rest: i64 = value.length()
    output.length(rest)
    while rest > 0:
        size: i64 = _WRITE_CHUNK if rest > _WRITE_CHUNK else rest
        members: list[bytes] = []
        scores: list[float] = []
        value.collect(rest - size, size, members, scores)
        index: i64 = size - 1
        while index >= 0:
            output.string(members[index])
            output.double(scores[index])
            index -= 1
        output.flush_if_large()
        rest -= size
