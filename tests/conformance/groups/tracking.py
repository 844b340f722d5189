"""Client-side caching: every mode with two clients that read and write, and what each hears.

The clients of a sequence have other ids on the two servers, so REDIRECT names none that exists; redirection is
test_tracking.py's.
"""

from conformance.arguments import Group, command, either, key, many, options, snippet, value

prefix = either("a", "b", "ab", "", "{t}")
ON = ("CLIENT", "TRACKING", "ON")

COMMANDS = [
    snippet(("HELLO", either("3", "3", "2")), ON, client=0, weight=3),
    snippet(("HELLO", "3"), (*ON, "NOLOOP"), client=1, weight=2),
    command("CLIENT TRACKING", "ON", options("OPTIN", "OPTOUT", "NOLOOP", maximum=2), client=None, weight=3),
    command(
        "CLIENT TRACKING",
        "ON",
        "BCAST",
        many(("PREFIX", prefix), 0, 2),
        options("NOLOOP"),
        client=None,
        weight=3,
    ),
    command(
        "CLIENT TRACKING",
        either("ON", "OFF", "on", "x"),
        options(
            "BCAST",
            "OPTIN",
            "OPTOUT",
            "NOLOOP",
            ("PREFIX", prefix),
            ("REDIRECT", either("0", "x", "999999999", "-1")),
        ),
        client=None,
        weight=4,
    ),
    command("CLIENT TRACKING", "OFF", client=None, weight=2),
    command("CLIENT TRACKINGINFO", client=None, weight=3),
    command("CLIENT GETREDIR", client=None),
    command("CLIENT CACHING", either("YES", "NO", "yes", "x"), client=None, weight=4),
    command("GET", key, client=None, weight=8),
    command("MGET", many(key), client=None, weight=2),
    command("EXISTS", key, client=None),
    command("TYPE", key, client=None),
    command("STRLEN", key, client=None),
    command("LRANGE", key, b"0", b"-1", client=None),
    command("SET", key, value, client=None, weight=6),
    command("MSET", many((key, value), 1, 3), client=None, weight=2),
    command("GETDEL", key, client=None),
    command("DEL", many(key, 1, 3), client=None, weight=3),
    command("RENAME", key, key, client=None),
    command("COPY", key, key, client=None),
    command("RPUSH", key, value, client=None),
    command("INCR", key, client=None),
    command("PEXPIRE", key, either("0", "100000"), client=None),
    command("FLUSHALL", client=None, weight=1, mangle=False),
    command("FLUSHDB", client=None, weight=1, mangle=False),
    command("MULTI", client=None, weight=2),
    command("EXEC", client=None, weight=3),
    command("DISCARD", client=None, weight=1),
    command(
        "EVAL",
        either("return redis.call('get',KEYS[1])", "return redis.call('set',KEYS[1],'x')"),
        b"1",
        key,
        client=None,
    ),
    command("RESET", client=None, weight=1),
    command("HELLO", either("2", "3"), client=None, weight=1),
    command("PING", client=None, weight=1),
]

GROUP = Group("tracking", COMMANDS, clients=2, seeds=False, length=30)
