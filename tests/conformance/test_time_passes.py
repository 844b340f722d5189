"""What happens when time runs out: blocked commands give up, keys expire, pauses end; as on the real server."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from conformance.conftest import Pair
from conformance.differential import Client, Target
from support.servers import wait_until
from support.wire import encode

pytestmark = pytest.mark.peers

BLOCKING = [
    "BLPOP k 0.02", "BRPOP k k2 0.02", "BRPOPLPUSH k d 0.02", "BLMOVE k d LEFT RIGHT 0.02", "BLMPOP 0.02 2 k k2 LEFT",
    "BZPOPMIN k 0.02", "BZPOPMAX k k2 0.02", "BZMPOP 0.02 1 k MIN COUNT 2",
]  # fmt: skip


def with_client(target: Target, protocol: int, scene: Callable[[Client], list[bytes]]) -> list[bytes]:
    """Play a scene on an empty server; its replies."""
    target.control().call("FLUSHALL")
    client = target.connect()
    try:
        if protocol == 3:
            client.call("HELLO", "3")
        return scene(client)
    finally:
        client.close()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("line", BLOCKING)
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_a_blocked_command_gives_up_alike(compat: str, line: str, protocol: int, targets: Pair) -> None:
    def scene(client: Client) -> list[bytes]:
        started = time.monotonic()
        alone = client.call(*line.split()).raw
        assert 0.015 < time.monotonic() - started < 2
        client.call("MULTI")
        client.call(*line.split())
        return [alone, client.call("EXEC").raw]

    ours, theirs = targets(compat)
    assert with_client(ours, protocol, scene) == with_client(theirs, protocol, scene)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_an_expired_key_is_gone_and_its_event_is_published(compat: str, protocol: int, targets: Pair) -> None:
    def scene_on(target: Target) -> Callable[[Client], list[bytes]]:
        def scene(client: Client) -> list[bytes]:
            control = target.control()
            control.call("CONFIG", "SET", "notify-keyspace-events", "Ex")
            client.send_raw(encode(["SUBSCRIBE", "__keyevent@0__:expired"]))
            client.read()
            control.call("SET", "brief", "x", "PX", "30")
            message = client.read(timeout_s=5).raw
            control.call("CONFIG", "SET", "notify-keyspace-events", "")
            replies = control.pipeline([("EXISTS", "brief"), ("TTL", "brief"), ("GET", "brief"), ("DBSIZE",)])
            return [message, *(reply.raw for reply in replies)]

        return scene

    ours, theirs = targets(compat)
    assert with_client(ours, protocol, scene_on(ours)) == with_client(theirs, protocol, scene_on(theirs))


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_keys_that_nobody_asks_for_expire_too(compat: str, targets: Pair) -> None:
    for target in targets(compat):
        control = target.control()
        control.call("FLUSHALL")
        control.pipeline([("SET", f"key:{number}", "x", "PX", "20") for number in range(500)])

        def is_empty(client: Client = control) -> bool:
            return client.call("DBSIZE").value == 0

        wait_until(is_empty, 5, f"{target.name} to expire 500 keys")


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_an_expired_key_reads_as_absent_before_it_is_removed(compat: str, targets: Pair) -> None:
    def scene(client: Client) -> list[bytes]:
        commands = [
            ("DEBUG", "SET-ACTIVE-EXPIRE", "0"),
            ("RPUSH", "list", "a"), ("PEXPIRE", "list", "1"), ("SET", "string", "a", "PX", "1"),
            ("HSET", "hash", "a", "b"), ("PEXPIRE", "hash", "1"),
        ]  # fmt: skip
        client.pipeline(commands)
        time.sleep(0.02)
        after = [
            ("TYPE", "list"), ("LLEN", "list"), ("GET", "string"), ("HGETALL", "hash"), ("RANDOMKEY",), ("KEYS", "*"),
            ("RENAME", "list", "other"), ("OBJECT", "ENCODING", "hash"), ("COPY", "hash", "copy"), ("DUMP", "hash"),
            ("SETNX", "string", "b"), ("TTL", "string"), ("RPUSHX", "list", "b"), ("APPEND", "string", "c"),
            ("DEBUG", "SET-ACTIVE-EXPIRE", "1"), ("DBSIZE",),
        ]  # fmt: skip
        return [reply.raw for reply in client.pipeline(after)]

    ours, theirs = targets(compat)
    assert with_client(ours, 2, scene) == with_client(theirs, 2, scene)


@pytest.mark.parametrize("mode", ["WRITE", "ALL"])
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_a_pause_holds_back_and_ends(compat: str, mode: str, targets: Pair) -> None:
    def scene_on(target: Target) -> Callable[[Client], list[bytes]]:
        def scene(client: Client) -> list[bytes]:
            other = target.connect()
            try:
                other.call("SET", "k", "old")
                paused = client.call("CLIENT", "PAUSE", "300", mode).raw
                started = time.monotonic()
                reply = other.call("SET", "k", "new", "GET").raw
                assert 0.2 < time.monotonic() - started < 3
                return [paused, reply]
            finally:
                other.close()

        return scene

    ours, theirs = targets(compat)
    assert with_client(ours, 2, scene_on(ours)) == with_client(theirs, 2, scene_on(theirs))


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_a_pause_of_writes_lets_reads_through_and_unpause_ends_it(compat: str, targets: Pair) -> None:
    for target in targets(compat):
        client, other = target.connect(), target.connect()
        try:
            assert client.call("CLIENT", "PAUSE", "60000", "WRITE").raw == b"+OK\r\n"
            assert other.call("GET", "k").kind == b"$"
            other.send_raw(b"SET k v\r\n")
            target.settle()
            assert other.available() == []
            assert client.call("CLIENT", "UNPAUSE").raw == b"+OK\r\n"
            assert other.read().raw == b"+OK\r\n"
        finally:
            client.close()
            other.close()
