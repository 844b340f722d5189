"""The hash commands: HSET, HGET, HINCRBY, HRANDFIELD, HSCAN and their kin.

Owns options, replies, events and propagation; how a hash is stored belongs to `datatypes/hashes.py`.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import (
    INT64_MAX,
    NotANumber,
    NotFinite,
    add_long_double,
    format_int,
    is_infinite_long_double,
)
from gossamer.commands.arguments import integer_argument, integer_argument_or, negatable_argument
from gossamer.commands.scan import (
    SCAN_HASH,
    parse_scan_cursor,
    parse_scan_options,
    reply_empty_scan,
    reply_scan,
    scan_table_items,
)
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.listpack_replies import write_entry, write_run
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_HASH
from gossamer.resp.errors import (
    NAN_OR_INFINITY,
    NOT_FLOAT,
    OUT_OF_RANGE,
    OVERFLOW,
    SYNTAX,
    wrong_arity,
)

HASH_VALUE_NOT_INTEGER: Final = b"ERR hash value is not an integer"
HASH_VALUE_NOT_FLOAT: Final = b"ERR hash value is not a float"
INCREMENT_NOT_FINITE: Final = b"ERR value is NaN or Infinity"
_CHUNK: Final = 1024  # random elements drawn and written at a time
_WITHVALUES_LIMIT: Final = INT64_MAX // 2


# -- writing ----------------------------------------------------------------------------------------------


def set_fields(session: Session, argv: list[bytes], name: bytes) -> i64:
    """Set the pairs from argv[2] on; answer how many fields are new."""
    size: i64 = len(argv)
    if size & 1:
        raise CommandError(wrong_arity(name))
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    before: bytes | None = None
    if value is None:
        value = Hash(session.limits)
    else:
        before = value.packed()
    if size > 4:
        value.expect((size - 2) >> 1)
    added: i64 = 0
    index: i64 = 2
    while index < size:
        if value.set(argv[index], argv[index + 1]):
            added += 1
        index += 2
    if before is None or value.packed() is not before:
        session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, b"hset")
    session.state.dirty += (size - 4) >> 1  # every pair counts as a change
    return added


def hset(session: Session, argv: list[bytes]) -> None:
    """HSET key field value [field value ...]"""
    session.reply.integer(set_fields(session, argv, b"hset"))


def hmset(session: Session, argv: list[bytes]) -> None:
    """HMSET key field value [field value ...]"""
    set_fields(session, argv, b"hmset")
    session.reply.ok()


def hsetnx(session: Session, argv: list[bytes]) -> None:
    """HSETNX key field value"""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    if value is None:
        value = Hash(session.limits)
    elif value.contains(argv[2]):
        session.reply.integer(0)
        return
    else:
        session.db.field_expiry.expire_hidden(key, value, argv[2])
    value.set(argv[2], argv[3])
    session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, b"hset")
    session.reply.integer(1)


def hdel(session: Session, argv: list[bytes]) -> None:
    """HDEL key field [field ...]"""
    key = argv[1]
    value = session.db.lookup_hash(key, True)
    if value is None:
        session.reply.integer(0)
        return
    removed: i64 = 0
    size: i64 = len(argv)
    index: i64 = 2
    while index < size:
        if value.remove(argv[index]):
            removed += 1
        index += 1
    if removed > 0:
        store_rest(session, key, value, b"hdel", removed)
    session.reply.integer(removed)


def store_rest(session: Session, key: bytes, value: Hash, event: bytes, changes: i64) -> None:
    """Store a hash from which fields may have been taken, and say so; an empty one takes its key along."""
    empty = value.length() == 0
    if empty:
        session.db.delete(key)
    else:
        session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, event)
    session.state.dirty += changes - 1
    if empty:
        session.notify(NOTIFY_GENERIC, b"del", key)


def hincrby(session: Session, argv: list[bytes]) -> None:
    """HINCRBY key field increment"""
    key = argv[1]
    field = argv[2]
    increment: i64 = integer_argument(argv[3])
    value = session.db.lookup_hash(key, True)
    old: i64 = 0
    if value is None:
        value = Hash(session.limits)
    else:
        session.db.field_expiry.expire_hidden(key, value, field)
        text = value.get(field)
        if text is not None:
            old = integer_argument_or(text, HASH_VALUE_NOT_INTEGER)
    highest: i64 = INT64_MAX
    lowest: i64 = -highest - 1
    if (increment < 0 and old < lowest - increment) or (increment > 0 and old > highest - increment):
        raise CommandError(OVERFLOW)
    total: i64 = old + increment
    value.set_keeping_time(field, format_int(total))
    session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, b"hincrby")
    session.reply.integer(total)


def hincrbyfloat(session: Session, argv: list[bytes]) -> None:
    """HINCRBYFLOAT key field increment"""
    key = argv[1]
    field = argv[2]
    try:
        if is_infinite_long_double(argv[3]):
            raise CommandError(INCREMENT_NOT_FINITE)
    except NotANumber:
        raise CommandError(NOT_FLOAT) from None
    value = session.db.lookup_hash(key, True)
    old = b"0"
    if value is None:
        value = Hash(session.limits)
    else:
        text = value.get(field)
        if text is not None:
            old = text
    try:
        total = add_long_double(old, argv[3])
    except NotANumber:
        raise CommandError(HASH_VALUE_NOT_FLOAT) from None
    except NotFinite:
        raise CommandError(NAN_OR_INFINITY) from None
    value.set_keeping_time(field, total)
    session.db.store(key, value)
    session.changed(key, NOTIFY_HASH, b"hincrbyfloat")
    # The sum itself, so that no other machine's arithmetic can disagree.
    if value.expire_time(field) >= 0:
        session.propagate([b"HSETEX", key, b"KEEPTTL", b"FIELDS", b"1", field, total])
    else:
        session.propagate([b"HSET", key, field, total])
    session.reply.bulk(total)


# -- reading ----------------------------------------------------------------------------------------------


def lookup_visible(session: Session, key: bytes) -> Hash | None:
    """The hash at key as those see it who read all of it: without fields that are due and not removed yet."""
    value = session.db.lookup_hash(key, False)
    if value is None or value.hidden_before_ms == 0:
        return value
    return value.visible()


def hget(session: Session, argv: list[bytes]) -> None:
    """HGET key field"""
    value = session.db.lookup_hash(argv[1], False)
    if value is None:
        session.reply.null()
    else:
        session.reply.bulk_or_null(value.get(argv[2]))


def hmget(session: Session, argv: list[bytes]) -> None:
    """HMGET key field [field ...]"""
    value = session.db.lookup_hash(argv[1], False)
    reply = session.reply
    size: i64 = len(argv)
    reply.array(size - 2)
    index: i64 = 2
    while index < size:
        if value is None:
            reply.null()
        else:
            reply.bulk_or_null(value.get(argv[index]))
        index += 1


def hexists(session: Session, argv: list[bytes]) -> None:
    """HEXISTS key field"""
    value = session.db.lookup_hash(argv[1], False)
    session.reply.integer(1 if value is not None and value.contains(argv[2]) else 0)


def hlen(session: Session, argv: list[bytes]) -> None:
    """HLEN key"""
    value = session.db.lookup_hash(argv[1], False)
    session.reply.integer(0 if value is None else value.live_length())


def hstrlen(session: Session, argv: list[bytes]) -> None:
    """HSTRLEN key field"""
    value = session.db.lookup_hash(argv[1], False)
    text = None if value is None else value.get(argv[2])
    session.reply.integer(0 if text is None else len(text))


def hgetall(session: Session, argv: list[bytes]) -> None:
    """HGETALL key"""
    value = lookup_visible(session, argv[1])
    reply = session.reply
    if value is None:
        reply.map(0)
        return
    size: i64 = value.length()
    reply.map(size)
    pairs = value.packed()
    if pairs is not None:
        write_run(reply.out, pairs, listpack.HEADER_BYTES, 2 * size)
    else:
        reply.bulks(value.items())


def reply_every_other(session: Session, value: Hash, pairs: bytes, skip: i64) -> None:
    """The fields (skip 0) or the values (skip 1) of a packed hash."""
    reply = session.reply
    reply.array(value.length())
    end: i64 = len(pairs) - 1
    position: i64 = listpack.HEADER_BYTES
    while position < end:
        if skip > 0:
            position += listpack.entry_bytes(pairs, position)
        write_entry(reply.out, pairs, position)
        position += listpack.entry_bytes(pairs, position)
        if skip == 0:
            position += listpack.entry_bytes(pairs, position)


def hkeys(session: Session, argv: list[bytes]) -> None:
    """HKEYS key"""
    value = lookup_visible(session, argv[1])
    if value is None:
        session.reply.array(0)
        return
    pairs = value.packed()
    if pairs is not None:
        reply_every_other(session, value, pairs, 0)
    else:
        session.reply.bulk_array(value.fields())


def hvals(session: Session, argv: list[bytes]) -> None:
    """HVALS key"""
    value = lookup_visible(session, argv[1])
    if value is None:
        session.reply.array(0)
        return
    pairs = value.packed()
    if pairs is not None:
        reply_every_other(session, value, pairs, 1)
    else:
        session.reply.bulk_array(value.values())


def hrandfield(session: Session, argv: list[bytes]) -> None:
    """HRANDFIELD key [count [WITHVALUES]]"""
    reply = session.reply
    flat: list[bytes] = []
    if len(argv) == 2:
        value = lookup_visible(session, argv[1])
        if value is None or value.length() == 0:
            reply.null()
        else:
            value.random_pair(session.rng, flat)
            reply.bulk(flat[0])
        return
    count: i64 = negatable_argument(argv[2])
    with_values = len(argv) == 4
    if len(argv) > 4 or (with_values and argv[3].lower() != b"withvalues"):
        raise CommandError(SYNTAX)
    if with_values and (count < -_WITHVALUES_LIMIT or count > _WITHVALUES_LIMIT):
        raise CommandError(OUT_OF_RANGE)
    value = lookup_visible(session, argv[1])
    if value is None or count == 0 or value.length() == 0:
        reply.array(0)
        return
    if count > 0:
        flat = value.distinct_random_pairs(session.rng, count)
        start_pairs(session, len(flat) >> 1, with_values)
        reply_pairs(session, flat, with_values)
        return
    count = -count
    start_pairs(session, count, with_values)
    while count > 0 and not session.is_reply_unwanted():
        chunk: i64 = count if count < _CHUNK else _CHUNK
        reply_pairs(session, value.random_pairs(session.rng, chunk), with_values)
        count -= chunk


def start_pairs(session: Session, pairs: i64, with_values: bool) -> None:
    """The head of HRANDFIELD's reply: RESP3 nests each pair."""
    if with_values and session.reply.protocol == 2:
        pairs *= 2
    session.reply.array(pairs)


