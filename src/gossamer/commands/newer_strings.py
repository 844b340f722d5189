"""Commands on strings that came after Redis 7.2 and Valkey 8.0: DELIFEQ (Valkey 9.0), MSETEX (Redis 8.4, Valkey 9.1).

Whoever follows is told the commands of old that they come to.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, to_int64
from gossamer.commands.session import Session
from gossamer.commands.strings import StringOptions, parse_expire_at, parse_string_options, set_until
from gossamer.commands.table import Command, KeySpec
from gossamer.keyspace.database import KEEP_EXPIRE, NO_EXPIRE
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_STRING
from gossamer.resp.errors import SYNTAX

_BAD_NUMKEYS: Final = b"ERR invalid numkeys value"
_NOT_SET: Final = 0
_SET: Final = 1


def delifeq(session: Session, argv: list[bytes]) -> None:
    """DELIFEQ key value"""
    key = argv[1]
    if session.db.get_string_write(key) != argv[2]:
        session.reply.integer(0)
        return
    session.db.delete(key)
    session.changed(key, NOTIFY_GENERIC, b"del")
    session.propagate([b"DEL", key])
    session.reply.integer(1)


def msetex(session: Session, argv: list[bytes]) -> None:
    """MSETEX numkeys key value [key value ...] [NX | XX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]"""
    size: i64 = len(argv)
    try:
        count: i64 = to_int64(argv[1])
    except NotANumber:
        raise CommandError(_BAD_NUMKEYS) from None
    if count < 1:
        raise CommandError(_BAD_NUMKEYS)
    if count > (size - 2) // 2:
        raise CommandError(SYNTAX)
    end: i64 = 2 + 2 * count
    options = parse_string_options(argv, end, True)
    if options.get or options.is_comparison():
        raise CommandError(SYNTAX)
    expire_ms: i64 = NO_EXPIRE
    if options.unit:
        expire_ms = parse_expire_at(options.time, options.unit, session.state.now_ms, b"msetex")
    if (options.nx or options.xx) and not all_are(session, argv, end, options.xx):
        session.reply.integer(_NOT_SET)
        return
    set_all(session, argv, end, options, expire_ms)
    session.reply.integer(_SET)


def all_are(session: Session, argv: list[bytes], end: i64, there: bool) -> bool:
    """Whether all keys are there, or none is."""
    for index in range(2, end, 2):
        if session.db.find_write(argv[index]) != there:
            return False
    return True


def set_all(session: Session, argv: list[bytes], end: i64, options: StringOptions, expire_ms: i64) -> None:
    for index in range(2, end, 2):
        key = argv[index]
        if options.unit:
            set_until(session, key, argv[index + 1], expire_ms, True)
        else:
            session.db.set_string(key, argv[index + 1], KEEP_EXPIRE if options.keepttl else NO_EXPIRE, False)
            session.changed(key, NOTIFY_STRING, b"set")
            if options.keepttl:
                session.propagate([b"SET", key, argv[index + 1], b"KEEPTTL"])
    if not options.unit and not options.keepttl:
        session.propagate([b"MSET", *argv[2:end]])


COMMANDS: Final = (
    Command(
        b"delifeq", delifeq, 3, "write fast", "string", (KeySpec("RW access delete", index=1),), newer=True
    ),
    Command(
        b"msetex",
        msetex,
        -4,
        "write denyoom",
        "string",
        (KeySpec("OW update", index=1, count_at=0, first=1, step=2),),
        newer=True,
    ),
)
