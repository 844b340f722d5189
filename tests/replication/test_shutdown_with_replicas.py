"""A shutdown waits for replicas that lag, for as long as shutdown-timeout; it can be called off and hurried."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from support.servers import ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers

REFUSED = b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n"


@pytest.fixture
def replica() -> Iterator[ServerProcess]:
    try:
        with ServerProcess("redis-server", []) as server:
            yield server
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


@pytest.fixture
def primary(replica: ServerProcess) -> Iterator[ServerProcess]:
    """A primary whose only replica stands still, with a write that it does not have."""
    with ServerProcess("gossamer", ["--repl-diskless-sync-delay", "0"]) as server:
        with replica.client() as client:
            client.call("REPLICAOF", "127.0.0.1", str(server.port))
            wait_until(
                lambda: b"master_link_status:up" in client.call("INFO", "replication").raw, 20, "the link"
            )
        with server.client() as client:
            client.call("CONFIG", "SET", "save", "", "shutdown-timeout", "60")
            client.call("SET", "k", "old")
            client.call("WAIT", "1", "10000")
            os.kill(replica.pid, signal.SIGSTOP)
            client.call("SET", "k", "new")
        try:
            yield server
        finally:
            os.kill(replica.pid, signal.SIGCONT)


def wait_for_log(server: ServerProcess, text: str) -> None:
    wait_until(lambda: text in server.log_tail(), 10, f"the log line {text}")


def ask(server: ServerProcess, *words: str) -> WireClient:
    """A client that asked for a shutdown, which waits."""
    client = server.client()
    client.send("SHUTDOWN", *words)
    wait_for_log(server, "Waiting for replicas before shutting down")
    return client


def has_ended(server: ServerProcess) -> bool:
    return server.process is not None and server.process.poll() is not None


def test_it_waits_with_writes_held_back_and_can_be_called_off(primary: ServerProcess) -> None:
    first = ask(primary)
    second = primary.client()
    second.send("SHUTDOWN", "NOSAVE")
    with primary.client() as other, primary.client() as writer:
        writer.send("SET", "k", "later")
        assert other.call("GET", "k").plain() == b"new"
        assert b"shutdown_in_milliseconds:" in other.call("INFO", "server").raw
        wait_until(
            lambda: b"blocked_clients:3" in other.call("INFO", "clients").raw, 5, "three clients to wait"
        )
        assert other.call("SHUTDOWN", "ABORT").raw == b"+OK\r\n"
        assert first.read().raw == REFUSED and second.read().raw == REFUSED
        assert writer.read().raw == b"+OK\r\n"
        assert b"shutdown_in_milliseconds:" not in other.call("INFO", "server").raw
        assert other.call("SHUTDOWN", "ABORT").raw == b"-ERR No shutdown in progress.\r\n"
    assert "Shutdown manually aborted." in primary.log_tail()
    first.close()
    second.close()


def test_it_ends_once_the_replica_has_everything(primary: ServerProcess, replica: ServerProcess) -> None:
    client = ask(primary)
    os.kill(replica.pid, signal.SIGCONT)
    wait_until(lambda: has_ended(primary), 10, "the primary to end")
    with replica.client() as reader:
        assert reader.call("GET", "k").plain() == b"new"
    assert "1 of 1 replicas are in sync when shutting down." in primary.log_tail()
    client.close()


def test_it_ends_when_the_time_is_up(primary: ServerProcess) -> None:
    with primary.client() as client:
        client.call("CONFIG", "SET", "shutdown-timeout", "1")
    client = ask(primary)
    wait_until(lambda: has_ended(primary), 10, "the primary to end")
    assert "0 of 1 replicas are in sync when shutting down." in primary.log_tail()
    client.close()


def test_now_waits_for_nobody(primary: ServerProcess) -> None:
    with primary.client() as client:
        client.send("SHUTDOWN", "NOW")
        wait_until(lambda: has_ended(primary), 10, "the primary to end")
    assert "Waiting for replicas" not in primary.log_tail()
    assert "Lagging replica" in primary.log_tail()


def test_a_second_signal_ends_the_wait(primary: ServerProcess) -> None:
    os.kill(primary.pid, signal.SIGTERM)
    wait_for_log(primary, "Waiting for replicas before shutting down")
    os.kill(primary.pid, signal.SIGTERM)
    wait_until(lambda: has_ended(primary), 10, "the primary to end")
    assert primary.process is not None and primary.process.returncode == 0


def test_after_an_abort_a_signal_is_polite_again(primary: ServerProcess) -> None:
    os.kill(primary.pid, signal.SIGINT)
    wait_for_log(primary, "Waiting for replicas before shutting down")
    with primary.client() as client:
        assert client.call("SHUTDOWN", "ABORT").raw == b"+OK\r\n"
        client.call("CONFIG", "SET", "shutdown-timeout", "0")
    os.kill(primary.pid, signal.SIGINT)
    wait_until(lambda: has_ended(primary), 10, "the primary to end")
    assert primary.process is not None and primary.process.returncode == 0
