"""WATCH: which keys which clients watch, and whose next EXEC must fail.

Invariant: `count` is the number of watches in `rooms`; each stands in its client's `watches` too.
"""

from typing import final

from mypy_extensions import i64

from gossamer.engine.client import Client, Watch
from gossamer.keyspace.keyspace import Keyspace


@final
class Watches:
    """The watched keys of all databases."""

    def __init__(self, keyspace: Keyspace) -> None:
        self.keyspace: Keyspace = keyspace
        self.rooms: list[dict[bytes, list[Watch]]] = [{} for _ in keyspace.databases]
        self.count: i64 = 0

    def add(self, client: Client, key: bytes) -> None:
        """Let the client's next EXEC fail if the key changes before."""
        db_index: i64 = client.db.index
        for known in client.watches:
            if known.key == key and known.db_index == db_index:
                return
        watch = Watch(client, db_index, key, self.is_stale(db_index, key))
        client.watches.append(watch)
        room = self.rooms[db_index]
        line = room.get(key)
        if line is None:
            room[key] = [watch]
        else:
            line.append(watch)
        self.count += 1

    def is_stale(self, db_index: i64, key: bytes) -> bool:
        """Whether a key is still there although its time is over."""
        table = self.keyspace.databases[db_index].table
        return table.find(key) and table.at_expire != 0 and table.at_expire < self.keyspace.state.now_ms

    def forget(self, client: Client) -> None:
        """Forget every key that the client watches."""
        for watch in client.watches:
            room = self.rooms[watch.db_index]
            line = room[watch.key]
            line.remove(watch)
            if not line:
                del room[watch.key]
            self.count -= 1
        client.watches = []
        client.watch_dirty = False

    def touch(self, key: bytes, db_index: i64) -> None:
        line = self.rooms[db_index].get(key)
        if line is None:
            return
        for watch in line:
            if watch.was_expired and not self.keyspace.databases[db_index].table.find(key):
                # It was expired already when it was watched: that it is removed now changes nothing.
                watch.was_expired = False
                continue
            watch.client.watch_dirty = True

    def touch_all(self, db_index: i64, other: i64) -> None:
        """A database is about to be emptied (other < 0) or exchanged with another: watched keys change.

        A key whose time was over counts as absent: that it goes, or comes, changes nothing for who watches it.
        """
        databases = self.keyspace.databases
        for key, line in self.rooms[db_index].items():
            here: bool = databases[db_index].table.find(key)
            comes: bool = other >= 0 and databases[other].table.find(key)
            if not here and not comes:
                continue
            comes_stale: bool = comes and self.is_stale(other, key)
            for watch in line:
                if watch.was_expired and not comes:
                    watch.was_expired = False
                elif watch.was_expired and comes_stale:
                    continue
                elif not watch.was_expired and not here and comes_stale:
                    watch.was_expired = True
                else:
                    watch.client.watch_dirty = True
