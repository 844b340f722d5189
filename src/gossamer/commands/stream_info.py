"""XINFO: what a stream, its groups and their consumers are like.

Redis keeps the nodes of a stream in a radix tree and tells how many keys and nodes that has; here it is counted how
many it would have.
"""

from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import lookup_stream, no_group
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.stream_groups import (
    ENTRIES_READ_UNKNOWN,
    NEVER_MS,
    Consumer,
    ConsumerGroup,
    PendingEntry,
)
from gossamer.datatypes.stream_ids import ID_BYTES, ID_MAX, ID_MIN, format_id
from gossamer.datatypes.streams import Stream, difference
from gossamer.resp.errors import NO_SUCH_KEY, wrong_shape

_FULL_COUNT: Final = 10

_HELP: Final = (
    b"XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CONSUMERS <key> <groupname>",
    b"    Who reads in the group, and what each has pending.",
    b"GROUPS <key>",
    b"    The groups of the stream, and how far each has read.",
    b"STREAM <key> [FULL [COUNT <count>]",
    b"    The stream's counters and ends; with FULL its entries, groups and consumers.",
    b"HELP",
    b"    This text.",
)


def existing_stream(session: Session, key: bytes) -> Stream:
    stream = lookup_stream(session, key, False)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    return stream


def radix_nodes(ids: list[bytes]) -> i64:
    """How many nodes a compressed radix tree of these ascending ids has.

    One for each id, one for each place where ids part, one for each run of bytes between two such nodes; a byte that
    leads away from a parting belongs to the parting node.
    """
    if not ids:
        return 1
    total: i64 = len(ids)
    partings: list[int] = []  # depths of those on the way to the id looked at last
    previous = ids[0]
    for stream_id in ids[1:]:
        shared: int = 0
        while previous[shared] == stream_id[shared]:
            shared += 1
        total += close_partings(partings, shared)
        previous = stream_id
    return total + close_partings(partings, -1)


def close_partings(partings: list[int], shared: int) -> i64:
    """Leave the way to an id up to where the next one shares it (-1: to the root); answers the nodes found."""
    found: i64 = 0
    depth: int = ID_BYTES
    while partings and partings[len(partings) - 1] > shared:
        parting = partings.pop()
        if depth - parting > 1:
            found += 1
        depth = parting
    if shared < 0:
        return found + (1 if depth > 0 else 0)
    if not partings or partings[len(partings) - 1] < shared:
        partings.append(shared)
        found += 1
    if depth - shared > 1:
        found += 1
    return found


def reply_head(session: Session, stream: Stream) -> None:
    """The seven fields with which both forms of XINFO STREAM begin."""
    reply = session.reply
    stream.settle()
    reply.bulk(b"length")
    reply.integer(stream.entry_count)
    reply.bulk(b"radix-tree-keys")
    reply.integer(len(stream.node_ids))
    reply.bulk(b"radix-tree-nodes")
    reply.integer(radix_nodes(stream.node_ids))
    reply.bulk(b"last-generated-id")
    reply.bulk(format_id(stream.last_id))
    reply.bulk(b"max-deleted-entry-id")
    reply.bulk(format_id(stream.max_deleted_id))
    reply.bulk(b"entries-added")
    reply.integer(stream.entries_added)
    reply.bulk(b"recorded-first-entry-id")
    reply.bulk(format_id(stream.first_id))


def reply_edge(session: Session, stream: Stream, backward: bool) -> None:
    """The first or the last entry, or null."""
    out = BytesWriter()
    if stream.write_range(out, ID_MIN, ID_MAX, 1, backward, None) == 0:
        session.reply.null()
    else:
        session.reply.raw(out.getvalue())


def xinfo_stream(session: Session, argv: list[bytes]) -> None:
    """XINFO STREAM key [FULL [COUNT count]]"""
    stream = existing_stream(session, argv[2])
    reply = session.reply
    size: i64 = len(argv)
    if size > 3:
        count = parse_full(argv)
        reply.map(9)
        reply_head(session, stream)
        reply_full(session, stream, count)
        return
    reply.map(10)
    reply_head(session, stream)
    reply.bulk(b"groups")
    reply.integer(len(stream.groups))
    reply.bulk(b"first-entry")
    reply_edge(session, stream, False)
    reply.bulk(b"last-entry")
    reply_edge(session, stream, True)


def parse_full(argv: list[bytes]) -> i64:
    """FULL [COUNT count]: how many of each to show at most, 0 for all."""
    size: i64 = len(argv)
    if (size != 4 and size != 6) or argv[3].upper() != b"FULL":
        raise CommandError(wrong_shape(argv[1], b"XINFO"))
    if size == 4:
        return _FULL_COUNT
    if argv[4].upper() != b"COUNT":
        raise CommandError(wrong_shape(argv[1], b"XINFO"))
    count = integer_argument(argv[5])
    return _FULL_COUNT if count < 0 else count


