"""MIGRATE: keys move to another server, each of them at once.

Owns: the options, the requests that the target gets, what its replies mean for the keys here, and when a lost
connection is tried once more. Must not know: sockets (migration_door.py), what a payload looks like (rdb/payload.py).

Invariants: a key goes here only when the target has said that it has it; what goes is told to AOF and replicas as one
DEL, even where a later key failed. The server does nothing else meanwhile, and no wait for the target is longer than
the timeout.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.key_positions import migrate_keys
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.hashes import Hash
from gossamer.engine.client import Client
from gossamer.engine.migration_door import NO_DATABASE, MigrationTarget, TargetLost
from gossamer.keyspace.events import NOTIFY_GENERIC
from gossamer.rdb.payload import dump
from gossamer.rdb.values import version_with_field_expiry
from gossamer.resp.errors import SYNTAX

KEY_BESIDE_KEYS: Final = (
    b"ERR When using MIGRATE KEYS option, the key argument must be set to the empty string"
)
CANNOT_CONNECT: Final = b"IOERR error or timeout connecting to the client"
CANNOT_WRITE: Final = b"IOERR error or timeout writing to target instance"
CANNOT_READ: Final = b"IOERR error or timeout reading to target instance"
TARGET_REFUSED: Final = b"ERR Target instance replied with error: "
DEFAULT_TIMEOUT_MS: Final = 1000
CHUNK_BYTES: Final = 64 * 1024
_VALKEY_COMPAT: Final = 80


@final
class Migration:
    """One request, read; `keys` are those that it names, and later those of them that are here."""

    def __init__(self, argv: list[bytes]) -> None:
        self.host: bytes = argv[1]
        self.port: bytes = argv[2]
        self.copy: bool = False
        self.replace: bool = False
        self.login: list[bytes] = []  # AUTH and what follows it
        self.keys: list[bytes] = [argv[3]]
        self.read_options(argv)
        self.timeout_ms: i64 = integer_argument(argv[5])
        self.database: i64 = integer_argument(argv[4])
        if self.timeout_ms <= 0:
            self.timeout_ms = DEFAULT_TIMEOUT_MS

    def read_options(self, argv: list[bytes]) -> None:
        size: i64 = len(argv)
        at: i64 = 6
        while at < size:
            word = argv[at].lower()
            following: i64 = size - at - 1
            if word == b"copy":
                self.copy = True
            elif word == b"replace":
                self.replace = True
            elif word == b"auth" and following >= 1:
                self.login = [b"AUTH", argv[at + 1]]
                at += 1
            elif word == b"auth2" and following >= 2:
                self.login = [b"AUTH", argv[at + 1], argv[at + 2]]
                at += 2
            elif word == b"keys":
                if argv[3]:
                    raise CommandError(KEY_BESIDE_KEYS)
                self.keys = argv[at + 1 :]
                return
            else:
                raise CommandError(SYNTAX)
            at += 1


@final
class Transfer:
    """One attempt: the requests that went out, and what the target answered to them."""

    def __init__(self, client: Client, migration: Migration, target: MigrationTarget) -> None:
        self.client: Client = client
        self.migration: Migration = migration
        self.target: MigrationTarget = target
        self.selects: bool = target.database != migration.database
        self.writing: bool = True
        self.unsent: list[bytes] = []
        self.unsent_bytes: i64 = 0
        self.sent_keys: list[bytes] = []
        self.replied: i64 = 0  # of the keys
        self.moved: list[bytes] = [b"DEL"]
        self.refusal: bytes | None = None  # the first that the target sent

    def run(self) -> None:
        """Send every key and read every reply; raises TargetLost."""
        self.send_requests()
        self.writing = False
        self.read_replies()

    # -- sending ------------------------------------------------------------------------------------------

    def send_requests(self) -> None:
        """Keys are dumped as they go, so that no more than a piece of them waits in memory."""
        migration = self.migration
        if migration.login:
            self.request(migration.login)
        if self.selects:
            self.request([b"SELECT", b"%d" % migration.database])
        config = self.client.engine.config
        restore = b"RESTORE-ASKING" if config.flag("cluster-enabled") else b"RESTORE"
        version = config.number("rdb-version")
        for key in migration.keys:
            self.send_key(key, restore, version)
        self.flush()

    def send_key(self, key: bytes, restore: bytes, version: int) -> None:
        client = self.client
        value = client.db.peek(key)
        if value is None:
            return
        ttl_ms: i64 = 0
        expire_ms: i64 = client.db.expire_time(key)
        if expire_ms >= 0:
            ttl_ms = expire_ms - client.engine.clock.now_us() // 1000
            if ttl_ms < 0:
                return  # due while others were sent
            ttl_ms = max(ttl_ms, 1)
        if isinstance(value, Hash) and value.expiring() > 0:
            version = version_with_field_expiry(version, client.limits.compat >= _VALKEY_COMPAT)
        payload = dump(value, version, client.limits.rdb_compression != 0)
        words = [restore, key, b"%d" % ttl_ms, payload]
        if self.migration.replace:
            words.append(b"REPLACE")
        self.request(words)
        self.sent_keys.append(key)

    def request(self, words: list[bytes]) -> None:
        """One request behind those that wait; a piece of them leaves when it is large enough."""
        pieces = [b"*%d\r\n" % len(words)]
        for word in words:
            pieces.append(b"$%d\r\n" % len(word))
            pieces.append(word)
            pieces.append(b"\r\n")
        data = b"".join(pieces)
        self.unsent.append(data)
        self.unsent_bytes += i64(len(data))
        if self.unsent_bytes >= CHUNK_BYTES:
            self.flush()

    def flush(self) -> None:
        data = b"".join(self.unsent)
        self.unsent = []
        self.unsent_bytes = 0
        size: i64 = len(data)
        at: i64 = 0
        while at < size:
            end: i64 = min(at + CHUNK_BYTES, size)
            self.target.send(data[at:end], self.migration.timeout_ms)
            at = end

    # -- replies ------------------------------------------------------------------------------------------

    def read_replies(self) -> None:
        """Login and SELECT first: where one of them was refused, no key counts as moved."""
        timeout_ms = self.migration.timeout_ms
        refusal = b""
        if self.migration.login:
            reply = self.target.read_line(timeout_ms)
            if reply.startswith(b"-"):
                refusal = reply
        if self.selects:
            reply = self.target.read_line(timeout_ms)
            if reply.startswith(b"-") and not refusal:
                refusal = reply
        for key in self.sent_keys:
            reply = self.target.read_line(timeout_ms)
            self.replied += 1
            if refusal or reply.startswith(b"-"):
                if self.refusal is None:
                    self.refusal = (refusal or reply)[1:]
                    self.target.database = NO_DATABASE
            elif not self.migration.copy:
                self.remove(key)

    def remove(self, key: bytes) -> None:
        """The target has it."""
        self.client.db.delete(key)
        self.client.changed(key, NOTIFY_GENERIC, b"del")
        self.moved.append(key)


def migrate(client: Client, argv: list[bytes]) -> None:
    """MIGRATE host port key|"" destination-db timeout [COPY] [REPLACE] [AUTH password] [AUTH2 username password]
    [KEYS key ...]
    """
    migration = Migration(argv)
    db = client.db
    migration.keys = [key for key in migration.keys if db.find_read(key)]
    if not migration.keys:
        client.reply.simple(b"NOKEY")
        return
    targets = client.engine.migration_targets
    may_retry = True
    while True:
        target = targets.connect(migration.host, migration.port, migration.timeout_ms)
        if target is None:
            raise CommandError(CANNOT_CONNECT)
        transfer = Transfer(client, migration, target)
        lost: TargetLost | None = None
        try:
            transfer.run()
        except TargetLost as loss:
            lost = loss
            targets.forget(migration.host, migration.port)
        if lost is None or not may_retry or lost.timed_out or transfer.replied > 0:
            break
        may_retry = False
    if len(transfer.moved) > 1:
        client.propagate(transfer.moved)
    if transfer.refusal is not None:
        client.reply.error(TARGET_REFUSED + transfer.refusal)
    elif lost is not None:
        client.reply.error(CANNOT_WRITE if transfer.writing else CANNOT_READ)
    else:
        target.database = migration.database
        client.reply.ok()


COMMANDS: Final = (
    Command(
        b"migrate",
        migrate,
        -6,
        "write",
        "keyspace dangerous",
        (
            KeySpec("RW access delete", index=3),
            KeySpec(
                "RW access delete incomplete",
                keyword=b"KEYS",
                start_from=-2,
                last=-1,
            ),
        ),
        tips=(b"nondeterministic_output",),
        key_finder=migrate_keys,
    ),
)
