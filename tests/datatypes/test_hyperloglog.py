"""HyperLogLogs: hash, both forms, the estimate, and hostile strings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.datatypes.hyperloglog import (
    DENSE_BYTES,
    EMPTY,
    REGISTERS,
    CorruptedHyperLogLog,
    dense_of,
    dense_raise,
    describe_runs,
    estimate,
    hash64,
    is_dense,
    is_hyperloglog,
    larger_registers,
    place_of,
    registers_of,
    sparse_raise,
)

ZEROS = bytes(REGISTERS)
STALE_HEAD = b"HYLL\x01" + bytes(10) + b"\x80"


def hash_in_plain_integers(element: bytes) -> int:
    """MurmurHash64A by its definition."""
    mask, multiplier = (1 << 64) - 1, 0xC6A4A7935BD1E995
    hashed = 0xADC83B19 ^ (len(element) * multiplier & mask)
    for start in range(0, len(element) - 7, 8):
        word = int.from_bytes(element[start : start + 8], "little") * multiplier & mask
        word = (word ^ word >> 47) * multiplier & mask
        hashed = (hashed ^ word) * multiplier & mask
    tail = element[len(element) & ~7 :]
    if tail:
        hashed = (hashed ^ int.from_bytes(tail, "little")) * multiplier & mask
    hashed = (hashed ^ hashed >> 47) * multiplier & mask
    return hashed ^ hashed >> 47


@given(st.binary(max_size=40))
def test_the_hash_is_murmur_hash_64a(element: bytes) -> None:
    assert hash64(element) & (1 << 64) - 1 == hash_in_plain_integers(element)
    place = place_of(element)
    assert 0 <= place >> 6 < REGISTERS and 1 <= place & 63 <= 51


changes = st.lists(
    st.tuples(st.integers(0, 40) | st.integers(0, REGISTERS - 1), st.integers(1, 32)), max_size=60
)


@given(changes)
def test_both_forms_hold_the_highest_rank_of_each_register(ranks: list[tuple[int, int]]) -> None:
    expected = bytearray(REGISTERS)
    sparse = EMPTY
    dense = bytearray(dense_of(EMPTY, ZEROS))
    for register, rank in ranks:
        raised = rank > expected[register]
        expected[register] = max(expected[register], rank)
        before = sparse
        sparse = sparse_raise(sparse, register, rank, DENSE_BYTES)
        assert (sparse is not before) == raised
        assert dense_raise(dense, register, rank) == raised
    assert not is_dense(sparse)
    assert registers_of(sparse) == registers_of(bytes(dense)) == bytes(expected)
    assert dense_of(EMPTY, bytes(expected)) == bytes(dense)


def test_a_run_is_divided_and_joined_again() -> None:
    assert describe_runs(EMPTY) == b"Z:16384"
    data = sparse_raise(EMPTY, 100, 3, 3000)
    assert describe_runs(data) == b"Z:100 v:3,1 Z:16283"
    for register in (101, 103, 102):
        data = sparse_raise(data, register, 3, 3000)
    assert describe_runs(data) == b"Z:100 v:3,4 Z:16280"
    data = sparse_raise(data, 102, 5, 3000)
    assert describe_runs(data) == b"Z:100 v:3,2 v:5,1 v:3,1 Z:16280"
    assert sparse_raise(data, 102, 4, 3000) is data


def test_a_rank_or_a_size_beyond_the_sparse_form_makes_it_dense() -> None:
    high = sparse_raise(EMPTY, 7, 33, 3000)
    assert is_dense(high) and len(high) == DENSE_BYTES
    assert registers_of(high)[7] == 33
    tight = sparse_raise(EMPTY, 7, 2, 18)
    assert is_dense(tight) and registers_of(tight)[7] == 2


@pytest.mark.parametrize("count", [0, 1, 100, 2000, 50_000])
def test_the_estimate_is_near_the_truth(count: int) -> None:
    dense = bytearray(dense_of(EMPTY, ZEROS))
    for number in range(count):
        place = place_of(b"element %d" % number)
        dense_raise(dense, place >> 6, place & 63)
    assert abs(int(estimate(registers_of(bytes(dense)))) - count) <= count * 0.025


def test_a_union_counts_what_either_has() -> None:
    left, right = bytes([1, 5, 0]) + bytes(REGISTERS - 3), bytes([2, 3, 0]) + bytes(REGISTERS - 3)
    assert larger_registers(left, right)[:3] == bytes([2, 5, 0])


@pytest.mark.parametrize(
    ("head", "size"),
    [
        (b"", 0),
        (b"HYLL", 4),
        (b"HYLL" + bytes(12), 16),
        (b"HYLL\x02" + bytes(11), 18),
        (b"hyll\x01" + bytes(11), 18),
    ],
)
def test_what_only_looks_like_one_is_none(head: bytes, size: int) -> None:
    assert not is_hyperloglog(head, size)


@pytest.mark.parametrize(
    "runs",
    [
        b"",
        b"\x7f",
        b"\x7f\xfe",
        b"\x7f\xff\x00",
        b"\x7f\xfe\x85",
        b"\xff" * 5000,
        b"\x7f\xff" * 4,
        b"\x7f\xff" * 100_000,
        b"\x00" * 16383,
    ],
    ids=lambda runs: f"{len(runs)} bytes",
)
def test_cve_2025_32023_runs_that_do_not_make_all_registers_are_refused(runs: bytes) -> None:
    with pytest.raises(CorruptedHyperLogLog):
        registers_of(STALE_HEAD + runs)


@given(st.binary(max_size=200), st.integers(0, REGISTERS - 1), st.integers(1, 51))
def test_damaged_runs_are_refused_or_give_a_sound_string(runs: bytes, register: int, rank: int) -> None:
    try:
        data = sparse_raise(STALE_HEAD + runs, register, rank, 3000)
        assert is_hyperloglog(data, len(data))
        assert registers_of(data)[register] >= rank
    except CorruptedHyperLogLog:
        pass
