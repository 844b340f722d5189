"""Tells that a key is new to a table that is being filled, without reading the bucket that it goes to.

Most of what it costs to load a key is waiting for the memory of its bucket, entry by entry; and nearly every key of
a file is new. So one word for each bucket of the table remembers which of sixty-two classes of keys went there. A
class that is not marked is proof that the key is not there; a class that is marked proves nothing.

Must not know: what the payloads are. Invariant: while it is in use, every key of the table has its mark. The marks
belong to one number of buckets, so a table that grows or shrinks ends their use, for good; so does one whose number
of keys is not the number of those that went through here.
"""

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from gossamer.datatypes.packed_table import PackedTable

_CLASSES: Final = 62


@final
class Filling:
    """Marks for the keys of a table into which everything goes through here from when it was empty on."""

    def __init__(self, table: PackedTable) -> None:
        self.table: PackedTable = table
        self.marks: vec[i64] = vec[i64]()
        self.inserted: i64 = 0
        if table.count == 0:
            self.marks = vec[i64]([0] * len(table.buckets))

    def is_new(self, key: bytes) -> bool:
        """Whether the table has no such key; it stands then as after a find(), and the key is to be inserted."""
        table = self.table
        marks = self.marks
        if i64(len(marks)) != i64(len(table.buckets)) or self.inserted != table.count:
            self.marks = vec[i64]()
            return not table.find(key)
        hashed: i64 = hash(key)
        index: i64 = table.bucket_of(hashed)
        mark: i64 = 1
        mark <<= ((hashed >> 24) & 0xFFFFFF) % _CLASSES
        seen: i64 = marks[index]
        if seen & mark:
            if table.find(key):
                return False
            self.inserted += 1
            return True
        marks[index] = seen | mark
        self.inserted += 1
        table.at_key = None
        table.at_bucket = index
        table.at_tag = (hashed >> 48) & 0xFF
        return True
