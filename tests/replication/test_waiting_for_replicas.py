"""WAIT and WAITAOF count replicas of every make, and answer alike on primaries of every make."""

from __future__ import annotations

import time

import pytest

from support.servers import ServerAbsent, ServerProcess, wait_until

pytestmark = pytest.mark.peers

OPTIONS = ["--repl-diskless-sync-delay", "0", "--appendfsync", "everysec"]
GOSSAMER = ("gossamer", "--compat", "valkey:8.0")
VALKEY = ("valkey-server",)
REDIS = ("redis-server",)
PATIENCE_MS = "8000"


def start(make: tuple[str, ...], *more: str) -> ServerProcess:
    try:
        return ServerProcess(make[0], [*make[1:], *OPTIONS, *more])
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


def follow(replica: ServerProcess, primary: ServerProcess) -> None:
    with replica.client() as client:
        client.call("REPLICAOF", "127.0.0.1", str(primary.port))
        wait_until(lambda: b"master_link_status:up" in client.call("INFO", "replication").raw, 20, "the link")


@pytest.mark.parametrize("below", [GOSSAMER, VALKEY])
@pytest.mark.parametrize("above", [GOSSAMER, VALKEY])
def test_waitaof_counts_replicas_whose_disk_has_it(above: tuple[str, ...], below: tuple[str, ...]) -> None:
    with (
        start(above, "--appendonly", "yes") as primary,
        start(below, "--appendonly", "yes") as durable,
        start(below, "--appendonly", "no") as forgetful,
        primary.client(timeout_s=20.0) as client,
    ):
        follow(durable, primary)
        follow(forgetful, primary)
        client.call("SET", "k", "v")
        assert client.call("WAITAOF", "1", "1", PATIENCE_MS).plain() == [1, 1]
        assert client.call("WAIT", "2", PATIENCE_MS).plain() == 2
        client.call("SET", "k", "w")
        assert client.call("WAITAOF", "0", "1", PATIENCE_MS).plain()[1] == 1
        assert client.call("WAITAOF", "0", "2", "500").plain()[1] == 1  # the other has no file


@pytest.mark.parametrize(("above", "below"), [(GOSSAMER, REDIS), (REDIS, GOSSAMER), (GOSSAMER, GOSSAMER)])
def test_wait_answers_once_enough_replicas_have_it_and_no_later(
    above: tuple[str, ...], below: tuple[str, ...]
) -> None:
    with (
        start(above) as primary,
        start(below) as replica,
        primary.client(timeout_s=20.0) as client,
        replica.client() as reader,
    ):
        follow(replica, primary)
        for number in range(50):
            client.call("SET", "k", str(number))
            began = time.monotonic()
            assert client.call("WAIT", "1", PATIENCE_MS).plain() == 1
            assert reader.call("GET", "k").plain() == b"%d" % number
            assert time.monotonic() - began < 2.0
        assert client.call("WAIT", "2", "50").plain() == 1
