"""What clients' buffers hold, and `maxmemory-clients`: the largest clients are closed when all together hold too much.

Owns the sum over the clients that may be evicted. Must not know: sockets; what lies in a connection is asked through
ClientDoor. Who fills or empties a buffer says so with note(), and only while there is a limit.

Invariants: `total_bytes` is the sum of `Client.accounted_bytes`; that is 0 without a limit and for a client that said
CLIENT NO-EVICT ON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

if TYPE_CHECKING:
    from gossamer.engine.client import Client
    from gossamer.engine.engine import Engine

CLIENT_BYTES: Final = 2200  # a Client, its parser, writer, connection and socket objects, as measured
ENTRY_BYTES: Final = 100  # a watched key, a subscription, a prefix: its object and its place in two tables


def client_bytes(client: Client) -> i64:
    """Memory of one client with its buffers, its transaction and its subscriptions."""
    door = client.door
    size: i64 = CLIENT_BYTES + door.input_bytes() + door.unsent_bytes() + i64(len(client.reply.out))
    entries: i64 = i64(len(client.watches)) + client.subscription_count() + i64(len(client.shard_channels))
    if client.tracking is not None:
        entries += i64(len(client.tracking.prefixes))
    return size + client.queued_bytes + entries * ENTRY_BYTES


def request_bytes(argv: list[bytes]) -> i64:
    """The arguments of a request."""
    size: i64 = 0
    for word in argv:
        size += i64(len(word))
    return size


@final
class ClientMemory:
    """The clients of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self.limit_bytes: i64 = 0  # 0: none
        self.total_bytes: i64 = 0

    def configure(self, limit: i64, maxmemory_bytes: i64) -> None:
        """maxmemory-clients: bytes, or percent of maxmemory below zero."""
        self.limit_bytes = limit if limit >= 0 else maxmemory_bytes * -limit // 100
        for client in self.engine.clients.values():
            if self.limit_bytes > 0:
                self.note(client)
            else:
                self.forget(client)

    def note(self, client: Client) -> None:
        """The client's buffers may have changed."""
        if client.no_evict or client.closed or client.client_id == 0:
            return
        if client.is_replica or client.brings_own_data:
            return
        size: i64 = client_bytes(client)
        self.total_bytes += size - client.accounted_bytes
        client.accounted_bytes = size

    def forget(self, client: Client) -> None:
        """The client is gone, or is not to be evicted."""
        self.total_bytes -= client.accounted_bytes
        client.accounted_bytes = 0

    def evict(self) -> None:
        """Close the largest clients until the others keep to the limit; never the one whose command runs."""
        engine = self.engine
        if self.total_bytes <= self.limit_bytes or self.limit_bytes == 0:
            return
        current = engine.tracking.current()
        sizes: list[tuple[int, int]] = []
        for client in engine.clients.values():
            if client.accounted_bytes > 0 and client is not current:
                sizes.append((int(client.accounted_bytes), int(client.client_id)))
        sizes.sort(reverse=True)
        for size, client_id in sizes:
            if self.total_bytes <= self.limit_bytes:
                return
            victim = engine.clients[client_id]
            engine.hooks.log_notice(
                f"Evicting client: id={client_id} addr={victim.address.decode('latin-1')} tot-mem={size}"
            )
            engine.statistics.evicted_clients += 1
            self.forget(victim)
            victim.door.close()
