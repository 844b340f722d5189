"""Keyspace notifications: one client listens to every event while another changes keys of every type."""

from hypothesis import strategies as st

from conformance.arguments import (
    SMALL_ENCODINGS,
    Entry,
    Group,
    Spelled,
    command,
    either,
    field,
    key,
    many,
    member,
    number,
    options,
    pair,
    score,
    value,
)

LISTENER = 1
one = number(0, 1, 2, 3)


def writer(name: str, *parts: Spelled, weight: int = 2) -> Entry:
    return command(name, *parts, weight=weight, mangle=False)


COMMANDS = [
    command("PSUBSCRIBE", st.just(b"__key*"), client=LISTENER, mangle=False, weight=30),
    writer(
        "CONFIG SET",
        b"notify-keyspace-events",
        either("KEA", "KA", "EA", "Kg$lshzxetd", "KEAn", "", "Elg"),
        weight=8,
    ),
    writer("SET", key, value, options(("EX", either("100")), "GET", maximum=1), weight=4),
    writer("MSET", many(pair(key, value), 1, 3)),
    writer("APPEND", key, value),
    writer("SETRANGE", key, one, value),
    writer("INCR", key),
    writer("INCRBYFLOAT", key, either("1.5", "x")),
    writer("GETDEL", key),
    writer("GETEX", key, options(("EX", either("100", "-1")), "PERSIST", maximum=1)),
    writer("DEL", many(key, 1, 3), weight=3),
    writer("UNLINK", key),
    writer("RENAME", key, key),
    writer("RENAMENX", key, key),
    writer("COPY", key, key, options("REPLACE", ("DB", either("0", "1")), maximum=1)),
    writer("MOVE", key, either("1", "0")),
    writer("EXPIRE", key, either("100", "0", "-1"), weight=3),
    writer("PEXPIREAT", key, either("1", "4000000000000")),
    writer("PERSIST", key),
    writer("LPUSH", key, many(value, 1, 3)),
    writer("RPUSHX", key, value),
    writer("LPOP", key, many(one, 0, 1)),
    writer("RPOP", key),
    writer("LREM", key, one, value),
    writer("LTRIM", key, one, one),
    writer("LSET", key, one, value),
    writer("LINSERT", key, "BEFORE", value, value),
    writer("LMOVE", key, key, "LEFT", "RIGHT"),
    writer("SADD", key, many(member, 1, 4)),
    writer("SREM", key, many(member, 1, 4)),
    writer("SMOVE", key, key, member),
    writer("SINTERSTORE", key, key, key),
    writer("SUNIONSTORE", key, key, key),
    writer("SDIFFSTORE", key, key, key),
    writer("HSET", key, many(pair(field, value), 1, 4)),
    writer("HSETNX", key, field, value),
    writer("HDEL", key, many(field, 1, 4)),
    writer("HINCRBY", key, field, one),
    writer("HINCRBYFLOAT", key, field, one),
    writer("ZADD", key, many(pair(score, member), 1, 4)),
    writer("ZINCRBY", key, score, member),
    writer("ZREM", key, many(member, 1, 4)),
    writer("ZPOPMIN", key),
    writer("ZREMRANGEBYRANK", key, one, one),
    writer("ZUNIONSTORE", key, "2", key, key),
    writer("ZINTERSTORE", key, "2", key, key),
    writer("ZDIFFSTORE", key, "2", key, key),
    writer("ZRANGESTORE", key, key, one, one),
    writer("SORT", key, "ALPHA", "STORE", key),
    writer("RESTORE", key, "0", value),
    writer("GET", key),
    writer("TYPE", key, weight=1),
    writer("SELECT", either("0", "1"), weight=1),
    writer("FLUSHDB", weight=1),
]

GROUP = Group("events", COMMANDS, clients=2, config={**SMALL_ENCODINGS, "notify-keyspace-events": "KEA"})
