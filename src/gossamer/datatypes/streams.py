"""Streams: entries in listpack nodes, and the consumer groups that read them.

Owns the order of nodes and which one an entry goes to (by Redis's rules, so that RDB and DUMP agree to the byte),
ranges, deleting and trimming, and the counters of a stream. The layout of a node is stream_nodes.py's, groups are
stream_groups.py's. Knows no keys and no clients.

    node_ids[i] < every live entry of nodes[i] after the first < node_ids[i + 1]

The last node may stand open (`open_node`): entries are added to it without copying it. `settle()` seals it, which
whoever reads nodes does first.

Invariants: nodes ascend by id; `entry_count` is the sum of the nodes' live counts; no live entry is above `last_id`;
every byte of a group is counted in `tally`.
"""

from bisect import bisect_right
from typing import Any, Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes.pending_rows import Tally
from gossamer.datatypes.stream_groups import (
    CONSUMER_BYTES,
    ENTRIES_READ_UNKNOWN,
    GROUP_BYTES,
    ConsumerGroup,
)
from gossamer.datatypes.stream_ids import (
    ID_BYTES,
    ID_MAX,
    ID_MIN,
    id_milliseconds,
    id_sequence,
    signed64,
)
from gossamer.datatypes.stream_nodes import (
    ENTRY_DELETED,
    NodeCursor,
    OpenNode,
    live_count,
    with_deleted,
)
from gossamer.datatypes.stream_replies import write_entry
from gossamer.datatypes.value import BYTES_OVERHEAD, OBJECT_BYTES, Value

NODE_BYTES_MAX: Final = 1 << 30  # of a node, and of the fields and values of one entry
NODE_OVERHEAD_BYTES: Final = 2 * BYTES_OVERHEAD + ID_BYTES + 16
OPEN_NODE_BYTES: Final = 2 * OBJECT_BYTES + 600
STEPS_FROM_END: Final = 8
STREAM_BYTES: Final = 4 * OBJECT_BYTES + 3 * 64 + 3 * (BYTES_OVERHEAD + ID_BYTES)

_INT64_MAX: Final = 0x7FFFFFFFFFFFFFFF
_TWO_TO_64: Final = 1 << 64


