"""Set commands without a server: replies, and what they say to watches, events, AOF and replicas."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.errors import CommandError
from gossamer.commands import hashes, sets
from support.caller import Caller

GROUPS = (sets.COMMANDS, hashes.COMMANDS)


@pytest.fixture
def caller() -> Caller:
    return Caller(GROUPS)


def fill(caller: Caller, key: str, *members: str) -> None:
    assert caller.call("SADD", key, *members) == len(members)


def members(caller: Caller, key: str) -> list[bytes]:
    listed = caller.call("SMEMBERS", key)
    assert isinstance(listed, list)
    return sorted(listed)


def encoding(caller: Caller, key: bytes) -> bytes | None:
    return caller.session.db.encoding(key)


def test_sadd_says_nothing_when_nothing_is_new(caller: Caller) -> None:
    fill(caller, "s", "a", "b")
    assert caller.events == [(b"new", b"s"), (b"sadd", b"s")]
    assert caller.line("SADD s a b") == 0
    assert caller.modified == []


def test_every_member_counts_as_a_change(caller: Caller) -> None:
    fill(caller, "s", "a", "b", "c", "d")
    assert caller.state.dirty == 4
    caller.line("SREM s a b x")
    assert caller.state.dirty == 6
    caller.line("SADD s 1 2 c")
    assert caller.state.dirty == 8
    caller.line("SPOP s 3")
    assert caller.state.dirty == 11


def test_the_last_member_takes_the_key_with_it(caller: Caller) -> None:
    fill(caller, "s", "a", "b")
    assert caller.line("SREM s a x") == 1
    assert caller.events == [(b"srem", b"s")]
    assert caller.line("SREM s b") == 1
    assert caller.events == [(b"srem", b"s"), (b"del", b"s")]
    assert caller.content() == {}


def test_smove_takes_from_one_and_gives_to_the_other(caller: Caller) -> None:
    fill(caller, "s", "a", "b")
    assert caller.line("SMOVE s d a") == 1
    assert caller.events == [(b"srem", b"s"), (b"new", b"d"), (b"sadd", b"d")]
    assert caller.modified == [b"s", b"d"]
    assert caller.line("SMOVE s d x") == 0
    assert caller.line("SMOVE s s b") == 1
    assert caller.modified == []
    fill(caller, "e", "b")
    assert caller.line("SMOVE s e b") == 1
    assert caller.events == [(b"srem", b"s"), (b"del", b"s")]
    assert caller.modified == [b"s"]


def test_spop_tells_replicas_which_member_went(caller: Caller) -> None:
    fill(caller, "s", "a", "b")
    taken = caller.line("SPOP s")
    assert caller.propagated == [[b"SREM", b"s", taken]]
    assert caller.events == [(b"spop", b"s")]
    left = caller.line("SPOP s")
    assert {taken, left} == {b"a", b"b"}
    assert caller.events == [(b"spop", b"s"), (b"del", b"s")]
    assert caller.line("SPOP s") is None


@pytest.mark.parametrize(("lazily", "removed"), [(0, b"DEL"), (1, b"UNLINK")])
def test_spop_of_everything_removes_the_key(lazily: int, removed: bytes) -> None:
    caller = Caller(GROUPS)
    caller.session.limits.lazyfree_lazy_server_del = lazily
    fill(caller, "s", "a", "b", "c")
    taken = caller.line("SPOP s 3")
    assert sorted(taken) == [b"a", b"b", b"c"]  # type: ignore[call-overload]
    assert caller.propagated == [[removed, b"s"]]
    assert caller.events == [(b"spop", b"s"), (b"del", b"s")]
    assert caller.content() == {}


@pytest.mark.parametrize(("compat", "commands"), [(70, 1200), (72, 2), (80, 2)])
def test_spop_of_many_is_propagated_in_pieces(compat: int, commands: int) -> None:
    caller = Caller(GROUPS, compat)
    everything = [f"m{number}" for number in range(1500)]
    fill(caller, "s", *everything)
    taken = caller.line("SPOP s 1200")
    assert isinstance(taken, list)
    propagated = caller.propagated
    assert propagated is not None and len(propagated) == commands
    assert all(command[:2] == [b"SREM", b"s"] for command in propagated)
    assert [member for command in propagated for member in command[2:]] == taken
    assert sorted(taken + members(caller, "s")) == sorted(name.encode() for name in everything)


@pytest.mark.parametrize(
    ("compat", "prefix", "size", "count", "form"),
    [
        (70, "", 600, 590, b"intset"),
        (72, "", 600, 590, b"listpack"),
        (72, "m", 600, 590, b"listpack"),
        (72, "m", 600, 100, b"hashtable"),
        (70, "m", 600, 590, b"hashtable"),
        (72, "", 300, 290, b"intset"),
        (72, "m", 100, 90, b"listpack"),
    ],
)
def test_few_that_stay_after_spop_begin_a_new_set(
    compat: int, prefix: str, size: int, count: int, form: bytes
) -> None:
    caller = Caller(GROUPS, compat)
    fill(caller, "s", *[f"{prefix}{number}" for number in range(size)])
    caller.line(f"SPOP s {count}")
    assert encoding(caller, b"s") == form
    assert caller.line("SCARD s") == size - count


MEMBERS = st.lists(st.one_of(st.integers(0, 12).map(str), st.sampled_from("abcdef")), min_size=1, max_size=12)


@given(st.lists(MEMBERS, min_size=1, max_size=4), st.sampled_from([70, 72]), st.booleans())
def test_set_algebra_is_that_of_sets(groups: list[list[str]], compat: int, store: bool) -> None:
    caller = Caller(GROUPS, compat)
    caller.limits.set_max_listpack_entries = 6
    keys = [f"s{number}" for number in range(len(groups))]
    models = [{member.encode() for member in group} for group in groups]
    for key, group in zip(keys, groups, strict=True):
        caller.call("SADD", key, *group)
    expected = {
        "SINTER": set.intersection(*models),
        "SUNION": set.union(*models),
        "SDIFF": models[0].difference(*models[1:]),
    }
    for name, result in expected.items():
        if store:
            caller.call("SADD", "dst", "old")
            assert caller.call(name + "STORE", "dst", *keys) == len(result)
            assert caller.events[-1] == ((name.lower() + "store").encode() if result else b"del", b"dst")
            assert members(caller, "dst") == sorted(result)
        else:
            answer = caller.call(name, *keys)
            assert sorted(answer) == sorted(result)  # type: ignore[call-overload]
    assert caller.call("SINTERCARD", str(len(keys)), *keys) == len(expected["SINTER"])
    assert caller.call("SINTERCARD", str(len(keys)), *keys, "LIMIT", "2") == min(2, len(expected["SINTER"]))


def test_an_empty_result_says_nothing_where_nothing_was(caller: Caller) -> None:
    fill(caller, "s", "a")
    assert caller.line("SINTERSTORE d s nothing") == 0
    assert caller.modified == []


def test_a_stored_result_forgets_the_expire_time(caller: Caller) -> None:
    fill(caller, "s", "a")
    fill(caller, "d", "b")
    caller.session.db.set_expire(b"d", 1_800_000_000_000)
    caller.line("SUNIONSTORE d s")
    assert caller.session.db.expire_time(b"d") == -1


@pytest.mark.parametrize(
    "line",
    [
        "SADD h a", "SREM h a", "SISMEMBER h a", "SCARD h", "SMEMBERS h", "SPOP h", "SPOP h 0",
        "SRANDMEMBER h", "SRANDMEMBER h 0", "SMOVE h s a", "SMOVE s h a", "SMOVE s h nothing",
        "SINTER nothing h",
        "SINTERSTORE d nothing h", "SUNION s h", "SDIFF nothing h", "SINTERCARD 2 nothing h", "SSCAN h 0",
    ],
)  # fmt: skip
def test_a_wrong_type_anywhere_is_an_error(caller: Caller, line: str) -> None:
    caller.line("HSET h a 1")
    fill(caller, "s", "a")
    before = caller.content()
    with pytest.raises(CommandError, match="WRONGTYPE"):
        caller.line(line)
    assert caller.content() == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SPOP s -1", "value is out of range, must be positive"),
        ("SPOP s x", "value is out of range, must be positive"),
        ("SPOP s 1 2", "syntax error"),
        ("SRANDMEMBER s x", "value is not an integer or out of range"),
        ("SRANDMEMBER s -9223372036854775808", "value is out of range, value must between"),
        ("SINTERCARD 0 s", "numkeys should be greater than 0"),
        ("SINTERCARD 2 s", "Number of keys can't be greater than number of args"),
        ("SINTERCARD 1 s LIMIT", "syntax error"),
        ("SINTERCARD 1 s LIMIT x", "LIMIT can't be negative"),
    ],
)
def test_errors_change_nothing(caller: Caller, line: str, message: str) -> None:
    fill(caller, "s", "a")
    with pytest.raises(CommandError, match=message):
        caller.line(line)
    assert members(caller, "s") == [b"a"]


def test_random_members_are_members(caller: Caller) -> None:
    fill(caller, "s", "a", "b", "c")
    assert caller.line("SRANDMEMBER s") in (b"a", b"b", b"c")
    many = caller.line("SRANDMEMBER s -3000")
    assert isinstance(many, list) and len(many) == 3000
    assert set(many) == {b"a", b"b", b"c"}
    assert sorted(caller.line("SRANDMEMBER s 9")) == [b"a", b"b", b"c"]  # type: ignore[call-overload]
    assert caller.modified == []


def test_resp3_answers_sets_as_sets() -> None:
    caller = Caller(GROUPS, protocol=3)
    fill(caller, "s", "1", "2")
    assert caller.raw("SMEMBERS", "s") == b"~2\r\n$1\r\n1\r\n$1\r\n2\r\n"
    assert caller.raw("SINTER", "s", "x") == b"~0\r\n"
    assert caller.raw("SPOP", "s", "0") == b"~0\r\n"
    assert caller.raw("SRANDMEMBER", "s", "0") == b"*0\r\n"
    assert caller.raw("SPOP", "x") == b"_\r\n"


COMMAND_LINES = st.tuples(
    st.sampled_from(
        ["SADD", "SREM", "SPOP", "SMOVE", "SINTERSTORE", "SUNIONSTORE", "SDIFFSTORE", "SMEMBERS"]
    ),
    st.lists(st.sampled_from(["a", "b", "c", "1", "2", "3", "40", "m" * 70]), min_size=1, max_size=4),
)


@given(st.lists(COMMAND_LINES, max_size=25), st.sampled_from([70, 72]))
def test_a_key_changes_if_and_only_if_it_is_said_so(lines: list[tuple[str, list[str]]], compat: int) -> None:
    caller = Caller((sets.COMMANDS,), compat)
    for name, words in lines:
        before = caller.content()
        dirty = caller.state.dirty
        if name == "SPOP":
            caller.call(name, words[0])
        elif name == "SMOVE":
            caller.call(name, words[0], words[-1], "1")
        elif name == "SMEMBERS":
            caller.call(name, words[0])
        else:
            caller.call(name, words[0], *words)
        after = caller.content()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed <= set(caller.modified)
        assert (dirty != caller.state.dirty) == bool(caller.modified)
        if not name.endswith("STORE"):  # an equal result is stored again, and said so
            assert changed == set(caller.modified)
