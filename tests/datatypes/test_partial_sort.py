"""Sorting the first few: they are the smallest, and nothing is lost."""

from hypothesis import given
from hypothesis import strategies as st

from gossamer.datatypes.partial_sort import sort_first


@given(
    st.lists(st.integers(0, 30).map(float) | st.floats(allow_nan=False), max_size=200), st.integers(1, 250)
)
def test_the_first_are_the_smallest_in_order(keys: list[float], count: int) -> None:
    order = list(range(len(keys)))
    sort_first(keys, order, count)
    assert sorted(order) == list(range(len(keys)))
    assert [keys[at] for at in order[:count]] == sorted(keys)[:count]


def test_equal_keys_stand_as_the_real_servers_leave_them() -> None:
    keys = [float(n % 3) for n in range(12)]
    order = list(range(12))
    sort_first(keys, order, 5)
    assert [keys[at] for at in order[:5]] == [0.0, 0.0, 0.0, 0.0, 1.0]
