"""String commands without a server: what they say to events, AOF and replicas, as the real servers were seen to."""

import pytest

from gossamer.commands import strings
from gossamer.commands.session import Session
from support.caller import Caller

NOW_MS = 1_700_000_000_000

# After these commands: the events, and what is propagated (None: the command as it came).
EFFECTS = [
    ("SET a 1", "new a, set a", None),
    ("SET a 1 EX 100", "set a, expire a", f"SET a 1 PXAT {NOW_MS + 100_000}"),
    ("SET a 2 GET", "set a", "SET a 2"),
    ("SET a 2 GET EX 100", "set a, expire a", f"SET a 2 PXAT {NOW_MS + 100_000}"),
    ("SET a 3 KEEPTTL", "set a", None),
    ("SET a 3 EXAT 9999999999", "set a, expire a", "SET a 3 PXAT 9999999999000"),
    ("SET a 3 NX", "", None),
    ("SETNX b 1", "new b, set b", None),
    ("SETNX b 1", "", None),
    ("SETEX b 100 1", "set b, expire b", f"SET b 1 PXAT {NOW_MS + 100_000}"),
    ("PSETEX b 100000 1", "set b, expire b", f"SET b 1 PXAT {NOW_MS + 100_000}"),
    ("GETSET b 5", "set b", "SET b 5"),
    ("GETEX b PERSIST", "", None),
    ("GETEX b EX 100", "expire b", f"PEXPIREAT b {NOW_MS + 100_000}"),
    ("GETEX b PERSIST", "persist b", "PERSIST b"),
    ("GETEX b PXAT 1", "del b", "DEL b"),
    ("GETDEL a", "del a", "DEL a"),
    ("GETDEL a", "", None),
    ("MSET a 1 b 2 a 3", "new a, set a, new b, set b, set a", None),
    ("MSETNX x 1 x 2", "new x, set x, set x", None),
    ("MSETNX y 1 x 2", "", None),
    ("APPEND a 1", "append a", None),
    ("APPEND new 1", "new new, append new", None),
    ("SETRANGE a 1 b", "setrange a", None),
    ("INCR n", "new n, incrby n", None),
    ("DECRBY n 5", "incrby n", None),
    ("INCRBYFLOAT n 5.5", "incrbyfloat n", "SET n 1.5 KEEPTTL"),
]


def test_each_command_says_what_the_real_server_says() -> None:
    caller = Caller((strings.COMMANDS,), 70)
    for line, events, propagated in EFFECTS:
        dirty = caller.state.dirty
        caller.line(line)
        said = ", ".join(f"{event.decode()} {key.decode()}" for event, key in caller.events)
        assert (line, said) == (line, events)
        sent = None if caller.propagated is None else [b" ".join(argv).decode() for argv in caller.propagated]
        assert (line, sent) == (line, None if propagated is None else [propagated])
        assert (caller.state.dirty > dirty) == bool(events)


def test_valkey_removes_the_key_instead_of_setting_what_is_over_already() -> None:
    caller = Caller((strings.COMMANDS,), 80)
    assert caller.raw("SET", "a", "1", "PXAT", "1") == b"+OK\r\n"
    assert caller.events == [] and caller.propagated is None
    caller.line("SET a 1")
    assert caller.line("SET a 2 PXAT 1 GET") == b"1"
    assert caller.events == [(b"del", b"a")]
    assert caller.propagated == [[b"DEL", b"a"]]
    assert caller.session.db.size() == 0


@pytest.mark.parametrize(
    ("lines", "encoding"),
    [
        (["SET k 12"], b"int"),
        (["SET k 012"], b"embstr"),
        (["SET k 9223372036854775808"], b"embstr"),
        (["SET k " + "x" * 45], b"raw"),
        (["SET k 1", "APPEND k 2"], b"raw"),
        (["APPEND k 12"], b"int"),
        (["SETRANGE k 0 12"], b"raw"),
        (["SET k 1", "INCRBYFLOAT k 11"], b"embstr"),
        (["SET k 1", "APPEND k 2", "INCR k"], b"int"),
        (["SET k 1", "APPEND k 2", "GETSET k 12"], b"int"),
    ],
)
def test_the_encoding_follows_content_and_history(lines: list[str], encoding: bytes) -> None:
    caller = Caller((strings.COMMANDS,))
    for line in lines:
        caller.line(line)
    assert caller.session.db.encoding(b"k") == encoding


def test_a_long_string_grows_by_small_appends_without_being_rebuilt() -> None:
    caller = Caller((strings.COMMANDS,))
    session: Session = caller.session
    caller.call("SET", "k", b"x" * 3000)
    caller.call("APPEND", "k", "first")
    session.db.find(b"k")
    buffer = session.db.found_buffer()
    for n in range(100):
        assert caller.call("APPEND", "k", b"12345") == 3005 + 5 * (n + 1)
        assert caller.call("SETRANGE", "k", "7", b"y") == 3005 + 5 * (n + 1)
    session.db.find(b"k")
    assert session.db.found_buffer() is buffer
    value = caller.call("GET", "k")
    assert value == b"x" * 7 + b"y" + b"x" * 2992 + b"first" + b"12345" * 100
    assert caller.call("GETRANGE", "k", "-7", "-1") == b"4512345"
    assert caller.call("STRLEN", "k") == 3505
    assert caller.call("GETDEL", "k") == value


@pytest.mark.parametrize(
    "command", ["APPEND k xy", "SETRANGE k 999999 xy", "SETRANGE k 9223372036854775807 x"]
)
def test_no_string_grows_beyond_the_limit(command: str) -> None:
    caller = Caller((strings.COMMANDS,))
    caller.limits.proto_max_bulk_len_bytes = 1_000_000
    caller.call("SET", "k", b"x" * 999_999)
    with pytest.raises(Exception, match="string exceeds maximum allowed size"):
        caller.line(command)
    assert caller.call("STRLEN", "k") == 999_999
