"""Consumer groups: making and removing them and their consumers, acknowledging, and what is pending.

As in Redis none of these breaks a WATCH, for the stream's entries stay as they are.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import (
    create_consumer,
    id_argument,
    interval_end,
    interval_start,
    lookup_stream,
    no_group,
    no_key_or_group,
    note_change,
)
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.pending_rows import PendingRows
from gossamer.datatypes.stream_groups import ENTRIES_READ_UNKNOWN, ConsumerGroup, PendingEntry
from gossamer.datatypes.stream_ids import ID_BYTES, ID_MAX, ID_MIN, format_id, next_id
from gossamer.datatypes.streams import Stream
from gossamer.keyspace.events import NOTIFY_STREAM
from gossamer.resp.errors import SYNTAX, wrong_shape

_BUSY_GROUP: Final = b"BUSYGROUP Consumer Group name already exists"
_NO_STREAM: Final = (
    b"ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM "
    b"option to create an empty stream automatically."
)
_ENTRIES_READ_RANGE: Final = b"ERR value for ENTRIESREAD must be positive or -1"
_STEP: Final = 128

_HELP: Final = (
    b"XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CREATE <key> <groupname> <id|$> [option]",
    b"    Make a group that reads what lies beyond the id. Options:",
    b"    * MKSTREAM: make an empty stream first, where there is none.",
    b"    * ENTRIESREAD entries_read: say how many entries lie up to the id.",
    b"CREATECONSUMER <key> <groupname> <consumer>",
    b"    Add a consumer to the group.",
    b"DELCONSUMER <key> <groupname> <consumer>",
    b"    Remove a consumer with everything that it has not acknowledged.",
    b"DESTROY <key> <groupname>",
    b"    Remove the group with its consumers.",
    b"SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    b"    Say beyond which id the group reads on.",
    b"HELP",
    b"    This text.",
)


@final
class GroupOptions:
    def __init__(self) -> None:
        self.makes_stream: bool = False
        self.entries_read: i64 = ENTRIES_READ_UNKNOWN


def parse_group_options(argv: list[bytes], creates: bool) -> GroupOptions:
    """MKSTREAM (of CREATE alone) and ENTRIESREAD from argv[5] on."""
    options = GroupOptions()
    size: i64 = len(argv)
    i: i64 = 5
    while i < size:
        word = argv[i].upper()
        if creates and word == b"MKSTREAM":
            options.makes_stream = True
            i += 1
        elif word == b"ENTRIESREAD" and i + 1 < size:
            options.entries_read = integer_argument(argv[i + 1])
            if options.entries_read < ENTRIES_READ_UNKNOWN:
                raise CommandError(_ENTRIES_READ_RANGE)
            i += 2
        else:
            raise CommandError(wrong_shape(argv[1], b"XGROUP"))
    return options


def stream_of_group(session: Session, argv: list[bytes]) -> Stream:
    stream = lookup_stream(session, argv[2], True)
    if stream is None:
        raise CommandError(_NO_STREAM)
    return stream


def existing_group(stream: Stream, argv: list[bytes]) -> ConsumerGroup:
    group = stream.groups.get(argv[3])
    if group is None:
        raise no_group(argv[2], argv[3])
    return group


def xgroup_create(session: Session, argv: list[bytes]) -> None:
    """XGROUP CREATE key group id | $ [MKSTREAM] [ENTRIESREAD entries-read]"""
    options = parse_group_options(argv, True)
    key = argv[2]
    stream = lookup_stream(session, key, True)
    if stream is None and not options.makes_stream:
        raise CommandError(_NO_STREAM)
    if len(argv) > 8:
        raise CommandError(wrong_shape(argv[1], b"XGROUP"))
    if argv[4] == b"$":
        last_id = ID_MIN if stream is None else stream.last_id
    else:
        last_id = id_argument(argv[4])
    creates: bool = stream is None
    if stream is None:
        stream = Stream()
    elif argv[3] in stream.groups:
        raise CommandError(_BUSY_GROUP)
    stream.add_group(argv[3], last_id, options.entries_read)
    session.db.store(key, stream)
    if creates:
        session.changed(key, NOTIFY_STREAM, b"xgroup-create")
    else:
        session.state.dirty += 1
        session.notify(NOTIFY_STREAM, b"xgroup-create", key)
    session.reply.ok()


def group_id_argument(argument: bytes) -> bytes:
    """An id, or one of the ends `-` and `+`; raises CommandError."""
    if argument == b"-":
        return ID_MIN
    return ID_MAX if argument == b"+" else id_argument(argument)


def xgroup_setid(session: Session, argv: list[bytes]) -> None:
    """XGROUP SETID key group id | $ [ENTRIESREAD entries-read]"""
    options = parse_group_options(argv, False)
    stream = stream_of_group(session, argv)
    group = existing_group(stream, argv)
    if len(argv) > 7:
        raise CommandError(wrong_shape(argv[1], b"XGROUP"))
    group.last_id = stream.last_id if argv[4] == b"$" else group_id_argument(argv[4])
    group.entries_read = options.entries_read
    note_change(session, argv[2], stream, 1)
    session.notify(NOTIFY_STREAM, b"xgroup-setid", argv[2])
    session.reply.ok()


def xgroup_destroy(session: Session, argv: list[bytes]) -> None:
    """XGROUP DESTROY key group"""
    key = argv[2]
    stream = stream_of_group(session, argv)
    if argv[3] not in stream.groups:
        session.reply.integer(0)
        return
    stream.remove_group(argv[3])
    note_change(session, key, stream, 1)
    session.notify(NOTIFY_STREAM, b"xgroup-destroy", key)
    session.listener.on_ready(key, session.db.index)
    session.reply.integer(1)


def xgroup_createconsumer(session: Session, argv: list[bytes]) -> None:
    """XGROUP CREATECONSUMER key group consumer"""
    stream = stream_of_group(session, argv)
    group = existing_group(stream, argv)
    if argv[4] in group.consumers:
        session.reply.integer(0)
        return
    create_consumer(session, argv[2], group, argv[4])
    session.db.store(argv[2], stream)
    session.reply.integer(1)


def xgroup_delconsumer(session: Session, argv: list[bytes]) -> None:
    """XGROUP DELCONSUMER key group consumer"""
    stream = stream_of_group(session, argv)
    group = existing_group(stream, argv)
    consumer = group.consumers.get(argv[4])
    pending: i64 = 0
    if consumer is not None:
        pending = consumer.pending.count
        group.remove_consumer(consumer)
        note_change(session, argv[2], stream, 1)
        session.notify(NOTIFY_STREAM, b"xgroup-delconsumer", argv[2])
    session.reply.integer(pending)


def xgroup_help(session: Session, argv: list[bytes]) -> None:
    """XGROUP HELP"""
    session.reply.simple_array(_HELP)


def xack(session: Session, argv: list[bytes]) -> None:
    """XACK key group id [id ...]"""
    stream = lookup_stream(session, argv[1], False)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if stream is None or group is None:
        session.reply.integer(0)
        return
    ids: list[bytes] = []
    for argument in argv[3:]:
        ids.append(id_argument(argument))
    acknowledged: i64 = 0
    for stream_id in ids:
        if group.acknowledge(stream_id):
            acknowledged += 1
    if acknowledged > 0:
        note_change(session, argv[1], stream, acknowledged)
    session.reply.integer(acknowledged)


# -- XPENDING ---------------------------------------------------------------------------------------------


def xpending(session: Session, argv: list[bytes]) -> None:
    """XPENDING key group [[IDLE min-idle-time] start end count [consumer]]"""
    size: i64 = len(argv)
    if size != 3 and (size < 6 or size > 9):
        raise CommandError(SYNTAX)
    min_idle_ms: i64 = 0
    count: i64 = 0
    at: i64 = 3
    start = ID_MIN
    stop = ID_MAX
    if size > 3:
        if argv[3].upper() == b"IDLE":
            min_idle_ms = integer_argument(argv[4])
            if size < 8:
                raise CommandError(SYNTAX)
            at = 5
        count = max(integer_argument(argv[at + 2]), 0)
        start = interval_start(argv[at])
        stop = interval_end(argv[at + 1])
    stream = lookup_stream(session, argv[1], False)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if group is None:
        raise no_key_or_group(argv[1], argv[2])
    if size == 3:
        reply_summary(session, group)
    elif at + 3 < size:
        consumer = group.consumers.get(argv[at + 3])
        if consumer is None:
            session.reply.array(0)
            return
        pending = consumer.pending
        reply_rows(session, group, rows_between(session, group, pending, start, stop, count, min_idle_ms))
    else:
        reply_rows(
            session, group, rows_between(session, group, group.pending, start, stop, count, min_idle_ms)
        )


def reply_summary(session: Session, group: ConsumerGroup) -> None:
    reply = session.reply
    pending = group.pending
    reply.array(4)
    reply.integer(pending.count)
    if pending.count == 0:
        reply.null()
        reply.null()
        reply.null_array()
        return
    reply.bulk(format_id(pending.first_id()))
    reply.bulk(format_id(pending.last_id()))
    owing: list[bytes] = []
    for name in sorted(group.consumers):
        if group.consumers[name].pending.count > 0:
            owing.append(name)
    reply.array(len(owing))
    for name in owing:
        reply.array(2)
        reply.bulk(name)
        reply.bulk_integer(group.consumers[name].pending.count)


def idle_ms(session: Session, entry: PendingEntry) -> i64:
    """For how long nobody was given the entry."""
    return session.state.now_ms - entry.delivery_time_ms


def rows_between(
    session: Session,
    group: ConsumerGroup,
    pending: PendingRows,
    start: bytes,
    stop: bytes,
    count: i64,
    min_idle_ms: i64,
) -> list[bytes]:
    """Up to `count` rows of the group, those whose ids are in `pending` (its own rows, or a consumer's)."""
    result: list[bytes] = []
    while count > 0:
        step: i64 = min(count, _STEP)
        batch = pending.rows_from(start, step)
        for row in batch:
            stream_id = row[:ID_BYTES]
            if stream_id > stop:
                return result
            found = row if pending is group.pending else group.pending.find(stream_id)
            assert found is not None
            if min_idle_ms == 0 or idle_ms(session, PendingEntry.of_row(found)) >= min_idle_ms:
                result.append(found)
                count -= 1
        if i64(len(batch)) < step:
            break
        last_id = batch[len(batch) - 1][:ID_BYTES]
        if last_id == ID_MAX:
            break
        start = next_id(last_id)
    return result


def reply_rows(session: Session, group: ConsumerGroup, rows: list[bytes]) -> None:
    reply = session.reply
    reply.array(len(rows))
    for row in rows:
        entry = PendingEntry.of_row(row)
        reply.array(4)
        reply.bulk(format_id(row[:ID_BYTES]))
        reply.bulk(group.owner(entry).name)
        reply.integer(max(idle_ms(session, entry), 0))
        reply.integer(entry.delivery_count)


_INSERT: Final = (KeySpec("RW insert", index=2),)
_DELETE: Final = (KeySpec("RW delete", index=2),)
_UPDATE: Final = (KeySpec("RW update", index=2),)

COMMANDS: Final = (
    Command(
        b"xgroup",
        None,
        -2,
        "",
        "",
        subcommands=(
            Command(b"create", xgroup_create, -5, "write denyoom", "stream", _INSERT),
            Command(b"createconsumer", xgroup_createconsumer, 5, "write denyoom", "stream", _INSERT),
            Command(b"delconsumer", xgroup_delconsumer, 5, "write", "stream", _DELETE),
            Command(b"destroy", xgroup_destroy, 4, "write", "stream", _DELETE),
            Command(b"help", xgroup_help, 2, "loading stale", "stream"),
            Command(b"setid", xgroup_setid, -5, "write", "stream", _UPDATE),
        ),
    ),
    Command(b"xack", xack, -4, "write fast", "stream", (KeySpec("RW update", index=1),)),
    Command(
        b"xpending",
        xpending,
        -3,
        "readonly",
        "stream",
        (KeySpec("RO access", index=1),),
        (b"nondeterministic_output",),
    ),
)
