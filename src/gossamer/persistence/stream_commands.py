"""The commands that build a stream anew: the form in which an append only file without RDB base holds it.

As in Redis an entry that was deleted leaves no trace but in the counters, and what is pending of it is forgotten.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.datatypes.stream_groups import Consumer, ConsumerGroup
from gossamer.datatypes.stream_ids import ID_BYTES, format_id, format_number, unsigned64
from gossamer.datatypes.streams import Stream

_UNTIL_NEXT_ENTRY: Final = b"0-1"  # an id for the entry that makes an empty stream and is trimmed at once


def commands_of_stream(key: bytes, stream: Stream) -> list[list[bytes]]:
    """Every command, in order: the entries, the counters, each group with its consumers."""
    commands: list[list[bytes]] = []
    for entry in stream.entries():
        argv = [b"XADD", key, format_id(entry.stream_id)]
        argv.extend(entry.flat)
        commands.append(argv)
    if stream.entry_count == 0:
        commands.append([b"XADD", key, b"MAXLEN", b"0", _UNTIL_NEXT_ENTRY, b"x", b"y"])
    commands.append(
        [
            b"XSETID",
            key,
            format_id(stream.last_id),
            b"ENTRIESADDED",
            format_number(unsigned64(stream.entries_added)),
            b"MAXDELETEDID",
            format_id(stream.max_deleted_id),
        ]
    )
    for name, group in stream.groups.items():
        read = b"%d" % group.entries_read
        commands.append([b"XGROUP", b"CREATE", key, name, format_id(group.last_id), b"ENTRIESREAD", read])
        for consumer in group.consumers.values():
            add_consumer(commands, key, name, group, consumer)
    return commands


def add_consumer(
    commands: list[list[bytes]], key: bytes, group_name: bytes, group: ConsumerGroup, consumer: Consumer
) -> None:
    """The commands that make a consumer and what is pending for it."""
    if consumer.pending.count == 0:
        commands.append([b"XGROUP", b"CREATECONSUMER", key, group_name, consumer.name])
        return
    for stream_id in consumer.pending.rows():
        entry = group.find_pending(stream_id[:ID_BYTES])
        assert entry is not None
        delivered: i64 = entry.delivery_count
        commands.append(
            [
                b"XCLAIM",
                key,
                group_name,
                consumer.name,
                b"0",
                format_id(stream_id),
                b"TIME",
                b"%d" % entry.delivery_time_ms,
                b"RETRYCOUNT",
                b"%d" % delivered,
                b"JUSTID",
                b"FORCE",
            ]
        )
