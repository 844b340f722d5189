"""SORT and SORT_RO: numbers and words, weights and lookups in other keys, limits, storing."""

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    command,
    either,
    integer,
    key,
    many,
    member,
    number,
    options,
    pair,
    score,
)

element = either("1", "2", "3", "10", "-5", "1.5", "a", "b", "", "3x", "inf", "nan", " 1", "1e3", "0x10")
digits = either("1", "2", "3", "10", "-5", "1.5", "7", "20")
by = either("w_*", "nosort", "h_*->f", "*", "w_*->", "missing_*", "w_*_x", "h_*->f->g", "*->f")
get = either("#", "w_*", "h_*->f", "*", "missing_*", "h_*->", "literal")
start = number(0, 1, 2, -1, 100)

CLAUSES = ("ASC", "DESC", "ALPHA", ("LIMIT", start, start), ("BY", by), ("GET", get), ("GET", get))

COMMANDS = [
    command("RPUSH", key, many(digits, 1, 6), weight=5),
    command("RPUSH", key, many(element, 1, 5), weight=2),
    command("SADD", key, many(digits, 1, 6), weight=3),
    command("ZADD", key, many(pair(score, member), 1, 6), weight=2),
    command("SET", either("w_1", "w_2", "w_3", "w_10", "w_a", "w_b", "w_", "w_1_x"), element, weight=5),
    command("SET", either("w_1", "w_2", "w_3", "w_10"), digits, weight=3),
    command(
        "HSET", either("h_1", "h_2", "h_3", "h_a", "1", "2"), either("f", "f->g", "g"), element, weight=3
    ),
    command("SORT", key, options(*CLAUSES, maximum=4), weight=10),
    command("SORT", key, options(*CLAUSES, maximum=3), "STORE", key, weight=4),
    command("SORT_RO", key, options(*CLAUSES, "STORE", maximum=3), weight=3),
    command("SORT", key, "LIMIT", integer, integer, weight=1),
    command("LRANGE", key, "0", "-1"),
    command("DEL", key),
]

GROUP = Group("sort", COMMANDS, config=SMALL_ENCODINGS)
