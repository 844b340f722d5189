"""Snapshots: the whole keyspace as one RDB file, made at once or by a child process.

Owns when a snapshot is due, how it gets to the disk, and what is remembered of it. A snapshot is written
under a temporary name, synced, renamed over the old one, and the directory synced: a crash at any moment
leaves the old file or the new one, whole. Reaches files and processes only through doors.

Invariants: at most one child makes a snapshot; `state.dirty` falls only by what a successful snapshot holds;
a failed one leaves no temporary file behind.
"""

from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.errors import CommandError
from gossamer.base.limits import POLICY_LFU, POLICY_LRU
from gossamer.datatypes.streams import Stream
from gossamer.engine.config import Config
from gossamer.engine.latency import LatencyMonitor
from gossamer.engine.snapshot_door import SnapshotDoor
from gossamer.keyspace.access import lfu_decayed, lru_idle_seconds
from gossamer.keyspace.database import Database
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.walker import Walker
from gossamer.persistence.doors import Disk, EventLog, Job, OutputFile, Processes
from gossamer.rdb.format import VERSION_WITH_LISTPACKS
from gossamer.rdb.loader import LoadReport
from gossamer.rdb.streams import has_history
from gossamer.rdb.values import version_with_field_expiry
from gossamer.rdb.writer import Writer
from gossamer.resp.personality import personality_of

ALREADY_RUNNING: Final = b"ERR Background save already in progress"
OTHER_CHILD: Final = (
    b"ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE SCHEDULE in order to "
    b"schedule a BGSAVE whenever possible."
)
FAILED: Final = b"ERR"

RETRY_DELAY_S: Final = 5  # between attempts of save points after a failure
INCREMENTAL_SYNC_BYTES: Final = 4 << 20

# What is kept beside a key of how it was used.
HINT_NONE: Final = 0
HINT_IDLE: Final = 1
HINT_FREQUENCY: Final = 2

# Who is to read what is written.
READERS_UNKNOWN: Final = 0  # or of both kinds
READERS_REDIS: Final = 1
READERS_VALKEY: Final = 2


@final
class SyncingSink:
    """Writes to a file and has it synced every few megabytes, so that the last sync is no long stall."""

    def __init__(self, file: OutputFile, incremental: bool) -> None:
        self.file: OutputFile = file
        self.incremental: bool = incremental
        self.unsynced_bytes: i64 = 0

    def write(self, data: bytes) -> None:
        self.file.write(data)
        self.unsynced_bytes += len(data)
        if self.incremental and self.unsynced_bytes >= INCREMENTAL_SYNC_BYTES:
            self.file.sync()
            self.unsynced_bytes = 0


@final
class SnapshotContent:
    """Writes the keyspace as it is now."""

    def __init__(self, keyspace: Keyspace, config: Config) -> None:
        self.keyspace: Keyspace = keyspace
        self.config: Config = config
        self.functions: list[bytes] = []  # the code of every function library
        # repl-stream-db, repl-id, repl-offset: where in which history this data set stands, if in any
        self.replication_aux: list[tuple[bytes, bytes]] = []
        self.readers: i64 = READERS_UNKNOWN
        self.wanted_version: int = 0  # in place of the configured one, where it is for a replica
        self.find_replication_aux: Callable[[], list[tuple[bytes, bytes]]] | None = None

    def version(self) -> int:
        """The version to write: the configured one, or the first that holds what the keyspace has."""
        version = self.wanted_version or max(self.config.number("rdb-version"), VERSION_WITH_LISTPACKS)
        for database in self.keyspace.databases:
            if database.field_expiry.count() > 0:
                return version_with_field_expiry(version, self.is_for_valkey())
        return version

    def is_for_valkey(self) -> bool:
        """Whose newer format is to be taken where the common ones do not do: the reader's, else that of our kind."""
        if self.readers != READERS_UNKNOWN:
            return self.readers == READERS_VALKEY
        return personality_of(int(self.keyspace.state.limits.compat)).is_valkey

    def version_for_replica(self, wanted: int) -> int:
        """The one that it asks for, or the next that holds everything; with `rdb-version 9` what must may be lost."""
        loses = (
            wanted < VERSION_WITH_LISTPACKS and self.config.number("rdb-version") >= VERSION_WITH_LISTPACKS
        )
        return VERSION_WITH_LISTPACKS if loses and not self.fits_version_9() else wanted

    def fits_version_9(self) -> bool:
        """Whether it loses nothing: no function libraries, no stream that remembers what it does not hold."""
        if self.functions:
            return False
        for database in self.keyspace.databases:
            walker = Walker(database)
            while walker.next():
                value = walker.value
                if isinstance(value, Stream) and has_history(value):
                    return False
        return True

    def version_notice(self) -> str | None:
        """What to tell the operator where another version is written than the configured one."""
        configured = max(self.config.number("rdb-version"), VERSION_WITH_LISTPACKS)
        written = self.version()
        if written == configured:
            return None
        return (
            f"Writing RDB version {written} and not {configured} (rdb-version): "
            "the data set has hashes with expiring fields, which older versions cannot hold"
        )

    def write(self, sink: Callable[[bytes], None], now_s: i64, aof_base: bool) -> None:
        """The whole file."""
        config = self.config
        personality = personality_of(int(self.keyspace.state.limits.compat))
        writer = Writer(sink, self.version(), config.flag("rdbcompression"), config.flag("rdbchecksum"))
        writer.begin()
        writer.aux(b"valkey-ver" if personality.is_valkey else b"redis-ver", personality.version)
        writer.aux(b"redis-bits", b"64")
        writer.aux(b"ctime", str(int(now_s)).encode())
        writer.aux(b"used-mem", str(int(self.keyspace.used_bytes())).encode())
        aux = self.replication_aux
        if not aux and self.find_replication_aux is not None and not aof_base:
            aux = self.find_replication_aux()
        for name, value in aux:
            writer.aux(name, value)
        writer.aux(b"aof-base", b"1" if aof_base else b"0")
        for code in self.functions:
            writer.function(code)
        hint = self._hint()
        for database in self.keyspace.databases:
            if database.size() > 0:
                write_database(writer, database, hint)
        writer.end()

    def _hint(self) -> i64:
        policy = self.keyspace.state.limits.maxmemory_policy
        if policy & POLICY_LFU:
            return HINT_FREQUENCY
        return HINT_IDLE if policy & POLICY_LRU else HINT_NONE


