"""The index against a sorted list of (score, member), through random edits."""

import random
from bisect import bisect_left, insort

import pytest
from librt.strings import BytesWriter, read_f64_le

from gossamer.datatypes import score_index
from gossamer.datatypes.score_cursor import ScoreCursor
from gossamer.datatypes.score_index import (
    AFTER_MEMBER,
    AFTER_SCORE,
    BEFORE_MEMBER,
    BEFORE_SCORE,
    MAX_CHUNK_BYTES,
    MAX_CHUNK_ENTRIES,
    MAX_PAGE_CHUNKS,
    ScoreIndex,
    compare_member,
    entry_end,
    member_at,
)

INFINITY = float("inf")
Model = list[tuple[float, bytes]]


def content(index: ScoreIndex) -> Model:
    members: list[bytes] = []
    scores: list[float] = []
    index.collect_members(0, index.length, members)
    index.collect_scores(0, index.length, scores)
    return list(zip(scores, members, strict=True))


def check_invariants(index: ScoreIndex) -> None:
    total = payload = chunks = 0
    for page in index.pages:
        assert 0 < len(page.chunks) == len(page.scores) == len(page.counts) <= MAX_PAGE_CHUNKS
        assert page.total == sum(page.counts)
        total += page.total
        chunks += len(page.chunks)
        for chunk, first, count in zip(page.chunks, page.scores, page.counts, strict=True):
            assert read_f64_le(chunk, 0) == first
            payload += len(chunk)
            position = walked = 0
            while position < len(chunk):
                position = entry_end(chunk, position)
                walked += 1
            assert 0 < walked == count <= MAX_CHUNK_ENTRIES
    assert (total, payload, chunks) == (index.length, index.payload_bytes, index.chunk_count)
    entries = content(index)
    assert all(left < right for left, right in zip(entries, entries[1:], strict=False))


def any_member(rng: random.Random) -> bytes:
    length = rng.choice([0, 1, 8, 9, 16, 254, 255, 256, 700]) if rng.random() < 0.2 else rng.randrange(1, 12)
    return bytes(rng.choice(b"ab\x00\xff\x7f\x80") for _ in range(length))


SCORE_POOLS = {
    "one score": [0.0],
    "signed zeros": [0.0, -0.0, 1.0],
    "infinities": [-INFINITY, -1.5, 0.0, 1e300, INFINITY],
    "many": [float(n) for n in range(-60, 60)],
}


class Twin:
    """The index and its model, edited alike."""

    def __init__(self, rng: random.Random, pool: list[float]) -> None:
        self.rng = rng
        self.pool = pool
        self.index = ScoreIndex()
        self.model: Model = []
        self.scores: dict[bytes, float] = {}

    def remove(self, score: float, member: bytes) -> None:
        assert self.index.remove(score, member)
        del self.model[bisect_left(self.model, (score, member))]
        del self.scores[member]

    def put(self) -> None:
        member = any_member(self.rng)
        score = self.rng.choice(self.pool)
        if member in self.scores:
            self.remove(self.scores[member], member)
        self.index.insert(score, member)
        insort(self.model, (score, member))
        self.scores[member] = score

    def take(self) -> None:
        start = self.rng.randrange(len(self.model) + 2)
        count = self.rng.choice([1, 3, 90])
        members: list[bytes] = []
        scores: list[float] = []
        self.index.take(start, count, members, scores)
        assert list(zip(scores, members, strict=True)) == self.model[start : start + count]
        del self.model[start : start + count]
        for member in members:
            del self.scores[member]

    def edit(self, growing: bool) -> None:
        draw = self.rng.random()
        if draw < (0.8 if growing else 0.2) or not self.model:
            self.put()
        elif draw < 0.97:
            self.remove(*self.rng.choice(self.model))
        else:
            self.take()

    def compare(self) -> None:
        rng, model, index = self.rng, self.model, self.index
        start = rng.randrange(len(model) + 2)
        count = rng.choice([1, 50, 10_000])
        members: list[bytes] = []
        scores: list[float] = []
        index.collect_members(start, count, members)
        index.collect_scores(start, count, scores)
        assert list(zip(scores, members, strict=True)) == model[start : start + count]
        if model:
            entry = rng.choice(model)
            assert index.rank(*entry) == bisect_left(model, entry)
        score = rng.choice([*self.pool, 1.25])
        assert index.cut(BEFORE_SCORE, score, b"") == sum(here < score for here, _ in model)
        assert index.cut(AFTER_SCORE, score, b"") == sum(here <= score for here, _ in model)
        if len(self.pool) == 1:
            member = any_member(rng)
            assert index.cut(BEFORE_MEMBER, 0.0, member) == sum(here < member for _, here in model)
            assert index.cut(AFTER_MEMBER, 0.0, member) == sum(here <= member for _, here in model)


