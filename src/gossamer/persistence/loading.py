"""Loading a snapshot into the keyspace, all at once or a piece at a time.

Owns the way from a file to keys, access fields included. What is dropped and what is refused are the rules of
`rdb/loader.py`. After an error the keyspace holds what came before it; the caller decides what that means.
"""

from typing import Final, final

from librt.vecs import vec
from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.base.limits import SANITIZE_ALWAYS
from gossamer.datatypes.packed_filling import warm
from gossamer.datatypes.value import Value
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import ACCESS_LFU
from gossamer.keyspace.walker import load_entry
from gossamer.persistence.doors import Disk, InputFile
from gossamer.rdb.input import Input
from gossamer.rdb.loader import Loader, LoadReport, LoadTarget
from gossamer.rdb.reader import Reader

STEP_BYTES: Final = 2 << 20
AT_ONCE: Final = 32  # keys that are stored together: enough for the memory of their buckets to come together
NUMBERS: Final = 4  # that belong to each: database, expire time, access field, offset
KEY_MIN_BYTES: Final = 3  # a type, a length of a key, a length of a value


@final
class KeyspaceTarget(LoadTarget):
    """Puts loaded keys into the databases; collects the code of function libraries.

    A few keys wait and are stored together, since storing one is little more than waiting for the memory of its
    bucket, and the processor can wait for many at a time.
    """

    def __init__(self, keyspace: Keyspace, keeps_old: bool = False) -> None:
        self.keyspace: Keyspace = keyspace
        self.keeps_old: bool = keeps_old  # a key that is there already is passed over, not refused
        self.most_keys: i64 = 0  # no more than the file can hold, whatever it announces
        self.functions: list[bytes] = []
        self.warmth: i64 = 0  # of no meaning: what was read to have it near
        self.keys: list[bytes] = []  # those that wait, and what belongs to each
        self.values: list[bytes | Value] = []
        self.numbers: vec[i64] = vec[i64]([0] * (NUMBERS * AT_ONCE))

    def add(
        self,
        db_index: i64,
        key: bytes,
        value: bytes | Value,
        expire_at_ms: i64,
        idle_seconds: i64,
        frequency: i64,
        offset: i64,
    ) -> None:
        state = self.keyspace.state
        access: i64 = state.access_now
        if state.access_mode == ACCESS_LFU:
            if frequency >= 0:
                access = (access & 0xFFFF00) | frequency
        elif idle_seconds >= 0:
            access = (state.now_ms // 1000 - idle_seconds) & 0xFFFFFF
        # 0 stands for "never" in the keyspace; a time at or before the epoch has passed either way.
        expire_ms: i64 = 0
        if expire_at_ms != -1:
            expire_ms = expire_at_ms if expire_at_ms > 0 else 1
        numbers = self.numbers
        at: i64 = len(self.keys) * NUMBERS
        numbers[at] = db_index
        numbers[at + 1] = expire_ms
        numbers[at + 2] = access
        numbers[at + 3] = offset
        self.keys.append(key)
        self.values.append(value)
        if len(self.keys) >= AT_ONCE:
            self.complete()
        if state.limits.key_load_delay_us != 0:
            state.delay.wait(state.limits.key_load_delay_us)

    def complete(self) -> None:
        databases = self.keyspace.databases
        keys = self.keys
        numbers = self.numbers
        n: i64 = len(keys)
        for i in range(n):
            self.warmth ^= warm(databases[numbers[i * NUMBERS]].table, keys[i])
        at: i64 = 0
        for i in range(n):
            new: bool = load_entry(
                databases[numbers[at]], keys[i], self.values[i], numbers[at + 1], numbers[at + 2]
            )
            if not new and not self.keeps_old:
                raise CorruptError("Key stands twice in its database", int(numbers[at + 3]))
            at += NUMBERS
        self.keys = []
        self.values = []

    def expect(self, db_index: i64, keys: i64, expires: i64) -> None:
        if keys > self.most_keys:
            keys = self.most_keys
        self.complete()
        self.keyspace.databases[db_index].table.reserve(keys)

    def add_function(self, code: bytes) -> None:
        self.functions.append(code)


@final
class SnapshotLoading:
    """One snapshot that is being loaded. `step` until it is True; then `close`."""

    def __init__(
        self,
        file: InputFile,
        keyspace: Keyspace,
        drop_expired: bool = True,
        verify_checksum: bool = True,
        keeps_old: bool = False,
    ) -> None:
        self.file: InputFile = file
        self.total_bytes: i64 = file.size_bytes()
        self.target: KeyspaceTarget = KeyspaceTarget(keyspace, keeps_old)
        self.target.most_keys = self.total_bytes // KEY_MIN_BYTES
        now_ms = int(keyspace.state.now_ms) if drop_expired else -1
        self.loader: Loader = Loader(self.target, len(keyspace.databases), now_ms)
        limits = keyspace.state.limits
        deep = limits.sanitize_dump_payload == SANITIZE_ALWAYS
        self.source: Input = Input(b"", file.read, int(self.total_bytes), deep)
        self.reader: Reader = Reader(self.source, self.loader, limits, verify_checksum)
        self.begun: bool = False

    def report(self) -> LoadReport:
        return self.loader.report

    def loaded_bytes(self) -> i64:
        return self.source.offset()

    def step(self, limit_bytes: i64 = STEP_BYTES) -> bool:
        """Load some more; True when the file is complete. Raises CorruptError and OSError."""
        if not self.begun:
            self.begun = True
            self.reader.begin()
        done = self.reader.advance(limit_bytes)
        self.target.complete()
        return done

    def close(self) -> None:
        self.file.close()


def load_snapshot(
    disk: Disk, name: str, keyspace: Keyspace, verify_checksum: bool = True, keeps_old: bool = False
) -> SnapshotLoading | None:
    """Load a whole file; None where there is none. Raises CorruptError, also for bytes behind its end."""
    file = disk.open(name)
    if file is None:
        return None
    loading = SnapshotLoading(file, keyspace, True, verify_checksum, keeps_old)
    try:
        while not loading.step():
            pass
        if not loading.source.at_end():
            raise loading.source.fail("Bytes remain behind the end of the file")
    finally:
        loading.close()
    return loading
