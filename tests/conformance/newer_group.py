"""Commands that came with later servers than those that are installed: for what they tell, not for comparison."""

from conformance.arguments import (
    SMALL_ENCODINGS,
    Entry,
    Group,
    Spelled,
    command,
    either,
    field,
    key,
    life,
    many,
    number,
    options,
    pair,
    snippet,
    value,
)
from conformance.propagation_groups import SLEEP

seconds = life(100, 100, 1000, 0)
milliseconds = life(100_000, 100_000, 1_000_000, 0, 1)
timestamp = number(4_000_000_000, 4_100_000_000, 1, 0)
timestamp_ms = number(4_000_000_000_000, 4_100_000_000_000, 1, 0)
condition = options("NX", "XX", "GT", "LT", maximum=1)
time = either("EX", "PX")
one = number(0, 1, 2, 3)


def plain(name: str, *parts: Spelled, weight: int = 2) -> Entry:
    return command(name, *parts, weight=weight, mangle=False)


def fields(count: int) -> tuple[Spelled, ...]:
    return ("FIELDS", b"%d" % count, *[field] * count)


def pairs(count: int) -> tuple[Spelled, ...]:
    return ("FIELDS", b"%d" % count, *[pair(field, value)] * count)


EXPIRING = [
    command("HEXPIRE", key, seconds, condition, *fields(2)),
    command("HPEXPIRE", key, milliseconds, condition, *fields(3), weight=4),
    command("HEXPIREAT", key, timestamp, condition, *fields(2)),
    command("HPEXPIREAT", key, timestamp_ms, condition, *fields(2)),
    command("HTTL", key, *fields(2)),
    command("HPTTL", key, *fields(1)),
    command("HEXPIRETIME", key, *fields(1)),
    command("HPEXPIRETIME", key, *fields(1)),
    command("HPERSIST", key, *fields(2)),
    command("HGETEX", key, options((time, seconds), "PERSIST", maximum=1), *fields(2), weight=4),
    command(
        "HSETEX",
        key,
        options("FNX", "FXX", "NX", "XX", maximum=1),
        options((time, milliseconds), ("PXAT", timestamp_ms), "KEEPTTL", maximum=1),
        *pairs(2),
        weight=6,
    ),
    command("HGETDEL", key, *fields(2)),
    snippet(("HPEXPIRE", key, b"1", *fields(3)), SLEEP, weight=10),
    snippet(("HSETEX", key, "PX", b"1", *pairs(2)), SLEEP, weight=10),
    snippet(("HSETEX", key, "PX", b"1", *pairs(2)), SLEEP, ("HDEL", key, field), weight=2),
    plain("HSET", key, many(pair(field, value), 1, 6), weight=10),
    plain("HSETNX", key, field, value),
    plain("HINCRBY", key, field, one),
    plain("HINCRBYFLOAT", key, field, either("1.5", "2")),
    plain("HDEL", key, many(field, 1, 3)),
    plain("HGET", key, field),
    plain("HGETALL", key),
    plain("HLEN", key),
    plain("HRANDFIELD", key, b"3"),
    plain("HSCAN", key, b"0"),
    plain("SORT", key, "BY", b"*->a", "ALPHA"),
    plain("RENAME", key, key),
    plain("COPY", key, key, options("REPLACE", ("DB", either("0", "1")), maximum=2), weight=4),
    plain("MOVE", key, either("0", "1")),
    plain("SWAPDB", either("0", "1"), either("0", "1"), weight=1),
    plain("SELECT", either("0", "1"), weight=1),
    plain("DUMP", key),
    plain("DEL", key, weight=1),
    plain("SET", key, value, weight=1),
    plain("PEXPIRE", key, milliseconds, weight=1),
    plain("FLUSHDB", weight=1),
    plain("MULTI"),
    plain("EXEC", weight=4),
]

small = either("1", "2", "3")
STRINGS = [
    command(
        "SET",
        key,
        small,
        either("IFEQ", "IFNE"),
        small,
        options("GET", "KEEPTTL", ("PX", milliseconds)),
        weight=8,
    ),
    command("DELIFEQ", key, small, weight=4),
    command(
        "MSETEX",
        b"2",
        pair(key, small),
        pair(key, small),
        options("NX", "XX", maximum=1),
        options("KEEPTTL", (time, seconds), ("PXAT", timestamp_ms), maximum=1),
        weight=4,
    ),
    plain("SET", key, small, options(("PX", milliseconds), maximum=1), weight=4),
    plain("RPUSH", key, small),
    snippet(("PEXPIRE", key, b"1"), SLEEP),
    plain("DEL", key),
]

entry = either("1-1", "2-1", "3-1", "4-1")
group = either("g", "h")
strategy = options("KEEPREF", "DELREF", "ACKED", maximum=1)
STREAMS = [
    plain("XADD", key, entry, b"f", value, weight=8),
    plain("XGROUP CREATE", key, group, either("0", "$"), "MKSTREAM", weight=6),
    plain("XREADGROUP", "GROUP", group, small, "COUNT", small, "STREAMS", key, b">", weight=6),
    plain("XACK", key, group, entry),
    plain("XDEL", key, entry),
    command("XDELEX", key, strategy, "IDS", b"2", entry, entry, weight=6),
    command("XACKDEL", key, group, strategy, "IDS", b"2", entry, entry, weight=6),
    plain("XINFO STREAM", key, "FULL"),
]

NEWER_GROUPS = (
    Group("newer_hashes", EXPIRING, config=SMALL_ENCODINGS),
    Group("newer_strings", STRINGS, config=SMALL_ENCODINGS),
    Group("streams_newer", STREAMS, config=SMALL_ENCODINGS),
)
