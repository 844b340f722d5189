"""MONITOR: who watches, and the line that a command makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from mypy_extensions import i64

from gossamer.base.quoting import quote
from gossamer.commands.table import Command
from gossamer.engine.acl_access import without_secrets

if TYPE_CHECKING:
    from gossamer.engine.client import Client


@final
class Monitors:
    """The clients in MONITOR; the engine's gate tells it whether there are any."""

    def __init__(self) -> None:
        self.clients: list[Client] = []

    def begin(self, client: Client) -> None:
        """Enter MONITOR."""
        if not client.monitor:
            client.monitor = True
            self.clients.append(client)

    def end(self, client: Client) -> None:
        """Leave MONITOR, if the client is in it."""
        if client.monitor:
            client.monitor = False
            self.clients.remove(client)

    def feed(self, now_us: i64, client: Client, command: Command, argv: list[bytes]) -> None:
        """Show a command to everybody who watches."""
        line = monitor_line(now_us, client, without_secrets(command, argv, int(client.limits.compat)))
        for monitor in self.clients:
            monitor.reply.raw(line)
            monitor.mark_pending()


def monitor_line(now_us: i64, client: Client, argv: list[bytes]) -> bytes:
    """One line of MONITOR as a status reply."""
    source = client.address
    if client.client_id == 0:
        source = b"lua"
    elif client.over_unix_socket:
        source = b"unix:" + client.address.rpartition(b":")[0]
    parts = [b"+%d.%06d [%d %s]" % (now_us // 1_000_000, now_us % 1_000_000, client.db.index, source)]
    for argument in argv:
        parts.append(quote(argument))
    return b" ".join(parts) + b"\r\n"
