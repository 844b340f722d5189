"""What the tests of the append only file share: commands as bytes, files of many commands, engines to load into."""

import random
from collections.abc import Iterator

from librt.strings import BytesWriter

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.config import Config
from gossamer.engine.digest import keyspace_digest
from gossamer.engine.engine import Engine
from gossamer.persistence.aof_format import (
    COMMAND,
    NEED_MORE,
    AofScanner,
    ChecksumState,
    write_command,
    write_timestamp,
)
from gossamer.persistence.aof_loading import AofLoading, prepare
from gossamer.persistence.manifest import Manifest
from gossamer.server.command_table import all_commands
from persistence.fakes import FakeDisk, Lines

DIRECTORY = "appendonlydir"
PREFIX = "appendonly.aof"
BASE_AOF = f"{DIRECTORY}/{PREFIX}.1.base.aof"
BASE_RDB = f"{DIRECTORY}/{PREFIX}.1.base.rdb"
INCREMENT = f"{DIRECTORY}/{PREFIX}.1.incr.aof"
SECOND_INCREMENT = f"{DIRECTORY}/{PREFIX}.2.incr.aof"
MANIFEST = f"{DIRECTORY}/{PREFIX}.manifest"


def command(*argv: bytes) -> bytes:
    out = BytesWriter()
    write_command(out, list(argv))
    return out.getvalue()


def timestamp(now_s: int) -> bytes:
    out = BytesWriter()
    write_timestamp(out, now_s)
    return out.getvalue()


class Recording:
    """A file as a server writes it, and where its complete prefixes end."""

    def __init__(self, checksums: bool) -> None:
        self.pieces: list[bytes] = []
        self.sums = ChecksumState()
        self.checksums = checksums
        self.ends = [0]
        self.commands = 0
        self.last_unit_bytes = 0

    def size(self) -> int:
        return int(self.sums.offset)

    def put(self, *items: bytes) -> None:
        """Items that are complete together only."""
        data = b"".join(items)
        self.pieces.append(data)
        self.sums.add(data)
        self.ends.append(self.size())

    def unit(self, *commands: bytes) -> None:
        self.commands += len(commands)
        if len(commands) > 1:
            self.commands += 2
            self.put(command(b"MULTI"), *commands, command(b"EXEC"))
        else:
            self.put(*commands)

    def end_batch(self) -> None:
        if self.checksums:
            self.pieces.append(self.sums.line())
            self.ends.append(self.size())

    def data(self) -> bytes:
        return b"".join(self.pieces)


def some_command(chance: random.Random) -> bytes:
    key = b"%d" % chance.randrange(12)
    value = b"%x" % chance.randrange(1, 1 << chance.randrange(1, 40))
    kind = chance.randrange(8)
    if kind < 3:
        return command(b"SET", b"s" + key, value)
    if kind == 3:
        return command(b"RPUSH", b"l" + key, value)
    if kind == 4:
        return command(b"LPOP", b"l" + key)
    if kind == 5:
        return command(b"HSET", b"h" + key, value[:1], value)
    if kind == 6:
        return command(b"SADD", b"x" + key, value)
    return command(b"DEL", b"s" + key)


def record(size_bytes: int, commands: int, checksums: bool, seed: int = 1, batch: int = 20) -> Recording:
    """Exactly so many bytes with so many commands: several databases, units, time stamps, batches."""
    chance = random.Random(seed)
    recording = Recording(checksums)
    recording.unit(command(b"SELECT", b"0"))
    while recording.commands < commands - 10:
        kind = chance.randrange(12)
        if kind == 0:
            recording.unit(command(b"SELECT", b"%d" % chance.randrange(3)))
        elif kind == 1:
            recording.put(timestamp(1_700_000_000 + recording.commands))
        elif kind == 2:
            recording.unit(*[some_command(chance) for _ in range(chance.randrange(2, 5))])
        else:
            recording.unit(some_command(chance))
        if chance.randrange(batch) == 0:
            recording.end_batch()
    while recording.commands < commands - 1:
        recording.unit(some_command(chance))
    rest = size_bytes - recording.size() - (42 if checksums else 0)
    empty = len(command(b"SET", b"last", b"x" * 1000)) - 1000
    assert 1000 <= rest - empty < 10000, f"{rest} bytes remain for the last command"
    recording.unit(command(b"SET", b"last", b"x" * (rest - empty)))
    recording.end_batch()
    assert (recording.size(), recording.commands) == (size_bytes, commands)
    return recording


def scan(data: bytes, step: int = 1 << 18, known_size: bool = True) -> AofScanner:
    """A scanner at the end of a file; raises CorruptError."""
    scanner = AofScanner(0, len(data) if known_size else -1)
    for start in range(0, len(data), step):
        scanner.feed(data[start : start + step])
        while scanner.next() != NEED_MORE:
            pass
    scanner.finish()
    return scanner


def commands_of(data: bytes) -> Iterator[list[bytes]]:
    scanner = AofScanner()
    scanner.feed(data)
    while (kind := scanner.next()) != NEED_MORE:
        if kind == COMMAND:
            yield scanner.argv


def new_engine(compat: int = 70) -> Engine:
    limits = Limits()
    limits.compat = compat
    engine = Engine(ManualClock(), limits, Random64(1), 16)
    engine.add_commands(all_commands())
    return engine


def digest(engine: Engine) -> bytes:
    return keyspace_digest(engine.keyspace)


class Loader:
    """Loads files into an engine of its own."""

    def __init__(self, compat: int = 70) -> None:
        self.engine = new_engine(compat)
        self.config = Config(compat)
        self.disk = FakeDisk()
        self.disk.directories.add(DIRECTORY)
        self.log = Lines()

    def begin(self) -> AofLoading:
        manifest = prepare(self.disk, self.config, self.log)
        return AofLoading(self.engine, self.disk, self.config, self.log, manifest or Manifest())

    def load(self, step_bytes: int = 1 << 20) -> AofLoading:
        loading = self.begin()
        try:
            while not loading.step(step_bytes):
                pass
        finally:
            loading.close()
        return loading

    def load_increment(self, data: bytes) -> AofLoading:
        """Load one increment and nothing else, into an empty keyspace."""
        for database in self.engine.keyspace.databases:
            database.clear()
        self.disk.files[MANIFEST] = b"file appendonly.aof.1.incr.aof seq 1 type i\n"
        self.disk.files[INCREMENT] = data
        return self.load()

    def value(self, key: bytes, db_index: int = 0) -> object:
        return self.engine.keyspace.databases[db_index].lookup_read(key)
