"""SET IFEQ, DELIFEQ and MSETEX without a server."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import expiry, newer_strings, sets, strings
from gossamer.commands.key_positions import find_keys, set_keys
from support.caller import Caller

START_MS = 1_700_000_000_000


@pytest.fixture
def caller() -> Caller:
    return Caller((strings.COMMANDS, newer_strings.COMMANDS, expiry.COMMANDS, sets.COMMANDS))


def test_set_ifeq_sets_only_over_an_equal_value(caller: Caller) -> None:
    assert caller.line("SET k b IFEQ a") is None
    assert caller.content() == {}
    caller.line("SET k a")
    assert caller.line("SET k b IFEQ x") is None
    assert (caller.events, caller.propagated) == ([], None)
    assert caller.line("SET k b ifeq a") == b"OK"
    assert caller.propagated == [[b"SET", b"k", b"b"]]
    assert caller.events == [(b"set", b"k")]
    assert caller.line("SET k c IFEQ b EX 10 GET") == b"b"
    assert caller.propagated == [[b"SET", b"k", b"c", b"PXAT", b"%d" % (START_MS + 10_000)]]
    assert caller.line("SET k d GET IFEQ x") == b"c"
    assert caller.line("SET k d IFEQ c KEEPTTL") == b"OK"
    assert caller.propagated == [[b"SET", b"k", b"d", b"KEEPTTL"]]
    assert caller.line("TTL k") == 10
    assert caller.line("GET k") == b"d"


def test_set_ifne_sets_over_another_value_or_none(caller: Caller) -> None:
    assert caller.line("SET k a IFNE a") == b"OK"
    assert caller.line("SET k b IFNE a") is None
    assert caller.line("SET k b IFNE x PXAT 1700000000500") == b"OK"
    assert caller.propagated == [[b"SET", b"k", b"b", b"PXAT", b"1700000000500"]]
    assert caller.line("GET k") == b"b"


@pytest.mark.parametrize(
    "line",
    [
        "SET k b IFEQ",
        "SET k b NX IFEQ a",
        "SET k b IFEQ a XX",
        "SET k b IFEQ a IFNE c",
        "SET k b IFEQ a IFEQ a",
        "GETEX k IFEQ a",
        "MSETEX 1 k a IFEQ b",
        "MSETEX 1 k a GET",
        "MSETEX 2 k a k",
        "MSETEX 1 k a NX XX",
        "MSETEX 1 k a EX 1 KEEPTTL",
    ],
)
def test_options_that_exclude_each_other(caller: Caller, line: str) -> None:
    with pytest.raises(CommandError, match="syntax error"):
        caller.line(line)


def test_a_comparison_with_another_type_is_an_error(caller: Caller) -> None:
    caller.line("SADD k a")
    for line in ("SET k b IFEQ a", "SET k b IFNE a", "DELIFEQ k a"):
        with pytest.raises(CommandError, match="WRONGTYPE"):
            caller.line(line)


def test_delifeq_deletes_an_equal_value(caller: Caller) -> None:
    caller.line("SET k a")
    assert caller.line("DELIFEQ k b") == 0
    assert (caller.events, caller.propagated) == ([], None)
    assert caller.line("DELIFEQ k a") == 1
    assert caller.propagated == [[b"DEL", b"k"]]
    assert caller.events == [(b"del", b"k")]
    assert caller.line("DELIFEQ k a") == 0


def test_msetex_sets_all_or_none(caller: Caller) -> None:
    assert caller.line("MSETEX 2 a 1 b 2") == 1
    assert caller.propagated == [[b"MSET", b"a", b"1", b"b", b"2"]]
    assert caller.line("MSETEX 2 a 3 c 3 NX") == 0
    assert caller.line("MSETEX 2 a 3 c 3 XX") == 0
    assert caller.line("MGET a b c") == [b"1", b"2", None]
    assert caller.line("MSETEX 2 a 3 b 3 XX PX 500") == 1
    at = b"%d" % (START_MS + 500)
    assert caller.propagated == [[b"SET", b"a", b"3", b"PXAT", at], [b"SET", b"b", b"3", b"PXAT", at]]
    assert caller.line("MSETEX 2 a 4 c 4 KEEPTTL") == 1
    assert caller.propagated == [[b"SET", b"a", b"4", b"KEEPTTL"], [b"SET", b"c", b"4", b"KEEPTTL"]]
    assert [caller.line(f"PTTL {name}") for name in "abc"] == [500, 500, -1]
    assert caller.line("MSETEX 1 a 5") == 1
    assert caller.line("PTTL a") == -1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("MSETEX x a 1", "invalid numkeys value"),
        ("MSETEX 0 a 1", "invalid numkeys value"),
        ("MSETEX 9223372036854775807 a 1", "syntax error"),
        ("MSETEX 1 a 1 EX 0", "invalid expire time in 'msetex' command"),
        ("MSETEX 1 a 1 PX x", "value is not an integer or out of range"),
    ],
)
def test_msetex_refuses(caller: Caller, line: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        caller.line(line)
    assert caller.content() == {}


def test_the_keys_of_msetex_are_every_other_argument() -> None:
    declared = next(command for command in newer_strings.COMMANDS if command.name == b"msetex")
    for line, positions in (
        (b"MSETEX 2 a 1 b 2 EX 10", [2, 4]),
        (b"MSETEX 1 a 1 NX", [2]),
        (b"MSETEX 3 a 1", []),
    ):
        assert [reference.position for reference in find_keys(declared, line.split(b" "))] == positions


@pytest.mark.parametrize("option", [b"GET", b"ifeq", b"IFNE"])
def test_a_set_that_compares_reads_its_key(option: bytes) -> None:
    assert "access" in set_keys([b"SET", b"k", b"v", option, b"x"])[0][1]
    assert "access" not in set_keys([b"SET", b"k", option, b"EX", b"1"])[0][1]
