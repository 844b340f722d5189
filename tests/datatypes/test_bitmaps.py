"""Bits and fields of bits, against the same said in plain integers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.datatypes.bitmaps import (
    BITOP_AND,
    BITOP_AND_NOT,
    BITOP_OR,
    BITOP_XOR,
    NOT_FOUND,
    combine,
    count_bits,
    field_in,
    find_bit,
    fitted,
    invert,
    piece_with_field,
)

LONG = bytes(range(256)) * 300  # more than is taken at a time
data = st.one_of(st.binary(max_size=300), st.sampled_from([bytes(200), b"\xff" * 200, LONG]))


def text_of(value: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in value)


@given(data, st.integers(0, 400), st.integers(0, 400))
def test_bits_are_counted_within_any_bytes(value: bytes, start: int, length: int) -> None:
    start = min(start, len(value))
    stop = min(start + length, len(value))
    assert count_bits(value, start, stop) == text_of(value[start:stop]).count("1")


@given(data, st.sampled_from([0, 1]), st.integers(0, 300))
def test_the_first_bit_of_a_value_is_found(value: bytes, bit: int, start: int) -> None:
    start = min(start, len(value))
    at = text_of(value[start:]).find(str(bit))
    assert find_bit(value, start, len(value), bit) == (8 * start + at if at >= 0 else NOT_FOUND)


@pytest.mark.parametrize("operation", [BITOP_AND, BITOP_OR, BITOP_XOR, BITOP_AND_NOT])
@given(left=data, right=data)
def test_the_shorter_string_counts_as_continued_by_zeros(operation: int, left: bytes, right: bytes) -> None:
    size = max(len(left), len(right))
    a, b = (int.from_bytes(value.ljust(size, b"\0"), "big") for value in (left, right))
    expected = {BITOP_AND: a & b, BITOP_OR: a | b, BITOP_XOR: a ^ b, BITOP_AND_NOT: a & ~b}[operation]
    assert combine(operation, left, right) == expected.to_bytes(size, "big")


@given(data)
def test_inverting_twice_changes_nothing_and_once_every_bit(value: bytes) -> None:
    assert invert(invert(value)) == value
    assert count_bits(value, 0, len(value)) + count_bits(invert(value), 0, len(value)) == 8 * len(value)


@given(st.binary(min_size=9, max_size=9), st.integers(0, 7), st.integers(1, 64), st.booleans(), st.integers())
def test_a_written_field_reads_back_and_leaves_its_neighbours_alone(
    piece: bytes, offset: int, bits: int, signed: bool, value: int
) -> None:
    piece = piece[: (offset + bits + 7) // 8]
    written = piece_with_field(piece, offset, bits, value)
    assert field_in(written, offset, bits, False) == value % (1 << bits)
    read = field_in(written, offset, bits, signed)
    assert read == fitted(value, bits, signed, False)
    outside = text_of(written)[:offset] + text_of(written)[offset + bits :]
    assert outside == text_of(piece)[:offset] + text_of(piece)[offset + bits :]


@pytest.mark.parametrize(
    ("value", "bits", "signed", "wrapped", "saturated"),
    [
        (127, 8, True, 127, 127),
        (128, 8, True, -128, 127),
        (-129, 8, True, 127, -128),
        (256, 8, False, 0, 255),
        (-1, 8, False, 255, 0),
        (1 << 63, 64, True, -(1 << 63), (1 << 63) - 1),
        (-(1 << 63) - 1, 64, True, (1 << 63) - 1, -(1 << 63)),
        (1 << 63, 63, False, 0, (1 << 63) - 1),
    ],
)
def test_what_a_field_cannot_hold_wraps_around_or_saturates(
    value: int, bits: int, signed: bool, wrapped: int, saturated: int
) -> None:
    assert fitted(value, bits, signed, False) == wrapped
    assert fitted(value, bits, signed, True) == saturated
