"""Packed values in the forms of versions that know no listpacks.

Must not know which version needs them.
"""

from mypy_extensions import i64

from gossamer.datatypes import listpack
from gossamer.rdb.legacy import write_ziplist
from gossamer.rdb.output import Output


def write_plain(output: Output, packed: bytes, stride: i64) -> None:
    """The elements of a listpack as strings, behind the number of items, each of which has `stride` of them."""
    elements = listpack.entries(packed)
    output.length(len(elements) // stride)
    for element in elements:
        output.string(element)


def write_as_ziplist(output: Output, packed: bytes) -> None:
    """A listpack as a ziplist: scores stay spelled as they are, -0 for one."""
    output.string(write_ziplist(listpack.entries(packed)))
