"""What the commands on streams share: ids and intervals in arguments, finding a stream or a group, their errors."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.session import Session
from gossamer.datatypes.stream_groups import NEVER_MS, Consumer, ConsumerGroup
from gossamer.datatypes.stream_ids import (
    ID_MAX,
    ID_MIN,
    NUMBER_MAX,
    NotAnId,
    format_id,
    next_id,
    parse_id,
    previous_id,
)
from gossamer.datatypes.streams import Stream
from gossamer.keyspace.events import NOTIFY_STREAM
from gossamer.resp.errors import WRONGTYPE

INVALID_ID: Final = b"ERR Invalid stream ID specified as stream command argument"
_INVALID_START: Final = b"ERR invalid start ID for the interval"
_INVALID_END: Final = b"ERR invalid end ID for the interval"


def id_argument(argument: bytes) -> bytes:
    """An id whose sequence is 0 where it is missing; raises CommandError."""
    try:
        return parse_id(argument, 0, True)
    except NotAnId:
        raise CommandError(INVALID_ID) from None


def interval_id(argument: bytes, missing_sequence: int) -> bytes:
    """One end of an interval, without the parenthesis that excludes it."""
    excluded: bool = len(argument) > 1 and argument[0] == 40
    try:
        return parse_id(argument[1:] if excluded else argument, missing_sequence, excluded)
    except NotAnId:
        raise CommandError(INVALID_ID) from None


def interval_start(argument: bytes) -> bytes:
    """The first id of an interval: `-`, an id, or `(id` for the one after it."""
    stream_id = interval_id(argument, 0)
    if len(argument) > 1 and argument[0] == 40:
        if stream_id == ID_MAX:
            raise CommandError(_INVALID_START)
        return next_id(stream_id)
    return stream_id


def interval_end(argument: bytes) -> bytes:
    """The last id of an interval: `+`, an id, or `(id` for the one before it."""
    stream_id = interval_id(argument, NUMBER_MAX)
    if len(argument) > 1 and argument[0] == 40:
        if stream_id == ID_MIN:
            raise CommandError(_INVALID_END)
        return previous_id(stream_id)
    return stream_id


def lookup_stream(session: Session, key: bytes, for_write: bool) -> Stream | None:
    """The stream at key; raises WRONGTYPE."""
    value = session.db.lookup_write(key) if for_write else session.db.lookup_read(key)
    if value is None or isinstance(value, Stream):
        return value
    raise CommandError(WRONGTYPE)


def c_string(text: bytes) -> bytes:
    """A name as error texts show it: up to a NUL."""
    return text.partition(b"\x00")[0]


def no_key_or_group(key: bytes, group_name: bytes) -> CommandError:
    return CommandError(
        b"NOGROUP No such key '" + c_string(key) + b"' or consumer group '" + c_string(group_name) + b"'"
    )


def no_group(key: bytes, group_name: bytes) -> CommandError:
    return CommandError(
        b"NOGROUP No such consumer group '"
        + c_string(group_name)
        + b"' for key name '"
        + c_string(key)
        + b"'"
    )


def create_consumer(session: Session, key: bytes, group: ConsumerGroup, name: bytes) -> Consumer:
    """A new member of the group, and the event that tells of it."""
    consumer = group.add_consumer(name, session.state.now_ms, NEVER_MS)
    session.state.dirty += 1
    session.notify(NOTIFY_STREAM, b"xgroup-createconsumer", key)
    return consumer


def note_change(session: Session, key: bytes, stream: Stream, changes: i64) -> None:
    """Account for a change that concerns groups alone: as in Redis it breaks no WATCH and wakes nobody."""
    session.state.dirty += changes
    session.db.store(key, stream)


def propagate_group_id(session: Session, key: bytes, group_name: bytes, group: ConsumerGroup) -> None:
    """Let AOF and replicas know how far a group has read."""
    session.propagate(
        [
            b"XGROUP",
            b"SETID",
            key,
            group_name,
            format_id(group.last_id),
            b"ENTRIESREAD",
            b"%d" % group.entries_read,
        ]
    )


def propagate_claim(
    session: Session,
    key: bytes,
    group_name: bytes,
    group: ConsumerGroup,
    consumer_name: bytes,
    id_text: bytes,
    delivery_time_ms: i64,
    delivery_count: i64,
) -> None:
    """Let AOF and replicas know of one pending entry as it is now."""
    session.propagate(
        [
            b"XCLAIM",
            key,
            group_name,
            consumer_name,
            b"0",
            id_text,
            b"TIME",
            b"%d" % delivery_time_ms,
            b"RETRYCOUNT",
            b"%d" % delivery_count,
            b"FORCE",
            b"JUSTID",
            b"LASTID",
            format_id(group.last_id),
        ]
    )
