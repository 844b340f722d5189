"""Commands on streams: what they reply, what they tell of, and what AOF and replicas see of them."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import stream_claims, stream_groups, stream_info, stream_reads, streams
from gossamer.commands.stream_info import radix_nodes
from gossamer.commands.table import Command
from gossamer.datatypes.stream_ids import make_id
from support.caller import Caller

GROUPS = (
    streams.COMMANDS,
    stream_reads.COMMANDS,
    stream_groups.COMMANDS,
    stream_claims.COMMANDS,
    stream_info.COMMANDS,
)
_UNBALANCED = b"ERR Unbalanced 'xread' list of streams: for each stream key an ID or '$' must be specified."
_NO_GROUP_TO_READ = b"NOGROUP No such key 's' or consumer group 'no' in XREADGROUP with GROUP option"
NOW = b"1700000000000"


class StreamCaller(Caller):
    """Knows the subcommands of XGROUP and XINFO too."""

    def raw(self, *argv: bytes | str) -> bytes:
        words = [word.encode() if isinstance(word, str) else word for word in argv]
        container: Command = self.commands[words[0].lower()]
        if not container.subcommands:
            return super().raw(*argv)
        self.commands[words[0].lower()] = container.subcommands[words[1].lower()]
        try:
            return super().raw(*argv)
        finally:
            self.commands[words[0].lower()] = container


def caller(compat: int = 72, protocol: int = 2) -> StreamCaller:
    return StreamCaller(GROUPS, compat, protocol)


def told(server: StreamCaller) -> list[str]:
    return [b" ".join(argv).decode() for argv in server.propagated or []]


def with_group(compat: int = 72) -> StreamCaller:
    server = caller(compat)
    for number in (1, 2, 3):
        server.line(f"XADD s {number}-1 f v{number}")
    server.line("XGROUP CREATE s g 0")
    return server


def test_a_generated_id_is_told_as_it_was_generated() -> None:
    server = caller()
    assert server.line("XADD s * f v") == NOW + b"-0"
    assert told(server) == ["XADD s 1700000000000-0 f v"]
    assert server.line("XADD s * f v") == NOW + b"-1"
    assert server.line("XADD s 1700000000005-* f v") == b"1700000000005-0"
    assert told(server) == ["XADD s 1700000000005-0 f v"]
    assert server.events == [(b"xadd", b"s")]
    server.line("XADD s 1700000000005-7 f v")
    assert server.propagated is None


def test_the_clock_may_go_back() -> None:
    server = caller()
    server.line("XADD s 1700000000009-5 f v")
    assert server.line("XADD s * f v") == b"1700000000009-6"


def test_approximate_trimming_is_told_exactly() -> None:
    server = caller()
    server.limits.stream_node_max_entries = 2
    for number in range(1, 8):
        server.line(f"XADD s {number}-1 f v")
    assert server.line("XTRIM s MAXLEN ~ 2") == 4
    assert told(server) == ["XTRIM s MAXLEN = 3"]
    server.line("XADD s MINID ~ 7 * f v")
    assert told(server) == ["XADD s MINID = 7-1 1700000000000-0 f v"]
    assert server.events == [(b"xadd", b"s"), (b"xtrim", b"s")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("XADD s 1-1 f", b"ERR wrong number of arguments for 'xadd' command"),
        ("XADD s 0-0 f v", b"ERR The ID specified in XADD must be greater than 0-0"),
        ("XADD s 3-1 f v", b"ERR The ID specified in XADD is equal or smaller than the target stream top item"),
        ("XADD s MAXLEN x 9 f v", b"ERR value is not an integer or out of range"),
        ("XADD s x f v", b"ERR Invalid stream ID specified as stream command argument"),
        ("XRANGE s (18446744073709551615-18446744073709551615 +", b"ERR invalid start ID for the interval"),
        ("XRANGE s - (0-0", b"ERR invalid end ID for the interval"),
        ("XREAD STREAMS s", _UNBALANCED),
        ("XREADGROUP GROUP no c STREAMS s >", _NO_GROUP_TO_READ),
        ("XGROUP CREATE s g 0", b"BUSYGROUP Consumer Group name already exists"),
        ("XGROUP SETID s no 0", b"NOGROUP No such consumer group 'no' for key name 's'"),
        ("XSETID s 1-1", b"ERR The ID specified in XSETID is smaller than the target stream top item"),
        ("XCLAIM s g c x 1-1", b"ERR Invalid min-idle-time argument for XCLAIM"),
        ("XCLAIM s g c 0 1-1 WHAT", b"ERR Unrecognized XCLAIM option 'WHAT'"),
        ("XINFO STREAM no", b"ERR no such key"),
    ],
)  # fmt: skip
def test_a_fault_is_named_as_redis_names_it(line: str, message: bytes) -> None:
    server = with_group()
    with pytest.raises(CommandError) as caught:
        server.line(line)
    assert caught.value.message == message


def test_a_group_reads_each_entry_once() -> None:
    server = with_group()
    assert server.line("XREADGROUP GROUP g c COUNT 2 STREAMS s >") == [
        [b"s", [[b"1-1", [b"f", b"v1"]], [b"2-1", [b"f", b"v2"]]]]
    ]
    assert told(server) == [
        "XCLAIM s g c 0 1-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
        "XCLAIM s g c 0 2-1 TIME 1700000000000 RETRYCOUNT 1 FORCE JUSTID LASTID 2-1",
        "XGROUP SETID s g 2-1 ENTRIESREAD 2",
    ]
    assert server.events == [(b"xgroup-createconsumer", b"s")]
    assert server.line("XREADGROUP GROUP g d STREAMS s >") == [[b"s", [[b"3-1", [b"f", b"v3"]]]]]
    assert server.line("XREADGROUP GROUP g d STREAMS s >") is None
    assert server.line("XPENDING s g") == [3, b"1-1", b"3-1", [[b"c", b"2"], [b"d", b"1"]]]


def test_what_a_group_is_told_without_acknowledgement() -> None:
    server = with_group()
    server.line("XREADGROUP GROUP g c NOACK STREAMS s >")
    assert told(server) == ["XGROUP CREATECONSUMER s g c", "XGROUP SETID s g 3-1 ENTRIESREAD 3"]
    assert server.line("XPENDING s g") == [0, None, None, None]


def test_a_deleted_entry_is_null_in_the_history_and_leaves_with_a_claim() -> None:
    server = with_group()
    server.line("XREADGROUP GROUP g c STREAMS s >")
    server.line("XDEL s 2-1")
    history = server.line("XREADGROUP GROUP g c STREAMS s 1-1")
    assert history == [[b"s", [[b"2-1", None], [b"3-1", [b"f", b"v3"]]]]]
    assert server.line("XAUTOCLAIM s g d 0 - JUSTID") == [b"0-0", [b"1-1", b"3-1"], [b"2-1"]]
    assert [line.split()[3] for line in told(server)] == ["d", "c", "d"]
    assert server.line("XPENDING s g - + 10") == [[b"1-1", b"d", 0, 1], [b"3-1", b"d", 0, 2]]
    assert server.line("XACK s g 1-1 2-1 3-1") == 2


def test_autoclaim_goes_on_where_it_stopped() -> None:
    server = with_group()
    server.line("XREADGROUP GROUP g c STREAMS s >")
    assert server.line("XAUTOCLAIM s g d 0 0 COUNT 2 JUSTID") == [b"3-1", [b"1-1", b"2-1"], []]
    assert server.line("XAUTOCLAIM s g d 0 3-1 COUNT 2 JUSTID") == [b"0-0", [b"3-1"], []]
    assert server.line("XAUTOCLAIM s g d 1000 0") == [b"0-0", [], []]


@pytest.mark.parametrize(("compat", "created"), [(70, 0), (72, 1), (80, 1)])
def test_since_72_a_consumer_that_finds_nothing_is_created_all_the_same(compat: int, created: int) -> None:
    server = with_group(compat)
    server.line("XGROUP SETID s g $")
    server.line("XREADGROUP GROUP g c STREAMS s >")
    consumers = server.line("XINFO CONSUMERS s g")
    assert isinstance(consumers, list) and len(consumers) == created


def test_who_waits_for_what_comes_next_waits_beyond_the_last_id() -> None:
    server = with_group()
    argv = [b"XREAD", b"BLOCK", b"0", b"STREAMS", b"s", b"$"]
    function = server.commands[b"xread"].function
    assert function is not None
    function(server.session, argv)
    assert server.session.block_keys == [b"s"]
    assert argv[5] == b"3-1"


@pytest.mark.parametrize("protocol", [2, 3])
def test_streams_are_a_map_in_resp3(protocol: int) -> None:
    server = caller(72, protocol)
    server.line("XADD s 1-1 f v")
    reply = server.raw("XREAD", "STREAMS", "s", "0")
    assert reply.startswith(b"*1\r\n*2\r\n$1\r\ns\r\n" if protocol == 2 else b"%1\r\n$1\r\ns\r\n")


def test_the_lag_is_unknown_behind_a_gap() -> None:
    server = with_group()
    server.line("XADD s 4-1 f v")
    server.line("XDEL s 2-1")
    groups = server.line("XINFO GROUPS s")
    assert isinstance(groups, list)
    assert groups[0][-1] is None
    server.line("XGROUP SETID s g 4-1")
    groups = server.line("XINFO GROUPS s")
    assert isinstance(groups, list)
    assert groups[0][-1] == 0


@pytest.mark.parametrize(
    ("ids", "nodes"),
    [
        ([], 1),
        ([(1, 1)], 2),
        ([(1, 1), (1, 2)], 4),
        ([(1, 1), (2, 1)], 6),
        ([(1, 1), (1, 2), (1 << 62, 0)], 7),
    ],
)
def test_the_radix_tree_is_counted(ids: list[tuple[int, int]], nodes: int) -> None:
    assert radix_nodes([make_id(*numbers) for numbers in ids]) == nodes
