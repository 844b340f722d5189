"""Ranges of sorted sets, by rank, by score and by member: counting, replying, storing and removing them.

Every kind of range becomes a range of ranks first (0 is the lowest score); what follows knows ranks only.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, parse_double
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.commands.zsets import save_removed
from gossamer.datatypes import listpack
from gossamer.datatypes.listpack_replies import write_entry
from gossamer.datatypes.zsets import (
    AFTER_MEMBER,
    AFTER_SCORE,
    BEFORE_MEMBER,
    BEFORE_SCORE,
    ZSet,
    packed_score_at,
)
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_ZSET
from gossamer.resp.errors import SYNTAX
from gossamer.resp.writer import ReplyWriter

_NOT_A_SCORE_RANGE: Final = b"ERR min or max is not a float"
_NOT_A_LEX_RANGE: Final = b"ERR min or max not valid string range item"
_LIMIT_WITHOUT_ORDER: Final = (
    b"ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX"
)
_WITHSCORES_BYLEX: Final = b"ERR syntax error, WITHSCORES not supported in combination with BYLEX"

# The kinds of ranges, and the two directions; AUTO leaves the choice to the options BYSCORE, BYLEX and REV.
AUTO: Final = 0
BY_RANK: Final = 1
BY_SCORE: Final = 2
BY_LEX: Final = 3
FORWARD: Final = 1
REVERSE: Final = 2

_BLANKS: Final = b" \t\n\v\f\r"
_DECIMAL: Final = b"0123456789+-.eE"
_HEXADECIMAL: Final = b"0123456789abcdefABCDEFxXpP.+-"
_PLUS: Final = 43
_MINUS: Final = 45
_OPEN: Final = 40
_CLOSED: Final = 91


# -- bounds -----------------------------------------------------------------------------------------------


def parse_score_bound(argument: bytes) -> tuple[float, bool]:
    """A bound of a range of scores, and whether it is exclusive.

    Redis reads bounds with C's strtod as such: blanks before the number and a NUL after it are fine, an empty
    text is 0, and what is beyond the range of a double is infinite or zero.
    """
    exclusive = len(argument) > 0 and argument[0] == _OPEN
    text = argument[1:] if exclusive else argument
    try:
        return parse_double(text), exclusive
    except NotANumber:
        return parse_lenient_double(text), exclusive


def parse_lenient_double(text: bytes) -> float:
    text = text.split(b"\0", 1)[0].lstrip(_BLANKS)
    if not text:
        return 0.0
    try:
        return parse_double(text)
    except NotANumber:
        pass
    try:
        if not text.strip(_DECIMAL):
            return float(text)
        if not text.strip(_HEXADECIMAL) and b"x" in text[:3].lower():
            return float.fromhex(text.decode("ascii"))
    except ValueError:
        pass
    except OverflowError:
        return float("-inf") if text[0] == _MINUS else float("inf")
    raise CommandError(_NOT_A_SCORE_RANGE)


@final
class Bounds:
    """The parsed ends of a range: ranks, scores or members, as `kind` says. A bad end raises CommandError."""

    def __init__(self, kind: i64, minimum: bytes, maximum: bytes) -> None:
        self.kind: i64 = kind
        self.minimum: bytes = minimum
        self.maximum: bytes = maximum
        self.first: i64 = 0
        self.last: i64 = 0
        self.lowest: float = 0.0
        self.highest: float = 0.0
        self.excludes_lowest: bool = False
        self.excludes_highest: bool = False
        if kind == BY_RANK:
            self.first = integer_argument(minimum)
            self.last = integer_argument(maximum)
        elif kind == BY_SCORE:
            self.lowest, self.excludes_lowest = parse_score_bound(minimum)
            self.highest, self.excludes_highest = parse_score_bound(maximum)
        else:
            check_lex_bound(minimum)
            check_lex_bound(maximum)

    def start_rank(self, zset: ZSet, reverse: bool) -> i64:
        """The rank of the first member within, from the lowest score."""
        if self.kind == BY_SCORE:
            return zset.cut(AFTER_SCORE if self.excludes_lowest else BEFORE_SCORE, self.lowest, b"")
        if self.kind == BY_LEX:
            return lex_rank(zset, self.minimum, False)
        return self.rank_span(zset.length(), reverse, False)

    def end_rank(self, zset: ZSet, reverse: bool) -> i64:
        """The rank behind the last member within; the range is empty where it is not above the first."""
        if self.kind == BY_SCORE:
            return zset.cut(BEFORE_SCORE if self.excludes_highest else AFTER_SCORE, self.highest, b"")
        if self.kind == BY_LEX:
            return lex_rank(zset, self.maximum, True)
        return self.rank_span(zset.length(), reverse, True)

    def rank_span(self, length: i64, reverse: bool, wants_end: bool) -> i64:
        first: i64 = self.first
        last: i64 = self.last
        if first < 0:
            first += length
            if first < 0:
                first = 0
        if last < 0:
            last += length
        if last >= length:
            last = length - 1
        if first > last:
            return 0
        if reverse:
            return length - first if wants_end else length - 1 - last
        return last + 1 if wants_end else first


def check_lex_bound(argument: bytes) -> None:
    if len(argument) > 0:
        mark: i64 = argument[0]
        if mark == _OPEN or mark == _CLOSED:
            return
        if (mark == _PLUS or mark == _MINUS) and (len(argument) == 1 or argument[1] == 0):
            return
    raise CommandError(_NOT_A_LEX_RANGE)


def lex_rank(zset: ZSet, bound: bytes, is_maximum: bool) -> i64:
    """How many members stand before the cut that a bound makes (behind it, for an inclusive maximum)."""
    mark: i64 = bound[0]
    if mark == _MINUS:
        return 0
    if mark == _PLUS:
        return zset.length()
    takes_equal = is_maximum == (mark == _CLOSED)
    return zset.cut(AFTER_MEMBER if takes_equal else BEFORE_MEMBER, 0.0, bound[1:])


# -- counting ---------------------------------------------------------------------------------------------


def zcount(session: Session, argv: list[bytes]) -> None:
    """ZCOUNT key min max"""
    count_range(session, argv[1], Bounds(BY_SCORE, argv[2], argv[3]))


def zlexcount(session: Session, argv: list[bytes]) -> None:
    """ZLEXCOUNT key min max"""
    count_range(session, argv[1], Bounds(BY_LEX, argv[2], argv[3]))


def count_range(session: Session, key: bytes, bounds: Bounds) -> None:
    zset = session.db.lookup_zset(key, False)
    count: i64 = 0
    if zset is not None:
        count = bounds.end_rank(zset, False) - bounds.start_rank(zset, False)
    session.reply.integer(count if count > 0 else 0)


# -- replying ---------------------------------------------------------------------------------------------


def zrange(session: Session, argv: list[bytes]) -> None:
    """ZRANGE key min max [BYSCORE | BYLEX] [REV] [LIMIT offset count] [WITHSCORES]"""
    reply_range(session, argv, AUTO, AUTO)


def zrevrange(session: Session, argv: list[bytes]) -> None:
    """ZREVRANGE key start stop [WITHSCORES]"""
    reply_range(session, argv, BY_RANK, REVERSE)


def zrangebyscore(session: Session, argv: list[bytes]) -> None:
    """ZRANGEBYSCORE key min max [WITHSCORES] [LIMIT offset count]"""
    reply_range(session, argv, BY_SCORE, FORWARD)


def zrevrangebyscore(session: Session, argv: list[bytes]) -> None:
    """ZREVRANGEBYSCORE key max min [WITHSCORES] [LIMIT offset count]"""
    reply_range(session, argv, BY_SCORE, REVERSE)


def zrangebylex(session: Session, argv: list[bytes]) -> None:
    """ZRANGEBYLEX key min max [LIMIT offset count]"""
    reply_range(session, argv, BY_LEX, FORWARD)


def zrevrangebylex(session: Session, argv: list[bytes]) -> None:
    """ZREVRANGEBYLEX key max min [LIMIT offset count]"""
    reply_range(session, argv, BY_LEX, REVERSE)


@final
class RangeRequest:
    """The range arguments of one command from the key at argv[key_at] on; raises CommandError."""

    def __init__(self, argv: list[bytes], key_at: i64, stores: bool, kind: i64, direction: i64) -> None:
        self.offset: i64 = 0
        self.limit: i64 = -1
        self.with_scores: bool = False
        size: i64 = len(argv)
        i: i64 = key_at + 3
        while i < size:
            word = argv[i].upper()
            if word == b"WITHSCORES" and not stores:
                self.with_scores = True
            elif word == b"LIMIT" and i + 2 < size:
                self.offset = integer_argument(argv[i + 1])
                self.limit = integer_argument(argv[i + 2])
                i += 2
            elif word == b"REV" and direction == AUTO:
                direction = REVERSE
            elif word == b"BYLEX" and kind == AUTO:
                kind = BY_LEX
            elif word == b"BYSCORE" and kind == AUTO:
                kind = BY_SCORE
            else:
                raise CommandError(SYNTAX)
            i += 1
        if kind == AUTO:
            kind = BY_RANK
        if kind == BY_RANK and self.limit != -1:
            raise CommandError(_LIMIT_WITHOUT_ORDER)
        if kind == BY_LEX and self.with_scores:
            raise CommandError(_WITHSCORES_BYLEX)
        self.reverse: bool = direction == REVERSE
        if self.reverse and kind != BY_RANK:
            self.bounds: Bounds = Bounds(kind, argv[key_at + 2], argv[key_at + 1])
        else:
            self.bounds = Bounds(kind, argv[key_at + 1], argv[key_at + 2])
        self.start: i64 = 0
        self.count: i64 = 0

    def resolve(self, zset: ZSet, compat: i64) -> None:
        """Set `start` and `count`: the ranks asked for, after LIMIT."""
        start: i64 = self.bounds.start_rank(zset, self.reverse)
        size: i64 = self.bounds.end_rank(zset, self.reverse) - start
        if self.bounds.kind == BY_RANK:
            self.start = start
            self.count = size
            return
        offset: i64 = self.offset
        if offset < 0 and compat >= 80 and zset.table is not None:
            offset += size  # Valkey counts back from the end of the range, in the large form only
        if offset < 0 or offset >= size:
            self.count = 0
            return
        count: i64 = size - offset
        if 0 <= self.limit < count:
            count = self.limit
        self.start = start + size - offset - count if self.reverse else start + offset
        self.count = count


def reply_range(session: Session, argv: list[bytes], kind: i64, direction: i64) -> None:
    request = RangeRequest(argv, 1, False, kind, direction)
    zset = session.db.lookup_zset(argv[1], False)
    if zset is None:
        session.reply.array(0)
        return
    request.resolve(zset, session.limits.compat)
    if request.count <= 0:
        session.reply.array(0)
    elif zset.table is None:
        reply_packed(session.reply, zset, request)
    else:
        reply_large(session.reply, zset, request)


def reply_packed(reply: ReplyWriter, zset: ZSet, request: RangeRequest) -> None:
    """The ranks of a packed set, moved from the listpack into the reply."""
    pairs = zset.pairs
    out = reply.out
    count: i64 = request.count
    with_scores = request.with_scores
    nested = with_scores and reply.protocol == 3
    reply.array(2 * count if with_scores and not nested else count)
    rank: i64 = request.start + count - 1 if request.reverse else request.start
    position = listpack.seek(pairs, 2 * rank)
    while True:
        if nested:
            reply.array(2)
        write_entry(out, pairs, position)
        count -= 1
        if with_scores:
            reply.double(packed_score_at(pairs, listpack.next_position(pairs, position)))
        if count == 0:
            return
        if request.reverse:
            position = listpack.previous_position(pairs, listpack.previous_position(pairs, position))
        else:
            position = listpack.next_position(pairs, listpack.next_position(pairs, position))


def reply_large(reply: ReplyWriter, zset: ZSet, request: RangeRequest) -> None:
    members: list[bytes] = []
    if not request.with_scores:
        zset.collect_members(request.start, request.count, members)
        if request.reverse:
            members.reverse()
        reply.bulk_array(members)
        return
    scores: list[float] = []
    zset.collect(request.start, request.count, members, scores)
    if request.reverse:
        members.reverse()
        scores.reverse()
    reply_scored(reply, members, scores)


def reply_scored(reply: ReplyWriter, members: list[bytes], scores: list[float]) -> None:
    """Members with their scores: pairs in RESP3, one flat array in RESP2."""
    size: i64 = len(members)
    nested = reply.protocol == 3
    reply.array(size if nested else 2 * size)
    i: i64 = 0
    while i < size:
        if nested:
            reply.array(2)
        reply.bulk(members[i])
        reply.double(scores[i])
        i += 1


# -- storing and removing ---------------------------------------------------------------------------------


def zrangestore(session: Session, argv: list[bytes]) -> None:
    """ZRANGESTORE dst src min max [BYSCORE | BYLEX] [REV] [LIMIT offset count]"""
    request = RangeRequest(argv, 2, True, AUTO, AUTO)
    zset = session.db.lookup_zset(argv[2], False)
    members: list[bytes] = []
    scores: list[float] = []
    if zset is not None:
        request.resolve(zset, session.limits.compat)
        zset.collect(request.start, request.count, members, scores)
    store_result(session, argv[1], dict(zip(members, scores, strict=True)), b"zrangestore")


def store_result(session: Session, key: bytes, score_of: dict[bytes, float], event: bytes) -> None:
    """Replace `key` by these members, or delete it where there are none; reply their number."""
    if score_of:
        session.put(key, ZSet.from_scores(score_of, session.limits), NOTIFY_ZSET, event)
    elif session.db.delete_any(key):
        session.changed(key, NOTIFY_GENERIC, b"del")
    session.reply.integer(len(score_of))


def zremrangebyrank(session: Session, argv: list[bytes]) -> None:
    """ZREMRANGEBYRANK key start stop"""
    remove_range(session, argv[1], Bounds(BY_RANK, argv[2], argv[3]), b"zremrangebyrank")


def zremrangebyscore(session: Session, argv: list[bytes]) -> None:
    """ZREMRANGEBYSCORE key min max"""
    remove_range(session, argv[1], Bounds(BY_SCORE, argv[2], argv[3]), b"zremrangebyscore")


def zremrangebylex(session: Session, argv: list[bytes]) -> None:
    """ZREMRANGEBYLEX key min max"""
    remove_range(session, argv[1], Bounds(BY_LEX, argv[2], argv[3]), b"zremrangebylex")


def remove_range(session: Session, key: bytes, bounds: Bounds, event: bytes) -> None:
    zset = session.db.lookup_zset(key, True)
    removed: i64 = 0
    if zset is not None:
        start: i64 = bounds.start_rank(zset, False)
        members: list[bytes] = []
        scores: list[float] = []
        zset.take(start, bounds.end_rank(zset, False) - start, members, scores)
        removed = len(members)
        if removed > 0:
            save_removed(session, key, zset, event, removed)
    session.reply.integer(removed)


_READ: Final = (KeySpec("RO access", 1),)
_DELETE: Final = (KeySpec("RW delete", 1),)
_STORE: Final = (KeySpec("OW update", 1), KeySpec("RO access", 2))

COMMANDS: Final = (
    Command(b"zcount", zcount, 4, "readonly fast", "sortedset", _READ),
    Command(b"zlexcount", zlexcount, 4, "readonly fast", "sortedset", _READ),
    Command(b"zrange", zrange, -4, "readonly", "sortedset", _READ),
    Command(b"zrevrange", zrevrange, -4, "readonly", "sortedset", _READ),
    Command(b"zrangebyscore", zrangebyscore, -4, "readonly", "sortedset", _READ),
    Command(b"zrevrangebyscore", zrevrangebyscore, -4, "readonly", "sortedset", _READ),
    Command(b"zrangebylex", zrangebylex, -4, "readonly", "sortedset", _READ),
    Command(b"zrevrangebylex", zrevrangebylex, -4, "readonly", "sortedset", _READ),
    Command(b"zrangestore", zrangestore, -5, "write denyoom", "sortedset", _STORE),
    Command(b"zremrangebyrank", zremrangebyrank, 4, "write", "sortedset", _DELETE),
    Command(b"zremrangebyscore", zremrangebyscore, 4, "write", "sortedset", _DELETE),
    Command(b"zremrangebylex", zremrangebylex, 4, "write", "sortedset", _DELETE),
)
