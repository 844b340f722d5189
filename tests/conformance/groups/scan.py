"""SCAN and its kin: options, errors, and the promise that a whole iteration returns everything."""

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    about_one_key,
    command,
    either,
    field,
    integer,
    key,
    many,
    member,
    number,
    options,
    pair,
    pattern,
    score,
    value,
)

cursor = either(
    "0", "0", "0", "0", "1", "17", "-1", "x", "18446744073709551615", "18446744073709551616", "", " 0"
)
kind = either("string", "list", "set", "hash", "zset", "stream", "nothing", "STRING")
chunk = number(1000, 1000, 1000, 5000, 0, 1, -1)
COUNT = ("COUNT", chunk)

COMMANDS = [
    command("SET", key, value, weight=4),
    command("SADD", key, many(member, 1, 8)),
    command("HSET", key, many(pair(field, value), 1, 8)),
    command("ZADD", key, many(pair(score, member), 1, 8)),
    command("SCAN", cursor, options(COUNT, ("MATCH", pattern), ("TYPE", kind)), weight=6),
    command("SCAN", "0", "COUNT", "1000", options(("MATCH", pattern), ("TYPE", kind)), weight=4),
    command("SSCAN", key, cursor, options(COUNT, ("MATCH", pattern)), weight=3),
    command("HSCAN", key, cursor, options(COUNT, ("MATCH", pattern), "NOVALUES"), weight=3),
    command("ZSCAN", key, cursor, options(COUNT, ("MATCH", pattern)), weight=3),
    command("SSCAN", key, "0", "COUNT", "1000", weight=3),
    command("HSCAN", key, "0", "COUNT", "1000", weight=3),
    command("ZSCAN", key, "0", "COUNT", "1000", weight=3),
    command("SCAN", integer, weight=1),
    about_one_key(("SADD", key, many(member, 3, 8)), ("SSCAN", key, "0", "COUNT", "1000"), ("SMEMBERS", key)),
]

GROUP = Group("scan", COMMANDS, config=SMALL_ENCODINGS)
