"""A long string that is changed in place: what APPEND and SETRANGE make of a string once it is long.

Every other string is plain `bytes`. Copying a long one for each few bytes that are added would cost time
that grows with its square, so from BUFFER_MIN_BYTES on such a string is held as a StringBuffer until it is
set anew. The keyspace keeps this a secret: commands see `bytes`.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.datatypes.value import OBJECT_BYTES, Value

BUFFER_MIN_BYTES: Final = 2048
_BYTEARRAY_BYTES: Final = 56


@final
class StringBuffer(Value):
    """The bytes of one string, which grow at the end at a cost that does not depend on their number."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.data: bytearray = bytearray(content)

    def type_name(self) -> bytes:
        return b"string"

    def encoding(self) -> bytes:
        return b"raw"

    def length(self) -> i64:
        return len(self.data)

    def memory_bytes(self) -> i64:
        return OBJECT_BYTES + _BYTEARRAY_BYTES + i64(len(self.data)) * 9 // 8

    def copy(self) -> "StringBuffer":
        return StringBuffer(bytes(self.data))

    def value(self) -> bytes:
        """The whole string."""
        return bytes(self.data)

    def cut(self, start: i64, stop: i64) -> bytes:
        """The bytes from start to before stop."""
        return bytes(memoryview(self.data)[start:stop])

    def append(self, tail: bytes) -> None:
        self.data += tail

    def overwrite(self, offset: i64, piece: bytes) -> None:
        """Write piece at offset; a gap behind the old end is filled with zero bytes."""
        size: i64 = len(self.data)
        if offset > size:
            self.data += bytes(offset - size)
        self.data[offset : offset + i64(len(piece))] = piece


def overwritten(value: bytes, offset: i64, piece: bytes) -> bytes:
    """value with piece written at offset, zero bytes in a gap between."""
    size: i64 = len(value)
    if offset >= size:
        return value + bytes(offset - size) + piece
    return value[:offset] + piece + value[offset + i64(len(piece)) :]
