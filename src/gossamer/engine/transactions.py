"""MULTI, EXEC, DISCARD, WATCH, UNWATCH."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.table import Command, KeySpec
from gossamer.engine.acl_access import refusal_at_exec
from gossamer.engine.client import GATE_ACL, GATE_MULTI, Client
from gossamer.resp.errors import EXEC_ABORTED


def multi(client: Client, argv: list[bytes]) -> None:
    if client.queued is not None:
        raise CommandError(b"ERR MULTI calls can not be nested")
    client.queued = []
    client.queue_broken = False
    client.gate |= GATE_MULTI
    client.reply.ok()


def discard(client: Client, argv: list[bytes]) -> None:
    if client.queued is None:
        raise CommandError(b"ERR DISCARD without MULTI")
    client.engine.discard_transaction(client)
    client.reply.ok()


def watch(client: Client, argv: list[bytes]) -> None:
    if client.queued is not None:
        raise CommandError(b"ERR WATCH inside MULTI is not allowed")
    if not client.watch_dirty:
        for key in argv[1:]:
            client.engine.watches.add(client, key)
    client.reply.ok()


def unwatch(client: Client, argv: list[bytes]) -> None:
    client.engine.watches.forget(client)
    client.reply.ok()


def exec_command(client: Client, argv: list[bytes]) -> None:
    queued = client.queued
    if queued is None:
        raise CommandError(b"ERR EXEC without MULTI")
    engine = client.engine
    if client.queue_broken:
        engine.discard_transaction(client)
        raise CommandError(EXEC_ABORTED)
    dirty: bool = client.watch_dirty or watched_key_expired(client)
    engine.discard_transaction(client)
    if dirty:
        client.reply.null_array()
        return
    client.deny_blocking = True
    engine.call_depth += 1
    client.reply.array(i64(len(queued)))
    try:
        for request in queued:
            command = engine.find_command(request)
            assert command is not None, "an unknown command is never queued"
            refusal = refusal_at_exec(engine, client, command, request) if client.gate & GATE_ACL else None
            if refusal is not None:
                engine.reject(client, command, refusal)
            else:
                engine.call(client, command, request)
    finally:
        engine.call_depth -= 1
        client.deny_blocking = False
    client.propagate_nothing()  # but what its commands had to tell


def watched_key_expired(client: Client) -> bool:
    """Whether a watched key was alive when it was watched and its time is over now."""
    watches = client.engine.watches
    for watched in client.watches:
        if not watched.was_expired and watches.is_stale(watched.db_index, watched.key):
            return True
    return False


_KEYS: Final = (KeySpec("RO", index=1, last=-1),)
_AT_ONCE: Final = "noscript loading stale fast allow_busy"
_NEVER_QUEUED: Final = "noscript loading stale fast no_multi allow_busy"

COMMANDS: Final = (
    Command(b"multi", multi, 1, _AT_ONCE, "transaction", max_compat=70),
    Command(b"multi", multi, 1, _NEVER_QUEUED, "transaction", min_compat=72),
    Command(b"exec", exec_command, 1, "noscript loading stale skip_slowlog", "transaction"),
    Command(b"discard", discard, 1, _AT_ONCE, "transaction"),
    Command(b"watch", watch, -2, _AT_ONCE, "transaction", keys=_KEYS, max_compat=70),
    Command(b"watch", watch, -2, _NEVER_QUEUED, "transaction", keys=_KEYS, min_compat=72),
    Command(b"unwatch", unwatch, 1, _AT_ONCE, "transaction"),
)
