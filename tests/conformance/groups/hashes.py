"""Hash commands."""

from collections.abc import Sequence

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    about_one_key,
    command,
    either,
    field,
    floating,
    integer,
    key,
    many,
    number,
    options,
    pair,
    pattern,
    value,
)
from support.wire import Reply

numeric_value = number(0, 1, 5, 10, -7)
# No huge negative numbers: a server would answer with as many elements.
random_count = either(
    *("0", "1", "2", "3", "5", "20", "-1", "-2", "-5", "-20") * 4,
    *("", "x", "1.0", "+1", "-0", "2147483648", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
)
cursor = either("0", "0", "0", "5", "x")


def pairs_of(flat: list[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def flattened(items: list[bytes | list[bytes]]) -> list[bytes]:
    return [part for item in items for part in (item if isinstance(item, list) else [item])]


def random_fields_law(replies: Sequence[Reply]) -> None:
    """HRANDFIELD key count: nothing but fields of the hash."""
    everything = pairs_of(replies[0].plain() or [])
    drawn = replies[1].plain()
    assert set(drawn) <= set(everything)
    assert len(set(drawn)) == len(drawn) or len(drawn) > 0


def random_pairs_law(replies: Sequence[Reply]) -> None:
    """HRANDFIELD key count WITHVALUES: each field with its value."""
    everything = pairs_of(replies[0].plain() or [])
    drawn = flattened(replies[1].plain())
    for name, text in zip(drawn[::2], drawn[1::2], strict=True):
        assert everything[name] == text


def distinct_law(replies: Sequence[Reply]) -> None:
    """HRANDFIELD key 3: no field twice."""
    drawn = replies[1].plain()
    assert len(set(drawn)) == len(drawn)
    random_fields_law(replies)


fill = ("HSET", key, many(pair(field, value), 1, 8))

COMMANDS = [
    command("HSET", key, many(pair(field, value), 1, 6), weight=8),
    command("HSET", key, field, numeric_value, weight=4),
    command("HSET", key, field, floating),
    command("HSET", key, field, integer),
    command("HMSET", key, many(pair(field, value), 1, 3)),
    command("HSETNX", key, field, value),
    command("HGET", key, field, weight=3),
    command("HMGET", key, many(field, 1, 4)),
    command("HGETALL", key, weight=3),
    command("HDEL", key, many(field, 1, 4), weight=4),
    command("HLEN", key),
    command("HSTRLEN", key, field),
    command("HKEYS", key),
    command("HVALS", key),
    command("HEXISTS", key, field),
    command("HINCRBY", key, field, numeric_value, weight=3),
    command("HINCRBY", key, field, integer),
    command("HINCRBYFLOAT", key, field, floating, weight=4),
    command("HINCRBYFLOAT", key, field, numeric_value),
    command("HSCAN", key, cursor, "COUNT", "1000", options(("MATCH", pattern), "NOVALUES")),
    command("OBJECT ENCODING", key),
    command("HRANDFIELD", key, random_count, options("WITHVALUES", maximum=1), weight=1),
    about_one_key(fill, ("HGETALL", key), ("DEL", key)),
    about_one_key(("HGETALL", key), ("HRANDFIELD", key, random_count), law=random_fields_law),
    about_one_key(("HGETALL", key), ("HRANDFIELD", key, either("1", "2", "3", "5", "20")), law=distinct_law),
    about_one_key(("HGETALL", key), ("HRANDFIELD", key, random_count, "WITHVALUES"), law=random_pairs_law),
]

GROUP = Group("hashes", COMMANDS, config=SMALL_ENCODINGS)
