"""Clients that wait for keys: who waits, in which order they are served, when they give up.

A blocked command is simply run again when one of its keys changed; if it cannot be served it keeps its place.
So FIFO per key is the order of the lists here, and no command has a second "serve" form.

Invariants: a client stands in `waiting[db][key]` for each key in its blocked_on, once; `ready` holds keys that
changed since the last serving, each once.
"""

import heapq
from typing import Final, final

from mypy_extensions import i64

from gossamer.commands.table import Command
from gossamer.engine.client import Client

_TYPE_OF_CATEGORY: Final = {"list": b"list", "sortedset": b"zset", "stream": b"stream"}


def awaited_type(command: Command) -> bytes:
    """The type of value that a blocking command waits for; a key that holds another one does not wake it."""
    return _TYPE_OF_CATEGORY[command.categories[0]]


@final
class Blocking:
    """The waiting rooms of all databases."""

    def __init__(self, databases: int) -> None:
        self.waiting: list[dict[bytes, list[Client]]] = [{} for _ in range(databases)]
        self.waiting_keys: i64 = 0
        self.clients: dict[i64, Client] = {}
        self.ready: list[tuple[int, bytes]] = []
        self.ready_set: set[tuple[int, bytes]] = set()
        self.deadlines: list[
            tuple[int, int]
        ] = []  # (Unix ms, client id), a heap; stale entries are passed over

    def block(
        self, client: Client, command: Command, argv: list[bytes], keys: list[bytes], until_ms: i64
    ) -> None:
        """Put a client to wait on keys of its selected database until a Unix time in ms (0: for ever)."""
        room = self.waiting[client.db.index]
        unique: list[bytes] = []
        for key in keys:
            if key not in unique:
                unique.append(key)
        for key in unique:
            line = room.get(key)
            if line is None:
                room[key] = [client]
                self.waiting_keys += 1
            else:
                line.append(client)
        client.blocked_argv = argv
        client.blocked_command = command
        client.blocked_on = unique
        client.blocked_db = client.db.index
        client.blocked_until_ms = until_ms
        self.clients[client.client_id] = client
        if until_ms > 0:
            heapq.heappush(self.deadlines, (int(until_ms), int(client.client_id)))

    def release(self, client: Client) -> None:
        """Take a client out of every waiting room; its blocked_argv is the caller's to use before."""
        room = self.waiting[client.blocked_db]
        for key in client.blocked_on:
            line = room.get(key)
            if line is not None:
                line.remove(client)
                if not line:
                    del room[key]
                    self.waiting_keys -= 1
        client.blocked_on = []
        client.blocked_argv = None
        client.blocked_command = None
        self.clients.pop(client.client_id, None)

    def note_modified(self, key: bytes, db_index: i64) -> None:
        """A key changed: if somebody waits for it, it will be served."""
        if self.waiting_keys == 0 or key not in self.waiting[db_index]:
            return
        mark = (int(db_index), key)
        if mark not in self.ready_set:
            self.ready_set.add(mark)
            self.ready.append(mark)

    def note_overwritten(self, key: bytes, db_index: i64) -> None:
        """A key got another value: whoever waits for a group of the stream that was there must hear that it is gone."""
        for client in self.waiting[db_index].get(key, ()):
            command = client.blocked_command
            if command is not None and command.name == b"xreadgroup":
                self.note_modified(key, db_index)
                return

    def note_database_changed(self, db_index: i64) -> None:
        """All keys of a database may have changed (SWAPDB)."""
        for key in self.waiting[db_index]:
            self.note_modified(key, db_index)

    def next_deadline_ms(self) -> i64:
        """The earliest Unix time in ms at which a blocked client gives up, 0 where none does."""
        deadlines = self.deadlines
        while deadlines:
            until, client_id = deadlines[0]
            client = self.clients.get(client_id)
            if client is not None and client.blocked_until_ms == until:
                return until
            heapq.heappop(deadlines)
        return 0

    def pop_timed_out(self, now_ms: i64) -> Client | None:
        """A client whose time is over, or None."""
        until = self.next_deadline_ms()
        if until == 0 or until > now_ms:
            return None
        _, client_id = heapq.heappop(self.deadlines)
        return self.clients.get(client_id)
