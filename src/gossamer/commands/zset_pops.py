"""Commands that take the lowest or highest members out of a sorted set, at once or when there are some."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, format_int, to_int64
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.commands.timeouts import parse_timeout_ms
from gossamer.commands.zsets import save_removed
from gossamer.datatypes.zsets import ZSet
from gossamer.resp.errors import MUST_BE_POSITIVE, SYNTAX

_NO_KEYS: Final = b"ERR numkeys should be greater than 0"
_NO_COUNT: Final = b"ERR count should be greater than 0"


def pop_members(
    session: Session,
    key: bytes,
    zset: ZSet,
    lowest: bool,
    count: i64,
    members: list[bytes],
    scores: list[float],
) -> None:
    """Take `count` members out, from the end of the order inwards; store the rest and say so."""
    length: i64 = zset.length()
    if count > length:
        count = length
    if lowest:
        zset.take(0, count, members, scores)
    else:
        zset.take(length - count, count, members, scores)
        members.reverse()
        scores.reverse()
    save_removed(session, key, zset, b"zpopmin" if lowest else b"zpopmax", count)


def reply_popped(session: Session, members: list[bytes], scores: list[float], nested: bool) -> None:
    reply = session.reply
    i: i64 = 0
    while i < len(members):
        if nested:
            reply.array(2)
        reply.bulk(members[i])
        reply.double(scores[i])
        i += 1


def parse_above_zero(argument: bytes, message: bytes) -> i64:
    try:
        number: i64 = to_int64(argument)
    except NotANumber:
        raise CommandError(message) from None
    if number < 1:
        raise CommandError(message)
    return number


# -- ZPOPMIN, ZPOPMAX -------------------------------------------------------------------------------------


def zpopmin(session: Session, argv: list[bytes]) -> None:
    """ZPOPMIN key [count]"""
    pop(session, argv, True)


def zpopmax(session: Session, argv: list[bytes]) -> None:
    """ZPOPMAX key [count]"""
    pop(session, argv, False)


def pop(session: Session, argv: list[bytes], lowest: bool) -> None:
    size: i64 = len(argv)
    if size > 3:
        raise CommandError(SYNTAX)
    count: i64 = 1
    if size == 3:
        try:
            count = to_int64(argv[2])
        except NotANumber:
            raise CommandError(MUST_BE_POSITIVE) from None
        if count < 0:
            raise CommandError(MUST_BE_POSITIVE)
    zset = session.db.lookup_zset(argv[1], True)
    if zset is None or count == 0:
        session.reply.array(0)
        return
    members: list[bytes] = []
    scores: list[float] = []
    pop_members(session, argv[1], zset, lowest, count, members, scores)
    nested = size == 3 and session.reply.protocol == 3
    session.reply.array(len(members) if nested else 2 * len(members))
    reply_popped(session, members, scores, nested)


# -- BZPOPMIN, BZPOPMAX -----------------------------------------------------------------------------------


def bzpopmin(session: Session, argv: list[bytes]) -> None:
    """BZPOPMIN key [key ...] timeout"""
    pop_or_block(session, argv, True)


def bzpopmax(session: Session, argv: list[bytes]) -> None:
    """BZPOPMAX key [key ...] timeout"""
    pop_or_block(session, argv, False)


def pop_or_block(session: Session, argv: list[bytes], lowest: bool) -> None:
    last: i64 = len(argv) - 1
    timeout_ms = parse_timeout_ms(argv[last], session.limits.compat, session.state.now_ms)
    i: i64 = 1
    while i < last:
        key = argv[i]
        zset = session.db.lookup_zset(key, True) if session.may_serve(key) else None
        if zset is not None:
            members: list[bytes] = []
            scores: list[float] = []
            pop_members(session, key, zset, lowest, 1, members, scores)
            session.propagate([b"ZPOPMIN" if lowest else b"ZPOPMAX", key])
            session.reply.array(3)
            session.reply.bulk(key)
            reply_popped(session, members, scores, False)
            return
        i += 1
    if session.deny_blocking:
        session.reply.null_array()
    else:
        session.block(argv[1:last], timeout_ms)


# -- ZMPOP, BZMPOP ----------------------------------------------------------------------------------------


def zmpop(session: Session, argv: list[bytes]) -> None:
    """ZMPOP numkeys key [key ...] MIN | MAX [COUNT count]"""
    if not pop_first_of(session, argv, 1, -1):
        session.reply.null_array()


def bzmpop(session: Session, argv: list[bytes]) -> None:
    """BZMPOP timeout numkeys key [key ...] MIN | MAX [COUNT count]"""
    if pop_first_of(session, argv, 2, 1):
        return
    if session.deny_blocking:
        session.reply.null_array()
        return
    timeout_ms = parse_timeout_ms(argv[1], session.limits.compat, session.state.now_ms)
    session.block(argv[3 : 3 + to_int64(argv[2])], timeout_ms)


def pop_first_of(session: Session, argv: list[bytes], numkeys_at: i64, timeout_at: i64) -> bool:
    """Pop from the first key that has members and reply; False where none has (nothing is replied then).

    The timeout is judged after the other arguments and before any key.
    """
    size: i64 = len(argv)
    keys: i64 = parse_above_zero(argv[numkeys_at], _NO_KEYS)
    if keys >= size - numkeys_at - 1:
        raise CommandError(SYNTAX)
    i: i64 = numkeys_at + keys + 1
    word = argv[i].upper()
    if word != b"MIN" and word != b"MAX":
        raise CommandError(SYNTAX)
    lowest = word == b"MIN"
    count: i64 = -1
    i += 1
    while i < size:
        if count != -1 or i + 1 == size or argv[i].upper() != b"COUNT":
            raise CommandError(SYNTAX)
        count = parse_above_zero(argv[i + 1], _NO_COUNT)
        i += 2
    if count == -1:
        count = 1
    if timeout_at >= 0:
        parse_timeout_ms(argv[timeout_at], session.limits.compat, session.state.now_ms)
    i = numkeys_at + 1
    while i <= numkeys_at + keys:
        key = argv[i]
        zset = session.db.lookup_zset(key, True) if session.may_serve(key) else None
        if zset is not None:
            members: list[bytes] = []
            scores: list[float] = []
            pop_members(session, key, zset, lowest, count, members, scores)
            session.propagate([b"ZPOPMIN" if lowest else b"ZPOPMAX", key, format_int(len(members))])
            session.reply.array(2)
            session.reply.bulk(key)
            session.reply.array(len(members))
            reply_popped(session, members, scores, True)
            return True
        i += 1
    return False


_POP: Final = (KeySpec("RW access delete", 1),)
_POP_ANY: Final = (KeySpec("RW access delete", 1, last=-2),)
_POP_COUNTED: Final = (KeySpec("RW access delete", 1, count_at=0, first=1),)
_BLOCK_COUNTED: Final = (KeySpec("RW access delete", 2, count_at=0, first=1),)
_BLOCKS_70: Final = "write noscript blocking fast"
_BLOCKS: Final = "write blocking fast"

COMMANDS: Final = (
    Command(b"zpopmin", zpopmin, -2, "write fast", "sortedset", _POP),
    Command(b"zpopmax", zpopmax, -2, "write fast", "sortedset", _POP),
    Command(b"zmpop", zmpop, -4, "write", "sortedset", _POP_COUNTED),
    Command(b"bzpopmin", bzpopmin, -3, _BLOCKS_70, "sortedset", _POP_ANY, max_compat=70),
    Command(b"bzpopmax", bzpopmax, -3, _BLOCKS_70, "sortedset", _POP_ANY, max_compat=70),
    Command(b"bzpopmin", bzpopmin, -3, _BLOCKS, "sortedset", _POP_ANY, min_compat=72),
    Command(b"bzpopmax", bzpopmax, -3, _BLOCKS, "sortedset", _POP_ANY, min_compat=72),
    Command(b"bzmpop", bzmpop, -5, "write blocking", "sortedset", _BLOCK_COUNTED),
)
