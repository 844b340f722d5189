"""From a file to a keyspace: what is kept, what is dropped, what is refused.

Owns the rules of loading: keys that expired, stand twice, are empty or a module's, databases out of range.
Knows a keyspace only as a LoadTarget.
"""

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import CorruptError
from gossamer.datatypes.field_expiry import remove_due
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.value import Value
from gossamer.rdb.reader import KeyAttributes, Visitor

KEEP_EXPIRED: Final = -1


@mypyc_attr(allow_interpreted_subclasses=True)
class LoadTarget:
    """What receives the keys."""

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
        """Store a key, with -1 for an expiry, idle time or frequency that is not stated.

        It may take its time until `complete`; a key that is there already is CorruptError at its `offset`.
        """
        raise NotImplementedError

    def complete(self) -> None:
        """Store what was added so far."""

    def expect(self, db_index: i64, keys: i64, expires: i64) -> None:
        """So many keys are about to come: a hint, not to be trusted with an allocation."""

    def add_function(self, code: bytes) -> None:
        """Load a function library."""


@final
class LoadReport:
    """What a loading met."""

    def __init__(self) -> None:
        self.version: i64 = 0
        self.is_valkey: bool = False
        self.aux: dict[bytes, bytes] = {}
        self.keys_loaded: i64 = 0
        self.keys_expired: i64 = 0
        self.keys_empty: i64 = 0
        self.fields_expired: i64 = 0


@final
class Loader(Visitor):
    """Passes keys on to a target.

    Keys, and fields of hashes, that expired before `now_ms` are dropped (KEEP_EXPIRED: none, as on a replica or
    behind an AOF).
    """

    def __init__(self, target: LoadTarget, databases: int, now_ms: int) -> None:
        self.target: LoadTarget = target
        self.databases: i64 = databases
        self.now_ms: i64 = now_ms
        self.report: LoadReport = LoadReport()
        self.db_index: i64 = 0

    def on_header(self, version: int, is_valkey: bool) -> None:
        self.report.version = version
        self.report.is_valkey = is_valkey

    def on_aux(self, name: bytes, value: bytes) -> None:
        self.report.aux[name] = value
        if name == b"repl-id":
            self.now_ms = (
                -1
            )  # replicas may go on from here: what is due must be removed where they hear of it

    def on_database(self, index: i64) -> None:
        if index >= self.databases:
            raise CorruptError(f"File needs a database {index}, of {self.databases} configured")
        self.db_index = index

    def on_sizes(self, keys: i64, expires: i64) -> None:
        self.target.expect(self.db_index, keys, expires)

    def on_function(self, code: bytes) -> None:
        self.target.add_function(code)

    def on_module_key(self, key: bytes, module_type: bytes, attributes: KeyAttributes) -> None:
        name = module_type.decode("ascii")
        raise CorruptError(f"Value of the module type {name} cannot be loaded", int(attributes.offset))

    def on_end(self) -> None:
        self.target.complete()

    def on_key(self, key: bytes, value: bytes | Value, attributes: KeyAttributes) -> None:
        expire_at_ms = attributes.expire_at_ms
        report = self.report
        if not isinstance(value, bytes) and value.length() == 0 and value.type_name() != b"stream":
            report.keys_empty += 1
            return
        if expire_at_ms != -1 and self.now_ms >= 0 and expire_at_ms < self.now_ms:
            report.keys_expired += 1
            return
        if (
            isinstance(value, Hash)
            and value.expiring() > 0
            and self.now_ms >= 0
            and not self._drop_due(value)
        ):
            report.keys_expired += 1
            return
        self.target.add(
            self.db_index,
            key,
            value,
            expire_at_ms,
            attributes.idle_seconds,
            attributes.frequency,
            attributes.offset,
        )
        report.keys_loaded += 1

    def _drop_due(self, value: Hash) -> bool:
        """Drop the fields that expired; False when none is left."""
        table = value.table
        assert table is not None
        dropped: list[bytes] = []
        while remove_due(table, self.now_ms, len(table.buckets), dropped):
            pass
        self.report.fields_expired += len(dropped)
        return table.count > 0