def reply_pairs(session: Session, flat: list[bytes], with_values: bool) -> None:
    """Fields, or fields with their values, out of field, value, field, value ..."""
    reply = session.reply
    nested = with_values and reply.protocol != 2
    size: i64 = len(flat)
    index: i64 = 0
    while index < size:
        if nested:
            reply.array(2)
        reply.bulk(flat[index])
        if with_values:
            reply.bulk(flat[index + 1])
        index += 2


def hscan(session: Session, argv: list[bytes]) -> None:
    """HSCAN key cursor [MATCH pattern] [COUNT count] [NOVALUES]"""
    compat: i64 = session.limits.compat
    cursor: i64 = parse_scan_cursor(argv[2], compat)
    value = session.db.lookup_hash(argv[1], False)
    if value is None:
        reply_empty_scan(session.reply)
        return
    options = parse_scan_options(argv, 3, SCAN_HASH, compat)
    flat: list[bytes] = []
    table = value.table
    if table is None:
        flat = value.items()
        cursor = 0
    else:
        cursor = scan_table_items(table, cursor, options, flat)
    items: list[bytes] = []
    size: i64 = len(flat)
    index: i64 = 0
    while index < size:
        if options.takes(flat[index]) and (value.hidden_before_ms == 0 or not value.hides(flat[index])):
            items.append(flat[index])
            if not options.novalues:
                items.append(flat[index + 1])
        index += 2
    reply_scan(session.reply, cursor, items)


