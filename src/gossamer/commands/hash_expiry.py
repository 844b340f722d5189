"""Commands on fields of hashes that expire: HEXPIRE and its kin, HTTL and its kin, HPERSIST, HGETEX, HSETEX, HGETDEL.

Owns options, replies, events and propagation. Redis has them since 7.4 and 8.0, Valkey since 9.0 and 9.1; where the
two differ this takes what both accept, else Valkey's. Followers are told absolute times in Unix ms, and of fields
whose time was over from the start the HDEL.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, format_int, to_int64
from gossamer.commands.arguments import integer_argument
from gossamer.commands.expiry import allows, expire_option
from gossamer.commands.hashes import store_rest
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.field_expiry import NEVER_EXPIRES, NO_FIELD
from gossamer.datatypes.hashes import Hash
from gossamer.keyspace.events import NOTIFY_HASH
from gossamer.resp.errors import invalid_expire

FIELDS_MISSING: Final = b"ERR Mandatory argument FIELDS is missing or not at the right position"
FIELDS_NOT_POSITIVE: Final = b"ERR Number of fields must be a positive integer"
FIELDS_NOT_MATCHING: Final = b"ERR The `numfields` parameter must match the number of arguments"
EXPIRE_NEGATIVE: Final = b"ERR invalid expire time, must be >= 0"
ONE_CONDITION: Final = b"ERR Only one of FXX or FNX arguments can be specified"
ONE_KEY_CONDITION: Final = b"ERR Only one of NX or XX arguments can be specified"

# The latest time that a field may have, in ms: what the RDB form of Redis 7.4 holds.
LAST_EXPIRE_MS: Final = (1 << 46) - 1

_NOT_SET: Final = 0
_SET: Final = 1
_DELETED: Final = 2


def fields_start(argv: list[bytes], index: i64, per_field: i64) -> i64:
    """Where the fields begin, with FIELDS at `index` and so many arguments for each; raises CommandError."""
    size: i64 = len(argv)
    if index >= size or argv[index].upper() != b"FIELDS":
        raise CommandError(FIELDS_MISSING)
    try:
        count: i64 = to_int64(argv[index + 1]) if index + 1 < size else 0
    except NotANumber:
        raise CommandError(FIELDS_NOT_POSITIVE) from None
    if count < 1:
        raise CommandError(FIELDS_NOT_POSITIVE)
    given: i64 = size - index - 2
    if given % per_field != 0 or given // per_field != count:
        raise CommandError(FIELDS_NOT_MATCHING)
    return index + 2


def absolute_ms(value: i64, base_ms: i64, in_seconds: bool, name: bytes) -> i64:
    """base_ms plus a time that is not negative, in Unix ms; raises CommandError where it lies too far ahead."""
    if value > LAST_EXPIRE_MS // (1000 if in_seconds else 1):
        raise CommandError(invalid_expire(name))
    if in_seconds:
        value *= 1000
    if value > LAST_EXPIRE_MS - base_ms:
        raise CommandError(invalid_expire(name))
    return value + base_ms


def is_over(session: Session, expire_ms: i64) -> bool:
    """Whether fields with that time are removed at once; a replica waits for its primary's word."""
    return expire_ms <= session.state.now_ms and session.state.expires_now


# -- HEXPIRE and its kin --------------------------------------------------------------------------------------


def expire_fields(session: Session, argv: list[bytes], base_ms: i64, in_seconds: bool, name: bytes) -> None:
    """Give fields an expire time: base_ms plus the argument."""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    time: i64 = integer_argument(argv[2])
    if time < 0:
        raise CommandError(EXPIRE_NEGATIVE)
    expire_ms: i64 = absolute_ms(time, base_ms, in_seconds, name)
    option: i64 = expire_option(argv[3])
    start: i64 = fields_start(argv, 3 if option == 0 else 4, 1)
    size: i64 = len(argv)
    session.reply.array(size - start)
    over: bool = is_over(session, expire_ms)
    if expire_ms < 1:
        expire_ms = 1  # 0 means never
    changed: list[bytes] = []
    for index in range(start, size):
        field = argv[index]
        current: i64 = NO_FIELD if value is None else value.expire_time(field)
        if value is None or current == NO_FIELD:
            session.reply.integer(NO_FIELD)
        elif not allows(option, current, expire_ms):
            session.reply.integer(_NOT_SET)
        else:
            change_expire(value, field, expire_ms, over)
            changed.append(field)
            session.reply.integer(_DELETED if over else _SET)
    if value is not None and changed:
        tell_expire(session, key, value, changed, expire_ms, over)


