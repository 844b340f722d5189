"""A stream is held as the real servers hold it: DUMP is equal to the byte, and payloads pass both ways."""

from __future__ import annotations

import random

import pytest

from conformance.conftest import Pair
from conformance.differential import Target

pytestmark = pytest.mark.peers

COMPATS = ["redis:7.0", "valkey:8.0"]
WORDS = [b"", b"a", b"value", b"12", b"-4096", b"9223372036854775807", b"x" * 70, b"y" * 5000, b"\x00\xff"]


def history(seed: int) -> list[list[bytes]]:
    """Commands on one stream that leave nothing to the clock."""
    chance = random.Random(seed)
    commands = [[b"XGROUP", b"CREATE", b"s", b"readers", b"0", b"MKSTREAM"]]
    milliseconds = 0
    spread = chance.choice([1, 1, 1000, 1 << 40, 1 << 60])
    for _ in range(chance.choice([5, 40, 400])):
        what = chance.random()
        if what < 0.8:
            milliseconds = min(milliseconds + chance.choice([0, 1, spread]), (1 << 64) - 2)
            names = chance.choice([[b"f"], [b"f"], [b"f", b"g"], [b"1", b"", b"longer" * 12]])
            pairs = [word for name in names for word in (name, chance.choice(WORDS[:7]))]
            if chance.random() < 0.01:
                pairs[1] = WORDS[7]
            commands.append([b"XADD", b"s", b"%d-*" % milliseconds, *pairs])
        elif what < 0.9:
            commands.append(
                [b"XDEL", b"s", b"%d-%d" % (chance.randint(0, max(milliseconds, 1)), chance.randint(0, 3))]
            )
            commands.append([b"XDEL", b"s", b"%d" % milliseconds])
        elif what < 0.93:
            commands.append(
                [b"XTRIM", b"s", b"MAXLEN", chance.choice([b"=", b"~"]), b"%d" % chance.randint(0, 300)]
            )
        elif what < 0.96:
            least = b"%d" % chance.randint(0, max(milliseconds, 1))
            commands.append([b"XTRIM", b"s", b"MINID", chance.choice([b"=", b"~"]), least])
        elif what < 0.98:
            commands.append(
                [b"XGROUP", b"SETID", b"s", b"readers", b"%d" % chance.randint(0, milliseconds + 1)]
            )
        else:
            commands.append([b"XSETID", b"s", b"%d-7" % milliseconds])
    return commands


def played(target: Target, commands: list[list[bytes]], entries: str) -> None:
    control = target.control()
    control.call("FLUSHALL")
    control.call("CONFIG", "SET", "stream-node-max-entries", entries)
    control.pipeline(commands)
    control.call("CONFIG", "SET", "stream-node-max-entries", "100")


@pytest.mark.parametrize("compat", COMPATS)
@pytest.mark.parametrize("entries", ["100", "4", "0"])
@pytest.mark.parametrize("seed", range(6))
def test_dump_is_equal_to_the_byte(seed: int, entries: str, compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    commands = history(seed)
    for target in (ours, theirs):
        played(target, commands, entries)
    mine, other = ours.control().call("DUMP", "s").plain(), theirs.control().call("DUMP", "s").plain()
    assert mine == other
    digests = {target.control().call("DEBUG", "DIGEST-VALUE", "s").raw for target in (ours, theirs)}
    assert len(digests) == 1


@pytest.mark.parametrize("compat", COMPATS)
def test_payloads_with_groups_pass_both_ways(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    played(ours, history(1), "10")
    read = ["XREADGROUP", "GROUP", "readers"]
    ours.control().call("XGROUP", "SETID", "s", "readers", "0")
    ours.control().call(*read, "first", "COUNT", "7", "STREAMS", "s", ">")
    ours.control().call(*read, "second", "COUNT", "3", "STREAMS", "s", ">")
    ours.control().call("XGROUP", "CREATECONSUMER", "s", "readers", "idle")
    payload = ours.control().call("DUMP", "s").plain()
    theirs.control().call("FLUSHALL")
    assert theirs.control().call("RESTORE", "s", "0", payload).raw == b"+OK\r\n"
    assert theirs.control().call("DUMP", "s").plain() == payload
    full = [
        target.control().call("XINFO", "STREAM", "s", "FULL", "COUNT", "0").raw for target in (ours, theirs)
    ]
    assert full[0] == full[1]
    assert (
        ours.control().call("RESTORE", "again", "0", theirs.control().call("DUMP", "s").plain()).raw
        == b"+OK\r\n"
    )
    assert ours.control().call("DUMP", "again").value == payload


@pytest.mark.parametrize("compat", COMPATS)
def test_the_commands_of_a_stream_build_it_anew_on_the_real_server(compat: str, targets: Pair) -> None:
    from gossamer.base.limits import Limits
    from gossamer.datatypes.streams import Stream
    from gossamer.persistence.stream_commands import commands_of_stream
    from gossamer.rdb.payload import restore

    ours, theirs = targets(compat)
    for seed in range(4):
        played(ours, history(seed), "10")
        control = ours.control()
        control.call("XGROUP", "SETID", "s", "readers", "0")
        control.call("XREADGROUP", "GROUP", "readers", "first", "COUNT", "7", "STREAMS", "s", ">")
        control.call("XGROUP", "CREATECONSUMER", "s", "readers", "idle")
        stream = restore(control.call("DUMP", "s").plain(), Limits())
        assert isinstance(stream, Stream)
        theirs.control().call("FLUSHALL")
        for argv in commands_of_stream(b"s", stream):
            assert not theirs.control().call(*argv).is_error, argv
        for question in (["XRANGE", "s", "-", "+"], ["XINFO", "GROUPS", "s"], ["XPENDING", "s", "readers"]):
            assert control.call(*question).raw == theirs.control().call(*question).raw
        facts = [target.control().call("XINFO", "STREAM", "s").plain()[6:12] for target in (ours, theirs)]
        assert facts[0] == facts[1]
