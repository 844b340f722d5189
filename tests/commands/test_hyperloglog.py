"""HyperLogLog commands without a server: what they say, what they keep, what they refuse."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import hyperloglog, strings
from support.caller import Caller

EFFECTS = [
    ("PFADD h", "new h, pfadd h", 1, 1),
    ("PFADD h", "", 0, 0),
    ("PFADD h x y z", "pfadd h", 3, 1),
    ("PFADD h x y z", "", 0, 0),
    ("PFCOUNT h", "", 1, 3),
    ("PFCOUNT h", "", 0, 3),
    ("PFCOUNT h nothing", "", 0, 3),
    ("PFMERGE m h nothing", "new m, pfadd m", 1, b"OK"),
    ("PFMERGE m", "pfadd m", 1, b"OK"),
    ("PFDEBUG TODENSE h", "", 1, 1),
    ("PFDEBUG TODENSE h", "", 0, 0),
    ("PFDEBUG ENCODING h", "", 0, b"dense"),
    ("PFADD h x y z", "", 0, 0),
    ("PFADD h a", "pfadd h", 1, 1),
    ("PFCOUNT h", "", 1, 4),
]


def new_caller() -> Caller:
    return Caller((hyperloglog.COMMANDS, strings.COMMANDS))


def test_each_command_says_what_the_real_server_says() -> None:
    caller = new_caller()
    for line, events, changes, reply in EFFECTS:
        dirty = caller.state.dirty
        assert (line, caller.line(line)) == (line, reply)
        said = ", ".join(f"{event.decode()} {key.decode()}" for event, key in caller.events)
        assert (line, said, caller.state.dirty - dirty) == (line, events, changes)
        assert caller.propagated is None


def test_the_bytes_are_the_real_servers() -> None:
    caller = new_caller()
    caller.line("PFADD h foo bar")
    assert caller.call("GET", "h") == b"HYLL\x01" + bytes(10) + b"\x80" + bytes.fromhex(FOO_BAR)
    caller.line("PFCOUNT h")
    assert caller.call("GET", "h") == b"HYLL\x01\0\0\0\x02" + bytes(7) + bytes.fromhex(FOO_BAR)


FOO_BAR = "5cb3904a618058e7"


def test_a_dense_one_is_changed_in_place() -> None:
    caller = new_caller()
    caller.call("PFADD", "h", *[f"element {n}" for n in range(5000)])
    assert caller.line("PFDEBUG ENCODING h") == b"dense"
    caller.line("PFADD h another")
    caller.session.db.find(b"h")
    buffer = caller.session.db.found_buffer()
    for n in range(500):
        caller.call("PFADD", "h", f"further {n}")
    count = caller.call("PFCOUNT", "h")
    assert isinstance(count, int) and abs(count - 5501) < 150
    caller.session.db.find(b"h")
    assert caller.session.db.found_buffer() is buffer


@pytest.mark.parametrize(
    "line", ["PFADD h x", "PFCOUNT h", "PFCOUNT h k", "PFMERGE d h", "PFDEBUG TODENSE h"]
)
@pytest.mark.parametrize("runs", [b"", b"\x7f", b"\x00" * 100, b"\xff" * 4000])
def test_a_corrupted_one_is_refused_and_stays_as_it_is(line: str, runs: bytes) -> None:
    caller = new_caller()
    damaged = b"HYLL\x01" + bytes(10) + b"\x80" + runs
    caller.call("SET", "h", damaged)
    with pytest.raises(CommandError, match="INVALIDOBJ|WRONGTYPE"):
        caller.line(line)
    assert caller.call("GET", "h") == damaged


def test_the_self_test_passes() -> None:
    assert new_caller().line("PFSELFTEST") == b"OK"
