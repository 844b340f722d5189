"""The CLIENT family: who is connected, what they are called, pausing, killing, waking them."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command
from gossamer.commands.timeouts import parse_integer_timeout_ms
from gossamer.engine.acl import User
from gossamer.engine.client import REPLY_OFF, REPLY_ON, REPLY_SKIP, Client
from gossamer.engine.client_text import client_line, client_type
from gossamer.engine.connection_commands import checked_client_name
from gossamer.engine.gates import GATE_PAUSED
from gossamer.engine.tracking_commands import (
    client_caching,
    client_getredir,
    client_tracking,
    client_trackinginfo,
)
from gossamer.resp.errors import NOT_INTEGER, SYNTAX, quoted, wrong_shape

FAR_FUTURE_MS: Final = 0x7FFFFFFFFFFFFFFF
TYPES: Final = (b"normal", b"master", b"replica", b"slave", b"pubsub")


def client_id(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(client.client_id)


def client_info(client: Client, argv: list[bytes]) -> None:
    client.reply.verbatim(b"txt", client_line(client, client.engine.now_us))


def parse_client_id(word: bytes) -> i64:
    if not is_int64(word):
        raise CommandError(b"ERR Invalid client ID")
    return to_int64(word)


def client_list(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    clients = list(engine.clients.values())
    if len(argv) == 4 and argv[2].lower() == b"type":
        kind = argv[3].lower()
        if kind not in TYPES:
            raise CommandError(b"ERR Unknown client type '" + quoted(argv[3]) + b"'")
        clients = [
            other for other in clients if client_type(other) == (b"slave" if kind == b"replica" else kind)
        ]
    elif len(argv) > 3 and argv[2].lower() == b"id":
        found: list[Client] = []
        for word in argv[3:]:
            other = engine.clients.get(parse_client_id(word))
            if other is not None:
                found.append(other)
        clients = found
    elif len(argv) != 2:
        raise CommandError(SYNTAX)
    client.reply.verbatim(b"txt", b"".join([client_line(other, engine.now_us) for other in clients]))


def client_getname(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk_or_null(client.name or None)


def client_setname(client: Client, argv: list[bytes]) -> None:
    checked_client_name(argv[2], b"Client names", int(client.limits.compat))
    client.name = argv[2]
    client.reply.ok()


def client_setinfo(client: Client, argv: list[bytes]) -> None:
    what = argv[2].lower()
    if what not in (b"lib-name", b"lib-ver"):
        raise CommandError(b"ERR Unrecognized option '" + quoted(argv[2]) + b"'")
    # Valkey looks no further than a NUL.
    checked_client_name(argv[3], argv[2], int(client.limits.compat))
    if what == b"lib-name":
        client.library_name = argv[3]
    else:
        client.library_version = argv[3]
    client.reply.ok()


def client_reply(client: Client, argv: list[bytes]) -> None:
    mode = argv[2].lower()
    if mode == b"on":
        client.set_reply_mode(REPLY_ON)
        client.reply.ok()
    elif mode == b"off":
        client.set_reply_mode(REPLY_OFF)
    elif mode == b"skip":
        if client.reply_mode != REPLY_OFF:
            client.set_reply_mode(REPLY_SKIP)
    else:
        raise CommandError(SYNTAX)


def client_no_evict(client: Client, argv: list[bytes]) -> None:
    client.no_evict = parse_switch(argv[2])
    client.engine.client_memory.forget(client)  # where it counts again, it is noted when this reply leaves
    client.reply.ok()


def client_no_touch(client: Client, argv: list[bytes]) -> None:
    client.set_no_touch(parse_switch(argv[2]))
    client.reply.ok()


def parse_switch(word: bytes) -> bool:
    lower = word.lower()
    if lower not in (b"on", b"off"):
        raise CommandError(SYNTAX)
    return lower == b"on"


def client_pause(client: Client, argv: list[bytes]) -> None:
    if len(argv) > 4:
        raise CommandError(wrong_shape(argv[1], b"CLIENT"))
    engine = client.engine
    writes_only = False
    if len(argv) == 4:
        mode = argv[3].lower()
        if mode not in (b"write", b"all"):
            raise CommandError(b"ERR CLIENT PAUSE mode must be WRITE or ALL")
        writes_only = mode == b"write"
    until_ms: i64 = parse_integer_timeout_ms(argv[2], client.limits.compat, client.state.now_ms)
    until_ms += client.state.now_ms
    if until_ms == FAR_FUTURE_MS:
        until_ms = client.state.now_ms  # only Redis 7.0 lets that pass, and then does not pause
    if engine.paused_until_ms > client.state.now_ms:
        # A pause that is under way may grow, never shrink: neither in time nor in what it stops.
        until_ms = max(until_ms, engine.paused_until_ms)
        writes_only = writes_only and engine.pause_writes_only
    engine.paused_until_ms = until_ms
    engine.pause_writes_only = writes_only
    engine.set_gate(GATE_PAUSED, True)
    engine.state.expiry_paused = True
    client.reply.ok()


def client_unpause(client: Client, argv: list[bytes]) -> None:
    client.engine.end_pause()
    client.reply.ok()


def client_unblock(client: Client, argv: list[bytes]) -> None:
    error: bytes | None = None
    if len(argv) > 4:
        raise CommandError(wrong_shape(argv[1], b"CLIENT"))
    if len(argv) == 4:
        how = argv[3].lower()
        if how not in (b"timeout", b"error"):
            raise CommandError(b"ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR")
        if how == b"error":
            error = b"UNBLOCKED client unblocked via CLIENT UNBLOCK"
    if not is_int64(argv[2]):
        raise CommandError(NOT_INTEGER)
    other = client.engine.clients.get(to_int64(argv[2]))
    if other is None or other.blocked_command is None or other.paused:
        client.reply.integer(0)
        return
    client.engine.unblock(other, error)
    client.reply.integer(1)


class KillFilter:
    """What CLIENT KILL asks for; empty fields ask for nothing."""

    def __init__(self) -> None:
        self.client_id: i64 = 0
        self.kind = b""
        self.address = b""
        self.local_address = b""
        self.user: User | None = None
        self.max_age_s: i64 = 0
        self.skip_me = True

    def matches(self, client: Client, now_us: i64) -> bool:
        return not (
            (self.client_id and client.client_id != self.client_id)
            or (self.kind and client_type(client) != self.kind)
            or (self.address and client.address != self.address)
            or (self.local_address and client.local_address != self.local_address)
            or (self.user is not None and client.user is not self.user)
            or (self.max_age_s and (now_us - client.created_us) // 1_000_000 < self.max_age_s)
        )


def parse_kill_filter(client: Client, argv: list[bytes]) -> KillFilter:
    """The filter of the new form of CLIENT KILL."""
    wanted = KillFilter()
    for i in range(2, len(argv), 2):
        option = argv[i].lower()
        if i + 1 >= len(argv):
            raise CommandError(SYNTAX)
        value = argv[i + 1]
        if option == b"id":
            if not is_int64(value) or to_int64(value) < 1:
                raise CommandError(b"ERR client-id should be greater than 0")
            wanted.client_id = to_int64(value)
        elif option == b"maxage" and client.limits.compat >= 80:
            if not is_int64(value):
                raise CommandError(b"ERR maxage is not an integer or out of range")
            if to_int64(value) < 1:
                raise CommandError(b"ERR maxage should be greater than 0")
            wanted.max_age_s = to_int64(value)
        elif option == b"type":
            kind = value.lower()
            if kind not in TYPES:
                raise CommandError(b"ERR Unknown client type '" + quoted(value) + b"'")
            wanted.kind = b"slave" if kind == b"replica" else kind
        elif option == b"addr":
            wanted.address = value
        elif option == b"laddr":
            wanted.local_address = value
        elif option == b"user":
            wanted.user = client.engine.acl.users.get(value)
            if wanted.user is None:
                raise CommandError(b"ERR No such user '" + quoted(value) + b"'")
        elif option == b"skipme" and value.lower() in (b"yes", b"no"):
            wanted.skip_me = value.lower() == b"yes"
        else:
            raise CommandError(SYNTAX)
    return wanted


def client_kill(client: Client, argv: list[bytes]) -> None:
    old_form = len(argv) == 3
    if old_form:
        wanted = KillFilter()
        wanted.address = argv[2]
        wanted.skip_me = False
    else:
        wanted = parse_kill_filter(client, argv)
    killed: i64 = 0
    engine = client.engine
    for other in list(engine.clients.values()):
        if not wanted.matches(other, engine.now_us) or (other is client and wanted.skip_me):
            continue
        if other is client:
            client.close_soon()
        else:
            other.door.close()
        killed += 1
    if not old_form:
        client.reply.integer(killed)
    elif killed:
        client.reply.ok()
    else:
        raise CommandError(b"ERR No such client")


def client_capa(client: Client, argv: list[bytes]) -> None:
    """CLIENT CAPA capability [capability ...]: what the client can do; a word that is not known means nothing."""
    for word in argv[2:]:
        if word.lower() == b"redirect":
            client.can_redirect = True
    client.reply.ok()


HELP: Final = (
    b"CLIENT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CAPA <capability> [<capability> ...]",
    b"    What this connection's library can do: REDIRECT, follow a redirection to another server.",
    b"CACHING (YES|NO)",
    b"    Whether the keys of the next command are tracked, with OPTIN or OPTOUT.",
    b"GETREDIR",
    b"    To which client the invalidations of tracked keys go.",
    b"GETNAME",
    b"    The name that this connection was given.",
    b"ID",
    b"    The number of this connection.",
    b"INFO",
    b"    A line about this connection.",
    b"KILL <ip:port>",
    b"    Close the connection from there.",
    b"KILL <option> <value> [<option> <value> [...]]",
    b"    Close the connections that all of these name:",
    b"    ADDR <ip:port> and LADDR <ip:port>: where they come from, where they arrived.",
    b"    ID <client-id>, USER <username>, TYPE (NORMAL|MASTER|REPLICA|PUBSUB).",
    b"    SKIPME (YES|NO): whether this connection is spared; it is unless told.",
    b"LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB) | ID <client-id> ...]",
    b"    A line about each connection, or about those that match.",
    b"UNPAUSE",
    b"    End a pause.",
    b"PAUSE <timeout> [WRITE|ALL]",
    b"    Hold back commands of all clients, or only writes, for so many milliseconds.",
    b"REPLY (ON|OFF|SKIP)",
    b"    Whether this connection gets replies; SKIP leaves out the next one.",
    b"SETNAME <name>",
    b"    Name this connection.",
    b"TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]] [OPTIN] [OPTOUT] [NOLOOP]",
    b"    Tell this connection when keys that it read, or that begin so, change.",
    b"TRACKINGINFO",
    b"    How this connection tracks.",
    b"UNBLOCK <clientid> [TIMEOUT|ERROR]",
    b"    End the wait of a client as if its time were over, or with an error.",
    b"CAPA <option> [options...]",
    b"    Say what this connection understands; of Valkey 8 on.",
    b"NO-EVICT (ON|OFF)",
    b"    Whether this connection is exempt from being closed for want of memory.",
    b"HELP",
    b"    This text.",
)


def client_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(HELP)


_ADMIN: Final = "admin noscript loading stale"
_PLAIN: Final = "noscript loading stale"

_ALL_NODES: Final = (b"request_policy:all_nodes", b"response_policy:all_succeeded")

COMMANDS: Final = (
    Command(
        b"client", None, -2, "", "",
        subcommands=(
            Command(b"id", client_id, 2, _PLAIN, "connection"),
            Command(b"info", client_info, 2, _PLAIN, "connection", tips=(b"nondeterministic_output",)),
            Command(b"list", client_list, -2, _ADMIN, "connection", tips=(b"nondeterministic_output",)),
            Command(b"getname", client_getname, 2, _PLAIN, "connection"),
            Command(b"setname", client_setname, 3, _PLAIN, "connection", max_compat=70),
            Command(b"setname", client_setname, 3, _PLAIN, "connection", tips=_ALL_NODES, min_compat=72),
            Command(b"setinfo", client_setinfo, 4, _PLAIN, "connection", tips=_ALL_NODES, min_compat=72),
            Command(b"reply", client_reply, 3, _PLAIN, "connection"),
            Command(b"no-evict", client_no_evict, 3, _ADMIN, "connection"),
            Command(b"no-touch", client_no_touch, 3, _PLAIN, "connection", min_compat=72),
            Command(b"pause", client_pause, -3, _ADMIN, "connection"),
            Command(b"unpause", client_unpause, 2, _ADMIN, "connection"),
            Command(b"unblock", client_unblock, -3, _ADMIN, "connection"),
            Command(b"kill", client_kill, -3, _ADMIN, "connection"),
            Command(b"capa", client_capa, -3, _PLAIN, "connection", min_compat=80),
            Command(b"caching", client_caching, 3, _PLAIN, "connection"),
            Command(b"tracking", client_tracking, -3, _PLAIN, "connection"),
            Command(b"trackinginfo", client_trackinginfo, 2, _PLAIN, "connection"),
            Command(b"getredir", client_getredir, 2, _PLAIN, "connection"),
            Command(b"help", client_help, 2, "loading stale", "connection"),
        ),
    ),
)  # fmt: skip
