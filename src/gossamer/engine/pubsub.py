"""Publish and subscribe: who listens to which channel or pattern, and the messages they get.

Invariants: a channel or pattern stands in a table exactly while somebody subscribes to it; the client's own sets
and these tables say the same.
"""

from typing import final

from mypy_extensions import i64

from gossamer.base.glob import match
from gossamer.engine.client import GATE_SUBSCRIBED, Client
from gossamer.keyspace.events import NOTIFY_KEYEVENT, NOTIFY_KEYSPACE


@final
class PubSub:
    """The subscriptions of one server."""

    def __init__(self) -> None:
        self.channels: dict[bytes, dict[Client, None]] = {}
        self.patterns: dict[bytes, dict[Client, None]] = {}
        self.shard_channels: dict[bytes, dict[Client, None]] = {}

    def subscribe(self, client: Client, channel: bytes) -> None:
        add_subscriber(self.channels, client.channels, channel, client)
        update_gate(client)

    def subscribe_pattern(self, client: Client, pattern: bytes) -> None:
        add_subscriber(self.patterns, client.patterns, pattern, client)
        update_gate(client)

    def subscribe_shard(self, client: Client, channel: bytes) -> None:
        add_subscriber(self.shard_channels, client.shard_channels, channel, client)
        update_gate(client)

    def unsubscribe(self, client: Client, channel: bytes) -> None:
        remove_subscriber(self.channels, client.channels, channel, client)
        update_gate(client)

    def unsubscribe_pattern(self, client: Client, pattern: bytes) -> None:
        remove_subscriber(self.patterns, client.patterns, pattern, client)
        update_gate(client)

    def unsubscribe_shard(self, client: Client, channel: bytes) -> None:
        remove_subscriber(self.shard_channels, client.shard_channels, channel, client)
        update_gate(client)

    def forget(self, client: Client) -> None:
        """End every subscription of a client, silently."""
        for channel in list(client.channels):
            remove_subscriber(self.channels, client.channels, channel, client)
        for pattern in list(client.patterns):
            remove_subscriber(self.patterns, client.patterns, pattern, client)
        for channel in list(client.shard_channels):
            remove_subscriber(self.shard_channels, client.shard_channels, channel, client)
        update_gate(client)

    def publish(self, channel: bytes, message: bytes) -> i64:
        """Send a message to a channel's subscribers and to those of matching patterns; answer how many got it."""
        receivers: i64 = 0
        subscribers = self.channels.get(channel)
        if subscribers is not None:
            for client in subscribers:
                write_message(client, b"message", channel, message)
                receivers += 1
        if self.patterns:
            for pattern, clients in self.patterns.items():
                if match(pattern, channel, False):
                    for client in clients:
                        reply = client.reply
                        mark: i64 = len(reply.out)
                        reply.push(4)
                        reply.bulk(b"pmessage")
                        reply.bulk(pattern)
                        reply.bulk(channel)
                        reply.bulk(message)
                        client.spare_push(mark, True)
                        client.mark_pending()
                        receivers += 1
        return receivers

    def publish_shard(self, channel: bytes, message: bytes) -> i64:
        """Send a message to a shard channel's subscribers; answer how many got it."""
        receivers: i64 = 0
        subscribers = self.shard_channels.get(channel)
        if subscribers is not None:
            for client in subscribers:
                write_message(client, b"smessage", channel, message)
                receivers += 1
        return receivers

    def keyspace_event(self, mask: i64, event: bytes, key: bytes, db_index: i64) -> None:
        """Publish a keyspace event in the forms that the mask asks for."""
        if mask & NOTIFY_KEYSPACE:
            self.publish(b"__keyspace@%d__:" % db_index + key, event)
        if mask & NOTIFY_KEYEVENT:
            self.publish(b"__keyevent@%d__:" % db_index + event, key)


def add_subscriber(
    table: dict[bytes, dict[Client, None]], own: dict[bytes, None], name: bytes, client: Client
) -> None:
    if name in own:
        return
    own[name] = None
    subscribers = table.get(name)
    if subscribers is None:
        table[name] = {client: None}
    else:
        subscribers[client] = None


def remove_subscriber(
    table: dict[bytes, dict[Client, None]], own: dict[bytes, None], name: bytes, client: Client
) -> None:
    if name not in own:
        return
    del own[name]
    subscribers = table[name]
    del subscribers[client]
    if not subscribers:
        del table[name]


def update_gate(client: Client) -> None:
    client.set_gate(GATE_SUBSCRIBED, bool(client.channels or client.patterns or client.shard_channels))


def write_message(client: Client, kind: bytes, channel: bytes, message: bytes) -> None:
    reply = client.reply
    mark: i64 = len(reply.out)
    reply.push(3)
    reply.bulk(kind)
    reply.bulk(channel)
    reply.bulk(message)
    client.spare_push(mark, True)
    client.mark_pending()
