"""What a data set holds, as one value: equal for two servers exactly when they hold the same.

Says more than DEBUG DIGEST (when keys expire, consumer groups, functions), and costs a part of it: the simulator
asks after every step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.stream_groups import PendingEntry
from gossamer.datatypes.stream_ids import ID_BYTES
from gossamer.datatypes.streams import Stream
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.keyspace import Keyspace

EMPTY = b""


def describe(value: bytes | Value) -> object:
    """In an order of its own where the value has none."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, List):
        return list(value.elements())
    if isinstance(value, Set):
        return ("set", sorted(value.members()))
    if isinstance(value, ZSet):
        members: list[bytes] = []
        scores: list[float] = []
        value.collect(0, value.length(), members, scores)
        return ("zset", list(zip(members, scores, strict=True)))
    if isinstance(value, Hash):
        flat = value.items()
        pairs = sorted(zip(flat[::2], flat[1::2], strict=True))
        return ("hash", pairs, sorted((field, int(at)) for field, at in value.expiring_fields()))
    assert isinstance(value, Stream)
    return ("stream", describe_stream(value))


def describe_stream(stream: Stream) -> tuple[object, ...]:
    groups = []
    for name in sorted(stream.groups):
        group = stream.groups[name]
        pending = []
        for row in group.pending.rows():
            entry = PendingEntry.of_row(row)
            owner = group.owner(entry)
            pending.append(
                (row[:ID_BYTES], int(entry.delivery_time_ms), int(entry.delivery_count), owner.name)
            )
        # Consumers who own nothing are left out: the real servers do not tell replicas of all of them either.
        groups.append((name, group.last_id, int(group.entries_read), pending))
    entries = [(entry.stream_id, list(entry.flat)) for entry in stream.entries()]
    return "stream", stream.last_id, int(stream.entries_added), stream.max_deleted_id, groups, entries


def fingerprint(keyspace: Keyspace, functions: Iterable[bytes] = ()) -> bytes:
    """Nothing for an empty data set without functions."""
    parts: list[object] = [*sorted(functions)]
    for database in keyspace.databases:
        if database.size() == 0:
            continue
        held: list[tuple[bytes, int, object]] = []
        for key in database.keys():
            if database.table.find(key):
                expire_ms = int(database.table.at_expire)
                held.append((key, expire_ms, describe(database.found_value())))
        held.sort(key=lambda each: each[0])
        parts.append((int(database.index), held))
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).digest() if parts else EMPTY
