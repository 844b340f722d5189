"""DEBUG DIGEST: one number for a whole data set, equal on two servers exactly when the data is.

As Redis 7.0 computes it: SHA-1 values are mixed in order (`Mixed.mix`) where order matters and combined by XOR
(`Mixed.combine`) where it does not. That a key expires counts, not when; of a field of a hash both do.
"""

import hashlib
from typing import Final

from gossamer.base.numbers import format_double_17
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.streams import Stream
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.keyspace import Keyspace

TYPE_NUMBERS: Final = {b"string": 0, b"list": 1, b"set": 2, b"zset": 3, b"hash": 4, b"stream": 6}


class Mixed:
    """A digest under way."""

    def __init__(self) -> None:
        self.state = bytes(20)

    def combine(self, data: bytes) -> None:
        """Add data in a way that forgets the order."""
        digest = hashlib.sha1(data, usedforsecurity=False).digest()
        self.state = bytes([a ^ b for a, b in zip(self.state, digest, strict=True)])

    def mix(self, data: bytes) -> None:
        """Add data in a way that remembers the order."""
        self.combine(data)
        self.state = hashlib.sha1(self.state, usedforsecurity=False).digest()


def add_pairs(digest: Mixed, flat: list[bytes]) -> None:
    """Fields with values (members with scores), in no order."""
    for i in range(0, len(flat), 2):
        pair = Mixed()
        pair.mix(flat[i])
        pair.mix(flat[i + 1])
        digest.combine(pair.state)


def add_value(digest: Mixed, value: bytes | Value, expire_ms: int) -> None:
    """Mix a value and that it expires into the digest of its key."""
    kind = b"string" if isinstance(value, bytes) else value.type_name()
    digest.mix(TYPE_NUMBERS[kind].to_bytes(4, "big"))
    if isinstance(value, bytes):
        digest.mix(value)
    elif isinstance(value, List):
        for element in value.elements():
            digest.mix(element)
    elif isinstance(value, Set):
        for member in value.members():
            digest.combine(member)
    elif isinstance(value, ZSet):
        members: list[bytes] = []
        scores: list[float] = []
        value.collect(0, value.length(), members, scores)
        flat: list[bytes] = []
        for i in range(len(members)):
            flat += (members[i], format_double_17(scores[i]))
        add_pairs(digest, flat)
    elif isinstance(value, Hash):
        add_pairs(digest, value.items())
        for field, field_expire_ms in value.expiring_fields():
            timed = Mixed()
            timed.mix(field)
            timed.mix(b"!!hexpire!!%d" % field_expire_ms)
            digest.combine(timed.state)
    else:
        assert isinstance(value, Stream)
        for entry in value.entries():
            number = int.from_bytes(entry.stream_id, "big")
            digest.mix(b"%d.%d" % (number >> 64, number & 0xFFFFFFFFFFFFFFFF))
            for word in entry.flat:
                digest.mix(word)
    if expire_ms:
        digest.combine(b"!!expire!!")


def value_digest(value: bytes | Value, expire_ms: int) -> bytes:
    """DEBUG DIGEST-VALUE of one value, in hexadecimal."""
    digest = Mixed()
    add_value(digest, value, expire_ms)
    return digest.state.hex().encode()


def keyspace_digest(keyspace: Keyspace) -> bytes:
    """DEBUG DIGEST, in hexadecimal; zeros for an empty data set."""
    final = Mixed()
    for database in keyspace.databases:
        if database.size() == 0:
            continue
        final.mix(int(database.index).to_bytes(4, "big"))
        for key in database.keys():
            if not database.table.find(key):
                continue
            expire_ms = int(database.table.at_expire)
            digest = Mixed()
            digest.mix(key)
            add_value(digest, database.found_value(), expire_ms)
            final.combine(digest.state)
    return final.state.hex().encode()
