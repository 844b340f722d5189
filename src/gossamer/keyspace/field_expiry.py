"""The hashes of one database that have expiring fields, and the end of those fields.

Owns when each such hash must next be searched, and what is removed and told when fields are due. Values, keys and
accounts stay the Database's. Must not know clients.

Invariant: every held hash with expiring fields stands in `hashes` with a time at or before which none is due.
"""

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from gossamer.datatypes.field_expiry import remove_due
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.packed_table import META_KIND, PackedTable
from gossamer.datatypes.value import KIND_OBJECT, KIND_STRING
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_HASH

if TYPE_CHECKING:
    from gossamer.keyspace.database import Database

LOOKUP_BUCKETS: Final = 64  # of a hash, searched for due fields when a command wants it


@final
class FieldExpiry:
    """Part of one Database."""

    def __init__(self, database: "Database") -> None:
        self.database: Database = database
        self.hashes: PackedTable | None = None  # their keys; None until there is one

    # -- which hashes, and when ---------------------------------------------------------------------------

    def count(self) -> i64:
        """Number of hashes with expiring fields."""
        return 0 if self.hashes is None else self.hashes.count

    def used_bytes(self) -> i64:
        return 0 if self.hashes is None else self.hashes.bytes_used

    def clear(self) -> None:
        self.hashes = None

    def exchange(self, other: "FieldExpiry") -> None:
        """Follow the keys of two databases that change places."""
        self.hashes, other.hashes = other.hashes, self.hashes

    def schedule(self, key: bytes, value: Hash) -> None:
        """Remember when a held hash that was made or changed must next be searched for due fields."""
        check_ms: i64 = value.next_check_ms()
        if check_ms == value.scheduled_ms or 0 < value.scheduled_ms < check_ms:
            return
        if check_ms == 0:
            self.unschedule(key, value)
            return
        if self.hashes is None:
            self.hashes = PackedTable(0)
        if self.hashes.find(key):
            self.hashes.set_found_expire(check_ms)
        else:
            self.hashes.insert(key, KIND_STRING, b"", check_ms)
        value.scheduled_ms = check_ms

    def unschedule(self, key: bytes, value: Hash) -> None:
        value.scheduled_ms = 0
        if self.hashes is not None:
            self.hashes.remove(key)
            if self.hashes.count == 0:
                self.hashes = None

    # -- what is due --------------------------------------------------------------------------------------

    def without_due_fields(self, key: bytes, value: Hash) -> Hash | None:
        """The hash at key as commands may see it: due fields are removed or hidden. None where none is left."""
        state = self.database.state
        value.hidden_before_ms = 0
        if value.next_check_ms() >= state.now_ms:
            return value
        if state.expires_now:
            if not self.expire_fields(key, value, LOOKUP_BUCKETS):
                return value if value.length() > 0 else None
        elif not state.hides_expired:
            return value
        value.hidden_before_ms = state.now_ms
        return value

    def expire_fields(self, key: bytes, value: Hash, buckets: i64) -> bool:
        """Remove due fields of the hash at key, and say so; False when none is left. The last takes the key along.

        It looks at about so many buckets of a large hash, so the caller may have to come again.
        """
        table = value.table
        assert table is not None
        database = self.database
        removed: list[bytes] = []
        more: bool = remove_due(table, database.state.now_ms, buckets, removed)
        is_empty: bool = table.count == 0
        if is_empty:
            if database.table.find(key):
                database.discard_found()
        else:
            database.account(value)
            value.scheduled_ms = 0
            self.schedule(key, value)
            if value.scheduled_ms == 0:
                self.unschedule(key, value)
        if removed:
            self.tell(key, removed)
            if is_empty:
                database.state.notify(NOTIFY_GENERIC, b"del", key, database.index)
        return more and not is_empty

    def expire_hidden(self, key: bytes, value: Hash, field: bytes) -> None:
        """Remove a field if it is hidden: it is about to be made anew, and who follows us must not see the old one."""
        if value.hidden_before_ms != 0 and value.hides(field):
            assert value.table is not None
            value.table.remove(field)
            self.tell(key, [field])

    def tell(self, key: bytes, fields: list[bytes]) -> None:
        """Fields are gone because their time had come."""
        database = self.database
        state = database.state
        state.expired_fields += i64(len(fields))
        state.listener.on_fields_removed_by_server(key, fields, database.index)
        state.notify(NOTIFY_HASH, b"hexpired", key, database.index)
        state.listener.on_modified(key, database.index)

    def expire_at(self, key: bytes, buckets: i64) -> None:
        """expire_fields() for a key that `hashes` says must be looked at."""
        table = self.database.table
        there: bool = table.find(key)
        assert there and table.at_meta & META_KIND == KIND_OBJECT, "what is scheduled is held"
        held = table.found_object()
        assert isinstance(held, Hash), "what is scheduled is a hash"
        self.expire_fields(key, held, buckets)
