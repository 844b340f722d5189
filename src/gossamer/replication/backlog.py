"""The stream's bytes that can still be sent: for replicas that lag, and for those that come back.

Owns the bytes and their offsets. Must not know what they say, nor who reads them.

Invariants: offsets count from 1 and never fall; `first` is the offset of the oldest byte held, `end` that of the
newest, and `end == first - 1` where there is none; at least the last `size_bytes` are held once they were written,
and after a trim at most one block more.
"""

from typing import Final, final

from mypy_extensions import i64

BLOCK_BYTES: Final = 16384
BLOCKS_AT_LEAST: Final = 16  # in a full backlog: so much more than its size is held at most, as a part of it
SPARE_BLOCKS: Final = 64  # dropped ones that stay at the head of the list before it is shortened


@final
class Backlog:
    """A list of blocks, shortened at its head in whole blocks."""

    def __init__(self, size_bytes: i64, end: i64) -> None:
        self.size_bytes: i64 = size_bytes
        self.end: i64 = end
        self.first: i64 = end + 1
        self.blocks: list[bytes] = []
        self.ends: list[i64] = []  # offset of the last byte of each
        self.head: i64 = 0  # the first block that is held

    def length(self) -> i64:
        return self.end - self.first + 1

    def holds(self, offset: i64) -> bool:
        """Whether a reader that wants the byte at this offset next can go on from there."""
        return self.first <= offset <= self.end + 1

    def append(self, data: bytes) -> None:
        size: i64 = len(data)
        most: i64 = max(BLOCK_BYTES, self.size_bytes // BLOCKS_AT_LEAST)
        if size <= most:
            self.append_block(data)
            return
        for start in range(0, size, most):
            self.append_block(data[start : start + most])

    def append_block(self, data: bytes) -> None:
        size: i64 = len(data)
        if size == 0:
            return
        self.end += size
        last: i64 = i64(len(self.blocks)) - 1
        if last >= self.head and i64(len(self.blocks[last])) + size <= BLOCK_BYTES:
            self.blocks[last] += data
            self.ends[last] = self.end
        else:
            self.blocks.append(data)
            self.ends.append(self.end)

    def trim(self, needed: i64) -> None:
        """Drop what is beyond the size, but nothing from the offset `needed` on."""
        n: i64 = len(self.blocks)
        while self.head < n:
            block_end: i64 = self.ends[self.head]
            if self.end - block_end < self.size_bytes or block_end >= needed:
                break
            self.blocks[self.head] = b""
            self.first = block_end + 1
            self.head += 1
        if self.head > SPARE_BLOCKS:
            del self.blocks[: self.head]
            del self.ends[: self.head]
            self.head = 0

    def read(self, offset: i64, most: i64) -> bytes:
        """Bytes from the offset on: at least one if there is one, up to the end of a block, at most `most`."""
        if offset > self.end:
            return b""
        index = self._block_of(offset)
        block = self.blocks[index]
        start: i64 = offset - (self.ends[index] - i64(len(block)) + 1)
        if start == 0 and i64(len(block)) <= most:
            return block
        return block[start : start + most]

    def _block_of(self, offset: i64) -> i64:
        """The block that has the byte; those who ask are mostly near the end."""
        low: i64 = self.head
        high: i64 = i64(len(self.ends)) - 1
        if high > low and self.ends[high - 1] < offset:
            return high
        while low < high:
            middle: i64 = (low + high) // 2
            if self.ends[middle] < offset:
                low = middle + 1
            else:
                high = middle
        return low
