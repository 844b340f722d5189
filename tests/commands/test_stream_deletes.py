"""XDELEX and XACKDEL without a server."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import stream_deletes, stream_groups, stream_reads, streams
from support.caller import Caller


@pytest.fixture
def caller() -> Caller:
    """Three entries; group g has read them all and acknowledged the first, group h has read two."""
    caller = Caller(
        (streams.COMMANDS, stream_groups.COMMANDS, stream_reads.COMMANDS, stream_deletes.COMMANDS)
    )
    for number in (1, 2, 3):
        caller.line(f"XADD s {number}-0 f v")
    for name, count in (("g", 3), ("h", 2)):
        function = next(
            sub.function
            for command in stream_groups.COMMANDS
            if command.name == b"xgroup"
            for sub in command.declared_subcommands
            if sub.name == b"create"
        )
        assert function is not None
        function(caller.session, [b"XGROUP", b"CREATE", b"s", name.encode(), b"0"])
        caller.line(f"XREADGROUP GROUP {name} me COUNT {count} STREAMS s >")
    caller.line("XACK s g 1-0")
    caller.line("XACK s h 1-0")
    return caller


def pending(caller: Caller, group: str) -> list[bytes]:
    reply = caller.line(f"XPENDING s {group} - + 10")
    assert isinstance(reply, list)
    return [row[0] for row in reply]


def test_keepref_deletes_and_leaves_references(caller: Caller) -> None:
    assert caller.line("XDELEX s IDS 2 2-0 9-0") == [1, -1]
    assert caller.propagated == [[b"XDEL", b"s", b"2-0"]]
    assert caller.events == [(b"xdel", b"s")]
    assert pending(caller, "g") == [b"2-0", b"3-0"]
    assert caller.line("XDELEX s KEEPREF IDS 1 3-0") == [1]
    assert caller.line("XLEN s") == 1


def test_delref_takes_references_along_also_dangling_ones(caller: Caller) -> None:
    assert caller.line("XDELEX s DELREF IDS 1 2-0") == [1]
    assert caller.propagated == [
        [b"XACK", b"s", b"g", b"2-0"],
        [b"XACK", b"s", b"h", b"2-0"],
        [b"XDEL", b"s", b"2-0"],
    ]
    assert (pending(caller, "g"), pending(caller, "h")) == ([b"3-0"], [])
    caller.line("XDEL s 3-0")
    assert caller.line("XDELEX s DELREF IDS 1 3-0") == [-1]
    assert caller.propagated == [[b"XACK", b"s", b"g", b"3-0"]]
    assert pending(caller, "g") == []


def test_acked_deletes_what_every_group_is_done_with(caller: Caller) -> None:
    assert caller.line("XDELEX s ACKED IDS 4 1-0 2-0 3-0 9-0") == [1, 2, 2, -1]
    caller.line("XACK s g 3-0")
    assert caller.line("XDELEX s ACKED IDS 1 3-0") == [2], "group h has not read it"


def test_acked_without_groups_deletes_nothing(caller: Caller) -> None:
    caller.line("XADD t 1-0 f v")
    assert caller.line("XDELEX t ACKED IDS 1 1-0") == [2]


def test_xackdel_acknowledges_and_deletes(caller: Caller) -> None:
    assert caller.line("XACKDEL s g IDS 3 2-0 1-0 9-0") == [1, -1, -1]
    assert caller.propagated == [[b"XACK", b"s", b"g", b"2-0"], [b"XDEL", b"s", b"2-0"]]
    assert (pending(caller, "g"), pending(caller, "h")) == ([b"3-0"], [b"2-0"])


def test_xackdel_acked_keeps_what_others_owe(caller: Caller) -> None:
    assert caller.line("XACKDEL s g ACKED IDS 1 2-0") == [2]
    assert caller.propagated == [[b"XACK", b"s", b"g", b"2-0"]]
    assert caller.line("XACKDEL s h ACKED IDS 1 2-0") == [1]
    assert caller.line("XLEN s") == 2


def test_xackdel_delref(caller: Caller) -> None:
    assert caller.line("XACKDEL s g DELREF IDS 1 2-0") == [1]
    assert (pending(caller, "g"), pending(caller, "h")) == ([b"3-0"], [])


def test_where_there_is_nothing(caller: Caller) -> None:
    assert caller.line("XDELEX nokey DELREF IDS 2 1-0 2-0") == [-1, -1]
    assert caller.line("XACKDEL nokey g IDS 1 1-0") == [-1]
    assert caller.line("XACKDEL s nogroup IDS 1 1-0") == [-1]
    assert (caller.events, caller.propagated) == ([], None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XDELEX s KEEPREF 1 1-0", "syntax error"),
        ("XDELEX s KEEPREF ACKED IDS 1 1-0", "syntax error"),
        ("XDELEX s IDS 0 1-0", "Number of IDs must be a positive integer"),
        ("XDELEX s IDS x 1-0", "Number of IDs must be a positive integer"),
        ("XDELEX s IDS 2 1-0", "The `numids` parameter must match the number of arguments"),
        ("XDELEX s IDS 1 1-0 2-0", "The `numids` parameter must match the number of arguments"),
        ("XDELEX s IDS 1 x", "Invalid stream ID"),
        ("XACKDEL s g ACKED IDS", "syntax error"),
    ],
)
def test_refusals(caller: Caller, line: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        caller.line(line)
    assert caller.line("XLEN s") == 3
