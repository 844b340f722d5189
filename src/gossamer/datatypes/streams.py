"""Streams: entries in listpack nodes, consumer groups and what they still owe an acknowledgement.

Owns the form in which a stream is held, which is the form that RDB writes: every node is one listpack behind
the id of its first entry. Knows no keys and no clients.

An id is 16 bytes, milliseconds then sequence, each big-endian, so that ids order as bytes do.

    node listpack: master entry, then entries
    master:  count | deleted | number of fields | field ... | 0
    entry:   flags | ms - master's ms | seq - master's seq | [fields] | (field) value ... | back count

    flags    1 deleted    2 the fields are the master's, in its order: only values follow
    back count: how many listpack elements the entry has before this one

Invariants: nodes ascend by id; `entry_count` is the sum of the nodes' counts; every pending entry of a group
stands in the group's `pending` and in exactly one consumer's, as the same object.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.datatypes import listpack
from gossamer.datatypes.value import BYTES_OVERHEAD, OBJECT_BYTES, Value

ID_BYTES: Final = 16
ID_MIN: Final = b"\x00" * 16
ID_MAX: Final = b"\xff" * 16

ENTRY_DELETED: Final = 1
ENTRY_SAME_FIELDS: Final = 2

ENTRIES_READ_UNKNOWN: Final = -1

_TWO_TO_64: Final = 1 << 64


def make_id(milliseconds: int, sequence: int) -> bytes:
    """The id of two unsigned 64-bit numbers."""
    return milliseconds.to_bytes(8, "big") + sequence.to_bytes(8, "big")


def id_milliseconds(stream_id: bytes) -> int:
    return int.from_bytes(stream_id[:8], "big")


def id_sequence(stream_id: bytes) -> int:
    return int.from_bytes(stream_id[8:16], "big")


def format_id(stream_id: bytes) -> bytes:
    """`milliseconds-sequence`, as replies show an id."""
    return str(id_milliseconds(stream_id)).encode() + b"-" + str(id_sequence(stream_id)).encode()


@final
class PendingEntry:
    """An entry that was delivered to a consumer and not acknowledged yet."""

    def __init__(self, consumer: bytes, delivery_time_ms: i64, delivery_count: i64) -> None:
        self.consumer: bytes = consumer
        self.delivery_time_ms: i64 = delivery_time_ms
        self.delivery_count: i64 = delivery_count


@final
class Consumer:
    """A member of a group; `active_time_ms` is -1 until it was given an entry."""

    def __init__(self, seen_time_ms: i64, active_time_ms: i64) -> None:
        self.seen_time_ms: i64 = seen_time_ms
        self.active_time_ms: i64 = active_time_ms
        self.pending: dict[bytes, PendingEntry] = {}


@final
class ConsumerGroup:
    """`entries_read` is the logical position of `last_id` in the stream, or ENTRIES_READ_UNKNOWN."""

    def __init__(self, last_id: bytes, entries_read: i64) -> None:
        self.last_id: bytes = last_id
        self.entries_read: i64 = entries_read
        self.pending: dict[bytes, PendingEntry] = {}
        self.consumers: dict[bytes, Consumer] = {}


@final
class StreamEntry:
    """One entry: its id, and field, value, field, value ..."""

    def __init__(self, stream_id: bytes, flat: list[bytes]) -> None:
        self.stream_id: bytes = stream_id
        self.flat: list[bytes] = flat


@final
class Stream(Value):
    """The value behind a stream key."""

    def __init__(self) -> None:
        super().__init__()
        self.node_ids: list[bytes] = []
        self.nodes: list[bytes] = []
        self.entry_count: i64 = 0
        self.last_id: bytes = ID_MIN
        self.first_id: bytes = ID_MIN
        self.max_deleted_id: bytes = ID_MIN
        self.entries_added: i64 = 0
        self.groups: dict[bytes, ConsumerGroup] = {}
        self.nodes_bytes: i64 = 0

    def type_name(self) -> bytes:
        return b"stream"

    def encoding(self) -> bytes:
        return b"stream"

    def length(self) -> i64:
        return self.entry_count

    def memory_bytes(self) -> i64:
        total: i64 = OBJECT_BYTES * 2 + self.nodes_bytes
        total += len(self.nodes) * (2 * BYTES_OVERHEAD + ID_BYTES + 16)
        for group in self.groups.values():
            total += 2 * OBJECT_BYTES + 64 * 2
            total += len(group.pending) * (OBJECT_BYTES + 3 * 100)
            total += len(group.consumers) * (2 * OBJECT_BYTES + 150)
        return total

    def append_node(self, node_id: bytes, node: bytes) -> None:
        """Add a node behind all others; its entries are counted by the caller."""
        self.node_ids.append(node_id)
        self.nodes.append(node)
        self.nodes_bytes += len(node)

    def entries(self) -> list[StreamEntry]:
        """All entries, in order."""
        result: list[StreamEntry] = []
        for i in range(len(self.nodes)):
            result.extend(node_entries(self.node_ids[i], self.nodes[i]))
        return result

    def copy(self) -> "Stream":
        """An independent stream with the same content."""
        stream = Stream()
        stream.node_ids = self.node_ids[:]
        stream.nodes = self.nodes[:]
        stream.entry_count = self.entry_count
        stream.last_id = self.last_id
        stream.first_id = self.first_id
        stream.max_deleted_id = self.max_deleted_id
        stream.entries_added = self.entries_added
        stream.nodes_bytes = self.nodes_bytes
        for name, group in self.groups.items():
            twin = ConsumerGroup(group.last_id, group.entries_read)
            for consumer_name, consumer in group.consumers.items():
                twin.consumers[consumer_name] = Consumer(consumer.seen_time_ms, consumer.active_time_ms)
            for stream_id, entry in group.pending.items():
                owed = PendingEntry(entry.consumer, entry.delivery_time_ms, entry.delivery_count)
                twin.pending[stream_id] = owed
                twin.consumers[entry.consumer].pending[stream_id] = owed
            stream.groups[name] = twin
        return stream

    def estimate_entries_read(self, stream_id: bytes) -> i64:
        """How many entries were added up to and with `stream_id`; ENTRIES_READ_UNKNOWN if none can tell."""
        if self.entries_added == 0:
            return 0
        if self.entry_count == 0 and stream_id <= self.last_id:
            return self.entries_added
        if stream_id != ID_MIN and stream_id < self.max_deleted_id:
            return ENTRIES_READ_UNKNOWN
        if stream_id == self.last_id:
            return self.entries_added
        if stream_id > self.last_id:
            return ENTRIES_READ_UNKNOWN
        if self.max_deleted_id == ID_MIN or self.max_deleted_id < self.first_id:
            if stream_id < self.first_id:
                return self.entries_added - self.entry_count
            if stream_id == self.first_id:
                return self.entries_added - self.entry_count + 1
        return ENTRIES_READ_UNKNOWN


@final
class _NodeWalker:
    """Reads the elements of one node in turn, each checked to be there and of its kind.

    `offset` is where the listpack begins in its file, for errors.
    """

    def __init__(self, node: bytes, offset: i64) -> None:
        self.node: bytes = node
        self.offset: i64 = offset
        self.position: i64 = listpack.HEADER_BYTES
        self.end: i64 = len(node) - 1

    def fail(self, reason: str) -> CorruptError:
        return CorruptError(reason, int(self.offset + self.position) if self.offset >= 0 else -1)

    def integer(self) -> i64:
        if self.position >= self.end:
            raise self.fail("Stream node ends inside an entry")
        if not listpack.is_integer_at(self.node, self.position):
            raise self.fail("Stream node has a string where a number belongs")
        value = listpack.integer_at(self.node, self.position)
        self.position += listpack.entry_bytes(self.node, self.position)
        return value

    def count(self) -> i64:
        """A number of elements, which cannot exceed the bytes that remain."""
        value = self.integer()
        if value < 0 or value > self.end - self.position:
            raise self.fail("Stream node states an impossible count")
        return value

    def element(self) -> bytes:
        if self.position >= self.end:
            raise self.fail("Stream node ends inside an entry")
        data = listpack.element_at(self.node, self.position)
        self.position += listpack.entry_bytes(self.node, self.position)
        return data

    def skip(self, count: i64) -> None:
        while count > 0:
            if self.position >= self.end:
                raise self.fail("Stream node ends inside an entry")
            self.position += listpack.entry_bytes(self.node, self.position)
            count -= 1


def node_entries(node_id: bytes, node: bytes, offset: i64 = -1) -> list[StreamEntry]:
    """The entries of a node that are not deleted; CorruptError unless the whole node is sound.

    The listpack's own structure must have been checked.
    """
    walker = _NodeWalker(node, offset)
    entries: list[StreamEntry] = []
    base_ms = id_milliseconds(node_id)
    base_sequence = id_sequence(node_id)
    if walker.end <= walker.position:
        raise walker.fail("Stream node is empty")
    live = walker.count()
    deleted = walker.count()
    field_count = walker.count()
    fields: list[bytes] = []
    while len(fields) < field_count:
        fields.append(walker.element())
    if walker.integer() != 0:
        raise walker.fail("Stream node has no end of its master entry")
    previous = b""
    while walker.position < walker.end:
        flags = walker.integer()
        if flags & ~(ENTRY_DELETED | ENTRY_SAME_FIELDS):
            raise walker.fail("Stream entry has unknown flags")
        milliseconds = base_ms + int(walker.integer())
        # Sequences wrap: a difference is taken modulo 2^64.
        sequence = (base_sequence + int(walker.integer())) % _TWO_TO_64
        if milliseconds < 0 or milliseconds >= _TWO_TO_64:
            raise walker.fail("Stream entry has an impossible id")
        stream_id = make_id(milliseconds, sequence)
        if stream_id <= previous or stream_id < node_id:
            raise walker.fail("Stream entries are out of order")
        previous = stream_id
        flat: list[bytes] = []
        elements: i64 = 0
        if flags & ENTRY_SAME_FIELDS:
            elements = 3 + field_count
            for field in fields:
                flat.append(field)
                flat.append(walker.element())
        else:
            pairs = walker.count()
            elements = 4 + 2 * pairs
            while pairs > 0:
                flat.append(walker.element())
                flat.append(walker.element())
                pairs -= 1
        if walker.integer() != elements:
            raise walker.fail("Stream entry states a wrong number of elements")
        if flags & ENTRY_DELETED:
            deleted -= 1
        else:
            live -= 1
            entries.append(StreamEntry(stream_id, flat))
    if live != 0 or deleted != 0:
        raise walker.fail("Stream node states another count than it has")
    return entries