def plus_one(count: i64) -> i64:
    """count + 1 in 64 bits, as the counters of streams run over."""
    return count + 1 if count != _INT64_MAX else -_INT64_MAX - 1


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
        self.open_node: OpenNode | None = None
        self.open_changed: bool = False  # the last of `nodes` is behind the open node
        self.entry_count: i64 = 0
        self.last_id: bytes = ID_MIN
        self.top_id: bytes = ID_MIN  # of the last entry; empty where it must be looked for
        self.first_id: bytes = ID_MIN
        self.max_deleted_id: bytes = ID_MIN
        self.entries_added: i64 = 0  # unsigned in Redis: the same bits
        self.groups: dict[bytes, ConsumerGroup] = {}
        self.nodes_bytes: i64 = 0
        self.tally: Tally = Tally()

    def type_name(self) -> bytes:
        return b"stream"

    def encoding(self) -> bytes:
        return b"stream"

    def length(self) -> i64:
        return self.entry_count

    def memory_bytes(self) -> i64:
        total: i64 = STREAM_BYTES + self.nodes_bytes + self.tally.bytes
        total += len(self.nodes) * NODE_OVERHEAD_BYTES
        open_node = self.open_node
        if open_node is not None:
            total += OPEN_NODE_BYTES + open_node.size()
        return total

    def copy(self) -> "Stream":
        """An independent stream with the same content."""
        self.settle()
        stream = Stream()
        stream.node_ids = self.node_ids[:]
        stream.nodes = self.nodes[:]
        stream.entry_count = self.entry_count
        stream.last_id = self.last_id
        stream.top_id = self.top_id
        stream.first_id = self.first_id
        stream.max_deleted_id = self.max_deleted_id
        stream.entries_added = self.entries_added
        stream.nodes_bytes = self.nodes_bytes
        for name, group in self.groups.items():
            stream.groups[name] = group.copy(stream.tally)
            stream.tally.bytes += GROUP_BYTES + len(name)
        return stream

    def hand_over(self, lists: list[list[Any]]) -> None:
        lists.append(self.nodes)
        lists.append(self.node_ids)
        for group in self.groups.values():
            lists.append(group.pending.chunks)
            lists.append(group.pending.lasts)
        self.nodes = []
        self.node_ids = []
        self.open_node = None
        self.open_changed = False
        self.groups = {}

    # -- nodes --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring `nodes` up to date; the open node stays open."""
        if not self.open_changed:
            return
        self.open_changed = False
        open_node = self.open_node
        assert open_node is not None
        self.put_node(i64(len(self.nodes)) - 1, open_node.sealed())

    def close_last(self) -> None:
        """Seal the open node, which is about to be changed elsewhere or to be followed by another."""
        self.settle()
        self.open_node = None

    def put_node(self, index: i64, node: bytes) -> None:
        self.nodes_bytes += i64(len(node)) - i64(len(self.nodes[index]))
        self.nodes[index] = node

    def append_node(self, node_id: bytes, node: bytes) -> None:
        """Add a node behind all others; its entries are counted by the caller."""
        self.close_last()
        self.node_ids.append(node_id)
        self.nodes.append(node)
        self.nodes_bytes += len(node)

    def drop_nodes(self, start: i64, stop: i64) -> None:
        """Remove nodes[start:stop]; their entries are counted by the caller."""
        if stop == len(self.nodes):
            self.close_last()
        i: i64 = start
        while i < stop:
            self.nodes_bytes -= len(self.nodes[i])
            i += 1
        del self.nodes[start:stop]
        del self.node_ids[start:stop]

    def node_of(self, stream_id: bytes) -> i64:
        """Index of the node in which an entry of that id would stand, -1 if it is below all."""
        return bisect_right(self.node_ids, stream_id) - 1

    # -- adding -------------------------------------------------------------------------------------------

    def append(
        self, stream_id: bytes, argv: list[bytes], start: i64, content_bytes: i64, limits: Limits
    ) -> None:
        """Add an entry above all others; its fields and values, content_bytes in sum, stand from argv[start] on."""
        node = self.node_to_fill(content_bytes, limits)
        if node is None:
            self.append_node(stream_id, b"")
            node = OpenNode(stream_id)
            node.begin(argv, start)
            self.open_node = node
        self.open_changed = True
        node.append(id_milliseconds(stream_id), id_sequence(stream_id), argv, start)
        self.entry_count += 1
        self.entries_added = plus_one(self.entries_added)
        self.last_id = stream_id
        self.top_id = stream_id
        if self.entry_count == 1:
            self.first_id = stream_id

    def node_to_fill(self, content_bytes: i64, limits: Limits) -> OpenNode | None:
        """The last node, open, unless it is full."""
        node = self.open_node
        if node is None:
            last: i64 = i64(len(self.nodes)) - 1
            if last < 0:
                return None
            node = OpenNode(self.node_ids[last])
            node.reopen(self.nodes[last])
            self.open_node = node
        most_bytes: i64 = limits.stream_node_max_bytes
        if most_bytes == 0 or most_bytes > NODE_BYTES_MAX:
            most_bytes = NODE_BYTES_MAX
        if node.size() + content_bytes >= most_bytes:
            return None
        most_entries: i64 = limits.stream_node_max_entries
        if most_entries > 0 and node.live + node.deleted >= most_entries:
            return None
        return node

    # -- reading ------------------------------------------------------------------------------------------

    def write_range(
        self, out: BytesWriter, start: bytes, stop: bytes, count: i64, backward: bool, ids: list[bytes] | None
    ) -> i64:
        """Append up to `count` (0: all) entries from start to stop, both included, as replies; how many there were.

        `ids` collects their ids.
        """
        walk = StreamWalk(self, start, stop, backward)
        cursor = walk.cursor
        written: i64 = 0
        while walk.next():
            if ids is not None:
                ids.append(cursor.stream_id())
            write_entry(out, cursor)
            written += 1
            if written == count:
                break
        return written

    def entries(self) -> list[StreamEntry]:
        """All entries, in order."""
        return self.entries_from(ID_MIN, -1)

    def entries_from(self, start: bytes, limit: i64) -> list[StreamEntry]:
        """Up to `limit` (-1: all) entries whose ids are not below start."""
        result: list[StreamEntry] = []
        walk = StreamWalk(self, start, ID_MAX, False)
        while limit != 0 and walk.next():
            result.append(StreamEntry(walk.cursor.stream_id(), walk.cursor.flat()))
            limit -= 1
        return result

    def contains(self, stream_id: bytes) -> bool:
        return StreamWalk(self, stream_id, stream_id, False).next()

    def first_entry_id(self) -> bytes:
        """The id of the first entry, ID_MIN without one."""
        walk = StreamWalk(self, ID_MIN, ID_MAX, False)
        return walk.cursor.stream_id() if walk.next() else ID_MIN

    def last_entry_id(self) -> bytes:
        """The id of the last entry, ID_MIN without one."""
        if self.top_id == b"":
            walk = StreamWalk(self, ID_MIN, ID_MAX, True)
            self.top_id = walk.cursor.stream_id() if walk.next() else ID_MIN
        return self.top_id

    def first_kept_id(self) -> bytes:
        """The id of the first entry that is still held, be it a deleted one; ID_MAX where none is."""
        return self.node_ids[0] if self.node_ids else ID_MAX

    # -- removing -----------------------------------------------------------------------------------------

    def delete(self, stream_id: bytes) -> bool:
        """Delete one entry; the caller says renew_first_id() when the first one is gone."""
        walk = StreamWalk(self, stream_id, stream_id, False)
        if not walk.next():
            return False
        index: i64 = walk.index
        node = self.nodes[index]
        live: i64 = live_count(node)
        if live == 1:
            self.drop_nodes(index, index + 1)
        else:
            if index == i64(len(self.nodes)) - 1:
                self.close_last()
            self.put_node(index, with_deleted(node, [walk.cursor.at], live))
        self.entry_count -= 1
        self.top_id = b""
        if stream_id > self.max_deleted_id:
            self.max_deleted_id = stream_id
        return True

    def renew_first_id(self) -> None:
        """Find the first entry anew after the old one was deleted."""
        self.first_id = ID_MIN if self.entry_count == 0 else self.first_entry_id()

    def trim_to_length(self, most: i64, approximately: bool, limit: i64) -> i64:
        """Remove the oldest entries above `most`, no more than `limit` (0: any number); how many were removed.

        Approximately: whole nodes only.
        """
        if self.entry_count <= most:
            return 0
        return self.trim(most, None, approximately, limit)

    def trim_below(self, least_id: bytes, approximately: bool, limit: i64) -> i64:
        """Likewise the entries whose ids are below least_id."""
        return self.trim(0, least_id, approximately, limit)

    def trim(self, most: i64, least_id: bytes | None, approximately: bool, limit: i64) -> i64:
        cursor = NodeCursor()
        removed: i64 = 0
        index: i64 = 0
        n: i64 = len(self.nodes)
        while index < n and (least_id is not None or self.entry_count > most):
            if index == n - 1:
                self.settle()
            node = self.nodes[index]
            live: i64 = live_count(node)
            if limit > 0 and removed + live > limit:
                break
            whole: bool = self.entry_count - live >= most
            if least_id is not None:
                cursor.open(self.node_ids[index], node)
                cursor.read(cursor.before(cursor.end))
                whole = cursor.stream_id() < least_id
            if not whole:
                if not approximately:
                    cursor.open(self.node_ids[index], node)
                    removed += self.trim_node(index, cursor, most, least_id)
                break
            self.entry_count -= live
            removed += live
            index += 1
            self.first_id = ID_MIN
        if index > 0:
            self.drop_nodes(0, index)
        if self.entry_count == 0:
            self.top_id = ID_MIN
            self.first_id = ID_MIN
        elif self.first_id == ID_MIN:
            self.renew_first_id()
        return removed

    def trim_node(self, index: i64, cursor: NodeCursor, most: i64, least_id: bytes | None) -> i64:
        """Remove the oldest entries of the node that the cursor is in front of.

        Sets the stream's first id, to ID_MIN if the node has no live entry left.
        """
        positions: list[i64] = []
        live: i64 = live_count(cursor.node)
        pos: i64 = cursor.first_at
        while pos < cursor.end:
            cursor.read(pos)
            if least_id is None:
                if self.entry_count <= most:
                    break
            elif cursor.stream_id() >= least_id:
                break
            if cursor.flags & ENTRY_DELETED == 0:
                positions.append(pos)
                self.entry_count -= 1
            pos = cursor.after()
        while pos < cursor.end:
            cursor.read(pos)
            if cursor.flags & ENTRY_DELETED == 0:
                break
            pos = cursor.after()
        if positions:
            self.first_id = cursor.stream_id() if pos < cursor.end else ID_MIN
            if index == i64(len(self.nodes)) - 1:
                self.close_last()
            self.put_node(index, with_deleted(cursor.node, positions, live))
        return len(positions)

    # -- groups -------------------------------------------------------------------------------------------

    def add_group(self, name: bytes, last_id: bytes, entries_read: i64) -> ConsumerGroup:
        """A new group under a name that is free."""
        group = ConsumerGroup(last_id, entries_read, self.tally)
        self.groups[name] = group
        self.tally.bytes += GROUP_BYTES + len(name)
        return group

    def remove_group(self, name: bytes) -> None:
        group = self.groups.pop(name)
        for consumer in list(group.consumers.values()):
            consumer.pending.clear()
            self.tally.bytes -= CONSUMER_BYTES + len(consumer.name)
        group.pending.clear()
        self.tally.bytes -= GROUP_BYTES + len(name)

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
                return difference(self.entries_added, self.entry_count)
            if stream_id == self.first_id:
                return plus_one(difference(self.entries_added, self.entry_count))
        return ENTRIES_READ_UNKNOWN

    def may_have_gap_from(self, stream_id: bytes) -> bool:
        """Whether an entry at or above stream_id was deleted, as far as the counters tell."""
        if self.entry_count == 0 or self.max_deleted_id == ID_MIN:
            return False
        return stream_id <= self.max_deleted_id


