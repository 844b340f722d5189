"""Entries written as bulk strings: the bytes that the elements themselves would give."""

from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from gossamer.datatypes import listpack
from gossamer.datatypes.listpack_replies import write_bulk, write_run

SIZES = [*range(0, 20), 31, 32, 62, 63, 64, 65, 71, 72, 99, 100, 101, 999, 1000, 4095, 4096]
elements = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(SIZES).map(lambda size: b"x" * size),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: b"%d" % value),
    st.sampled_from(
        [sign * 10**power + delta for power in range(19) for delta in (-1, 0, 1) for sign in (1, -1)]
    ).map(lambda value: b"%d" % value),
    st.integers(-300, 300).map(lambda value: b"%d" % value),
)


def bulks(items: list[bytes]) -> bytes:
    return b"".join(b"$%d\r\n%s\r\n" % (len(item), item) for item in items)


@given(st.lists(elements, max_size=8), st.integers(0, 9))
def test_a_run_is_the_bulk_strings_of_its_elements(items: list[bytes], count: int) -> None:
    lp = listpack.encode(items)
    forwards, single = BytesWriter(), BytesWriter()
    if items:
        assert write_run(forwards, lp, listpack.first(lp), count) == min(count, len(items))
    assert forwards.getvalue() == bulks(items[:count])
    for item in items:
        write_bulk(single, item)
    assert single.getvalue() == bulks(items)
