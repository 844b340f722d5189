"""The large form of a list: a row of nodes, of which only the two ends are open.

Owns where elements are held and when nodes are filled, split, merged and dropped (by Redis's rules, so that
DUMP and encodings agree); knows nothing of keys and clients.

    front (newest last) | nodes: sealed listpacks ... | back (newest last)

    list order:  front[-1] ... front[0], nodes[first] ... nodes[-1], back[0] ... back[-1]

A node is a sealed listpack, or one element that is too large to share a node, held as it is ("raw"). The few
elements at either end stand open in a Python list, so that pushing and popping cost no copy; they belong to
the first and to the last node, whose `count` and `size` include them. When an end has most_open() elements, the
inner half is sealed into its node in one go; when it is empty, half as many are taken out of its node.

Invariants: no node is empty, except for a moment inside a method; `length` is the sum of the nodes' counts;
nothing is open at an end whose node is raw; `nodes[:first]` is room for new first nodes.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.listpack_replies import write_bulk, write_run

OPEN_MAX: Final = 64
OPEN_MAX_OF_SMALL: Final = 32
SMALL_NODE_BYTES: Final = 2048
SAFETY_LIMIT_BYTES: Final = 8192  # of a node that is limited by count
COUNT_LIMIT_MAX: Final = 32767
ENTRY_OVERHEAD_BYTES: Final = 8  # what a new entry is expected to take beside its content
LISTPACK_OVERHEAD_BYTES: Final = 7
ZIPLIST_OVERHEAD_BYTES: Final = 11
PLAIN_NODES_COMPAT: Final = 80  # from here on an element beyond a node's limit gets a plain node

# What CPython takes: a Node with its slot in `nodes` and the header of its bytes; an open element; the rest.
NODE_BYTES: Final = 64 + 8 + 48
OPEN_ELEMENT_BYTES: Final = 8 + 48
QUICKLIST_BYTES: Final = 96 + 3 * 72


def limit_bytes(limits: Limits) -> i64:
    """The most bytes in a node by `list-max-listpack-size`; -1 if the limit is a count."""
    fill: i64 = limits.list_max_listpack_size
    if fill >= 0:
        return -1
    return 65536 if fill < -5 else 2048 << -fill


def limit_count(limits: Limits) -> i64:
    """The most elements in a node by `list-max-listpack-size`; -1 if the limit is in bytes."""
    fill: i64 = limits.list_max_listpack_size
    if fill < 0:
        return -1
    return 1 if fill == 0 else min(fill, COUNT_LIMIT_MAX)


def exceeds(limits: Limits, size: i64, count: i64) -> bool:
    """Whether a node of that size and count would be over the limit."""
    most_bytes: i64 = limit_bytes(limits)
    if most_bytes >= 0:
        return size > most_bytes
    return size > SAFETY_LIMIT_BYTES or count > limit_count(limits)


@final
class Node:
    """Neighbouring elements; `count` and `size` (as a whole listpack) include those that stand open."""

    def __init__(self, data: bytes, count: i64, size: i64, raw: bool) -> None:
        self.data: bytes = data
        self.count: i64 = count
        self.size: i64 = size
        self.raw: bool = raw


def most_open(node: Node) -> i64:
    """How many elements may stand open at an end: fewer in a small node, to which they would be a burden."""
    return OPEN_MAX if node.size >= SMALL_NODE_BYTES else OPEN_MAX_OF_SMALL


_ROOM: Final = Node(b"", 0, 0, False)  # fills nodes[:first]; never read


def packed_node(lp: bytes) -> Node:
    return Node(lp, listpack.count(lp), len(lp), False)


def raw_node(element: bytes) -> Node:
    return Node(element, 1, len(element), True)


@final
class Quicklist:
    """Elements in nodes. Indexes are counted from the first element and must be in range."""

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        # As in Redis a list keeps the node limits of its creation.
        most_bytes: i64 = limit_bytes(limits)
        self.most_bytes: i64 = most_bytes if most_bytes >= 0 else SAFETY_LIMIT_BYTES
        self.most_count: i64 = limit_count(limits)
        self.nodes: list[Node] = []
        self.first: i64 = 0
        self.front: list[bytes] = []
        self.back: list[bytes] = []
        self.length: i64 = 0
        self.nodes_bytes: i64 = 0

    def node_count(self) -> i64:
        return len(self.nodes) - self.first

    def memory_bytes(self) -> i64:
        """Resident bytes; an open element's content counts in its node's size."""
        open_elements: i64 = len(self.front) + len(self.back)
        return (
            QUICKLIST_BYTES
            + self.nodes_bytes
            + NODE_BYTES * self.node_count()
            + OPEN_ELEMENT_BYTES * open_elements
        )

    # -- nodes --------------------------------------------------------------------------------------------

    def allows(self, node: Node, size: i64) -> bool:
        """Whether one more element of that size may go into the node."""
        if node.raw or node.size + size + ENTRY_OVERHEAD_BYTES > self.most_bytes:
            return False
        return self.most_count < 0 or node.count < self.most_count

    def stands_alone(self, size: i64) -> bool:
        """Whether DEBUG QUICKLIST-PACKED-THRESHOLD gives an element of that size a node wherever it comes."""
        threshold: i64 = self.limits.list_packed_threshold_bytes
        return threshold != 0 and size >= threshold

    def splits_for(self, size: i64) -> bool:
        """Whether an element of that size gets a plain node between others."""
        if self.limits.list_packed_threshold_bytes != 0:
            return self.stands_alone(size)
        return self.limits.compat >= PLAIN_NODES_COMPAT and size > self.most_bytes

    def add_first_node(self, node: Node) -> None:
        if self.first == 0:
            room: i64 = max(8, len(self.nodes) // 2)
            self.nodes[0:0] = [_ROOM] * int(room)
            self.first = room
        self.first -= 1
        self.nodes[self.first] = node
        self.note_added(node)

    def add_last_node(self, node: Node) -> None:
        self.nodes.append(node)
        self.note_added(node)

    def add_node(self, at: i64, node: Node) -> None:
        """Put a node at `nodes[at]`."""
        if at == self.first:
            self.add_first_node(node)
        else:
            self.nodes.insert(at, node)
            self.note_added(node)

    def note_added(self, node: Node) -> None:
        self.length += node.count
        self.nodes_bytes += node.size

    def drop_nodes(self, start: i64, stop: i64) -> None:
        """Remove `nodes[start:stop]`, of which nothing stands open."""
        at: i64 = start
        while at < stop:
            node = self.nodes[at]
            self.length -= node.count
            self.nodes_bytes -= node.size
            at += 1
        if start == self.first and stop < len(self.nodes):
            at = start
            while at < stop:
                self.nodes[at] = _ROOM
                at += 1
            self.first = stop
            if self.first > 64 and self.first * 2 > len(self.nodes):
                del self.nodes[: self.first]
                self.first = 0
        else:
            del self.nodes[start:stop]

    def put_data(self, at: i64, lp: bytes, count: i64) -> None:
        """Give the node at `at`, of which nothing stands open, another content; an empty one drops it."""
        node = self.nodes[at]
        self.length += count - node.count
        self.nodes_bytes += len(lp) - node.size
        node.data = lp
        node.raw = False
        node.count = count
        node.size = len(lp)
        if count == 0:
            self.drop_nodes(at, at + 1)

    def seal_front(self, keep: i64) -> None:
        """Move all but the outermost `keep` open elements of the front into the first node."""
        front = self.front
        stop: i64 = len(front) - keep
        if stop <= 0:
            return
        moved = front[:stop]
        moved.reverse()
        node = self.nodes[self.first]
        node.data = listpack.insert_at(node.data, listpack.first(node.data), moved)
        del front[:stop]

    def seal_back(self, keep: i64) -> None:
        """Move all but the outermost `keep` open elements of the back into the last node."""
        back = self.back
        stop: i64 = len(back) - keep
        if stop <= 0:
            return
        node = self.nodes[len(self.nodes) - 1]
        node.data = listpack.append_many(node.data, back if keep == 0 else back[:stop])
        del back[:stop]

    def settle(self) -> None:
        """Seal everything: every element is then in its node."""
        self.seal_front(0)
        self.seal_back(0)

    # -- the ends -----------------------------------------------------------------------------------------

    def push_front(self, element: bytes, ruled: bool) -> None:
        """Add a first element; unless `ruled`, into the first node however full it is."""
        size: i64 = len(element)
        alone: bool = ruled and self.stands_alone(size)
        if alone or self.node_count() == 0 or (ruled and not self.allows(self.nodes[self.first], size)):
            self.seal_front(0)
            if alone or (ruled and size > self.most_bytes):
                self.add_first_node(raw_node(element))
                return
            self.add_first_node(packed_node(listpack.EMPTY))
        node = self.nodes[self.first]
        entry: i64 = listpack.encoded_size(element)
        node.count += 1
        node.size += entry
        self.nodes_bytes += entry
        self.length += 1
        self.front.append(element)
        open_max: i64 = most_open(node)
        if len(self.front) >= open_max:
            self.seal_front(open_max // 2)

    def push_back(self, element: bytes, ruled: bool) -> None:
        """Add a last element; unless `ruled`, into the last node however full it is."""
        size: i64 = len(element)
        alone: bool = ruled and self.stands_alone(size)
        if (
            alone
            or self.node_count() == 0
            or (ruled and not self.allows(self.nodes[len(self.nodes) - 1], size))
        ):
            self.seal_back(0)
            if alone or (ruled and size > self.most_bytes):
                self.add_last_node(raw_node(element))
                return
            self.add_last_node(packed_node(listpack.EMPTY))
        node = self.nodes[len(self.nodes) - 1]
        entry: i64 = listpack.encoded_size(element)
        node.count += 1
        node.size += entry
        self.nodes_bytes += entry
        self.length += 1
        self.back.append(element)
        open_max: i64 = most_open(node)
        if len(self.back) >= open_max:
            self.seal_back(open_max // 2)

    def pop_front(self) -> bytes:
        """Remove the first element."""
        node = self.nodes[self.first]
        if node.raw:
            self.drop_nodes(self.first, self.first + 1)
            return node.data
        if len(self.front) == 0:
            self.open_front(node)
        element = self.front.pop()
        self.note_popped(node, element)
        if node.count == 0:
            self.drop_nodes(self.first, self.first + 1)
        return element

    def pop_back(self) -> bytes:
        """Remove the last element."""
        last: i64 = len(self.nodes) - 1
        node = self.nodes[last]
        if node.raw:
            self.drop_nodes(last, last + 1)
            return node.data
        if len(self.back) == 0:
            self.open_back(node)
        element = self.back.pop()
        self.note_popped(node, element)
        if node.count == 0:
            self.drop_nodes(last, last + 1)
        return element

    def note_popped(self, node: Node, element: bytes) -> None:
        entry: i64 = listpack.encoded_size(element)
        node.count -= 1
        node.size -= entry
        self.nodes_bytes -= entry
        self.length -= 1

    def open_front(self, node: Node) -> None:
        """Fill the empty front from the first node, or from the back if the node has nothing else."""
        lp = node.data
        end: i64 = len(lp) - 1
        if end == listpack.HEADER_BYTES:
            half: i64 = (len(self.back) + 1) // 2
            self.front = self.back[:half]
            self.front.reverse()
            del self.back[:half]
            return
        taken: list[bytes] = []
        pos: i64 = listpack.HEADER_BYTES
        n: i64 = 0
        most: i64 = most_open(node) // 2
        while n < most and pos < end:
            taken.append(listpack.element_at(lp, pos))
            pos += listpack.entry_bytes(lp, pos)
            n += 1
        node.data = listpack.delete_at(lp, listpack.HEADER_BYTES, n)
        self.note_opened(node, len(lp) - len(node.data), taken)
        taken.reverse()
        self.front = taken

    def open_back(self, node: Node) -> None:
        """Fill the empty back from the last node, or from the front if the node has nothing else."""
        lp = node.data
        if len(lp) - 1 == listpack.HEADER_BYTES:
            half: i64 = (len(self.front) + 1) // 2
            self.back = self.front[:half]
            self.back.reverse()
            del self.front[:half]
            return
        taken: list[bytes] = []
        pos: i64 = len(lp) - 1
        n: i64 = 0
        most: i64 = most_open(node) // 2
        while n < most and pos > listpack.HEADER_BYTES:
            pos = listpack.previous_position(lp, pos)
            taken.append(listpack.element_at(lp, pos))
            n += 1
        node.data = listpack.delete_at(lp, pos, n)
        self.note_opened(node, len(lp) - len(node.data), taken)
        taken.reverse()
        self.back = taken

    def note_opened(self, node: Node, entries_bytes: i64, taken: list[bytes]) -> None:
        """Correct the node's size where a foreign writer had encoded the taken entries unlike us."""
        for element in taken:
            entries_bytes -= listpack.encoded_size(element)
        node.size -= entries_bytes
        self.nodes_bytes -= entries_bytes

    # -- reading ------------------------------------------------------------------------------------------

    def locate(self, index: i64) -> tuple[i64, i64]:
        """The node that holds the element at `index` (as a position in `nodes`) and its index in there."""
        at: i64
        if index < self.length >> 1:
            at = self.first
            while index >= self.nodes[at].count:
                index -= self.nodes[at].count
                at += 1
            return at, index
        at = len(self.nodes) - 1
        index = self.length - index
        while index > self.nodes[at].count:
            index -= self.nodes[at].count
            at -= 1
        return at, self.nodes[at].count - index

    def get(self, index: i64) -> bytes:
        fronts: i64 = len(self.front)
        if index < fronts:
            return self.front[fronts - 1 - index]
        back_start: i64 = self.length - len(self.back)
        if index >= back_start:
            return self.back[index - back_start]
        at, offset = self.locate(index)
        node = self.nodes[at]
        if node.raw:
            return node.data
        if at == self.first:
            offset -= fronts
        return listpack.element_at(node.data, listpack.seek(node.data, offset))

    def write_range(self, out: BytesWriter, start: i64, n: i64) -> None:
        """The `n` elements from `start` on as bulk strings, without a head."""
        fronts: i64 = len(self.front)
        while start < fronts and n > 0:
            write_bulk(out, self.front[fronts - 1 - start])
            start += 1
            n -= 1
        back_start: i64 = self.length - len(self.back)
        sealed: i64 = min(n, back_start - start)
        if sealed > 0:
            n -= sealed
            at, offset = self.locate(start)
            if at == self.first:
                offset -= fronts
            while sealed > 0:
                node = self.nodes[at]
                if node.raw:
                    write_bulk(out, node.data)
                    sealed -= 1
                else:
                    sealed -= write_run(out, node.data, listpack.seek(node.data, offset), sealed)
                offset = 0
                at += 1
            start = back_start
        while n > 0:
            write_bulk(out, self.back[start - back_start])
            start += 1
            n -= 1

    def elements(self) -> list[bytes]:
        """All elements in order."""
        result = self.front[:]
        result.reverse()
        at: i64 = self.first
        while at < len(self.nodes):
            node = self.nodes[at]
            if node.raw:
                result.append(node.data)
            else:
                result.extend(listpack.entries(node.data))
            at += 1
        result.extend(self.back)
        return result

    def copy(self) -> "Quicklist":
        """An independent list of the same elements."""
        self.settle()
        result = Quicklist(self.limits)
        at: i64 = self.first
        while at < len(self.nodes):
            node = self.nodes[at]
            result.add_last_node(Node(node.data, node.count, node.size, node.raw))
            at += 1
        return result

    # -- changing the middle ------------------------------------------------------------------------------

    def delete_range(self, start: i64, n: i64) -> None:
        """Remove `n` elements from `start` on."""
        if n <= OPEN_MAX and (start == 0 or start + n == self.length):
            at_front: bool = start == 0
            while n > 0:
                if at_front:
                    self.pop_front()
                else:
                    self.pop_back()
                n -= 1
            return
        self.settle()
        at, offset = self.locate(start)
        node = self.nodes[at]
        if offset > 0:
            removed: i64 = min(n, node.count - offset)
            lp = listpack.delete_at(node.data, listpack.seek(node.data, offset), removed)
            self.put_data(at, lp, node.count - removed)
            n -= removed
            at += 1
        stop: i64 = at
        while stop < len(self.nodes) and n >= self.nodes[stop].count:
            n -= self.nodes[stop].count
            stop += 1
        if n > 0:
            node = self.nodes[stop]
            lp = listpack.delete_at(node.data, listpack.HEADER_BYTES, n)
            self.put_data(stop, lp, node.count - n)
        if stop > at:
            self.drop_nodes(at, stop)

    def insert(self, index: i64, element: bytes, after: bool, ruled: bool) -> None:
        """Add an element beside the one at `index`; unless `ruled`, into that one's node however full."""
        self.settle()
        at, offset = self.locate(index)
        node = self.nodes[at]
        size: i64 = len(element)
        before: i64 = offset + 1 if after else offset  # in the node, what the new element stands before
        if not ruled or (self.allows(node, size) and not self.stands_alone(size)):
            self.insert_into(at, before, element)
            return
        at_edge: bool = before == (node.count if after else 0)
        neighbour: i64 = at + 1 if after else at - 1
        if self.splits_for(size):
            if not at_edge:
                self.split(at, before)
            self.add_node(at + 1 if after or not at_edge else at, raw_node(element))
        elif not at_edge:
            self.split(at, before)
            if after:
                self.insert_into(at + 1, 0, element)
                self.merge_around(at)
            else:
                self.insert_into(at, before, element)
                self.merge_around(at + 1)
        elif self.first <= neighbour < len(self.nodes) and self.allows(self.nodes[neighbour], size):
            self.insert_into(neighbour, 0 if after else self.nodes[neighbour].count, element)
        else:
            fresh = raw_node(element)
            if size <= self.most_bytes:
                fresh = packed_node(listpack.encode([element]))
            self.add_node(at + 1 if after else at, fresh)

    def insert_into(self, at: i64, offset: i64, element: bytes) -> None:
        node = self.nodes[at]
        pos: i64 = listpack.seek(node.data, offset) if offset < node.count else -1
        self.put_data(at, listpack.insert_at(node.data, pos, [element]), node.count + 1)

    def split(self, at: i64, offset: i64) -> None:
        """Divide a node in two, the second beginning at what was `offset`."""
        node = self.nodes[at]
        lp = node.data
        pos: i64 = listpack.seek(lp, offset)
        total: i64 = node.count
        self.put_data(at, listpack.delete_at(lp, pos, total - offset), offset)
        second = listpack.delete_at(lp, listpack.HEADER_BYTES, offset)
        self.add_node(at + 1, Node(second, total - offset, len(second), False))

    def merge_around(self, at: i64) -> None:
        """Merge small neighbours: the two before `at`, the two behind it, then `at` with either side."""
        if self.merge(at - 2):
            at -= 1
        self.merge(at + 1)
        if self.merge(at - 1):
            at -= 1
        self.merge(at)

    def merge(self, at: i64) -> bool:
        """Join the nodes at `at` and `at` + 1, if both are there and fit into one."""
        if at < self.first or at + 1 >= len(self.nodes):
            return False
        node = self.nodes[at]
        other = self.nodes[at + 1]
        # Redis 7.0 still takes off the overhead of a ziplist.
        overhead: i64 = LISTPACK_OVERHEAD_BYTES if self.limits.compat >= 72 else ZIPLIST_OVERHEAD_BYTES
        size: i64 = node.size + other.size - overhead
        count: i64 = node.count + other.count
        if node.raw or other.raw or size > self.most_bytes or 0 <= self.most_count < count:
            return False
        lp = listpack.concatenate(node.data, other.data)
        self.drop_nodes(at + 1, at + 2)
        self.put_data(at, lp, count)
        return True

    def replace(self, index: i64, element: bytes, ruled: bool) -> None:
        """Put another element in the place of the one at `index`."""
        self.settle()
        at, offset = self.locate(index)
        node = self.nodes[at]
        large: bool = ruled and (len(element) > self.most_bytes or self.stands_alone(len(element)))
        splits: bool = (
            self.limits.compat >= PLAIN_NODES_COMPAT or self.limits.list_packed_threshold_bytes != 0
        )
        if node.raw and large:
            self.nodes_bytes += len(element) - node.size
            node.data = element
            node.size = len(element)
        elif node.raw and splits:
            self.insert(index, element, True, ruled)
            self.drop_nodes(at, at + 1)
        elif node.raw:
            self.put_data(at, listpack.encode([element]), 1)
        elif large and splits:
            if offset < node.count - 1:
                self.split(at, offset + 1)
            self.add_node(at + 1, raw_node(element))
            lp = listpack.delete_at(node.data, listpack.last(node.data), 1)
            self.put_data(at, lp, node.count - 1)
            if node.count > 0:
                self.merge_around(at + 1)
        else:
            lp = listpack.replace_at(node.data, listpack.seek(node.data, offset), element)
            self.put_data(at, lp, node.count)
