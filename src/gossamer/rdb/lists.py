"""Lists in RDB, in every form ever written.

    LIST              count | element ...                       strings
    LIST_ZIPLIST      one string: a ziplist                     to 3.0
    LIST_QUICKLIST    nodes count | node ...                    strings, each a ziplist; to 6.2
    LIST_QUICKLIST_2  nodes count | ( container | node ) ...    since 7.0

    container 1: the node is one element, as it is    2: the node is a listpack

Written is LIST_QUICKLIST_2, whose nodes go out and come in as they are; before version 10 it is LIST.
"""

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.lists import PACKED_MAX_BYTES, List
from gossamer.datatypes.quicklist import PLAIN_NODES_COMPAT, exceeds
from gossamer.rdb.format import (
    QUICKLIST_NODE_PACKED,
    QUICKLIST_NODE_PLAIN,
    TYPE_LIST,
    TYPE_LIST_QUICKLIST,
    TYPE_LIST_QUICKLIST_2,
    VERSION_WITH_LISTPACKS,
)
from gossamer.rdb.input import Input
from gossamer.rdb.legacy import ziplist_entries
from gossamer.rdb.output import Output
from gossamer.rdb.plain import write_plain
from gossamer.rdb.sanitize import checked_count


def read_list(source: Input, value_type: i64, limits: Limits) -> List:
    if value_type == TYPE_LIST_QUICKLIST_2:
        return _read_quicklist_2(source, limits)
    elements: list[bytes] = []
    if value_type == TYPE_LIST:
        count = source.count(1)
        while len(elements) < count:
            elements.append(source.string())
        return List.from_elements(elements, limits)
    nodes: i64 = source.count(1) if value_type == TYPE_LIST_QUICKLIST else 1
    while nodes > 0:
        offset = source.offset()
        elements.extend(ziplist_entries(source.string(), offset))
        nodes -= 1
    return List.from_elements(elements, limits)


def _read_quicklist_2(source: Input, limits: Limits) -> List:
    rest = source.count(2)
    is_single = rest == 1
    containers: list[int] = []
    nodes: list[bytes] = []
    while rest > 0:
        container = source.length()
        offset = source.offset()
        data = source.string()
        rest -= 1
        if container == QUICKLIST_NODE_PACKED:
            count = checked_count(data, offset)
            if is_single and len(data) <= PACKED_MAX_BYTES and not exceeds(limits, len(data), count):
                return List.from_packed(data, limits)
            if count == 0:
                continue
        elif container != QUICKLIST_NODE_PLAIN:
            raise source.fail_at("List has a node of an unknown kind", offset)
        elif not data:
            raise source.fail_at("List has a node of its own for an empty element", offset)
        containers.append(int(container))
        nodes.append(data)
    return List.from_nodes(containers, nodes, limits)


def list_type(version: i64) -> i64:
    """The form in which a list is written."""
    return TYPE_LIST_QUICKLIST_2 if version >= VERSION_WITH_LISTPACKS else TYPE_LIST


def write_single_node(output: Output, packed: bytes) -> None:
    """A list that is one listpack."""
    if output.version < VERSION_WITH_LISTPACKS:
        write_plain(output, packed, 1)
        return
    output.length(1)
    output.length(QUICKLIST_NODE_PACKED)
    output.string(packed)


def write_list(output: Output, value: List) -> None:
    """The value, without its type byte."""
    if value.quick is None:
        write_single_node(output, value.lp)
        return
    plain_nodes = value.limits.compat >= PLAIN_NODES_COMPAT
    nodes = value.sealed_nodes()
    if output.version < VERSION_WITH_LISTPACKS:
        output.length(value.length())
        for node in nodes:
            for element in [node.data] if node.raw else listpack.entries(node.data):
                output.string(element)
            output.flush_if_large()
        return
    output.length(len(nodes))
    for node in nodes:
        if node.raw and plain_nodes:
            output.length(QUICKLIST_NODE_PLAIN)
            output.string(node.data)
        else:
            output.length(QUICKLIST_NODE_PACKED)
            output.string(listpack.encode([node.data]) if node.raw else node.data)
        output.flush_if_large()
