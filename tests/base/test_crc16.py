"""Claims about `gossamer.base.crc16`."""

import pytest

from gossamer.base.crc16 import hash_tag, key_slot


def test_the_checksum_is_the_specified_one() -> None:
    assert key_slot(b"123456789") == 0x31C3


@pytest.mark.parametrize(
    ("key", "slot"), [(b"", 0), (b"foo", 12182), (b"bar", 5061), (b"a{foo}b", 12182), (b"foo{}", 5542)]
)
def test_slots_are_those_of_redis_cluster(key: bytes, slot: int) -> None:
    assert key_slot(key) == slot


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        (b"plain", b"plain"),
        (b"{user}.name", b"user"),
        (b"x{a}{b}", b"a"),
        (b"x{{a}}", b"{a"),
        (b"x{}{a}", b"x{}{a}"),
        (b"x}y{a", b"x}y{a"),
        (b"}{a}", b"a"),
    ],
)
def test_only_a_closed_tag_with_content_counts(key: bytes, tag: bytes) -> None:
    assert hash_tag(key) == tag
