"""COMMAND and its subcommands, asked about every kind of request."""

from hypothesis import strategies as st

from conformance.arguments import Argument, Group, command, counted, either, key, many, number, options, value

some = number(1, 2, 0)

REQUESTS: list[tuple[str, list[Argument]]] = [
    ("GET", [key]),
    ("SET", [key, value, options("GET", "NX", ("EX", some))]),
    ("MSET", [many(key, 1, 5)]),
    ("DEL", [many(key, 1, 3)]),
    ("ZUNIONSTORE", [key, counted(key), options(("WEIGHTS", some))]),
    ("ZINTER", [counted(key)]),
    ("ZINTERCARD", [counted(key)]),
    ("SINTERCARD", [counted(key)]),
    ("LMPOP", [counted(key), either("LEFT")]),
    ("BLMPOP", [some, counted(key), either("LEFT")]),
    ("BLPOP", [many(key, 1, 3), some]),
    (
        "SORT",
        [key, options("STORE", ("STORE", key), ("BY", key), ("GET", key), ("LIMIT", some, some), maximum=4)],
    ),
    ("SORT_RO", [key, options(("BY", key))]),
    ("COPY", [key, key]),
    ("RENAME", [key, key]),
    ("OBJECT", [either("ENCODING", "HELP", "NOSUCH"), key]),
    ("MEMORY", [either("USAGE", "DOCTOR"), key]),
    ("CONFIG", [either("GET"), key]),
    ("WATCH", [many(key, 1, 3)]),
    ("SPUBLISH", [key, value]),
    ("PUBLISH", [key, value]),
    ("LCS", [key, key]),
    ("LMOVE", [key, key, either("LEFT"), either("RIGHT")]),
    ("SMOVE", [key, key, value]),
    ("ZRANGESTORE", [key, key, some, some]),
    ("PING", [many(key, 0, 1)]),
    ("NOSUCH", [key]),
]

NAMES = either(
    "get",
    "GET",
    "set",
    "config",
    "config|get",
    "CONFIG|Set",
    "object|help",
    "nosuch",
    "config|nosuch",
    "",
    "zadd",
)

COMMANDS = [command("COMMAND GETKEYS", name.encode(), *parts) for name, parts in REQUESTS]
COMMANDS += [command("COMMAND GETKEYSANDFLAGS", name.encode(), *parts) for name, parts in REQUESTS]
COMMANDS += [
    command(
        "COMMAND INFO",
        st.sampled_from([b"get", b"GET", b"mget", b"nosuch", b"config|get", b"rename", b"zadd"]),
        weight=4,
    ),
    command("COMMAND LIST FILTERBY MODULE", value),
    command("COMMAND LIST FILTERBY", either("PATTERN"), either("get", "ge?", "zz*", "config|get", "[")),
    command("COMMAND LIST", value),
    command("COMMAND COUNT", value),
    command("COMMAND", NAMES),
]

GROUP = Group("introspection", COMMANDS, seeds=False)