_READ: Final = (KeySpec("RO access", index=1),)
_LOOK: Final = (KeySpec("RO", index=1),)
_INSERT: Final = (KeySpec("RW insert", index=1),)
_UPDATE: Final = (KeySpec("RW update", index=1),)
_ACCESS_UPDATE: Final = (KeySpec("RW access update", index=1),)
_DELETE: Final = (KeySpec("RW delete", index=1),)
_RANDOM: Final = (b"nondeterministic_output",)
_RANDOM_ORDER: Final = (b"nondeterministic_output_order",)

COMMANDS: Final = (
    Command(b"hset", hset, -4, "write denyoom fast", "hash", _UPDATE),
    Command(b"hsetnx", hsetnx, 4, "write denyoom fast", "hash", _INSERT),
    Command(b"hmset", hmset, -4, "write denyoom fast", "hash", _UPDATE),
    Command(b"hget", hget, 3, "readonly fast", "hash", _READ),
    Command(b"hmget", hmget, -3, "readonly fast", "hash", _READ),
    Command(b"hgetall", hgetall, 2, "readonly", "hash", _READ, _RANDOM_ORDER),
    Command(b"hdel", hdel, -3, "write fast", "hash", _DELETE),
    Command(b"hlen", hlen, 2, "readonly fast", "hash", _LOOK),
    Command(b"hstrlen", hstrlen, 3, "readonly fast", "hash", _LOOK),
    Command(b"hkeys", hkeys, 2, "readonly", "hash", _READ, _RANDOM_ORDER),
    Command(b"hvals", hvals, 2, "readonly", "hash", _READ, _RANDOM_ORDER),
    Command(b"hexists", hexists, 3, "readonly fast", "hash", _LOOK),
    Command(b"hincrby", hincrby, 4, "write denyoom fast", "hash", _ACCESS_UPDATE),
    Command(b"hincrbyfloat", hincrbyfloat, 4, "write denyoom fast", "hash", _ACCESS_UPDATE),
    Command(b"hrandfield", hrandfield, -2, "readonly", "hash", _READ, _RANDOM),
    Command(b"hscan", hscan, -3, "readonly", "hash", _READ, _RANDOM),
)
