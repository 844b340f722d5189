"""Client-side caching between connections that must be named: redirection, expiry, the limit of the table."""

from __future__ import annotations

import pytest

from support.servers import PEERS, ServerAbsent, ServerProcess, wait_until
from support.wire import Reply, WireClient

pytestmark = pytest.mark.peers

COMPATS = ("redis:7.0", "valkey:8.0")


def on_both(compat: str, scene: object) -> None:
    """The scene has the same outcome on Gossamer and on the real server."""
    outcomes = []
    for kind, arguments in (("gossamer", ["--compat", compat]), (PEERS[compat], [])):
        try:
            with ServerProcess(kind, arguments) as server:
                outcomes.append(scene(server))  # type: ignore[operator]
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
    assert outcomes[0] == outcomes[1]
    assert outcomes[0], "the scene shows nothing"


def heard(client: WireClient, count: int = 1) -> list[bytes]:
    """The next messages, whatever number is awaited, and those that came with them."""
    replies: list[Reply] = [client.read() for _ in range(count)]
    return [reply.raw for reply in replies + client.available()]


@pytest.mark.parametrize("compat", COMPATS)
def test_a_client_of_resp2_hears_of_another_ones_keys(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        reader, listener, writer = server.client(), server.client(), server.client()
        number = int(str(listener.call("CLIENT", "ID").value))
        listener.call("SUBSCRIBE", "__redis__:invalidate")
        assert not reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", str(number)).is_error
        assert reader.call("CLIENT", "GETREDIR").value == number
        assert reader.call("CLIENT", "TRACKINGINFO").plain()[3] == number
        reader.call("MGET", "x", "y")
        writer.call("SET", "x", "1")
        told: list[object] = list(heard(listener))
        writer.call("SET", "x", "2")  # nobody read it since
        writer.call("FLUSHALL")
        told += heard(listener)
        return told

    on_both(compat, scene)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_client_learns_that_its_listener_is_gone(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        reader, listener, writer = server.client(3), server.client(3), server.client()
        number = listener.call("CLIENT", "ID").value
        reader.call("CLIENT", "TRACKING", "ON", "REDIRECT", str(number))
        reader.call("GET", "x")
        listener.close()
        wait_until(lambda: writer.call("CLIENT", "LIST", "ID", str(number)).plain() == b"")
        writer.call("SET", "x", "1")
        told = [raw.replace(str(number).encode(), b"its listener") for raw in heard(reader)]
        flags = reader.call("CLIENT", "TRACKINGINFO").plain()[1]
        shown = reader.call("CLIENT", "INFO").plain().split(b"flags=")[1].split()[0]
        return [told, flags, shown]

    on_both(compat, scene)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_key_that_expires_is_told(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        reader, prefix_listener, writer = server.client(3), server.client(3), server.client()
        reader.call("CLIENT", "TRACKING", "ON")
        prefix_listener.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "e")
        writer.call("SET", "e", "1", "PX", "30")
        told: list[object] = [heard(prefix_listener)]
        reader.call("GET", "e")
        return [*told, heard(reader), heard(prefix_listener)]

    on_both(compat, scene)


@pytest.mark.parametrize("compat", COMPATS)
def test_the_table_keeps_to_its_limit_and_info_counts_it(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        reader, other = server.client(3), server.client(3)
        reader.call("CONFIG", "SET", "tracking-table-max-keys", "2")
        reader.call("CLIENT", "TRACKING", "ON")
        other.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
        replies: list[Reply] = []
        for number in range(6):
            reader.send("GET", f"k{number}")
        reader.send("PING")
        while not replies or replies[-1].raw != b"+PONG\r\n":
            replies.append(reader.read())
        forgotten = sum(reply.is_push for reply in replies)
        facts = [line for line in other.call("INFO").plain().split(b"\r\n") if line.startswith(b"tracking_")]
        return [forgotten, facts]

    on_both(compat, scene)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_broadcast_names_all_keys_of_a_prefix_but_ones_own(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        listener, writer = server.client(3), server.client(3)
        listener.call("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "k", "PREFIX", "z", "NOLOOP")
        listener.call("MSET", "k3", "1", "z2", "2")
        writer.call("CLIENT", "TRACKING", "ON", "BCAST")
        writer.send("MSET", "k2", "1", "k1", "2", "z1", "1", "o", "2")
        return [heard(listener, 2), heard(writer, 2)]

    on_both(compat, scene)
