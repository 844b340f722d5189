"""The list value: one listpack while small, a quicklist when large.

Owns the choice between the two forms, the encoding that is reported, and the operations of the list commands;
knows neither keys nor clients.

Two thresholds are not the same. What a server *reports* (`listpack` or `quicklist`) follows its own rules,
kept in `grown`: Redis 7.0 knows only quicklists; later ones convert a listpack that would exceed
`list-max-listpack-size`, and a quicklist back when one node is left that fills at most half of it. How a list
is *held* is our own affair: above PACKED_MAX_BYTES, copying all for every push costs more than a quicklist.

Invariants: a list in the packed form is not `grown`; a list that is not `grown` (where that counts) has at
most one node, whose fill no rule bounds.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.listpack_replies import write_run
from gossamer.datatypes.quicklist import (
    PLAIN_NODES_COMPAT,
    Node,
    Quicklist,
    exceeds,
    limit_bytes,
    limit_count,
    packed_node,
    raw_node,
)
from gossamer.datatypes.value import BYTES_OVERHEAD, KIND_LIST_LISTPACK, KIND_OBJECT, OBJECT_BYTES, Value
from gossamer.resp.writer import ReplyWriter

PACKED_MAX_BYTES: Final = 1024
LISTPACK_ENCODING_COMPAT: Final = 72  # from here on small lists are reported as listpacks
ENTRY_OVERHEAD_MAX_BYTES: Final = 10

PLAIN: Final = 1  # containers of a node in RDB
PACKED: Final = 2


@final
class List(Value):
    """A list. Indexes count from 0 and must be in range; commands resolve negative ones."""

    def __init__(self, limits: Limits, packed: bytes) -> None:
        self.ref = -1
        self.accounted = 0
        self.limits: Limits = limits
        self.lp: bytes = packed  # in the packed form, that is, while quick is None
        self.quick: Quicklist | None = None
        self.grown: bool = False

    @staticmethod
    def create(limits: Limits) -> "List":
        return List(limits, listpack.EMPTY)

    @staticmethod
    def from_packed(packed: bytes, limits: Limits) -> "List":
        """Over the bytes that packed() gave."""
        return List(limits, packed)

    @staticmethod
    def from_nodes(containers: list[int], nodes: list[bytes], limits: Limits) -> "List":
        """From RDB: of each node the container and the bytes (a sound listpack, not empty, or an element)."""
        quick = Quicklist(limits)
        index: i64 = 0
        while index < len(nodes):
            data = nodes[index]
            quick.add_last_node(raw_node(data) if containers[index] == PLAIN else packed_node(data))
            index += 1
        result = List(limits, listpack.EMPTY)
        result.quick = quick
        result.convert_loaded()
        return result

    @staticmethod
    def from_elements(elements: list[bytes], limits: Limits) -> "List":
        """From its elements, in nodes as pushing one after another makes them."""
        result = List(limits, listpack.EMPTY)
        quick = Quicklist(limits)
        result.quick = quick
        for element in elements:
            quick.push_back(element, True)
        result.convert_loaded()
        return result

    # -- what every value has -----------------------------------------------------------------------------

    def type_name(self) -> bytes:
        return b"list"

    def encoding(self) -> bytes:
        if self.grown or self.limits.compat < LISTPACK_ENCODING_COMPAT:
            return b"quicklist"
        return b"listpack"

    def length(self) -> i64:
        quick = self.quick
        return listpack.count(self.lp) if quick is None else quick.length

    def packed(self) -> bytes | None:
        return self.lp if self.quick is None else None

    def packed_kind(self) -> i64:
        return KIND_LIST_LISTPACK if self.quick is None else KIND_OBJECT

    def memory_bytes(self) -> i64:
        quick = self.quick
        if quick is None:
            return OBJECT_BYTES + BYTES_OVERHEAD + len(self.lp)
        return OBJECT_BYTES + quick.memory_bytes()

    def copy(self) -> "List":
        """An independent list of the same elements."""
        result = List(self.limits, self.lp)
        quick = self.quick
        if quick is not None:
            result.quick = quick.copy()
            result.grown = self.grown
        return result

    # -- forms --------------------------------------------------------------------------------------------

    def ruled(self) -> bool:
        """Whether nodes are filled by the rules of a quicklist."""
        return self.grown or self.limits.compat < LISTPACK_ENCODING_COMPAT

    def open(self) -> Quicklist:
        """Go over to the large form."""
        quick = self.quick
        if quick is None:
            quick = Quicklist(self.limits)
            if len(self.lp) > listpack.HEADER_BYTES + 1:
                quick.add_last_node(packed_node(self.lp))
            self.quick = quick
            self.lp = listpack.EMPTY
        return quick

    def prepare_growth(self, added_bytes: i64, added: i64) -> Quicklist | None:
        """Choose the form before elements of `added_bytes` come; None: they may go into the listpack."""
        quick = self.quick
        if self.grown:
            return quick
        size: i64
        count: i64
        if quick is None:
            size = len(self.lp)
            count = listpack.count(self.lp)
        else:
            size = quick.nodes_bytes
            count = quick.length
        if self.limits.compat >= LISTPACK_ENCODING_COMPAT:
            if exceeds(self.limits, size + added_bytes, count + added):
                self.grown = True
                return self.open()
        elif quick is None:
            most: i64 = limit_count(self.limits)
            if most >= 0 and count + added > most:
                return self.open()
        if quick is None and size + added_bytes + ENTRY_OVERHEAD_MAX_BYTES * added > PACKED_MAX_BYTES:
            return self.open()
        return quick

    def shrink(self) -> None:
        """Choose the form after elements went; does nothing to an empty list."""
        quick = self.quick
        if quick is None or quick.node_count() != 1:
            return
        node = quick.nodes[quick.first]
        if node.raw:
            return
        if self.grown:
            if not self.fits_listpack(node, 2):
                return
            self.grown = False
        if node.size <= PACKED_MAX_BYTES // 2:
            quick.settle()
            self.lp = node.data
            self.quick = None

    def fits_listpack(self, node: Node, divisor: i64) -> bool:
        """Whether the only node is small enough, by the limit over `divisor`, to be reported as a listpack."""
        most_bytes: i64 = limit_bytes(self.limits)
        if most_bytes >= 0:
            return node.size <= most_bytes // divisor
        return node.count <= limit_count(self.limits) // divisor

    def convert_loaded(self) -> None:
        """Choose the form of a list that was just loaded into nodes."""
        quick = self.quick
        assert quick is not None
        self.grown = self.limits.compat >= LISTPACK_ENCODING_COMPAT
        if quick.node_count() != 1:
            return
        node = quick.nodes[quick.first]
        if not node.raw and self.fits_listpack(node, 1):
            self.grown = False
            if node.size <= PACKED_MAX_BYTES:
                quick.settle()
                self.lp = node.data
                self.quick = None

    # -- the ends -----------------------------------------------------------------------------------------

    def push(self, argv: list[bytes], start: i64, at_front: bool) -> None:
        """Push the elements argv[start:], one after another."""
        total: i64 = len(argv)
        added_bytes: i64 = 0
        index: i64 = start
        while index < total:
            added_bytes += len(argv[index])
            index += 1
        quick = self.prepare_growth(added_bytes, total - start)
        if quick is not None:
            ruled: bool = self.ruled()
            index = start
            while index < total:
                if at_front:
                    quick.push_front(argv[index], ruled)
                else:
                    quick.push_back(argv[index], ruled)
                index += 1
        elif total - start == 1:
            element = argv[start]
            self.lp = listpack.prepend(self.lp, element) if at_front else listpack.append(self.lp, element)
        else:
            elements = argv[start:]
            if at_front:
                elements.reverse()
                self.lp = listpack.insert_at(self.lp, listpack.first(self.lp), elements)
            else:
                self.lp = listpack.append_many(self.lp, elements)

    def pop(self, at_front: bool) -> bytes:
        """Remove the first or last element of a list that is not empty; shrink() must follow the last pop."""
        quick = self.quick
        if quick is not None:
            return quick.pop_front() if at_front else quick.pop_back()
        lp = self.lp
        pos: i64 = listpack.first(lp) if at_front else listpack.last(lp)
        self.lp = listpack.delete_at(lp, pos, 1)
        return listpack.element_at(lp, pos)

    # -- reading ------------------------------------------------------------------------------------------

    def get(self, index: i64) -> bytes:
        quick = self.quick
        if quick is not None:
            return quick.get(index)
        return listpack.element_at(self.lp, listpack.seek(self.lp, index))

    def write_range(self, reply: ReplyWriter, start: i64, n: i64) -> None:
        """The `n` elements from `start` on as bulk strings, without a head."""
        quick = self.quick
        if quick is not None:
            quick.write_range(reply.out, start, n)
        elif n > 0:
            write_run(reply.out, self.lp, listpack.seek(self.lp, start), n)

    def elements(self) -> list[bytes]:
        """All elements in order."""
        quick = self.quick
        return listpack.entries(self.lp) if quick is None else quick.elements()

    def sealed_nodes(self) -> list[Node]:
        """The nodes, nothing standing open; of the packed form one. Not to be changed."""
        quick = self.quick
        if quick is None:
            return [packed_node(self.lp)]
        quick.settle()
        return quick.nodes[quick.first :]

    def has_plain_nodes(self) -> bool:
        """Whether an element that has a node of its own is held there as it is."""
        return self.limits.compat >= PLAIN_NODES_COMPAT or self.limits.list_packed_threshold_bytes != 0

    def node_containers(self) -> list[int]:
        """Per node, PLAIN or PACKED: how RDB is to hold it."""
        plain_nodes = self.has_plain_nodes()
        return [PLAIN if node.raw and plain_nodes else PACKED for node in self.sealed_nodes()]

    def node_data(self) -> list[bytes]:
        """Per node, the bytes that RDB holds: a listpack, or the element itself if its container is PLAIN."""
        plain_nodes = self.has_plain_nodes()
        return [
            listpack.encode([node.data]) if node.raw and not plain_nodes else node.data
            for node in self.sealed_nodes()
        ]

    def positions(self, element: bytes, rank: i64, limit: i64, most_compared: i64) -> list[int]:
        """Indexes of elements equal to `element`.

        The search starts with the `rank`th match (negative: from the end) and stops after `limit` matches or
        `most_compared` comparisons (0: no limit).
        """
        result: list[int] = []
        backwards: bool = rank < 0
        to_skip: i64 = -rank - 1 if backwards else rank - 1
        nodes = self.sealed_nodes()
        total: i64 = self.length()
        compared: i64 = 0
        done: i64 = 0
        while done < len(nodes):
            node = nodes[len(nodes) - 1 - done if backwards else done]
            done += 1
            data = node.data
            pos: i64 = 0
            if not node.raw:
                pos = listpack.last(data) if backwards else listpack.first(data)
            while pos >= 0:
                if node.raw:
                    equal = data == element
                    pos = -1
                else:
                    equal = listpack.equals_at(data, pos, element)
                    pos = (
                        listpack.previous_position(data, pos)
                        if backwards
                        else listpack.next_position(data, pos)
                    )
                if equal:
                    if to_skip > 0:
                        to_skip -= 1
                    else:
                        result.append(total - 1 - compared if backwards else compared)
                        if len(result) == limit:
                            return result
                compared += 1
                if compared == most_compared:
                    return result
        return result

    # -- changing -----------------------------------------------------------------------------------------

    def set(self, index: i64, element: bytes) -> None:
        """Replace the element at `index`; prepare_growth() must go before it."""
        quick = self.quick
        if quick is None:
            self.lp = listpack.replace_at(self.lp, listpack.seek(self.lp, index), element)
        else:
            quick.replace(index, element, self.ruled())
        self.shrink()

    def insert(self, pivot: bytes, element: bytes, after: bool) -> bool:
        """Insert beside the first element equal to `pivot`; False where there is none."""
        quick = self.prepare_growth(len(element), 1)
        found = self.positions(pivot, 1, 1, 0)
        if len(found) == 0:
            return False
        index: i64 = found[0]
        if quick is None:
            if after:
                index += 1
            self.lp = listpack.insert_at(self.lp, listpack.seek(self.lp, index), [element])
        else:
            quick.insert(index, element, after, self.ruled())
        return True

    def delete_range(self, start: i64, n: i64) -> None:
        """Remove `n` elements from `start` on; shrink() must follow."""
        if n <= 0:
            return
        quick = self.quick
        if quick is not None:
            quick.delete_range(start, n)
        else:
            self.lp = listpack.delete_at(self.lp, listpack.seek(self.lp, start), n)

    def remove(self, element: bytes, limit: i64) -> i64:
        """Remove elements equal to `element`: the first `limit`, the last -`limit`, or all (0); how many."""
        backwards: bool = limit < 0
        left: i64 = -limit if backwards else limit
        if left == 0:
            left = self.length()
        quick = self.quick
        before: i64 = self.length()
        if quick is None:
            self.lp = _remove_equal(self.lp, element, left, backwards)
            return before - self.length()
        quick.settle()
        passed: i64 = 0  # nodes that stay, counted from the end where the search began
        while left > 0 and passed < quick.node_count():
            at: i64 = len(quick.nodes) - 1 - passed if backwards else quick.first + passed
            node = quick.nodes[at]
            count: i64 = node.count
            kept: i64 = count
            if node.raw:
                if node.data == element:
                    quick.drop_nodes(at, at + 1)
                    kept = 0
            else:
                lp = _remove_equal(node.data, element, left, backwards)
                if lp is not node.data:
                    kept = listpack.count(lp)
                    quick.put_data(at, lp, kept)
            left -= count - kept
            if kept > 0:
                passed += 1
        return before - quick.length


def _remove_equal(lp: bytes, element: bytes, limit: i64, backwards: bool) -> bytes:
    skip: i64 = 0
    if backwards:
        matches: i64 = 0
        pos: i64 = listpack.find(lp, listpack.first(lp), element, 0)
        while pos >= 0:
            matches += 1
            pos = listpack.find(lp, listpack.next_position(lp, pos), element, 0)
        skip = max(0, matches - limit)
    return listpack.remove_equal(lp, element, skip, limit)
