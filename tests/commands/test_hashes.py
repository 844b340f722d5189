"""Hash commands without a server: replies, and what they say to watches, events, AOF and replicas."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands.hashes import COMMANDS
from support.caller import Caller


@pytest.fixture
def caller() -> Caller:
    return Caller((COMMANDS,))


def test_hset_counts_new_fields_only(caller: Caller) -> None:
    assert caller.line("HSET h a 1 b 2") == 2
    assert caller.events == [(b"new", b"h"), (b"hset", b"h")]
    assert caller.line("HSET h a 1 c 2") == 1
    assert caller.events == [(b"hset", b"h")]
    assert caller.propagated is None
    assert caller.line("HGETALL h") == [b"a", b"1", b"b", b"2", b"c", b"2"]


def test_hset_of_the_same_value_still_counts_as_a_change(caller: Caller) -> None:
    caller.line("HSET h a 1")
    assert caller.line("HSET h a 1") == 0
    assert caller.modified == [b"h"]
    assert caller.line("HGET h a") == b"1"


@pytest.mark.parametrize("name", ["hset", "hmset"])
def test_a_field_without_value_is_a_wrong_number_of_arguments(caller: Caller, name: str) -> None:
    with pytest.raises(CommandError, match=f"wrong number of arguments for '{name}' command"):
        caller.line(f"{name} h a 1 b")
    assert caller.content() == {}


def test_every_field_counts_as_a_change(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2 c 3")
    assert caller.state.dirty == 3
    caller.line("HSET h a 1 d 9")
    assert caller.state.dirty == 5
    caller.line("HDEL h a b x")
    assert caller.state.dirty == 7


def test_hsetnx_never_overwrites(caller: Caller) -> None:
    assert caller.line("HSETNX h a 1") == 1
    assert caller.line("HSETNX h a 2") == 0
    assert caller.modified == []
    assert caller.line("HGET h a") == b"1"


def test_the_last_field_takes_the_key_with_it(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    assert caller.line("HDEL h a x") == 1
    assert caller.events == [(b"hdel", b"h")]
    assert caller.line("HDEL h b") == 1
    assert caller.events == [(b"hdel", b"h"), (b"del", b"h")]
    assert caller.content() == {}
    assert caller.line("HDEL h b") == 0
    assert caller.modified == []


def test_hincrby_stays_within_64_bits(caller: Caller) -> None:
    assert caller.line("HINCRBY h n 9223372036854775807") == 9223372036854775807
    assert caller.events == [(b"new", b"h"), (b"hincrby", b"h")]
    with pytest.raises(CommandError, match="would overflow"):
        caller.line("HINCRBY h n 1")
    assert caller.line("HINCRBY h n -9223372036854775807") == 0
    assert caller.line("HINCRBY h n -9223372036854775808") == -9223372036854775808
    with pytest.raises(CommandError, match="would overflow"):
        caller.line("HINCRBY h n -1")
    caller.line("HSET h n 1.0")
    with pytest.raises(CommandError, match="hash value is not an integer"):
        caller.line("HINCRBY h n 1")
    with pytest.raises(CommandError, match="value is not an integer or out of range"):
        caller.line("HINCRBY h n 1.0")


def test_hincrbyfloat_propagates_the_sum(caller: Caller) -> None:
    caller.line("HSET h n 10.50")
    assert caller.line("HINCRBYFLOAT h n 0.1") == b"10.6"
    assert caller.propagated == [[b"HSET", b"h", b"n", b"10.6"]]
    assert caller.events == [(b"hincrbyfloat", b"h")]
    assert caller.line("HINCRBYFLOAT h n 5.0e3") == b"5010.60000000000000009"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("HINCRBYFLOAT h n x", "value is not a valid float"),
        ("HINCRBYFLOAT h n nan", "value is not a valid float"),
        ("HINCRBYFLOAT h n inf", "value is NaN or Infinity"),
        ("HINCRBYFLOAT h text 1", "hash value is not a float"),
        ("HINCRBYFLOAT h endless 1", "increment would produce NaN or Infinity"),
        ("HRANDFIELD h x", "value is not an integer or out of range"),
        ("HRANDFIELD h 1 NOVALUES", "syntax error"),
        ("HRANDFIELD h 1 WITHVALUES 1", "syntax error"),
        ("HRANDFIELD h -9223372036854775808", "value is out of range, value must between"),
        ("HRANDFIELD h 4611686018427387904 WITHVALUES", "value is out of range"),
        ("HSCAN h x", "invalid cursor"),
        ("HSCAN h 0 COUNT 0", "syntax error"),
    ],
)
def test_errors_change_nothing(caller: Caller, line: str, message: str) -> None:
    caller.line("HSET h text abc endless inf n 1")
    before = caller.content()
    with pytest.raises(CommandError, match=message):
        caller.line(line)
    assert caller.modified == []
    assert caller.content() == before


def test_a_missing_hash_reads_as_empty(caller: Caller) -> None:
    assert caller.line("HGET h a") is None
    assert caller.line("HMGET h a b") == [None, None]
    assert caller.line("HGETALL h") == caller.line("HKEYS h") == caller.line("HVALS h") == []
    assert caller.line("HLEN h") == caller.line("HSTRLEN h a") == caller.line("HEXISTS h a") == 0
    assert caller.line("HRANDFIELD h") is None
    assert caller.line("HRANDFIELD h 2") == []
    assert caller.line("HSCAN h 0 NONSENSE") == [b"0", []]


@pytest.mark.parametrize("entries", [0, 128])
def test_reading_is_the_same_in_both_forms(caller: Caller, entries: int) -> None:
    caller.limits.hash_max_listpack_entries = entries
    caller.line("HSET h a 1 number 12 b two")
    assert sorted(caller.line("HKEYS h")) == [b"a", b"b", b"number"]  # type: ignore[call-overload]
    assert sorted(caller.line("HVALS h")) == [b"1", b"12", b"two"]  # type: ignore[call-overload]
    assert caller.line("HMGET h number x a") == [b"12", None, b"1"]
    assert caller.line("HSTRLEN h b") == 3
    scanned = caller.line("HSCAN h 0 COUNT 100 MATCH [ab]")
    assert isinstance(scanned, list) and scanned[0] == b"0"
    flat = scanned[1]
    assert sorted(zip(flat[::2], flat[1::2], strict=True)) == [(b"a", b"1"), (b"b", b"two")]


def test_resp3_nests_the_pairs_of_hrandfield() -> None:
    caller = Caller((COMMANDS,), protocol=3)
    caller.line("HSET h a 1")
    assert (
        caller.raw("HRANDFIELD", "h", "-2", "WITHVALUES") == b"*2\r\n" + b"*2\r\n$1\r\na\r\n$1\r\n1\r\n" * 2
    )
    assert caller.raw("HRANDFIELD", "h", "5") == b"*1\r\n$1\r\na\r\n"
    assert caller.raw("HGETALL", "h") == b"%1\r\n$1\r\na\r\n$1\r\n1\r\n"


def test_hscan_novalues_came_with_valkey_8() -> None:
    caller = Caller((COMMANDS,), compat=80)
    caller.line("HSET h a 1 b 2")
    assert caller.line("HSCAN h 0 NOVALUES") == [b"0", [b"a", b"b"]]
    older = Caller((COMMANDS,), compat=72)
    older.line("HSET h a 1")
    with pytest.raises(CommandError, match="syntax error"):
        older.line("HSCAN h 0 NOVALUES")
