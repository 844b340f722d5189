"""Listpacks: sequences of short elements, packed into one immutable `bytes`, in Redis's own byte format.

Owns the format; knows nothing of the types that are stored in it. Every function that changes a listpack
returns a new one.

    total bytes (u32 LE) | element count (u16 LE, 65535: unknown) | entry ... | 0xFF
    entry: encoding byte(s), data, then the length of both, readable backwards, 7 bits a byte

    0xxxxxxx           0 to 127               11110000 u32       string, up to 4 GiB
    10xxxxxx           string, up to 63       11110001 i16       integer
    110xxxxx x         13-bit integer         11110010 i24       integer
    1110xxxx x         string, up to 4095     11110011 i32       integer
                                              11110100 i64       integer

["a", "1024"] is 0d000000 0200 8161 02 c400 02 ff, with 1024 as the 13-bit integer 0x0400.

Invariants: an element that is a canonical decimal 64-bit integer is stored as the shortest integer, so an
integer entry and a string entry are never equal. All functions but `validate` trust their input; positions
are offsets of entries, -1 stands for the end.
"""

from typing import Final

from librt.strings import (
    BytesWriter,
    read_i16_le,
    read_i32_le,
    read_i64_le,
    write_i16_le,
    write_i32_le,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, u8

from gossamer.base.errors import CorruptError
from gossamer.base.numbers import format_int, parse_int64

HEADER_BYTES: Final = 6
COUNT_UNKNOWN: Final = 65535
EMPTY: Final = b"\x07\x00\x00\x00\x00\x00\xff"

# Above this length two strings are compared by slicing, below it byte by byte without an allocation.
SLICE_COMPARE_BYTES: Final = 24


# ---------------------------------------------------------------------------------------------- integers


def integer_bytes(value: i64) -> i64:
    """Size of the encoding and data of an integer entry, without its backlen."""
    if 0 <= value <= 127:
        return 1
    if -4096 <= value <= 4095:
        return 2
    if -32768 <= value <= 32767:
        return 3
    if -8388608 <= value <= 8388607:
        return 4
    if -2147483648 <= value <= 2147483647:
        return 5
    return 9


def _backlen_bytes(size: i64) -> i64:
    """How many bytes the length `size` of an entry takes behind it (the bounds are Redis's, one short)."""
    if size <= 127:
        return 1
    if size < 16383:
        return 2
    if size < 2097151:
        return 3
    if size < 268435455:
        return 4
    return 5


def _string_bytes(size: i64) -> i64:
    """Size of the encoding and data of a string entry, without its backlen."""
    if size < 64:
        return size + 1
    if size < 4096:
        return size + 2
    return size + 5


def encoded_size(element: bytes) -> i64:
    """Bytes that `element` takes in a listpack."""
    is_integer, value = parse_int64(element)
    body: i64 = integer_bytes(value) if is_integer else _string_bytes(len(element))
    return body + _backlen_bytes(body)


# ----------------------------------------------------------------------------------------------- writing


def write_integer(writer: BytesWriter, value: i64) -> None:
    if 0 <= value <= 127:
        writer.append(u8(value))
        writer.append(1)
    elif -4096 <= value <= 4095:
        writer.append(u8(0xC0 | ((value >> 8) & 0x1F)))
        writer.append(u8(value & 0xFF))
        writer.append(2)
    elif -32768 <= value <= 32767:
        writer.append(0xF1)
        write_i16_le(writer, i16(value))
        writer.append(3)
    elif -8388608 <= value <= 8388607:
        writer.append(0xF2)
        writer.append(u8(value & 0xFF))
        writer.append(u8((value >> 8) & 0xFF))
        writer.append(u8((value >> 16) & 0xFF))
        writer.append(4)
    elif -2147483648 <= value <= 2147483647:
        writer.append(0xF3)
        write_i32_le(writer, i32(value))
        writer.append(5)
    else:
        writer.append(0xF4)
        write_i64_le(writer, value)
        writer.append(9)


def _write_backlen(writer: BytesWriter, size: i64) -> None:
    count: i64 = _backlen_bytes(size)
    if count == 1:
        writer.append(u8(size))
        return
    shift: i64 = 7 * (count - 1)
    writer.append(u8((size >> shift) & 0x7F))
    while shift > 0:
        shift -= 7
        writer.append(u8(((size >> shift) & 0x7F) | 0x80))


def write_element(writer: BytesWriter, element: bytes) -> None:
    """Append one entry: integer-looking elements as integers, others as strings."""
    is_integer, value = parse_int64(element)
    if is_integer:
        write_integer(writer, value)
        return
    size: i64 = len(element)
    if size < 64:
        writer.append(u8(0x80 | size))
        writer.write(element)
        writer.append(u8(size + 1))
        return
    if size < 4096:
        writer.append(u8(0xE0 | (size >> 8)))
        writer.append(u8(size & 0xFF))
    else:
        writer.append(0xF0)
        writer.append(u8(size & 0xFF))
        writer.append(u8((size >> 8) & 0xFF))
        writer.append(u8((size >> 16) & 0xFF))
        writer.append(u8((size >> 24) & 0xFF))
    writer.write(element)
    _write_backlen(writer, _string_bytes(size))


def _set_header(writer: BytesWriter, total_bytes: i64, element_count: i64) -> None:
    """Fill in the first six bytes of what was written."""
    element_count = min(element_count, COUNT_UNKNOWN)
    writer[0] = u8(total_bytes & 0xFF)
    writer[1] = u8((total_bytes >> 8) & 0xFF)
    writer[2] = u8((total_bytes >> 16) & 0xFF)
    writer[3] = u8((total_bytes >> 24) & 0xFF)
    writer[4] = u8(element_count & 0xFF)
    writer[5] = u8((element_count >> 8) & 0xFF)


def finish(writer: BytesWriter, element_count: i64) -> bytes:
    """Terminate, fill in the header, and return the listpack."""
    writer.append(0xFF)
    _set_header(writer, len(writer), element_count)
    return writer.getvalue()


def _count_after(lp: bytes, change: i64) -> i64:
    """The count for the header after `change` elements more; an unknown count stays unknown."""
    known: i64 = header_count(lp)
    if known == COUNT_UNKNOWN:
        return COUNT_UNKNOWN
    return known + change


def encode(elements: list[bytes]) -> bytes:
    """A new listpack of `elements`."""
    writer = BytesWriter()
    writer.write(b"\x00\x00\x00\x00\x00\x00")
    for element in elements:
        write_element(writer, element)
    return finish(writer, len(elements))


def append(lp: bytes, element: bytes) -> bytes:
    writer = BytesWriter()
    writer.write(lp)
    writer.truncate(len(lp) - 1)
    write_element(writer, element)
    return finish(writer, _count_after(lp, 1))


def append_many(lp: bytes, elements: list[bytes]) -> bytes:
    writer = BytesWriter()
    writer.write(lp)
    writer.truncate(len(lp) - 1)
    for element in elements:
        write_element(writer, element)
    return finish(writer, _count_after(lp, len(elements)))


def prepend(lp: bytes, element: bytes) -> bytes:
    writer = BytesWriter()
    writer.write(b"\x00\x00\x00\x00\x00\x00")
    write_element(writer, element)
    writer.write(lp[HEADER_BYTES:])
    _set_header(writer, len(writer), _count_after(lp, 1))
    return writer.getvalue()


def insert_at(lp: bytes, pos: i64, elements: list[bytes]) -> bytes:
    """Insert `elements`, in their order, before the entry at `pos` (-1: at the end)."""
    if pos < 0:
        return append_many(lp, elements)
    writer = BytesWriter()
    writer.write(lp[:pos])
    for element in elements:
        write_element(writer, element)
    writer.write(lp[pos:])
    _set_header(writer, len(writer), _count_after(lp, len(elements)))
    return writer.getvalue()


def concatenate(lp: bytes, other: bytes) -> bytes:
    """The elements of `lp`, then those of `other`."""
    writer = BytesWriter()
    writer.write(lp)
    writer.truncate(len(lp) - 1)
    writer.write(other[HEADER_BYTES:])
    total: i64 = COUNT_UNKNOWN
    if header_count(lp) != COUNT_UNKNOWN and header_count(other) != COUNT_UNKNOWN:
        total = header_count(lp) + header_count(other)
    _set_header(writer, len(writer), total)
    return writer.getvalue()


def replace_at(lp: bytes, pos: i64, element: bytes) -> bytes:
    writer = BytesWriter()
    writer.write(lp[:pos])
    write_element(writer, element)
    writer.write(lp[pos + entry_bytes(lp, pos) :])
    _set_header(writer, len(writer), header_count(lp))
    return writer.getvalue()


def delete_at(lp: bytes, pos: i64, n: i64) -> bytes:
    """Remove up to `n` entries from `pos` on; a `pos` of -1 or an `n` of 0 changes nothing."""
    if pos < 0 or n <= 0:
        return lp
    end: i64 = len(lp) - 1
    stop: i64 = pos
    removed: i64 = 0
    while removed < n and stop < end:
        stop += entry_bytes(lp, stop)
        removed += 1
    writer = BytesWriter()
    writer.write(lp[:pos])
    writer.write(lp[stop:])
    _set_header(writer, len(writer), _count_after(lp, -removed))
    return writer.getvalue()


# ----------------------------------------------------------------------------------------------- reading


def header_count(lp: bytes) -> i64:
    """The count as the header states it: COUNT_UNKNOWN if it must be found by walking."""
    low: i64 = lp[4]
    high: i64 = lp[5]
    return low | (high << 8)


def count(lp: bytes) -> i64:
    """Number of elements."""
    known: i64 = header_count(lp)
    if known != COUNT_UNKNOWN:
        return known
    walked: i64 = 0
    end: i64 = len(lp) - 1
    pos: i64 = HEADER_BYTES
    while pos < end:
        pos += entry_bytes(lp, pos)
        walked += 1
    return walked


def _body_bytes(lp: bytes, pos: i64) -> i64:
    """Size of the encoding and data of the entry at `pos`."""
    byte: i64 = lp[pos]
    if byte < 0x80:
        return 1
    if byte < 0xC0:
        return (byte & 0x3F) + 1
    if byte < 0xE0:
        return 2
    low: i64
    if byte < 0xF0:
        low = lp[pos + 1]
        return (((byte & 0x0F) << 8) | low) + 2
    if byte == 0xF0:
        low = i64(read_i32_le(lp, pos + 1))
        return (low & 0xFFFFFFFF) + 5
    if byte == 0xF4:
        return 9
    return byte - 0xF1 + 3


def entry_bytes(lp: bytes, pos: i64) -> i64:
    """Size of the whole entry at `pos`."""
    byte: i64 = lp[pos]
    if byte < 0x80:
        return 2
    if byte < 0xC0:
        return (byte & 0x3F) + 2
    body: i64 = _body_bytes(lp, pos)
    return body + _backlen_bytes(body)


def first(lp: bytes) -> i64:
    return HEADER_BYTES if len(lp) > HEADER_BYTES + 1 else -1


def last(lp: bytes) -> i64:
    return previous_position(lp, len(lp) - 1)


def next_position(lp: bytes, pos: i64) -> i64:
    pos += entry_bytes(lp, pos)
    return pos if pos < len(lp) - 1 else -1


def previous_position(lp: bytes, pos: i64) -> i64:
    """The entry before `pos`, which may also be the offset of the terminator."""
    if pos <= HEADER_BYTES:
        return -1
    pos -= 1
    byte: i64 = lp[pos]
    body: i64 = byte & 0x7F
    shift: i64 = 7
    size: i64 = 1
    while byte & 0x80:
        byte = lp[pos - size]
        body |= (byte & 0x7F) << shift
        shift += 7
        size += 1
    return pos + 1 - size - body


def seek(lp: bytes, index: i64) -> i64:
    """Position of the element at `index` (negative: from the end), walking from the nearer end."""
    known: i64 = header_count(lp)
    pos: i64
    if known != COUNT_UNKNOWN:
        if index < 0:
            index += known
        if index < 0 or index >= known:
            return -1
        if index > known >> 1:
            index -= known
    if index >= 0:
        end: i64 = len(lp) - 1
        pos = HEADER_BYTES
        while pos < end:
            if index == 0:
                return pos
            pos += entry_bytes(lp, pos)
            index -= 1
        return -1
    pos = len(lp) - 1
    while index < 0 and pos >= 0:
        pos = previous_position(lp, pos)
        index += 1
    return pos


def is_integer_at(lp: bytes, pos: i64) -> bool:
    byte: i64 = lp[pos]
    return byte < 0x80 or (0xC0 <= byte < 0xE0) or byte > 0xF0


def integer_at(lp: bytes, pos: i64) -> i64:
    """The value of an integer entry."""
    byte: i64 = lp[pos]
    if byte < 0x80:
        return byte
    low: i64
    if byte < 0xE0:
        low = lp[pos + 1]
        value: i64 = ((byte & 0x1F) << 8) | low
        return value - 8192 if value >= 4096 else value
    if byte == 0xF1:
        return i64(read_i16_le(lp, pos + 1))
    if byte == 0xF2:
        low = lp[pos + 1]
        high: i64 = i64(read_i16_le(lp, pos + 2))
        return (high << 8) | low
    if byte == 0xF3:
        return i64(read_i32_le(lp, pos + 1))
    return read_i64_le(lp, pos + 1)


def string_start(lp: bytes, pos: i64) -> i64:
    """Offset of the data of the string entry at `pos`; it ends at `string_end`."""
    byte: i64 = lp[pos]
    if byte < 0xC0:
        return pos + 1
    return pos + 2 if byte < 0xF0 else pos + 5


def string_end(lp: bytes, pos: i64) -> i64:
    return pos + _body_bytes(lp, pos)


def element_at(lp: bytes, pos: i64) -> bytes:
    """The element at `pos`, an integer rendered as decimal."""
    byte: i64 = lp[pos]
    if 0x80 <= byte < 0xC0:
        return lp[pos + 1 : pos + 1 + (byte & 0x3F)]
    if is_integer_at(lp, pos):
        return format_int(integer_at(lp, pos))
    return lp[string_start(lp, pos) : string_end(lp, pos)]


def entries(lp: bytes) -> list[bytes]:
    """All elements, integers rendered as decimal."""
    result: list[bytes] = []
    end: i64 = len(lp) - 1
    pos: i64 = HEADER_BYTES
    while pos < end:
        result.append(element_at(lp, pos))
        pos += entry_bytes(lp, pos)
    return result


def _same_string(lp: bytes, start: i64, element: bytes, size: i64) -> bool:
    if size > SLICE_COMPARE_BYTES:
        return lp[start : start + size] == element
    index: i64 = 0
    while index < size:
        if lp[start + index] != element[index]:
            return False
        index += 1
    return True


def find(lp: bytes, start_pos: i64, element: bytes, skip: i64) -> i64:
    """Position of the first entry equal to `element`, looking at every (`skip` + 1)th from `start_pos` on."""
    if start_pos < 0:
        return -1
    is_integer, value = parse_int64(element)
    size: i64 = len(element)
    body: i64 = integer_bytes(value) if is_integer else _string_bytes(size)
    end: i64 = len(lp) - 1
    pos: i64 = start_pos
    to_skip: i64 = 0
    while pos < end:
        byte: i64 = lp[pos]
        entry: i64 = (byte & 0x3F) + 1 if 0x80 <= byte < 0xC0 else _body_bytes(lp, pos)
        if to_skip > 0:
            to_skip -= 1
        else:
            if is_integer_at(lp, pos):
                if is_integer and integer_at(lp, pos) == value:
                    return pos
            elif not is_integer:
                if entry == body and _same_string(lp, pos + entry - size, element, size):
                    return pos
            elif lp[string_start(lp, pos) : pos + entry] == element:
                return pos  # an integer that some foreign writer stored as a string
            to_skip = skip
        pos += entry + _backlen_bytes(entry)
    return -1


def remove_equal(lp: bytes, element: bytes, skip: i64, n: i64) -> bytes:
    """Remove up to `n` entries equal to `element`, but for the first `skip` of them."""
    pos: i64 = find(lp, first(lp), element, 0)
    while skip > 0 and pos >= 0:
        skip -= 1
        pos = find(lp, next_position(lp, pos), element, 0)
    if pos < 0:
        return lp
    writer = BytesWriter()
    kept: i64 = 0
    removed: i64 = 0
    while pos >= 0 and removed < n:
        writer.write(lp[kept:pos])
        kept = pos + entry_bytes(lp, pos)
        removed += 1
        pos = find(lp, kept, element, 0)
    writer.write(lp[kept:])
    _set_header(writer, len(writer), _count_after(lp, -removed))
    return writer.getvalue()


def equals_at(lp: bytes, pos: i64, element: bytes) -> bool:
    """Whether the entry at `pos` is equal to `element`."""
    if is_integer_at(lp, pos):
        is_integer, value = parse_int64(element)
        return is_integer and integer_at(lp, pos) == value
    start: i64 = string_start(lp, pos)
    size: i64 = len(element)
    return string_end(lp, pos) - start == size and _same_string(lp, start, element, size)


# -------------------------------------------------------------------------------------------- validation


def validate(lp: bytes, offset: i64 = 0) -> None:
    """Raise CorruptError (its offset counted from `offset`) unless `lp` is sound to the last byte."""
    size: i64 = len(lp)
    if size < HEADER_BYTES + 1:
        raise CorruptError("listpack is shorter than its header", offset)
    total: i64 = i64(read_i32_le(lp, 0))
    if total & 0xFFFFFFFF != size:
        raise CorruptError("listpack states another size than it has", offset)
    if lp[size - 1] != 0xFF:
        raise CorruptError("listpack is not terminated", offset + size - 1)
    end: i64 = size - 1
    pos: i64 = HEADER_BYTES
    walked: i64 = 0
    while pos < end:
        walked += 1
        # Most entries are small integers or short strings: one byte of encoding, one of length behind.
        byte: i64 = lp[pos]
        if byte < 0xE0:
            body: i64 = (byte & 63) + 1
            if byte < 0x80:
                body = 1
            elif byte >= 0xC0:
                body = 2
            if pos + body < end and lp[pos + body] == body:
                pos += body + 1
                continue
        pos = _validate_entry(lp, pos, end, offset)
    stated: i64 = header_count(lp)
    if stated != COUNT_UNKNOWN and stated != walked:
        raise CorruptError("listpack states another count than it has", offset + 4)


def _validate_entry(lp: bytes, pos: i64, end: i64, offset: i64) -> i64:
    """Check one entry that must end at or before `end`; return the position behind it."""
    byte: i64 = lp[pos]
    if byte > 0xF4:
        raise CorruptError("listpack entry has an unknown encoding", offset + pos)
    header: i64 = 1
    if byte == 0xF0:
        header = 5
    elif 0xE0 <= byte < 0xF0:
        header = 2
    if pos + header > end:
        raise CorruptError("listpack entry runs past the end", offset + pos)
    body: i64 = _body_bytes(lp, pos)
    backlen: i64 = _backlen_bytes(body)
    stop: i64 = pos + body + backlen
    if stop > end:
        raise CorruptError("listpack entry runs past the end", offset + pos)
    # The length behind the entry is read backwards, so its last byte holds the lowest bits.
    index: i64 = stop - 1
    remaining: i64 = body
    while index >= pos + body:
        expected: i64 = remaining & 0x7F
        if index > pos + body:
            expected |= 0x80
        if lp[index] != expected:
            raise CorruptError("listpack entry is followed by a wrong length", offset + index)
        remaining >>= 7
        index -= 1
    return stop
