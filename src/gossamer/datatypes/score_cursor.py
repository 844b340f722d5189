"""A walk through a score index that makes no objects of the entries that it passes.

Shares the layout of score_index.py.
"""

from typing import final

from librt.strings import read_f64_le
from mypy_extensions import i64

from gossamer.datatypes.score_index import BEFORE_SCORE, Page, ScoreIndex, entry_end, member_at


@final
class ScoreCursor:
    """Walks the entries of an index upwards from a score; the index must not change meanwhile."""

    def __init__(self, index: ScoreIndex, low: float) -> None:
        self.pages: list[Page] = index.pages
        self.number: i64 = 0  # of the page
        self.at: i64 = -1  # of the chunk in it
        self.chunk: bytes = b""
        self.entry: i64 = 0
        self.next_entry: i64 = 0
        self.score: float = 0.0  # of the entry that next() came to
        if len(self.pages) > 0:
            self.seek(low)

    def seek(self, low: float) -> None:
        """Stand before the first entry whose score is not below `low`."""
        first: i64 = 0
        last: i64 = len(self.pages)
        while last - first > 1:
            middle = (first + last) >> 1
            if read_f64_le(self.pages[middle].chunks[0], 0) < low:
                first = middle
            else:
                last = middle
        page = self.pages[first]
        self.number = first
        self.at = page.chunk_for_cut(BEFORE_SCORE, low, b"")
        self.chunk = page.chunks[self.at]
        size: i64 = len(self.chunk)
        while self.next_entry < size and read_f64_le(self.chunk, self.next_entry) < low:
            self.next_entry = entry_end(self.chunk, self.next_entry)

    def next(self) -> bool:
        """Go to the next entry; False when there is none."""
        while self.next_entry >= len(self.chunk):
            if self.number >= len(self.pages):
                return False
            page = self.pages[self.number]
            self.at += 1
            self.next_entry = 0
            if self.at < len(page.chunks):
                self.chunk = page.chunks[self.at]
            else:
                self.number += 1
                self.at = -1
                self.chunk = b""
        self.entry = self.next_entry
        self.score = read_f64_le(self.chunk, self.entry)
        self.next_entry = entry_end(self.chunk, self.entry)
        return True

    def member(self) -> bytes:
        """The member of the entry that next() came to."""
        return member_at(self.chunk, self.entry)
