"""Raw bytes on the wire, broken ones too: the same replies and the same closes as the real server."""

from __future__ import annotations

import contextlib
import os
import random
import time

import pytest

from conformance.conftest import Pair
from conformance.differential import Target
from support.parser_fuzz import mutate
from support.wire import Reply, encode

pytestmark = pytest.mark.peers

BROKEN = [
    b"*x\r\n", b"*1x\r\n", b"*01\r\n", b"*+1\r\n", b"* 1\r\n", b"*\r\n", b"*2147483648\r\n",
    b"*99999999999999999999\r\n", b"*1048577\r\n$1\r\n", b"*1\r\nPING\r\n", b"*1\r\n+PING\r\n",
    b"*1\r\n\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$x\r\n", b"*1\r\n$\r\n", b"*1\r\n$536870913\r\n",
    b"*1\r\n$04\r\nPING\r\n", b"*2\r\n$4\r\nECHO\r\n:1\r\n", b"*0\r\n", b"*-1\r\n", b"*-10\r\n", b"\r\n",
    b"\n", b"   \r\n", b"PING\n", b"PING\r\n", b"PING x\r\n", b"'PING\r\n", b'"PING\r\n', b'"PING"x\r\n',
    b'"PI\\x4eG"\r\n', b"'PI\\'NG'\r\n", b'ECHO "a\\n\\r\\t\\b\\a\\q\\x0g"\r\n', b"ECHO 'a b' \r\n",
    b"ECHO \x00\r\n", b"ECHO \xff\r\n", b"\x00\r\n", b"*1\r\n$0\r\n\r\n", b"*1\r\n$4\r\nPINGxx",
    b"*1\rx$4\rxPING\r\n", b"GET\r\n", b"NOSUCH a b c\r\n", b"POST / HTTP/1.1\r\n", b"Host: x\r\n",
    b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$-5\r\n",
]  # fmt: skip
# A server that reads in chunks may see the end of a line before it finds the line too long: none of these has one.
ENDLESS = [b"x" * 90000, b"*" + b"1" * 90000, b"*1\r\n$" + b"1" * 90000, b"PING\r\n" + b" " * 90000]


def converse(target: Target, data: bytes, cut: int | None) -> tuple[list[Reply], bool]:
    """Send it in one or two pieces; the replies, and whether the server closed."""
    client = target.connect()
    try:
        client.send_raw(data if cut is None else data[:cut])
        if cut is not None:
            target.settle()
            client.send_raw(data[cut:])
        replies: list[Reply] = []
        for _ in range(2 + len(data) // 8192):
            target.settle()
            replies += client.available()
        if replies and replies[-1].raw.startswith(b"-ERR Protocol error"):
            with contextlib.suppress(ConnectionError, TimeoutError):
                replies.append(client.read(timeout_s=2))
        return replies, client.closed_by_server
    finally:
        client.close()


def same(ours: tuple[list[Reply], bool], theirs: tuple[list[Reply], bool]) -> bool:
    return [reply.raw for reply in ours[0]] == [reply.raw for reply in theirs[0]] and ours[1] == theirs[1]


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_broken_input_is_answered_alike(number: int, compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    data = BROKEN[number] + b"PING after\r\n"
    for cut in (None, 1, len(BROKEN[number])):
        assert same(converse(ours, data, cut), converse(theirs, data, cut)), (data[:200], cut)


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("number", range(len(ENDLESS)))
def test_a_line_without_an_end_is_refused_alike(number: int, compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    assert same(converse(ours, ENDLESS[number], None), converse(theirs, ENDLESS[number], None))


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_damaged_pipelines_are_answered_alike(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    seed = int(time.time()) if "GOSSAMER_EXAMPLES" in os.environ else 1
    rng = random.Random(seed)
    words = [b"PING", b"echo", b"SET", b"k", b"v", b"GET", b"x y", b"", b"\r\n"]
    for _ in range(int(os.environ.get("GOSSAMER_EXAMPLES", "150"))):
        lines = [encode([rng.choice(words) for _ in range(rng.randint(1, 3))]) for _ in range(3)]
        data = mutate(rng, mutate(rng, b"".join(lines)))
        cut = rng.choice([None, rng.randrange(len(data) + 1)])
        assert same(converse(ours, data, cut), converse(theirs, data, cut)), (seed, data, cut)
