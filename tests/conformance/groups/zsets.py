"""Sorted sets: every command and form, several clients so that some wait for members."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from conformance.arguments import (
    SMALL_ENCODINGS,
    SMALL_SCORES,
    Group,
    Law,
    about_one_key,
    command,
    count,
    counted,
    either,
    floating,
    index,
    integer,
    key,
    many,
    member,
    number,
    offset,
    options,
    pair,
    pattern,
    score,
    sequence,
    weighted,
)

small_score = st.sampled_from(SMALL_SCORES)
name = weighted((5, either("a", "b", "c", "d", "e", "f", "1", "")), (1, member))

# Bounds of ranges of scores: anything that C's strtod takes, exclusive ones, and what it refuses.
bound = weighted(
    (6, either("-inf", "+inf", "0", "1", "2", "3", "(1", "(2", "(0", "-1", "1.5", "(1.5", "10", "inf")),
    (1, floating),
    (
        1,
        either("", "(", "((1", " 1", "( 1", "1 ", "1x", "0x2", "(0x1p1", "1e400", "-1e400", "(1e-400", "nan"),
    ),
    (1, either("1\x00x", "--1", "1_0", "+2", "(inf", "(-inf", "(nan", "infinity", "[1", "+", "-")),
)
lex_bound = weighted(
    (8, either("-", "+", "[a", "(a", "[b", "(c", "[d", "(e", "[", "(", "[1", "(1", "[\xff", "[abc")),
    (1, either("", "a", "++", "-x", "+inf", "[a\x00b", "+\x00", "--", "{a")),
)
skipped = weighted((6, number(0, 1, 2, 3)), (1, offset))
limit = weighted((6, number(1, 2, 3, -1)), (1, offset))
LIMIT = ("LIMIT", skipped, limit)
# Ranges by member are only defined where all scores are equal: these keys never hold others.
even_key = either("l1", "l2", "l3")
weight_value = weighted((5, either("1", "2", "0", "-1", "0.5", "inf")), (1, floating))
AGGREGATE = ("AGGREGATE", either("SUM", "min", "MAX", "AVG"))
timeout = weighted((8, either("0", "100", "0.001e5")), (1, either("x", "-1", "", "-0.1", "1e17", "inf")))
ADD_OPTIONS = options("NX", "XX", "GT", "LT", "CH", "INCR")
some = either("1", "2", "3", "5", "100")
repeated = either("-1", "-3", "-10", "0")
sample_count = either("1", "-2", "100", "0", "x", "1.0", "9223372036854775807", "-9223372036854775808")
END = either("MIN", "MAX", "min", "max", "MID")


def sample_law(replies: Sequence[Any]) -> None:
    """What ZRANDMEMBER drew is in the set."""
    everything = replies[0].plain()
    drawn = replies[1].plain()
    if isinstance(drawn, list):
        assert set(drawn) <= set(everything), (everything, drawn)
    else:
        assert drawn in everything or (drawn is None and not everything), (everything, drawn)


def distinct(law: Law) -> Law:
    """The same, and no member twice."""

    def distinct_law(replies: Sequence[Any]) -> None:
        law(replies)
        drawn = replies[1].plain() or []
        assert len(set(drawn)) == len(drawn), drawn

    return distinct_law


def weighted_keys(operation: str, *, stores: bool) -> Any:
    """numkeys key ... WEIGHTS with one weight for each key, and the other options."""

    @st.composite
    def draw_arguments(draw: st.DrawFn) -> tuple[bytes, ...]:
        keys = draw(st.lists(key, min_size=1, max_size=3))
        weights = draw(st.lists(weight_value, min_size=len(keys), max_size=len(keys)))
        tail = [b"WEIGHTS", *weights]
        if draw(st.booleans()):
            tail += draw(sequence(*AGGREGATE))
        if not stores and draw(st.booleans()):
            tail.append(b"WITHSCORES")
        return (b"%d" % len(keys), *keys, *tail)

    destination = (key,) if stores else ()
    return command(operation, *destination, draw_arguments(), client=None)


def anyone(command_name: str, *parts: Any, weight: int = 2) -> Any:
    return command(command_name, *parts, weight=weight, client=None)


READERS = [
    anyone("ZSCORE", key, name),
    anyone("ZMSCORE", key, many(name)),
    anyone("ZCARD", key),
    anyone("ZCOUNT", key, bound, bound, weight=4),
    anyone("ZLEXCOUNT", even_key, lex_bound, lex_bound),
    anyone("ZRANK", key, name, options("WITHSCORE", maximum=1)),
    anyone("ZREVRANK", key, name, options("WITHSCORE", maximum=1)),
    anyone("ZRANGE", key, index, index, options("WITHSCORES", "REV", maximum=2), weight=6),
    anyone("ZRANGE", key, bound, bound, "BYSCORE", options("WITHSCORES", "REV", LIMIT), weight=6),
    anyone("ZRANGE", even_key, lex_bound, lex_bound, "BYLEX", options("REV", LIMIT), weight=4),
    anyone("ZRANGE", key, index, index, options("WITHSCORES", "REV", "BYSCORE", LIMIT)),
    anyone("ZRANGE", even_key, index, index, options("WITHSCORES", "REV", "BYSCORE", "BYLEX", LIMIT)),
    anyone("ZRANGE", even_key, lex_bound, lex_bound, options("WITHSCORES", "REV", "BYSCORE", "BYLEX", LIMIT)),
    anyone("ZREVRANGE", key, index, index, options("WITHSCORES", LIMIT, maximum=2)),
    anyone("ZRANGEBYSCORE", key, bound, bound, options("WITHSCORES", LIMIT)),
    anyone("ZREVRANGEBYSCORE", key, bound, bound, options("WITHSCORES", LIMIT)),
    anyone("ZRANGEBYLEX", even_key, lex_bound, lex_bound, options(LIMIT, maximum=2)),
    anyone("ZREVRANGEBYLEX", even_key, lex_bound, lex_bound, options(LIMIT, maximum=2)),
    anyone("ZSCAN", key, "0", "COUNT", "1000", options(("MATCH", pattern), "NOSCORES", maximum=2)),
    anyone("ZSCAN", key, either("0", "x", "-1", ""), options(("MATCH", pattern), ("COUNT", count)), weight=1),
    command("OBJECT ENCODING", key, mangle=False),
]

WRITERS = [
    anyone("ZADD", key, many(pair(small_score, name), 1, 6), weight=12),
    anyone("ZADD", key, ADD_OPTIONS, many(pair(score, name), 1, 3), weight=8),
    anyone("ZADD", key, options("GT", "LT", "XX", "CH", maximum=2), small_score, name, weight=4),
    anyone("ZADD", key, "INCR", score, name),
    anyone("ZADD", key, many(pair(small_score, member), 1, 4), weight=4),
    anyone("ZADD", even_key, many(pair(either("0"), member), 1, 8), weight=12),
    anyone("ZREM", even_key, many(member, 1, 3)),
    anyone("ZINCRBY", key, score, name, weight=4),
    anyone("ZREM", key, many(name), weight=3),
    anyone("ZREMRANGEBYRANK", key, index, index),
    anyone("ZREMRANGEBYSCORE", key, bound, bound),
    anyone("ZREMRANGEBYLEX", even_key, lex_bound, lex_bound),
    anyone("ZPOPMIN", key, options(count, maximum=1)),
    anyone("ZPOPMAX", key, options(count, maximum=1)),
    anyone("ZMPOP", counted(key), END, options(("COUNT", count), maximum=2)),
    anyone("ZRANGESTORE", key, key, index, index, options("REV", maximum=1)),
    anyone("ZRANGESTORE", key, key, bound, bound, "BYSCORE", options("REV", LIMIT, "WITHSCORES")),
    anyone(
        "ZRANGESTORE", even_key, even_key, lex_bound, lex_bound, "BYLEX", options("REV", LIMIT, maximum=2)
    ),
    anyone("ZUNIONSTORE", key, counted(key), options(AGGREGATE, ("WEIGHTS", weight_value), maximum=2)),
    anyone("ZINTERSTORE", key, counted(key), options(AGGREGATE, ("WEIGHTS", weight_value), maximum=2)),
    anyone("ZDIFFSTORE", key, counted(key), options("WITHSCORES", AGGREGATE, maximum=1)),
    weighted_keys("ZUNIONSTORE", stores=True),
    weighted_keys("ZINTERSTORE", stores=True),
    command("EXPIRE", key, "1000", weight=1, mangle=False),
]

COMBINERS = [
    anyone("ZUNION", counted(key), options(AGGREGATE, "WITHSCORES", maximum=2), weight=3),
    anyone("ZINTER", counted(key), options(AGGREGATE, "WITHSCORES", maximum=2), weight=3),
    anyone("ZDIFF", counted(key), options("WITHSCORES", AGGREGATE, maximum=1), weight=3),
    weighted_keys("ZUNION", stores=False),
    weighted_keys("ZINTER", stores=False),
    anyone("ZINTERCARD", counted(key), options(("LIMIT", count), maximum=2)),
]

# The first client never waits, so that the laws below always have replies to judge.
WAITERS = [
    entry
    for client in (1, 2)
    for entry in (
        command("BZPOPMIN", many(key, 1, 2), timeout, client=client),
        command("BZPOPMAX", many(key, 1, 2), timeout, client=client),
        command(
            "BZMPOP", timeout, counted(key, 1, 2), END, options(("COUNT", count), maximum=1), client=client
        ),
    )
]

SAMPLES = [
    about_one_key(("ZRANGE", key, "0", "-1"), ("ZRANDMEMBER", key), law=sample_law),
    about_one_key(
        ("ZRANGE", key, "0", "-1"),
        ("ZRANDMEMBER", key, either("1", "2", "3", "5", "100")),
        law=distinct(sample_law),
    ),
    about_one_key(("ZRANGE", key, "0", "-1"), ("ZRANDMEMBER", key, repeated), law=sample_law),
    # Edges that draw few members or none: a large negative count would draw as many.
    anyone("ZRANDMEMBER", key, sample_count, options("WITHSCORES", maximum=2), weight=3),
    anyone("ZADD", key, integer, name, weight=1),
]

GROUP = Group("zsets", READERS + WRITERS + COMBINERS + WAITERS + SAMPLES, clients=3, config=SMALL_ENCODINGS)
