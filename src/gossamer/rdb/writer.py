"""Writes an RDB file into a sink: header, auxiliary fields, functions, databases, keys, end, check sum.

The caller says what stands in it, in that order; nothing here walks a keyspace or opens a file.
"""

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from gossamer.datatypes.value import Value
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.format import (
    HEADER_BYTES,
    MAGIC_REDIS,
    MAGIC_VALKEY,
    OPCODE_AUX,
    OPCODE_EOF,
    OPCODE_EXPIRE_TIME_MS,
    OPCODE_FREQUENCY,
    OPCODE_IDLE,
    OPCODE_RESIZE_DB,
    OPCODE_SELECT_DB,
    VERSION_DEFAULT,
    VERSION_OLDEST_WRITTEN,
    VERSION_VALKEY,
    VERSION_WITH_LISTPACKS,
)
from gossamer.rdb.functions import write_function
from gossamer.rdb.lzf import Compressor
from gossamer.rdb.output import Output
from gossamer.rdb.values import packed_type, value_type_of, write_packed, write_value

VERSIONS_WRITTEN: Final = (VERSION_OLDEST_WRITTEN, 10, 11, 12, VERSION_VALKEY)


@final
class Writer:
    """One file. `write` takes the bytes as they become due, in pieces of some hundred KiB."""

    def __init__(
        self,
        write: Callable[[bytes], None],
        version: int = VERSION_DEFAULT,
        compress: bool = True,
        checksum: bool = True,
    ) -> None:
        assert version in VERSIONS_WRITTEN
        self.write: Callable[[bytes], None] = write
        self.checksum_enabled: bool = checksum
        self.checksum: int = 0
        self.written_bytes: i64 = 0
        self.output: Output = Output(version, Compressor() if compress else None, self._emit)

    def _emit(self, data: bytes) -> None:
        if self.checksum_enabled:
            self.checksum = crc64(data, self.checksum)
        self.written_bytes += len(data)
        self.write(data)

    def begin(self) -> None:
        version = self.output.version
        magic = MAGIC_VALKEY if version == VERSION_VALKEY else MAGIC_REDIS
        self.output.raw(magic + (b"%d" % version).rjust(HEADER_BYTES - len(magic), b"0"))

    def aux(self, name: bytes, value: bytes) -> None:
        output = self.output
        output.byte(OPCODE_AUX)
        output.string(name)
        output.string(value)

    def function(self, code: bytes) -> None:
        """A function library; versions before it knew any leave it out."""
        if self.output.version < VERSION_WITH_LISTPACKS:
            return
        write_function(self.output, code)
        self.output.flush_if_large()

    def database(self, index: i64, keys: i64, expires: i64) -> None:
        """Begin a database of so many keys, so many of them with an expiry."""
        output = self.output
        output.byte(OPCODE_SELECT_DB)
        output.length(index)
        output.byte(OPCODE_RESIZE_DB)
        output.length(keys)
        output.length(expires)

    def key(
        self, key: bytes, value: bytes | Value, expire_at_ms: i64, idle_seconds: i64, frequency: i64
    ) -> None:
        """A key; -1 (NO_EXPIRE) where it has no expiry, -1 where idle time or frequency is not kept."""
        output = self.output
        self._attributes(expire_at_ms, idle_seconds, frequency)
        output.byte(value_type_of(value, output.version))
        output.string(key)
        write_value(output, value)
        output.flush_if_large()

    def packed_key(
        self, key: bytes, kind: i64, content: bytes, expire_at_ms: i64, idle_seconds: i64, frequency: i64
    ) -> None:
        """As `key`, for a string or a packed value (by its KIND_) that is at hand as its bytes."""
        output = self.output
        self._attributes(expire_at_ms, idle_seconds, frequency)
        output.byte(packed_type(kind, output.version))
        output.string(key)
        write_packed(output, kind, content)
        output.flush_if_large()

    def _attributes(self, expire_at_ms: i64, idle_seconds: i64, frequency: i64) -> None:
        output = self.output
        if expire_at_ms >= 0:
            output.byte(OPCODE_EXPIRE_TIME_MS)
            output.int64(expire_at_ms)
        if idle_seconds >= 0:
            output.byte(OPCODE_IDLE)
            output.length(idle_seconds)
        if frequency >= 0:
            output.byte(OPCODE_FREQUENCY)
            output.byte(frequency)

    def end(self) -> None:
        """The end mark and the check sum; eight zero bytes where none is kept."""
        output = self.output
        output.byte(OPCODE_EOF)
        output.flush()
        tail = self.checksum.to_bytes(8, "little")
        self.written_bytes += len(tail)
        self.write(tail)
