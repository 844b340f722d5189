"""Claims about `gossamer.datatypes.sets`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.datatypes import intset, listpack
from gossamer.datatypes.sets import Set

INTEGER = st.one_of(st.integers(-20, 20), st.integers(-(2**63), 2**63 - 1)).map(lambda n: str(n).encode())
MEMBER = st.one_of(INTEGER, st.binary(max_size=3), st.sampled_from([b"x" * 65, b"y" * 300, b"007", b"-0"]))


def limits_of(compat: int = 72, integers: int = 512, entries: int = 128, value: int = 64) -> Limits:
    limits = Limits()
    limits.compat = compat
    limits.set_max_intset_entries = integers
    limits.set_max_listpack_entries = entries
    limits.set_max_listpack_value = value
    return limits


def as_set(value: Set) -> set[bytes]:
    members = value.members()
    assert len(set(members)) == len(members) == value.length()
    return set(members)


@given(
    st.sampled_from([70, 72, 80]),
    st.sampled_from([(512, 128), (4, 6), (6, 4), (0, 0)]),
    st.lists(st.tuples(st.booleans(), MEMBER), max_size=60),
)
def test_a_set_is_a_set(compat: int, bounds: tuple[int, int], steps: list[tuple[bool, bytes]]) -> None:
    limits = limits_of(compat, *bounds)
    value = Set(limits)
    model: set[bytes] = set()
    for is_add, member in steps:
        if is_add:
            assert value.add(member) == (member not in model)
            model.add(member)
        else:
            assert value.remove(member) == (member in model)
            model.discard(member)
        assert value.contains(member) == (member in model)
    assert as_set(value) == model
    packed = value.packed()
    if value.encoding() == b"intset":
        assert packed is not None
        if model:
            intset.validate(packed)
        assert as_set(Set.from_intset(packed, limits)) == model
    elif value.encoding() == b"listpack":
        assert packed is not None and compat >= 72
        listpack.validate(packed)
        assert as_set(Set.from_listpack(packed, limits)) == model
    assert as_set(Set.from_members(value.members(), limits)) == model
    copy = value.copy()
    assert copy.encoding() == value.encoding()
    copy.add(b"another")
    assert as_set(value) == model
    rng = Random64(len(steps))
    while model:
        member = value.pop(rng)
        assert member in model
        model.remove(member)
    assert value.length() == 0


def filled(limits: Limits, members: list[bytes]) -> Set:
    value = Set.new_for(members[0], 1, limits)
    for member in members:
        value.add(member)
    return value


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize(
    ("compat", "members", "encoding"),
    [
        (70, numbers(512), b"intset"),
        (70, numbers(513), b"hashtable"),
        (70, [b"1", b"a"], b"hashtable"),
        (70, [b"a"], b"hashtable"),
        (72, numbers(512), b"intset"),
        (72, numbers(513), b"hashtable"),
        (72, [b"1", b"a"], b"listpack"),
        (72, [b"a", b"1"], b"listpack"),
        (72, [*numbers(127), b"a"], b"listpack"),
        (72, [*numbers(128), b"a"], b"hashtable"),
        (72, [b"a", *numbers(127)], b"listpack"),
        (72, [b"a", *numbers(128)], b"hashtable"),
        (72, [b"a" * 64], b"listpack"),
        (72, [b"a" * 65], b"hashtable"),
        (72, [b"1", b"a" * 65], b"hashtable"),
    ],
)
def test_the_form_follows_the_members(compat: int, members: list[bytes], encoding: bytes) -> None:
    assert filled(limits_of(compat), members).encoding() == encoding


def test_no_form_is_taken_back_by_removing() -> None:
    value = filled(limits_of(), [b"1", b"a"])
    value.remove(b"a")
    assert value.encoding() == b"listpack"
    value.become_intset()
    assert value.encoding() == b"intset"
    assert value.members() == [b"1"]


@pytest.mark.parametrize(
    ("expected", "member", "encoding"),
    [(512, b"1", b"intset"), (513, b"1", b"hashtable"), (128, b"a", b"listpack"), (129, b"a", b"hashtable")],
)
def test_since_72_the_members_of_one_command_decide_the_form(
    expected: int, member: bytes, encoding: bytes
) -> None:
    assert Set.new_for(member, expected, limits_of()).encoding() == encoding
    value = filled(limits_of(), [member])
    value.expect(expected)
    assert value.encoding() == encoding


def test_repeated_members_show_in_the_count() -> None:
    assert Set.from_members([b"a", b"b", b"a"], limits_of()).length() == 2
    assert Set.from_members([b"1", b"1"], limits_of()).length() == 1


@pytest.mark.parametrize("members", [numbers(20), [*numbers(19), b"x"], [*numbers(19), b"x" * 100]])
def test_random_members_come_from_the_set_and_all_as_likely(members: list[bytes]) -> None:
    value = filled(limits_of(), members)
    rng = Random64(2)
    counts = dict.fromkeys(members, 0)
    for count in (1, 5, 15):
        for _ in range(400):
            drawn = value.distinct_random_members(rng, count)
            assert len(set(drawn)) == count == len(drawn)
            for member in drawn:
                counts[member] += 1
    assert all(abs(number - 420) < 110 for number in counts.values())
    for member in value.random_members(rng, 1000):
        counts[member] += 1
    assert all(abs(number - 470) < 110 for number in counts.values())
    assert value.random_member(rng) in members
    assert value.length() == 20
