"""The backlog gives back what was written, from every offset that it holds, and keeps within its size."""

from hypothesis import given
from hypothesis import strategies as st

from gossamer.replication.backlog import BLOCK_BYTES, Backlog


def read_all(backlog: Backlog, offset: int, most: int) -> bytes:
    out = b""
    while True:
        piece = backlog.read(offset + len(out), most)
        if not piece:
            return out
        assert len(piece) <= most
        out += piece


@given(
    st.lists(st.binary(max_size=40), max_size=40),
    st.integers(1, 64),
    st.integers(0, 1000),
    st.integers(1, 50),
)
def test_a_reader_from_any_held_offset_gets_the_true_rest(
    pieces: list[bytes], size: int, start: int, most: int
) -> None:
    backlog = Backlog(size, start)
    written = b""
    for piece in pieces:
        backlog.append(piece)
        written += piece
        backlog.trim(backlog.end + 1)
        assert backlog.end == start + len(written)
        for offset in range(int(backlog.first), int(backlog.end) + 2):
            assert backlog.holds(offset)
            assert read_all(backlog, offset, most) == written[offset - start - 1 :]
    assert not backlog.holds(backlog.first - 1)
    assert not backlog.holds(backlog.end + 2)


def test_it_keeps_its_size_and_little_more() -> None:
    backlog = Backlog(100_000, 0)
    for _ in range(1000):
        backlog.append(b"x" * 1000)
        backlog.trim(backlog.end + 1)
    assert 100_000 <= backlog.length() <= 100_000 + BLOCK_BYTES
    assert backlog.end == 1_000_000


def test_one_large_write_does_not_stretch_it() -> None:
    for size, most in ((1, BLOCK_BYTES), (1 << 20, (1 << 20) + (1 << 16))):
        backlog = Backlog(size, 0)
        backlog.append(b"x" * 5_000_000)
        backlog.trim(backlog.end + 1)
        assert backlog.end == 5_000_000
        assert size <= backlog.length() <= most


def test_what_a_reader_still_needs_is_held_beyond_the_size() -> None:
    backlog = Backlog(10, 0)
    for _ in range(100):
        backlog.append(b"y" * BLOCK_BYTES)
        backlog.trim(BLOCK_BYTES + 1)
    assert backlog.first == BLOCK_BYTES + 1
    backlog.trim(backlog.end + 1)
    assert backlog.length() == BLOCK_BYTES
