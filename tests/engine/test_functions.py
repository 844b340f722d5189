"""Function libraries and what scripts may do, where the real servers' rules are easy to miss."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands

Call = Callable[..., bytes]
COMPATS = (70, 72, 80)


def make_call(compat: int = 70) -> Call:
    limits = Limits()
    limits.compat = compat
    engine = Engine(ManualClock(), limits, Random64(1), 1)
    engine.add_commands(all_commands())
    client = engine.new_client()

    def call(*words: str) -> bytes:
        engine.begin_iteration()
        engine.execute(client, [word.encode() for word in words])
        answer = client.reply.out.getvalue()
        client.reply.out.truncate(0)
        return answer

    return call


def library(first_line: str, *names: str) -> str:
    registered = [f"redis.register_function('{name}', function() return '{name}' end)" for name in names]
    return "\n".join([first_line, *registered])


def test_functions_are_found_in_any_case_and_libraries_are_not() -> None:
    call = make_call()
    assert call("FUNCTION", "LOAD", library("#!lua name=Lib", "One")) == b"$3\r\nLib\r\n"
    assert call("FCALL", "oNE", "0") == b"$3\r\nOne\r\n"
    assert (
        call("FUNCTION", "LOAD", library("#!lua name=lib", "ONE")) == b"-ERR Function ONE already exists\r\n"
    )
    assert call("FUNCTION", "DELETE", "LIB") == b"-ERR Library not found\r\n"
    assert call("FUNCTION", "LOAD", "REPLACE", library("#!lua name=Lib", "ONE")) == b"$3\r\nLib\r\n"
    assert call("FCALL", "one", "0") == b"$3\r\nONE\r\n"
    assert call("FUNCTION", "DELETE", "Lib") == b"+OK\r\n"
    assert call("FCALL", "one", "0") == b"-ERR Function not found\r\n"


@pytest.mark.parametrize(
    ("first_line", "reply"),
    [
        ('#!lua name="quoted"', b"$6\r\nquoted\r\n"),
        ("#!lua 'name=quoted'", b"$6\r\nquoted\r\n"),
        ('#!lua name="open', b"-ERR Invalid library metadata\r\n"),
        ("#! name=none", b"-ERR Engine '' not found\r\n"),
    ],
)
def test_the_first_line_of_a_library_is_split_as_a_line_of_configuration(
    first_line: str, reply: bytes
) -> None:
    assert make_call()("FUNCTION", "LOAD", library(first_line, "f")) == reply


def test_a_script_that_only_reads_may_not_publish() -> None:
    call = make_call()
    for script in ("return redis.call('publish', 'c', 'm')", "return redis.call('pfcount', 'k')"):
        assert call("EVAL_RO", script, "0").startswith(b"-ERR Write commands are not allowed")


def test_as_many_values_as_in_redis_can_be_unpacked_into_a_command() -> None:
    call = make_call()
    filled = "local t = {} for i = 1, %d do t[i] = i end return redis.call('rpush', 'l', unpack(t))"
    assert call("EVAL", filled % 7999, "0") == b":7999\r\n"
    assert b"too many results to unpack" in call("EVAL", filled % 8000, "0")
    assert call("LINDEX", "l", "-1") == b"$4\r\n7999\r\n"


def test_the_metatable_of_the_globals_can_be_seen_and_not_changed() -> None:
    call = make_call()
    assert call("EVAL", "return type(getmetatable(_G))", "0") == b"$5\r\ntable\r\n"
    assert b"Attempt to modify a readonly table" in call("EVAL", "getmetatable(_G).__index = {}", "0")


@pytest.mark.parametrize("compat", COMPATS)
def test_a_script_may_not_ask_a_stream_to_wait_in_7_0(compat: int) -> None:
    call = make_call(compat)
    reply = call("EVAL", "return redis.call('xread', 'BLOCK', 0, 'STREAMS', 's', '$')", "1", "s")
    if compat == 70:
        assert b"xread command is not allowed with BLOCK option from scripts" in reply
    else:
        assert reply == b"$-1\r\n"


@pytest.mark.parametrize("compat", COMPATS)
def test_a_script_gets_a_set_that_is_not_sorted_in_order(compat: int) -> None:
    call = make_call(compat)
    call("SADD", "s", "b", "aa", "c", "a")
    assert (
        call("EVAL", "return table.concat(redis.call('sort', 's', 'by', '_'), ' ')", "0")
        == b"$8\r\na aa b c\r\n"
    )
