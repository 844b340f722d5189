"""The order of a large sorted set: every (score, member) once, by score and then by the member's bytes.

Owns the order and the ranks. It knows no keys, no clients and no listpacks, and it cannot tell whether a
member is already there under another score: its owner (`datatypes/zsets.py`) asks its dictionary first.

A chunk is an immutable `bytes` of entries back to back, in order; a change replaces the chunk:

    score, f64 little-endian | length, u8 | member          length < 255
    score, f64 little-endian | 255 | length, i64 | member   longer members

    (1.0, "ab")  ->  00 00 00 00 00 00 f0 3f  02  61 62

A page holds up to a few hundred chunks and, side by side in typed vectors, the first score and the number of
entries of each: a search bisects 8-byte floats, a rank sums one-byte counts. Pages stand in one list.

Invariants: no chunk and no page is empty; a chunk holds at most MAX_CHUNK_ENTRIES entries; one that grows
past MAX_CHUNK_BYTES is split as long as it has two entries; `page.total` is the sum of `page.counts`; no
score is NaN. -0.0 and 0.0 are one place in the order.
"""

from typing import Any, Final, final

from librt.strings import BytesWriter, read_f64_le, read_i64_be, read_i64_le, write_f64_le, write_i64_le
from librt.vecs import append, pop, vec
from mypy_extensions import i64, u8

__all__: Final = [
    "AFTER_MEMBER",
    "AFTER_SCORE",
    "BEFORE_MEMBER",
    "BEFORE_SCORE",
    "ScoreIndex",
]

# What `cut` counts: the entries before (or up to and with) a score, or before (up to and with) a member.
BEFORE_SCORE: Final = 0
AFTER_SCORE: Final = 1
BEFORE_MEMBER: Final = 2
AFTER_MEMBER: Final = 3

MAX_CHUNK_ENTRIES: Final = 32
MAX_CHUNK_BYTES: Final = 1280
SMALL_CHUNK_ENTRIES: Final = 8  # a chunk that falls below looks for a neighbour to join
MAX_PAGE_CHUNKS: Final = 512
SMALL_PAGE_CHUNKS: Final = 64

LONG_LENGTH: Final = 255  # the length byte that announces an i64 length
SHORT_HEAD: Final = 9
LONG_HEAD: Final = 17

CHUNK_OVERHEAD_BYTES: Final = 33 + 15 + 8 + 8 + 1  # object header, allocator, list slot, first score, count
PAGE_OVERHEAD_BYTES: Final = 512


def entry_end(chunk: bytes, position: i64) -> i64:
    length: i64 = chunk[position + 8]
    if length == LONG_LENGTH:
        return position + LONG_HEAD + read_i64_le(chunk, position + SHORT_HEAD)
    return position + SHORT_HEAD + length


def member_at(chunk: bytes, position: i64) -> bytes:
    length: i64 = chunk[position + 8]
    start: i64 = position + SHORT_HEAD
    if length == LONG_LENGTH:
        length = read_i64_le(chunk, start)
        start = position + LONG_HEAD
    return chunk[start : start + length]


def compare_member(chunk: bytes, position: i64, member: bytes) -> i64:
    """Below, at or above 0 as the member of the entry stands before, at or after `member`."""
    length: i64 = chunk[position + 8]
    start: i64 = position + SHORT_HEAD
    if length == LONG_LENGTH:
        length = read_i64_le(chunk, start)
        start = position + LONG_HEAD
    other: i64 = len(member)
    common: i64 = length if length < other else other
    i: i64 = 0
    while i + 8 <= common:
        left = read_i64_be(chunk, start + i)
        right = read_i64_be(member, i)
        if left != right:
            if (left < 0) == (right < 0):
                return -1 if left < right else 1
            return 1 if left < 0 else -1  # the sign bit is the top bit of an unsigned byte
        i += 8
    while i < common:
        left_byte: i64 = chunk[start + i]
        right_byte: i64 = member[i]
        if left_byte != right_byte:
            return left_byte - right_byte
        i += 1
    return length - other


