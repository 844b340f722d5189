"""Persistence in a running server: loading at the start, snapshots by cron, the last save at shutdown.

Joins persistence/ to the engine, the loop and the log. While a file is loaded the loop turns: clients connect and
hear -LOADING.
"""

from collections.abc import Callable

from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.engine.config import Config
from gossamer.engine.doors import InfoSource
from gossamer.engine.engine import GATE_DISK_ERROR, GATE_LOADING, Engine
from gossamer.persistence.doors import Background, Disk, EventLog, Processes
from gossamer.persistence.loading import SnapshotLoading, load_snapshot
from gossamer.persistence.snapshot import SnapshotContent, Snapshots
from gossamer.server.log import Log
from gossamer.server.storage import SystemBackground, SystemDisk, SystemProcesses

MISCONF = (
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    b"may modify the data set are disabled, because this instance is configured to report errors during writes if "
    b"RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the "
    b"RDB error."
)
SHUTDOWN_REFUSED = b"ERR Errors trying to SHUTDOWN. Check logs."


class LoadingFailed(Exception):
    """The data set cannot be loaded: the server must not start. The text is for the log."""


class LogDoor(EventLog):
    """The log, as persistence sees it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def notice(self, text: str) -> None:
        self.log.notice(text)

    def warning(self, text: str) -> None:
        self.log.warning(text)


class Persistence(InfoSource):
    """Owns the snapshots of a server and the loading at its start."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        log: Log,
        disk: Disk | None = None,
        processes: Processes | None = None,
        background: Background | None = None,
    ) -> None:
        """The doors are this machine's where none are given."""
        self.engine = engine
        self.config = config
        self.log = log
        self.disk: Disk = disk if disk is not None else SystemDisk()
        self.processes: Processes = processes if processes is not None else SystemProcesses()
        self.background: Background = background if background is not None else SystemBackground()
        self.snapshots = Snapshots(
            SnapshotContent(engine.keyspace, config), engine.clock, self.disk, self.processes, LogDoor(log)
        )
        engine.snapshots = self.snapshots
        engine.info_sources.append(self)
        self.loading: SnapshotLoading | None = None
        self.loading_since_us: i64 = 0
        self.fail: Callable[[str], None] = self.raise_failure

    def raise_failure(self, text: str) -> None:
        raise LoadingFailed(text)

    # -- loading ------------------------------------------------------------------------------------------

    def begin_loading(self) -> None:
        """Open the snapshot, if there is one; the engine refuses commands until it is loaded."""
        name = self.snapshots.file_name()
        try:
            file = self.disk.open(name)
        except OSError as error:
            raise LoadingFailed(f"Fatal error loading the DB, check server logs: {error.strerror}") from error
        if file is None:
            return
        self.loading = SnapshotLoading(file, self.engine.keyspace, True, self.config.flag("rdbchecksum"))
        self.loading_since_us = self.engine.now_us
        self.engine.set_gate(GATE_LOADING, True)

    def step(self) -> int:
        """Load a piece (a timer of the loop): 0 while there is more, -1 at the end. Raises LoadingFailed."""
        loading = self.loading
        if loading is None:
            return -1
        try:
            if not loading.step():
                return 0
            if not loading.source.at_end():
                raise loading.source.fail("Bytes remain behind the end of the file")
        except (CorruptError, OSError) as error:
            loading.close()
            self.fail(f"Fatal error loading the DB {self.snapshots.file_name()}: {error}. Exiting.")
            return -1
        loading.close()
        self.loading = None
        self.snapshots.content.functions = loading.target.functions
        report = loading.report()
        self.snapshots.keys_loaded = report.keys_loaded
        self.snapshots.keys_expired_at_load = report.keys_expired
        self.engine.state.dirty = 0
        self.engine.set_gate(GATE_LOADING, False)
        elapsed_s = (self.engine.clock.now_us() - self.loading_since_us) / 1_000_000
        self.log.notice(
            f"Done loading RDB, keys loaded: {report.keys_loaded}, keys expired: {report.keys_expired}."
        )
        self.log.notice(f"DB loaded from disk: {elapsed_s:.3f} seconds")
        return -1

    def reload(self, save: bool, flush: bool, merge: bool) -> bytes | None:
        """DEBUG RELOAD; the error reply where it failed. With `merge`, keys that are there already stay."""
        engine = self.engine
        if save and not self.snapshots.save():
            return b"ERR Error trying to save the DB, can't reload"
        if flush:
            for database in engine.keyspace.databases:
                engine.watches.touch_all(database.index, -1)
                database.clear()
        try:
            load_snapshot(
                self.disk, self.snapshots.file_name(), engine.keyspace, self.config.flag("rdbchecksum"), merge
            )
        except (CorruptError, OSError) as error:
            self.log.warning(f"DEBUG RELOAD: {error}")
            return b"ERR Error trying to load the RDB dump, check server logs."
        self.log.notice("DB reloaded by DEBUG RELOAD")
        return None

    # -- cron ---------------------------------------------------------------------------------------------

    def cron(self) -> None:
        """Children, save points, and whether writes are refused."""
        if self.loading is not None:
            return
        self.snapshots.cron()
        self.engine.set_gate(GATE_DISK_ERROR, not self.snapshots.may_write())

    def refusal(self) -> bytes | None:
        """Why writes are refused now, or None."""
        return None if self.snapshots.may_write() else MISCONF

    # -- the end ------------------------------------------------------------------------------------------

    def before_shutdown(self, save: bool | None, force: bool) -> bool:
        """Do what a shutdown has to do with the disk; False where the server must not end (the save failed)."""
        if self.loading is not None:
            return True
        self.snapshots.cancel_background()
        wanted = bool(self.config.save_points()) if save is None else save
        if not wanted:
            return True
        self.log.notice("Saving the final RDB snapshot before exiting.")
        if self.snapshots.save() or force:
            return True
        self.log.warning("Error trying to save the DB, can't exit.")
        return False

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        snapshots = self.snapshots
        now_s = int(self.engine.now_us // 1_000_000)
        facts[b"rdb_bgsave_in_progress"] = 1 if snapshots.in_background() else 0
        facts[b"rdb_last_save_time"] = int(snapshots.last_save_s)
        facts[b"rdb_last_bgsave_status"] = b"ok" if snapshots.last_background_ok else b"err"
        facts[b"rdb_last_bgsave_time_sec"] = int(snapshots.last_background_took_s)
        since = int(snapshots.background_since_s)
        facts[b"rdb_current_bgsave_time_sec"] = now_s - since if since >= 0 else -1
        facts[b"rdb_saves"] = int(snapshots.saves)
        facts[b"rdb_last_load_keys_expired"] = int(snapshots.keys_expired_at_load)
        facts[b"rdb_last_load_keys_loaded"] = int(snapshots.keys_loaded)
        loading = self.loading
        if loading is not None:
            self.add_loading_facts(facts, loading)

    def add_loading_facts(self, facts: dict[bytes, bytes | int], loading: SnapshotLoading) -> None:
        total, loaded = int(loading.total_bytes), int(loading.loaded_bytes())
        elapsed_s = (int(self.engine.now_us) - int(self.loading_since_us)) / 1_000_000
        facts[b"loading"] = 1
        facts[b"loading_start_time"] = int(self.loading_since_us) // 1_000_000
        facts[b"loading_total_bytes"] = total
        facts[b"loading_loaded_bytes"] = loaded
        facts[b"loading_loaded_perc"] = f"{100 * loaded / max(1, total):.2f}".encode()
        facts[b"loading_eta_seconds"] = int(elapsed_s * (total - loaded) / loaded) if loaded else 1
