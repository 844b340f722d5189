"""Set commands."""

from collections.abc import Sequence

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    about_one_key,
    command,
    counted,
    either,
    integer,
    key,
    many,
    member,
    number,
    options,
    pattern,
)
from support.wire import Reply

small_integer = number(1, 2, 3, 4, 5, 6, 7, 8, 9, -5)
# No huge negative numbers: a server would answer with as many elements.
random_count = either(
    *("0", "1", "2", "3", "5", "20", "-1", "-2", "-5", "-20") * 4,
    *("", "x", "1.0", "+1", "-0", "2147483648", "9223372036854775807"),
    *("9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
)
pop_count = number(0, 1, 2, 3, 5, 6, 20)
cursor = either("0", "0", "0", "5", "x")
operands = many(key, 1, 4)


def listed(reply: Reply) -> list[bytes]:
    plain = reply.plain()
    return plain if isinstance(plain, list) else [] if plain is None else [plain]


def pop_law(replies: Sequence[Reply]) -> None:
    """SPOP: what it answers was there, and is gone."""
    before, taken, after = (listed(reply) for reply in replies[:3])
    assert len(set(taken)) == len(taken)
    assert set(taken) <= set(before)
    assert sorted(after) == sorted(set(before) - set(taken))


def random_law(replies: Sequence[Reply]) -> None:
    """SRANDMEMBER: members of the set, which stays as it is."""
    before, drawn, after = (listed(reply) for reply in replies[:3])
    assert set(drawn) <= set(before)
    assert sorted(after) == sorted(before)


def distinct_law(replies: Sequence[Reply]) -> None:
    """SRANDMEMBER with a positive count: no member twice."""
    drawn = listed(replies[1])
    assert len(set(drawn)) == len(drawn)
    random_law(replies)


COMMANDS = [
    command("SADD", key, many(member, 1, 8), weight=8),
    command("SADD", key, many(small_integer, 1, 5), weight=6),
    command("SADD", key, integer),
    command("SREM", key, many(member, 1, 4), weight=4),
    command("SREM", key, many(small_integer, 1, 3)),
    command("SISMEMBER", key, member),
    command("SMISMEMBER", key, many(member, 1, 4)),
    command("SCARD", key),
    command("SMEMBERS", key),
    command("SMOVE", key, key, member, weight=3),
    command("SMOVE", key, key, small_integer, weight=3),
    command("SINTER", operands),
    command("SUNION", operands),
    command("SDIFF", operands, weight=3),
    command("SINTERSTORE", key, operands, weight=3),
    command("SUNIONSTORE", key, operands, weight=3),
    command("SDIFFSTORE", key, operands, weight=3),
    command("SINTERCARD", counted(key), options(("LIMIT", number(0, 1, 2, 10, -1)), maximum=2), weight=3),
    command("SSCAN", key, cursor, "COUNT", "1000", options(("MATCH", pattern))),
    command("OBJECT ENCODING", key),
    command("SRANDMEMBER", key, random_count, weight=1),
    command("SPOP", either("d"), number(0, -1), weight=1),
    about_one_key(("SMEMBERS", key), ("SPOP", key), ("SMEMBERS", key), ("DEL", key), law=pop_law),
    about_one_key(("SMEMBERS", key), ("SPOP", key, pop_count), ("SMEMBERS", key), ("DEL", key), law=pop_law),
    about_one_key(("SMEMBERS", key), ("SRANDMEMBER", key), ("SMEMBERS", key), law=random_law),
    about_one_key(("SMEMBERS", key), ("SRANDMEMBER", key, random_count), ("SMEMBERS", key), law=random_law),
    about_one_key(
        ("SMEMBERS", key),
        ("SRANDMEMBER", key, either("1", "2", "3", "5", "20")),
        ("SMEMBERS", key),
        law=distinct_law,
    ),
]

GROUP = Group("sets", COMMANDS, config=SMALL_ENCODINGS)
