"""Sequences that bring out what a server tells of its own accord or in another form than it was told.

They are for the streams alone: replies here may depend on the moment at which a key goes.
"""

from pathlib import Path

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
    milliseconds,
    number,
    options,
    pair,
    pattern,
    seconds,
    snippet,
    timestamp,
    timestamp_ms,
    value,
)
from conformance.groups.dump import payload

SLEEP = ("DEBUG", "SLEEP", b"0.003")
LAZY = (
    "lazyfree-lazy-expire",
    "lazyfree-lazy-server-del",
    "lazyfree-lazy-user-del",
    "lazyfree-lazy-user-flush",
)
SETTINGS = {**SMALL_ENCODINGS, **dict.fromkeys(LAZY, "no")}
one = number(0, 1, 2, 3)
yes_no = either("yes", "no")
side = either("LEFT", "RIGHT")


def plain(name: str, *parts: Spelled, weight: int = 2, client: int | None = 0) -> Entry:
    return command(name, *parts, weight=weight, mangle=False, client=client)


DUE = [
    snippet(("SET", key, value, "PX", b"1"), SLEEP, weight=8),
    snippet(("RPUSH", key, value), ("PEXPIRE", key, b"1"), SLEEP, weight=2),
    snippet(("PEXPIRE", key, b"1"), ("PEXPIRE", key, b"1"), SLEEP, weight=6),
    snippet(("GETEX", key, "PX", b"1"), SLEEP, weight=2),
]

FORMS = [
    plain("CONFIG SET", either(*LAZY), yes_no, weight=3),
    plain(
        "SET",
        key,
        value,
        options("NX", "XX", "GET", ("EX", seconds), ("PX", milliseconds), "KEEPTTL"),
        weight=6,
    ),
    plain("SET", key, value, options("GET", ("EXAT", timestamp), ("PXAT", timestamp_ms)), weight=6),
    plain("SETEX", key, seconds, value),
    plain("PSETEX", key, milliseconds, value),
    plain("SETNX", key, value),
    plain("GETSET", key, value),
    plain("GETDEL", key),
    plain("GETEX", key, options(("EX", seconds), ("PXAT", timestamp_ms), "PERSIST", maximum=1), weight=6),
    plain("EXPIRE", key, seconds, options("NX", "XX", "GT", "LT", maximum=1), weight=3),
    plain("PEXPIREAT", key, timestamp_ms, options("NX", "XX", "GT", "LT", maximum=1), weight=3),
    plain("EXPIREAT", key, timestamp),
    plain("PERSIST", key),
    plain("RESTORE", key, milliseconds, payload, options("REPLACE", maximum=1), weight=3),
    plain("RESTORE", key, timestamp_ms, payload, "ABSTTL", options("REPLACE", maximum=1), weight=3),
    plain("INCR", key),
    plain("INCRBYFLOAT", key, either("1.5", "0", "-2")),
    plain("APPEND", key, value),
    plain("APPEND", key, b""),
    plain("SETRANGE", key, one, value),
    plain("MSETNX", many(pair(key, value), 1, 2)),
    plain("HSET", key, many(pair(field, value), 1, 3)),
    plain("HINCRBYFLOAT", key, field, either("1.5", "0")),
    plain("SADD", key, many(member, 1, 4), weight=3),
    plain("SPOP", key),
    plain("SPOP", key, one, weight=3),
    plain("ZADD", key, pair(one, member)),
    plain("ZPOPMIN", key),
    plain("RPUSH", key, many(value, 1, 3)),
    plain("LMPOP", b"2", key, key, side, "COUNT", one),
    plain("LREM", key, one, value),
    plain("SORT", key, "ALPHA", "STORE", key),
    plain("SINTERSTORE", key, key, key),
    plain("SDIFFSTORE", key, key, key),
    plain("ZRANGESTORE", key, key, b"0", one),
    plain("ZUNIONSTORE", key, b"2", key, key),
    plain("DEL", many(key, 1, 3)),
    plain("UNLINK", many(key, 1, 3)),
    plain("RENAME", key, key),
    plain("RENAMENX", key, key),
    plain("COPY", key, key, options("REPLACE", ("DB", either("0", "1")), maximum=2)),
    plain("MOVE", key, either("0", "1")),
    plain("SWAPDB", either("0", "1"), either("0", "1"), weight=1),
    plain("SELECT", either("0", "1")),
    plain("FLUSHDB", options("ASYNC", "SYNC", maximum=1), weight=1),
    plain("FLUSHALL", options("ASYNC", "SYNC", maximum=1), weight=1),
    plain("GET", key),
    plain("EXISTS", many(key, 1, 3)),
    plain("TOUCH", many(key, 1, 3)),
    plain("TYPE", key),
    plain("TTL", key),
    plain("MGET", many(key, 1, 3)),
    plain("STRLEN", key),
    plain("LRANGE", key, b"0", b"-1"),
    plain("SINTER", key, key),
    plain("OBJECT ENCODING", key),
    plain("DUMP", key),
    plain("KEYS", pattern),
    plain("SCAN", b"0", "COUNT", b"1000"),
    plain("DBSIZE"),
    plain("PUBLISH", key, value, weight=1),
    plain("SPUBLISH", key, value, weight=1),
    plain("WATCH", key, weight=1),
    plain("MULTI", weight=4),
    plain("EXEC", weight=6),
    *DUE,
]

