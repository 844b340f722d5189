"""DEBUG, as far as it neither ends the server nor stops it; every setting is put back at the end of its snippet."""

from conformance.arguments import (
    Group,
    command,
    either,
    field,
    integer,
    key,
    many,
    member,
    pair,
    snippet,
    value,
)

number = either("0", "1", "-1", "x", "", "9223372036854775808")
kind = either(
    "string", "integer", "double", "bignum", "null", "array", "set", "map", "attrib", "push", "verbatim", "true",
    "false", "nosuch", "STRING",
)  # fmt: skip
payload = either(
    b"\x00\xc0\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    b"\x00\xc0\x01\x0a\x00\x00\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\xc0\x01\xff\x00\x00\x00\x00\x00\x00\x00\x00\x01",
    b"",
)

COMMANDS = [
    command("DEBUG OBJECT", key, weight=6),
    command("DEBUG OBJECT", key, either("fast", "slow")),
    command("DEBUG SDSLEN", key, weight=3),
    command("DEBUG LISTPACK", key, weight=3),
    command("DEBUG QUICKLIST", key, weight=3),
    command("DEBUG QUICKLIST", key, number),
    command("DEBUG HTSTATS-KEY", key, weight=4),
    command("DEBUG HTSTATS", either("0", "1", "16", "-1", "x")),
    command("DEBUG DIGEST-VALUE", many(key, 0, 4), weight=4),
    command("DEBUG DIGEST", weight=1),
    command("DEBUG PROTOCOL", kind, weight=8),
    command("DEBUG ERROR", either("ERR what", "no prefix", "-twice", "two\r\nlines", "")),
    command("DEBUG LOG", value),
    command("DEBUG LEAK", either("a", "")),
    command("DEBUG POPULATE", either("0", "3", "-1", "x"), mangle=False),
    command(
        "DEBUG POPULATE", either("2", "x"), either("p", ""), either("0", "4", "20", "-1", "x"), mangle=False
    ),
    command("DEBUG SLEEP", either("0", "0.001", "x")),
    command("DEBUG STRUCTSIZE", weight=1),
    command("DEBUG CLIENT-EVICTION", weight=1),
    command("DEBUG QUICKLIST-PACKED-THRESHOLD", either("100b", "1gb", "4gb", "5gb", "0", "-1", "x", "1x")),
    command("DEBUG REPLYBUFFER", either("PEAK-RESET-TIME", "nosuch"), either("NEVER", "RESET", "100", "x")),
    command("DEBUG REPLYBUFFER RESIZING", number),
    snippet(("DEBUG", "PAUSE-CRON", number), ("DEBUG", "PAUSE-CRON", "0")),
    snippet(("DEBUG", "AOF-FLUSH-SLEEP", number), ("DEBUG", "AOF-FLUSH-SLEEP", "0")),
    snippet(
        ("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", number),
        ("RESTORE", key, b"0", payload, b"REPLACE"),
        ("DEBUG", "SET-SKIP-CHECKSUM-VALIDATION", "0"),
        weight=4,
    ),
    command("RESTORE", key, b"0", payload, b"REPLACE"),
    snippet(("DEBUG", "SET-ACTIVE-EXPIRE", number), ("DEBUG", "SET-ACTIVE-EXPIRE", "1")),
    command("DEBUG REPLICATE", many(value, 1, 3)),
    command("DEBUG CHANGE-REPL-ID", weight=1),
    command("DEBUG SET-DISABLE-DENY-SCRIPTS", either("0"), weight=1),
    command("DEBUG CLUSTERLINK KILL", either("all", "x"), value, weight=1, mangle=False),
    command("DEBUG DROP-CLUSTER-PACKET-FILTER", either("-1", "x"), weight=1),
    command("DEBUG CLOSE-CLUSTER-LINK-ON-PACKET-DROP", number, weight=1),
    command("DEBUG DICT-RESIZING", either("1"), weight=1),
    command("DEBUG PAUSE-AFTER-FORK", either("0"), weight=1),
    command("DEBUG CONFIG-REWRITE-FORCE-ALL", weight=1),
    command("DEBUG JMAP", weight=1),
    command("DEBUG NOSUCH", many(value, 0, 2), weight=1),
    command("DEBUG", weight=1),
    command("DEBUG HELP", weight=1),
    command("SET", key, integer),
    command("RPUSH", key, many(value, 1, 9)),
    command("SADD", key, many(member, 1, 9)),
    command("HSET", key, many(pair(field, value), 1, 9)),
]

GROUP = Group(
    "debug",
    COMMANDS,
    config={"list-max-listpack-size": "4", "hash-max-listpack-entries": "4", "set-max-listpack-entries": "4"},
)
