"""`maxmemory-clients`: who is closed when clients' buffers hold too much, on Gossamer and on the real servers."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from support.servers import PEERS, ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers

MEGABYTE = 1 << 20
LIMIT = 4 * MEGABYTE
SUBJECTS = [
    ("gossamer", "redis:7.0"),
    ("gossamer", "valkey:8.0"),
    ("peer", "redis:7.0"),
    ("peer", "valkey:8.0"),
]


class Bench:
    """A server with a limit, a control connection that no limit closes, and named clients."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.clients: list[WireClient] = []
        self.control = server.client()
        self.control.call("CLIENT", "NO-EVICT", "ON")
        self.set("maxmemory-clients", LIMIT)

    def set(self, name: str, value: object) -> None:
        assert not self.control.call("CONFIG", "SET", name, str(value)).is_error

    def client(self, name: str) -> WireClient:
        client = self.server.client()
        client.call("CLIENT", "SETNAME", name)
        self.clients.append(client)
        return client

    def lines(self) -> dict[str, dict[str, str]]:
        text = self.control.call("CLIENT", "LIST").plain().decode()
        rows = [dict(word.split("=", 1) for word in line.split()) for line in text.splitlines()]
        return {row["name"]: row for row in rows}

    def evicted(self) -> int:
        text = self.control.call("INFO", "stats").plain().decode()
        return int(text.split("evicted_clients:")[1].split()[0])


def hold(client: WireClient, size: int) -> None:
    """Make the server keep `size` bytes of a request that never ends."""
    client.send_raw(b"*2\r\n$%d\r\n" % (size + 1) + b"v" * size)


@pytest.fixture(params=SUBJECTS, ids=["-".join(subject) for subject in SUBJECTS])
def bench(request: pytest.FixtureRequest) -> object:
    kind, compat = request.param
    arguments = ["--compat", compat] if kind == "gossamer" else []
    try:
        with ServerProcess(kind if kind == "gossamer" else PEERS[compat], arguments) as server:
            yield Bench(server)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


def gone(bench: Bench, name: str) -> Callable[[], bool]:
    return lambda: name not in bench.lines()


def test_a_request_that_is_too_large(bench: Bench) -> None:
    client = bench.client("large")
    assert client.call("SET", "k", b"v" * MEGABYTE).plain() == b"OK"
    hold(client, LIMIT + MEGABYTE)
    wait_until(gone(bench, "large"))
    assert bench.evicted() == 1


def test_a_transaction_that_grows(bench: Bench) -> None:
    client = bench.client("transaction")
    client.call("MULTI")
    for _ in range(4):
        client.call("SET", "k", b"v" * (MEGABYTE // 4))
    assert int(bench.lines()["transaction"]["multi-mem"]) >= MEGABYTE
    assert len(client.call("EXEC").items()) == 4
    client.call("MULTI")
    try:
        for _ in range(6):
            client.send("SET", "k", b"v" * MEGABYTE)
    except OSError:
        pass  # closed while it wrote
    wait_until(gone(bench, "transaction"))


def test_replies_that_nobody_reads(bench: Bench) -> None:
    bench.control.call("SET", "k", b"v" * MEGABYTE)
    client = bench.client("unread")
    for _ in range(40):
        try:
            client.send("GET", "k")
        except OSError:
            break
    wait_until(gone(bench, "unread"))


def test_watches_and_subscriptions_count(bench: Bench) -> None:
    bench.set("maxmemory-clients", 300_000)
    for command in ("WATCH", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE"):
        client = bench.client(command)
        try:
            for number in range(0, 20000, 500):
                client.send(command, *[f"{command}:{i:060}" for i in range(number, number + 500)])
        except OSError:
            pass  # closed while it wrote
        wait_until(gone(bench, command))


def test_who_said_so_is_spared(bench: Bench) -> None:
    client = bench.client("spared")
    client.call("CLIENT", "NO-EVICT", "ON")
    hold(client, LIMIT + MEGABYTE)
    wait_until(lambda: int(bench.lines()["spared"]["tot-mem"]) > LIMIT)
    time.sleep(0.15)
    assert "spared" in bench.lines()
    assert bench.evicted() == 0


def test_the_largest_go_first_and_no_more_than_must(bench: Bench) -> None:
    bench.set("maxmemory-clients", 0)
    sizes = {"small": 100_000, "medium": 500_000, "large": 2_500_000}
    for name, size in sizes.items():
        hold(bench.client(name), size)
        wait_until(lambda name=name, size=size: int(bench.lines()[name]["tot-mem"]) >= size)  # type: ignore[misc]
    bench.set("maxmemory-clients", 2_000_000)
    wait_until(gone(bench, "large"))
    assert {"small", "medium"} <= bench.lines().keys()


def test_a_share_of_maxmemory(bench: Bench) -> None:
    bench.set("maxmemory", 200 * MEGABYTE)
    bench.set("maxmemory-clients", "1%")
    client = bench.client("share")
    hold(client, MEGABYTE)
    wait_until(lambda: int(bench.lines()["share"]["tot-mem"]) >= MEGABYTE)
    hold(bench.client("over"), 3 * MEGABYTE)
    wait_until(gone(bench, "over"))
    assert "share" in bench.lines()
