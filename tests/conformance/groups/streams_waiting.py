"""Streams with three clients, any of which may be waiting for entries, alone or in a group."""

from conformance.arguments import Group, command, either, many, weighted

key = either("a", "a", "b", "c")
new_id = either(*(f"{ms}-*" for ms in range(1, 30)))
any_id = either("0", "3", "5-1", "$")
news = weighted((6, either(">")), (1, any_id))
timeout = weighted((12, either("0", "100000")), (1, either("x", "-1", "", "9223372036854775808", "1.5")))
consumer = either("c", "d")

COMMANDS = [
    command("XREAD", "BLOCK", timeout, "STREAMS", key, any_id, client=None, weight=6),
    command("XREAD", "COUNT", "2", "BLOCK", timeout, "STREAMS", key, key, any_id, any_id, client=None, weight=6),
    command("XREADGROUP", "GROUP", b"g", consumer, "BLOCK", timeout, "STREAMS", key, news, client=None, weight=10),
    command(
        "XREADGROUP", "GROUP", b"g", consumer, "NOACK", "COUNT", "1", "BLOCK", timeout, "STREAMS", key, key,
        news, news, client=None, weight=4,
    ),
    command("XADD", key, new_id, b"f", b"v", weight=24),
    command("XGROUP CREATE", key, b"g", any_id, "MKSTREAM", weight=12),
    command("XGROUP SETID", key, b"g", any_id, weight=2),
    command("XGROUP DESTROY", key, b"g", weight=2),
    command("XDEL", key, any_id),
    command("XTRIM", key, "MAXLEN", either("0", "1"), weight=2),
    command("XINFO GROUPS", key, weight=2),
    command("XINFO CONSUMERS", key, b"g", weight=2),
    command("XPENDING", key, b"g", weight=2),
    command("SET", key, b"v", weight=2),
    command("DEL", many(key, 1, 2), weight=4),
    command("RENAME", key, key, weight=2),
    command("COPY", key, key, "REPLACE", weight=2),
    command("FLUSHDB", mangle=False, weight=1),
    command("MULTI", mangle=False, weight=1),
    command("EXEC", mangle=False, weight=6),
]  # fmt: skip

GROUP = Group("streams_waiting", COMMANDS, clients=3, seeds=False)
