"""Searches packed values from outside for duplicate members and wrong order.

The structure of a listpack is checked by `listpack.validate`; here is what that cannot see. All functions but
`checked_count` take a listpack whose structure is sound.
"""

from typing import Final, final

from librt.strings import read_i32_le, read_i64_le
from librt.vecs import vec
from mypy_extensions import i64

from gossamer.base.numbers import NotANumber, parse_double
from gossamer.datatypes import listpack

_SLOTS: Final = 4096

# How the pairs of a sorted set stand.
ORDERED: Final = 0
UNORDERED: Final = 1
NOT_A_SCORE: Final = 2


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
        while position < end:
            if skip == 0:
                slot = _signature(lp, position)
                slot = (slot ^ (slot >> 12) ^ (slot >> 29)) & (_SLOTS - 1)
                if marks[slot] == search:
                    return _compare_all(lp, stride)
                marks[slot] = search
                skip = stride
            skip -= 1
            position += listpack.entry_bytes(lp, position)
        return False


def _signature(lp: bytes, position: i64) -> i64:
    """A number that is equal for elements of equal text, however they are encoded."""
    if listpack.is_integer_at(lp, position):
        return listpack.integer_at(lp, position)
    start = listpack.string_start(lp, position)
    stop = listpack.string_end(lp, position)
    size = stop - start
    if size == 0:
        return 0
    first: i64 = lp[start]
    if size <= 20 and (48 <= first <= 57 or first == 45):
        found, value = listpack.canonical_integer(lp[start:stop])
        if found:
            return value
    mixed: i64 = size
    if size >= 8:
        mixed ^= (read_i64_le(lp, start) & 0xFFFFFFFFFFFF) * 31
        mixed ^= (read_i64_le(lp, stop - 8) & 0xFFFFFFFFFFFF) * 17
        return mixed
    if size >= 4:
        mixed ^= (i64(read_i32_le(lp, start)) * 31) ^ (i64(read_i32_le(lp, stop - 4)) * 4099)
        return mixed
    while start < stop:
        mixed = mixed * 257 + lp[start]
        start += 1
    return mixed


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


def zset_order(lp: bytes) -> i64:
    """Whether the (member, score) pairs of a listpack with an even count are in their order."""
    end: i64 = len(lp) - 1
    position: i64 = listpack.HEADER_BYTES
    previous: i64 = -1
    previous_score: float = 0.0
    while position < end:
        at = position + listpack.entry_bytes(lp, position)
        score: float = 0.0
        if listpack.is_integer_at(lp, at):
            score = float(listpack.integer_at(lp, at))
        else:
            try:
                score = parse_double(listpack.element_at(lp, at))
            except NotANumber:
                return NOT_A_SCORE
        if previous >= 0 and score <= previous_score:
            if score < previous_score:
                return UNORDERED
            if listpack.element_at(lp, position) <= listpack.element_at(lp, previous):
                return UNORDERED
        previous = position
        previous_score = score
        position = at + listpack.entry_bytes(lp, at)
    return ORDERED
