"""The nodes of a stream: neighbouring entries in one listpack, behind the id of the first of them.

Owns the layout of a node: reading it entry by entry, checking a foreign one, marking entries as deleted, and the
node at the end that is still being filled. Knows no streams.

    node listpack: master entry, then entries
    master:  count | deleted | number of fields | field ... | 0
    entry:   flags | ms - master's ms | seq - master's seq | [number of fields] | [field] value ... | back count

    flags    1 deleted    2 the fields are the master's, in its order: only values follow
    back count: how many listpack elements the entry has before this one

1-1 {a: x} and 1-2 {a: y} are the elements  2 0 1 a 0 | 2 0 0 x 4 | 2 0 1 y 4  behind the id 1-1.

Invariants: count and deleted of a node are its entries' without and with the flag; live entries ascend by id.
Differences are taken modulo 2^64.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.datatypes import listpack
from gossamer.datatypes.stream_ids import id_milliseconds, id_sequence, make_id, signed64

ENTRY_DELETED: Final = 1
ENTRY_SAME_FIELDS: Final = 2

_TWO_TO_64: Final = 1 << 64
_UNBOXED_MAX: Final = (1 << 61) - 1


def difference(value: int, base: int) -> i64:
    """value - base as 64 bits."""
    return signed64((value - base) % _TWO_TO_64)


@final
class NodeCursor:
    """Stands on one entry of a sound node after the other.

    After `read(pos)`: `at` is the entry's position, `flags` its flags, (`milliseconds`, `sequence`) its id,
    `pairs` how many fields it has, `values_at` the position of the first element behind the head (a field, or a
    value if the fields are the master's).
    """

    def __init__(self) -> None:
        self.node: bytes = b""
        self.end: i64 = 0
        self.base_milliseconds: int = 0
        self.base_sequence: int = 0
        self.field_count: i64 = 0
        self.fields_at: i64 = 0
        self.first_at: i64 = 0
        self.at: i64 = 0
        self.flags: i64 = 0
        self.milliseconds: int = 0
        self.sequence: int = 0
        self.pairs: i64 = 0
        self.values_at: i64 = 0
        self.next_at: i64 = -1  # where the next entry is, once that was found

    def open(self, node_id: bytes, node: bytes) -> None:
        """Stand before the first entry of a node."""
        self.node = node
        self.end = len(node) - 1
        self.base_milliseconds = id_milliseconds(node_id)
        self.base_sequence = id_sequence(node_id)
        pos: i64 = listpack.HEADER_BYTES
        pos += listpack.entry_bytes(node, pos)
        pos += listpack.entry_bytes(node, pos)
        self.field_count = listpack.integer_at(node, pos)
        pos += listpack.entry_bytes(node, pos)
        self.fields_at = pos
        pos = self.skip(pos, self.field_count)
        self.first_at = pos + listpack.entry_bytes(node, pos)

    def skip(self, pos: i64, count: i64) -> i64:
        """The position `count` elements after `pos`."""
        node = self.node
        while count > 0:
            pos += listpack.entry_bytes(node, pos)
            count -= 1
        return pos

    def read(self, pos: i64) -> None:
        """Stand on the entry at `pos`, which is before `end`."""
        node = self.node
        self.at = pos
        flags: i64 = listpack.integer_at(node, pos)
        self.flags = flags
        pos += listpack.entry_bytes(node, pos)
        milliseconds: int = self.base_milliseconds + int(listpack.integer_at(node, pos))
        pos += listpack.entry_bytes(node, pos)
        sequence: int = self.base_sequence + int(listpack.integer_at(node, pos))
        pos += listpack.entry_bytes(node, pos)
        if milliseconds < 0 or milliseconds > _UNBOXED_MAX:
            milliseconds %= _TWO_TO_64
        if sequence < 0 or sequence > _UNBOXED_MAX:
            sequence %= _TWO_TO_64
        self.milliseconds = milliseconds
        self.sequence = sequence
        if flags & ENTRY_SAME_FIELDS:
            self.pairs = self.field_count
        else:
            self.pairs = listpack.integer_at(node, pos)
            pos += listpack.entry_bytes(node, pos)
        self.values_at = pos
        self.next_at = -1

    def stream_id(self) -> bytes:
        return make_id(self.milliseconds, self.sequence)

    def after(self) -> i64:
        """Where the next entry is; `end` behind the last one."""
        if self.next_at < 0:
            elements: i64 = self.pairs if self.flags & ENTRY_SAME_FIELDS else 2 * self.pairs
            self.next_at = self.skip(self.values_at, elements + 1)
        return self.next_at

    def is_below(self, milliseconds: int, sequence: int) -> bool:
        """Whether the entry's id is below (milliseconds, sequence)."""
        if self.milliseconds != milliseconds:
            return self.milliseconds < milliseconds
        return self.sequence < sequence

    def is_above(self, milliseconds: int, sequence: int) -> bool:
        if self.milliseconds != milliseconds:
            return self.milliseconds > milliseconds
        return self.sequence > sequence

    def before(self, pos: i64) -> i64:
        """Where the entry before the one at `pos` is (or before `end`); -1 before the first."""
        if pos <= self.first_at:
            return -1
        node = self.node
        pos = listpack.previous_position(node, pos)
        back: i64 = listpack.integer_at(node, pos)
        while back > 0:
            pos = listpack.previous_position(node, pos)
            back -= 1
        return pos

    def flat(self) -> list[bytes]:
        """Field, value, field, value ... of the entry."""
        node = self.node
        result: list[bytes] = []
        pos: i64 = self.values_at
        if self.flags & ENTRY_SAME_FIELDS:
            field: i64 = self.fields_at
            n: i64 = self.pairs
            while n > 0:
                result.append(listpack.element_at(node, field))
                result.append(listpack.element_at(node, pos))
                field += listpack.entry_bytes(node, field)
                pos += listpack.entry_bytes(node, pos)
                n -= 1
            return result
        elements: i64 = 2 * self.pairs
        while elements > 0:
            result.append(listpack.element_at(node, pos))
            pos += listpack.entry_bytes(node, pos)
            elements -= 1
        return result


def live_count(node: bytes) -> i64:
    """How many entries of the node are not deleted."""
    return listpack.integer_at(node, listpack.HEADER_BYTES)


def with_deleted(node: bytes, positions: list[i64], live: i64) -> bytes:
    """The node with the live entries at these ascending positions marked as deleted, of `live` that it has."""
    deleted_at: i64 = listpack.HEADER_BYTES + listpack.entry_bytes(node, listpack.HEADER_BYTES)
    deleted: i64 = listpack.integer_at(node, deleted_at)
    changed: i64 = len(positions)
    writer = BytesWriter()
    writer.write(b"\x00\x00\x00\x00\x00\x00")
    listpack.write_integer(writer, live - changed)
    listpack.write_integer(writer, deleted + changed)
    kept: i64 = deleted_at + listpack.entry_bytes(node, deleted_at)
    for pos in positions:
        writer.write(node[kept:pos])
        listpack.write_integer(writer, listpack.integer_at(node, pos) | ENTRY_DELETED)
        kept = pos + listpack.entry_bytes(node, pos)
    writer.write(node[kept : len(node) - 1])
    return listpack.finish(writer, listpack.header_count(node))


@final
class OpenNode:
    """The last node of a stream while entries are added to it: the listpack behind its first two elements."""

    def __init__(self, node_id: bytes) -> None:
        self.node_id: bytes = node_id
        self.milliseconds: int = id_milliseconds(node_id)
        self.sequence: int = id_sequence(node_id)
        self.fields: list[bytes] = []
        self.live: i64 = 0
        self.deleted: i64 = 0
        self.elements: i64 = 0  # of the listpack; COUNT_UNKNOWN as its header has it
        self.body: BytesWriter = BytesWriter()

    def begin(self, argv: list[bytes], start: i64) -> None:
        """Give the new node the fields of its first entry, which stand from argv[start] on, each before a value."""
        size: i64 = len(argv)
        body = self.body
        listpack.write_integer(body, (size - start) >> 1)
        i: i64 = start
        while i < size:
            field = argv[i]
            self.fields.append(field)
            listpack.write_element(body, field)
            i += 2
        listpack.write_integer(body, 0)
        self.elements = len(self.fields) + 4

    def reopen(self, node: bytes) -> None:
        """Go on filling a node that was sealed."""
        pos: i64 = listpack.HEADER_BYTES
        self.live = listpack.integer_at(node, pos)
        pos += listpack.entry_bytes(node, pos)
        self.deleted = listpack.integer_at(node, pos)
        pos += listpack.entry_bytes(node, pos)
        self.body.write(node[pos : len(node) - 1])
        count: i64 = listpack.integer_at(node, pos)
        while count > 0:
            pos += listpack.entry_bytes(node, pos)
            self.fields.append(listpack.element_at(node, pos))
            count -= 1
        self.elements = listpack.header_count(node)

    def size(self) -> i64:
        """Bytes of the node as a listpack."""
        counts: i64 = listpack.integer_bytes(self.live) + listpack.integer_bytes(self.deleted) + 2
        return listpack.HEADER_BYTES + counts + len(self.body) + 1

    def has_fields(self, argv: list[bytes], start: i64) -> bool:
        """Whether the fields from argv[start] on are the master's, in its order."""
        fields = self.fields
        n: i64 = len(fields)
        if i64(len(argv)) - start != 2 * n:
            return False
        i: i64 = 0
        while i < n:
            if fields[i] != argv[start + 2 * i]:
                return False
            i += 1
        return True

    def append(self, milliseconds: int, sequence: int, argv: list[bytes], start: i64) -> None:
        """Add an entry whose fields and values stand from argv[start] on."""
        body = self.body
        size: i64 = len(argv)
        same: bool = self.has_fields(argv, start)
        listpack.write_integer(body, ENTRY_SAME_FIELDS if same else 0)
        listpack.write_integer(body, difference_of(milliseconds, self.milliseconds))
        listpack.write_integer(body, difference_of(sequence, self.sequence))
        i: i64 = start
        added: i64 = 3
        if same:
            i += 1
            while i < size:
                listpack.write_element(body, argv[i])
                added += 1
                i += 2
        else:
            listpack.write_integer(body, (size - start) >> 1)
            added += 1 + size - start
            while i < size:
                listpack.write_element(body, argv[i])
                i += 1
        listpack.write_integer(body, added)
        self.live += 1
        if self.elements != listpack.COUNT_UNKNOWN:
            self.elements = min(self.elements + added + 1, listpack.COUNT_UNKNOWN)

    def sealed(self) -> bytes:
        """The node as a listpack."""
        writer = BytesWriter()
        writer.write(b"\x00\x00\x00\x00\x00\x00")
        listpack.write_integer(writer, self.live)
        listpack.write_integer(writer, self.deleted)
        writer.write(self.body.getvalue())
        return listpack.finish(writer, self.elements)


def difference_of(value: int, base: int) -> i64:
    """value - base as 64 bits, without boxing where both are small."""
    if value <= _UNBOXED_MAX and base <= _UNBOXED_MAX:
        return i64(value) - i64(base)
    return difference(value, base)


# -- foreign nodes ---------------------------------------------------------------------------------------


@final
class _NodeChecker:
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

    def skip(self, count: i64) -> None:
        while count > 0:
            if self.position >= self.end:
                raise self.fail("Stream node ends inside an entry")
            self.position += listpack.entry_bytes(self.node, self.position)
            count -= 1


@final
class NodeFacts:
    """What check_node found: how many entries are live, the ids of the first and the last of them."""

    def __init__(self, live: i64, first_id: bytes, last_id: bytes) -> None:
        self.live: i64 = live
        self.first_id: bytes = first_id
        self.last_id: bytes = last_id


def check_node(node_id: bytes, node: bytes, offset: i64) -> NodeFacts:
    """Raise CorruptError unless the whole node is sound; both ids are empty in a node without live entries.

    The listpack's own structure must have been checked.
    """
    checker = _NodeChecker(node, offset)
    if checker.end <= checker.position:
        raise checker.fail("Stream node is empty")
    stated_live = checker.count()
    stated_deleted = checker.count()
    field_count = checker.count()
    checker.skip(field_count)
    if checker.integer() != 0:
        raise checker.fail("Stream node has no end of its master entry")
    base_milliseconds = id_milliseconds(node_id)
    base_sequence = id_sequence(node_id)
    facts = NodeFacts(0, b"", b"")
    deleted: i64 = 0
    while checker.position < checker.end:
        flags = checker.integer()
        if flags & ~(ENTRY_DELETED | ENTRY_SAME_FIELDS):
            raise checker.fail("Stream entry has unknown flags")
        milliseconds = (base_milliseconds + int(checker.integer())) % _TWO_TO_64
        sequence = (base_sequence + int(checker.integer())) % _TWO_TO_64
        if flags & ENTRY_DELETED:
            deleted += 1
        else:
            stream_id = make_id(milliseconds, sequence)
            if stream_id <= facts.last_id or stream_id < node_id:
                raise checker.fail("Stream entries are out of order")
            if facts.live == 0:
                facts.first_id = stream_id
            facts.last_id = stream_id
            facts.live += 1
        elements: i64 = 3 + field_count
        if flags & ENTRY_SAME_FIELDS:
            checker.skip(field_count)
        else:
            pairs = checker.count()
            elements = 4 + 2 * pairs
            checker.skip(2 * pairs)
        if checker.integer() != elements:
            raise checker.fail("Stream entry states a wrong number of elements")
    if facts.live + deleted == 0:
        raise checker.fail("Stream node has no entries")
    if facts.live != stated_live or deleted != stated_deleted:
        raise checker.fail("Stream node states another count than it has")
    return facts
