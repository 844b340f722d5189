"""SAVE, BGSAVE, LASTSAVE and BGREWRITEAOF."""

from typing import Final

from gossamer.base.errors import CommandError
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.resp.errors import SYNTAX


def save(client: Client, argv: list[bytes]) -> None:
    """SAVE"""
    if not client.engine.snapshots.save():
        raise CommandError(b"ERR")
    client.reply.ok()


def bgsave(client: Client, argv: list[bytes]) -> None:
    """BGSAVE [SCHEDULE]"""
    schedule = len(argv) == 2 and argv[1].lower() == b"schedule"
    if len(argv) > 1 and not schedule:
        raise CommandError(SYNTAX)
    engine = client.engine
    if engine.snapshots.start_background(schedule, engine.call_depth == 0):
        client.reply.simple(b"Background saving started")
    else:
        client.reply.simple(b"Background saving scheduled")


def lastsave(client: Client, argv: list[bytes]) -> None:
    """LASTSAVE"""
    client.reply.integer(client.engine.snapshots.last_save_s)


def bgrewriteaof(client: Client, argv: list[bytes]) -> None:
    """BGREWRITEAOF"""
    engine = client.engine
    if engine.rewriter.request_rewrite(engine.call_depth == 0):
        client.reply.simple(b"Background append only file rewriting started")
    else:
        client.reply.simple(b"Background append only file rewriting scheduled")


COMMANDS: Final = (
    Command(b"bgrewriteaof", bgrewriteaof, 1, "admin noscript no_async_loading", ""),
    Command(b"save", save, 1, "admin noscript no_async_loading no_multi", ""),
    Command(b"bgsave", bgsave, -1, "admin noscript no_async_loading", ""),
    Command(
        b"lastsave", lastsave, 1, "loading stale fast", "admin dangerous", tips=(b"nondeterministic_output",)
    ),
)
