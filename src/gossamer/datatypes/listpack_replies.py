"""Entries of a listpack as bulk strings of a reply, without an object per element.

Owns the one loop behind LRANGE, HGETALL, SMEMBERS, ZRANGE ... of packed values: short strings are moved eight
bytes at a time from the listpack into the reply buffer.
Knows the two formats and nothing else. Interpreted, the same loop is merely correct.
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i16_le, write_i32_le, write_i64_le
from mypy_extensions import i16, i32, i64, u8

from gossamer.base.numbers import decimal_bytes, format_int, write_decimal
from gossamer.datatypes import listpack

_CRLF: Final = 0x0A0D  # as a little-endian i16
_HEAD: Final = 0x0A0D3024  # "$0\r\n" as a little-endian i32; a length below 10 is added to its second byte
_HEAD_START: Final = (
    0x0D303024  # "$00\r", likewise with the tens in the second byte and the ones in the third
)
_READY_MADE: Final = 10000  # below, format_int looks its answer up
_COPY_BYTES: Final = 64  # longer strings are written as a slice


def write_head(out: BytesWriter, size: i64) -> None:
    """`$<size>\\r\\n`."""
    if size < 10:
        write_i32_le(out, i32(_HEAD + (size << 8)))
    elif size < 100:
        tens: i64 = size // 10
        write_i32_le(out, i32(_HEAD_START + (tens << 8) + ((size - tens * 10) << 16)))
        out.append(10)
    else:
        out.append(36)
        out.write(format_int(size))
        write_i16_le(out, i16(_CRLF))


def write_bulk(out: BytesWriter, element: bytes) -> None:
    write_head(out, len(element))
    out.write(element)
    write_i16_le(out, i16(_CRLF))


def write_integer_bulk(out: BytesWriter, value: i64) -> None:
    """An integer as a bulk string."""
    if 0 <= value < _READY_MADE:
        write_bulk(out, format_int(value))
        return
    write_head(out, decimal_bytes(value))
    write_decimal(out, value)
    write_i16_le(out, i16(_CRLF))


def write_entry(out: BytesWriter, lp: bytes, pos: i64) -> None:
    """The entry at `pos` as one bulk string."""
    byte: i64 = lp[pos]
    if listpack.is_integer_at(lp, pos):
        write_integer_bulk(out, listpack.integer_at(lp, pos))
        return
    start: i64 = pos + 1 if byte < 0xC0 else listpack.string_start(lp, pos)
    stop: i64 = start + (byte & 0x3F) if byte < 0xC0 else listpack.string_end(lp, pos)
    write_head(out, stop - start)
    if stop - start > _COPY_BYTES:
        out.write(lp[start:stop])
        write_i16_le(out, i16(_CRLF))
        return
    while start + 8 <= stop:
        write_i64_le(out, read_i64_le(lp, start))
        start += 8
    rest: i64 = stop - start
    if start + 8 <= len(lp):
        # One store for the rest; what it stored too much is cut off again.
        write_i64_le(out, read_i64_le(lp, start))
        out.truncate(len(out) - (8 - rest))
        start = stop
    while start < stop:
        out.append(u8(lp[start]))
        start += 1
    write_i16_le(out, i16(_CRLF))


def write_run(out: BytesWriter, lp: bytes, pos: i64, n: i64) -> i64:
    """Up to `n` entries from `pos` on, forwards, as bulk strings; returns how many there were."""
    end: i64 = len(lp) - 1
    written: i64 = 0
    while written < n and pos < end:
        write_entry(out, lp, pos)
        pos += listpack.entry_bytes(lp, pos)
        written += 1
    return written
