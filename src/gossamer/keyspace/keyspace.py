"""All databases of a server, and what concerns them together."""

from typing import final

from mypy_extensions import i64

from gossamer.keyspace.database import Database
from gossamer.keyspace.state import KeyspaceState


@final
class Keyspace:
    """The databases by index, over one shared state."""

    def __init__(self, state: KeyspaceState, count: i64) -> None:
        self.state: KeyspaceState = state
        self.databases: list[Database] = [Database(i64(i), state) for i in range(count)]

    def swap(self, first: i64, second: i64) -> None:
        """Exchange the contents of two databases; clients keep the index that they selected."""
        a = self.databases[first]
        b = self.databases[second]
        a.table, b.table = b.table, a.table
        a.values_bytes, b.values_bytes = b.values_bytes, a.values_bytes
        a.field_expiry.exchange(b.field_expiry)

    def exchange(self, other: "Keyspace") -> None:
        """Exchange all databases with those of another keyspace over the same state."""
        for i in range(len(self.databases)):
            a = self.databases[i]
            b = other.databases[i]
            a.table, b.table = b.table, a.table
            a.values_bytes, b.values_bytes = b.values_bytes, a.values_bytes
            a.field_expiry.exchange(b.field_expiry)

    def used_bytes(self) -> i64:
        """Resident bytes of all keys and values, by account."""
        total: i64 = 0
        for database in self.databases:
            total += database.used_bytes()
        return total

    def size(self) -> i64:
        """Number of keys in all databases."""
        total: i64 = 0
        for database in self.databases:
            total += database.size()
        return total
