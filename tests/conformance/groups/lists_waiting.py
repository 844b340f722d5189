"""Lists with three clients, any of which may be waiting for elements."""

from conformance.arguments import SMALL_ENCODINGS, Group, command, counted, either, key, many, value, weighted

element = weighted((4, either("a", "b", "c", "1")), (1, value))
end = weighted((15, either("LEFT", "RIGHT")), (1, either("MIDDLE")))
timeout = weighted((10, either("0", "100", "1e3")), (1, either("x", "-1", "", "1e17", "inf", "-0.0001")))

COMMANDS = [
    command("BLPOP", many(key, 1, 3), timeout, client=None, weight=6),
    command("BRPOP", many(key, 1, 3), timeout, client=None, weight=4),
    command("BLMOVE", key, key, end, end, timeout, client=None, weight=6),
    command("BRPOPLPUSH", key, key, timeout, client=None, weight=4),
    command("BLMPOP", timeout, counted(key), end, client=None, weight=3),
    command(
        "BLMPOP", timeout, counted(key), end, "COUNT", either("1", "2", "10", "0", "x"), client=None, weight=3
    ),
    command("LPUSH", key, many(element, 1, 4), weight=10),
    command("RPUSH", key, many(element, 1, 4), weight=10),
    command("LPOP", key),
    command("LMOVE", key, key, end, end, weight=3),
    command("SET", key, element, weight=2),
    command("DEL", key, weight=2),
    command("RENAME", key, key, weight=2),
    command("LRANGE", key, b"0", b"-1", weight=2),
    command("SORT", key, "ALPHA", "STORE", key, weight=1),
    command("MULTI", mangle=False),
    command("EXEC", mangle=False, weight=6),
]

GROUP = Group("lists_waiting", COMMANDS, clients=3, config=SMALL_ENCODINGS)
