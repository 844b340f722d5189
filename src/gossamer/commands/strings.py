"""Commands on strings, but for LCS (lcs.py).

GET, SET, INCR, MSET and MGET are the most used of all commands: their path takes no detour and makes no
object that is not part of the reply or the keyspace.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import (
    INT64_MAX,
    INT64_MIN,
    NotANumber,
    NotFinite,
    add_long_double,
    format_int,
    to_int64,
)
from gossamer.commands.arguments import integer_argument
from gossamer.commands.key_positions import set_keys
from gossamer.commands.lcs import lcs
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.value import KIND_STRING, KIND_STRING_EMBSTR
from gossamer.keyspace.database import KEEP_EXPIRE, NO_EXPIRE
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_STRING
from gossamer.resp.errors import (
    NAN_OR_INFINITY,
    NOT_FLOAT,
    NOT_INTEGER,
    OVERFLOW,
    STRING_TOO_LONG,
    SYNTAX,
    invalid_expire,
    wrong_arity,
)


@final
class StringOptions:
    """The options of SET and GETEX."""

    def __init__(self) -> None:
        self.nx: bool = False
        self.xx: bool = False
        self.get: bool = False
        self.keepttl: bool = False
        self.persist: bool = False
        self.equal_to: bytes | None = None  # IFEQ
        self.unequal_to: bytes | None = None  # IFNE
        self.unit: bytes = b""  # EX, PX, EXAT, PXAT; empty: no expire time
        self.time: bytes = b""

    def is_comparison(self) -> bool:
        """Whether the value that is there decides."""
        return self.equal_to is not None or self.unequal_to is not None

    def is_conditional(self) -> bool:
        return self.nx or self.xx or self.is_comparison()

    def admits(self, value: bytes | None) -> bool:
        """Whether IFEQ or IFNE holds for the value that is there."""
        if self.equal_to is not None:
            return value == self.equal_to
        return value != self.unequal_to


def parse_string_options(argv: list[bytes], start: i64, for_set: bool) -> StringOptions:
    """The options from argv[start] on; raises CommandError."""
    options = StringOptions()
    n: i64 = len(argv)
    i: i64 = start
    while i < n:
        word = argv[i].upper()
        if word == b"EX" or word == b"PX" or word == b"EXAT" or word == b"PXAT":
            clash: bool = options.keepttl or options.persist or (options.unit != b"" and options.unit != word)
            if clash or i + 1 >= n:
                raise CommandError(SYNTAX)
            options.unit = word
            i += 1
            options.time = argv[i]
        elif for_set and word == b"NX" and not options.xx and not options.is_comparison():
            options.nx = True
        elif for_set and word == b"XX" and not options.nx and not options.is_comparison():
            options.xx = True
        elif for_set and word == b"IFEQ" and not options.is_conditional() and i + 1 < n:
            i += 1
            options.equal_to = argv[i]
        elif for_set and word == b"IFNE" and not options.is_conditional() and i + 1 < n:
            i += 1
            options.unequal_to = argv[i]
        elif for_set and word == b"GET":
            options.get = True
        elif for_set and word == b"KEEPTTL" and not options.unit:
            options.keepttl = True
        elif not for_set and word == b"PERSIST" and not options.unit:
            options.persist = True
        else:
            raise CommandError(SYNTAX)
        i += 1
    return options


def parse_expire_at(argument: bytes, unit: bytes, now_ms: i64, name: bytes) -> i64:
    """The Unix time in ms that EX, PX, EXAT or PXAT names in the command `name`; raises CommandError."""
    value: i64 = integer_argument(argument)
    in_seconds: bool = unit == b"EX" or unit == b"EXAT"
    if value <= 0 or (in_seconds and value > INT64_MAX // 1000):
        raise CommandError(invalid_expire(name))
    if in_seconds:
        value *= 1000
    if unit == b"EX" or unit == b"PX":
        if value > INT64_MAX - now_ms:
            raise CommandError(invalid_expire(name))
        value += now_ms
    return value


def check_length(session: Session, length: i64, more: i64) -> None:
    """Raise where a string of `length` bytes and `more` would be longer than a string may be."""
    limit: i64 = session.limits.proto_max_bulk_len_bytes
    if length > limit or more > limit - length:
        raise CommandError(STRING_TOO_LONG)


# -- SET and its kin -----------------------------------------------------------------------------------------


def set_command(session: Session, argv: list[bytes]) -> None:
    """SET key value [NX | XX | IFEQ value | IFNE value] [GET] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL]

    IFEQ came with Valkey 8.1 and Redis 8.4, IFNE with Redis 8.4; they are there whatever version is answered as.
    """
    if len(argv) == 3:
        key = argv[1]
        session.db.set_string(key, argv[2], NO_EXPIRE, False)
        session.changed(key, NOTIFY_STRING, b"set")
        session.reply.ok()
        return
    set_with_options(session, argv)


def set_with_options(session: Session, argv: list[bytes]) -> None:
    options = parse_string_options(argv, 3, True)
    key = argv[1]
    expire_ms: i64 = KEEP_EXPIRE if options.keepttl else NO_EXPIRE
    if options.unit:
        expire_ms = parse_expire_at(options.time, options.unit, session.state.now_ms, b"set")
    reply = session.reply
    if options.get:
        reply.bulk_or_null(session.db.get_string(key))
    if options.is_conditional():
        if options.is_comparison():
            refused = not options.admits(session.db.get_string_write(key))
        else:
            refused = session.db.find_write(key) == options.nx
        if refused:
            if not options.get:
                reply.null()
            return
    if options.unit:
        as_it_came = options.unit == b"PXAT" and session.limits.compat >= 72 and not options.is_comparison()
        set_until(session, key, argv[2], expire_ms, not as_it_came)
    else:
        session.db.set_string(key, argv[2], expire_ms, False)
        session.changed(key, NOTIFY_STRING, b"set")
        if options.is_comparison():
            session.propagate(argv[:3] + ([b"KEEPTTL"] if options.keepttl else []))
        elif options.get:
            session.propagate(argv[:3] + [word for word in argv[3:] if word.upper() != b"GET"])
    if not options.get:
        reply.ok()


def set_until(session: Session, key: bytes, value: bytes, expire_ms: i64, relative: bool) -> None:
    """Set a string with an expire time. Valkey 8 rather removes the key when that time is over.

    `relative`: AOF and replicas need another command, which tells the time in Unix ms.
    """
    db = session.db
    if session.limits.compat >= 80 and expire_ms <= session.state.now_ms and session.state.expires_now:
        if db.delete(key):
            session.changed(key, NOTIFY_GENERIC, b"del")
            session.propagate_removal(key, session.limits.lazyfree_lazy_expire)
        return
    db.set_string(key, value, expire_ms, False)
    session.changed(key, NOTIFY_STRING, b"set")
    session.notify(NOTIFY_GENERIC, b"expire", key)
    if relative:
        session.propagate([b"SET", key, value, b"PXAT", format_int(expire_ms)])


def setnx(session: Session, argv: list[bytes]) -> None:
    """SETNX key value"""
    key = argv[1]
    if session.db.find_write(key):
        session.reply.integer(0)
        return
    session.db.set_string(key, argv[2], NO_EXPIRE, False)
    session.changed(key, NOTIFY_STRING, b"set")
    session.reply.integer(1)


def setex(session: Session, argv: list[bytes]) -> None:
    """SETEX key seconds value"""
    expire_ms: i64 = parse_expire_at(argv[2], b"EX", session.state.now_ms, b"setex")
    set_until(session, argv[1], argv[3], expire_ms, True)
    session.reply.ok()


def psetex(session: Session, argv: list[bytes]) -> None:
    """PSETEX key milliseconds value"""
    expire_ms: i64 = parse_expire_at(argv[2], b"PX", session.state.now_ms, b"psetex")
    set_until(session, argv[1], argv[3], expire_ms, True)
    session.reply.ok()


def mset(session: Session, argv: list[bytes]) -> None:
    """MSET key value [key value ...]"""
    n: i64 = len(argv)
    if n & 1 == 0:
        raise CommandError(wrong_arity(b"mset"))
    set_pairs(session, argv)
    session.reply.ok()


def msetnx(session: Session, argv: list[bytes]) -> None:
    """MSETNX key value [key value ...]"""
    n: i64 = len(argv)
    if n & 1 == 0:
        raise CommandError(wrong_arity(b"msetnx"))
    i: i64 = 1
    while i < n:
        if session.db.find_write(argv[i]):
            session.reply.integer(0)
            return
        i += 2
    set_pairs(session, argv)
    session.reply.integer(1)


def set_pairs(session: Session, argv: list[bytes]) -> None:
    db = session.db
    n: i64 = len(argv)
    i: i64 = 1
    while i < n:
        key = argv[i]
        db.set_string(key, argv[i + 1], NO_EXPIRE, False)
        session.changed(key, NOTIFY_STRING, b"set")
        i += 2


# -- GET and its kin -----------------------------------------------------------------------------------------


def get(session: Session, argv: list[bytes]) -> None:
    """GET key"""
    value = session.db.get_string(argv[1])
    if value is None:
        session.reply.null()
    else:
        session.reply.bulk(value)


def mget(session: Session, argv: list[bytes]) -> None:
    """MGET key [key ...]"""
    db = session.db
    reply = session.reply
    n: i64 = len(argv)
    reply.array(n - 1)
    i: i64 = 1
    while i < n:
        value = db.get_if_string(argv[i])
        if value is None:
            reply.null()
        else:
            reply.bulk(value)
        i += 1


def getex(session: Session, argv: list[bytes]) -> None:
    """GETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST]"""
    options = parse_string_options(argv, 2, False)
    db = session.db
    state = session.state
    key = argv[1]
    value = db.get_string(key)
    if value is None:
        session.reply.null()
        return
    if options.unit:
        expire_ms: i64 = parse_expire_at(options.time, options.unit, state.now_ms, b"getex")
        if expire_ms <= state.now_ms and state.expires_now:
            db.delete(key)
            session.changed(key, NOTIFY_GENERIC, b"del")
            session.propagate_removal(key, session.limits.lazyfree_lazy_expire)
        else:
            db.set_expire(key, expire_ms)
            session.changed(key, NOTIFY_GENERIC, b"expire")
            session.propagate([b"PEXPIREAT", key, format_int(expire_ms)])
    elif options.persist and db.expire_time(key) >= 0:
        db.set_expire(key, NO_EXPIRE)
        session.changed(key, NOTIFY_GENERIC, b"persist")
        session.propagate([b"PERSIST", key])
    session.reply.bulk(value)


def getdel(session: Session, argv: list[bytes]) -> None:
    """GETDEL key"""
    key = argv[1]
    value = session.db.get_string(key)
    if value is None:
        session.reply.null()
        return
    session.db.delete(key)
    session.changed(key, NOTIFY_GENERIC, b"del")
    session.propagate([b"DEL", key])
    session.reply.bulk(value)


def getset(session: Session, argv: list[bytes]) -> None:
    """GETSET key value"""
    key = argv[1]
    session.reply.bulk_or_null(session.db.get_string(key))
    session.db.set_string(key, argv[2], NO_EXPIRE, False)
    session.changed(key, NOTIFY_STRING, b"set")
    session.propagate([b"SET", key, argv[2]])


def strlen(session: Session, argv: list[bytes]) -> None:
    """STRLEN key"""
    db = session.db
    session.reply.integer(db.found_string_length() if db.find_read(argv[1]) else 0)


def getrange(session: Session, argv: list[bytes]) -> None:
    """GETRANGE key start end; SUBSTR is its old name"""
    start: i64 = integer_argument(argv[2])
    end: i64 = integer_argument(argv[3])
    db = session.db
    if not db.find_read(argv[1]):
        session.reply.bulk(b"")
        return
    length: i64 = db.found_string_length()
    if start < 0 and end < 0 and start > end:
        session.reply.bulk(b"")
        return
    if start < 0:
        start += length
        if start < 0:
            start = 0
    if end < 0:
        end += length
        if end < 0:
            end = 0
    if end >= length:
        end = length - 1
    session.reply.bulk(db.found_string_cut(start, end + 1) if start <= end else b"")


# -- changing in place --------------------------------------------------------------------------------------


def append(session: Session, argv: list[bytes]) -> None:
    """APPEND key value"""
    db = session.db
    key = argv[1]
    tail = argv[2]
    length: i64 = len(tail)
    if db.find_write(key):
        check_length(session, db.found_string_length(), length)
        length = db.append_found(key, tail)
    else:
        db.set_string(key, tail, NO_EXPIRE, False)
    session.changed(key, NOTIFY_STRING, b"append")
    session.reply.integer(length)


def setrange(session: Session, argv: list[bytes]) -> None:
    """SETRANGE key offset value"""
    db = session.db
    key = argv[1]
    piece = argv[3]
    offset: i64 = integer_argument(argv[2])
    if offset < 0:
        raise CommandError(b"ERR offset is out of range")
    found: bool = db.find_write(key)
    length: i64 = db.found_string_length() if found else 0
    if len(piece) == 0:
        session.reply.integer(length)
        return
    check_length(session, offset, i64(len(piece)))
    if not found:
        db.set_string(key, b"", NO_EXPIRE, True)
        db.find(key)
    length = db.overwrite_found(key, offset, piece)
    session.changed(key, NOTIFY_STRING, b"setrange")
    session.reply.integer(length)


def increment(session: Session, key: bytes, by: i64) -> None:
    """Add to the integer at key, and reply it."""
    db = session.db
    old = db.get_string_write(key)
    value: i64 = 0
    if old is not None:
        try:
            value = to_int64(old)
        except NotANumber:
            raise CommandError(NOT_INTEGER) from None
    if by < 0:
        if value < INT64_MIN - by:
            raise CommandError(OVERFLOW)
    elif value > INT64_MAX - by:
        raise CommandError(OVERFLOW)
    value += by
    text = format_int(value)
    if old is None:
        db.insert_string(key, KIND_STRING, text, NO_EXPIRE)
    else:
        db.replace_found_string(key, KIND_STRING, text, KEEP_EXPIRE)
    session.changed(key, NOTIFY_STRING, b"incrby")
    session.reply.integer_text(text)


def incr(session: Session, argv: list[bytes]) -> None:
    """INCR key"""
    increment(session, argv[1], 1)


def decr(session: Session, argv: list[bytes]) -> None:
    """DECR key"""
    increment(session, argv[1], -1)


def incrby(session: Session, argv: list[bytes]) -> None:
    """INCRBY key increment"""
    increment(session, argv[1], integer_argument(argv[2]))


def decrby(session: Session, argv: list[bytes]) -> None:
    """DECRBY key decrement"""
    by: i64 = integer_argument(argv[2])
    if by == INT64_MIN:
        raise CommandError(b"ERR decrement would overflow")
    increment(session, argv[1], -by)


def incrbyfloat(session: Session, argv: list[bytes]) -> None:
    """INCRBYFLOAT key increment"""
    db = session.db
    key = argv[1]
    old = db.get_string_write(key)
    try:
        text = add_long_double(old if old is not None else b"0", argv[2])
    except NotANumber:
        raise CommandError(NOT_FLOAT) from None
    except NotFinite:
        raise CommandError(NAN_OR_INFINITY) from None
    if old is None:
        db.insert_string(key, KIND_STRING_EMBSTR, text, NO_EXPIRE)
    else:
        db.replace_found_string(key, KIND_STRING_EMBSTR, text, KEEP_EXPIRE)
    session.changed(key, NOTIFY_STRING, b"incrbyfloat")
    # Another machine's sum may differ in the last digit.
    session.propagate([b"SET", key, text, b"KEEPTTL"])
    session.reply.bulk(text)


_SET_NOTE: Final = b"RW and ACCESS due to the optional `GET` argument"
_GETEX_NOTE: Final = b"RW and UPDATE because it changes the TTL"
_READ: Final = (KeySpec("RO access", index=1),)
_LOOK: Final = (KeySpec("RO", index=1),)
_ACCESS_UPDATE: Final = (KeySpec("RW access update", index=1),)
_OVERWRITE: Final = (KeySpec("OW update", index=1),)
_PAIRS_OVERWRITE: Final = (KeySpec("OW update", index=1, last=-1, step=2),)
_PAIRS_INSERT: Final = (KeySpec("OW insert", index=1, last=-1, step=2),)
_SHARDS: Final = b"request_policy:multi_shard"
_ALL_SUCCEEDED: Final = (_SHARDS, b"response_policy:all_succeeded")
_MINIMUM: Final = (_SHARDS, b"response_policy:agg_min")

COMMANDS: Final = (
    Command(
        b"set",
        set_command,
        -3,
        "write denyoom",
        "string",
        (KeySpec("RW access update variable_flags", index=1, notes=_SET_NOTE),),
        key_finder=set_keys,
    ),
    Command(b"get", get, 2, "readonly fast", "string", _READ),
    Command(
        b"getex",
        getex,
        -2,
        "write fast",
        "string",
        (KeySpec("RW access update", index=1, notes=_GETEX_NOTE),),
    ),
    Command(b"getdel", getdel, 2, "write fast", "string", (KeySpec("RW access delete", index=1),)),
    Command(b"getset", getset, 3, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"setnx", setnx, 3, "write denyoom fast", "string", (KeySpec("OW insert", index=1),)),
    Command(b"setex", setex, 4, "write denyoom", "string", _OVERWRITE),
    Command(b"psetex", psetex, 4, "write denyoom", "string", _OVERWRITE),
    Command(b"mset", mset, -3, "write denyoom", "string", _PAIRS_OVERWRITE, _ALL_SUCCEEDED),
    Command(b"msetnx", msetnx, -3, "write denyoom", "string", _PAIRS_INSERT, _MINIMUM, max_compat=79),
    Command(b"msetnx", msetnx, -3, "write denyoom", "string", _PAIRS_INSERT, min_compat=80),
    Command(
        b"mget", mget, -2, "readonly fast", "string", (KeySpec("RO access", index=1, last=-1),), (_SHARDS,)
    ),
    Command(b"append", append, 3, "write denyoom fast", "string", (KeySpec("RW insert", index=1),)),
    Command(b"strlen", strlen, 2, "readonly fast", "string", _LOOK),
    Command(b"setrange", setrange, 4, "write denyoom", "string", (KeySpec("RW update", index=1),)),
    Command(b"getrange", getrange, 4, "readonly", "string", _READ),
    Command(b"substr", getrange, 4, "readonly", "string", _READ),
    Command(b"incr", incr, 2, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"decr", decr, 2, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"incrby", incrby, 3, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"decrby", decrby, 3, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"incrbyfloat", incrbyfloat, 3, "write denyoom fast", "string", _ACCESS_UPDATE),
    Command(b"lcs", lcs, -3, "readonly", "string", (KeySpec("RO access", index=1, last=1),)),
)
