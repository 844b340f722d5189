"""LCS: the longest common subsequence of two strings.

Row i of the dynamic programme is kept as a bit vector: bit j says whether the best length grows from column
j to j + 1. A whole row follows from the one before by a few operations on long integers (Hyyrö, "Bit-parallel
LCS-length computation revisited", 2004), so the matrix takes one bit per cell, a thirty-second part of what
Redis allows. The way back needs no lengths: where the two bytes differ, it goes up if the bit is set, else to
the left.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.resp.errors import SYNTAX
from gossamer.resp.writer import ReplyWriter

_NOT_STRINGS: Final = b"ERR The specified keys must contain string values"
_LENGTH_AND_INDEXES: Final = b"ERR If you want both the length and indexes, please just use IDX."
_TOO_LARGE: Final = b"ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
_CELL_BYTES: Final = 4  # of Redis's matrix, which the limit speaks of
_WORD_BITS: Final = 62


@final
class Match:
    """One range that both strings have in common: positions of its first bytes, and its length."""

    def __init__(self, first: i64, second: i64, length: i64) -> None:
        self.first: i64 = first
        self.second: i64 = second
        self.length: i64 = length


def growth_rows(first: bytes, second: bytes) -> bytes:
    """The rows of growth bits, one per byte of `first`, of one bit per byte of `second` in whole bytes."""
    width: i64 = (i64(len(second)) + 7) // 8
    if len(second) <= _WORD_BITS:
        return growth_rows_of_words(first, second, width)
    full = (1 << len(second)) - 1
    places: dict[int, int] = {}
    for code in set(second):
        marks = bytearray(width)
        at = second.find(code)
        while at >= 0:
            marks[at >> 3] |= 1 << (at & 7)
            at = second.find(code, at + 1)
        places[code] = int.from_bytes(marks, "little")
    rows = bytearray()
    row = full  # a zero bit where the length grows
    for code in first:
        match = places.get(code, 0)
        if match:
            hits = row & match
            row = ((row + hits) | (row - hits)) & full
        rows += (row ^ full).to_bytes(width, "little")
    return bytes(rows)


def growth_rows_of_words(first: bytes, second: bytes, width: i64) -> bytes:
    """growth_rows for a second string whose row fits a machine word."""
    n: i64 = len(second)
    places: list[int] = [0] * 256
    mark: i64 = 1
    i: i64 = 0
    while i < n:
        code: i64 = second[i]
        places[code] |= mark
        mark += mark
        i += 1
    full: i64 = mark - 1
    out = bytearray(i64(len(first)) * width)
    row: i64 = full
    at: i64 = 0
    i = 0
    while i < i64(len(first)):
        match: i64 = places[first[i]]
        if match:
            hits: i64 = row & match
            row = ((row + hits) | (row - hits)) & full
        bits: i64 = row ^ full
        k: i64 = 0
        while k < width:
            out[at] = bits & 0xFF
            bits >>= 8
            at += 1
            k += 1
        i += 1
    return bytes(out)


def lcs_length(rows: bytes, second: bytes) -> i64:
    """How long the common subsequence is: the growth in the last row."""
    width: i64 = (i64(len(second)) + 7) // 8
    if not rows:
        return 0
    return int.from_bytes(rows[i64(len(rows)) - width :], "little").bit_count()


def lcs_matches(rows: bytes, first: bytes, second: bytes) -> list[Match]:
    """The common ranges from the last to the first, as Redis's way back through the matrix finds them."""
    width: i64 = (i64(len(second)) + 7) // 8
    matches: list[Match] = []
    i: i64 = len(first)
    j: i64 = len(second)
    length: i64 = 0  # of the range under way, which begins at (i, j)
    while i > 0 and j > 0:
        if first[i - 1] == second[j - 1]:
            i -= 1
            j -= 1
            length += 1
            continue
        if length > 0:
            matches.append(Match(i, j, length))
            length = 0
        bit: i64 = i64(rows[(i - 1) * width + ((j - 1) >> 3)]) >> ((j - 1) & 7)
        if bit & 1:
            i -= 1
        else:
            j -= 1
    if length > 0:
        matches.append(Match(i, j, length))
    return matches


def reply_matches(reply: ReplyWriter, matches: list[Match], total: i64, with_length: bool) -> None:
    reply.map(2)
    reply.bulk(b"matches")
    reply.array(len(matches))
    for match in matches:
        reply.array(3 if with_length else 2)
        reply.array(2)
        reply.integer(match.first)
        reply.integer(match.first + match.length - 1)
        reply.array(2)
        reply.integer(match.second)
        reply.integer(match.second + match.length - 1)
        if with_length:
            reply.integer(match.length)
    reply.bulk(b"len")
    reply.integer(total)


def string_or_empty(session: Session, key: bytes) -> bytes:
    value = session.db.lookup_read(key)
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    raise CommandError(_NOT_STRINGS)


def lcs(session: Session, argv: list[bytes]) -> None:
    """LCS key1 key2 [LEN] [IDX] [MINMATCHLEN length] [WITHMATCHLEN]"""
    first = string_or_empty(session, argv[1])
    second = string_or_empty(session, argv[2])
    wants_length: bool = False
    wants_indexes: bool = False
    with_length: bool = False
    minimum: i64 = 0
    n: i64 = len(argv)
    i: i64 = 3
    while i < n:
        word = argv[i].upper()
        if word == b"IDX":
            wants_indexes = True
        elif word == b"LEN":
            wants_length = True
        elif word == b"WITHMATCHLEN":
            with_length = True
        elif word == b"MINMATCHLEN" and i + 1 < n:
            i += 1
            minimum = integer_argument(argv[i])
        else:
            raise CommandError(SYNTAX)
        i += 1
    if wants_length and wants_indexes:
        raise CommandError(_LENGTH_AND_INDEXES)
    cells: i64 = (i64(len(first)) + 1) * (i64(len(second)) + 1)
    if cells > session.limits.proto_max_bulk_len_bytes // _CELL_BYTES:
        raise CommandError(_TOO_LARGE)
    rows = growth_rows(first, second)
    if wants_length:
        session.reply.integer(lcs_length(rows, second))
        return
    matches = lcs_matches(rows, first, second)
    if wants_indexes:
        long_enough = [match for match in matches if match.length >= minimum]
        reply_matches(session.reply, long_enough, lcs_length(rows, second), with_length)
        return
    parts = [first[match.first : match.first + match.length] for match in matches]
    parts.reverse()
    session.reply.bulk(b"".join(parts))
