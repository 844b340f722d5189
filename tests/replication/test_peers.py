"""Real servers as replicas of Gossamer: the data sets are equal where the offsets are."""

from collections.abc import Iterator

import pytest

from support.servers import ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers


@pytest.fixture(params=["redis-server", "valkey-server"])
def replica(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    try:
        with ServerProcess(request.param, ["--enable-debug-command", "yes"]) as server:
            yield server
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is not installed")


@pytest.fixture(params=["yes", "no"])
def primary(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    options = [
        "--repl-diskless-sync",
        request.param,
        "--repl-diskless-sync-delay",
        "0",
        "--enable-debug-command",
        "yes",
    ]
    with ServerProcess("gossamer", options) as server:
        yield server


def info(client: WireClient) -> dict[bytes, bytes]:
    text = client.call(b"INFO", b"replication").value
    assert isinstance(text, bytes)
    return dict(line.split(b":", 1) for line in text.split(b"\r\n") if b":" in line)


def follow(replica: WireClient, primary: ServerProcess) -> None:
    replica.call(b"REPLICAOF", b"127.0.0.1", b"%d" % primary.port)
    wait_until(lambda: info(replica)[b"master_link_status"] == b"up", 20, "the link to the primary")


def agree(primary: WireClient, replica: WireClient) -> None:
    """At the same offset both hold the same."""

    def at_one_offset() -> bool:
        return info(replica)[b"slave_repl_offset"] == info(primary)[b"master_repl_offset"]

    wait_until(at_one_offset, 20, "equal offsets")
    assert replica.call(b"DEBUG", b"DIGEST") == primary.call(b"DEBUG", b"DIGEST")


def test_a_replica_gets_everything_and_goes_on_after_a_cut(
    primary: ServerProcess, replica: ServerProcess
) -> None:
    with WireClient(primary.port) as writer, WireClient(replica.port) as reader:
        for number in range(300):
            writer.call("SET", f"before:{number}", "x" * number)
            writer.call("RPUSH", "list", str(number))
        writer.call("FUNCTION", "LOAD", "#!lua name=f\nredis.register_function('f', function() return 1 end)")
        follow(reader, primary)
        agree(writer, reader)
        writer.call("SELECT", "3")
        writer.call("HSET", "hash", "field", "value")
        writer.call("MULTI")
        writer.call("SET", "a", "1")
        writer.call("INCR", "a")
        writer.call("EXEC")
        writer.call("EVAL", "redis.call('SET', 'b', '2') return redis.call('INCR', 'b')", "0")
        writer.call("SET", "short", "1", "PX", "1")
        writer.call("SPOP", "none")
        agree(writer, reader)
        assert writer.call("WAIT", "1", "5000").value == 1
        full = int(stat(writer, b"sync_full"))
        reader.call("CLIENT", "KILL", "TYPE", "master")
        for number in range(100):
            writer.call("SET", f"after:{number}", "y")
        wait_until(lambda: stat(writer, b"sync_partial_ok") == b"1", 20, "a partial synchronisation")
        agree(writer, reader)
        assert int(stat(writer, b"sync_full")) == full
        role = writer.call("ROLE").plain()
        assert role[0] == b"master" and role[2][0][1] == b"%d" % replica.port


def test_messages_reach_the_subscribers_of_a_replica(primary: ServerProcess, replica: ServerProcess) -> None:
    with (
        WireClient(primary.port) as writer,
        WireClient(replica.port) as reader,
        WireClient(replica.port) as listener,
    ):
        follow(reader, primary)
        listener.call("SUBSCRIBE", "news")
        writer.call("PUBLISH", "news", "hello")
        assert listener.read().plain() == [b"message", b"news", b"hello"]


def test_writes_need_as_many_replicas_as_the_operator_says(
    primary: ServerProcess, replica: ServerProcess
) -> None:
    with WireClient(primary.port) as writer, WireClient(replica.port) as reader:
        writer.call("CONFIG", "SET", "min-replicas-to-write", "1")
        refusal = writer.call("SET", "k", "v")
        assert refusal.value == b"NOREPLICAS Not enough good replicas to write."
        script = writer.call("EVAL", "return redis.call('SET', 'k', 'v')", "0")
        assert isinstance(script.value, bytes) and script.value.startswith(b"NOREPLICAS ")
        assert writer.call("EVAL", "#!lua\nreturn 1", "0").value == refusal.value
        assert writer.call("EVAL", "return redis.call('GET', 'none') or 5", "0").value == 5
        follow(reader, primary)
        wait_until(lambda: not writer.call("SET", "k", "v").is_error, 30, "the end of the refusal")
        writer.call("CONFIG", "SET", "min-replicas-to-write", "2")
        assert writer.call("SET", "k", "v").value == refusal.value
        writer.call("CONFIG", "SET", "min-replicas-to-write", "0")
        assert not writer.call("SET", "k", "v").is_error
        agree(writer, reader)


def stat(client: WireClient, name: bytes) -> bytes:
    text = client.call("INFO", "stats").value
    assert isinstance(text, bytes)
    return dict(line.split(b":", 1) for line in text.split(b"\r\n") if b":" in line)[name]


def test_a_replica_that_takes_nothing_is_closed_and_the_others_are_not(primary: ServerProcess) -> None:
    with WireClient(primary.port) as writer, WireClient(primary.port) as deaf:
        writer.call("CONFIG", "SET", "client-output-buffer-limit", "replica 1mb 0 0")
        writer.call("CONFIG", "SET", "repl-backlog-size", "16384")
        writer.call("SET", "k", "v")
        deaf.send("SYNC")
        wait_until(lambda: b"state=online" in info(writer).get(b"slave0", b""), 20, "the transfer")
        for _ in range(24):
            writer.call("SET", "k", "x" * 1_000_000)
        wait_until(lambda: info(writer)[b"connected_slaves"] == b"0", 10, "the end of the replica")
        assert int(info(writer)[b"repl_backlog_histlen"]) <= 2_000_000
        assert writer.call("GET", "k").value == b"x" * 1_000_000
