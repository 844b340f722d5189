"""String commands."""

from hypothesis import strategies as st

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    command,
    floating,
    index,
    integer,
    key,
    many,
    milliseconds,
    number,
    options,
    pair,
    seconds,
    timestamp,
    timestamp_ms,
    value,
)

numeric_value = number(0, 1, 5, 10, -7)
place = number(0, 1, 2, 5, 40, 100, -1)
words = st.text("abc", min_size=40, max_size=120).map(str.encode)  # much in common, beyond a machine word
EXPIRY = (
    ("EX", seconds),
    ("PX", milliseconds),
    ("EXAT", timestamp),
    ("PXAT", timestamp_ms),
)

COMMANDS = [
    command("GET", key, weight=4),
    command("SET", key, value, weight=4),
    command("SET", key, value, options("NX", "XX", "GET", "KEEPTTL", *EXPIRY), weight=6),
    command("SET", key, integer),
    command("SET", key, floating),
    command("SETNX", key, value),
    command("SETEX", key, seconds, value),
    command("PSETEX", key, milliseconds, value),
    command("GETSET", key, value),
    command("GETDEL", key),
    command("GETEX", key, options("PERSIST", *EXPIRY, maximum=2)),
    command("APPEND", key, value),
    command("STRLEN", key),
    command("SETRANGE", key, place, value),
    command("GETRANGE", key, index, index),
    command("SUBSTR", key, index, index, weight=1),
    command("INCR", key),
    command("DECR", key),
    command("INCRBY", key, numeric_value),
    command("INCRBY", key, integer),
    command("DECRBY", key, numeric_value),
    command("DECRBY", key, integer),
    command("INCRBYFLOAT", key, floating, weight=4),
    command("INCRBYFLOAT", key, numeric_value),
    command("MGET", many(key)),
    command("MSET", many(pair(key, value), 1, 3)),
    command("MSETNX", many(pair(key, value), 1, 3)),
    command("SET", key, words, weight=1),
    command("LCS", key, key, options("LEN", "IDX", "WITHMATCHLEN", ("MINMATCHLEN", index))),
    command("OBJECT ENCODING", key),
    command("TTL", key, weight=1),
]

GROUP = Group("strings", COMMANDS, config=SMALL_ENCODINGS)
