"""Sorted-set commands without a server: replies, and what they say to watches, events, AOF and replicas."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import zset_combine, zset_pops, zset_ranges, zsets
from gossamer.commands.zset_ranges import parse_score_bound
from support.caller import Caller

GROUPS = (zsets.COMMANDS, zset_ranges.COMMANDS, zset_pops.COMMANDS, zset_combine.COMMANDS)


def calling(compat: int = 72, protocol: int = 2) -> Caller:
    return Caller(GROUPS, compat, protocol)


def raw(caller: Caller, line: str) -> bytes:
    return caller.raw(*line.split(" "))


@pytest.fixture
def caller() -> Caller:
    return calling()


def test_zadd_counts_what_is_new_and_with_ch_what_changed(caller: Caller) -> None:
    assert caller.line("ZADD z 1 a 2 b") == 2
    assert caller.line("ZADD z 1 a 3 b 4 c") == 1
    assert caller.line("ZADD z CH 1 a 5 b 6 d") == 2
    assert caller.events == [(b"zadd", b"z")]


def test_zadd_that_changes_nothing_says_nothing(caller: Caller) -> None:
    caller.line("ZADD z 1 a")
    dirty = caller.state.dirty
    for line in (
        "ZADD z 1 a",
        "ZADD z NX 2 a",
        "ZADD z XX 2 b",
        "ZADD z GT 0 a",
        "ZADD none XX 1 a",
        "ZREM z b",
    ):
        caller.line(line)
        assert caller.events == []
    assert caller.state.dirty == dirty
    assert caller.line("ZSCORE z a") == b"1"


def test_every_changed_member_counts_towards_a_save_point(caller: Caller) -> None:
    caller.line("ZADD z 1 a 2 b 3 c")
    assert caller.state.dirty == 3
    caller.line("ZPOPMAX z 2")
    assert caller.state.dirty == 5


def test_a_bad_score_anywhere_changes_nothing(caller: Caller) -> None:
    with pytest.raises(CommandError, match="not a valid float"):
        caller.line("ZADD z 1 a x b")
    assert caller.line("ZCARD z") == 0


def test_the_last_member_takes_the_key_along(caller: Caller) -> None:
    removing = {
        "ZREM z a": b"zrem",
        "ZPOPMIN z": b"zpopmin",
        "ZPOPMAX z 5": b"zpopmax",
        "ZREMRANGEBYRANK z 0 -1": b"zremrangebyrank",
        "ZREMRANGEBYSCORE z -inf +inf": b"zremrangebyscore",
        "ZREMRANGEBYLEX z - +": b"zremrangebylex",
    }
    for line, event in removing.items():
        caller.line("ZADD z 0 a")
        caller.line(line)
        assert caller.events == [(event, b"z"), (b"del", b"z")]
        assert not caller.session.db.exists(b"z")


def test_pops_are_told_to_replicas_without_the_choice_of_a_key(caller: Caller) -> None:
    told = {
        "BZPOPMIN none z 0": [b"ZPOPMIN", b"z"],
        "BZPOPMAX z 0": [b"ZPOPMAX", b"z"],
        "ZMPOP 2 none z MIN COUNT 100": [b"ZPOPMIN", b"z", b"3"],
        "BZMPOP 0 1 z MAX": [b"ZPOPMAX", b"z", b"1"],
    }
    for line, effect in told.items():
        caller.line("ZADD z 1 a 2 b 3 c")
        caller.line(line)
        assert caller.propagated == [effect]


def test_a_blocking_pop_waits_for_its_keys_or_answers_null_where_it_must_not(caller: Caller) -> None:
    assert raw(caller, "BZPOPMIN a b 0.5") == b""
    assert caller.session.block_keys == [b"a", b"b"]
    assert caller.session.block_deadline_ms == caller.state.now_ms + 500
    assert raw(caller, "BZMPOP 0 2 c d MAX COUNT 3") == b""
    assert caller.session.block_keys == [b"c", b"d"]
    assert caller.session.block_deadline_ms == 0
    caller.session.deny_blocking = True
    assert caller.line("BZPOPMIN a b 0") is None
    assert caller.line("BZMPOP 0 2 c d MAX") is None


def test_a_store_replaces_the_key_and_its_expire_time(caller: Caller) -> None:
    caller.line("ZADD z 1 a 2 b")
    for line in ("ZUNIONSTORE d 1 z", "ZINTERSTORE d 1 z", "ZDIFFSTORE d 1 z", "ZRANGESTORE d z 0 -1"):
        caller.session.db.set_string(b"d", b"text", caller.state.now_ms + 1000, False)
        assert caller.line(line) == 2
        assert caller.events == [(line.split()[0].lower().encode(), b"d")]
        assert caller.session.db.expire_time(b"d") == -1
        assert caller.line("ZRANGE d 0 -1") == [b"a", b"b"]


def test_an_empty_store_deletes_the_key(caller: Caller) -> None:
    caller.line("ZADD z 1 a")
    for line in (
        "ZUNIONSTORE d 1 none",
        "ZINTERSTORE d 2 z none",
        "ZDIFFSTORE d 2 z z",
        "ZRANGESTORE d z 5 9",
    ):
        caller.session.db.set_string(b"d", b"text", 0, False)
        assert caller.line(line) == 0
        assert caller.events == [(b"del", b"d")]
        caller.line(line)
        assert caller.events == []


def test_scores_come_in_pairs_in_resp3() -> None:
    caller = calling(protocol=3)
    caller.line("ZADD z 1.5 a 2 b")
    nested = b"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n,2\r\n"
    assert raw(caller, "ZRANGE z 0 -1 WITHSCORES") == nested
    assert raw(caller, "ZUNION 1 z WITHSCORES") == nested
    assert raw(caller, "ZPOPMIN z 1") == b"*1\r\n*2\r\n$1\r\na\r\n,1.5\r\n"
    assert raw(caller, "ZPOPMIN z") == b"*2\r\n$1\r\nb\r\n,2\r\n"


def test_zmpop_nests_in_both_protocols(caller: Caller) -> None:
    caller.line("ZADD z 1 a 2 b")
    assert caller.line("ZMPOP 1 z MAX COUNT 2") == [b"z", [[b"b", b"2"], [b"a", b"1"]]]


@pytest.mark.parametrize("compat", [70, 80])
@pytest.mark.parametrize("entries", [128, 0])
def test_a_negative_offset_counts_from_the_end_in_the_large_form_of_valkey_only(
    compat: int, entries: int
) -> None:
    caller = calling(compat)
    caller.limits.zset_max_listpack_entries = entries
    caller.line("ZADD z 0 a 1 b 2 c 3 d")
    counts_back = compat == 80 and entries == 0
    forward = caller.line("ZRANGEBYSCORE z -inf +inf LIMIT -2 5")
    backward = caller.line("ZREVRANGEBYSCORE z +inf -inf LIMIT -2 1")
    assert forward == ([b"c", b"d"] if counts_back else [])
    assert backward == ([b"b"] if counts_back else [])


@pytest.mark.parametrize("compat", [70, 72])
def test_since_7_2_many_pairs_make_a_large_set_even_of_one_member(compat: int) -> None:
    caller = calling(compat)
    caller.limits.zset_max_listpack_entries = 4
    caller.line("ZADD z 1 a 1 a 1 a 1 a 1 a")
    assert caller.session.db.encoding(b"z") == (b"listpack" if compat == 70 else b"skiplist")


@pytest.mark.parametrize(
    ("text", "score", "exclusive"),
    [
        (b"1.5", 1.5, False),
        (b"(2", 2.0, True),
        (b"", 0.0, False),
        (b"(", 0.0, True),
        (b" 1", 1.0, False),
        (b"1\0junk", 1.0, False),
        (b"1e400", float("inf"), False),
        (b"(-1e400", float("-inf"), True),
        (b"1e-400", 0.0, False),
        (b"0x1p4", 16.0, False),
        (b"-inf", float("-inf"), False),
    ],
)
def test_bounds_of_scores_are_read_as_by_strtod(text: bytes, score: float, exclusive: bool) -> None:
    assert parse_score_bound(text) == (score, exclusive)


@pytest.mark.parametrize("text", [b"nan", b"1 ", b"1x", b"((1", b"[1", b"1_0", b"--1", b"e5", b"."])
def test_what_strtod_leaves_unread_is_no_bound(text: bytes) -> None:
    with pytest.raises(CommandError):
        parse_score_bound(text)


def test_weights_and_aggregates(caller: Caller) -> None:
    caller.line("ZADD x 1 a 2 b inf i")
    caller.line("ZADD y 3 b 4 c -inf i")
    assert caller.line("ZUNION 2 x y WEIGHTS 2 -1 WITHSCORES") == [
        b"c", b"-4", b"b", b"1", b"a", b"2", b"i", b"inf",
    ]  # fmt: skip
    assert caller.line("ZINTER 2 x y AGGREGATE MAX WITHSCORES") == [b"b", b"3", b"i", b"inf"]
    assert caller.line("ZINTER 2 x y WITHSCORES") == [b"i", b"0", b"b", b"5"]
    assert caller.line("ZUNION 1 x WEIGHTS 0 WITHSCORES") == [b"a", b"0", b"b", b"0", b"i", b"0"]
    assert caller.line("ZDIFF 2 x y WITHSCORES") == [b"a", b"1"]
    assert caller.line("ZINTERCARD 2 x y LIMIT 1") == 1
    assert caller.line("ZINTERCARD 2 x y LIMIT 0") == 2


@pytest.mark.parametrize("entries", [128, 0])
def test_samples(entries: int) -> None:
    caller = calling()
    caller.limits.zset_max_listpack_entries = entries
    caller.line("ZADD z " + " ".join(f"{n} m{n}" for n in range(50)))
    everything = caller.line("ZRANGE z 0 -1")
    assert isinstance(everything, list)
    assert caller.line("ZRANDMEMBER z") in everything
    assert caller.line("ZRANDMEMBER z 100") == everything[::-1]
    for count in (1, 10, 30, 49):
        drawn = caller.line(f"ZRANDMEMBER z {count}")
        assert isinstance(drawn, list)
        assert len(set(drawn)) == len(drawn) == count
        assert set(drawn) <= set(everything)
    repeated = caller.line("ZRANDMEMBER z -300 WITHSCORES")
    assert isinstance(repeated, list)
    assert len(repeated) == 600
    assert all(member == b"m" + score for member, score in zip(repeated[::2], repeated[1::2], strict=True))


@pytest.mark.parametrize(("compat", "encoding"), [(70, b"listpack"), (72, b"listpack"), (80, b"skiplist")])
def test_a_long_member_that_is_not_added_changes_the_encoding_of_valkey_alone(
    compat: int, encoding: bytes
) -> None:
    caller = Caller((zsets.COMMANDS,), compat)
    caller.line("ZADD k 1 a")
    assert caller.call("ZADD", "k", "XX", "2", "x" * 65) == 0
    assert caller.session.db.encoding(b"k") == encoding
