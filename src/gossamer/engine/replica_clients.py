"""Requests of replicas: what goes to them is the stream of writes, and nothing may stand between its bytes.

Owns what happens to a replica that asks for something with a reply: it is told to the log and disconnected, as Redis
does. What replicas say of themselves (REPLCONF ACK) has none.
"""

from typing import TYPE_CHECKING

from mypy_extensions import i64

from gossamer.commands.table import BLOCKING, PUBSUB, READONLY, WRITE, Command
from gossamer.engine.client import Client
from gossamer.engine.client_text import client_line
from gossamer.engine.pausing import MAY_REPLICATE

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine

NO_KEYSPACE = b"ERR Replica can't interact with the keyspace"


def may_ask(command: Command) -> bool:
    """Whether a replica's request may run at all: it may not touch keys, nor wait or listen."""
    return command.flags & (READONLY | WRITE | BLOCKING | PUBSUB) == 0 and command.name not in MAY_REPLICATE


def drop_reply(engine: "Engine", client: Client, argv: list[bytes], mark: i64) -> None:
    """After a request of a replica whose reply, if any, begins at `mark`."""
    reply = client.reply.out.getvalue()[mark:]
    if not reply:
        return
    client.reply.out.truncate(mark)
    command = engine.find_command(argv)
    name = "<unknown>" if command is None else command.full_name.decode()
    line = client_line(client, engine.now_us).decode("utf-8", "replace").strip()
    engine.hooks.log_notice(f"Replica generated a reply to command '{name}', disconnecting it: {line}")
    if reply.startswith(b"-"):
        text = reply[1:].split(b"\r", 1)[0].removeprefix(b"ERR ").decode("utf-8", "replace")
        engine.hooks.log_notice(
            f"== CRITICAL == This master is sending an error to its replica: '{text}' after processing the command "
            f"'{name}'"
        )
    client.door.close()
