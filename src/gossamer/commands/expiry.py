"""Commands on the expire times of keys: EXPIRE and its kin, TTL and its kin, PERSIST."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import INT64_MAX, format_int
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.keyspace.database import NO_EXPIRE
from gossamer.keyspace.events import NOTIFY_GENERIC
from gossamer.resp.errors import invalid_expire

_NX: Final = 1
_XX: Final = 2
_GT: Final = 4
_LT: Final = 8


def expire_option(word: bytes) -> i64:
    """The option that a word names; 0 where it names none."""
    word = word.upper()
    if word == b"NX":
        return _NX
    if word == b"XX":
        return _XX
    if word == b"GT":
        return _GT
    return _LT if word == b"LT" else 0


def parse_expire_options(argv: list[bytes]) -> i64:
    """NX, XX, GT and LT from argv[3] on; raises CommandError."""
    options: i64 = 0
    n: i64 = len(argv)
    i: i64 = 3
    while i < n:
        option: i64 = expire_option(argv[i])
        if option == 0:
            raise CommandError(b"ERR Unsupported option " + argv[i].partition(b"\0")[0])
        options |= option
        i += 1
    if options & _NX and options != _NX:
        raise CommandError(b"ERR NX and XX, GT or LT options at the same time are not compatible")
    if options & _GT and options & _LT:
        raise CommandError(b"ERR GT and LT options at the same time are not compatible")
    return options


def allows(options: i64, current_ms: i64, expire_ms: i64) -> bool:
    """Whether the options let expire_ms take the place of current_ms (-1: none)."""
    if options & _NX and current_ms >= 0:
        return False
    if options & _XX and current_ms < 0:
        return False
    if options & _GT and (current_ms < 0 or expire_ms <= current_ms):
        return False
    return not (options & _LT and 0 <= current_ms <= expire_ms)


def expire_at(session: Session, argv: list[bytes], base_ms: i64, in_seconds: bool, name: bytes) -> None:
    """Give a key an expire time: base_ms plus the argument."""
    options: i64 = parse_expire_options(argv)
    value: i64 = integer_argument(argv[2])
    if in_seconds:
        if value > INT64_MAX // 1000 or value < -(INT64_MAX // 1000):
            raise CommandError(invalid_expire(name))
        value *= 1000
    if value > INT64_MAX - base_ms:
        raise CommandError(invalid_expire(name))
    value += base_ms
    db = session.db
    state = session.state
    key = argv[1]
    if not db.find_write(key) or not allows(options, db.expire_time(key), value):
        session.reply.integer(0)
        return
    if value <= state.now_ms and state.expires_now:
        db.delete(key)
        session.changed(key, NOTIFY_GENERIC, b"del")
        session.propagate_removal(key, session.limits.lazyfree_lazy_expire)
    else:
        db.set_expire(key, value if value > 0 else 1)
        session.changed(key, NOTIFY_GENERIC, b"expire")
        if name != b"pexpireat":
            session.propagate([b"PEXPIREAT", key, format_int(value), *argv[3:]])
    session.reply.integer(1)


def expire(session: Session, argv: list[bytes]) -> None:
    """EXPIRE key seconds [NX | XX | GT | LT]"""
    expire_at(session, argv, session.state.now_ms, True, b"expire")


def pexpire(session: Session, argv: list[bytes]) -> None:
    """PEXPIRE key milliseconds [NX | XX | GT | LT]"""
    expire_at(session, argv, session.state.now_ms, False, b"pexpire")


def expireat(session: Session, argv: list[bytes]) -> None:
    """EXPIREAT key unix-time-seconds [NX | XX | GT | LT]"""
    expire_at(session, argv, 0, True, b"expireat")


def pexpireat(session: Session, argv: list[bytes]) -> None:
    """PEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT]"""
    expire_at(session, argv, 0, False, b"pexpireat")


def reply_time(session: Session, key: bytes, base_ms: i64, in_seconds: bool) -> None:
    """Reply when a key expires, relative to base_ms; -1: never, -2: no such key."""
    if not session.db.find_read_untouched(key):
        session.reply.integer(-2)
        return
    value: i64 = session.db.expire_time(key)
    if value >= 0:
        value -= base_ms
        if value < 0:
            value = 0
        if in_seconds:
            value = value // 1000 + (1 if value % 1000 >= 500 else 0)
    session.reply.integer(value)


def ttl(session: Session, argv: list[bytes]) -> None:
    """TTL key"""
    reply_time(session, argv[1], session.state.now_ms, True)


def pttl(session: Session, argv: list[bytes]) -> None:
    """PTTL key"""
    reply_time(session, argv[1], session.state.now_ms, False)


def expiretime(session: Session, argv: list[bytes]) -> None:
    """EXPIRETIME key"""
    reply_time(session, argv[1], 0, True)


def pexpiretime(session: Session, argv: list[bytes]) -> None:
    """PEXPIRETIME key"""
    reply_time(session, argv[1], 0, False)


def persist(session: Session, argv: list[bytes]) -> None:
    """PERSIST key"""
    db = session.db
    key = argv[1]
    if not db.find_write(key) or db.expire_time(key) < 0:
        session.reply.integer(0)
        return
    db.set_expire(key, NO_EXPIRE)
    session.changed(key, NOTIFY_GENERIC, b"persist")
    session.reply.integer(1)


_READ: Final = (KeySpec("RO access", index=1),)
_UPDATE: Final = (KeySpec("RW update", index=1),)
_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(b"expire", expire, -3, "write fast", "keyspace", _UPDATE),
    Command(b"pexpire", pexpire, -3, "write fast", "keyspace", _UPDATE),
    Command(b"expireat", expireat, -3, "write fast", "keyspace", _UPDATE),
    Command(b"pexpireat", pexpireat, -3, "write fast", "keyspace", _UPDATE),
    Command(b"ttl", ttl, 2, "readonly fast", "keyspace", _READ, _RANDOM),
    Command(b"pttl", pttl, 2, "readonly fast", "keyspace", _READ, _RANDOM),
    Command(b"expiretime", expiretime, 2, "readonly fast", "keyspace", _READ),
    Command(b"pexpiretime", pexpiretime, 2, "readonly fast", "keyspace", _READ),
    Command(b"persist", persist, 2, "write fast", "keyspace", _UPDATE),
)
