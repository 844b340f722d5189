"""The set commands: SADD, SPOP, SINTER, SUNIONSTORE, SSCAN and their kin.

Owns options, replies, events and propagation; how a set is stored belongs to `datatypes/sets.py`.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import format_int, is_int64
from gossamer.commands.arguments import integer_argument_or, negatable_argument
from gossamer.commands.scan import (
    SCAN_SET,
    parse_scan_cursor,
    parse_scan_options,
    reply_empty_scan,
    reply_scan,
    scan_table,
)
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes import intset, listpack
from gossamer.datatypes.listpack_replies import write_bulk, write_run
from gossamer.datatypes.packed_common import common_keys
from gossamer.datatypes.sets import Set
from gossamer.keyspace.database import NO_EXPIRE
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_SET
from gossamer.resp.errors import MUST_BE_POSITIVE, SYNTAX

NUMKEYS_NOT_POSITIVE: Final = b"ERR numkeys should be greater than 0"
TOO_MANY_KEYS: Final = b"ERR Number of keys can't be greater than number of args"
LIMIT_NEGATIVE: Final = b"ERR LIMIT can't be negative"
_CHUNK: Final = 1024  # random members drawn, or removed by one propagated SREM, at a time


# -- members ----------------------------------------------------------------------------------------------


def sadd(session: Session, argv: list[bytes]) -> None:
    """SADD key member [member ...]"""
    key = argv[1]
    size: i64 = len(argv)
    value = session.db.lookup_set(key, True)
    if value is None:
        value = Set.new_for(argv[2], size - 2, session.limits)
    elif size > 3:
        value.expect(size - 2)
    added: i64 = 0
    index: i64 = 2
    while index < size:
        if value.add(argv[index]):
            added += 1
        index += 1
    if added > 0:
        session.db.store(key, value)
        session.changed(key, NOTIFY_SET, b"sadd")
        session.state.dirty += added - 1
    session.reply.integer(added)


def store_or_delete(session: Session, key: bytes, value: Set, event: bytes) -> None:
    """After members were taken out: write the rest, or remove the key, and say so."""
    if value.length() > 0:
        session.db.store(key, value)
        session.changed(key, NOTIFY_SET, event)
        return
    session.db.delete(key)
    session.changed(key, NOTIFY_SET, event)
    session.notify(NOTIFY_GENERIC, b"del", key)


def srem(session: Session, argv: list[bytes]) -> None:
    """SREM key member [member ...]"""
    key = argv[1]
    value = session.db.lookup_set(key, True)
    removed: i64 = 0
    if value is not None:
        size: i64 = len(argv)
        index: i64 = 2
        while index < size:
            if value.remove(argv[index]):
                removed += 1
            index += 1
        if removed > 0:
            store_or_delete(session, key, value, b"srem")
            session.state.dirty += removed - 1
    session.reply.integer(removed)


def smove(session: Session, argv: list[bytes]) -> None:
    """SMOVE source destination member"""
    db = session.db
    source_key = argv[1]
    destination_key = argv[2]
    member = argv[3]
    source = db.lookup_set(source_key, True)
    if source is None:
        session.reply.integer(0)
        return
    destination = db.lookup_set(destination_key, True)
    if source_key == destination_key:
        session.reply.integer(1 if source.contains(member) else 0)
        return
    if not source.remove(member):
        session.reply.integer(0)
        return
    store_or_delete(session, source_key, source, b"srem")
    if destination is None:
        destination = Set.new_for(member, 1, session.limits)
    if destination.add(member):
        db.store(destination_key, destination)
        session.changed(destination_key, NOTIFY_SET, b"sadd")
    session.reply.integer(1)


def sismember(session: Session, argv: list[bytes]) -> None:
    """SISMEMBER key member"""
    value = session.db.lookup_set(argv[1], False)
    session.reply.integer(1 if value is not None and value.contains(argv[2]) else 0)


def smismember(session: Session, argv: list[bytes]) -> None:
    """SMISMEMBER key member [member ...]"""
    value = session.db.lookup_set(argv[1], False)
    reply = session.reply
    size: i64 = len(argv)
    reply.array(size - 2)
    index: i64 = 2
    while index < size:
        reply.integer(1 if value is not None and value.contains(argv[index]) else 0)
        index += 1


def scard(session: Session, argv: list[bytes]) -> None:
    """SCARD key"""
    value = session.db.lookup_set(argv[1], False)
    session.reply.integer(0 if value is None else value.length())


def reply_members(session: Session, value: Set | None) -> None:
    """A whole set."""
    reply = session.reply
    if value is None:
        reply.set(0)
        return
    size: i64 = value.length()
    reply.set(size)
    packed = value.packed()
    if packed is None:
        reply.bulks(value.members())
    elif value.is_intset:
        index: i64 = 0
        while index < size:
            write_bulk(reply.out, format_int(intset.get(packed, index)))
            index += 1
    else:
        write_run(reply.out, packed, listpack.HEADER_BYTES, size)


def smembers(session: Session, argv: list[bytes]) -> None:
    """SMEMBERS key"""
    reply_members(session, session.db.lookup_set(argv[1], False))


def sscan(session: Session, argv: list[bytes]) -> None:
    """SSCAN key cursor [MATCH pattern] [COUNT count]"""
    compat: i64 = session.limits.compat
    cursor: i64 = parse_scan_cursor(argv[2], compat)
    value = session.db.lookup_set(argv[1], False)
    if value is None:
        reply_empty_scan(session.reply)
        return
    options = parse_scan_options(argv, 3, SCAN_SET, compat)
    members: list[bytes] = []
    table = value.table
    if table is None:
        members = value.members()
        cursor = 0
    else:
        cursor = scan_table(table, cursor, options, members)
    reply_scan(session.reply, cursor, [member for member in members if options.takes(member)])


# -- random members ---------------------------------------------------------------------------------------


def spop(session: Session, argv: list[bytes]) -> None:
    """SPOP key [count]"""
    size: i64 = len(argv)
    if size > 3:
        raise CommandError(SYNTAX)
    if size == 3:
        spop_count(session, argv[1], argv[2])
        return
    key = argv[1]
    value = session.db.lookup_set(key, True)
    if value is None:
        session.reply.null()
        return
    member = value.pop(session.rng)
    store_or_delete(session, key, value, b"spop")
    session.propagate([b"SREM", key, member])
    session.reply.bulk(member)


def spop_count(session: Session, key: bytes, argument: bytes) -> None:
    """SPOP with a count: replicas are told which members went."""
    count: i64 = integer_argument_or(argument, MUST_BE_POSITIVE)
    if count < 0:
        raise CommandError(MUST_BE_POSITIVE)
    value = session.db.lookup_set(key, True)
    if value is None or count == 0:
        session.reply.set(0)
        return
    if count >= value.length():
        reply_members(session, value)
        session.db.delete(key)
        session.changed(key, NOTIFY_SET, b"spop")
        session.notify(NOTIFY_GENERIC, b"del", key)
        session.propagate_removal(key, session.limits.lazyfree_lazy_server_del)
        return
    members = value.take_random(session.rng, count)
    session.db.store(key, value)
    session.changed(key, NOTIFY_SET, b"spop")
    session.state.dirty += count - 1
    step: i64 = _CHUNK if session.limits.compat >= 72 else 1
    start: i64 = 0
    while start < count:
        session.propagate([b"SREM", key, *members[start : start + step]])
        start += step
    session.reply.set(count)
    session.reply.bulks(members)


def srandmember(session: Session, argv: list[bytes]) -> None:
    """SRANDMEMBER key [count]"""
    size: i64 = len(argv)
    if size > 3:
        raise CommandError(SYNTAX)
    reply = session.reply
    if size == 2:
        value = session.db.lookup_set(argv[1], False)
        if value is None:
            reply.null()
        else:
            reply.bulk(value.random_member(session.rng))
        return
    count: i64 = negatable_argument(argv[2])
    value = session.db.lookup_set(argv[1], False)
    if value is None or count == 0:
        reply.array(0)
        return
    if count > 0:
        reply.bulk_array(value.distinct_random_members(session.rng, count))
        return
    count = -count
    reply.array(count)
    while count > 0 and not session.is_reply_unwanted():
        chunk: i64 = count if count < _CHUNK else _CHUNK
        reply.bulks(value.random_members(session.rng, chunk))
        count -= chunk


# -- intersection, union, difference ----------------------------------------------------------------------


def lookup_sets(session: Session, argv: list[bytes], start: i64, stop: i64) -> list[Set | None]:
    """The sets at argv[start:stop]; every one is looked at, so that a wrong type anywhere is an error."""
    found: list[Set | None] = []
    index: i64 = start
    while index < stop:
        found.append(session.db.lookup_set(argv[index], False))
        index += 1
    return found


def by_size(found: list[Set | None]) -> list[Set]:
    """The sets from the smallest on; none if one of them is missing."""
    present: list[Set] = []
    for value in found:
        if value is None:
            return []
        at: i64 = len(present)
        while at > 0 and present[at - 1].length() > value.length():
            at -= 1
        present.insert(at, value)
    return present


def intersect(found: list[Set | None], limit: i64) -> list[bytes]:
    """The members that all sets have; at most `limit` of them, unless that is 0."""
    present = by_size(found)
    common: list[bytes] = []
    sets: i64 = len(present)
    if sets == 0:
        return common
    if sets == 2 and limit == 0:
        small = present[0].table
        large = present[1].table
        if small is not None and large is not None:
            return common_keys(small, large)
    for member in present[0].members():
        index: i64 = 1
        while index < sets and present[index].contains(member):
            index += 1
        if index == sets:
            common.append(member)
            if limit > 0 and len(common) >= limit:
                break
    return common


def unite(found: list[Set | None]) -> list[bytes]:
    """The members that any set has, each once, in the order in which they come."""
    seen: dict[bytes, None] = {}
    for value in found:
        if value is not None:
            for member in value.members():
                seen[member] = None
    return list(seen)


def subtracts_whole_sets(found: list[Set | None], first: Set) -> bool:
    """Whether SDIFF is less work when it takes the other sets out of a copy of the first one."""
    by_member: i64 = 0
    by_set: i64 = 0
    for value in found:
        if value is not None:
            by_member += first.length()
            by_set += value.length()
    return by_member // 2 > by_set


def subtract(found: list[Set | None]) -> list[bytes]:
    """The members of the first set that no other has."""
    first = found[0]
    if first is None:
        return []
    members = first.members()
    if subtracts_whole_sets(found, first):
        others: set[bytes] = set()
        for value in found[1:]:
            if value is not None:
                others.update(value.members())
        return [member for member in members if member not in others]
    for value in found[1:]:
        if value is not None:
            members = [member for member in members if not value.contains(member)]
    return members


def reply_set(session: Session, members: list[bytes]) -> None:
    session.reply.set(len(members))
    session.reply.bulks(members)


def sinter(session: Session, argv: list[bytes]) -> None:
    """SINTER key [key ...]"""
    reply_set(session, intersect(lookup_sets(session, argv, 1, len(argv)), 0))


def sunion(session: Session, argv: list[bytes]) -> None:
    """SUNION key [key ...]"""
    reply_set(session, unite(lookup_sets(session, argv, 1, len(argv))))


def sdiff(session: Session, argv: list[bytes]) -> None:
    """SDIFF key [key ...]"""
    reply_set(session, subtract(lookup_sets(session, argv, 1, len(argv))))


def sintercard(session: Session, argv: list[bytes]) -> None:
    """SINTERCARD numkeys key [key ...] [LIMIT limit]"""
    size: i64 = len(argv)
    keys: i64 = integer_argument_or(argv[1], NUMKEYS_NOT_POSITIVE)
    if keys < 1:
        raise CommandError(NUMKEYS_NOT_POSITIVE)
    if keys > size - 2:
        raise CommandError(TOO_MANY_KEYS)
    limit: i64 = 0
    index: i64 = 2 + keys
    while index < size:
        if argv[index].lower() != b"limit" or index + 1 == size:
            raise CommandError(SYNTAX)
        limit = integer_argument_or(argv[index + 1], LIMIT_NEGATIVE)
        if limit < 0:
            raise CommandError(LIMIT_NEGATIVE)
        index += 2
    session.reply.integer(len(intersect(lookup_sets(session, argv, 2, 2 + keys), limit)))


def store_result(session: Session, key: bytes, result: Set, event: bytes) -> None:
    """Put the result of a set operation in the place of whatever the destination holds."""
    count: i64 = result.length()
    if count > 0:
        session.db.store_with_expire(key, result, NO_EXPIRE)
        session.changed(key, NOTIFY_SET, event)
    elif session.db.delete_any(key):
        session.changed(key, NOTIFY_GENERIC, b"del")
    session.reply.integer(count)


def add_all(result: Set, members: list[bytes]) -> None:
    for member in members:
        result.add(member)


def sinterstore(session: Session, argv: list[bytes]) -> None:
    """SINTERSTORE destination key [key ...]"""
    found = lookup_sets(session, argv, 2, len(argv))
    members = intersect(found, 0)
    result = Set(session.limits)
    present = by_size(found)
    if session.limits.compat >= 72 and present and present[0].encoding() != b"intset":
        # Collected in a listpack, turned into an intset at the end if nothing speaks against it.
        result = Set.from_listpack(listpack.EMPTY, session.limits)
        add_all(result, members)
        for member in members:
            if not is_int64(member):
                break
        else:
            result.become_intset()
    else:
        add_all(result, members)
    store_result(session, argv[1], result, b"sinterstore")


def sunionstore(session: Session, argv: list[bytes]) -> None:
    """SUNIONSTORE destination key [key ...]"""
    result = Set(session.limits)
    for value in lookup_sets(session, argv, 2, len(argv)):
        if value is not None:
            add_all(result, value.members())
    store_result(session, argv[1], result, b"sunionstore")


def sdiffstore(session: Session, argv: list[bytes]) -> None:
    """SDIFFSTORE destination key [key ...]"""
    found = lookup_sets(session, argv, 2, len(argv))
    result = Set(session.limits)
    first = found[0]
    if first is not None and subtracts_whole_sets(found, first):
        # The form that the first set needs stays, however little remains of it.
        add_all(result, first.members())
        for value in found[1:]:
            if value is not None:
                for member in value.members():
                    result.remove(member)
    else:
        add_all(result, subtract(found))
    store_result(session, argv[1], result, b"sdiffstore")


_READ: Final = (KeySpec("RO access", index=1),)
_LOOK: Final = (KeySpec("RO", index=1),)
_INSERT: Final = (KeySpec("RW insert", index=1),)
_DELETE: Final = (KeySpec("RW delete", index=1),)
_POP: Final = (KeySpec("RW access delete", index=1),)
_MOVE: Final = (KeySpec("RW access delete", index=1), KeySpec("RW insert", index=2))
_READ_ALL: Final = (KeySpec("RO access", index=1, last=-1),)
_READ_COUNTED: Final = (KeySpec("RO access", index=1, count_at=0, first=1),)
_SOURCES: Final = KeySpec("RO access", index=2, last=-1)
_STORE: Final = (KeySpec("OW update", index=1), _SOURCES)
_STORE_INTER_70: Final = (KeySpec("RW update", index=1), _SOURCES)
_RANDOM: Final = (b"nondeterministic_output",)
_RANDOM_ORDER: Final = (b"nondeterministic_output_order",)

COMMANDS: Final = (
    Command(b"sadd", sadd, -3, "write denyoom fast", "set", _INSERT),
    Command(b"srem", srem, -3, "write fast", "set", _DELETE),
    Command(b"sismember", sismember, 3, "readonly fast", "set", _LOOK),
    Command(b"smismember", smismember, -3, "readonly fast", "set", _READ),
    Command(b"scard", scard, 2, "readonly fast", "set", _LOOK),
    Command(b"smembers", smembers, 2, "readonly", "set", _READ, _RANDOM_ORDER),
    Command(b"spop", spop, -2, "write fast", "set", _POP, _RANDOM),
    Command(b"srandmember", srandmember, -2, "readonly", "set", _READ, _RANDOM),
    Command(b"smove", smove, 4, "write fast", "set", _MOVE),
    Command(b"sinter", sinter, -2, "readonly", "set", _READ_ALL, _RANDOM_ORDER),
    Command(b"sinterstore", sinterstore, -3, "write denyoom", "set", _STORE_INTER_70, max_compat=70),
    Command(b"sinterstore", sinterstore, -3, "write denyoom", "set", _STORE, min_compat=72),
    Command(b"sintercard", sintercard, -3, "readonly", "set", _READ_COUNTED),
    Command(b"sunion", sunion, -2, "readonly", "set", _READ_ALL, _RANDOM_ORDER),
    Command(b"sunionstore", sunionstore, -3, "write denyoom", "set", _STORE),
    Command(b"sdiff", sdiff, -2, "readonly", "set", _READ_ALL, _RANDOM_ORDER),
    Command(b"sdiffstore", sdiffstore, -3, "write denyoom", "set", _STORE),
    Command(b"sscan", sscan, -3, "readonly", "set", _READ, _RANDOM),
)
