"""Sorted sets: members with scores, ordered by score and then by the member's bytes.

Owns both forms and the switch between them; knows no keys and no clients.

    packed   one listpack: member, score, member, score ... in order; a score that is a whole number stands
             there as an integer, any other as the text that the server of `limits.compat` prints
    large    a PackedTable (member -> score, f64 little-endian) and a ScoreIndex (the order)

Every range is a range of ranks here (0 is the lowest): `cut` turns a score or a member into a rank.

Invariants: exactly one form holds the members; in the large form table and index hold the same pairs; no
score is NaN. A sorted set that became large stays large.
"""

import math
from typing import Any, Final, final

from librt.strings import BytesWriter, read_f64_le, write_f64_le
from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.base.numbers import format_double, format_double_17, format_int, is_integral_double
from gossamer.datatypes import listpack
from gossamer.datatypes.packed_filling import fill_empty
from gossamer.datatypes.packed_table import PackedTable
from gossamer.datatypes.score_index import (
    AFTER_MEMBER,
    AFTER_SCORE,
    BEFORE_MEMBER,
    BEFORE_SCORE,
    ScoreIndex,
)
from gossamer.datatypes.value import BYTES_OVERHEAD, KIND_OBJECT, KIND_ZSET_LISTPACK, OBJECT_BYTES, Value

__all__: Final = [
    "ADD_GREATER",
    "ADD_IF_ABSENT",
    "ADD_IF_PRESENT",
    "ADD_INCREMENT",
    "ADD_LESS",
    "AFTER_MEMBER",
    "AFTER_SCORE",
    "BEFORE_MEMBER",
    "BEFORE_SCORE",
    "DID_ADD",
    "DID_NOTHING",
    "DID_UPDATE",
    "IS_NAN",
    "LEFT_SAME",
    "NO_SCORE",
    "ZSet",
    "in_order",
    "packed_score_text",
]

# Options of ZSet.add, which may be combined: NX XX GT LT INCR of ZADD.
ADD_IF_ABSENT: Final = 1
ADD_IF_PRESENT: Final = 2
ADD_GREATER: Final = 4
ADD_LESS: Final = 8
ADD_INCREMENT: Final = 16

# What ZSet.add did.
DID_NOTHING: Final = 0  # a condition did not hold
LEFT_SAME: Final = 1  # the member has that score already
DID_ADD: Final = 2
DID_UPDATE: Final = 3
IS_NAN: Final = 4  # the increment would have given no number

NO_SCORE: Final = math.nan  # what ZSet.score answers for a member that is not there; nothing equals it

# The listpack of a sorted set never passes this size, whatever the thresholds say (Redis: 1 GiB).
MAX_LISTPACK_BYTES: Final = 1 << 30

EMPTY_INDEX: Final = ScoreIndex()  # stands in every packed sorted set; never filled


def packed_score_text(score: float, compat: i64) -> bytes:
    """A score as the server of that `compat` spells it for a listpack; zero has no sign there."""
    if is_integral_double(score):
        return format_int(i64(int(score)))
    if compat < 72:
        return format_double_17(score)
    return format_double(score, compat)


def packed_score_at(pairs: bytes, position: i64) -> float:
    if listpack.is_integer_at(pairs, position):
        return float(listpack.integer_at(pairs, position))
    return float(listpack.element_at(pairs, position))


def is_packed_pair_before(pairs: bytes, position: i64, score: float, member: bytes) -> bool:
    """Whether the pair at `position` stands before (score, member)."""
    here = packed_score_at(pairs, position + listpack.entry_bytes(pairs, position))
    return here < score or (here == score and listpack.element_at(pairs, position) < member)


