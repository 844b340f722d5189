"""Sorted sets in both forms: what a caller sees is the same, and the switch is where Redis's is."""

import math
import random

import pytest

from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.zsets import (
    ADD_GREATER,
    ADD_IF_ABSENT,
    ADD_IF_PRESENT,
    ADD_INCREMENT,
    ADD_LESS,
    AFTER_MEMBER,
    AFTER_SCORE,
    BEFORE_MEMBER,
    BEFORE_SCORE,
    DID_ADD,
    DID_NOTHING,
    DID_UPDATE,
    IS_NAN,
    LEFT_SAME,
    ZSet,
    in_order,
    packed_score_text,
)

INFINITY = math.inf


def limits_for(form: str) -> Limits:
    limits = Limits()
    if form == "skiplist":
        limits.zset_max_listpack_entries = 0
    return limits


@pytest.fixture(params=["listpack", "skiplist"])
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def zset_of(form: str, entries: dict[bytes, float]) -> ZSet:
    value = ZSet(limits_for(form))
    for member, score in entries.items():
        assert value.add(member, score, 0) == DID_ADD
    assert value.encoding() == form.encode()
    return value


def content(value: ZSet) -> list[tuple[bytes, float]]:
    members: list[bytes] = []
    scores: list[float] = []
    value.collect(0, value.length(), members, scores)
    return list(zip(members, scores, strict=True))


def test_members_stand_by_score_then_by_bytes(form: str) -> None:
    value = zset_of(form, {b"b": 1.0, b"a": 1.0, b"": 1.0, b"z": -INFINITY, b"\xff": 0.5, b"10": INFINITY})
    assert [member for member, _ in content(value)] == [b"z", b"\xff", b"", b"a", b"b", b"10"]
    assert [value.rank(member) for member, _ in content(value)] == list(range(6))
    assert value.rank(b"nobody") == -1
    assert math.isnan(value.score(b"nobody"))


def test_conditions_of_add(form: str) -> None:
    value = zset_of(form, {b"m": 5.0})
    assert value.add(b"m", 9.0, ADD_IF_ABSENT) == DID_NOTHING
    assert value.add(b"new", 1.0, ADD_IF_PRESENT) == DID_NOTHING
    assert value.add(b"m", 4.0, ADD_GREATER) == DID_NOTHING
    assert value.add(b"m", 6.0, ADD_LESS) == DID_NOTHING
    assert value.score(b"m") == 5.0
    assert value.add(b"m", 5.0, 0) == LEFT_SAME
    assert value.add(b"m", 6.0, ADD_GREATER) == DID_UPDATE
    assert value.add(b"m", 2.5, ADD_INCREMENT) == DID_UPDATE
    assert value.last_score == value.score(b"m") == 8.5
    assert value.add(b"m", -1.0, ADD_INCREMENT | ADD_GREATER) == DID_NOTHING
    assert value.add(b"new", 1.0, ADD_GREATER) == DID_ADD
    assert content(value) == [(b"new", 1.0), (b"m", 8.5)]


def test_infinities_of_both_signs_do_not_add_up(form: str) -> None:
    value = zset_of(form, {b"m": INFINITY})
    assert value.add(b"m", -INFINITY, ADD_INCREMENT) == IS_NAN
    assert value.score(b"m") == INFINITY


def test_cuts_count_what_stands_before(form: str) -> None:
    value = zset_of(form, {b"a": 1.0, b"b": 2.0, b"c": 2.0, b"d": 3.0})
    assert [value.cut(BEFORE_SCORE, score, b"") for score in (-INFINITY, 1.0, 2.0, 2.5, INFINITY)] == [
        0,
        0,
        1,
        3,
        4,
    ]
    assert [value.cut(AFTER_SCORE, score, b"") for score in (0.0, 1.0, 2.0, 3.0)] == [0, 1, 3, 4]
    same = zset_of(form, {b"a": 0.0, b"b": 0.0, b"c": 0.0})
    assert [same.cut(BEFORE_MEMBER, 0.0, member) for member in (b"", b"b", b"bb", b"d")] == [0, 1, 2, 3]
    assert [same.cut(AFTER_MEMBER, 0.0, member) for member in (b"", b"b", b"bb", b"d")] == [0, 2, 2, 3]


@pytest.mark.parametrize("seed", range(3))
def test_random_edits_against_a_dict(form: str, seed: int) -> None:
    rng = random.Random(seed)
    value = ZSet(limits_for(form))
    model: dict[bytes, float] = {}
    for _ in range(1500):
        member = b"%d" % rng.randrange(80)
        draw = rng.random()
        if draw < 0.6:
            score = rng.choice([0.0, -0.0, 0.1, 1 / 3, float(rng.randrange(-5, 5)), 1e17, 1e300, INFINITY])
            expected = DID_ADD if member not in model else LEFT_SAME if model[member] == score else DID_UPDATE
            assert value.add(member, score, 0) == expected
            model[member] = score
        elif draw < 0.9:
            assert value.remove(member) == (member in model)
            model.pop(member, None)
        else:
            start, count = rng.randrange(len(model) + 1), rng.randrange(4)
            taken: list[bytes] = []
            scores: list[float] = []
            value.take(start, count, taken, scores)
            assert [model.pop(name) for name in taken] == scores
        ordered = sorted(model.items(), key=lambda item: (item[1], item[0]))
        assert content(value) == ordered
        start = rng.randrange(len(model) + 2)
        members: list[bytes] = []
        value.collect_members(start, 7, members)
        assert members == [name for name, _ in ordered[start : start + 7]]