def write_entry(out: BytesWriter, score: float, member: bytes) -> None:
    write_f64_le(out, score)
    length: i64 = len(member)
    if length < LONG_LENGTH:
        out.append(u8(length))
    else:
        out.append(LONG_LENGTH)
        write_i64_le(out, length)
    out.write(member)


def seek_entry(chunk: bytes, score: float, member: bytes) -> i64:
    """Where the first entry at or after (score, member) begins; the chunk's end when there is none."""
    position: i64 = 0
    size: i64 = len(chunk)
    while position < size:
        here = read_f64_le(chunk, position)
        if here >= score and (here > score or compare_member(chunk, position, member) >= 0):
            break
        length: i64 = chunk[position + 8]
        if length == LONG_LENGTH:
            position = entry_end(chunk, position)
        else:
            position += SHORT_HEAD + length
    return position


def is_before_cut(chunk: bytes, position: i64, kind: i64, score: float, member: bytes) -> bool:
    if kind == BEFORE_SCORE:
        return read_f64_le(chunk, position) < score
    if kind == AFTER_SCORE:
        return read_f64_le(chunk, position) <= score
    if kind == BEFORE_MEMBER:
        return compare_member(chunk, position, member) < 0
    return compare_member(chunk, position, member) <= 0


@final
class Page:
    """Neighbouring chunks with their first scores and entry counts."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.scores: vec[float] = vec[float]()
        self.counts: vec[u8] = vec[u8]()
        self.total: i64 = 0

    def add_chunk(self, at: i64, chunk: bytes, count: i64) -> None:
        """Put a chunk before the chunk that stands at `at` now."""
        self.chunks.insert(at, chunk)
        scores = append(self.scores, 0.0)
        counts = append(self.counts, u8(0))
        i: i64 = len(scores) - 1
        while i > at:
            scores[i] = scores[i - 1]
            counts[i] = counts[i - 1]
            i -= 1
        scores[at] = read_f64_le(chunk, 0)
        counts[at] = u8(count)
        self.scores = scores
        self.counts = counts
        self.total += count

    def set_chunk(self, at: i64, chunk: bytes, count: i64) -> None:
        self.total += count - i64(self.counts[at])
        self.chunks[at] = chunk
        self.scores[at] = read_f64_le(chunk, 0)
        self.counts[at] = u8(count)

    def drop_chunk(self, at: i64) -> None:
        self.total -= i64(self.counts[at])
        del self.chunks[at]
        scores, _score = pop(self.scores, at)
        counts, _count = pop(self.counts, at)
        self.scores = scores
        self.counts = counts

    def chunk_for(self, score: float, member: bytes) -> i64:
        """The last chunk that does not begin after (score, member), or the first chunk."""
        scores = self.scores
        low: i64 = 0
        high: i64 = len(scores)
        while high - low > 1:
            middle = (low + high) >> 1
            first = scores[middle]
            if first < score or (first == score and compare_member(self.chunks[middle], 0, member) <= 0):
                low = middle
            else:
                high = middle
        return low

    def chunk_for_cut(self, kind: i64, score: float, member: bytes) -> i64:
        low: i64 = 0
        high: i64 = len(self.chunks)
        while high - low > 1:
            middle = (low + high) >> 1
            if is_before_cut(self.chunks[middle], 0, kind, score, member):
                low = middle
            else:
                high = middle
        return low

    def entries_before(self, chunk: i64) -> i64:
        counts = self.counts
        before: i64 = 0
        i: i64 = 0
        while i < chunk:
            before += i64(counts[i])
            i += 1
        return before

    def move_tail(self, start: i64, target: "Page") -> None:
        """Append the chunks from `start` on to `target`, which stands after or is to swallow this page."""
        i: i64 = start
        size: i64 = len(self.chunks)
        while i < size:
            count = i64(self.counts[i])
            target.add_chunk(len(target.chunks), self.chunks[i], count)
            self.total -= count
            i += 1
        del self.chunks[start:]
        self.scores = self.scores[:start]
        self.counts = self.counts[:start]


@final
class ScoreIndex:
    """All entries in order, reachable by (score, member) and by rank (0 is the lowest)."""

    def __init__(self) -> None:
        self.pages: list[Page] = []
        self.length: i64 = 0
        self.payload_bytes: i64 = 0
        self.chunk_count: i64 = 0

    def memory_bytes(self) -> i64:
        """Resident bytes, estimated; O(1)."""
        return (
            self.payload_bytes
            + self.chunk_count * CHUNK_OVERHEAD_BYTES
            + len(self.pages) * PAGE_OVERHEAD_BYTES
        )

    def hand_over(self, lists: list[list[Any]]) -> None:
        """Append the lists of entries: their owner frees them piecemeal. The index is not to be used again."""
        for page in self.pages:
            lists.append(page.chunks)
        self.pages = []

    def insert(self, score: float, member: bytes) -> None:
        """Add an entry that is not there yet."""
        out = BytesWriter()
        write_entry(out, score, member)
        entry = out.getvalue()
        self.length += 1
        self.payload_bytes += len(entry)
        if len(self.pages) == 0:
            page = Page()
            page.add_chunk(0, entry, 1)
            self.pages.append(page)
            self.chunk_count = 1
            return
        number = self._page_for(score, member)
        page = self.pages[number]
        at = page.chunk_for(score, member)
        chunk = page.chunks[at]
        position = seek_entry(chunk, score, member)
        size: i64 = len(chunk)
        count = i64(page.counts[at])
        if count < MAX_CHUNK_ENTRIES and size + len(entry) <= MAX_CHUNK_BYTES:
            page.chunks[at] = b"".join([chunk[:position], entry, chunk[position:]])
            page.counts[at] = u8(count + 1)
            page.total += 1
            if position == 0:
                page.scores[at] = score
            return
        if position == size and at + 1 == len(page.chunks) and number + 1 == len(self.pages):
            # Scores that only grow (time stamps, counters) leave full chunks behind them.
            page.add_chunk(at + 1, entry, 1)
        else:
            self._split_chunk(page, at, b"".join([chunk[:position], entry, chunk[position:]]), count + 1)
        self.chunk_count += 1
        if len(page.chunks) > MAX_PAGE_CHUNKS:
            self._split_page(number)

    def remove(self, score: float, member: bytes) -> bool:
        """Take out an entry; False when it is not there."""
        if len(self.pages) == 0:
            return False
        number = self._page_for(score, member)
        page = self.pages[number]
        at = page.chunk_for(score, member)
        chunk = page.chunks[at]
        position = seek_entry(chunk, score, member)
        if position == len(chunk) or read_f64_le(chunk, position) != score:
            return False
        if compare_member(chunk, position, member) != 0:
            return False
        self._cut_chunk(number, at, position, entry_end(chunk, position), 1)
        return True

    def take(self, start: i64, count: i64, members: list[bytes], scores: list[float]) -> None:
        """Take out up to `count` entries from rank `start` on and append them to the two lists."""
        while count > 0 and start < self.length:
            number: i64 = 0
            left: i64 = start
            while left >= self.pages[number].total:
                left -= self.pages[number].total
                number += 1
            page = self.pages[number]
            at: i64 = 0
            while left >= i64(page.counts[at]):
                left -= i64(page.counts[at])
                at += 1
            chunk = page.chunks[at]
            taken = i64(page.counts[at]) - left
            if taken > count:
                taken = count
            begin: i64 = 0
            while left > 0:
                begin = entry_end(chunk, begin)
                left -= 1
            end = begin
            i: i64 = 0
            while i < taken:
                scores.append(read_f64_le(chunk, end))
                members.append(member_at(chunk, end))
                end = entry_end(chunk, end)
                i += 1
            self._cut_chunk(number, at, begin, end, taken)
            count -= taken

    def rank(self, score: float, member: bytes) -> i64:
        """The rank of an entry, -1 when it is not there."""
        if len(self.pages) == 0:
            return -1
        number = self._page_for(score, member)
        page = self.pages[number]
        at = page.chunk_for(score, member)
        chunk = page.chunks[at]
        position: i64 = 0
        size: i64 = len(chunk)
        rank = self._entries_before_page(number) + page.entries_before(at)
        while position < size:
            if read_f64_le(chunk, position) == score and compare_member(chunk, position, member) == 0:
                return rank
            position = entry_end(chunk, position)
            rank += 1
        return -1

    def cut(self, kind: i64, score: float, member: bytes) -> i64:
        """How many entries stand before a cut: see BEFORE_SCORE and its siblings.

        The cuts by member hold when all scores are equal, the only case in which Redis defines them.
        """
        low: i64 = 0
        high: i64 = len(self.pages)
        if high == 0:
            return 0
        while high - low > 1:
            middle = (low + high) >> 1
            if is_before_cut(self.pages[middle].chunks[0], 0, kind, score, member):
                low = middle
            else:
                high = middle
        page = self.pages[low]
        at = page.chunk_for_cut(kind, score, member)
        chunk = page.chunks[at]
        rank = self._entries_before_page(low) + page.entries_before(at)
        position: i64 = 0
        size: i64 = len(chunk)
        while position < size and is_before_cut(chunk, position, kind, score, member):
            position = entry_end(chunk, position)
            rank += 1
        return rank

    def collect_members(self, start: i64, count: i64, members: list[bytes]) -> None:
        """Append the members of up to `count` entries from rank `start` on."""
        number: i64 = 0
        while number < len(self.pages) and start >= self.pages[number].total:
            start -= self.pages[number].total
            number += 1
        at: i64 = 0
        while count > 0 and number < len(self.pages):
            page = self.pages[number]
            while start >= i64(page.counts[at]):
                start -= i64(page.counts[at])
                at += 1
            chunk = page.chunks[at]
            position: i64 = 0
            size: i64 = len(chunk)
            while position < size and count > 0:
                length: i64 = chunk[position + 8]
                begin: i64 = position + SHORT_HEAD
                if length == LONG_LENGTH:
                    length = read_i64_le(chunk, begin)
                    begin = position + LONG_HEAD
                position = begin + length
                if start > 0:
                    start -= 1
                else:
                    members.append(chunk[begin:position])
                    count -= 1
            at += 1
            if at == len(page.chunks):
                number += 1
                at = 0

    def collect_scores(self, start: i64, count: i64, scores: list[float]) -> None:
        """Append the scores of up to `count` entries from rank `start` on."""
        number: i64 = 0
        while number < len(self.pages) and start >= self.pages[number].total:
            start -= self.pages[number].total
            number += 1
        at: i64 = 0
        while count > 0 and number < len(self.pages):
            page = self.pages[number]
            while start >= i64(page.counts[at]):
                start -= i64(page.counts[at])
                at += 1
            chunk = page.chunks[at]
            position: i64 = 0
            size: i64 = len(chunk)
            while position < size and count > 0:
                if start > 0:
                    start -= 1
                else:
                    scores.append(read_f64_le(chunk, position))
                    count -= 1
                position = entry_end(chunk, position)
            at += 1
            if at == len(page.chunks):
                number += 1
                at = 0

    def fill(self, members: list[bytes], scores: list[float]) -> None:
        """Fill an empty index with entries that are in order already."""
        assert self.length == 0
        page = Page()
        out = BytesWriter()
        count: i64 = 0
        i: i64 = 0
        size: i64 = len(members)
        while i < size:
            if count == MAX_CHUNK_ENTRIES or (
                count > 0 and len(out) + len(members[i]) + LONG_HEAD > MAX_CHUNK_BYTES
            ):
                page = self._append_chunk(page, out.getvalue(), count)
                out.truncate(0)
                count = 0
            write_entry(out, scores[i], members[i])
            count += 1
            i += 1
        if count > 0:
            self._append_chunk(page, out.getvalue(), count)

    def _append_chunk(self, page: Page, chunk: bytes, count: i64) -> Page:
        if len(page.chunks) == MAX_PAGE_CHUNKS:
            page = Page()
        if len(page.chunks) == 0:
            self.pages.append(page)
        page.add_chunk(len(page.chunks), chunk, count)
        self.length += count
        self.payload_bytes += len(chunk)
        self.chunk_count += 1
        return page

    def _page_for(self, score: float, member: bytes) -> i64:
        """The last page that does not begin after (score, member), or the first page."""
        low: i64 = 0
        high: i64 = len(self.pages)
        while high - low > 1:
            middle = (low + high) >> 1
            page = self.pages[middle]
            first = page.scores[0]
            if first < score or (first == score and compare_member(page.chunks[0], 0, member) <= 0):
                low = middle
            else:
                high = middle
        return low

    def _entries_before_page(self, number: i64) -> i64:
        before: i64 = 0
        i: i64 = 0
        while i < number:
            before += self.pages[i].total
            i += 1
        return before

    def _split_chunk(self, page: Page, at: i64, chunk: bytes, count: i64) -> None:
        """Replace chunk `at` by the two halves (by bytes) of `chunk`, which has at least two entries."""
        half: i64 = len(chunk) >> 1
        position = entry_end(chunk, 0)
        left: i64 = 1
        while left < count - 1 and position < half:
            position = entry_end(chunk, position)
            left += 1
        page.set_chunk(at, chunk[:position], left)
        page.add_chunk(at + 1, chunk[position:], count - left)

    def _split_page(self, number: i64) -> None:
        page = self.pages[number]
        right = Page()
        keep: i64 = MAX_PAGE_CHUNKS if number + 1 == len(self.pages) else MAX_PAGE_CHUNKS >> 1
        page.move_tail(keep, right)
        self.pages.insert(number + 1, right)

    def _cut_chunk(self, number: i64, at: i64, begin: i64, end: i64, removed: i64) -> None:
        """Remove `removed` entries, the bytes begin..end of a chunk."""
        page = self.pages[number]
        chunk = page.chunks[at]
        count = i64(page.counts[at]) - removed
        self.length -= removed
        self.payload_bytes -= end - begin
        if count == 0:
            self._drop_chunk(number, at)
            return
        if begin == 0:
            page.set_chunk(at, chunk[end:], count)
        elif end == len(chunk):
            page.set_chunk(at, chunk[:begin], count)
        else:
            page.set_chunk(at, chunk[:begin] + chunk[end:], count)
        if count < SMALL_CHUNK_ENTRIES:
            if not self._join_chunks(number, at):
                self._join_chunks(number, at - 1)

    def _join_chunks(self, number: i64, at: i64) -> bool:
        """Join chunks `at` and `at + 1` of a page when both exist and the result leaves room to grow."""
        page = self.pages[number]
        if at < 0 or at + 1 >= len(page.chunks):
            return False
        count = i64(page.counts[at]) + i64(page.counts[at + 1])
        size: i64 = len(page.chunks[at]) + len(page.chunks[at + 1])
        if count > MAX_CHUNK_ENTRIES * 3 // 4 or size > MAX_CHUNK_BYTES * 3 // 4:
            return False
        page.set_chunk(at, page.chunks[at] + page.chunks[at + 1], count)
        self._drop_chunk(number, at + 1)
        return True

    def _drop_chunk(self, number: i64, at: i64) -> None:
        page = self.pages[number]
        page.drop_chunk(at)
        self.chunk_count -= 1
        size: i64 = len(page.chunks)
        if size == 0:
            del self.pages[number]
        elif size < SMALL_PAGE_CHUNKS and number + 1 < len(self.pages):
            following = self.pages[number + 1]
            if size + len(following.chunks) <= MAX_PAGE_CHUNKS // 2:
                following.move_tail(0, page)
                del self.pages[number + 1]