def change_expire(value: Hash, field: bytes, expire_ms: i64, over: bool) -> None:
    if over:
        value.remove(field)
    else:
        value.set_expire(field, expire_ms)


def tell_expire(
    session: Session, key: bytes, value: Hash, fields: list[bytes], expire_ms: i64, over: bool
) -> None:
    """Store the hash some of whose fields got an expire time, or went because it is over."""
    store_rest(session, key, value, b"hexpired" if over else b"hexpire", len(fields))
    if over:
        session.propagate([b"HDEL", key, *fields])
    else:
        count = format_int(len(fields))
        session.propagate([b"HPEXPIREAT", key, format_int(expire_ms), b"FIELDS", count, *fields])


def hexpire(session: Session, argv: list[bytes]) -> None:
    """HEXPIRE key seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"""
    expire_fields(session, argv, session.state.now_ms, True, b"hexpire")


def hpexpire(session: Session, argv: list[bytes]) -> None:
    """HPEXPIRE key milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"""
    expire_fields(session, argv, session.state.now_ms, False, b"hpexpire")


def hexpireat(session: Session, argv: list[bytes]) -> None:
    """HEXPIREAT key unix-time-seconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"""
    expire_fields(session, argv, 0, True, b"hexpireat")


def hpexpireat(session: Session, argv: list[bytes]) -> None:
    """HPEXPIREAT key unix-time-milliseconds [NX | XX | GT | LT] FIELDS numfields field [field ...]"""
    expire_fields(session, argv, 0, False, b"hpexpireat")


# -- HTTL and its kin -----------------------------------------------------------------------------------------


def reply_times(session: Session, argv: list[bytes], base_ms: i64, in_seconds: bool) -> None:
    """Reply when fields expire, relative to base_ms and rounded up; -1: never, -2: no such field."""
    value = session.db.lookup_hash(argv[1], False)
    start: i64 = fields_start(argv, 2, 1)
    size: i64 = len(argv)
    session.reply.array(size - start)
    for index in range(start, size):
        time: i64 = NO_FIELD if value is None else value.expire_time(argv[index])
        if time >= 0:
            time -= base_ms
            if time < 0:
                time = 0
            if in_seconds:
                time = (time + 999) // 1000
        session.reply.integer(time)


def httl(session: Session, argv: list[bytes]) -> None:
    """HTTL key FIELDS numfields field [field ...]"""
    reply_times(session, argv, session.state.now_ms, True)


def hpttl(session: Session, argv: list[bytes]) -> None:
    """HPTTL key FIELDS numfields field [field ...]"""
    reply_times(session, argv, session.state.now_ms, False)


def hexpiretime(session: Session, argv: list[bytes]) -> None:
    """HEXPIRETIME key FIELDS numfields field [field ...]"""
    reply_times(session, argv, 0, True)


def hpexpiretime(session: Session, argv: list[bytes]) -> None:
    """HPEXPIRETIME key FIELDS numfields field [field ...]"""
    reply_times(session, argv, 0, False)


def hpersist(session: Session, argv: list[bytes]) -> None:
    """HPERSIST key FIELDS numfields field [field ...]"""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    start: i64 = fields_start(argv, 2, 1)
    size: i64 = len(argv)
    session.reply.array(size - start)
    persisted: list[bytes] = []
    for index in range(start, size):
        field = argv[index]
        time: i64 = NO_FIELD if value is None else value.expire_time(field)
        if value is None or time < 0:
            session.reply.integer(time)
        else:
            value.set_expire(field, 0)
            persisted.append(field)
            session.reply.integer(_SET)
    if value is not None and persisted:
        tell_persist(session, key, value, persisted)


def tell_persist(session: Session, key: bytes, value: Hash, fields: list[bytes]) -> None:
    store_rest(session, key, value, b"hpersist", len(fields))
    session.propagate([b"HPERSIST", key, b"FIELDS", format_int(len(fields)), *fields])


# -- HGETEX, HSETEX, HGETDEL ----------------------------------------------------------------------------------


