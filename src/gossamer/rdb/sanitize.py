"""Searches packed values from outside for duplicate members and wrong order.

The structure of a listpack is checked by `listpack.validate`; here is what that cannot see. All functions but
`checked_count` take a listpack whose structure is sound.
"""

from typing import Final, final

from librt.strings import read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from gossamer.base.numbers import NotANumber, parse_double, parse_int64
from gossamer.datatypes import listpack

_SLOTS: Final = 4096

# How the pairs of a sorted set stand.
ORDERED: Final = 0
UNORDERED: Final = 1
NOT_A_SCORE: Final = 2

_SHORT_DIGITS: Final = 15
_POWERS_OF_TEN: Final[list[float]] = [10.0**places for places in range(_SHORT_DIGITS + 1)]
_NOT_SHORT: Final = -1.0e300


def checked_count(lp: bytes, offset: i64) -> i64:
    """How many elements a listpack from outside has; CorruptError unless its structure is sound."""
    listpack.validate(lp, offset)
    return listpack.count(lp)


@final
class DuplicateFilter:
    """Tells quickly that a listpack has no duplicates, without making its elements.

    Every element marks a slot of a small table with the number of this search; a slot that has the mark
    already means "perhaps", and then the elements are compared for good.
    """

    def __init__(self) -> None:
        self.marks: vec[i64] = vec[i64]([0] * _SLOTS)
        self.search: i64 = 0

    def has_duplicates(self, lp: bytes, stride: i64) -> bool:
        """Whether two of the elements 0, `stride`, 2 `stride` ... are equal as text."""
        self.search += 1
        search = self.search
        marks = self.marks
        end: i64 = len(lp) - 1
        position: i64 = listpack.HEADER_BYTES
        skip: i64 = 0
        full: i64 = end - 8
        while position < end:
            byte: i64 = lp[position]
            step: i64 = 2
            if byte >= 0xC0:
                step = listpack.entry_bytes(lp, position)
            elif byte >= 0x80:
                step = (byte & 63) + 2
            if skip == 0:
                slot: i64
                first: i64 = lp[position + 1]
                if byte & 0xC0 == 0x80 and position <= full and first > 57:
                    slot = _short_signature(lp, position + 1, byte & 63)
                else:
                    slot = _signature(lp, position)
                slot = (slot ^ (slot >> 12) ^ (slot >> 29)) & (_SLOTS - 1)
                if marks[slot] == search:
                    return _compare_all(lp, stride)
                marks[slot] = search
                skip = stride
            skip -= 1
            position += step
        return False


def _short_signature(lp: bytes, start: i64, size: i64) -> i64:
    """The signature of a string that is no number; there must be eight bytes to load from its start on."""
    word = read_i64_le(lp, start)
    if size < 8:
        beyond: i64 = 1
        beyond <<= 8 * size
        return _mix(word & (beyond - 1), size)
    return _mix(word, size) + 3 * _mix(read_i64_le(lp, start + size - 8), 257)


def _mix(word: i64, seed: i64) -> i64:
    return seed ^ (word & 0xFFFFFFFF) * 31 ^ ((word >> 32) & 0xFFFFFFFF) * 4099


def _signature(lp: bytes, position: i64) -> i64:
    """A number that is equal for elements of equal text, however they are encoded."""
    if listpack.is_integer_at(lp, position):
        return listpack.integer_at(lp, position)
    start = listpack.string_start(lp, position)
    stop = listpack.string_end(lp, position)
    size = stop - start
    if size <= 20:
        found, value = parse_int64(lp[start:stop])
        if found:
            return value
    if start + 8 <= len(lp):
        return _short_signature(lp, start, size)
    word: i64 = 0
    while stop > start:
        stop -= 1
        word = (word << 8) | lp[stop]
    return _mix(word, size)


def _compare_all(lp: bytes, stride: i64) -> bool:
    seen: set[bytes] = set()
    end: i64 = len(lp) - 1
    position: i64 = listpack.HEADER_BYTES
    skip: i64 = 0
    count: i64 = 0
    while position < end:
        if skip == 0:
            seen.add(listpack.element_at(lp, position))
            count += 1
            skip = stride
        skip -= 1
        position += listpack.entry_bytes(lp, position)
    return len(seen) != count


def _short_decimal(lp: bytes, start: i64, stop: i64) -> float:
    """The number that up to 15 digits with a point spell; _NOT_SHORT for any other text.

    Both the digits and the power of ten are exact doubles then, so their quotient is the nearest one.
    """
    is_negative = start < stop and lp[start] == 45
    if is_negative:
        start += 1
    size = stop - start
    if size == 0 or size > _SHORT_DIGITS + 1:
        return _NOT_SHORT
    digits: i64 = 0
    places: i64 = -1
    while start < stop:
        digit = i64(lp[start]) - 48
        start += 1
        if 0 <= digit <= 9:
            digits = digits * 10 + digit
            if places >= 0:
                places += 1
        elif digit == -2 and places < 0:
            places = 0
        else:
            return _NOT_SHORT
    if places <= 0 or places == size - 1 or digits == 0:
        return _NOT_SHORT
    value = float(digits) / _POWERS_OF_TEN[places]
    return -value if is_negative else value


def zset_order(lp: bytes) -> i64:
    """Whether the (member, score) pairs of a listpack with an even count are in their order."""
    end: i64 = len(lp) - 1
    position: i64 = listpack.HEADER_BYTES
    previous: i64 = -1
    previous_score: float = 0.0
    while position < end:
        byte: i64 = lp[position]
        at: i64 = position + 2
        if byte >= 0xC0:
            at = position + listpack.entry_bytes(lp, position)
        elif byte >= 0x80:
            at += byte & 63
        score: float = 0.0
        following: i64 = at + 2
        code: i64 = lp[at]
        if code < 0x80:
            score = float(code)
        elif code & 0xE0 == 0xC0:
            number: i64 = (code & 0x1F) << 8 | i64(lp[at + 1])
            score = float(number if number < 4096 else number - 8192)
            following = at + 3
        else:
            try:
                score = _score_at(lp, at)
            except NotANumber:
                return NOT_A_SCORE
            following = at + listpack.entry_bytes(lp, at)
        if score <= previous_score and previous >= 0:
            if score < previous_score:
                return UNORDERED
            if listpack.element_at(lp, position) <= listpack.element_at(lp, previous):
                return UNORDERED
        previous = position
        previous_score = score
        position = following
    return ORDERED


def _score_at(lp: bytes, position: i64) -> float:
    """The number that an entry holds or spells; raises NotANumber."""
    if listpack.is_integer_at(lp, position):
        return float(listpack.integer_at(lp, position))
    score = _short_decimal(lp, listpack.string_start(lp, position), listpack.string_end(lp, position))
    return parse_double(listpack.element_at(lp, position)) if score == _NOT_SHORT else score
