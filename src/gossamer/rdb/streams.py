"""Streams as RDB writes them; the nodes go out and come in as they are.

nodes count | ( id string of 16 bytes | listpack string ) ...
length | last id ms | last id seq
since the second form:  first id ms, seq | greatest deleted id ms, seq | entries ever added
groups count | group ...

group:     name | last id ms | seq | [second form: entries read] | pending count | pending ... |
           consumers count | consumer ...
pending:   id, 16 raw bytes | delivery time i64 | delivery count
consumer:  name | seen time i64 | [third form: active time i64] | pending count | id, 16 raw bytes ...
"""

from typing import Final

from mypy_extensions import i64

from gossamer.datatypes import listpack
from gossamer.datatypes.stream_groups import ENTRIES_READ_UNKNOWN, Consumer, ConsumerGroup, PendingEntry
from gossamer.datatypes.stream_ids import (
    ID_BYTES,
    ID_MIN,
    id_milliseconds,
    id_sequence,
    make_id,
    signed64,
    unsigned64,
)
from gossamer.datatypes.stream_nodes import check_node
from gossamer.datatypes.streams import Stream
from gossamer.rdb.format import (
    TYPE_STREAM_LISTPACKS,
    TYPE_STREAM_LISTPACKS_2,
    TYPE_STREAM_LISTPACKS_3,
    VERSION_WITH_LISTPACKS,
    VERSION_WITH_SET_LISTPACK,
)
from gossamer.rdb.input import Input
from gossamer.rdb.output import Output

_NOBODY: Final = -1  # the number of the consumer in a pending entry that is not assigned yet


def read_stream(source: Input, value_type: i64) -> Stream:
    """A stream in any of its three forms."""
    stream = Stream()
    _read_nodes(source, stream)
    stated = source.length()
    if stated != stream.entry_count:
        raise source.fail("Stream states another length than it has")
    stream.last_id = _read_id(source)
    if stream.last_id < stream.top_id:
        raise source.fail("Stream has an entry above its last id")
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        stream.first_id = _read_id(source)
        stream.max_deleted_id = _read_id(source)
        stream.entries_added = signed64(source.unsigned())
    else:
        stream.entries_added = stream.entry_count
    groups = source.count(5)
    while groups > 0:
        _read_group(source, stream, value_type)
        groups -= 1
    return stream


def _read_nodes(source: Input, stream: Stream) -> None:
    """Read the nodes, check them to the bottom, and note what entries they hold."""
    nodes = source.count(ID_BYTES + 2)
    previous = b""
    while nodes > 0:
        node_id = source.string()
        if len(node_id) != ID_BYTES:
            raise source.fail("Stream node id is not 16 bytes long")
        if node_id <= previous:
            raise source.fail("Stream nodes are out of order")
        previous = node_id
        offset = source.offset()
        node = source.string()
        listpack.validate(node, offset)
        facts = check_node(node_id, node, offset)
        if stream.entry_count > 0 and node_id <= stream.top_id:
            raise source.fail("Stream entries are out of order")
        if facts.live > 0:
            if stream.entry_count == 0:
                stream.first_id = facts.first_id
            stream.top_id = facts.last_id
        stream.entry_count += facts.live
        stream.append_node(node_id, node)
        nodes -= 1


def _read_id(source: Input) -> bytes:
    milliseconds = source.unsigned()
    return make_id(milliseconds, source.unsigned())


def _read_group(source: Input, stream: Stream, value_type: i64) -> None:
    name = source.string()
    last_id = _read_id(source)
    entries_read: i64 = 0
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        entries_read = signed64(source.unsigned())
        if entries_read < ENTRIES_READ_UNKNOWN:
            raise source.fail("Stream group states an impossible number of entries read")
    else:
        entries_read = stream.estimate_entries_read(last_id)
    if name in stream.groups:
        raise source.fail("Stream group stands twice")
    group = stream.add_group(name, last_id, entries_read)
    pending = source.count(ID_BYTES + 9)
    while pending > 0:
        stream_id = source.take(ID_BYTES)
        delivery_time_ms = source.int64()
        owed = PendingEntry(delivery_time_ms, signed64(source.unsigned()), _NOBODY)
        if not group.pending.put(owed.row(stream_id)):
            raise source.fail("Stream pending entry stands twice")
        pending -= 1
    assigned: i64 = 0
    consumers = source.count(10)
    while consumers > 0:
        assigned += _read_consumer(source, group, value_type)
        consumers -= 1
    if assigned != group.pending.count:
        raise source.fail("Stream pending entry belongs to no consumer")


