"""Writes the primitive forms of RDB (bytes, lengths, strings, times). Knows no value type.

Owns the choice of a string's form: a small integer, LZF, or plain.
"""

from collections.abc import Callable
from typing import Final, final

from librt.strings import (
    BytesWriter,
    write_f64_le,
    write_i16_le,
    write_i32_be,
    write_i32_le,
    write_i64_be,
    write_i64_le,
)
from mypy_extensions import i16, i32, i64, u8

from gossamer.rdb.format import COMPRESS_MIN_BYTES, VERSION_DEFAULT
from gossamer.rdb.lzf import Compressor

FLUSH_BYTES: Final = 1 << 17

_TWO_TO_63: Final = 1 << 63
_TWO_TO_64: Final = 1 << 64


@final
class Output:
    """Collects RDB bytes; `version` decides in which forms values may be written.

    With a `sink` a long output leaves in pieces whenever a value or a part of one is complete; without it
    everything stays until `drain`. No `compressor`: strings are written as they are.
    """

    def __init__(
        self,
        version: int = VERSION_DEFAULT,
        compressor: Compressor | None = None,
        sink: Callable[[bytes], None] | None = None,
    ) -> None:
        self.version: i64 = version
        self.compressor: Compressor | None = compressor
        self.sink: Callable[[bytes], None] | None = sink
        self.writer: BytesWriter = BytesWriter()

    def size(self) -> i64:
        return len(self.writer)

    def drain(self) -> bytes:
        """What was written since the last call."""
        data = self.writer.getvalue()
        self.writer = BytesWriter()
        return data

    def flush_if_large(self) -> None:
        """Hand to the sink what was collected, if that is worth it."""
        if len(self.writer) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        sink = self.sink
        if sink is not None and len(self.writer) > 0:
            sink(self.drain())

    def byte(self, value: i64) -> None:
        self.writer.append(u8(value))

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def int64(self, value: i64) -> None:
        write_i64_le(self.writer, value)

    def double(self, value: float) -> None:
        write_f64_le(self.writer, value)

    def length(self, value: i64) -> None:
        writer = self.writer
        if value < 64:
            writer.append(u8(value))
        elif value < 16384:
            writer.append(u8(0x40 | (value >> 8)))
            writer.append(u8(value & 0xFF))
        elif value < 0x80000000:
            writer.append(u8(0x80))
            write_i32_be(writer, i32(value))
        else:
            self._long_length(value)

    def _long_length(self, value: i64) -> None:
        writer = self.writer
        if value > 0xFFFFFFFF:
            writer.append(u8(0x81))
            write_i64_be(writer, value)
        else:
            writer.append(u8(0x80))
            write_i32_be(writer, i32(value - 0x100000000))

    def unsigned(self, value: int) -> None:
        """A number in length form over the whole of 64 bits."""
        if value < _TWO_TO_63:
            self.length(value)
        else:
            self.writer.append(u8(0x81))
            write_i64_be(self.writer, value - _TWO_TO_64)

    def string(self, data: bytes) -> None:
        """A string in its shortest usual form, as Redis chooses it."""
        size: i64 = len(data)
        if size < 12:
            if size > 0 and self._integer(data, size):
                return
            writer = self.writer
            writer.append(u8(size))
            writer.write(data)
            return
        if size >= COMPRESS_MIN_BYTES:
            compressor = self.compressor
            if compressor is not None:
                compressed = compressor.compress(data)
                if compressed is not None:
                    self.writer.append(u8(0xC3))
                    self.length(len(compressed))
                    self.length(size)
                    self.writer.write(compressed)
                    return
        self.length(size)
        self.writer.write(data)

    def _integer(self, data: bytes, size: i64) -> bool:
        """Write `data` as a 32-bit integer if it is the canonical text of one."""
        position: i64 = 0
        negative = data[0] == 45
        if negative:
            position = 1
            if size == 1:
                return False
        first: i64 = data[position]
        if first < 49 or first > 57:
            if first != 48 or size != 1:
                return False
        value: i64 = 0
        while position < size:
            digit: i64 = i64(data[position]) - 48
            if digit < 0 or digit > 9:
                return False
            value = value * 10 + digit
            position += 1
        if negative:
            value = -value
        writer = self.writer
        if -128 <= value <= 127:
            writer.append(u8(0xC0))
            writer.append(u8(value & 0xFF))
        elif -32768 <= value <= 32767:
            writer.append(u8(0xC1))
            write_i16_le(writer, i16(value))
        elif -0x80000000 <= value <= 0x7FFFFFFF:
            writer.append(u8(0xC2))
            write_i32_le(writer, i32(value))
        else:
            return False
        return True
