"""Rows of equal width, ascending by the stream id with which each begins: the pending entries of a group.

Owns how they are held: about 64 rows back to back in one immutable `bytes` per chunk, so that a row costs its
width and next to nothing else. Knows no groups.

    chunk: row | row | ...      row: id, 16 bytes | whatever else the row has

Invariants: no chunk is empty; `lasts[i]` is the id of the last row of `chunks[i]`; ids ascend without duplicates.
`tally` grows and shrinks with the bytes that are held.
"""

from bisect import bisect_left
from typing import Final, final

from mypy_extensions import i64

from gossamer.datatypes.stream_ids import ID_BYTES
from gossamer.datatypes.value import BYTES_OVERHEAD

ROWS_PER_CHUNK: Final = 64
# A chunk's header, its last id, and the two slots in the lists.
CHUNK_OVERHEAD_BYTES: Final = 2 * BYTES_OVERHEAD + ID_BYTES + 16


@final
class Tally:
    """Bytes that the parts of a stream have in sum."""

    def __init__(self) -> None:
        self.bytes: i64 = 0


@final
class PendingRows:
    """Rows of `width` bytes in order of their ids."""

    def __init__(self, width: i64, tally: Tally) -> None:
        self.width: i64 = width
        self.tally: Tally = tally
        self.chunks: list[bytes] = []
        self.lasts: list[bytes] = []
        self.count: i64 = 0

    def place_in(self, chunk: bytes, stream_id: bytes) -> i64:
        """Offset of the first row of the chunk whose id is not below stream_id; the chunk's length if none is."""
        if chunk[:ID_BYTES] >= stream_id:
            return 0  # who acknowledges in order is here
        width: i64 = self.width
        low: i64 = 1
        high: i64 = i64(len(chunk)) // width
        while low < high:
            middle: i64 = (low + high) >> 1
            at: i64 = middle * width
            if chunk[at : at + ID_BYTES] < stream_id:
                low = middle + 1
            else:
                high = middle
        return low * width

    def find(self, stream_id: bytes) -> bytes | None:
        """The row of that id."""
        i: i64 = bisect_left(self.lasts, stream_id)
        if i >= len(self.chunks):
            return None
        chunk = self.chunks[i]
        at = self.place_in(chunk, stream_id)
        if chunk[at : at + ID_BYTES] != stream_id:
            return None
        return chunk[at : at + self.width]

    def put(self, row: bytes) -> bool:
        """Add a row, or replace the one of the same id; True if it was added."""
        stream_id = row[:ID_BYTES]
        n: i64 = len(self.chunks)
        if n == 0 or self.lasts[n - 1] < stream_id:
            self.append(row, stream_id)
            return True
        i: i64 = bisect_left(self.lasts, stream_id)
        chunk = self.chunks[i]
        at = self.place_in(chunk, stream_id)
        if chunk[at : at + ID_BYTES] == stream_id:
            self.chunks[i] = chunk[:at] + row + chunk[at + self.width :]
            return False
        chunk = chunk[:at] + row + chunk[at:]
        self.count += 1
        self.tally.bytes += self.width
        if len(chunk) <= ROWS_PER_CHUNK * self.width:
            self.chunks[i] = chunk
            return True
        half: i64 = (ROWS_PER_CHUNK // 2) * self.width
        self.chunks[i] = chunk[half:]
        self.chunks.insert(i, chunk[:half])
        self.lasts.insert(i, chunk[half - self.width : half - self.width + ID_BYTES])
        self.tally.bytes += CHUNK_OVERHEAD_BYTES
        return True

    def append(self, row: bytes, stream_id: bytes) -> None:
        """Add a row whose id is above all others."""
        last: i64 = i64(len(self.chunks)) - 1
        self.count += 1
        self.tally.bytes += self.width
        if last >= 0:
            chunk = self.chunks[last]
            if len(chunk) < ROWS_PER_CHUNK * self.width:
                self.chunks[last] = chunk + row
                self.lasts[last] = stream_id
                return
        self.chunks.append(row)
        self.lasts.append(stream_id)
        self.tally.bytes += CHUNK_OVERHEAD_BYTES

    def remove(self, stream_id: bytes) -> bool:
        """Remove the row of that id; False if there is none."""
        return self.take(stream_id) is not None

    def take(self, stream_id: bytes) -> bytes | None:
        """Remove the row of that id and answer it; None if there is none."""
        i: i64 = bisect_left(self.lasts, stream_id)
        if i >= len(self.chunks):
            return None
        chunk = self.chunks[i]
        at = self.place_in(chunk, stream_id)
        if chunk[at : at + ID_BYTES] != stream_id:
            return None
        width: i64 = self.width
        self.count -= 1
        self.tally.bytes -= width
        size: i64 = len(chunk)
        if size == width:
            del self.chunks[i]
            del self.lasts[i]
            self.tally.bytes -= CHUNK_OVERHEAD_BYTES
            return chunk
        self.chunks[i] = chunk[width:] if at == 0 else chunk[:at] + chunk[at + width :]
        if at + width == size:
            self.lasts[i] = chunk[at - width : at - width + ID_BYTES]
        return chunk[at : at + width]

    def first_id(self) -> bytes:
        """The least id of rows that are not empty."""
        return self.chunks[0][:ID_BYTES]

    def last_id(self) -> bytes:
        return self.lasts[len(self.lasts) - 1]

    def rows_from(self, stream_id: bytes, limit: i64) -> list[bytes]:
        """Up to `limit` rows whose ids are not below stream_id."""
        result: list[bytes] = []
        i: i64 = bisect_left(self.lasts, stream_id)
        n: i64 = len(self.chunks)
        if i >= n:
            return result
        width: i64 = self.width
        chunk = self.chunks[i]
        at = self.place_in(chunk, stream_id)
        while limit > 0:
            if at >= len(chunk):
                i += 1
                if i >= n:
                    break
                chunk = self.chunks[i]
                at = 0
            result.append(chunk[at : at + width])
            at += width
            limit -= 1
        return result

    def rows(self) -> list[bytes]:
        """All rows."""
        result: list[bytes] = []
        width: i64 = self.width
        for chunk in self.chunks:
            at: i64 = 0
            while at < len(chunk):
                result.append(chunk[at : at + width])
                at += width
        return result

    def copy(self, tally: Tally) -> "PendingRows":
        """Independent rows with the same content, which count in another tally."""
        twin = PendingRows(self.width, tally)
        twin.chunks = self.chunks[:]
        twin.lasts = self.lasts[:]
        twin.count = self.count
        tally.bytes += self.bytes_held()
        return twin

    def clear(self) -> None:
        """Remove all rows."""
        self.tally.bytes -= self.bytes_held()
        self.chunks = []
        self.lasts = []
        self.count = 0

    def bytes_held(self) -> i64:
        return self.count * self.width + len(self.chunks) * CHUNK_OVERHEAD_BYTES