def write_database(writer: Writer, database: Database, hint: i64) -> None:
    """All keys of one database, due ones included."""
    state = database.state
    limits = state.limits
    now_ms = state.now_ms
    writer.database(database.index, database.size(), database.table.expires_count)
    walker = Walker(database)
    while walker.next():
        expire: i64 = walker.expire_ms if walker.expire_ms != 0 else -1
        idle: i64 = -1
        frequency: i64 = -1
        if hint == HINT_IDLE:
            idle = lru_idle_seconds(walker.access, now_ms)
        elif hint == HINT_FREQUENCY:
            frequency = lfu_decayed(walker.access, now_ms // 60000, limits)
        value = walker.value
        if value is None:
            writer.packed_key(walker.key, walker.kind, walker.payload, expire, idle, frequency)
        else:
            writer.key(walker.key, value, expire, idle, frequency)
        if limits.rdb_key_save_delay_us != 0:
            state.delay.wait(limits.rdb_key_save_delay_us)


@final
class SnapshotJob(Job):
    """What the child does."""

    def __init__(self, snapshots: "Snapshots") -> None:
        self.snapshots: Snapshots = snapshots

    def run(self) -> i64:
        snapshots = self.snapshots
        return 0 if snapshots.write_file(temporary_name(snapshots.processes.own_id())) else 1


def temporary_name(process_id: i64) -> str:
    return f"temp-{process_id}.rdb"


@final
class Snapshots(SnapshotDoor):
    """Makes snapshots and knows of the last one. `cron` is to be called several times a second."""

    def __init__(
        self,
        content: SnapshotContent,
        clock: Clock,
        disk: Disk,
        processes: Processes,
        log: EventLog,
    ) -> None:
        super().__init__()
        self.content: SnapshotContent = content
        self.config: Config = content.config
        self.clock: Clock = clock
        self.latency: LatencyMonitor = LatencyMonitor()  # the engine's, once there is one
        self.disk: Disk = disk
        self.processes: Processes = processes
        self.log: EventLog = log
        self.child_id: i64 = -1
        self.dirty_at_start: i64 = 0
        self.last_background_try_s: i64 = 0
        self.last_copied_bytes: i64 = 0  # by the last child, copy on write
        self.scheduled: bool = False
        self.other_child_active: bool = False  # an AOF rewrite, a transfer to a replica
        self.last_save_s = self.now_s()

    def now_s(self) -> i64:
        return self.clock.now_us() // 1_000_000

    def file_name(self) -> str:
        return self.config.text("dbfilename").decode("utf-8", "surrogateescape")

    def in_background(self) -> bool:
        return self.child_id != -1

    # -- writing ------------------------------------------------------------------------------------------

    def write_file(self, temporary: str) -> bool:
        """Write the keyspace under a temporary name and put it in the place of the last snapshot."""
        disk = self.disk
        try:
            file = disk.create(temporary)
            try:
                sink = SyncingSink(file, self.config.flag("rdb-save-incremental-fsync"))
                notice = self.content.version_notice()
                if notice is not None:
                    self.log.notice(notice)
                self.content.write(sink.write, self.now_s(), False)
                file.sync()
            finally:
                file.close()
            disk.rename(temporary, self.file_name())
            disk.sync_directory()
        except OSError as error:
            self.log.warning(f"Write error saving DB on disk: {error.strerror or error}")
            self.remove_temporary(temporary)
            return False
        self.log.notice("DB saved on disk")
        return True

    def remove_left(self, temporary: str) -> None:
        """Remove what a child left that was killed; with a large file that takes time."""
        since_us: i64 = self.clock.now_us()
        self.remove_temporary(temporary)
        self.latency.note_span(b"rdb-unlink-temp-file", since_us, self.clock.now_us())

    def remove_temporary(self, temporary: str) -> None:
        try:
            self.disk.remove(temporary)
        except OSError as error:
            self.log.warning(f"Cannot remove {temporary}: {error.strerror or error}")

    def save(self) -> bool:
        if self.in_background():
            raise CommandError(ALREADY_RUNNING)
        dirty = self.content.keyspace.state.dirty
        self.saves += 1
        if not self.write_file(temporary_name(self.processes.own_id())):
            return False
        self.note_success(dirty)
        return True

    def note_success(self, dirty: i64) -> None:
        """A snapshot that holds so many of the changes is on the disk."""
        self.content.keyspace.state.dirty -= dirty
        self.last_save_s = self.now_s()
        self.last_background_ok = True

    def note_loaded(self, report: LoadReport) -> None:
        """What a file held that was loaded last."""
        self.keys_loaded = report.keys_loaded
        self.keys_expired_at_load = report.keys_expired

    # -- in the background --------------------------------------------------------------------------------

    def start_background(self, may_wait: bool, may_run_now: bool = True) -> bool:
        if self.in_background():
            raise CommandError(ALREADY_RUNNING)
        if self.other_child_active and may_run_now and not may_wait:
            raise CommandError(OTHER_CHILD)
        if self.other_child_active or not may_run_now:
            self.scheduled = True
            return False
        if not self.fork():
            raise CommandError(FAILED)
        return True

    def fork(self) -> bool:
        self.scheduled = False
        self.saves += 1
        self.dirty_at_start = self.content.keyspace.state.dirty
        self.last_background_try_s = self.now_s()
        try:
            self.child_id = self.processes.fork(SnapshotJob(self))
        except OSError as error:
            self.last_background_ok = False
            self.log.warning(f"Can't save in background: fork: {error.strerror or error}")
            return False
        self.background_since_s = self.now_s()
        self.log.notice(f"Background saving started by pid {self.child_id}")
        return True

    def finish_background(self, status: i64) -> None:
        """The child has ended."""
        if status == 0:
            self.log.notice("Background saving terminated with success")
            self.note_success(self.dirty_at_start)
        elif status > 0:
            self.log.warning("Background saving error")
            self.last_background_ok = False
        else:
            self.log.warning(f"Background saving terminated by signal {-status}")
            self.remove_left(temporary_name(self.child_id))
            self.last_background_ok = False
        self.last_copied_bytes = self.processes.copied_bytes()
        self.log.notice(f"Fork CoW for RDB: {self.last_copied_bytes >> 20} MB")
        self.last_background_took_s = self.now_s() - self.background_since_s
        self.background_since_s = -1
        self.child_id = -1

    def on_flushed_all(self) -> None:
        """Give up a snapshot under way; where there are save points, write the empty data set at once."""
        self.cancel_background()
        if self.config.save_points():
            self.save()

    def cancel_background(self) -> None:
        """End a snapshot that is under way (a last save at shutdown, a full synchronisation)."""
        if not self.in_background():
            return
        self.processes.kill(self.child_id)
        self.remove_left(temporary_name(self.child_id))
        self.background_since_s = -1
        self.child_id = -1

    def cron(self) -> None:
        """See whether a child has ended and whether a snapshot is due."""
        if self.in_background():
            status = self.processes.exit_status(self.child_id)
            if status is not None:
                self.finish_background(status)
            return
        if self.other_child_active:
            return
        if self.scheduled:
            if self.last_background_ok or self.now_s() - self.last_background_try_s > RETRY_DELAY_S:
                self.fork()
            return
        dirty = self.content.keyspace.state.dirty
        if dirty == 0:
            return
        now_s = self.now_s()
        for seconds, changes in self.config.save_points():
            if dirty >= changes and now_s - self.last_save_s > seconds:
                if self.last_background_ok or now_s - self.last_background_try_s > RETRY_DELAY_S:
                    self.log.notice(f"{changes} changes in {seconds} seconds. Saving...")
                    self.fork()
                return

    def may_write(self) -> bool:
        """False while stop-writes-on-bgsave-error applies."""
        if self.last_background_ok or not self.config.flag("stop-writes-on-bgsave-error"):
            return True
        return not self.config.save_points()
