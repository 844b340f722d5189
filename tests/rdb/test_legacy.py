"""The packed forms before listpacks: what we write of them is what we read."""

from hypothesis import given
from hypothesis import strategies as st

from gossamer.rdb.legacy import write_ziplist, ziplist_entries

EDGES = [
    0,
    12,
    13,
    127,
    128,
    -128,
    -129,
    32767,
    32768,
    -32769,
    2**31 - 1,
    2**31,
    -(2**31) - 1,
    2**63 - 1,
    -(2**63),
]
SIZES = [0, 1, 63, 64, 240, 253, 254, 300, 16383, 16384]
elements = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(EDGES).map(lambda number: b"%d" % number),
    st.sampled_from(SIZES).map(lambda size: b"x" * size),
    st.sampled_from([b"-0", b"01", b"inf", b"1e+17", b"9223372036854775808"]),
)


@given(st.lists(elements, max_size=30))
def test_a_ziplist_holds_what_was_put_in(values: list[bytes]) -> None:
    assert ziplist_entries(write_ziplist(values), 0) == values


def test_a_ziplist_of_more_elements_than_its_header_can_count() -> None:
    values = [b"%d" % number for number in range(70_000)]
    assert ziplist_entries(write_ziplist(values), 0) == values


def test_a_ziplist_is_the_bytes_that_redis_writes() -> None:
    written = write_ziplist([b"m", b"300"]).hex(" ")
    assert written == "12 00 00 00 0d 00 00 00 02 00 00 01 6d 03 c0 2c 01 ff"
