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
from gossamer.datatypes.streams import (
    ENTRIES_READ_UNKNOWN,
    ID_BYTES,
    Consumer,
    ConsumerGroup,
    PendingEntry,
    Stream,
    id_milliseconds,
    id_sequence,
    make_id,
    node_entries,
)
from gossamer.rdb.format import (
    TYPE_STREAM_LISTPACKS,
    TYPE_STREAM_LISTPACKS_2,
    TYPE_STREAM_LISTPACKS_3,
    VERSION_WITH_SET_LISTPACK,
)
from gossamer.rdb.input import Input
from gossamer.rdb.output import Output

_TWO_TO_63: Final = 1 << 63
_TWO_TO_64: Final = 1 << 64


def read_stream(source: Input, value_type: i64) -> Stream:
    """A stream in any of its three forms."""
    stream = Stream()
    entries = _read_nodes(source, stream)
    stated = source.length()
    if stated != entries:
        raise source.fail("Stream states another length than it has")
    stream.entry_count = entries
    stream.last_id = _read_id(source)
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        stream.first_id = _read_id(source)
        stream.max_deleted_id = _read_id(source)
        stream.entries_added = source.length()
    else:
        stream.entries_added = entries
        for i in range(len(stream.nodes)):
            found = node_entries(stream.node_ids[i], stream.nodes[i])
            if found:
                stream.first_id = found[0].stream_id
                break
    groups = source.count(5)
    while groups > 0:
        _read_group(source, stream, value_type)
        groups -= 1
    return stream


def _read_nodes(source: Input, stream: Stream) -> i64:
    """Read the nodes and check them to the bottom; answer how many entries they hold."""
    nodes = source.count(ID_BYTES + 2)
    entries: i64 = 0
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
        entries += len(node_entries(node_id, node, offset))
        stream.append_node(node_id, node)
        nodes -= 1
    return entries


def _read_id(source: Input) -> bytes:
    milliseconds = source.unsigned()
    return make_id(milliseconds, source.unsigned())


def _read_group(source: Input, stream: Stream, value_type: i64) -> None:
    name = source.string()
    last_id = _read_id(source)
    entries_read: i64 = 0
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        stated = source.unsigned()
        entries_read = stated - _TWO_TO_64 if stated >= _TWO_TO_63 else stated
        if entries_read < ENTRIES_READ_UNKNOWN:
            raise source.fail("Stream group states an impossible number of entries read")
    else:
        entries_read = stream.estimate_entries_read(last_id)
    if name in stream.groups:
        raise source.fail("Stream group stands twice")
    group = ConsumerGroup(last_id, entries_read)
    stream.groups[name] = group
    pending = source.count(ID_BYTES + 9)
    while pending > 0:
        stream_id = source.take(ID_BYTES)
        delivery_time_ms = source.int64()
        owed = PendingEntry(b"", delivery_time_ms, source.length())
        if stream_id in group.pending:
            raise source.fail("Stream pending entry stands twice")
        group.pending[stream_id] = owed
        pending -= 1
    assigned: set[bytes] = set()
    consumers = source.count(10)
    while consumers > 0:
        assigned.update(_read_consumer(source, group, value_type, assigned))
        consumers -= 1
    if len(assigned) != len(group.pending):
        raise source.fail("Stream pending entry belongs to no consumer")


def _read_consumer(
    source: Input, group: ConsumerGroup, value_type: i64, assigned_elsewhere: set[bytes]
) -> dict[bytes, PendingEntry]:
    """Read one consumer; answer the pending entries that are its own."""
    name = source.string()
    if name in group.consumers:
        raise source.fail("Stream consumer stands twice")
    seen_time_ms = source.int64()
    active_time_ms = seen_time_ms
    if value_type >= TYPE_STREAM_LISTPACKS_3:
        active_time_ms = source.int64()
    consumer = Consumer(seen_time_ms, active_time_ms)
    group.consumers[name] = consumer
    assigned = consumer.pending
    pending = source.count(ID_BYTES)
    while pending > 0:
        stream_id = source.take(ID_BYTES)
        owed = group.pending.get(stream_id)
        if owed is None:
            raise source.fail("Stream consumer owes an entry that its group does not know")
        if stream_id in assigned:
            raise source.fail("Stream consumer owes an entry twice")
        if stream_id in assigned_elsewhere:
            raise source.fail("Stream pending entry belongs to two consumers")
        owed.consumer = name
        assigned[stream_id] = owed
        pending -= 1
    return assigned


def stream_type(version: i64) -> i64:
    """The form in which a stream stands in files of that version."""
    if version >= VERSION_WITH_SET_LISTPACK:
        return TYPE_STREAM_LISTPACKS_3
    if version >= 10:
        return TYPE_STREAM_LISTPACKS_2
    return TYPE_STREAM_LISTPACKS


def write_stream(output: Output, stream: Stream) -> None:
    """The value, without its type byte."""
    value_type = stream_type(output.version)
    output.length(len(stream.nodes))
    for i in range(len(stream.nodes)):
        output.string(stream.node_ids[i])
        output.string(stream.nodes[i])
    output.length(stream.entry_count)
    _write_id(output, stream.last_id)
    if value_type >= TYPE_STREAM_LISTPACKS_2:
        _write_id(output, stream.first_id)
        _write_id(output, stream.max_deleted_id)
        output.length(stream.entries_added)
    output.length(len(stream.groups))
    for name in sorted(stream.groups):
        group = stream.groups[name]
        output.string(name)
        _write_id(output, group.last_id)
        if value_type >= TYPE_STREAM_LISTPACKS_2:
            entries_read = int(group.entries_read)
            output.unsigned(entries_read + _TWO_TO_64 if entries_read < 0 else entries_read)
        output.length(len(group.pending))
        for stream_id in sorted(group.pending):
            owed = group.pending[stream_id]
            output.raw(stream_id)
            output.int64(owed.delivery_time_ms)
            output.length(owed.delivery_count)
        output.length(len(group.consumers))
        for consumer_name in sorted(group.consumers):
            consumer = group.consumers[consumer_name]
            output.string(consumer_name)
            output.int64(consumer.seen_time_ms)
            if value_type >= TYPE_STREAM_LISTPACKS_3:
                output.int64(consumer.active_time_ms)
            output.length(len(consumer.pending))
            for stream_id in sorted(consumer.pending):
                output.raw(stream_id)


def _write_id(output: Output, stream_id: bytes) -> None:
    output.unsigned(id_milliseconds(stream_id))
    output.unsigned(id_sequence(stream_id))
