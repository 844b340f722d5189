"""Channels, patterns and shard channels between clients, and PUBSUB's view of them."""

from conformance.arguments import Entry, Group, Spelled, command, either, many, value

channel = either("news", "news", "sport", "n", "", "with space", "\x00\xff", "news.it")
glob = either("*", "n*", "n?ws", "[ns]*", "", "news", "\\*", "*.it")


def anyone(name: str, *parts: Spelled, weight: int = 2) -> Entry:
    return command(name, *parts, weight=weight, client=None)


COMMANDS = [
    anyone("SUBSCRIBE", many(channel, 1, 3), weight=4),
    anyone("PSUBSCRIBE", many(glob, 1, 3), weight=4),
    anyone("SSUBSCRIBE", many(channel, 1, 3), weight=3),
    anyone("UNSUBSCRIBE", many(channel, 0, 2), weight=3),
    anyone("PUNSUBSCRIBE", many(glob, 0, 2), weight=3),
    anyone("SUNSUBSCRIBE", many(channel, 0, 2), weight=2),
    anyone("PUBLISH", channel, value, weight=10),
    anyone("SPUBLISH", channel, value, weight=5),
    anyone("PUBSUB CHANNELS"),
    anyone("PUBSUB CHANNELS", glob),
    anyone("PUBSUB NUMSUB", many(channel, 0, 3)),
    anyone("PUBSUB NUMPAT"),
    anyone("PUBSUB SHARDCHANNELS"),
    anyone("PUBSUB SHARDCHANNELS", glob, weight=1),
    anyone("PUBSUB SHARDNUMSUB", many(channel, 0, 3)),
    anyone("PUBSUB NOSUCH", weight=1),
    anyone("PING", weight=3),
    anyone("PING", value),
    anyone("GET", channel),
    anyone("SET", channel, value, weight=1),
    anyone("MULTI", weight=1),
    anyone("EXEC", weight=1),
    anyone("RESET", weight=1),
    anyone("HELLO", either("2", "3"), weight=1),
    anyone("CLIENT REPLY", either("ON", "OFF", "SKIP"), weight=1),
]

GROUP = Group("pubsub", COMMANDS, clients=3, seeds=False)
