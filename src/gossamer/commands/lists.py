"""Commands on one list: push and pop, read by index and range, change in the middle, search.

What moves elements between lists, takes from the first of several, or waits, stands in list_moves.py.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import INT64_MAX
from gossamer.commands.arguments import BELOW_NEGATABLE, integer_argument, integer_argument_or
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.lists import List
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_LIST
from gossamer.resp.errors import (
    INDEX_OUT_OF_RANGE,
    MUST_BE_POSITIVE,
    NO_SUCH_KEY,
    SYNTAX,
    wrong_arity,
)

_RANK_IS_ZERO: Final = (
    b"ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... "
    b"or use negative to start from the end of the list"
)
_NEGATIVE_COUNT: Final = b"ERR COUNT can't be negative"
_NEGATIVE_MAXLEN: Final = b"ERR MAXLEN can't be negative"
_BOUNDED_COMPAT: Final = 72  # from here on the least 64-bit integer is refused where its negative is needed


def parse_negatable(argument: bytes, compat: i64) -> i64:
    """A 64-bit integer that will be negated: the least one is refused, or counts as the next (Redis 7.0)."""
    value = integer_argument(argument)
    if value < -INT64_MAX:
        if compat >= _BOUNDED_COMPAT:
            raise CommandError(BELOW_NEGATABLE)
        value = -INT64_MAX
    return value


def parse_not_negative(argument: bytes, message: bytes) -> i64:
    """A 64-bit integer of at least 0; raises CommandError(message) for anything else."""
    value = integer_argument_or(argument, message)
    if value < 0:
        raise CommandError(message)
    return value


def say_removed(session: Session, key: bytes, value: List, event: bytes, removed: i64) -> None:
    """Write back a list that lost elements (with the last one goes the key), and say so."""
    emptied = value.length() == 0
    if emptied:
        session.db.delete(key)
    else:
        value.shrink()
        session.db.store(key, value)
    session.state.dirty += removed - 1
    session.changed(key, NOTIFY_LIST, event)
    if emptied:
        session.notify(NOTIFY_GENERIC, b"del", key)


# -- pushing and popping ----------------------------------------------------------------------------------


def lpush(session: Session, argv: list[bytes]) -> None:
    """LPUSH key element [element ...]"""
    push(session, argv, True, False)


def rpush(session: Session, argv: list[bytes]) -> None:
    """RPUSH key element [element ...]"""
    push(session, argv, False, False)


def lpushx(session: Session, argv: list[bytes]) -> None:
    """LPUSHX key element [element ...]"""
    push(session, argv, True, True)


def rpushx(session: Session, argv: list[bytes]) -> None:
    """RPUSHX key element [element ...]"""
    push(session, argv, False, True)


def push(session: Session, argv: list[bytes], at_front: bool, must_exist: bool) -> None:
    key = argv[1]
    db = session.db
    value = db.lookup_list(key, True)
    if value is None:
        if must_exist:
            session.reply.integer(0)
            return
        value = List.create(session.limits)
    value.push(argv, 2, at_front)
    db.store(key, value)
    session.state.dirty += len(argv) - 3
    session.changed(key, NOTIFY_LIST, b"lpush" if at_front else b"rpush")
    session.reply.integer(value.length())


def lpop(session: Session, argv: list[bytes]) -> None:
    """LPOP key [count]"""
    pop(session, argv, True)


def rpop(session: Session, argv: list[bytes]) -> None:
    """RPOP key [count]"""
    pop(session, argv, False)


def pop(session: Session, argv: list[bytes], at_front: bool) -> None:
    key = argv[1]
    reply = session.reply
    event = b"lpop" if at_front else b"rpop"
    size: i64 = len(argv)
    if size == 2:
        value = session.db.lookup_list(key, True)
        if value is None:
            reply.null()
            return
        reply.bulk(value.pop(at_front))
        say_removed(session, key, value, event, 1)
        return
    if size > 3:
        raise CommandError(wrong_arity(event))
    count = parse_not_negative(argv[2], MUST_BE_POSITIVE)
    value = session.db.lookup_list(key, True)
    if value is None:
        reply.null_array()
    elif count == 0:
        reply.array(0)
    else:
        reply_popped(session, key, value, at_front, count)


def reply_popped(session: Session, key: bytes, value: List, at_front: bool, count: i64) -> i64:
    """Pop up to `count` elements from one end into an array and write the list back; how many it were."""
    count = min(count, value.length())
    session.reply.array(count)
    left: i64 = count
    while left > 0:
        session.reply.bulk(value.pop(at_front))
        left -= 1
    say_removed(session, key, value, b"lpop" if at_front else b"rpop", count)
    return count


# -- reading ----------------------------------------------------------------------------------------------


def llen(session: Session, argv: list[bytes]) -> None:
    """LLEN key"""
    value = session.db.lookup_list(argv[1], False)
    session.reply.integer(0 if value is None else value.length())


def lindex(session: Session, argv: list[bytes]) -> None:
    """LINDEX key index"""
    value = session.db.lookup_list(argv[1], False)
    if value is None:
        session.reply.null()
        return
    index = integer_argument(argv[2])
    length: i64 = value.length()
    if index < 0:
        index += length
    if index < 0 or index >= length:
        session.reply.null()
    else:
        session.reply.bulk(value.get(index))


def lrange(session: Session, argv: list[bytes]) -> None:
    """LRANGE key start stop"""
    start = integer_argument(argv[2])
    stop = integer_argument(argv[3])
    value = session.db.lookup_list(argv[1], False)
    if value is None:
        session.reply.array(0)
        return
    length: i64 = value.length()
    if start < 0:
        start = max(0, start + length)
    if stop < 0:
        stop += length
    stop = min(stop, length - 1)
    if start > stop:
        session.reply.array(0)
        return
    session.reply.array(stop - start + 1)
    value.write_range(session.reply, start, stop - start + 1)


def lpos(session: Session, argv: list[bytes]) -> None:
    """LPOS key element [RANK rank] [COUNT num-matches] [MAXLEN len]"""
    rank: i64 = 1
    count: i64 = -1
    most_compared: i64 = 0
    size: i64 = len(argv)
    i: i64 = 3
    while i < size:
        word = argv[i].upper()
        if i + 1 == size:
            raise CommandError(SYNTAX)
        if word == b"RANK":
            rank = parse_negatable(argv[i + 1], session.limits.compat)
            if rank == -INT64_MAX and integer_argument(argv[i + 1]) != rank:
                rank = (
                    -1
                )  # Redis 7.0 negates the least integer, which stays negative: every match is late enough
            if rank == 0:
                raise CommandError(_RANK_IS_ZERO)
        elif word == b"COUNT":
            count = parse_not_negative(argv[i + 1], _NEGATIVE_COUNT)
        elif word == b"MAXLEN":
            most_compared = parse_not_negative(argv[i + 1], _NEGATIVE_MAXLEN)
        else:
            raise CommandError(SYNTAX)
        i += 2
    reply = session.reply
    value = session.db.lookup_list(argv[1], False)
    found: list[int] = []
    if value is not None:
        found = value.positions(argv[2], rank, 1 if count < 0 else count, most_compared)
    if count >= 0:
        reply.array(len(found))
        for index in found:
            reply.integer(index)
    elif len(found) == 0:
        reply.null()
    else:
        reply.integer(found[0])


# -- changing the middle ----------------------------------------------------------------------------------


def lset(session: Session, argv: list[bytes]) -> None:
    """LSET key index element"""
    key = argv[1]
    element = argv[3]
    value = session.db.lookup_list(key, True)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    index = integer_argument(argv[2])
    if session.limits.compat >= _BOUNDED_COMPAT:
        index &= 0xFFFFFFFF  # the servers take 32 bits of it
        if index > 0x7FFFFFFF:
            index -= 0x100000000
    value.prepare_growth(len(element), 1)
    length: i64 = value.length()
    if index < 0:
        index += length
    if index < 0 or index >= length:
        session.db.store(key, value)  # it may have changed its form
        raise CommandError(INDEX_OUT_OF_RANGE)
    value.set(index, element)
    session.db.store(key, value)
    session.reply.ok()
    session.changed(key, NOTIFY_LIST, b"lset")


def linsert(session: Session, argv: list[bytes]) -> None:
    """LINSERT key BEFORE | AFTER pivot element"""
    key = argv[1]
    word = argv[2].upper()
    if word != b"AFTER" and word != b"BEFORE":
        raise CommandError(SYNTAX)
    value = session.db.lookup_list(key, True)
    if value is None:
        session.reply.integer(0)
        return
    inserted = value.insert(argv[3], argv[4], word == b"AFTER")
    session.db.store(key, value)
    if inserted:
        session.changed(key, NOTIFY_LIST, b"linsert")
        session.reply.integer(value.length())
    else:
        session.reply.integer(-1)


def ltrim(session: Session, argv: list[bytes]) -> None:
    """LTRIM key start stop"""
    key = argv[1]
    start = integer_argument(argv[2])
    stop = integer_argument(argv[3])
    value = session.db.lookup_list(key, True)
    if value is None:
        session.reply.ok()
        return
    length: i64 = value.length()
    if start < 0:
        start = max(0, start + length)
    if stop < 0:
        stop += length
    stop = min(stop, length - 1)
    if start > stop:
        start = length
        stop = length - 1
    value.delete_range(stop + 1, length - 1 - stop)
    value.delete_range(0, start)
    removed: i64 = start + length - 1 - stop
    session.reply.ok()
    if removed > 0:
        say_removed(session, key, value, b"ltrim", removed)
        return
    # Nothing to save or to propagate; but Redis tells watches and listeners all the same.
    value.shrink()
    session.db.store(key, value)
    session.listener.on_modified(key, session.db.index)
    session.notify(NOTIFY_LIST, b"ltrim", key)


def lrem(session: Session, argv: list[bytes]) -> None:
    """LREM key count element"""
    key = argv[1]
    limit = parse_negatable(argv[2], session.limits.compat)
    value = session.db.lookup_list(key, True)
    removed: i64 = 0
    if value is not None:
        removed = value.remove(argv[3], limit)
        if removed > 0:
            say_removed(session, key, value, b"lrem", removed)
    session.reply.integer(removed)


_PUSH_FLAGS: Final = "write denyoom fast"
_INSERT: Final = (KeySpec("RW insert", 1),)
_POP: Final = (KeySpec("RW access delete", 1),)
_READ: Final = (KeySpec("RO access", 1),)
_DELETE: Final = (KeySpec("RW delete", 1),)

COMMANDS: Final = (
    Command(b"lpush", lpush, -3, _PUSH_FLAGS, "list", _INSERT),
    Command(b"rpush", rpush, -3, _PUSH_FLAGS, "list", _INSERT),
    Command(b"lpushx", lpushx, -3, _PUSH_FLAGS, "list", _INSERT),
    Command(b"rpushx", rpushx, -3, _PUSH_FLAGS, "list", _INSERT),
    Command(b"lpop", lpop, -2, "write fast", "list", _POP),
    Command(b"rpop", rpop, -2, "write fast", "list", _POP),
    Command(b"llen", llen, 2, "readonly fast", "list", (KeySpec("RO", 1),)),
    Command(b"lindex", lindex, 3, "readonly", "list", _READ),
    Command(b"lrange", lrange, 4, "readonly", "list", _READ),
    Command(b"lpos", lpos, -3, "readonly", "list", _READ),
    Command(b"lset", lset, 4, "write denyoom", "list", (KeySpec("RW update", 1),)),
    Command(b"linsert", linsert, 5, "write denyoom", "list", _INSERT),
    Command(b"ltrim", ltrim, 4, "write", "list", _DELETE),
    Command(b"lrem", lrem, 4, "write", "list", _DELETE),
)