def difference(count: i64, other: i64) -> i64:
    """count - other in 64 bits; `other` is a number of entries."""
    if count >= 0:
        return count - other
    return signed64((int(count) - int(other)) % _TWO_TO_64)


@final
class StreamWalk:
    """Goes over the entries from start to stop, both included, that are not deleted, in either direction.

    After next() `cursor` stands on one of them, in the node of number `index`. The stream must not change meanwhile.
    """

    def __init__(self, stream: Stream, start: bytes, stop: bytes, backward: bool) -> None:
        stream.settle()
        self.cursor: NodeCursor = NodeCursor()
        self.node_ids: list[bytes] = stream.node_ids
        self.nodes: list[bytes] = stream.nodes
        self.backward: bool = backward
        self.start_milliseconds: int = id_milliseconds(start)
        self.start_sequence: int = id_sequence(start)
        self.stop_milliseconds: int = id_milliseconds(stop)
        self.stop_sequence: int = id_sequence(stop)
        self.bounded: bool = (start != ID_MIN) if backward else (stop != ID_MAX)
        self.outside: bool = True  # the near end of the range is not reached yet
        self.begun: bool = False  # the cursor stands on an entry that was told
        self.index: i64
        if start > stop:
            self.index = -1 if backward else i64(len(self.nodes))
        elif backward:
            self.index = stream.node_of(stop) + 1
        else:
            self.index = max(stream.node_of(start), 0) - 1

    def next(self) -> bool:
        """Go to the next entry; False where there is none."""
        return self.next_backward() if self.backward else self.next_forward()

    def next_forward(self) -> bool:
        cursor = self.cursor
        pos: i64 = cursor.after() if self.begun else cursor.end
        n: i64 = len(self.nodes)
        while True:
            if pos >= cursor.end:
                self.index += 1
                if self.index >= n:
                    self.index = n
                    return False
                cursor.open(self.node_ids[self.index], self.nodes[self.index])
                pos = self.begin_near_end() if self.outside else cursor.first_at
                continue
            cursor.read(pos)
            if cursor.flags & ENTRY_DELETED == 0:
                if not self.outside or not cursor.is_below(self.start_milliseconds, self.start_sequence):
                    break
            pos = cursor.after()
        self.outside = False
        self.begun = True
        return not self.bounded or not cursor.is_above(self.stop_milliseconds, self.stop_sequence)

    def begin_near_end(self) -> i64:
        """Where to begin in the first node: at its end, if the range begins there.

        Who follows a stream wants but its last entries, and need not wade through the node for them.
        """
        cursor = self.cursor
        cursor.read(cursor.first_at)
        if not cursor.is_below(self.start_milliseconds, self.start_sequence):
            return cursor.first_at
        pos: i64 = cursor.end
        steps: i64 = STEPS_FROM_END
        while steps > 0:
            previous: i64 = cursor.before(pos)
            if previous < 0:
                break
            cursor.read(previous)
            if cursor.flags & ENTRY_DELETED == 0:
                if cursor.is_below(self.start_milliseconds, self.start_sequence):
                    return pos
            pos = previous
            steps -= 1
        return cursor.first_at

    def next_backward(self) -> bool:
        cursor = self.cursor
        pos: i64 = cursor.before(cursor.at) if self.begun else -1
        while True:
            if pos < 0:
                self.index -= 1
                if self.index < 0:
                    self.index = -1
                    return False
                cursor.open(self.node_ids[self.index], self.nodes[self.index])
                pos = cursor.before(cursor.end)
                continue
            cursor.read(pos)
            if cursor.flags & ENTRY_DELETED == 0:
                if not self.outside or not cursor.is_above(self.stop_milliseconds, self.stop_sequence):
                    break
            pos = cursor.before(pos)
        self.outside = False
        self.begun = True
        return not self.bounded or not cursor.is_below(self.start_milliseconds, self.start_sequence)
