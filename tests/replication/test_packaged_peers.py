"""Replication with Redis 6.2 and Valkey 9, both ways: the oldest and the newest that can be had (extra `peers`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from support.data_set import value_of
from support.servers import PACKAGED, ServerProcess, packaged_program, wait_until
from support.wire import WireClient


def start(stack: ExitStack, kind: str, *options: str) -> ServerProcess:
    if kind in PACKAGED and packaged_program(kind) is None:
        pytest.skip(f"{kind} is not here: pip install '.[peers]'")
    return stack.enter_context(ServerProcess(kind, ["--repl-diskless-sync-delay", "0", *options]))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def options_for(kind: str) -> list[str]:
    """Of a Gossamer primary: version 9 does not hold all of a stream, so that one must ask for it."""
    return ["--rdb-version", "9"] if kind == "redis-server-6.2" else []


def fill(client: WireClient, mark: str, streams: bool = True) -> None:
    """Every type and most encodings that all of these servers know."""
    for number in range(200):
        client.call("SET", f"{mark}:{number}", "x" * number)
        client.call("RPUSH", f"{mark}:list", "element" * (number % 50), number)
        client.call("HSET", f"{mark}:hash", f"field{number}", "v" * number)
        client.call("ZADD", f"{mark}:zset", number / 7, f"member{number}")
        client.call("SADD", f"{mark}:set", f"member{number}")
        if streams:
            client.call("XADD", f"{mark}:stream", f"{number + 1}-1", "field", "value")
    client.call("SADD", f"{mark}:intset", 1, 2, 70000)
    client.call("HSET", f"{mark}:small", "field", "value")
    client.call("ZADD", f"{mark}:few", 1.5, "a", 2, "b")
    if streams:
        client.call("XGROUP", "CREATE", f"{mark}:stream", "group", "0")
        client.call("XREADGROUP", "GROUP", "group", "alice", "COUNT", "3", "STREAMS", f"{mark}:stream", ">")
    client.call("SET", f"{mark}:expires", "1", "EX", "100000")
    client.call(
        "EVAL", "redis.call('SET', KEYS[1], '2') return redis.call('INCR', KEYS[1])", "1", f"{mark}:n"
    )


def follow(replica: ServerProcess, primary: ServerProcess) -> None:
    with replica.client() as client:
        assert client.call("REPLICAOF", "127.0.0.1", str(primary.port)).value == b"OK"
        wait_until(lambda: b"master_link_status:up" in info(client), 30, "the link")


def content(client: WireClient) -> dict[bytes, Any]:
    """What servers of all these versions tell of their keys."""
    found: dict[bytes, Any] = {}
    for key in client.call("KEYS", "*").plain():
        kind = client.call("TYPE", key).plain()
        if kind == b"stream":
            value = [
                client.call("XRANGE", key, "-", "+").plain(),
                client.call("XPENDING", key, "group").plain(),
            ]
        else:
            value = value_of(client, key, kind)
        found[key] = (kind, value, client.call("PTTL", key).plain() < 0)
    return found


def info(client: WireClient) -> bytes:
    text = client.call("INFO").value
    assert isinstance(text, bytes)
    return text


def offset(client: WireClient) -> bytes:
    return info(client).split(b"master_repl_offset:")[1].split(b"\r")[0]


def agree(primary: ServerProcess, replica: ServerProcess) -> None:
    with primary.client() as above, replica.client() as below:
        wait_until(lambda: offset(above) == offset(below), 30, "equal offsets")
        upper, lower = content(above), content(below)
        assert upper == lower and len(upper) > 200


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("kind", list(PACKAGED))
def test_it_is_a_replica_of_gossamer(stack: ExitStack, kind: str, diskless: str) -> None:
    primary = start(stack, "gossamer", "--repl-diskless-sync", diskless, *options_for(kind))
    replica = start(stack, kind)
    with primary.client() as client:
        fill(client, "before")
        follow(replica, primary)
        fill(client, "after")
        agree(primary, replica)
        client.call("CLIENT", "KILL", "TYPE", "replica")
        fill(client, "during")
        agree(primary, replica)


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_redis_6_2_is_sent_what_it_takes_without_being_asked(stack: ExitStack, diskless: str) -> None:
    """It says nothing of itself: it takes a snapshot, leaves, and is sent an older version of the format."""
    primary = start(stack, "gossamer", "--repl-diskless-sync", diskless)
    replica = start(stack, "redis-server-6.2")
    with primary.client() as client:
        fill(client, "before", streams=False)
        follow(replica, primary)
        fill(client, "after")
        agree(primary, replica)


@pytest.mark.parametrize("load", ["disabled", "swapdb"])
@pytest.mark.parametrize("kind", list(PACKAGED))
def test_gossamer_is_its_replica(stack: ExitStack, kind: str, load: str) -> None:
    primary = start(stack, kind)
    replica = start(stack, "gossamer", "--repl-diskless-load", load)
    with primary.client() as client:
        fill(client, "before")
        follow(replica, primary)
        fill(client, "after")
        agree(primary, replica)
    with replica.client() as client:
        client.call("CLIENT", "KILL", "TYPE", "master")
        wait_until(lambda: b"master_link_status:up" in info(client), 30, "the link")
    agree(primary, replica)
    with primary.client() as client:
        assert b"sync_full:1\r\n" in info(client)


@pytest.mark.parametrize("kind", list(PACKAGED))
def test_a_chain_goes_on_when_its_middle_is_promoted(stack: ExitStack, kind: str) -> None:
    first = start(stack, "gossamer", *options_for(kind))
    middle = start(stack, kind)
    last = start(stack, "gossamer")
    with first.client() as client:
        fill(client, "a")
    follow(middle, first)
    follow(last, middle)
    agree(middle, last)
    with middle.client() as client:
        assert client.call("REPLICAOF", "NO", "ONE").value == b"OK"
        fill(client, "b")
    follow(first, middle)
    agree(middle, last)
    agree(middle, first)
    with middle.client() as client:
        assert b"sync_full:1\r\n" in info(client), "both went on from where they stood"