@final
class ZSet(Value):
    """The value behind a sorted-set key."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits: Limits = limits
        self.pairs: bytes = listpack.EMPTY  # while packed
        self.table: PackedTable | None = None  # None while packed
        self.index: ScoreIndex = EMPTY_INDEX
        self.last_score: float = 0.0  # the score of the member that add() dealt with last

    @staticmethod
    def from_packed(packed: bytes, limits: Limits) -> "ZSet":
        """Over the listpack of a bucket, a file or a payload, which must be valid and in order."""
        value = ZSet(limits)
        value.pairs = packed
        return value

    @staticmethod
    def from_entries(members: list[bytes], scores: list[float], limits: Limits) -> "ZSet":
        """Of distinct members in any order, packed where the thresholds allow it."""
        return ZSet.from_scores(dict(zip(members, scores, strict=True)), limits)

    @staticmethod
    def from_scores(score_of: dict[bytes, float], limits: Limits) -> "ZSet":
        """Of members and their scores, packed where the thresholds allow it."""
        members, scores = in_order(score_of)
        value = ZSet(limits)
        if value.fits_packed(members):
            value.pairs = encode_pairs(members, scores, limits.compat)
        else:
            value.fill_large(members, scores)
        return value

    # -- what every value answers -------------------------------------------------------------------------

    def type_name(self) -> bytes:
        return b"zset"

    def encoding(self) -> bytes:
        return b"listpack" if self.table is None else b"skiplist"

    def length(self) -> i64:
        if self.table is None:
            return listpack.count(self.pairs) >> 1
        return self.index.length

    def packed(self) -> bytes | None:
        return self.pairs if self.table is None else None

    def packed_kind(self) -> i64:
        return KIND_ZSET_LISTPACK if self.table is None else KIND_OBJECT

    def memory_bytes(self) -> i64:
        table = self.table
        if table is None:
            return OBJECT_BYTES + BYTES_OVERHEAD + len(self.pairs)
        return 4 * OBJECT_BYTES + table.bytes_used + self.index.memory_bytes()

    def hand_over(self, lists: list[list[Any]]) -> None:
        if self.table is not None:
            self.table.hand_over(lists)
            self.index.hand_over(lists)

    def copy(self) -> "ZSet":
        """An independent sorted set with the same members."""
        if self.table is None:
            return ZSet.from_packed(self.pairs, self.limits)
        members: list[bytes] = []
        scores: list[float] = []
        self.collect(0, self.length(), members, scores)
        value = ZSet(self.limits)
        value.fill_large(members, scores)
        return value

    # -- members ------------------------------------------------------------------------------------------

    def score(self, member: bytes) -> float:
        """The score of a member, NO_SCORE (a NaN) when it is not there."""
        table = self.table
        if table is None:
            position = listpack.find(self.pairs, listpack.first(self.pairs), member, 1)
            if position < 0:
                return NO_SCORE
            return packed_score_at(self.pairs, listpack.next_position(self.pairs, position))
        if not table.find(member):
            return NO_SCORE
        return read_f64_le(table.buckets[table.at_bucket], table.at_payload)

    def rank(self, member: bytes) -> i64:
        """The rank of a member from the lowest score, -1 when it is not there."""
        if self.table is not None:
            score = self.score(member)
            return -1 if score != score else self.index.rank(score, member)
        pairs = self.pairs
        position = listpack.first(pairs)
        rank: i64 = 0
        while position >= 0:
            if listpack.equals_at(pairs, position, member):
                return rank
            position = next_pair(pairs, position)
            rank += 1
        return -1

    def add(self, member: bytes, score: float, options: i64) -> i64:
        """ZADD of one member: answers what it did; `last_score` is the score that the member then has."""
        table = self.table
        position: i64 = -1
        if table is not None:
            found = table.find(member)
        else:
            position = listpack.find(self.pairs, listpack.first(self.pairs), member, 1)
            found = position >= 0
        if not found:
            if options & ADD_IF_PRESENT:
                return DID_NOTHING
            self.last_score = score
            self.insert(member, score)
            return DID_ADD
        if table is not None:
            old = read_f64_le(table.buckets[table.at_bucket], table.at_payload)
        else:
            old = packed_score_at(self.pairs, listpack.next_position(self.pairs, position))
        self.last_score = old
        if options & ADD_IF_ABSENT:
            return DID_NOTHING
        if options & ADD_INCREMENT:
            score += old
            if score != score:
                return IS_NAN
        if (options & ADD_LESS and score >= old) or (options & ADD_GREATER and score <= old):
            return DID_NOTHING
        self.last_score = score
        if score == old:
            return LEFT_SAME
        if table is not None:
            self.index.remove(old, member)
            self.index.insert(score, member)
            table.replace_found(member, 0, score_bytes(score), 0)
        else:
            self.pairs = listpack.delete_at(self.pairs, position, 2)
            self.insert_packed(member, score)
        return DID_UPDATE

    def insert(self, member: bytes, score: float) -> None:
        """Add a member that add() has just not found."""
        table = self.table
        if table is None:
            limits = self.limits
            if (
                len(member) <= limits.zset_max_listpack_value
                and self.length() < limits.zset_max_listpack_entries
                and len(self.pairs) + len(member) <= MAX_LISTPACK_BYTES
            ):
                self.insert_packed(member, score)
                return
            table = self.become_large()
            table.find(member)
        table.insert(member, 0, score_bytes(score), 0)
        self.index.insert(score, member)

    def remove(self, member: bytes) -> bool:
        """Take out a member; False when it is not there."""
        table = self.table
        if table is None:
            position = listpack.find(self.pairs, listpack.first(self.pairs), member, 1)
            if position < 0:
                return False
            self.pairs = listpack.delete_at(self.pairs, position, 2)
            return True
        if not table.find(member):
            return False
        self.index.remove(read_f64_le(table.buckets[table.at_bucket], table.at_payload), member)
        table.remove_found()
        return True

    # -- ranges of ranks ----------------------------------------------------------------------------------

    def cut(self, kind: i64, score: float, member: bytes) -> i64:
        """How many members stand before a cut by score or by member (see score_index.py)."""
        if self.table is not None:
            return self.index.cut(kind, score, member)
        pairs = self.pairs
        position = listpack.first(pairs)
        rank: i64 = 0
        while position >= 0:
            if kind <= AFTER_SCORE:
                here = packed_score_at(pairs, position + listpack.entry_bytes(pairs, position))
                before = here < score or (here == score and kind == AFTER_SCORE)
            else:
                name = listpack.element_at(pairs, position)
                before = name < member or (name == member and kind == AFTER_MEMBER)
            if not before:
                break
            position = next_pair(pairs, position)
            rank += 1
        return rank

    def collect_members(self, start: i64, count: i64, members: list[bytes]) -> None:
        """Append the members of up to `count` ranks from `start` on."""
        if count <= 0:
            return
        if self.table is not None:
            self.index.collect_members(start, count, members)
            return
        pairs = self.pairs
        position = listpack.seek(pairs, 2 * start)
        while position >= 0 and count > 0:
            members.append(listpack.element_at(pairs, position))
            position = next_pair(pairs, position)
            count -= 1

    def collect(self, start: i64, count: i64, members: list[bytes], scores: list[float]) -> None:
        """Append members and scores of up to `count` ranks from `start` on."""
        if count <= 0:
            return
        if self.table is not None:
            self.index.collect_members(start, count, members)
            self.index.collect_scores(start, count, scores)
            return
        pairs = self.pairs
        position = listpack.seek(pairs, 2 * start)
        while position >= 0 and count > 0:
            members.append(listpack.element_at(pairs, position))
            position += listpack.entry_bytes(pairs, position)
            scores.append(packed_score_at(pairs, position))
            position = listpack.next_position(pairs, position)
            count -= 1

    def take(self, start: i64, count: i64, members: list[bytes], scores: list[float]) -> None:
        """Take out up to `count` ranks from `start` on; append what was there, from the lowest."""
        table = self.table
        if table is None:
            self.collect(start, count, members, scores)
            self.pairs = listpack.delete_at(self.pairs, listpack.seek(self.pairs, 2 * start), 2 * count)
            return
        taken: i64 = len(members)
        self.index.take(start, count, members, scores)
        while taken < len(members):
            table.remove(members[taken])
            taken += 1

    # -- the two forms ------------------------------------------------------------------------------------

    def fits_packed(self, members: list[bytes]) -> bool:
        limits = self.limits
        if len(members) > limits.zset_max_listpack_entries:
            return False
        total: i64 = 0
        for member in members:
            if len(member) > limits.zset_max_listpack_value:
                return False
            total += len(member)
        return total <= MAX_LISTPACK_BYTES

    def insert_packed(self, member: bytes, score: float) -> None:
        pairs = self.pairs
        text = packed_score_text(score, self.limits.compat)
        position = listpack.first(pairs)
        while position >= 0 and is_packed_pair_before(pairs, position, score, member):
            position = next_pair(pairs, position)
        self.pairs = listpack.insert_at(pairs, position, [member, text])

    def expect(self, count: i64, longest: i64) -> bool:
        """Prepare for so many adds of members up to so long, which need not come: True where the set became large.

        It does since 7.2 for a number above its threshold, in Valkey 8.0 for a length above its own too.
        """
        limits = self.limits
        if self.table is not None or limits.compat < 72:
            return False
        if count <= limits.zset_max_listpack_entries:
            if limits.compat < 80 or longest <= limits.zset_max_listpack_value:
                return False
        self.become_large()
        return True

    def become_large(self) -> PackedTable:
        """Leave the packed form for good (or have left it); answers the dictionary."""
        if self.table is not None:
            return self.table
        members: list[bytes] = []
        scores: list[float] = []
        self.collect(0, self.length(), members, scores)
        return self.fill_large(members, scores)

    def fill_large(self, members: list[bytes], scores: list[float]) -> PackedTable:
        """Become large with these members, which are distinct and in order."""
        table = PackedTable(0)
        out = BytesWriter()
        for score in scores:
            write_f64_le(out, score)
        fill_empty(table, members, out.getvalue())
        self.table = table
        self.index = ScoreIndex()
        self.index.fill(members, scores)
        self.pairs = listpack.EMPTY
        return table


def in_order(score_of: dict[bytes, float]) -> tuple[list[bytes], list[float]]:
    """Members and scores as a sorted set orders them: by score, and by bytes where scores are equal."""
    members = sorted(score_of, key=score_of.__getitem__)
    scores = sorted(score_of.values())
    size: i64 = len(members)
    start: i64 = 0
    while start < size:
        score = scores[start]
        end: i64 = start + 1
        while end < size and scores[end] == score:
            end += 1
        if end - start == 2 and score != 0.0:  # the commonest, in less time
            if members[start + 1] < members[start]:
                members[start], members[start + 1] = members[start + 1], members[start]
        elif end - start > 1:
            members[start:end] = sorted(members[start:end])
            if score == 0.0:  # of either sign
                scores[start:end] = [score_of[member] for member in members[start:end]]
        start = end
    return members, scores


def score_bytes(score: float) -> bytes:
    out = BytesWriter()
    write_f64_le(out, score)
    return out.getvalue()


def next_pair(pairs: bytes, position: i64) -> i64:
    position += listpack.entry_bytes(pairs, position)
    position += listpack.entry_bytes(pairs, position)
    return position if position < len(pairs) - 1 else -1


def encode_pairs(members: list[bytes], scores: list[float], compat: i64) -> bytes:
    elements: list[bytes] = []
    size: i64 = len(members)
    i: i64 = 0
    while i < size:
        elements.append(members[i])
        elements.append(packed_score_text(scores[i], compat))
        i += 1
    return listpack.encode(elements)
