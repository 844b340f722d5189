"""What the tests of RDB share: a file's content as plain Python, in the shape of the expected dumps.

A value over 40 bytes stands as `sha256:length:digest`, other bytes as base64.
"""

import base64
import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.stream_groups import PendingEntry
from gossamer.datatypes.stream_ids import format_id
from gossamer.datatypes.streams import Stream
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.rdb.input import Input
from gossamer.rdb.reader import KeyAttributes, Reader, Visitor
from gossamer.rdb.writer import Writer

DATA = Path(__file__).resolve().parent.parent / "data" / "rdb"
DUMPS = ["redis-6.2", "redis-7.0", "redis-8.0", "valkey-8.0", "valkey-9.1"]
LEGACY = sorted(path.name for path in (DATA / "legacy").glob("*.rdb"))


def read_data(name: str) -> bytes:
    return (DATA / name).read_bytes()


def expected_content(name: str) -> Any:
    return json.loads(gzip.decompress(read_data(f"{name}.json.gz")))


def comparable(entry: dict[str, Any]) -> dict[str, Any]:
    """An expected key without its encoding, scores as numbers, sets sorted."""
    entry = {name: value for name, value in entry.items() if name != "encoding"}
    if entry["type"] == "set":
        entry["value"] = sorted(entry["value"])
    if entry["type"] == "zset":
        entry["value"] = [[member, float(score)] for member, score in entry["value"]]
    return entry


def shown(data: bytes) -> str:
    if len(data) > 40:
        return f"sha256:{len(data)}:{hashlib.sha256(data).hexdigest()}"
    return base64.b64encode(data).decode()


def name_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def zset_pairs(value: ZSet) -> list[tuple[bytes, float]]:
    members: list[bytes] = []
    scores: list[float] = []
    value.collect(0, value.length(), members, scores)
    return list(zip(members, scores, strict=True))


def stream_content(value: Stream) -> dict[str, Any]:
    groups = {}
    for name, group in value.groups.items():
        groups[name.decode()] = {
            "consumers": sorted(consumer.decode() for consumer in group.consumers),
            "entries_read": None if group.entries_read < 0 else group.entries_read,
            "last_id": format_id(group.last_id).decode(),
            "pending": [
                [format_id(row[:16]).decode(), group.owner(owed).name.decode(), owed.delivery_count]
                for row in group.pending.rows()
                for owed in [PendingEntry.of_row(row)]
            ],
        }
    entries = []
    for entry in value.entries():
        pairs = [[shown(entry.flat[i]), shown(entry.flat[i + 1])] for i in range(0, len(entry.flat), 2)]
        entries.append([format_id(entry.stream_id).decode(), pairs])
    return {
        "entries-added": value.entries_added,
        "groups": groups,
        "last_id": format_id(value.last_id).decode(),
        "max-deleted-entry-id": format_id(value.max_deleted_id).decode(),
        "value": entries,
    }


def value_content(value: bytes | Value) -> dict[str, Any]:
    """Type and value as the expected dumps show them; a set sorted by its shown members."""
    if isinstance(value, bytes):
        return {"type": "string", "value": shown(value)}
    entry: dict[str, Any] = {"type": value.type_name().decode()}
    if isinstance(value, List):
        entry["value"] = [shown(element) for element in value.elements()]
    elif isinstance(value, Hash):
        flat = value.items()
        entry["value"] = {name_of(flat[i]): shown(flat[i + 1]) for i in range(0, len(flat), 2)}
    elif isinstance(value, Set):
        entry["value"] = sorted(shown(member) for member in value.members())
    elif isinstance(value, ZSet):
        entry["value"] = [[shown(member), score] for member, score in zset_pairs(value)]
    else:
        assert isinstance(value, Stream)
        entry.update(stream_content(value))
    return entry


