"""Walking a whole database, and filling one, at the speed that saving and loading need.

Shares the Database's secret of how keys are stored. A walk sees every entry once, due ones included, as long
as the database does not change meanwhile.
"""

from typing import final

from mypy_extensions import i64

from gossamer.datatypes.packed_table import META_KIND, PAYLOAD_EMBED_MAX_BYTES
from gossamer.datatypes.strings import StringBuffer
from gossamer.datatypes.value import KIND_LAST_STRING, KIND_OBJECT, KIND_STRING, Value
from gossamer.keyspace.database import Database


@final
class Walker:
    """next() moves to the next entry and fills the fields; False at the end.

    A string has its bytes in `payload` and kind KIND_STRING; a packed value its bytes and its kind; any other
    value stands in `value`, with kind KIND_OBJECT.
    """

    def __init__(self, database: Database) -> None:
        self.database: Database = database
        self.bucket: i64 = -1
        self.position: i64 = 0
        self.end: i64 = 0
        self.key: bytes = b""
        self.kind: i64 = KIND_STRING
        self.payload: bytes = b""
        self.value: Value | None = None
        self.expire_ms: i64 = 0  # Unix time, 0: none
        self.access: i64 = 0  # the access field

    def next(self) -> bool:
        table = self.database.table
        while self.position >= self.end:
            self.bucket += 1
            if self.bucket >= len(table.buckets):
                return False
            self.position = 0
            self.end = len(table.buckets[self.bucket])
        table.at_bucket = self.bucket
        table.note_position(table.buckets[self.bucket], self.position)
        self.position = table.at_end
        self.key = table.found_key()
        self.expire_ms = table.at_expire
        self.access = table.found_extra24()
        kind: i64 = table.at_meta & META_KIND
        self.value = None
        if kind == KIND_OBJECT:
            held = table.found_object()
            if isinstance(held, StringBuffer):
                self.kind = KIND_STRING
                self.payload = held.value()
                return True
            assert isinstance(held, Value)
            self.value = held
            self.kind = KIND_OBJECT
            return True
        self.kind = KIND_STRING if kind <= KIND_LAST_STRING else kind
        self.payload = table.found_payload()
        return True


def load_entry(database: Database, key: bytes, value: bytes | Value, expire_ms: i64, access: i64) -> bool:
    """Add a key that comes from a file; False, and nothing done, where the key is there already.

    Nobody is told of it, nothing is counted, and a due key is kept; expire_ms 0 means never.
    """
    table = database.table
    if table.find(key):
        return False
    table.new_extra = access
    if isinstance(value, bytes):
        table.insert(key, KIND_STRING, value, expire_ms)
        return True
    packed = value.packed()
    if packed is not None and len(packed) <= PAYLOAD_EMBED_MAX_BYTES:
        table.insert(key, value.packed_kind(), packed, expire_ms)
    else:
        database.note_held(key, value, table.insert_object(key, KIND_OBJECT, value, expire_ms))
    return True
