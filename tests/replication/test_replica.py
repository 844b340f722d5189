"""Gossamer as a replica, of real servers and of its own kind: equal data at equal offsets, whatever happens."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support.servers import ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers
DEBUG = ["--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0"]


class Nodes:
    """Servers of any kind, with a client each; all end with the test."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack

    def start(self, kind: str, *options: str) -> Node:
        try:
            server = self.stack.enter_context(ServerProcess(kind, [*DEBUG, *options]))
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is not installed")
        return Node(server)


class Node:
    """One server."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.client = WireClient(server.port)

    def call(self, *argv: str | bytes) -> object:
        return self.client.call(*argv).value

    def info(self, section: str = "replication") -> dict[bytes, bytes]:
        text = self.call("INFO", section)
        assert isinstance(text, bytes)
        return dict(line.split(b":", 1) for line in text.split(b"\r\n") if b":" in line)

    def follow(self, primary: Node) -> None:
        assert self.call("REPLICAOF", "127.0.0.1", str(primary.server.port)) == b"OK"
        self.await_link()

    def await_link(self) -> None:
        wait_until(lambda: self.info()[b"master_link_status"] == b"up", 20, "the link to the primary")

    def begin_anew(self) -> None:
        """The process was started again."""
        self.server.start()
        self.client = WireClient(self.server.port)
        wait_until(lambda: self.info("persistence")[b"loading"] == b"0", 20, "the data set")


@pytest.fixture
def nodes() -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(stack)


def agree(*all_nodes: Node) -> None:
    """At one offset all hold the same."""

    def at_one_offset() -> bool:
        return len({node.info()[b"master_repl_offset"] for node in all_nodes}) == 1

    wait_until(at_one_offset, 20, "equal offsets")
    assert len({node.call("DEBUG", "DIGEST") for node in all_nodes}) == 1
    assert len({node.info()[b"master_replid"] for node in all_nodes}) == 1


def write_some(node: Node, mark: str, count: int = 100) -> None:
    for number in range(count):
        node.call("SET", f"{mark}:{number}", "x" * number)
        node.call("RPUSH", f"{mark}:list", str(number))
    node.call("SELECT", "3")
    node.call("HSET", mark, "field", "value")
    node.call("MULTI")
    node.call("SADD", "set", "1", "2", mark)
    node.call("ZADD", "zset", "1.5", mark)
    node.call("EXEC")
    node.call("EVAL", "redis.call('SET', KEYS[1], '2') return redis.call('INCR', KEYS[1])", "1", f"{mark}:n")
    node.call("XADD", "stream", "*", "f", mark)
    node.call("SELECT", "0")


PRIMARIES = ["redis-server", "valkey-server", "gossamer"]


@pytest.mark.parametrize("kind", PRIMARIES)
@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("load", ["disabled", "on-empty-db", "swapdb"])
def test_follows_and_goes_on_after_a_cut(nodes: Nodes, kind: str, diskless: str, load: str) -> None:
    primary = nodes.start(kind, "--repl-diskless-sync", diskless)
    replica = nodes.start("gossamer", "--repl-diskless-load", load)
    write_some(primary, "before")
    replica.call("SET", "old", "gone")
    replica.follow(primary)
    agree(primary, replica)
    assert replica.call("GET", "old") is None
    write_some(primary, "after")
    assert primary.call("WAIT", "1", "5000") == 1
    agree(primary, replica)
    replica.call("CLIENT", "KILL", "TYPE", "master")
    write_some(primary, "during")
    replica.await_link()
    agree(primary, replica)
    assert primary.info("stats")[b"sync_full"] == b"1"
    refused = replica.client.call("SET", "x", "1")
    assert str(refused).find("READONLY") >= 0


@pytest.mark.parametrize("middle", PRIMARIES)
def test_a_chain_has_one_history_and_survives_promotion(nodes: Nodes, middle: str) -> None:
    first = nodes.start("gossamer" if middle != "gossamer" else "redis-server")
    second = nodes.start(middle)
    third = nodes.start("gossamer")
    write_some(first, "a")
    second.follow(first)
    third.follow(second)
    write_some(first, "b")
    agree(first, second, third)
    assert second.call("REPLICAOF", "NO", "ONE") == b"OK"
    write_some(second, "c")
    third.await_link()
    agree(second, third)
    full = second.info("stats")[b"sync_full"]
    first.follow(second)
    agree(first, second, third)
    assert second.info("stats")[b"sync_full"] == full, "the old primary goes on from the second id"


@pytest.mark.parametrize("kind", PRIMARIES)
def test_a_replica_that_restarts_goes_on_from_its_file(nodes: Nodes, kind: str) -> None:
    primary = nodes.start(kind)
    replica = nodes.start("gossamer", "--replicaof", f"127.0.0.1 {primary.server.port}")
    replica.await_link()
    write_some(primary, "a")
    agree(primary, replica)
    replica.call("SAVE")
    replica.server.crash()
    write_some(primary, "b")
    replica.begin_anew()
    replica.await_link()
    agree(primary, replica)
    assert primary.info("stats")[b"sync_full"] == b"1"


@pytest.mark.parametrize("kind", PRIMARIES)
def test_a_primary_that_restarts_is_still_of_the_same_history(nodes: Nodes, kind: str) -> None:
    primary = nodes.start("gossamer")
    replica = nodes.start(kind)
    replica.follow(primary)
    write_some(primary, "a")
    primary.call("SET", "due", "1", "PX", "400")
    agree(primary, replica)
    primary.call("SAVE")
    primary.server.crash()
    primary.begin_anew()
    replica.await_link()
    wait_until(lambda: primary.call("GET", "due") is None, 10, "the key's end")
    write_some(primary, "b")
    agree(primary, replica)
    stats = primary.info("stats")
    assert (stats[b"sync_full"], stats[b"sync_partial_ok"]) == (b"0", b"1")


def test_appends_what_its_primary_says(nodes: Nodes) -> None:
    primary = nodes.start("redis-server")
    replica = nodes.start("gossamer", "--appendonly", "yes")
    write_some(primary, "a")
    replica.follow(primary)
    write_some(primary, "b")
    agree(primary, replica)
    wait_until(
        lambda: replica.info("persistence")[b"aof_rewrite_in_progress"] == b"0", 20, "the first rewrite"
    )
    digest = replica.call("DEBUG", "DIGEST")
    replica.call("REPLICAOF", "NO", "ONE")
    replica.server.terminate()
    replica.begin_anew()
    assert replica.call("DEBUG", "DIGEST") == digest


@pytest.mark.parametrize("kind", PRIMARIES)
def test_failover_hands_the_role_over(nodes: Nodes, kind: str) -> None:
    primary = nodes.start("gossamer")
    replica = nodes.start(kind)
    replica.follow(primary)
    write_some(primary, "a")
    wait_until(lambda: b"state=online" in primary.info()[b"slave0"], 20, "the replica's first word")
    assert primary.call("FAILOVER", "TO", "127.0.0.1", str(replica.server.port)) == b"OK"
    wait_until(lambda: replica.info()[b"role"] == b"master", 20, "the new primary")
    primary.await_link()
    write_some(replica, "b")
    agree(primary, replica)
    assert primary.info()[b"master_failover_state"] == b"no-failover"
    assert replica.info("stats")[b"sync_full"] == b"0"


def test_takes_the_role_over_from_a_real_server(nodes: Nodes) -> None:
    primary = nodes.start("redis-server")
    replica = nodes.start("gossamer")
    replica.follow(primary)
    write_some(primary, "a")
    assert primary.call("FAILOVER") == b"OK"
    wait_until(lambda: replica.info()[b"role"] == b"master", 20, "the new primary")
    primary.await_link()
    write_some(replica, "b")
    agree(primary, replica)


def test_serves_nothing_stale_where_told_so(nodes: Nodes) -> None:
    primary = nodes.start("redis-server")
    replica = nodes.start("gossamer", "--replica-serve-stale-data", "no")
    primary.call("SET", "k", "v")
    replica.follow(primary)
    agree(primary, replica)
    primary.server.crash()
    wait_until(lambda: "MASTERDOWN" in str(replica.client.call("GET", "k")), 20, "the loss of the link")
    assert replica.info()[b"master_link_status"] == b"down"
    replica.call("CONFIG", "SET", "replica-serve-stale-data", "yes")
    assert replica.call("GET", "k") == b"v"
    assert "NOMASTERLINK" in str(replica.client.call("PSYNC", "?", "-1"))


def test_what_is_due_is_hidden_until_the_primary_says_so(nodes: Nodes) -> None:
    primary = nodes.start("gossamer")
    replica = nodes.start("gossamer")
    replica.follow(primary)
    primary.call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    primary.call("SET", "k", "v", "PX", "100")
    agree(primary, replica)
    wait_until(lambda: replica.call("GET", "k") is None, 10, "the key's end")
    assert replica.call("DBSIZE") == 1
    assert replica.call("EXISTS", "k") == 0
    assert primary.call("GET", "k") is None
    wait_until(lambda: replica.call("DBSIZE") == 0, 10, "the primary's DEL")
    agree(primary, replica)


def test_what_a_writable_replica_writes_stays_its_own(nodes: Nodes) -> None:
    primary = nodes.start("redis-server")
    middle = nodes.start("gossamer", "--replica-read-only", "no")
    last = nodes.start("gossamer")
    middle.follow(primary)
    last.follow(middle)
    assert middle.call("SET", "own", "1") == b"OK"
    primary.call("SET", "k", "v")
    wait_until(lambda: last.call("GET", "k") == b"v", 10, "the write")
    assert last.call("GET", "own") is None
    assert "cannot be used with replica" in str(middle.client.call("WAIT", "1", "10"))


def test_authenticates_itself(nodes: Nodes) -> None:
    primary = nodes.start("redis-server")
    primary.call("ACL", "SETUSER", "link", "on", ">secret", "+psync", "+replconf", "+ping")
    primary.call("CONFIG", "SET", "requirepass", "other")
    replica = nodes.start("gossamer", "--masteruser", "link", "--masterauth", "secret")
    replica.follow(primary)
    wrong = nodes.start("gossamer", "--masterauth", "wrong")
    wrong.call("REPLICAOF", "127.0.0.1", str(primary.server.port))
    wait_until(lambda: "Unable to AUTH" in wrong.server.log_tail(), 10, "the refusal in the log")
    assert wrong.info()[b"master_link_status"] == b"down"


@pytest.mark.parametrize("kind", PRIMARIES)
def test_a_primary_that_comes_back_empty_does_not_wipe_its_replicas(nodes: Nodes, kind: str) -> None:
    primary = nodes.start("gossamer", "--safe-start-guard", "yes")
    replica = nodes.start(kind)
    replica.follow(primary)
    write_some(primary, "a")
    agree(primary, replica)
    primary.server.crash()
    primary.begin_anew()
    wait_until(lambda: "GUARDED" in str(primary.client.call("SET", "x", "1")), 20, "the guard")
    assert "GUARDED" in str(primary.client.call("PING"))
    assert replica.call("GET", "a:7") == b"x" * 7, "what the replica has stays"
    replica.call("REPLICAOF", "NO", "ONE")
    primary.follow(replica)
    write_some(replica, "b")
    agree(primary, replica)


def test_the_word_of_an_operator_ends_the_safe_start(nodes: Nodes) -> None:
    primary = nodes.start("gossamer", "--safe-start-guard", "yes")
    replica = nodes.start("gossamer")
    other = nodes.start("gossamer")
    replica.follow(other)
    write_some(other, "a")
    agree(other, replica)
    replica.call("REPLICAOF", "127.0.0.1", str(primary.server.port))
    wait_until(lambda: "GUARDED" in str(primary.client.call("SET", "x", "1")), 20, "the guard")
    assert primary.call("REPLICAOF", "NO", "ONE") == b"OK"
    assert primary.call("SET", "x", "1") == b"OK"
    replica.await_link()
    agree(primary, replica)
    assert replica.call("DBSIZE") == 1


@pytest.mark.parametrize("below", ["gossamer", "redis-server"])
def test_a_writable_replica_expires_what_only_it_has(nodes: Nodes, below: str) -> None:
    primary, replica = nodes.start("gossamer"), nodes.start(below, "--replica-read-only", "no")
    replica.follow(primary)
    primary.call("SET", "of the primary", "v", "PX", "100")
    replica.call("SET", "lasting", "v")
    replica.call("SET", "kept", "v", "EX", "1000")
    replica.call("SET", "written", "v", "PX", "100")
    replica.call("SELECT", "5")
    replica.call("RPUSH", "list", "a")
    replica.call("PEXPIRE", "list", "150")
    wait_until(lambda: replica.call("DBSIZE") == 0, 20, "the list to expire")
    replica.call("SELECT", "0")
    wait_until(lambda: replica.call("DBSIZE") == 2, 20, "the key to expire, and that of the primary with it")
    assert replica.info("stats")[b"slave_expires_tracked_keys"] == b"1"
    assert replica.call("EXISTS", "lasting", "kept") == 2
    replica.call("PERSIST", "kept")
    wait_until(lambda: replica.info("stats")[b"slave_expires_tracked_keys"] == b"0", 20, "it to be forgotten")


def test_what_the_primary_writes_is_its_own_again(nodes: Nodes) -> None:
    primary, replica = nodes.start("gossamer"), nodes.start("gossamer", "--replica-read-only", "no")
    replica.follow(primary)
    replica.call("SET", "k", "mine", "EX", "1000")
    assert replica.info("stats")[b"slave_expires_tracked_keys"] == b"1"
    primary.call("SET", "k", "its own", "EX", "1000")
    wait_until(lambda: replica.call("GET", "k") == b"its own", 20, "the write")
    assert replica.info("stats")[b"slave_expires_tracked_keys"] == b"0"


def test_a_replica_that_becomes_a_primary_or_gets_another_data_set_tracks_nothing(nodes: Nodes) -> None:
    primary, replica = nodes.start("gossamer"), nodes.start("gossamer", "--replica-read-only", "no")
    replica.follow(primary)
    replica.call("SET", "k", "mine", "EX", "1000")
    replica.call("REPLICAOF", "NO", "ONE")
    assert replica.info("stats")[b"slave_expires_tracked_keys"] == b"0"
    assert 990 < int(str(replica.call("TTL", "k"))) <= 1000


@pytest.mark.parametrize("above", ["gossamer", "redis-server"])
def test_a_snapshot_for_replicas_is_a_background_save_in_info(nodes: Nodes, above: str) -> None:
    primary, replica = nodes.start(above), nodes.start("gossamer")
    primary.call("DEBUG", "POPULATE", "20")
    primary.call("CONFIG", "SET", "rdb-key-save-delay", "100000")
    assert primary.info("persistence")[b"rdb_bgsave_in_progress"] == b"0"
    replica.call("REPLICAOF", "127.0.0.1", str(primary.server.port))
    wait_until(
        lambda: primary.info("persistence")[b"rdb_bgsave_in_progress"] == b"1",
        20,
        "the transfer to be told of",
    )
    replica.await_link()
    wait_until(
        lambda: primary.info("persistence")[b"rdb_bgsave_in_progress"] == b"0", 20, "its end to be told of"
    )


@pytest.mark.parametrize("kind", PRIMARIES)
@pytest.mark.parametrize("known", [True, False])
def test_a_load_is_told_of_and_not_disturbed(nodes: Nodes, kind: str, known: bool) -> None:
    """Beside the old data set of the same history it is an asynchronous one, as Redis calls it."""
    primary = nodes.start(kind, "--repl-diskless-sync", "yes", "--repl-backlog-size", "16kb")
    replica = nodes.start("gossamer", "--repl-diskless-load", "swapdb", "--key-load-delay", "500")
    primary.call("SET", "old", "1")
    if known:
        replica.follow(primary)
        replica.call("REPLICAOF", "127.0.0.1", "1")
    else:
        replica.call("SET", "old", "1")
    primary.call("DEBUG", "POPULATE", "20000", "key", "200")
    primary.call("SET", "large", "x" * 100_000)
    name = b"async_loading" if known else b"loading"
    replica.call("REPLICAOF", "127.0.0.1", str(primary.server.port))
    wait_until(lambda: replica.info("persistence")[name] == b"1", 20, "the load")
    facts = replica.info("persistence")
    assert b"loading_loaded_bytes" in facts and b"loading_total_bytes" in facts
    assert facts[b"loading" if known else b"async_loading"] == b"0"
    read = str(replica.client.call("GET", "old"))
    assert ("LOADING" in read) != known
    assert "LOADING" in str(replica.client.call("CONFIG", "SET", "appendonly", "yes"))
    replica.call("CONFIG", "SET", "key-load-delay", "0")
    replica.await_link()
    facts = replica.info("persistence")
    assert (facts[b"loading"], facts[b"async_loading"]) == (b"0", b"0")
    agree(primary, replica)


def test_a_replica_that_stops_taking_a_snapshot_does_not_hold_up_the_others(nodes: Nodes) -> None:
    primary = nodes.start(
        "gossamer", "--repl-diskless-sync", "yes", "--repl-timeout", "2", "--rdbcompression", "no"
    )
    primary.call("CONFIG", "SET", "repl-diskless-sync-max-replicas", "2", "repl-diskless-sync-delay", "60")
    primary.call("DEBUG", "POPULATE", "20000", "key", "1000")
    with WireClient(primary.server.port) as stuck:
        stuck.call("REPLCONF", "capa", "eof", "capa", "psync2")
        stuck.send("PSYNC", "?", "-1")  # and never reads: the socket alone takes something
        wait_until(lambda: b"wait_bgsave" in primary.info().get(b"slave0", b""), 20, "the stuck replica")
        replica = nodes.start("gossamer")
        replica.follow(primary)
        agree(primary, replica)
        assert primary.info()[b"connected_slaves"] == b"1"
        assert primary.info("clients")[b"connected_clients"] == b"1"


def attached(node: Node) -> WireClient:
    """A replica that takes no notice of what it is sent."""
    client = WireClient(node.server.port)
    client.send("SYNC")
    wait_until(lambda: b"state=online" in node.info().get(b"slave0", b""), 20, "the snapshot")
    client.socket.settimeout(20)
    return client


@pytest.mark.parametrize("kind", ["gossamer", "redis-server"])
def test_nothing_but_the_stream_goes_to_a_replica(nodes: Nodes, kind: str) -> None:
    """Any reply would stand between its bytes: both servers close the connection, and run nothing on the keyspace."""
    requests = (
        ["PING"], ["GET", "k"], ["SET", "k", "1"], ["SLOWLOG", "GET"], ["XINFO", "HELP"], ["NOSUCH"], ["GET"],
        ["MULTI"], ["SUBSCRIBE", "c"], ["REPLCONF", "listening-port", "1"], ["PUBLISH", "c", "m"],
        ["EVAL", "redis.call('SET', 'k', '1')", "0"], ["BLPOP", "k", "0"], ["CLIENT", "REPLY", "ON"],
    )  # fmt: skip
    primary = nodes.start(kind, "--repl-diskless-sync", "no")
    for request in requests:
        with attached(primary) as replica:
            replica.send(*request)
            sent = b""
            while True:
                try:
                    piece = replica.socket.recv(1 << 16)
                except ConnectionResetError:
                    break
                if not piece:
                    break
                sent += piece
        assert sent.startswith(b"$") and b"PONG" not in sent and b"-ERR" not in sent, (
            kind,
            request,
            sent[-80:],
        )
        wait_until(lambda: primary.info()[b"connected_slaves"] == b"0", 20, "the end of the connection")
    assert primary.call("EXISTS", "k") == 0
    with attached(primary) as replica:
        replica.send("REPLCONF", "ACK", "0")
        replica.send("PSYNC", "?", "-1")
        assert primary.call("SET", "k", "1") == b"OK"
        wait_until(lambda: primary.info()[b"connected_slaves"] == b"1", 5, "it to stay")
    wrong = WireClient(primary.server.port)
    assert str(wrong.call("PSYNC", "?", "one")) == "-ERR value is not an integer or out of range\\r\\n"
    assert wrong.call("PING").value == b"PONG"


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_snapshot_of_what_was_flushed_is_not_sent(nodes: Nodes, diskless: str) -> None:
    primary = nodes.start("gossamer", "--repl-diskless-sync", diskless, "--rdb-key-save-delay", "100000")
    replica = nodes.start("gossamer", "--repl-diskless-load", "swapdb")
    primary.call("DEBUG", "POPULATE", "10000", "key", "10000")
    replica.call("REPLICAOF", "127.0.0.1", str(primary.server.port))
    wait_until(lambda: primary.info("persistence")[b"rdb_bgsave_in_progress"] == b"1", 20, "the snapshot")
    primary.call("FLUSHALL")
    replica.await_link()  # the first snapshot would take a thousand seconds
    agree(primary, replica)
    assert replica.call("DBSIZE") == 0
    assert primary.info("stats")[b"sync_full"] == b"2"


def test_a_killed_snapshot_is_noticed_though_nobody_takes_it(nodes: Nodes) -> None:
    primary = nodes.start("gossamer", "--repl-diskless-sync", "yes", "--rdbcompression", "no")
    primary.call("DEBUG", "POPULATE", "20000", "key", "1000")
    with WireClient(primary.server.port) as stuck:
        stuck.call("REPLCONF", "capa", "eof")
        stuck.send("PSYNC", "?", "-1")
        wait_until(lambda: b"wait_bgsave" in primary.info().get(b"slave0", b""), 20, "the stuck replica")
        log = primary.server.log
        wait_until(lambda: "transfer started by pid" in log.read_text(), 20, "the child")
        os.kill(int(log.read_text().split("transfer started by pid")[1].split()[0]), signal.SIGKILL)
        wait_until(lambda: primary.info()[b"connected_slaves"] == b"0", 20, "the end of the transfer")
        assert primary.info("persistence")[b"rdb_bgsave_in_progress"] == b"0"
