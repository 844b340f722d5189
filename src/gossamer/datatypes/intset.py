"""Intsets: sorted sets of 64-bit integers, packed into one immutable `bytes`, in Redis's own byte format.

Owns the format; knows nothing of the set type that uses it. A function that changes an intset returns a new
one, or the very same object if nothing had to change.

    width (u32 LE: 2, 4 or 8) | count (u32 LE) | signed little-endian integers of that width, ascending

{-1, 500} is 02000000 02000000 ffff f401.

Invariants: values ascend strictly; the width only grows (as in Redis, removing never narrows it). All
functions but `validate` trust their input.
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
from mypy_extensions import i16, i32, i64

from gossamer.base.errors import CorruptError

HEADER_BYTES: Final = 8
EMPTY: Final = b"\x02\x00\x00\x00\x00\x00\x00\x00"


def _width_of(value: i64) -> i64:
    if -32768 <= value <= 32767:
        return 2
    if -2147483648 <= value <= 2147483647:
        return 4
    return 8


def _write_value(writer: BytesWriter, value: i64, width: i64) -> None:
    if width == 2:
        write_i16_le(writer, i16(value))
    elif width == 4:
        write_i32_le(writer, i32(value))
    else:
        write_i64_le(writer, value)


def _read_value(data: bytes, index: i64, width: i64) -> i64:
    if width == 2:
        return i64(read_i16_le(data, HEADER_BYTES + index * 2))
    if width == 4:
        return i64(read_i32_le(data, HEADER_BYTES + index * 4))
    return read_i64_le(data, HEADER_BYTES + index * 8)


def _start(width: i64, element_count: i64) -> BytesWriter:
    writer = BytesWriter()
    write_i32_le(writer, i32(width))
    write_i32_le(writer, i32(element_count))
    return writer


def encode(values: list[int]) -> bytes:
    """An intset of `values`, which must ascend strictly."""
    width: i64 = 2
    if len(values) > 0:
        # Sorted, so the widest is at one of the ends.
        width = max(_width_of(values[0]), _width_of(values[len(values) - 1]))
    writer = _start(width, len(values))
    for value in values:
        _write_value(writer, value, width)
    return writer.getvalue()


def count(data: bytes) -> i64:
    return i64(read_i32_le(data, 4))


def get(data: bytes, index: i64) -> i64:
    """The value at `index`, counted from the smallest."""
    return _read_value(data, index, data[0])


def values(data: bytes) -> list[int]:
    """All values, ascending."""
    width: i64 = data[0]
    size: i64 = count(data)
    result: list[int] = []
    index: i64 = 0
    while index < size:
        result.append(_read_value(data, index, width))
        index += 1
    return result


def search(data: bytes, value: i64) -> i64:
    """Index of the first value that is not less than `value`; the count if there is none."""
    width: i64 = data[0]
    low: i64 = 0
    high: i64 = count(data)
    if high > 0 and _read_value(data, high - 1, width) < value:
        return high
    while low < high:
        middle: i64 = (low + high) >> 1
        if _read_value(data, middle, width) < value:
            low = middle + 1
        else:
            high = middle
    return low


def contains(data: bytes, value: i64) -> bool:
    index: i64 = search(data, value)
    return index < count(data) and get(data, index) == value


def add(data: bytes, value: i64) -> bytes:
    """The set with `value`; the same object if it was there."""
    width: i64 = data[0]
    size: i64 = count(data)
    needed: i64 = _width_of(value)
    if needed > width:
        return _widen(data, value, width, needed)
    index: i64 = search(data, value)
    if index < size and _read_value(data, index, width) == value:
        return data
    writer = _start(width, size + 1)
    split: i64 = HEADER_BYTES + index * width
    if index > 0:
        writer.write(data[HEADER_BYTES:split])
    _write_value(writer, value, width)
    if index < size:
        writer.write(data[split:])
    return writer.getvalue()


def _widen(data: bytes, value: i64, width: i64, needed: i64) -> bytes:
    """The set with `value`, too wide to be present: it goes to the front or the back of all others."""
    size: i64 = count(data)
    writer = _start(needed, size + 1)
    if value < 0:
        _write_value(writer, value, needed)
    index: i64 = 0
    while index < size:
        _write_value(writer, _read_value(data, index, width), needed)
        index += 1
    if value >= 0:
        _write_value(writer, value, needed)
    return writer.getvalue()


def remove_index(data: bytes, index: i64) -> bytes:
    """The set without the value at `index`."""
    width: i64 = data[0]
    split: i64 = HEADER_BYTES + index * width
    writer = _start(width, count(data) - 1)
    writer.write(data[HEADER_BYTES:split])
    writer.write(data[split + width :])
    return writer.getvalue()


def remove(data: bytes, value: i64) -> bytes:
    """The set without `value`; the same object if it was not there."""
    index: i64 = search(data, value)
    if index >= count(data) or get(data, index) != value:
        return data
    return remove_index(data, index)


def validate(data: bytes, offset: i64 = 0) -> None:
    """Raise CorruptError (its offset counted from `offset`) unless `data` is sound to the last byte."""
    size: i64 = len(data)
    if size < HEADER_BYTES:
        raise CorruptError("intset is shorter than its header", offset)
    width: i64 = i64(read_i32_le(data, 0))
    if width != 2 and width != 4 and width != 8:
        raise CorruptError("intset has an unknown width", offset)
    stated: i64 = i64(read_i32_le(data, 4)) & 0xFFFFFFFF
    if HEADER_BYTES + stated * width != size:
        raise CorruptError("intset states another count than it has", offset + 4)
    if stated == 0:
        raise CorruptError("intset is empty", offset + 4)
    previous: i64 = _read_value(data, 0, width)
    index: i64 = 1
    while index < stated:
        value: i64 = _read_value(data, index, width)
        if value <= previous:
            raise CorruptError("intset is out of order", offset + HEADER_BYTES + index * width)
        previous = value
        index += 1