def reply_full(session: Session, stream: Stream, count: i64) -> None:
    reply = session.reply
    reply.bulk(b"entries")
    out = BytesWriter()
    written: i64 = stream.write_range(out, ID_MIN, ID_MAX, count, False, None)
    reply.array(written)
    reply.raw(out.getvalue())
    reply.bulk(b"groups")
    reply.array(len(stream.groups))
    for name in sorted(stream.groups):
        group = stream.groups[name]
        reply.map(7)
        reply.bulk(b"name")
        reply.bulk(name)
        reply_progress(session, stream, group)
        reply.bulk(b"pel-count")
        reply.integer(group.pending.count)
        reply.bulk(b"pending")
        rows = group.pending.rows_from(ID_MIN, count if count > 0 else group.pending.count)
        reply.array(len(rows))
        for row in rows:
            entry = PendingEntry.of_row(row)
            reply.array(4)
            reply.bulk(format_id(row[:ID_BYTES]))
            reply.bulk(group.owner(entry).name)
            reply.integer(entry.delivery_time_ms)
            reply.integer(entry.delivery_count)
        reply.bulk(b"consumers")
        reply.array(len(group.consumers))
        for consumer_name in sorted(group.consumers):
            reply_full_consumer(session, group, group.consumers[consumer_name], count)


def reply_full_consumer(session: Session, group: ConsumerGroup, consumer: Consumer, count: i64) -> None:
    reply = session.reply
    tells_active: bool = session.limits.compat >= 72
    reply.map(5 if tells_active else 4)
    reply.bulk(b"name")
    reply.bulk(consumer.name)
    reply.bulk(b"seen-time")
    reply.integer(consumer.seen_time_ms)
    if tells_active:
        reply.bulk(b"active-time")
        reply.integer(consumer.active_time_ms)
    reply.bulk(b"pel-count")
    reply.integer(consumer.pending.count)
    reply.bulk(b"pending")
    ids = consumer.pending.rows_from(ID_MIN, count if count > 0 else consumer.pending.count)
    reply.array(len(ids))
    for stream_id in ids:
        entry = group.find_pending(stream_id)
        assert entry is not None
        reply.array(3)
        reply.bulk(format_id(stream_id))
        reply.integer(entry.delivery_time_ms)
        reply.integer(entry.delivery_count)


def reply_progress(session: Session, stream: Stream, group: ConsumerGroup) -> None:
    """How far a group has read, and how far it is behind; null where none can tell."""
    reply = session.reply
    reply.bulk(b"last-delivered-id")
    reply.bulk(format_id(group.last_id))
    reply.bulk(b"entries-read")
    if group.entries_read == ENTRIES_READ_UNKNOWN:
        reply.null()
    else:
        reply.integer(group.entries_read)
    reply.bulk(b"lag")
    entries_read: i64 = group.entries_read
    if stream.entries_added == 0:
        reply.integer(0)
        return
    if entries_read == ENTRIES_READ_UNKNOWN or stream.may_have_gap_from(group.last_id):
        entries_read = stream.estimate_entries_read(group.last_id)
        if entries_read == ENTRIES_READ_UNKNOWN:
            reply.null()
            return
    reply.integer(difference(stream.entries_added, entries_read))


def xinfo_groups(session: Session, argv: list[bytes]) -> None:
    """XINFO GROUPS key"""
    stream = existing_stream(session, argv[2])
    reply = session.reply
    reply.array(len(stream.groups))
    for name in sorted(stream.groups):
        group = stream.groups[name]
        reply.map(6)
        reply.bulk(b"name")
        reply.bulk(name)
        reply.bulk(b"consumers")
        reply.integer(len(group.consumers))
        reply.bulk(b"pending")
        reply.integer(group.pending.count)
        reply_progress(session, stream, group)


def xinfo_consumers(session: Session, argv: list[bytes]) -> None:
    """XINFO CONSUMERS key group"""
    stream = existing_stream(session, argv[2])
    group = stream.groups.get(argv[3])
    if group is None:
        raise no_group(argv[2], argv[3])
    reply = session.reply
    now_ms: i64 = session.state.now_ms
    tells_active: bool = session.limits.compat >= 72
    reply.array(len(group.consumers))
    for name in sorted(group.consumers):
        consumer = group.consumers[name]
        reply.map(4 if tells_active else 3)
        reply.bulk(b"name")
        reply.bulk(name)
        reply.bulk(b"pending")
        reply.integer(consumer.pending.count)
        reply.bulk(b"idle")
        reply.integer(max(now_ms - consumer.seen_time_ms, 0))
        if tells_active:
            reply.bulk(b"inactive")
            active_ms: i64 = consumer.active_time_ms
            reply.integer(NEVER_MS if active_ms == NEVER_MS else max(now_ms - active_ms, 0))


def xinfo_help(session: Session, argv: list[bytes]) -> None:
    """XINFO HELP"""
    session.reply.simple_array(_HELP)


_READ: Final = (KeySpec("RO access", index=2),)
_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(
        b"xinfo",
        None,
        -2,
        "",
        "",
        subcommands=(
            Command(b"consumers", xinfo_consumers, 4, "readonly", "stream", _READ, _RANDOM),
            Command(b"groups", xinfo_groups, 3, "readonly", "stream", _READ),
            Command(b"help", xinfo_help, 2, "loading stale", "stream"),
            Command(b"stream", xinfo_stream, -3, "readonly", "stream", _READ),
        ),
    ),
)
