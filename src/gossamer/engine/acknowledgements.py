"""Who waits until writes are durable (WAITAOF) or have reached replicas (WAIT), and what they are answered.

Owns the clients that wait and the counting of acknowledgements. Must not know: what a file is; DurabilityDoor tells
how far the append only file is, as a number that only grows.

Invariants: `Client.last_write` is the position behind the client's last write in what was fed to the append only
file; whoever stands in `waiting` waits in WAIT or WAITAOF, or has ceased to since the last serve().
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.numbers import to_int64
from gossamer.commands.table import Command

if TYPE_CHECKING:
    from gossamer.engine.client import Client
    from gossamer.engine.engine import Engine

NO_APPEND_ONLY_FILE: Final = b"ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled."


@mypyc_attr(allow_interpreted_subclasses=True)
class DurabilityDoor:
    """How far the append only file is; this one has none."""

    def is_on(self) -> bool:
        """Whether `appendonly` is set, be the file complete already or not."""
        return False

    def fed_bytes(self) -> i64:
        """The position behind everything that was fed so far."""
        return 0

    def durable_bytes(self) -> i64:
        """The position up to which everything is on the disk; -1 while the files do not hold the data set."""
        return -1


@final
class Acknowledgements:
    """The waits of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self.door: DurabilityDoor = DurabilityDoor()
        self.waiting: list[Client] = []

    def local(self, client: Client) -> i64:
        """1 where this server has the client's writes on its disk."""
        return 1 if self.door.durable_bytes() >= client.last_write else 0

    def note_write(self, client: Client) -> None:
        """What the client wrote was told to AOF and replicas."""
        client.last_write = self.door.fed_bytes()
        client.last_offset = self.engine.replication.offset()

    def replicas(self, client: Client) -> i64:
        """How many replicas have the client's writes."""
        return self.engine.replication.count_at(client.last_offset)

    def durable_replicas(self, client: Client) -> i64:
        """How many replicas have them on their disks."""
        return self.engine.replication.count_durable_at(client.last_offset)

    def begin_waiting(self, client: Client) -> None:
        """The client's command is about to wait."""
        self.waiting.append(client)
        self.engine.replication.ask()

    def answer(self, client: Client, command: Command) -> bool:
        """Write how many there are now; False for a command that does not count any."""
        if command.name == b"wait":
            client.reply.integer(self.replicas(client))
        elif command.name == b"waitaof":
            client.reply.array(2)
            client.reply.integer(self.local(client))
            client.reply.integer(self.durable_replicas(client))
        else:
            return False
        return True

    def serve(self) -> None:
        """End the waits that have what they wait for; the loop calls it when files were written."""
        still: list[Client] = []
        for client in self.waiting:
            command = client.blocked_command
            argv = client.blocked_argv
            if client.closed or command is None or argv is None:
                continue
            if command.name == b"wait":
                if self.replicas(client) >= to_int64(argv[1]):
                    self.engine.unblock(client, None)
                else:
                    still.append(client)
                continue
            if command.name != b"waitaof":
                continue
            wanted: i64 = to_int64(argv[1])
            if wanted > 0 and not self.door.is_on():
                self.engine.unblock(client, NO_APPEND_ONLY_FILE)
            elif self.local(client) >= wanted and self.durable_replicas(client) >= to_int64(argv[2]):
                self.engine.unblock(client, None)
            else:
                still.append(client)
        self.waiting = still
