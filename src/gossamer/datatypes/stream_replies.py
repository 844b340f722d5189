"""Entries of a stream as replies, without an object per element: `[id, [field, value, ...]]`.

Knows the node format and the protocol, and nothing else. Both protocol versions have the same bytes here.
"""

from typing import Final

from librt.strings import BytesWriter, write_i16_le
from mypy_extensions import i16, i64

from gossamer.base.numbers import decimal_bytes, format_int, write_decimal
from gossamer.datatypes import listpack
from gossamer.datatypes.listpack_replies import write_bulk, write_head
from gossamer.datatypes.listpack_replies import write_entry as write_element
from gossamer.datatypes.stream_ids import format_id, make_id
from gossamer.datatypes.stream_nodes import ENTRY_SAME_FIELDS, NodeCursor

_CRLF: Final = 0x0A0D  # as a little-endian i16
_PLAIN_MAX: Final = (1 << 62) - 1


def write_id(out: BytesWriter, milliseconds: int, sequence: int) -> None:
    """An id as a bulk string."""
    if milliseconds > _PLAIN_MAX or sequence > _PLAIN_MAX:
        write_bulk(out, format_id(make_id(milliseconds, sequence)))
        return
    upper: i64 = i64(milliseconds)
    lower: i64 = i64(sequence)
    write_head(out, decimal_bytes(upper) + 1 + decimal_bytes(lower))
    write_decimal(out, upper)
    out.append(45)
    write_decimal(out, lower)
    write_i16_le(out, i16(_CRLF))


def write_entry(out: BytesWriter, cursor: NodeCursor) -> None:
    """The entry on which the cursor stands, as one reply."""
    node = cursor.node
    pairs: i64 = cursor.pairs
    out.write(b"*2\r\n")
    write_id(out, cursor.milliseconds, cursor.sequence)
    out.append(42)
    out.write(format_int(2 * pairs))
    write_i16_le(out, i16(_CRLF))
    pos: i64 = cursor.values_at
    if cursor.flags & ENTRY_SAME_FIELDS:
        field: i64 = cursor.fields_at
        while pairs > 0:
            write_element(out, node, field)
            field += listpack.entry_bytes(node, field)
            write_element(out, node, pos)
            pos += listpack.entry_bytes(node, pos)
            pairs -= 1
    else:
        pairs *= 2
        while pairs > 0:
            write_element(out, node, pos)
            pos += listpack.entry_bytes(node, pos)
            pairs -= 1
    cursor.next_at = pos + listpack.entry_bytes(node, pos)
