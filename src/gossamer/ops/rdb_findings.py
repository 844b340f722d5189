"""What stands in an RDB file, and where it breaks off: one pass, one key in memory at a time.

Owns the counts, and what is said about the place of damage. Must not know how the file came to be opened, nor how
the findings are shown. The reading itself is `rdb/reader.py`'s, so what is sound here is what a server loads, but for
keys that stand twice in a database: to find those would take memory for each key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.base.quoting import quote
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.value import Value
from gossamer.ops.progress import Progress
from gossamer.rdb.format import HEADER_BYTES, VERSION_WITH_CHECKSUM
from gossamer.rdb.input import Input
from gossamer.rdb.reader import KeyAttributes, Reader, Visitor

CHECKSUM_BYTES: Final = 8
SHOWN_BYTES: Final = 100
ENDS_EARLY: Final = "Input ends inside a value"  # what rdb/input.py says then

# What a type byte stands for: the type as TYPE says it, and the form in the file.
FORMS: Final[dict[int, tuple[str, str]]] = {
    0: ("string", "string"),
    1: ("list", "linked"),
    2: ("set", "hashtable"),
    3: ("zset", "skiplist of version 1"),
    4: ("hash", "hashtable"),
    5: ("zset", "skiplist"),
    6: ("module", "pre-release"),
    7: ("module", "module"),
    9: ("hash", "zipmap"),
    10: ("list", "ziplist"),
    11: ("set", "intset"),
    12: ("zset", "ziplist"),
    13: ("hash", "ziplist"),
    14: ("list", "quicklist of ziplists"),
    15: ("stream", "listpacks"),
    16: ("hash", "listpack"),
    17: ("zset", "listpack"),
    18: ("list", "quicklist"),
    19: ("stream", "listpacks of version 2"),
    20: ("set", "listpack"),
    21: ("stream", "listpacks of version 3"),
    22: ("hash", "hashtable with expiring fields"),
    23: ("hash", "listpack with expiring fields, pre-release"),
    24: ("hash", "hashtable with expiring fields"),
    25: ("hash", "listpack with expiring fields"),
}


def form_text(value_type: int) -> str:
    """`zset of listpack encoding` and the like."""
    if value_type == 0:
        return "string"
    if value_type not in FORMS:
        return "value of a type that is not known"
    kind, encoding = FORMS[value_type]
    return f"{kind} of {encoding} encoding"


def shown(data: bytes) -> str:
    """Bytes in quotes, printable, and not too long."""
    text = quote(data[:SHOWN_BYTES]).decode("ascii")
    return text if len(data) <= SHOWN_BYTES else f"{text}... ({len(data)} bytes)"


@dataclass
class DatabaseCount:
    keys: int = 0
    expires: int = 0


@dataclass
class RdbDamage:
    """Why and where a file breaks off. `doing` says what was being read there, down to the key."""

    reason: str
    offset: int
    doing: str
    at_checksum: bool  # everything else could be read
    ends_early: bool  # more bytes are wanted than the file has


@dataclass
class RdbFindings(Visitor):
    """What a file, or the part before its damage, holds."""

    name: str
    size_bytes: int
    now_ms: int
    version: int = 0
    is_valkey: bool = False
    aux: list[tuple[bytes, bytes]] = field(default_factory=list)
    functions: list[bytes] = field(default_factory=list)
    module_types: list[bytes] = field(default_factory=list)
    databases: dict[int, DatabaseCount] = field(default_factory=dict)
    forms: dict[int, int] = field(default_factory=dict)  # keys by type byte
    keys: int = 0
    expires: int = 0
    expired: int = 0
    hashes_with_expiring_fields: int = 0
    last_key: bytes = b""
    last_offset: int = -1  # of the last complete key's type byte
    end_offset: int = HEADER_BYTES  # behind the last complete key, or the header
    complete: bool = False  # up to and with the end mark and the check sum
    checksum: int = 0  # as the file states it; 0 for none
    damage: RdbDamage | None = None

    def on_header(self, version: int, is_valkey: bool) -> None:
        self.version = version
        self.is_valkey = is_valkey

    def on_aux(self, name: bytes, value: bytes) -> None:
        self.aux.append((name, value))

    def on_function(self, code: bytes) -> None:
        self.functions.append(code)

    def on_module_aux(self, module_type: bytes) -> None:
        self.module_types.append(module_type)

    def on_module_key(self, key: bytes, module_type: bytes, attributes: KeyAttributes) -> None:
        self.module_types.append(module_type)
        self.count(key, attributes)

    def on_key(self, key: bytes, value: bytes | Value, attributes: KeyAttributes) -> None:
        if isinstance(value, Hash) and value.expiring() > 0:
            self.hashes_with_expiring_fields += 1
        self.count(key, attributes)

    def on_end(self) -> None:
        self.complete = True

    def count(self, key: bytes, attributes: KeyAttributes) -> None:
        self.keys += 1
        database = self.databases.setdefault(int(attributes.db_index), DatabaseCount())
        database.keys += 1
        if attributes.expire_at_ms != -1:
            database.expires += 1
            self.expires += 1
            if attributes.expire_at_ms < self.now_ms:
                self.expired += 1
        value_type = int(attributes.value_type)
        self.forms[value_type] = self.forms.get(value_type, 0) + 1
        self.last_key = key
        self.last_offset = int(attributes.offset)
        self.end_offset = self.last_offset + int(attributes.size_bytes)


@dataclass
class RdbScan:
    """The findings, and what was read of the file behind the snapshot's end."""

    findings: RdbFindings
    end_offset: int
    rest: bytes