@final
class FieldOptions:
    """What stands between the key and the fields of HGETEX and HSETEX."""

    def __init__(self) -> None:
        self.condition: bytes = b""  # FNX, FXX
        self.key_condition: bytes = b""  # NX, XX
        self.unit: bytes = b""  # EX, PX, EXAT, PXAT, KEEPTTL, PERSIST; empty: none
        self.expire_ms: i64 = 0
        self.start: i64 = 0  # of the fields


def parse_field_options(session: Session, argv: list[bytes], for_set: bool, name: bytes) -> FieldOptions:
    """The options from argv[2] on; raises CommandError."""
    options = FieldOptions()
    standing = b"KEEPTTL" if for_set else b"PERSIST"
    size: i64 = len(argv)
    index: i64 = 2
    while index < size:
        word = argv[index].upper()
        if word == b"FIELDS":
            break
        if for_set and (word == b"FNX" or word == b"FXX"):
            if options.condition:
                raise CommandError(ONE_CONDITION)
            options.condition = word
        elif for_set and (word == b"NX" or word == b"XX"):
            if options.key_condition:
                raise CommandError(ONE_KEY_CONDITION)
            options.key_condition = word
        elif word == b"EX" or word == b"PX" or word == b"EXAT" or word == b"PXAT" or word == standing:
            if options.unit:
                message = (
                    b"ERR Only one of EX, PX, EXAT, PXAT or " + standing + b" arguments can be specified"
                )
                raise CommandError(message)
            options.unit = word
            if word != standing:
                index += 1
                if index >= size:
                    raise CommandError(b"ERR missing expire time")
                options.expire_ms = parse_field_time(session, argv[index], word, name)
        else:
            raise CommandError(b"ERR unknown argument: " + argv[index])
        index += 1
    options.start = fields_start(argv, index, 2 if for_set else 1)
    return options


def parse_field_time(session: Session, argument: bytes, unit: bytes, name: bytes) -> i64:
    """The Unix time in ms that EX, PX, EXAT or PXAT names; 0 and what has passed are allowed."""
    time: i64 = integer_argument(argument)
    if time < 0:
        raise CommandError(invalid_expire(name))
    base_ms: i64 = session.state.now_ms if unit == b"EX" or unit == b"PX" else 0
    return absolute_ms(time, base_ms, unit == b"EX" or unit == b"EXAT", name)


def hgetex(session: Session, argv: list[bytes]) -> None:
    """HGETEX key [EX s | PX ms | EXAT s | PXAT ms | PERSIST] FIELDS numfields field [field ...]"""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    options = parse_field_options(session, argv, False, b"hgetex")
    reply_fields(session, argv, options.start, value)
    if value is None or not options.unit:
        return
    over: bool = options.unit != b"PERSIST" and is_over(session, options.expire_ms)
    expire_ms: i64 = options.expire_ms if options.expire_ms > 0 else 1
    changed: list[bytes] = []
    for index in range(options.start, len(argv)):
        field = argv[index]
        time: i64 = value.expire_time(field)
        if options.unit == b"PERSIST":
            if time >= 0:
                value.set_expire(field, 0)
                changed.append(field)
        elif time != NO_FIELD:
            change_expire(value, field, expire_ms, over)
            changed.append(field)
    if not changed:
        return
    if options.unit == b"PERSIST":
        tell_persist(session, key, value, changed)
    else:
        tell_expire(session, key, value, changed, expire_ms, over)


def reply_fields(session: Session, argv: list[bytes], start: i64, value: Hash | None) -> None:
    """The values of the fields from argv[start] on."""
    reply = session.reply
    size: i64 = len(argv)
    reply.array(size - start)
    for index in range(start, size):
        reply.bulk_or_null(None if value is None else value.get(argv[index]))


def hgetdel(session: Session, argv: list[bytes]) -> None:
    """HGETDEL key FIELDS numfields field [field ...]"""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    start: i64 = fields_start(argv, 2, 1)
    reply = session.reply
    size: i64 = len(argv)
    reply.array(size - start)
    removed: list[bytes] = []
    for index in range(start, size):
        field = argv[index]
        text = None if value is None else value.get(field)
        reply.bulk_or_null(text)
        if value is not None and text is not None:
            value.remove(field)
            removed.append(field)
    if value is not None and removed:
        store_rest(session, key, value, b"hdel", len(removed))
        session.propagate([b"HDEL", key, *removed])


