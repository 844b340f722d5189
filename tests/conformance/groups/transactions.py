"""MULTI, EXEC, DISCARD, WATCH, between clients that touch the same keys."""

from conformance.arguments import (
    Entry,
    Group,
    Spelled,
    command,
    either,
    key,
    many,
    member,
    milliseconds,
    pattern,
    value,
)


def anyone(name: str, *parts: Spelled, weight: int = 2) -> Entry:
    return command(name, *parts, weight=weight, client=None)


COMMANDS = [
    anyone("MULTI", weight=8),
    anyone("EXEC", weight=8),
    anyone("DISCARD", weight=2),
    anyone("WATCH", many(key, 1, 2), weight=6),
    anyone("UNWATCH", weight=1),
    anyone("SET", key, value, weight=5),
    anyone("GET", key, weight=3),
    anyone("INCR", key, weight=3),
    anyone("DEL", key),
    anyone("RENAME", key, key, weight=1),
    anyone("RPUSH", key, value),
    anyone("LPOP", key),
    anyone("SADD", key, member, weight=1),
    anyone("EXPIRE", key, either("100", "0", "-1")),
    anyone("PEXPIREAT", key, milliseconds, weight=1),
    anyone("PERSIST", key, weight=1),
    anyone("FLUSHDB", weight=1),
    anyone("FLUSHALL", weight=1),
    anyone("SWAPDB", either("0", "1"), either("0", "1"), weight=1),
    anyone("SELECT", either("0", "1", "99"), weight=1),
    anyone("MOVE", key, either("0", "1"), weight=1),
    anyone("KEYS", pattern, weight=1),
    anyone("NOSUCHCOMMAND", key, weight=1),
    anyone("BLPOP", key, either("0", "x", "-1"), weight=1),
    anyone("RESET", weight=1),
]

GROUP = Group("transactions", COMMANDS, clients=3)
