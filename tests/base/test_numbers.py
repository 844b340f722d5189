"""Claims about `gossamer.base.numbers`: the texts below are what redis-server 7.0 and Valkey 8.0 answer."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from librt.strings import BytesWriter

from gossamer.base import numbers

INT64 = st.integers(numbers.INT64_MIN, numbers.INT64_MAX)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(INT64)
def test_every_int64_reads_back(value: int) -> None:
    text = numbers.format_int(value)
    assert text == str(value).encode()
    assert numbers.is_int64(text)
    assert numbers.to_int64(text) == value


EDGES = [0, 1, 9, 10, 99, 9999, 10000, 99999999, 10**8, 10**16 - 1, 10**16, 2**63 - 1]


@given(st.one_of(st.sampled_from([sign * edge for edge in EDGES for sign in (1, -1)]), INT64))
def test_an_integer_is_written_as_it_is_formatted(value: int) -> None:
    out = BytesWriter()
    out.write(b"x")
    numbers.write_decimal(out, value)
    assert out.getvalue() == b"x" + numbers.format_int(value)
    assert numbers.decimal_bytes(value) == len(numbers.format_int(value))


@given(st.one_of(st.integers(-(2**70), 2**70).map(str), st.text("0123456789-+_ .x", max_size=22)))
def test_only_the_canonical_text_of_an_int64_is_one(text: str) -> None:
    data = text.encode()
    try:
        value = int(text)
        canonical = str(value) == text and numbers.INT64_MIN <= value <= numbers.INT64_MAX
    except ValueError:
        canonical = False
    assert numbers.is_int64(data) == canonical
    if not canonical:
        with pytest.raises(numbers.NotAnInteger):
            numbers.to_int64(data)


@pytest.mark.parametrize(
    "text",
    [b"", b"-", b"-0", b"01", b"+1", b" 1", b"1 ", b"1_0", b"--1", b"9223372036854775808",
     b"-9223372036854775809", b"1\x00", "\u0661".encode()],
)  # fmt: skip
def test_other_spellings_of_integers_are_refused(text: bytes) -> None:
    assert not numbers.is_int64(text)
    with pytest.raises(numbers.NotAnInteger):
        numbers.to_int64(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [(b"3", 3.0), (b"+5", 5.0), (b"-0", 0.0), (b"1.", 1.0), (b".5", 0.5), (b"1E5", 1e5), (b"0x10", 16.0),
     (b"0x1p3", 8.0), (b"-0X.8P+1", -1.0), (b"1e-320", 1e-320),
     (b"123456789012345678901234567890", 1.2345678901234568e29),
     (b"inf", float("inf")), (b"+Infinity", float("inf")), (b"-INF", float("-inf"))],
)  # fmt: skip
def test_doubles_are_read_as_strtod_reads_them(text: bytes, value: float) -> None:
    assert numbers.parse_double(text) == value


@pytest.mark.parametrize(
    "text",
    [b"", b".", b"+", b"e5", b"1e", b"1e+", b"0x", b"0x.p1", b"0x1p", b" 1", b"1 ", b"1_0", b"nan", b"nan(1)",
     b"infin", b"1e400", b"-1e400", b"1e-400", b"0x1p1024", b"0x1p-1080", b"1\x00", b"1d", b"--1"],
)  # fmt: skip
def test_what_is_no_double_or_beyond_its_range_is_refused(text: bytes) -> None:
    with pytest.raises(numbers.NotANumber):
        numbers.parse_double(text)


@given(FINITE)
def test_a_printed_double_reads_back_as_itself(value: float) -> None:
    for compat in (70, 72, 80):
        text = numbers.format_double(value, compat)
        assert struct.pack("<d", numbers.parse_double(text)) == struct.pack("<d", value) or value == 0.0
        assert float(text) == value


@pytest.mark.parametrize(
    ("value", "redis70", "redis72"),
    [
        (3.0, b"3", b"3"),
        (-0.0, b"-0", b"-0"),
        (0.1, b"0.10000000000000001", b"0.1"),
        (1e-5, b"1.0000000000000001e-05", b"0.00001"),
        (1e-7, b"9.9999999999999995e-08", b"1e-7"),
        (0.00001234, b"1.234e-05", b"1.234e-5"),
        (1e17, b"1e+17", b"100000000000000000"),
        (1e19, b"1e+19", b"1e+19"),
        (12345678901234567890.0, b"1.2345678901234567e+19", b"12345678901234567000"),
        (4611686018427387904.0, b"4.6116860184273879e+18", b"4611686018427387904"),
        (9223372036854775807.0, b"9.2233720368547758e+18", b"9223372036854776000"),
        (-1.5e300, b"-1.5000000000000001e+300", b"-1.5e+300"),
        (5e-324, b"4.9406564584124654e-324", b"5e-324"),
        (float("inf"), b"inf", b"inf"),
        (float("-inf"), b"-inf", b"-inf"),
        # Grisu2 misses the shortest digits here.
        (-2.934792480981814, b"-2.9347924809818138", b"-2.9347924809818138"),
        (0.0003924088621922766, b"0.00039240886219227657", b"3.9240886219227657e-4"),
    ],
)
def test_doubles_are_printed_as_each_version_prints_them(
    value: float, redis70: bytes, redis72: bytes
) -> None:
    assert numbers.format_double(value, 70) == redis70
    assert numbers.format_double(value, 72) == redis72
    assert numbers.format_double(value, 80) == redis72


@pytest.mark.parametrize(
    ("left", "right", "total"),
    [
        (b"0", b"0.1", b"0.1"),
        (b"10.50", b"-10.5", b"0"),
        (b"0", b"-0.000000000000000001", b"0"),
        (b"0.1", b"0.2", b"0.3"),
        (b"3.0e3", b"200", b"3200"),
        (b"0x10", b"1", b"17"),
        (b"9223372036854775807", b"1", b"9223372036854775808"),
        (b"18446744073709551615", b"0.5", b"18446744073709551616"),
        (b"1e4932", b"-1e4932", b"0"),
    ],
)
def test_long_doubles_are_added_with_64_significant_bits(left: bytes, right: bytes, total: bytes) -> None:
    assert numbers.add_long_double(left, right) == total


def test_the_largest_long_double_prints_all_its_digits() -> None:
    text = numbers.add_long_double(b"1.1e4932", b"0")
    assert len(text) == 4933
    assert text.startswith(b"10999999999999999999743731075")


@pytest.mark.parametrize(
    "text",
    [b"", b"x", b"nan", b"1e4933", b"1e-4960", b" 1", b"0x", b"1" * 5120, b"1e99999999999999999999999"],
)
def test_what_is_no_long_double_is_refused(text: bytes) -> None:
    for pair in ((text, b"1"), (b"1", text), (b"inf", text)):
        with pytest.raises(numbers.NotANumber):
            numbers.add_long_double(*pair)


@pytest.mark.parametrize(
    "pair", [(b"inf", b"1"), (b"inf", b"-inf"), (b"1", b"Infinity"), (b"1e4932", b"1e4932")]
)
def test_an_infinite_sum_is_refused(pair: tuple[bytes, bytes]) -> None:
    with pytest.raises(numbers.NotFinite):
        numbers.add_long_double(*pair)


@given(INT64, INT64)
def test_long_doubles_hold_every_int64_exactly(left: int, right: int) -> None:
    total = numbers.add_long_double(str(left).encode(), str(right).encode())
    assert total == str(left + right).encode() or abs(left + right) >= 1 << 64
