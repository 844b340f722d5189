"""Commands that move elements between lists, take from the first list of several, or wait for elements.

A blocking command is the plain one, which waits when there is nothing to take: it is simply run again when
one of its keys changed.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import format_int
from gossamer.commands.arguments import integer_argument_or
from gossamer.commands.lists import reply_popped, say_removed
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.commands.timeouts import parse_timeout_ms
from gossamer.datatypes.lists import List
from gossamer.keyspace.events import NOTIFY_LIST
from gossamer.resp.errors import SYNTAX

_NO_KEYS: Final = b"ERR numkeys should be greater than 0"
_NO_COUNT: Final = b"ERR count should be greater than 0"


def parse_end(argument: bytes) -> bool:
    """LEFT (True) or RIGHT."""
    word = argument.upper()
    if word != b"LEFT" and word != b"RIGHT":
        raise CommandError(SYNTAX)
    return word == b"LEFT"


def parse_above_zero(argument: bytes, message: bytes) -> i64:
    number = integer_argument_or(argument, message)
    if number < 1:
        raise CommandError(message)
    return number


# -- LMOVE, RPOPLPUSH, and their blocking forms -----------------------------------------------------------


def lmove(session: Session, argv: list[bytes]) -> None:
    """LMOVE source destination LEFT | RIGHT LEFT | RIGHT"""
    from_front = parse_end(argv[3])
    to_front = parse_end(argv[4])
    if not move(session, argv[1], argv[2], from_front, to_front):
        session.reply.null()


def rpoplpush(session: Session, argv: list[bytes]) -> None:
    """RPOPLPUSH source destination"""
    if not move(session, argv[1], argv[2], False, True):
        session.reply.null()


def blmove(session: Session, argv: list[bytes]) -> None:
    """BLMOVE source destination LEFT | RIGHT LEFT | RIGHT timeout"""
    from_front = parse_end(argv[3])
    to_front = parse_end(argv[4])
    timeout_ms = parse_timeout_ms(argv[5], session.limits.compat, session.state.now_ms)
    if move(session, argv[1], argv[2], from_front, to_front):
        if session.ready_key is None:
            session.propagate([b"LMOVE", argv[1], argv[2], argv[3], argv[4]])
        else:
            session.propagate([b"LMOVE", argv[1], argv[2], argv[3].lower(), argv[4].lower()])
    else:
        wait_to_move(session, argv[1], timeout_ms)


def brpoplpush(session: Session, argv: list[bytes]) -> None:
    """BRPOPLPUSH source destination timeout"""
    timeout_ms = parse_timeout_ms(argv[3], session.limits.compat, session.state.now_ms)
    if move(session, argv[1], argv[2], False, True):
        session.propagate([b"RPOPLPUSH", argv[1], argv[2]])
    else:
        wait_to_move(session, argv[1], timeout_ms)


def wait_to_move(session: Session, source_key: bytes, timeout_ms: i64) -> None:
    if session.deny_blocking:
        session.reply.null()
    else:
        session.block([source_key], timeout_ms)


def move(session: Session, source_key: bytes, target_key: bytes, from_front: bool, to_front: bool) -> bool:
    """Move one element and reply it; False where the source has none (nothing is replied then)."""
    db = session.db
    source = db.lookup_list(source_key, True)
    if source is None:
        return False
    pop_event = b"lpop" if from_front else b"rpop"
    push_event = b"lpush" if to_front else b"rpush"
    if source_key == target_key:
        element = source.pop(from_front)
        source.push([element], 0, to_front)
        session.notify(NOTIFY_LIST, push_event, target_key)
        say_removed(session, source_key, source, pop_event, 1)
    else:
        target = db.lookup_list(target_key, True)
        if target is None:
            target = List.create(session.limits)
        element = source.pop(from_front)
        target.push([element], 0, to_front)
        db.store(target_key, target)
        session.state.dirty -= 1  # the move counts as one change
        session.changed(target_key, NOTIFY_LIST, push_event)
        say_removed(session, source_key, source, pop_event, 1)
    session.reply.bulk(element)
    return True


# -- BLPOP, BRPOP -----------------------------------------------------------------------------------------


def blpop(session: Session, argv: list[bytes]) -> None:
    """BLPOP key [key ...] timeout"""
    pop_or_block(session, argv, True)


def brpop(session: Session, argv: list[bytes]) -> None:
    """BRPOP key [key ...] timeout"""
    pop_or_block(session, argv, False)


def pop_or_block(session: Session, argv: list[bytes], at_front: bool) -> None:
    last: i64 = len(argv) - 1
    reply = session.reply
    timeout_ms = parse_timeout_ms(argv[last], session.limits.compat, session.state.now_ms)
    i: i64 = 1
    while i < last:
        key = argv[i]
        value = session.db.lookup_list(key, True) if session.may_serve(key) else None
        if value is not None:
            reply.array(2)
            reply.bulk(key)
            reply.bulk(value.pop(at_front))
            say_removed(session, key, value, b"lpop" if at_front else b"rpop", 1)
            session.propagate([b"LPOP" if at_front else b"RPOP", key])
            return
        i += 1
    if session.deny_blocking:
        reply.null_array()
    else:
        session.block(argv[1:last], timeout_ms)


# -- LMPOP, BLMPOP ----------------------------------------------------------------------------------------


def lmpop(session: Session, argv: list[bytes]) -> None:
    """LMPOP numkeys key [key ...] LEFT | RIGHT [COUNT count]"""
    pop_from_first(session, argv, 1, -1)


def blmpop(session: Session, argv: list[bytes]) -> None:
    """BLMPOP timeout numkeys key [key ...] LEFT | RIGHT [COUNT count]"""
    pop_from_first(session, argv, 2, 1)


def pop_from_first(session: Session, argv: list[bytes], numkeys_at: i64, timeout_at: i64) -> None:
    """Pop from the first key that has elements; with none wait, or reply null where timeout_at is -1."""
    size: i64 = len(argv)
    numkeys = parse_above_zero(argv[numkeys_at], _NO_KEYS)
    if numkeys >= size - numkeys_at - 1:
        raise CommandError(SYNTAX)
    first: i64 = numkeys_at + 1
    stop: i64 = first + numkeys
    at_front = parse_end(argv[stop])
    count: i64 = 1
    if size > stop + 1:
        if size != stop + 3 or argv[stop + 1].upper() != b"COUNT":
            check_count_options(argv, stop + 1)
        count = parse_above_zero(argv[stop + 2], _NO_COUNT)
    timeout_ms: i64 = 0
    if timeout_at >= 0:
        timeout_ms = parse_timeout_ms(argv[timeout_at], session.limits.compat, session.state.now_ms)
    i: i64 = first
    while i < stop:
        key = argv[i]
        value = session.db.lookup_list(key, True) if session.may_serve(key) else None
        if value is not None:
            session.reply.array(2)
            session.reply.bulk(key)
            popped: i64 = reply_popped(session, key, value, at_front, count)
            session.propagate([b"LPOP" if at_front else b"RPOP", key, format_int(popped)])
            return
        i += 1
    if timeout_at < 0 or session.deny_blocking:
        session.reply.null_array()
    else:
        session.block(argv[first:stop], timeout_ms)


def check_count_options(argv: list[bytes], i: i64) -> None:
    """Raise what the first fault in the options says; there is one."""
    if i + 1 < len(argv) and argv[i].upper() == b"COUNT":
        parse_above_zero(argv[i + 1], _NO_COUNT)
    raise CommandError(SYNTAX)


_POP_FLAGS: Final = "write blocking"
_POP_FLAGS_70: Final = "write noscript blocking"
_MOVE_FLAGS: Final = "write denyoom blocking"
_MOVE_FLAGS_70: Final = "write denyoom noscript blocking"
_MOVE: Final = (KeySpec("RW access delete", 1), KeySpec("RW insert", 2))
_POP_ANY: Final = (KeySpec("RW access delete", 1, last=-2),)
_POP_COUNTED: Final = (KeySpec("RW access delete", 1, count_at=0, first=1),)
_BLOCK_COUNTED: Final = (KeySpec("RW access delete", 2, count_at=0, first=1),)

COMMANDS: Final = (
    Command(b"lmove", lmove, 5, "write denyoom", "list", _MOVE),
    Command(b"rpoplpush", rpoplpush, 3, "write denyoom", "list", _MOVE),
    Command(b"lmpop", lmpop, -4, "write", "list", _POP_COUNTED),
    Command(b"blpop", blpop, -3, _POP_FLAGS_70, "list", _POP_ANY, max_compat=70),
    Command(b"brpop", brpop, -3, _POP_FLAGS_70, "list", _POP_ANY, max_compat=70),
    Command(b"blmove", blmove, 6, _MOVE_FLAGS_70, "list", _MOVE, max_compat=70),
    Command(b"brpoplpush", brpoplpush, 4, _MOVE_FLAGS_70, "list", _MOVE, max_compat=70),
    Command(b"blpop", blpop, -3, _POP_FLAGS, "list", _POP_ANY, min_compat=72),
    Command(b"brpop", brpop, -3, _POP_FLAGS, "list", _POP_ANY, min_compat=72),
    Command(b"blmove", blmove, 6, _MOVE_FLAGS, "list", _MOVE, min_compat=72),
    Command(b"brpoplpush", brpoplpush, 4, _MOVE_FLAGS, "list", _MOVE, min_compat=72),
    Command(b"blmpop", blmpop, -5, _POP_FLAGS, "list", _BLOCK_COUNTED),
)