class Collector(Visitor):
    """Keeps all that a file tells."""

    def __init__(self) -> None:
        self.version = 0
        self.is_valkey = False
        self.aux: dict[bytes, bytes] = {}
        self.functions: list[bytes] = []
        self.databases: dict[int, dict[bytes, bytes | Value]] = {}
        self.expires: dict[tuple[int, bytes], int] = {}
        self.field_expires: dict[tuple[int, bytes], dict[bytes, int]] = {}
        self.idle: dict[bytes, int] = {}
        self.frequency: dict[bytes, int] = {}
        self.types: dict[bytes, int] = {}
        self.module_keys: dict[bytes, bytes] = {}
        self.module_aux: list[bytes] = []
        self.ended = False

    def on_header(self, version: int, is_valkey: bool) -> None:
        self.version = version
        self.is_valkey = is_valkey

    def on_aux(self, name: bytes, value: bytes) -> None:
        self.aux[name] = value

    def on_function(self, code: bytes) -> None:
        self.functions.append(code)

    def on_module_aux(self, module_type: bytes) -> None:
        self.module_aux.append(module_type)

    def on_module_key(self, key: bytes, module_type: bytes, attributes: KeyAttributes) -> None:
        self.module_keys[key] = module_type

    def on_key(self, key: bytes, value: bytes | Value, attributes: KeyAttributes) -> None:
        database = self.databases.setdefault(attributes.db_index, {})
        if key in database:
            raise CorruptError("Key stands twice")
        database[key] = value
        self.types[key] = attributes.value_type
        if attributes.expire_at_ms != -1:
            self.expires[attributes.db_index, key] = attributes.expire_at_ms
        if isinstance(value, Hash) and value.expiring() > 0:
            self.field_expires[attributes.db_index, key] = dict(value.expiring_fields())
        if attributes.idle_seconds >= 0:
            self.idle[key] = attributes.idle_seconds
        if attributes.frequency >= 0:
            self.frequency[key] = attributes.frequency

    def on_end(self) -> None:
        self.ended = True

    def content(self) -> dict[str, Any]:
        databases: dict[str, Any] = {}
        for index, keys in self.databases.items():
            shown_keys = databases.setdefault(str(index), {})
            for key, value in keys.items():
                entry = value_content(value)
                if (index, key) in self.expires:
                    entry["expire_at_ms"] = self.expires[index, key]
                if (index, key) in self.field_expires:
                    entry["field_expire_at_ms"] = {
                        name_of(field): time for field, time in self.field_expires[index, key].items()
                    }
                shown_keys[name_of(key)] = entry
        return databases


def write_all(collector: Collector, version: int = 10, compress: bool = True, checksum: bool = True) -> bytes:
    """A file of all that a collector holds."""
    pieces: list[bytes] = []
    writer = Writer(pieces.append, version, compress, checksum)
    writer.begin()
    for name, text in collector.aux.items():
        writer.aux(name, text)
    for code in collector.functions:
        writer.function(code)
    for index, keys in collector.databases.items():
        expires = sum(1 for expiring in collector.expires if expiring[0] == index)
        writer.database(index, len(keys), expires)
        for key, value in keys.items():
            writer.key(
                key,
                value,
                collector.expires.get((index, key), -1),
                collector.idle.get(key, -1),
                collector.frequency.get(key, -1),
            )
    writer.end()
    data = b"".join(pieces)
    assert len(data) == writer.written_bytes
    return data


def collect(data: bytes, limits: Limits | None = None, chunk: int = 0) -> Collector:
    """Read a whole file, from memory or, with `chunk`, from a stream that gives so many bytes at once."""
    collector = Collector()
    if chunk == 0:
        source = Input(data)
    else:
        rest = memoryview(data)

        def read(size: int) -> bytes:
            nonlocal rest
            piece = bytes(rest[: min(size, chunk)])
            rest = rest[len(piece) :]
            return piece

        source = Input(b"", read, len(data))
    Reader(source, collector, limits or Limits()).read_all()
    return collector
