"""The gates: whether a request may run now, and what it is told if not.

Owns the order in which the reasons are looked at, which is that of the real servers. `gates.py` has the reasons that
lie with the server, `client.py` those of a client; with none of them set nobody comes here.

Invariants: a request that is not admitted has its reply (an error, or QUEUED), or waits for the end of a pause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from gossamer.commands.table import (
    ALLOW_BUSY,
    DENYOOM,
    LOADING,
    NO_ASYNC_LOADING,
    NO_AUTH,
    NO_MULTI,
    STALE,
    WRITE,
    Command,
)
from gossamer.engine.acl_access import refusal_text
from gossamer.engine.client import (
    GATE_ACL,
    GATE_AUTHENTICATION,
    GATE_CLOSING,
    GATE_LARGE_REQUEST,
    GATE_NO_TOUCH,
    GATE_SUBSCRIBED,
    Client,
)
from gossamer.engine.client_memory import request_bytes
from gossamer.engine.command_log import wire_bytes
from gossamer.engine.gates import (
    GATE_ASYNC_LOADING,
    GATE_BUSY,
    GATE_DISK_ERROR,
    GATE_GUARDED,
    GATE_LOADING,
    GATE_MEMORY,
    GATE_PAUSED,
    GATE_READ_ONLY,
    GATE_REPLICAS,
    GATE_STALE,
)
from gossamer.engine.pausing import must_pause
from gossamer.engine.replica_clients import NO_KEYSPACE, may_ask
from gossamer.resp.errors import (
    GUARDED,
    OUT_OF_MEMORY,
    PRIMARY_DOWN,
    READ_ONLY_REPLICA,
    TOO_FEW_REPLICAS,
    not_subscribed,
    quoted,
)
from gossamer.resp.errors import LOADING as LOADING_ERROR
from gossamer.resp.errors import NO_AUTH as NO_AUTH_ERROR

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine

PUBSUB_CONTEXT: Final = frozenset(
    (
        b"subscribe",
        b"unsubscribe",
        b"psubscribe",
        b"punsubscribe",
        b"ssubscribe",
        b"sunsubscribe",
        b"ping",
        b"quit",
        b"reset",
    )
)
UNSUBSCRIBING: Final = frozenset((b"unsubscribe", b"punsubscribe", b"sunsubscribe"))
MULTI_CONTEXT: Final = frozenset((b"exec", b"discard", b"multi", b"watch", b"quit", b"reset"))


def admit(engine: Engine, client: Client, command: Command, argv: list[bytes]) -> bool:
    """Whether the command may be called now; if not, the reply is written (an error, or QUEUED)."""
    flags: i64 = command.flags
    if client.gate & GATE_CLOSING:
        return False
    if client.gate & GATE_AUTHENTICATION and not flags & NO_AUTH:
        if engine.acl.default_needs_login():
            return engine.refuse(client, command, NO_AUTH_ERROR)
    if client.queued is not None and flags & NO_MULTI:
        return engine.refuse(client, command, b"ERR Command not allowed inside a transaction")
    if client.gate & GATE_ACL:
        denied = refusal_text(engine, client, command, argv)
        if denied is not None:
            return engine.refuse(client, command, denied)
    if client.is_replica and not may_ask(command):
        return engine.refuse(client, command, NO_KEYSPACE)
    obeys: bool = client.brings_own_data
    if engine.gate & GATE_MEMORY and not obeys and not admit_memory(engine, client, flags):
        return engine.refuse(client, command, OUT_OF_MEMORY)
    if engine.gate & GATE_DISK_ERROR and not obeys and (flags & WRITE or command.name == b"ping"):
        refusal = engine.hooks.disk_error()
        if refusal is not None:
            return engine.refuse(client, command, refusal)
    if engine.gate & GATE_GUARDED and (flags & WRITE or command.name == b"ping"):
        return engine.refuse(client, command, GUARDED)
    if engine.gate & (GATE_REPLICAS | GATE_READ_ONLY) and not obeys and will_write(engine, client, command):
        few: bool = engine.gate & GATE_REPLICAS != 0
        return engine.refuse(client, command, TOO_FEW_REPLICAS if few else READ_ONLY_REPLICA)
    if client.gate & GATE_SUBSCRIBED and client.reply.protocol == 2 and command.name not in PUBSUB_CONTEXT:
        text = b"ERR Can't execute '" + command.full_name
        text += b"': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        return engine.refuse(client, command, text)
    if engine.gate & GATE_STALE and not flags & STALE and not obeys:
        return engine.refuse(client, command, PRIMARY_DOWN)
    if engine.gate & GATE_ASYNC_LOADING and flags & NO_ASYNC_LOADING:
        return engine.refuse(client, command, LOADING_ERROR)
    if engine.gate & GATE_LOADING and not flags & LOADING:
        return engine.refuse(client, command, LOADING_ERROR)
    if engine.gate & GATE_BUSY and not flags & ALLOW_BUSY:
        return engine.refuse(client, command, engine.scripts.busy_error())
    if engine.gate & GATE_PAUSED and must_pause(engine, client, command, argv):
        client.blocked_argv = argv
        client.blocked_command = command
        client.paused = True
        engine.paused_clients.append(client)
        return False
    if client.queued is not None and command.name in UNSUBSCRIBING and engine.limits.compat >= 80:
        if not client.gate & GATE_SUBSCRIBED:
            return engine.refuse(client, command, not_subscribed(command.name))
    if client.queued is not None and command.name not in MULTI_CONTEXT:
        client.queued.append(argv)
        client.queued_bytes += request_bytes(argv)
        if client.gate & GATE_LARGE_REQUEST:
            engine.note_in(engine.large_requests, client, command, argv, wire_bytes(argv))
        client.reply.simple(b"QUEUED")
        return False
    engine.state.touches = client.gate & GATE_NO_TOUCH == 0 or command.name == b"touch"
    return True


def will_write(engine: Engine, client: Client, command: Command) -> bool:
    """Whether a request writes: its command, or one that EXEC is about to run."""
    if command.flags & WRITE:
        return True
    queued = client.queued
    if queued is None or command.name != b"exec":
        return False
    for argv in queued:
        found = engine.find_command(argv)
        if found is not None and found.flags & WRITE:
            return True
    return False


def admit_memory(engine: Engine, client: Client, flags: i64) -> bool:
    """Evict before the command; False where memory stays over the limit and the command would add to it."""
    within: bool = engine.hooks.free_memory()
    if within:
        return True
    if client.queued is not None and not flags & DENYOOM:
        return not queue_denies_oom(engine, client)
    return not flags & DENYOOM


def queue_denies_oom(engine: Engine, client: Client) -> bool:
    """Whether a queued transaction has a command that may not run without memory; judged at EXEC."""
    queued = client.queued
    if queued is None or engine.running is not None:
        return False
    for argv in queued:
        command = engine.find_command(argv)
        if command is not None and command.flags & DENYOOM:
            return True
    return False


def unknown_command(engine: Engine, argv: list[bytes]) -> bytes:
    """The error for a name that is no command, or no subcommand of its container."""
    container = engine.commands.get(argv[0].lower())
    if container is not None:
        return b"ERR unknown subcommand '" + quoted(argv[1][:128]) + b"'. Try " + argv[0].upper() + b" HELP."
    arguments = b""
    for argument in argv[1:]:
        if len(arguments) >= 128:
            break
        arguments += b"'" + quoted(argument[: 128 - len(arguments)]) + b"' "
    text = b"ERR unknown command '" + quoted(argv[0][:128]) + b"', with args beginning with: " + arguments
    return text.replace(b"\r", b" ").replace(b"\n", b" ")
