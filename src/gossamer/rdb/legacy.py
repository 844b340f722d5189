"""The packed forms that Redis wrote before listpacks: ziplist (to 6.2), and zipmap (to 2.4), which is only read.

Both are taken apart into plain elements; nothing here knows of values or files beyond an offset for errors.

A ziplist, all numbers little-endian but the lengths of 14 and 32 bits:

    total bytes u32 | offset of the last entry u32 | count u16 (65535: unknown) | entry ... | FF
    entry: length of the entry before it | encoding | data

    entry before:  u8 below 254, or FE + u32
    00xxxxxx             string up to 63        11000000 i16      integer
    01xxxxxx xxxxxxxx    string up to 16383     11010000 i32
    10000000 u32 BE      string                 11100000 i64
                                                11110000 i24
                                                11111110 i8
                                                1111xxxx          0 to 12, as xxxx - 1

A zipmap holds fields and values in turn:

    count u8 (254: unknown) | ( length | field | length | free u8 | value | free bytes ) ... | FF
    length: u8 below 254, or FE + u32
"""

from typing import Final

from librt.strings import (
    BytesWriter,
    read_i16_le,
    read_i32_be,
    read_i32_le,
    read_i64_le,
    write_i16_le,
    write_i32_be,
    write_i32_le,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, u8

from gossamer.base.errors import CorruptError
from gossamer.base.numbers import format_int, is_int64, to_int64

_ZIPLIST_HEADER_BYTES: Final = 10
_COUNT_UNKNOWN: Final = 65535
_LONG_LENGTH: Final = 254
_END: Final = 255
_LONGEST_INTEGER: Final = 20


def write_ziplist(elements: list[bytes]) -> bytes:
    """A ziplist of these elements, each as the integer that it spells where it spells one."""
    body = BytesWriter()
    previous: i64 = 0
    tail: i64 = _ZIPLIST_HEADER_BYTES
    for element in elements:
        start: i64 = len(body)
        tail = _ZIPLIST_HEADER_BYTES + start
        if previous < _LONG_LENGTH:
            body.append(u8(previous & 0xFF))
        else:
            body.append(u8(_LONG_LENGTH))
            write_i32_le(body, i32(previous))
        if len(element) <= _LONGEST_INTEGER and is_int64(element):
            _write_ziplist_integer(body, to_int64(element))
        else:
            _write_ziplist_string(body, element)
        previous = len(body) - start
    whole = BytesWriter()
    write_i32_le(whole, i32(_ZIPLIST_HEADER_BYTES + len(body) + 1))
    write_i32_le(whole, i32(tail))
    count: i64 = len(elements)
    write_i16_le(whole, i16(count if count < _COUNT_UNKNOWN >> 1 else -1))
    whole.write(body.getvalue())
    whole.append(u8(_END))
    return whole.getvalue()


def _write_ziplist_integer(body: BytesWriter, value: i64) -> None:
    if 0 <= value <= 12:
        body.append(u8((0xF1 + value) & 0xFF))
    elif -0x80 <= value < 0x80:
        body.append(u8(0xFE))
        body.append(u8(value & 0xFF))
    elif -0x8000 <= value < 0x8000:
        body.append(u8(0xC0))
        write_i16_le(body, i16(value))
    elif -0x80000000 <= value < 0x80000000:
        body.append(u8(0xD0))
        write_i32_le(body, i32(value))
    else:
        body.append(u8(0xE0))
        write_i64_le(body, value)


def _write_ziplist_string(body: BytesWriter, element: bytes) -> None:
    size: i64 = len(element)
    if size < 1 << 6:
        body.append(u8(size & 0xFF))
    elif size < 1 << 14:
        body.append(u8(((size >> 8) | 0x40) & 0xFF))
        body.append(u8(size & 0xFF))
    else:
        body.append(u8(0x80))
        write_i32_be(body, i32(size))
    body.write(element)


def ziplist_entries(data: bytes, offset: i64) -> list[bytes]:
    """The elements of a ziplist, integers as decimal; every byte of it is checked."""
    size: i64 = len(data)
    if size < _ZIPLIST_HEADER_BYTES + 1:
        raise CorruptError("ziplist is shorter than its header", int(offset))
    if i64(read_i32_le(data, 0)) & 0xFFFFFFFF != size:
        raise CorruptError("ziplist states another size than it has", int(offset))
    end = size - 1
    if data[end] != _END:
        raise CorruptError("ziplist is not terminated", int(offset + end))
    elements: list[bytes] = []
    position: i64 = _ZIPLIST_HEADER_BYTES
    last: i64 = position
    previous: i64 = 0
    while position < end:
        start = position
        stated: i64 = data[position]
        position += 1
        if stated == _END:
            raise CorruptError("ziplist ends before its last byte", int(offset + start))
        if stated == _LONG_LENGTH:
            if position + 4 > end:
                raise CorruptError("ziplist entry runs past the end", int(offset + start))
            stated = i64(read_i32_le(data, position)) & 0xFFFFFFFF
            position += 4
        if stated != previous:
            raise CorruptError("ziplist entry states a wrong length before it", int(offset + start))
        if position >= end:
            raise CorruptError("ziplist entry runs past the end", int(offset + start))
        position = _ziplist_element(data, position, end, offset, elements)
        previous = position - start
        last = start
    if i64(read_i32_le(data, 4)) & 0xFFFFFFFF != last:
        raise CorruptError("ziplist states a wrong last entry", int(offset + 4))
    count = i64(read_i16_le(data, 8)) & 0xFFFF
    if count != _COUNT_UNKNOWN and count != len(elements):
        raise CorruptError("ziplist states another count than it has", int(offset + 8))
    return elements


def _ziplist_element(data: bytes, position: i64, end: i64, offset: i64, elements: list[bytes]) -> i64:
    """Append the element whose encoding byte stands at `position`; answer where the next entry begins."""
    code: i64 = data[position]
    kind = code >> 6
    start: i64 = position + 1
    size: i64 = 0
    if kind == 3:
        size = _ziplist_integer_bytes(code)
        if size < 0:
            raise CorruptError("ziplist entry has an unknown encoding", int(offset + position))
        if start + size > end:
            raise CorruptError("ziplist entry runs past the end", int(offset + position))
        elements.append(format_int(_ziplist_integer(data, start, code)))
        return start + size
    if kind == 0:
        size = code & 63
    elif kind == 1:
        start += 1
        if start > end:
            raise CorruptError("ziplist entry runs past the end", int(offset + position))
        size = ((code & 63) << 8) | data[start - 1]
    else:
        start += 4
        if start > end:
            raise CorruptError("ziplist entry runs past the end", int(offset + position))
        size = i64(read_i32_be(data, start - 4)) & 0xFFFFFFFF
    if start + size > end:
        raise CorruptError("ziplist entry runs past the end", int(offset + position))
    elements.append(data[start : start + size])
    return start + size


def _ziplist_integer_bytes(code: i64) -> i64:
    """Bytes behind the encoding byte of an integer, -1 if that byte is none."""
    if code == 0xC0:
        return 2
    if code == 0xD0:
        return 4
    if code == 0xE0:
        return 8
    if code == 0xF0:
        return 3
    if code == 0xFE:
        return 1
    if 0xF1 <= code <= 0xFD:
        return 0
    return -1


def _ziplist_integer(data: bytes, start: i64, code: i64) -> i64:
    if code == 0xC0:
        return i64(read_i16_le(data, start))
    if code == 0xD0:
        return i64(read_i32_le(data, start))
    if code == 0xE0:
        return read_i64_le(data, start)
    low: i64 = 0
    if code == 0xF0:
        low = data[start]
        return (i64(read_i16_le(data, start + 1)) << 8) | low
    if code == 0xFE:
        low = data[start]
        return low - 256 if low > 127 else low
    return (code & 15) - 1


def zipmap_entries(data: bytes, offset: i64) -> list[bytes]:
    """Field, value, field, value ... of a zipmap; every byte of it is checked."""
    size: i64 = len(data)
    if size < 2:
        raise CorruptError("zipmap is shorter than its header", int(offset))
    end = size - 1
    if data[end] != _END:
        raise CorruptError("zipmap is not terminated", int(offset + end))
    flat: list[bytes] = []
    position: i64 = 1
    while position < end:
        start = position
        for is_value in (0, 1):
            if position >= end:
                raise CorruptError("zipmap entry runs past the end", int(offset + start))
            length: i64 = data[position]
            position += 1
            if length == _END:
                raise CorruptError("zipmap ends before its last byte", int(offset + position - 1))
            if length == _LONG_LENGTH:
                if position + 4 > end:
                    raise CorruptError("zipmap entry runs past the end", int(offset + start))
                length = i64(read_i32_le(data, position)) & 0xFFFFFFFF
                position += 4
            free: i64 = 0
            if is_value == 1:
                if position >= end:
                    raise CorruptError("zipmap entry runs past the end", int(offset + start))
                free = data[position]
                position += 1
            if position + length + free > end:
                raise CorruptError("zipmap entry runs past the end", int(offset + start))
            flat.append(data[position : position + length])
            position += length + free
    count: i64 = data[0]
    if count < _LONG_LENGTH and count * 2 != len(flat):
        raise CorruptError("zipmap states another count than it has", int(offset))
    return flat