def test_a_member_too_many_or_too_long_makes_it_large() -> None:
    limits = Limits()
    limits.zset_max_listpack_entries = 3
    limits.zset_max_listpack_value = 5
    value = ZSet(limits)
    for member in (b"a", b"b", b"12345"):
        value.add(member, 1.0, 0)
    assert value.encoding() == b"listpack"
    value.add(b"c", 1.0, 0)
    assert value.encoding() == b"skiplist"
    assert value.packed() is None
    value.remove(b"c")
    assert value.encoding() == b"skiplist"

    other = ZSet(limits)
    other.add(b"123456", 1.0, 0)
    assert other.encoding() == b"skiplist"


def test_a_large_set_holds_members_of_any_length() -> None:
    value = ZSet(limits_for("skiplist"))
    long_member = b"x" * 5000
    value.add(long_member, 1.0, 0)
    value.add(b"y", 0.0, 0)
    assert value.score(long_member) == 1.0
    assert value.rank(long_member) == 1
    assert value.add(long_member, 2.0, 0) == DID_UPDATE
    assert value.remove(long_member)
    assert content(value) == [(b"y", 0.0)]


def test_building_from_entries_orders_them_and_picks_the_form() -> None:
    limits = Limits()
    small = ZSet.from_entries([b"b", b"a", b"c"], [1.0, 1.0, -1.0], limits)
    assert content(small) == [(b"c", -1.0), (b"a", 1.0), (b"b", 1.0)]
    assert small.encoding() == b"listpack"
    names = [b"%d" % n for n in range(limits.zset_max_listpack_entries + 1)]
    large = ZSet.from_entries(names, [0.0] * len(names), limits)
    assert large.encoding() == b"skiplist"
    assert [member for member, _ in content(large)] == sorted(names)


def test_a_copy_is_independent(form: str) -> None:
    value = zset_of(form, {b"a": 1.0, b"b": 2.0})
    copied = value.copy()
    copied.add(b"c", 0.0, 0)
    value.remove(b"a")
    assert content(value) == [(b"b", 2.0)]
    assert content(copied) == [(b"c", 0.0), (b"a", 1.0), (b"b", 2.0)]


def test_memory_follows_the_content() -> None:
    value = ZSet(limits_for("skiplist"))
    empty = value.memory_bytes()
    for n in range(2000):
        value.add(b"element:%08d" % n, float(n * 7919 % 2003), 0)
    assert 40 < (value.memory_bytes() - empty) / 2000 < 100
    members: list[bytes] = []
    value.take(0, 1990, members, [])
    assert value.memory_bytes() < empty + 5000


@pytest.mark.parametrize(
    ("score", "redis", "valkey"),
    [
        (0.0, b"0", b"0"),
        (-0.0, b"0", b"0"),
        (-3.0, b"-3", b"-3"),
        (0.1, b"0.10000000000000001", b"0.1"),
        (1e17, b"100000000000000000", b"100000000000000000"),
        (4611686018427388928.0, b"4.6116860184273889e+18", b"4611686018427389000"),
        (5e18, b"5e+18", b"5e+18"),
        (1e300, b"1.0000000000000001e+300", b"1e+300"),
        (-1e-7, b"-9.9999999999999995e-08", b"-1e-7"),
        (INFINITY, b"inf", b"inf"),
        (-INFINITY, b"-inf", b"-inf"),
    ],
)
def test_scores_are_spelled_as_each_server_packs_them(score: float, redis: bytes, valkey: bytes) -> None:
    assert packed_score_text(score, 70) == redis
    assert packed_score_text(score, 80) == valkey


def test_the_packed_form_is_member_and_score_in_turn() -> None:
    value = zset_of("listpack", {b"b": 2.0, b"a": 1.5})
    assert value.packed() == listpack.encode([b"a", b"1.5", b"b", b"2"])
    again = ZSet.from_packed(listpack.encode([b"a", b"1.5", b"b", b"2"]), Limits())
    assert content(again) == content(value)


def test_members_are_put_in_order_by_score_then_bytes_and_zeros_keep_their_signs() -> None:
    score_of = {b"d": 2.0, b"b": 0.0, b"c": -0.0, b"a": 0.0, b"z": -1.0, b"e": 2.0, b"f": math.inf}
    members, scores = in_order(score_of)
    assert members == [b"z", b"a", b"b", b"c", b"d", b"e", b"f"]
    assert [(score, math.copysign(1.0, score)) for score in scores] == [
        (score_of[member], math.copysign(1.0, score_of[member])) for member in members
    ]
    assert in_order({}) == ([], [])
