"""Commands about the connection: PING, ECHO, AUTH, HELLO, SELECT, QUIT, RESET; those for a cluster are refused."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command
from gossamer.engine.acl import DEFAULT_USER
from gossamer.engine.acl_access import act_as_default, log_in
from gossamer.engine.client import REPLY_OFF, REPLY_ON, Client
from gossamer.resp.errors import DB_OUT_OF_RANGE, INVALID_DB_INDEX, NOT_INTEGER, SYNTAX, quoted, wrong_arity
from gossamer.resp.personality import Personality

WRONG_PASSWORD: Final = b"WRONGPASS invalid username-password pair or user is disabled."
NO_CLUSTER: Final = b"ERR This instance has cluster support disabled"


def ping(client: Client, argv: list[bytes]) -> None:
    reply = client.reply
    n: i64 = len(argv)
    if n > 2:
        raise CommandError(wrong_arity(b"ping"))
    if client.gate != 0 and reply.protocol == 2 and client.is_subscribed():
        reply.array(2)
        reply.bulk(b"pong")
        reply.bulk(argv[1] if n == 2 else b"")
    elif n == 1:
        reply.raw(b"+PONG\r\n")
    else:
        reply.bulk(argv[1])


def echo(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk(argv[1])


def select(client: Client, argv: list[bytes]) -> None:
    if not is_int64(argv[1]):
        raise CommandError(NOT_INTEGER if client.limits.compat >= 70 else INVALID_DB_INDEX)
    index: i64 = to_int64(argv[1])
    if not -(1 << 31) <= index < 1 << 31:
        raise CommandError(NOT_INTEGER)
    if not 0 <= index < i64(len(client.keyspace.databases)):
        raise CommandError(DB_OUT_OF_RANGE)
    client.db = client.keyspace.databases[index]
    client.reply.ok()


def quit_command(client: Client, argv: list[bytes]) -> None:
    client.reply.ok()
    client.close_soon()


def auth(client: Client, argv: list[bytes]) -> None:
    if len(argv) > 3:
        raise CommandError(SYNTAX)
    if len(argv) == 2:
        if client.engine.acl.default.needs_no_password:
            raise CommandError(
                b"ERR AUTH <password> called without any password configured for the default user. "
                b"Are you sure your configuration is correct?"
            )
        accepted = log_in(client, argv, DEFAULT_USER, argv[1])
    else:
        accepted = log_in(client, argv, argv[1], argv[2])
    if not accepted:
        raise CommandError(WRONG_PASSWORD)
    client.reply.ok()


def checked_client_name(name: bytes, what: bytes, compat: int) -> None:
    """Refuse blanks and anything beyond printable ASCII; since 7.2, what follows a NUL is not looked at."""
    for c in quoted(name) if compat >= 72 else name:
        if c < 33 or c > 126:
            raise CommandError(b"ERR " + what + b" cannot contain spaces, newlines or special characters.")


def hello(client: Client, argv: list[bytes]) -> None:
    protocol: i64 = 0
    i: i64 = 1
    n: i64 = len(argv)
    if n > 1:
        if not is_int64(argv[1]):
            raise CommandError(b"ERR Protocol version is not an integer or out of range")
        protocol = to_int64(argv[1])
        if protocol < 2 or protocol > 3:
            raise CommandError(b"NOPROTO unsupported protocol version")
        i = 2
    name: bytes | None = None
    user = b""
    password: bytes | None = None
    while i < n:
        option = argv[i].lower()
        more: i64 = n - i - 1
        if option == b"auth" and more >= 2:
            user = argv[i + 1]
            password = argv[i + 2]
            i += 3
            if client.limits.compat == 70:
                if not log_in(client, argv, user, password):
                    raise CommandError(WRONG_PASSWORD)
                password = None
        elif option == b"setname" and more >= 1:
            name = argv[i + 1]
            checked_client_name(name, b"Client names", int(client.limits.compat))
            i += 2
            if client.limits.compat == 70:  # 7.0 does each thing as it reads it
                client.name = name
        else:
            raise CommandError(b"ERR Syntax error in HELLO option '" + quoted(argv[i]) + b"'")
    if password is not None and not log_in(client, argv, user, password):
        raise CommandError(WRONG_PASSWORD)
    if not client.authenticated:
        raise CommandError(
            b"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> "
            b"AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol "
            b"version at the same time"
        )
    if name is not None:
        client.name = name
    if protocol != 0:
        client.reply.protocol = protocol
    write_hello(client, client.engine.personality)


def write_hello(client: Client, personality: Personality) -> None:
    """The server's side of HELLO."""
    reply = client.reply
    mode = client.engine.mode
    reply.map(6 if mode == b"sentinel" else 7)
    reply.bulk(b"server")
    reply.bulk(personality.server)
    reply.bulk(b"version")
    reply.bulk(personality.version)
    reply.bulk(b"proto")
    reply.integer(reply.protocol)
    reply.bulk(b"id")
    reply.integer(client.client_id)
    reply.bulk(b"mode")
    reply.bulk(mode)
    if mode != b"sentinel":
        reply.bulk(b"role")
        reply.bulk(personality.master_word)
    reply.bulk(b"modules")
    reply.array(0)


def reset(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    engine.watch_commands(client, False)
    if client.queued is not None:
        engine.discard_transaction(client)
    engine.watches.forget(client)
    engine.pubsub.forget(client)
    engine.tracking.disable(client)
    client.db = client.keyspace.databases[0]
    client.reply.protocol = 2
    client.name = b""
    client.no_evict = False
    client.set_no_touch(False)
    if client.reply_mode == REPLY_OFF:
        client.set_reply_mode(REPLY_ON)
    act_as_default(client)
    client.reply.simple(b"RESET")


def without_cluster(client: Client, argv: list[bytes]) -> None:
    """READONLY, READWRITE, ASKING: tools send them to any server, and expect this refusal of one without slots."""
    raise CommandError(NO_CLUSTER)


COMMANDS: Final = (
    Command(
        b"ping",
        ping,
        -1,
        "fast",
        "connection",
        tips=(b"request_policy:all_shards", b"response_policy:all_succeeded"),
    ),
    Command(b"echo", echo, 2, "loading stale fast", "connection"),
    Command(b"auth", auth, -2, "noscript loading stale fast no_auth allow_busy", "connection"),
    Command(b"hello", hello, -1, "noscript loading stale fast no_auth allow_busy", "connection"),
    Command(b"select", select, 2, "loading stale fast", "connection"),
    Command(b"quit", quit_command, -1, "noscript loading stale fast no_auth allow_busy", "connection"),
    Command(b"reset", reset, 1, "noscript loading stale fast no_auth allow_busy", "connection"),
    Command(b"readonly", without_cluster, 1, "loading stale fast", "connection"),
    Command(b"readwrite", without_cluster, 1, "loading stale fast", "connection"),
    Command(b"asking", without_cluster, 1, "fast", "connection"),
)