def hsetex(session: Session, argv: list[bytes]) -> None:
    """HSETEX key [NX | XX] [FNX | FXX] [EX s | PX ms | EXAT s | PXAT ms | KEEPTTL] FIELDS numfields field value ..."""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    options = parse_field_options(session, argv, True, b"hsetex")
    if not may_set(options, argv, value):
        session.reply.integer(0)
        return
    session.reply.integer(1)
    timed: bool = options.unit != b"" and options.unit != b"KEEPTTL"
    if timed and is_over(session, options.expire_ms):
        remove_set_fields(session, argv, options.start, value)
        return
    if value is None:
        value = Hash(session.limits)
    set_with_options(session, argv, value, options)
    session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, b"hset")
    pairs = argv[options.start - 2 :]
    session.state.dirty += i64(len(pairs) // 2) - 2
    if timed:
        session.notify(NOTIFY_HASH, b"hexpire", key)
        session.propagate([b"HSETEX", key, b"PXAT", format_int(options.expire_ms), *pairs])
    elif options.unit:
        session.propagate([b"HSETEX", key, b"KEEPTTL", *pairs])
    else:
        session.propagate([b"HSET", key, *pairs[2:]])


def may_set(options: FieldOptions, argv: list[bytes], value: Hash | None) -> bool:
    """Whether the conditions of HSETEX hold."""
    if options.key_condition and (value is None) == (options.key_condition == b"XX"):
        return False
    if options.condition:
        must_be_there: bool = options.condition == b"FXX"
        for index in range(options.start, len(argv), 2):
            there: bool = value is not None and value.contains(argv[index])
            if there != must_be_there:
                return False
    return True


def set_with_options(session: Session, argv: list[bytes], value: Hash, options: FieldOptions) -> None:
    """Give the fields of HSETEX their values and times."""
    value.expect((len(argv) - options.start) // 2)
    expire_ms: i64 = options.expire_ms if options.expire_ms > 0 else 1
    for index in range(options.start, len(argv), 2):
        field = argv[index]
        if options.unit == b"KEEPTTL":
            session.db.field_expiry.expire_hidden(argv[1], value, field)
            value.set_keeping_time(field, argv[index + 1])
        else:
            value.set(field, argv[index + 1])
            if options.unit:
                value.set_expire(field, expire_ms)


def remove_set_fields(session: Session, argv: list[bytes], start: i64, value: Hash | None) -> None:
    """What HSETEX with a time that is over comes to: the fields go."""
    removed: list[bytes] = []
    if value is not None:
        for index in range(start, len(argv), 2):
            if value.remove(argv[index]):
                removed.append(argv[index])
    if value is not None and removed:
        tell_expire(session, argv[1], value, removed, NEVER_EXPIRES, True)


_READ: Final = (KeySpec("RO access", index=1),)
_UPDATE: Final = (KeySpec("RW update", index=1),)
_ACCESS_UPDATE: Final = (KeySpec("RW access update", index=1),)
_ACCESS_DELETE: Final = (KeySpec("RW access delete", index=1),)
_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(b"hexpire", hexpire, -6, "write denyoom fast", "hash", _UPDATE, newer=True),
    Command(b"hpexpire", hpexpire, -6, "write denyoom fast", "hash", _UPDATE, newer=True),
    Command(b"hexpireat", hexpireat, -6, "write denyoom fast", "hash", _UPDATE, newer=True),
    Command(b"hpexpireat", hpexpireat, -6, "write denyoom fast", "hash", _UPDATE, newer=True),
    Command(b"httl", httl, -5, "readonly fast", "hash", _READ, _RANDOM, newer=True),
    Command(b"hpttl", hpttl, -5, "readonly fast", "hash", _READ, _RANDOM, newer=True),
    Command(b"hexpiretime", hexpiretime, -5, "readonly fast", "hash", _READ, newer=True),
    Command(b"hpexpiretime", hpexpiretime, -5, "readonly fast", "hash", _READ, newer=True),
    Command(b"hpersist", hpersist, -5, "write fast", "hash", _UPDATE, newer=True),
    Command(b"hgetex", hgetex, -5, "write fast", "hash", _ACCESS_UPDATE, newer=True),
    Command(b"hsetex", hsetex, -6, "write denyoom fast", "hash", _UPDATE, newer=True),
    Command(b"hgetdel", hgetdel, -5, "write fast", "hash", _ACCESS_DELETE, newer=True),
)
