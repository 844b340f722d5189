"""XREAD and XREADGROUP: entries of several streams beyond an id, waiting for them if asked to.

A blocked command is run again when one of its keys changed. Redis 7.0 then serves it from that key alone, looks at
nothing else, and gives at most a thousand entries; later versions simply run the command again.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import INT64_MAX
from gossamer.commands.arguments import integer_argument, integer_argument_or
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import (
    c_string,
    create_consumer,
    id_argument,
    lookup_stream,
    note_change,
    propagate_claim,
    propagate_group_id,
)
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.stream_groups import ENTRIES_READ_UNKNOWN, Consumer, ConsumerGroup, PendingEntry
from gossamer.datatypes.stream_ids import (
    ID_BYTES,
    ID_MAX,
    ID_MIN,
    format_id,
    id_milliseconds,
    id_sequence,
    next_id,
    previous_id,
)
from gossamer.datatypes.stream_replies import write_id
from gossamer.datatypes.streams import Stream, plus_one
from gossamer.resp.errors import SYNTAX, TIMEOUT_NEGATIVE, TIMEOUT_NOT_INTEGER

_TIMEOUT_TOO_LARGE: Final = b"ERR timeout is out of range"
_GROUP_OF_XREAD: Final = b"ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead."
_NOACK_OF_XREAD: Final = b"ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead."
_NO_GROUP_OPTION: Final = b"ERR Missing GROUP option for XREADGROUP"
_LAST_OF_GROUP: Final = (
    b"ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer "
    b"by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result "
    b"set."
)
_TOP_OF_GROUP: Final = (
    b"ERR The + ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer "
    b"by specifying a proper ID, or use the > ID to get new messages. The + ID would just return an empty result "
    b"set."
)
_NEW_OF_XREAD: Final = (
    b"ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option."
)
_GROUP_GONE: Final = b"NOGROUP the consumer group this client was blocked on no longer exists"

_NEW: Final = ID_MAX  # what `>` stands for
_BLOCKED_COUNT: Final = 1000  # of entries that Redis 7.0 gives to who waited, without COUNT
_HISTORY_STEP: Final = 128


@final
class ReadOptions:
    """What stands before STREAMS, and where the keys and ids behind it are."""

    def __init__(self) -> None:
        self.blocks: bool = False
        self.timeout_ms: i64 = 0
        self.count: i64 = 0
        self.group_name: bytes | None = None
        self.consumer_name: bytes = b""
        self.acknowledges: bool = True
        self.keys_at: i64 = 0
        self.stream_count: i64 = 0


@final
class Wanted:
    """One stream of a request: its key, what is there, beyond which id it is to be read."""

    def __init__(
        self, key: bytes, stream: Stream | None, group: ConsumerGroup | None, stream_id: bytes
    ) -> None:
        self.key: bytes = key
        self.stream: Stream | None = stream
        self.group: ConsumerGroup | None = group
        self.stream_id: bytes = stream_id


def parse_block_ms(session: Session, argument: bytes) -> i64:
    timeout_ms = integer_argument_or(argument, TIMEOUT_NOT_INTEGER)
    if timeout_ms < 0:
        raise CommandError(TIMEOUT_NEGATIVE)
    if timeout_ms > INT64_MAX - session.state.now_ms:
        if session.limits.compat >= 72:
            raise CommandError(_TIMEOUT_TOO_LARGE)
        return 1  # there the sum turns negative, and is over at once
    return timeout_ms


def parse_read_options(session: Session, argv: list[bytes], grouped: bool) -> ReadOptions:
    options = ReadOptions()
    size: i64 = len(argv)
    i: i64 = 1
    while i < size and options.keys_at == 0:
        word = argv[i].upper()
        more: i64 = size - i - 1
        if word == b"BLOCK" and more > 0:
            if session.limits.compat < 72 and session.is_script():
                name = argv[0].partition(b"\0")[0]
                raise CommandError(b"ERR " + name + b" command is not allowed with BLOCK option from scripts")
            i += 1
            options.timeout_ms = parse_block_ms(session, argv[i])
            options.blocks = True
        elif word == b"COUNT" and more > 0:
            i += 1
            options.count = max(integer_argument(argv[i]), 0)
        elif word == b"STREAMS" and more > 0:
            options.keys_at = i + 1
            if more & 1:
                raise CommandError(unbalanced(session, grouped))
            options.stream_count = more >> 1
        elif word == b"GROUP" and more >= 2:
            if not grouped:
                raise CommandError(_GROUP_OF_XREAD)
            options.group_name = argv[i + 1]
            options.consumer_name = argv[i + 2]
            i += 2
        elif word == b"NOACK":
            if not grouped:
                raise CommandError(_NOACK_OF_XREAD)
            options.acknowledges = False
        else:
            raise CommandError(SYNTAX)
        i += 1
    if options.keys_at == 0:
        raise CommandError(SYNTAX)
    if grouped and options.group_name is None:
        raise CommandError(_NO_GROUP_OPTION)
    return options


def unbalanced(session: Session, grouped: bool) -> bytes:
    if session.limits.compat < 72:
        name, symbol = b"XREAD", b"$"
    elif grouped:
        name, symbol = b"'xreadgroup'", b">"
    else:
        name, symbol = b"'xread'", b"$"
    text = b"ERR Unbalanced " + name + b" list of streams: for each stream key an ID or '"
    return text + symbol + b"' must be specified."


def find_wanted(session: Session, argv: list[bytes], options: ReadOptions) -> list[Wanted]:
    """Look every stream and group up and parse its id; raises CommandError."""
    wanted: list[Wanted] = []
    i: i64 = options.keys_at
    stop: i64 = options.keys_at + options.stream_count
    while i < stop:
        key = argv[i]
        if session.may_serve(key):
            stream = lookup_stream(session, key, False)
            group = find_group(session, key, stream, options.group_name)
            id_at: i64 = i + options.stream_count
            stream_id = wanted_id(session, argv[id_at], stream, group is not None)
            if options.blocks and argv[id_at] == b"$":
                argv[id_at] = format_id(stream_id)  # should the command wait, it waits beyond this
            wanted.append(Wanted(key, stream, group, stream_id))
            if session.ready_key is not None:
                break  # there a key that is named twice is waited for once
        i += 1
    return wanted


def find_group(
    session: Session, key: bytes, stream: Stream | None, group_name: bytes | None
) -> ConsumerGroup | None:
    if group_name is None:
        return None
    group = stream.groups.get(group_name) if stream is not None else None
    if group is None:
        if session.ready_key is not None:
            raise CommandError(_GROUP_GONE)
        text = b"NOGROUP No such key '" + c_string(key) + b"' or consumer group '" + c_string(group_name)
        raise CommandError(text + b"' in XREADGROUP with GROUP option")
    return group


def wanted_id(session: Session, argument: bytes, stream: Stream | None, grouped: bool) -> bytes:
    """The id beyond which a stream is to be read."""
    if argument == b"$":
        if grouped:
            raise CommandError(_LAST_OF_GROUP)
        return ID_MIN if stream is None else stream.last_id
    if argument == b"+" and session.limits.compat >= 80:
        if grouped:
            raise CommandError(_TOP_OF_GROUP)
        if stream is None or stream.entry_count == 0:
            return ID_MIN
        return previous_id(stream.last_entry_id())
    if argument == b">":
        if not grouped:
            raise CommandError(_NEW_OF_XREAD)
        return _NEW
    return id_argument(argument)


def xread(session: Session, argv: list[bytes]) -> None:
    """XREAD [COUNT count] [BLOCK milliseconds] STREAMS key [key ...] id [id ...]"""
    read_streams(session, argv, False)


def xreadgroup(session: Session, argv: list[bytes]) -> None:
    """XREADGROUP GROUP group consumer [COUNT count] [BLOCK milliseconds] [NOACK] STREAMS key [key ...] id [id ...]"""
    read_streams(session, argv, True)


def read_streams(session: Session, argv: list[bytes], grouped: bool) -> None:
    options = parse_read_options(session, argv, grouped)
    wanted = find_wanted(session, argv, options)
    if grouped:
        session.propagate_nothing()
    if session.ready_key is not None and options.count == 0:
        options.count = _BLOCKED_COUNT
    found: list[bytes] = []  # key, entries as a reply, key, entries ...
    for each in wanted:
        if session.ready_key is None:
            session.db.find_read(each.key)  # Redis looks twice, and so counts and tells of a miss twice
        if each.stream is not None:
            entries = serve(session, each, each.stream, options)
            if entries is not None:
                found.append(each.key)
                found.append(entries)
    reply = session.reply
    if found:
        served: i64 = len(found) // 2
        if reply.protocol == 2:
            reply.array(served)
        else:
            reply.map(served)
        i: i64 = 0
        while i < 2 * served:
            if reply.protocol == 2:
                reply.array(2)
            reply.bulk(found[i])
            reply.raw(found[i + 1])
            i += 2
    elif options.blocks and not session.deny_blocking:
        keys_at: i64 = options.keys_at
        session.block(argv[keys_at : keys_at + options.stream_count], options.timeout_ms)
    else:
        reply.null_array()


def has_news(session: Session, stream: Stream, stream_id: bytes) -> bool:
    """Whether there are entries beyond the id."""
    if session.ready_key is not None:
        return stream.last_id > stream_id  # as 7.0 has it, even if they are deleted again
    return stream.entry_count > 0 and stream.last_entry_id() > stream_id


def serve(session: Session, each: Wanted, stream: Stream, options: ReadOptions) -> bytes | None:
    """The entries of one stream as a reply; None where it has none to give."""
    group = each.group
    entries = BytesWriter()
    count: i64
    if group is None:
        if not has_news(session, stream, each.stream_id):
            return None
        count = stream.write_range(entries, next_id(each.stream_id), ID_MAX, options.count, False, None)
        return counted(count, entries)
    reads_news: bool = each.stream_id == _NEW
    consumer: Consumer | None = None
    if session.limits.compat >= 72:
        consumer = find_consumer(session, each.key, group, options)
    if reads_news and not has_news(session, stream, group.last_id):
        session.db.store(each.key, stream)
        return None
    if consumer is None:
        consumer = find_consumer(session, each.key, group, options)
    if reads_news:
        count = read_news(session, each.key, stream, group, consumer, options, entries)
    else:
        count = read_history(
            session, stream, group, consumer, next_id(each.stream_id), options.count, entries
        )
    note_change(session, each.key, stream, 1)
    return counted(count, entries)


def counted(count: i64, entries: BytesWriter) -> bytes:
    """An array of so many entries."""
    return b"*%d\r\n" % count + entries.getvalue()


def find_consumer(session: Session, key: bytes, group: ConsumerGroup, options: ReadOptions) -> Consumer:
    """The consumer that reads, created if need be, seen now."""
    name = options.consumer_name
    consumer = group.consumers.get(name)
    if consumer is None:
        consumer = create_consumer(session, key, group, name)
        if not options.acknowledges and options.group_name is not None:
            session.propagate([b"XGROUP", b"CREATECONSUMER", key, options.group_name, name])
    consumer.seen_time_ms = session.state.now_ms
    return consumer


def read_news(
    session: Session,
    key: bytes,
    stream: Stream,
    group: ConsumerGroup,
    consumer: Consumer,
    options: ReadOptions,
    entries: BytesWriter,
) -> i64:
    """Deliver entries that the group has not had yet."""
    ids: list[bytes] = []
    start = next_id(group.last_id)
    count: i64 = stream.write_range(entries, start, ID_MAX, options.count, False, ids)
    now_ms: i64 = session.state.now_ms
    group_name = options.group_name
    assert group_name is not None
    tells: bool = session.listener.wants_effects()
    for stream_id in ids:
        advance(session, stream, group, stream_id)
        if options.acknowledges:
            group.deliver(stream_id, consumer, now_ms)
            if tells:
                propagate_claim(
                    session, key, group_name, group, consumer.name, format_id(stream_id), now_ms, 1
                )
    if ids:
        if options.acknowledges:
            consumer.active_time_ms = now_ms
        if not options.acknowledges or session.limits.compat >= 72:
            propagate_group_id(session, key, group_name, group)
    return count


def advance(session: Session, stream: Stream, group: ConsumerGroup, stream_id: bytes) -> None:
    """Note that the group has read up to that entry."""
    if group.entries_read != ENTRIES_READ_UNKNOWN and not stream.may_have_gap_from(stream_id):
        group.entries_read = plus_one(group.entries_read)
    elif stream.entries_added != 0:
        group.entries_read = stream.estimate_entries_read(stream_id)
    group.last_id = stream_id


def read_history(
    session: Session,
    stream: Stream,
    group: ConsumerGroup,
    consumer: Consumer,
    start: bytes,
    count: i64,
    entries: BytesWriter,
) -> i64:
    """Give a consumer again what it has not acknowledged; an entry that is deleted is null."""
    now_ms: i64 = session.state.now_ms
    written: i64 = 0
    while True:
        step: i64 = _HISTORY_STEP
        if count > 0:
            step = min(step, count - written)
        rows = consumer.pending.rows_from(start, step)
        for stream_id in rows:
            if stream.write_range(entries, stream_id, stream_id, 1, False, None) == 0:
                entries.write(b"*2\r\n")
                write_id(entries, id_milliseconds(stream_id), id_sequence(stream_id))
                entries.write(b"*-1\r\n" if session.reply.protocol == 2 else b"_\r\n")
            else:
                row = group.pending.find(stream_id)
                assert row is not None
                entry = PendingEntry.of_row(row)
                entry.delivery_time_ms = now_ms
                entry.delivery_count = plus_one(entry.delivery_count)
                group.pending.put(entry.row(stream_id))
        written += len(rows)
        if i64(len(rows)) < step or written == count or rows[len(rows) - 1] == ID_MAX:
            return written
        start = next_id(rows[len(rows) - 1][:ID_BYTES])


_READ_STREAMS: Final = (KeySpec("RO access", keyword=b"STREAMS", start_from=1, last=-1, limit=2),)
_GROUP_STREAMS: Final = (KeySpec("RO access", keyword=b"STREAMS", start_from=4, last=-1, limit=2),)

COMMANDS: Final = (
    Command(b"xread", xread, -4, "readonly blocking", "stream", _READ_STREAMS),
    Command(b"xreadgroup", xreadgroup, -7, "write blocking", "stream", _GROUP_STREAMS),
)
