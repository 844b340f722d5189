"""Claims about `gossamer.base.rng`."""

import pytest

from gossamer.base.rng import Random64


def test_a_seed_fixes_the_sequence() -> None:
    first, second, other = Random64(7), Random64(7), Random64(8)
    sequence = [first.next_u32() for _ in range(50)]
    assert sequence == [second.next_u32() for _ in range(50)]
    assert sequence != [other.next_u32() for _ in range(50)]
    first.seed(7)
    assert sequence == [first.next_u32() for _ in range(50)]
    assert all(0 <= number < 1 << 32 for number in sequence)


def test_the_sequence_is_the_same_in_every_build() -> None:
    rng = Random64(1)
    assert [rng.next_u32() for _ in range(3)] == [1695105466, 1423115009, 634581793]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_every_number_below_the_limit_is_as_likely(limit: int) -> None:
    rng = Random64(limit)
    counts = [0] * limit
    draws = 4000 * limit
    for _ in range(draws):
        counts[rng.below(limit)] += 1
    # Chi squared, with a bound that chance exceeds less than once in a million runs.
    assert sum((count - 4000) ** 2 / 4000 for count in counts) < limit + 7 * (2 * limit) ** 0.5 + 20


@pytest.mark.parametrize("limit", [2**31 - 1, 2**31, 2**32 + 1, 2**62, 2**62 + 1, 2**63 - 1])
def test_large_limits_are_reached_and_kept(limit: int) -> None:
    rng = Random64(limit)
    drawn = [rng.below(limit) for _ in range(500)]
    assert 0 <= min(drawn) < limit // 20
    assert limit - limit // 20 < max(drawn) < limit


def test_fractions_fill_the_unit_interval() -> None:
    rng = Random64(3)
    drawn = [rng.fraction() for _ in range(2000)]
    assert 0.0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1.0


def test_hex_digits_are_as_many_as_asked() -> None:
    digits = Random64(5).hex_digits(40)
    assert len(digits) == 40
    assert set(digits) <= set(b"0123456789abcdef")


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (5, 0), (6, 2), (6, 1), (9, 9), (40, 5)])
def test_distinct_numbers_are_distinct_and_all_as_likely(limit: int, count: int) -> None:
    rng = Random64(count)
    counts = [0] * limit
    for _ in range(3000):
        drawn = rng.distinct_below(limit, count)
        assert len(set(drawn)) == len(drawn) == count
        for number in drawn:
            counts[number] += 1
    expected = 3000 * count / limit
    assert all(abs(number - expected) <= 6 * expected**0.5 for number in counts)
