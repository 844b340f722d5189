"""Streams and their groups, in nodes of few entries: every command and form that does not wait."""

from hypothesis import strategies as st

from conformance.arguments import (
    Entry,
    Group,
    about_one_key,
    command,
    count,
    either,
    integer,
    key,
    many,
    number,
    options,
    pair,
    sequence,
    value,
    weighted,
)

word = weighted((6, either("a", "b", "1", "-7", "300", "")), (1, value))
fields = weighted((6, either("f", "g", "1")), (1, value))
one_pair = sequence(b"f", word)
pairs = st.one_of(one_pair, one_pair, sequence(b"f", word, b"g", word), many(pair(fields, word), 1, 4))
SMALL_IDS = [f"{ms}-{seq}" for ms in range(1, 9) for seq in range(3)] + [str(ms) for ms in range(1, 9)]
EDGE_IDS = [
    "0", "0-0", "0-1", "-", "+", "$", ">", "", "5-", "-5", "5-*", "0-*", "*-1", "5--0", "5--1", " 5", "+5", "005",
    "5-07", "5-x", "x", "1-1-1", "18446744073709551615", "18446744073709551616", "18446744073709551615-0",
    "18446744073709551615-18446744073709551615", "9223372036854775807-9223372036854775807", "9223372036854775808",
    "5-18446744073709551615", "5-18446744073709551616", "4611686018427387904-4611686018427387904", "5\x00-1",
    "2305843009213693952-3", "(5", "(5-1", "(-", "(+", "(", "(0-0", "(18446744073709551615-18446744073709551615",
]  # fmt: skip
small_id = either(*SMALL_IDS)
new_id = weighted(
    (12, small_id), (4, either(*(f"{ms}-*" for ms in range(1, 12)))), (1, either(*EDGE_IDS[:35]))
)
any_id = weighted((9, small_id), (1, either(*EDGE_IDS)))
low = weighted((4, either("-")), (5, small_id), (1, either(*EDGE_IDS, "(1", "(2-1", "(3-2")))
high = weighted((4, either("+")), (5, small_id), (1, either(*EDGE_IDS, "(4", "(6-1", "(7-2")))
group_name = either("g", "g", "g", "h", "", "g\x00x")
consumer = either("c", "c", "d", "e", "")
idle = weighted((8, either("0")), (3, either("100000000")), (1, integer))
length = weighted((8, number(0, 1, 2, 3, 5, 8)), (1, integer))
exact = either("=", "~", "~")
few = weighted((8, number(0, 1, 2, 5)), (1, either("2147483648", "-1", "9223372036854775807", "x", "")))
claim_options = options(
    "FORCE", "JUSTID", ("IDLE", either("1000", "0", "-5", "x")), ("TIME", either("1", "1000", "x", "-1")),
    ("RETRYCOUNT", few), ("LASTID", any_id),
)  # fmt: skip
trimming = options(
    ("MAXLEN", length), ("MAXLEN", exact, length), ("MINID", any_id), ("MINID", exact, any_id), ("LIMIT", few),
    maximum=2,
)  # fmt: skip