def _read_consumer(source: Input, group: ConsumerGroup, value_type: i64) -> i64:
    """Read one consumer; answer how many pending entries are its own."""
    name = source.string()
    if name in group.consumers:
        raise source.fail("Stream consumer stands twice")
    seen_time_ms = source.int64()
    active_time_ms = seen_time_ms
    if value_type >= TYPE_STREAM_LISTPACKS_3:
        active_time_ms = source.int64()
    consumer: Consumer = group.add_consumer(name, seen_time_ms, active_time_ms)
    pending = source.count(ID_BYTES)
    left: i64 = pending
    while left > 0:
        stream_id = source.take(ID_BYTES)
        owed = group.find_pending(stream_id)
        if owed is None:
            raise source.fail("Stream consumer owes an entry that its group does not know")
        if owed.consumer_number == consumer.number:
            raise source.fail("Stream consumer owes an entry twice")
        if owed.consumer_number != _NOBODY:
            raise source.fail("Stream pending entry belongs to two consumers")
        group.assign(stream_id, owed, consumer)
        left -= 1
    return pending


def has_history(stream: Stream) -> bool:
    """Whether it knows more than version 9 can say: of entries that are gone, and of what groups have read."""
    if stream.max_deleted_id != ID_MIN or stream.entries_added != stream.entry_count:
        return True
    for group in stream.groups.values():
        if group.entries_read != stream.estimate_entries_read(group.last_id):
            return True
    return False


def stream_type(version: i64) -> i64:
    """The form in which a stream stands in files of that version."""
    if version >= VERSION_WITH_SET_LISTPACK:
        return TYPE_STREAM_LISTPACKS_3
    if version >= VERSION_WITH_LISTPACKS:
        return TYPE_STREAM_LISTPACKS_2
    return TYPE_STREAM_LISTPACKS


def write_stream(output: Output, stream: Stream) -> None:
    """The value, without its type byte."""
    value_type = stream_type(output.version)
    stream.settle()
    output.length(len(stream.nodes))
    for i in range(len(stream.nodes)):
        output.string(stream.node_ids[i])
        output.string(stream.nodes[i])
    output.length(stream.entry_count)
    _write_id(output, stream.last_id)
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        _write_id(output, stream.first_id)
        _write_id(output, stream.max_deleted_id)
        output.unsigned(unsigned64(stream.entries_added))
    output.length(len(stream.groups))
    for name in sorted(stream.groups):
        group = stream.groups[name]
        output.string(name)
        _write_id(output, group.last_id)
        if value_type >= TYPE_STREAM_LISTPACKS_2:
            output.unsigned(unsigned64(group.entries_read))
        output.length(group.pending.count)
        for row in group.pending.rows():
            owed = PendingEntry.of_row(row)
            output.raw(row[:ID_BYTES])
            output.int64(owed.delivery_time_ms)
            output.unsigned(unsigned64(owed.delivery_count))
        output.length(len(group.consumers))
        for consumer_name in sorted(group.consumers):
            consumer = group.consumers[consumer_name]
            output.string(consumer_name)
            output.int64(consumer.seen_time_ms)
            if value_type >= TYPE_STREAM_LISTPACKS_3:
                output.int64(consumer.active_time_ms)
            output.length(consumer.pending.count)
            for chunk in consumer.pending.chunks:
                output.raw(chunk)


def _write_id(output: Output, stream_id: bytes) -> None:
    output.unsigned(id_milliseconds(stream_id))
    output.unsigned(id_sequence(stream_id))