@pytest.mark.parametrize("pool", SCORE_POOLS)
@pytest.mark.parametrize("seed", range(2))
def test_random_edits_keep_order_ranks_and_cuts(pool: str, seed: int) -> None:
    twin = Twin(random.Random(seed), SCORE_POOLS[pool])
    for step in range(2500):
        twin.edit(growing=step % 1000 < 700)
        if step % 25 == 0:
            twin.compare()
        if step % 250 == 0:
            check_invariants(twin.index)
    check_invariants(twin.index)
    assert content(twin.index) == twin.model


def test_filling_in_order_equals_inserting() -> None:
    members = [b"%05d" % n for n in range(5000)]
    scores = [float(n // 7) for n in range(5000)]
    filled, inserted = ScoreIndex(), ScoreIndex()
    filled.fill(members, scores)
    for score, member in zip(scores, members, strict=True):
        inserted.insert(score, member)
    check_invariants(filled)
    check_invariants(inserted)
    assert content(filled) == content(inserted)


def test_growing_scores_leave_full_chunks() -> None:
    index = ScoreIndex()
    for n in range(MAX_CHUNK_ENTRIES * 100):
        index.insert(float(n), b"m%d" % n)
    assert index.chunk_count == 100


def test_pages_split_and_join() -> None:
    index = ScoreIndex()
    entries = [(float(n % 997), b"%06d" % n) for n in range(MAX_PAGE_CHUNKS * 60)]
    for score, member in entries:
        index.insert(score, member)
    assert len(index.pages) > 1
    check_invariants(index)
    for score, member in entries[:-10]:
        assert index.remove(score, member)
    check_invariants(index)
    assert len(index.pages) == 1
    assert content(index) == sorted(entries[-10:])


def test_long_members_do_not_share_large_chunks() -> None:
    index = ScoreIndex()
    for n in range(20):
        index.insert(0.0, b"%02d" % n + b"x" * MAX_CHUNK_BYTES)
    assert index.chunk_count == 20
    check_invariants(index)


def test_what_is_not_there_is_not_found() -> None:
    index = ScoreIndex()
    assert not index.remove(1.0, b"a")
    assert index.rank(1.0, b"a") == -1
    index.insert(1.0, b"a")
    assert not index.remove(1.0, b"b")
    assert not index.remove(2.0, b"a")
    assert index.rank(2.0, b"a") == -1


@pytest.mark.parametrize(
    "member", [b"", b"a", b"ab\x80", b"abcdefgh", b"abcdefgi", b"\x80bcdefgh", b"abcdefghi"]
)
def test_members_compare_as_unsigned_bytes(member: bytes) -> None:
    for other in [b"", b"a", b"ab\x7f", b"abcdefgh", b"\x7fbcdefgh", b"abcdefghi", b"abcdefgh\xff"]:
        out = BytesWriter()
        score_index.write_entry(out, 0.0, member)
        chunk = out.getvalue()
        sign = compare_member(chunk, 0, other)
        assert (sign > 0, sign < 0) == (member > other, member < other)
        assert member_at(chunk, 0) == member


def test_a_cursor_walks_from_a_score_as_the_order_says() -> None:
    chance = random.Random(5)
    for size in (0, 1, 7, 300, 5000):
        entries = sorted((float(chance.randrange(size // 2 + 1)), b"m%d" % number) for number in range(size))
        index = ScoreIndex()
        index.fill([member for _, member in entries], [score for score, _ in entries])
        for low in (-1.0, 0.0, 0.5, float(size // 4), float(size)):
            cursor = ScoreCursor(index, low)
            walked = []
            while cursor.next():
                walked.append((cursor.score, cursor.member()))
            assert walked == [entry for entry in entries if entry[0] >= low]
            assert not cursor.next()