def counted(file: BinaryIO, progress: Progress) -> Callable[[int], bytes]:
    """The file's `read`, which tells of its progress."""

    def read(size: int) -> bytes:
        data = file.read(size)
        progress.advance(len(data))
        return data

    return read


def scan_rdb(file: BinaryIO, name: str, size_bytes: int, now_ms: int, progress: Progress) -> RdbScan:
    """Read an unbuffered file from its beginning to the end of the snapshot, or to its damage. Raises OSError."""
    findings = RdbFindings(name, size_bytes, now_ms)
    source = Input(b"", counted(file, progress), size_bytes)
    reader = Reader(source, findings, Limits())
    try:
        reader.read_all()
    except CorruptError as error:
        findings.damage = damage_of(file, findings, reader, error)
    end_offset = int(source.offset())
    rest = source.data[source.position : source.end]
    if findings.complete and findings.version >= VERSION_WITH_CHECKSUM:
        place = file.tell()
        file.seek(end_offset - CHECKSUM_BYTES)
        findings.checksum = int.from_bytes(file.read(CHECKSUM_BYTES), "little")
        file.seek(place)
    return RdbScan(findings, end_offset, rest)


def damage_of(file: BinaryIO, findings: RdbFindings, reader: Reader, error: CorruptError) -> RdbDamage:
    """The damage, with what was being read where it was found."""
    attributes = reader.attributes
    begun = int(attributes.offset)
    at_checksum = False
    if findings.version == 0:
        doing = "while reading the header"
    elif begun > findings.last_offset and begun > 0:
        doing = key_under_way(file, findings.size_bytes, begun, int(attributes.value_type))
        doing += f", which begins at offset {begun:,}, in database {attributes.db_index}"
    elif reader.source.offset() - error.offset == CHECKSUM_BYTES:
        doing = "while comparing the check sum at the end"
        at_checksum = True
    elif findings.keys == 0:
        doing = "while reading what stands before the first key"
    else:
        doing = f"behind key {shown(findings.last_key)}, while reading what comes next"
    return RdbDamage(error.reason, error.offset, doing, at_checksum, error.reason == ENDS_EARLY)


def key_under_way(file: BinaryIO, size_bytes: int, offset: int, value_type: int) -> str:
    """What of a key could be read whose type byte stands at `offset`."""
    file.seek(offset + 1)
    try:
        key = Input(b"", file.read, size_bytes - offset - 1).string()
    except CorruptError:
        return f"while reading the name of a key (type {value_type}, a {form_text(value_type)})"
    return f"while reading the value of key {shown(key)} (type {value_type}, a {form_text(value_type)})"