def stream_commands() -> list[Entry]:
    return [
        command("XADD", key, new_id, pairs, weight=24),
        command("XADD", key, either("*"), pairs, b"x", weight=1, mangle=False),
        command("XADD", key, "NOMKSTREAM", new_id, pairs),
        command("XADD", key, "MAXLEN", exact, length, new_id, pairs, weight=3),
        command("XADD", key, "MINID", exact, any_id, new_id, pairs, weight=2),
        command("XADD", key, "MAXLEN", "~", length, "LIMIT", few, new_id, pairs, weight=2),
        command("XADD", key, trimming, new_id, pairs),
        about_one_key(("XADD", key, b"*", b"f", b"v"), ("XLEN", key), ("DEL", key), weight=1),
        command("XLEN", key),
        command("XRANGE", key, low, high, weight=4),
        command("XRANGE", key, low, high, "COUNT", count, weight=2),
        command("XREVRANGE", key, high, low, weight=4),
        command("XREVRANGE", key, high, low, "COUNT", count, weight=2),
        command("XRANGE", key, low, high, options(("COUNT", integer))),
        command("XDEL", key, many(any_id, 1, 4), weight=6),
        command("XDEL", key, b"*", weight=1),
        command("XTRIM", key, trimming, weight=2),
        command("XTRIM", key, "MAXLEN", exact, length, weight=2),
        command("XTRIM", key, "MINID", exact, any_id, weight=2),
        command("XTRIM", key, "MINID", small_id, weight=2),
        command("XTRIM", key, "MAXLEN", "~", length, "LIMIT", few, weight=2),
        command("XSETID", key, any_id, weight=1),
        command("XSETID", key, any_id, options(("ENTRIESADDED", length), ("MAXDELETEDID", any_id)), weight=2),
        command("XREAD", "STREAMS", key, any_id, weight=3),
        command("XREAD", "COUNT", count, "STREAMS", key, key, any_id, any_id, weight=2),
        command("XREAD", options(("COUNT", count), "NOACK", ("GROUP", b"g", b"c")), "STREAMS", key, any_id),
        command("XGROUP CREATE", key, group_name, weighted((3, any_id), (2, either("0", "$"))), weight=4),
        command("XGROUP CREATE", key, group_name, any_id, options("MKSTREAM", ("ENTRIESREAD", length)), weight=4),
        command("XGROUP SETID", key, group_name, any_id, weight=2),
        command("XGROUP SETID", key, group_name, any_id, options(("ENTRIESREAD", length)), weight=2),
        command("XGROUP DESTROY", key, group_name),
        command("XGROUP CREATECONSUMER", key, group_name, consumer),
        command("XGROUP DELCONSUMER", key, group_name, consumer),
        command("XREADGROUP", "GROUP", group_name, consumer, "STREAMS", key, either(">"), weight=8),
        command(
            "XREADGROUP", "GROUP", group_name, consumer, options(("COUNT", count), "NOACK"), "STREAMS", key,
            weighted((4, either(">")), (1, any_id)), weight=6,
        ),
        command("XREADGROUP", "GROUP", group_name, consumer, "STREAMS", key, key, any_id, either(">"), weight=2),
        command("XACK", key, group_name, many(any_id, 1, 3), weight=4),
        command("XPENDING", key, group_name, weight=2),
        command("XPENDING", key, group_name, low, high, count, weight=2),
        command("XPENDING", key, group_name, "IDLE", idle, low, high, count, weight=2),
        command("XPENDING", key, group_name, low, high, few, consumer, weight=2),
        command("XPENDING", key, group_name, "IDLE", idle, low, high, count, consumer),
        command("XCLAIM", key, group_name, consumer, idle, many(small_id, 1, 4), weight=4),
        command("XCLAIM", key, group_name, consumer, idle, many(any_id, 1, 3), claim_options, weight=4),
        command("XAUTOCLAIM", key, group_name, consumer, idle, low, weight=3),
        command(
            "XAUTOCLAIM", key, group_name, consumer, idle, low, options(("COUNT", few), "JUSTID"), weight=3
        ),
        command("XINFO STREAM", key, weight=2),
        command("XINFO STREAM", key, "FULL", options(("COUNT", count), maximum=1), weight=2),
        command("XINFO GROUPS", key, weight=3),
        command("XINFO CONSUMERS", key, group_name, weight=2),
        command("XINFO HELP", weight=1),
        command("XGROUP HELP", weight=1),
        command("OBJECT ENCODING", key, weight=1),
        command("TYPE", key, weight=1),
        command("COPY", key, key, "REPLACE", weight=2),
        command("RENAME", key, key, weight=1),
    ]  # fmt: skip


SMALL_NODES = {"stream-node-max-entries": "3", "stream-node-max-bytes": "4096"}

GROUP = Group("streams", stream_commands(), config=SMALL_NODES, length=60)
