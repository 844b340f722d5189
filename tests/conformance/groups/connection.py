"""The connection itself: greetings, names, protocol versions, replies switched off."""

from conformance.arguments import Group, command, either, integer, many, options, value

name = either("worker", "with space", "", "new\nline", "\xc3\xa9", "a" * 100)

COMMANDS = [
    command("PING", client=None),
    command("PING", value, client=None),
    command("ECHO", value, client=None),
    command("SELECT", either("0", "1", "15", "16", "-1", "x"), client=None),
    command("HELLO", client=None),
    command("HELLO", either("2", "3", "3", "1", "4", "x", "-1"), client=None),
    command(
        "HELLO",
        either("2", "3"),
        options(("SETNAME", name), ("AUTH", "default", value), "AUTH", "SETNAME"),
        client=None,
    ),  # fmt: skip
    command("AUTH", value, client=None),
    command("AUTH", either("default", "nobody"), value, client=None),
    command("RESET", client=None),
    command("QUIT", client=None, weight=1, mangle=False),
    command("CLIENT GETNAME", client=None),
    command("CLIENT SETNAME", name, client=None),
    command("CLIENT SETINFO", either("LIB-NAME", "LIB-VER", "lib-ver", "OTHER"), name, client=None),
    command("CLIENT ID", client=None),
    command("CLIENT INFO", client=None, weight=1),
    command("CLIENT REPLY", either("ON", "OFF", "SKIP", "MAYBE"), client=None),
    command("CLIENT NO-EVICT", either("ON", "OFF", "MAYBE"), client=None, weight=1),
    command("CLIENT NO-TOUCH", either("ON", "OFF", "MAYBE"), client=None, weight=1),
    command("CLIENT UNPAUSE", client=None, weight=1),
    command(
        "CLIENT PAUSE", either("x", "-1", "0"), options("WRITE", "ALL", maximum=1), client=None, weight=1
    ),
    command("CLIENT KILL", either("127.0.0.1:1", "nonsense"), client=None, weight=1),
    command(
        "CLIENT KILL",
        options(
            ("ID", either("0", "-1", "x", "999999999")),
            ("TYPE", either("pubsub", "master", "replica", "nothing")),
            ("ADDR", "127.0.0.1:1"),
            ("LADDR", "127.0.0.1:1"),
            ("USER", either("default", "nobody")),
            ("SKIPME", either("yes", "no", "x")),
            ("MAXAGE", either("100000", "x", "0", "-1")),
        ).map(lambda words: (*words, b"ID", b"999999999")),  # whatever else it says, nobody is meant
        client=None,
        weight=1,
        mangle=False,
    ),  # fmt: skip
    command(
        "CLIENT LIST", either("TYPE", "ID"), either("pubsub", "nothing", "x", "0"), client=None, weight=1
    ),
    command(
        "CLIENT UNBLOCK", either("999999999", "x", "-1"), options("TIMEOUT", "ERROR", maximum=1), client=None
    ),
    command("CLIENT CAPA", many(either("redirect", "REDIRECT", "nosuch"), 0, 2), client=None, weight=1),
    command("CLIENT PAUSE", either("9223372036854775808"), client=None, weight=1),
    command("WAIT", either("0", "-1", "x", "1"), either("1", "-1", "x", "9223372036854775808"), client=None),
    command(
        "WAITAOF", either("0", "1", "2", "x"), either("0", "-1", "x"), either("1", "-1", "x"), client=None
    ),
    command("ROLE", client=None, weight=1),
    command("CLIENT GETREDIR", client=None, weight=1),
    command("CLIENT NOSUCH", client=None, weight=1),
    command("CLIENT HELP", client=None, weight=1),
    command("CLIENT", client=None, weight=1),
    command("NOSUCHCOMMAND", many(value, 0, 4), client=None, weight=1),
    command("GET", integer, client=None, weight=1),
    command("SETNAME", name, client=None, weight=1),
]

GROUP = Group("connection", COMMANDS, clients=2, seeds=False, length=30)
