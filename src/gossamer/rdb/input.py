"""Reads the primitive forms of RDB (bytes, lengths, strings, times) from a payload or from a stream.

Owns the position in the input, the running check sum of what was consumed, and the rule that every declared
length is held against the bytes that remain before anything is allocated. Knows no value type.

Invariant: whatever the bytes are, the only exception that leaves is CorruptError, with the offset in the
input; an error of the `read` door itself (OSError) passes through.
"""

from collections.abc import Callable
from typing import Final, final

from librt.strings import read_f64_le, read_i16_le, read_i32_be, read_i32_le, read_i64_be, read_i64_le
from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.format import ENCODING_INT8, ENCODING_INT16, ENCODING_INT32, ENCODING_LZF
from gossamer.rdb.lzf import decompress
from gossamer.rdb.sanitize import DuplicateFilter

# How much is asked of the stream at once; also the step by which an input of unknown size may make us grow.
CHUNK_BYTES: Final = 1 << 18

_UNKNOWN: Final = 0x7FFFFFFFFFFFFFFF
_TWO_TO_64: Final = 1 << 64


@final
class Input:
    """`data` is what is in memory, from `origin` of the whole input on; `position` is its next byte.

    `read(n)` gives up to n further bytes, none at the end. `total_bytes` is the size of the whole input where
    it is known (a file), or -1 (a socket): then a long value is taken in steps, so that memory follows what
    has arrived and not what was declared.
    """

    def __init__(
        self,
        data: bytes,
        read: Callable[[int], bytes] | None = None,
        total_bytes: int = -1,
        deep: bool = True,
    ) -> None:
        self.data: bytes = data
        self.position: i64 = 0
        self.end: i64 = len(data)
        self.origin: i64 = 0
        self.read: Callable[[int], bytes] | None = read
        self.total: i64 = len(data) if read is None else (_UNKNOWN if total_bytes < 0 else total_bytes)
        # Whether packed values are searched for duplicates too, and not only checked for their structure.
        self.deep: bool = deep
        self.filter: DuplicateFilter | None = None
        self.checksum_enabled: bool = False
        self._checksum: int = 0
        self._summed: i64 = 0  # position in `data` up to which the sum goes

    def offset(self) -> i64:
        """Where the next byte stands in the whole input."""
        return self.origin + self.position

    def remaining(self) -> i64:
        """Bytes that can still come; a large number where the size is unknown."""
        return self.total - self.origin - self.position

    def fail(self, reason: str) -> CorruptError:
        return CorruptError(reason, int(self.origin + self.position))

    def fail_at(self, reason: str, offset: i64) -> CorruptError:
        return CorruptError(reason, int(offset))

    def has_duplicates(self, lp: bytes, stride: i64) -> bool:
        """Whether elements 0, `stride`, 2 `stride` ... of a listpack repeat, where that is to be checked."""
        if not self.deep:
            return False
        duplicates = self.filter
        if duplicates is None:
            duplicates = DuplicateFilter()
            self.filter = duplicates
        return duplicates.has_duplicates(lp, stride)

    def start_checksum(self) -> None:
        """Sum from the beginning of the input."""
        self.checksum_enabled = True

    def checksum(self) -> int:
        """CRC64 of all that was consumed so far."""
        if self._summed < self.position:
            self._checksum = crc64(self.data[self._summed : self.position], self._checksum)
            self._summed = self.position
        return self._checksum

    def at_end(self) -> bool:
        """Whether no further byte comes."""
        if self.position < self.end:
            return False
        if self.read is None:
            return True
        try:
            self._refill(1)
        except CorruptError:
            return True
        return False

    def _refill(self, size: i64) -> None:
        """Make at least `size` bytes stand at `position`."""
        if size > self.remaining():
            raise self.fail("Input ends inside a value")
        read = self.read
        if read is None:
            raise self.fail("Input ends inside a value")
        if self.checksum_enabled:
            self.checksum()
        pieces = [self.data[self.position :]]
        have = self.end - self.position
        while have < size:
            wanted = size - have
            if wanted < CHUNK_BYTES:
                wanted = CHUNK_BYTES
            elif self.total == _UNKNOWN:
                wanted = CHUNK_BYTES
            rest = self.total - self.origin - self.position - have
            if wanted > rest:
                wanted = rest
            piece = read(int(wanted))
            if len(piece) == 0:
                raise self.fail("Input ends inside a value")
            pieces.append(piece)
            have += len(piece)
        self.origin += self.position
        self.data = b"".join(pieces)
        self.position = 0
        self._summed = 0
        self.end = len(self.data)

    def take(self, size: i64) -> bytes:
        """The next `size` bytes."""
        position = self.position
        if size > self.end - position:
            self._refill(size)
            position = self.position
        self.position = position + size
        return self.data[position : position + size]

    def skip(self, size: i64) -> None:
        """Pass over `size` bytes without holding them together."""
        while size > self.end - self.position:
            size -= self.end - self.position
            self.position = self.end
            self._refill(size if size < CHUNK_BYTES else i64(CHUNK_BYTES))
        self.position += size

    def byte(self) -> i64:
        if self.position >= self.end:
            self._refill(1)
        value: i64 = self.data[self.position]
        self.position += 1
        return value

    def int64(self) -> i64:
        if self.end - self.position < 8:
            self._refill(8)
        value = read_i64_le(self.data, self.position)
        self.position += 8
        return value

    def uint64(self) -> int:
        value = int(self.int64())
        return value + _TWO_TO_64 if value < 0 else value

    def int32(self) -> i64:
        if self.end - self.position < 4:
            self._refill(4)
        value = read_i32_le(self.data, self.position)
        self.position += 4
        return i64(value)

    def double(self) -> float:
        if self.end - self.position < 8:
            self._refill(8)
        value = read_f64_le(self.data, self.position)
        self.position += 8
        return value

    def _length_or_form(self) -> i64:
        """A length, or -1 - form for the special form of a string."""
        if self.position >= self.end:
            self._refill(1)
        first: i64 = self.data[self.position]
        self.position += 1
        kind = first >> 6
        if kind == 0:
            return first
        if kind == 1:
            return ((first & 63) << 8) | self.byte()
        if kind == 3:
            return -1 - (first & 63)
        if first == 0x80:
            if self.end - self.position < 4:
                self._refill(4)
            value = i64(read_i32_be(self.data, self.position)) & 0xFFFFFFFF
            self.position += 4
            return value
        if first == 0x81:
            if self.end - self.position < 8:
                self._refill(8)
            value = read_i64_be(self.data, self.position)
            if value < 0:
                raise self.fail("Length above 63 bits")
            self.position += 8
            return value
        self.position -= 1
        raise self.fail("Unknown form of a length")

    def length(self) -> i64:
        """A length in [0, 2^63)."""
        value = self._length_or_form()
        if value < 0:
            self.position -= 1
            raise self.fail("Length expected, string form found")
        return value

    def count(self, item_bytes: i64) -> i64:
        """A number of items that take `item_bytes` each at the least, held against what remains."""
        value = self.length()
        if value > self.remaining() // item_bytes:
            raise self.fail("More items declared than bytes remain")
        return value

    def unsigned(self) -> int:
        """A number in length form over the whole of 64 bits (identifiers and counters of streams)."""
        if self.position >= self.end:
            self._refill(1)
        if self.data[self.position] != 0x81:
            return int(self.length())
        if self.end - self.position < 9:
            self._refill(9)
        value = int(read_i64_be(self.data, self.position + 1))
        self.position += 9
        return value + _TWO_TO_64 if value < 0 else value

    def string(self) -> bytes:
        """A string in any of its forms."""
        size = self._length_or_form()
        if size < 0:
            return self._special_string(-1 - size)
        position = self.position
        if size > self.end - position:
            self._refill(size)
            position = self.position
        self.position = position + size
        return self.data[position : position + size]

    def _special_string(self, form: i64) -> bytes:
        if form == ENCODING_LZF:
            compressed_bytes = self.length()
            size = self.length()
            start = self.offset()
            return decompress(self.take(compressed_bytes), size, start)
        number: i64 = 0
        if form == ENCODING_INT8:
            number = self.byte()
            if number > 127:
                number -= 256
        elif form == ENCODING_INT16:
            if self.end - self.position < 2:
                self._refill(2)
            number = i64(read_i16_le(self.data, self.position))
            self.position += 2
        elif form == ENCODING_INT32:
            number = self.int32()
        else:
            self.position -= 1
            raise self.fail("Unknown form of a string")
        return str(int(number)).encode("ascii")

    def skip_string(self) -> None:
        """Pass over a string without building it."""
        size = self._length_or_form()
        if size < 0:
            form = -1 - size
            if form == ENCODING_LZF:
                size = self.length()
                self.length()
            elif form <= ENCODING_INT32:
                size = 1 << form
            else:
                self.position -= 1
                raise self.fail("Unknown form of a string")
        if size > self.remaining():
            raise self.fail("Input ends inside a value")
        self.skip(size)