SERVED = [
    plain("BLPOP", many(key, 1, 3), b"0", client=None, weight=5),
    plain("BRPOP", many(key, 1, 3), b"0", client=None, weight=3),
    plain("BLMOVE", key, key, side, side, b"0", client=None, weight=5),
    plain("BRPOPLPUSH", key, key, b"0", client=None, weight=3),
    plain("BLMPOP", b"0", b"2", key, key, side, options(("COUNT", one), maximum=1), client=None, weight=4),
    plain("BZPOPMIN", many(key, 1, 3), b"0", client=None, weight=4),
    plain("BZPOPMAX", many(key, 1, 3), b"0", client=None, weight=2),
    plain(
        "BZMPOP", b"0", b"2", key, key, either("MIN", "MAX"), options(("COUNT", one), maximum=1), client=None
    ),
    plain("RPUSH", key, many(value, 1, 4), client=None, weight=8),
    plain("LPUSH", key, many(value, 1, 4), client=None, weight=4),
    plain("ZADD", key, many(pair(one, member), 1, 4), client=None, weight=8),
    plain("SET", key, value, client=None, weight=1),
    plain("DEL", key, client=None),
    plain("RENAME", key, key, client=None, weight=3),
    plain("COPY", key, key, "REPLACE", client=None),
    plain("MOVE", key, b"1", client=None),
    plain("SWAPDB", b"0", b"1", client=None),
    plain("SELECT", either("0", "1"), client=None),
    plain("SORT", key, "ALPHA", "STORE", key, client=None),
    plain("RESTORE", key, b"0", payload, "REPLACE", client=None),
    snippet(("PEXPIRE", key, b"1"), SLEEP, client=3, weight=6),
    plain("MULTI", client=None, weight=4),
    plain("EXEC", client=None, weight=6),
]

FORMS_GROUP = Group("forms", FORMS, config=SETTINGS)
SERVED_GROUP = Group("served", SERVED, clients=4, config=SETTINGS)

# Groups of commands that manage the server or its clients: they change no keys, or more than keys. DEBUG POPULATE
# changes keys that nobody is meant to hear of.
MANAGING = ("acl", "connection", "debug", "introspection", "server")
DATA_GROUPS = sorted(
    path.stem
    for path in Path(__file__).parent.joinpath("groups").glob("[!_]*.py")
    if path.stem not in MANAGING
)
