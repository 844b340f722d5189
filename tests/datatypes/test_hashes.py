"""Claims about `gossamer.datatypes.hashes`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash

TEXT = st.one_of(
    st.integers(-300, 300).map(lambda number: str(number).encode()),
    st.binary(max_size=12),
    st.sampled_from([b"x" * 65, b"y" * 300, b"z" * 600]),
)
SHORT = st.one_of(st.integers(0, 20).map(lambda number: str(number).encode()), st.binary(max_size=3))


def limits_of(entries: int = 128, value: int = 64, compat: int = 72) -> Limits:
    limits = Limits()
    limits.compat = compat
    limits.hash_max_listpack_entries = entries
    limits.hash_max_listpack_value = value
    return limits


def as_dict(value: Hash) -> dict[bytes, bytes]:
    flat = value.items()
    assert flat[::2] == value.fields()
    assert flat[1::2] == value.values()
    pairs = dict(zip(flat[::2], flat[1::2], strict=True))
    assert len(pairs) == value.length()
    return pairs


@given(
    st.sampled_from([0, 3, 128]),
    st.lists(st.tuples(st.booleans(), st.one_of(SHORT, TEXT), TEXT), max_size=60),
)
def test_a_hash_is_a_mapping(entries: int, steps: list[tuple[bool, bytes, bytes]]) -> None:
    value = Hash(limits_of(entries))
    model: dict[bytes, bytes] = {}
    for is_set, field, text in steps:
        if is_set:
            assert value.set(field, text) == (field not in model)
            model[field] = text
        else:
            assert value.remove(field) == (model.pop(field, None) is not None)
        assert value.get(field) == model.get(field)
        assert value.contains(field) == (field in model)
    assert as_dict(value) == model
    packed = value.packed()
    if packed is not None:
        listpack.validate(packed)
        assert as_dict(Hash.from_packed(packed, value.limits)) == model
    copy = value.copy()
    copy.set(b"another", b"1")
    assert as_dict(value) == model
    assert copy.encoding() == value.encoding() or len(model) >= entries
    assert as_dict(Hash.from_pairs(value.items(), value.limits)) == model


def test_the_threshold_of_fields_makes_a_hash_large_for_good() -> None:
    value = Hash(limits_of(entries=3))
    for field in (b"a", b"b", b"c"):
        value.set(field, b"1")
    assert value.encoding() == b"listpack"
    value.set(b"c", b"2")
    assert value.encoding() == b"listpack"
    value.set(b"d", b"1")
    assert value.encoding() == b"hashtable"
    value.remove(b"d")
    assert value.encoding() == b"hashtable"
    assert value.packed() is None


@pytest.mark.parametrize(("field", "text"), [(b"f", b"v" * 65), (b"f" * 65, b"v")])
def test_a_long_field_or_value_makes_a_hash_large(field: bytes, text: bytes) -> None:
    value = Hash(limits_of())
    value.set(field[:64], text[:64])
    assert value.encoding() == b"listpack"
    value.set(field, text)
    assert value.encoding() == b"hashtable"


@pytest.mark.parametrize(("compat", "encoding"), [(70, b"listpack"), (72, b"hashtable"), (80, b"hashtable")])
def test_since_72_the_pairs_of_one_command_decide_the_form(compat: int, encoding: bytes) -> None:
    value = Hash(limits_of(compat=compat))
    value.expect(129)
    assert value.encoding() == encoding


def test_repeated_fields_show_in_the_count() -> None:
    assert Hash.from_pairs([b"a", b"1", b"a", b"2"], limits_of()).length() == 1


def test_packed_bytes_from_elsewhere_obey_the_own_thresholds() -> None:
    packed = Hash.from_pairs([b"a", b"1", b"b", b"2"], limits_of()).packed()
    assert packed is not None
    value = Hash.from_packed(packed, limits_of(entries=1))
    value.apply_limits()
    assert value.encoding() == b"hashtable"
    assert as_dict(value) == {b"a": b"1", b"b": b"2"}


@pytest.mark.parametrize("entries", [0, 128])
def test_random_fields_come_from_the_hash_and_all_as_likely(entries: int) -> None:
    value = Hash(limits_of(entries))
    for number in range(20):
        value.set(b"f%d" % number, b"v%d" % number)
    everything = as_dict(value)
    rng = Random64(1)
    counts = dict.fromkeys(everything, 0)
    for count in (1, 5, 15):
        for _ in range(400):
            flat = value.distinct_random_pairs(rng, count)
            assert len(set(flat[::2])) == count == len(flat) // 2
            for index in range(0, 2 * count, 2):
                assert everything[flat[index]] == flat[index + 1]
                counts[flat[index]] += 1
    assert all(abs(number - 420) < 110 for number in counts.values())
    assert len(value.random_pairs(rng, 50)) == 100
    assert value.distinct_random_pairs(rng, 20) == value.items()
    single: list[bytes] = []
    value.random_pair(rng, single)
    assert everything[single[0]] == single[1]
