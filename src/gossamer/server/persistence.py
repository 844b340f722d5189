"""Persistence in a running server: loading at the start, snapshots and the append only file, the end.

Joins persistence/ to the engine, the loop and the log. While files are loaded the loop turns: clients connect and
hear -LOADING. Where there is an append only file it is the data set, and the snapshot is not looked at.
"""

from collections.abc import Callable

from mypy_extensions import i64

from gossamer.base.errors import CommandError, ConfigError, CorruptError
from gossamer.engine.config import Config
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_DISK_ERROR, GATE_LOADING
from gossamer.persistence.aof import AppendOnlyFile, Emergency
from gossamer.persistence.aof_loading import AofLoadError, AofLoading, prepare
from gossamer.persistence.aof_rewrite import FIRST_REWRITE, OFF, ON, Rewrites
from gossamer.persistence.doors import Background, Disk, Processes
from gossamer.persistence.loading import SnapshotLoading, load_snapshot
from gossamer.persistence.manifest import Manifest, ManifestError, decode_name, load_manifest
from gossamer.persistence.snapshot import SnapshotContent, Snapshots
from gossamer.server.log import Log
from gossamer.server.persistence_doors import EndOfProcess, FileDurability, LogDoor, Rewriter
from gossamer.server.persistence_facts import PersistenceFacts
from gossamer.server.storage import SystemBackground, SystemDisk, SystemProcesses
from gossamer.server.timed_processes import TimedProcesses

MISCONF = (
    b"MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that "
    b"may modify the data set are disabled, because this instance is configured to report errors during writes if "
    b"RDB snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the "
    b"RDB error."
)
MISCONF_AOF = b"MISCONF Errors writing to the AOF file: "
AOF_DIRECTIVES = ("appendfsync", "aof-timestamp-enabled", "aof-checksum-enabled", "no-appendfsync-on-rewrite")
RELOAD_FAILED = b"ERR Error trying to load the RDB dump, check server logs."
RELOAD_FAILED_70 = b"ERR Error trying to load the RDB dump"
SHUTDOWN_REFUSED = b"ERR Errors trying to SHUTDOWN. Check logs."


class LoadingFailed(Exception):
    """The data set cannot be loaded: the server must not start. The text is for the log."""


class Persistence:
    """Owns the snapshots and the append only file of a server, and the loading at its start."""

    def __init__(
        self,
        engine: Engine,
        config: Config,
        log: Log,
        disk: Disk | None = None,
        processes: Processes | None = None,
        background: Background | None = None,
        emergency: Emergency | None = None,
    ) -> None:
        """The doors are this machine's where none are given."""
        self.engine = engine
        self.config = config
        self.log = log
        self.disk: Disk = disk if disk is not None else SystemDisk()
        self.processes: Processes = TimedProcesses(
            engine, processes if processes is not None else SystemProcesses()
        )
        self.background: Background = background if background is not None else SystemBackground()
        events = LogDoor(log)
        content = SnapshotContent(engine.keyspace, config)
        content.functions = engine.functions.codes
        self.snapshots = Snapshots(content, engine.clock, self.disk, self.processes, events)
        self.aof = AppendOnlyFile(
            engine.clock,
            config,
            self.background,
            events,
            emergency if emergency is not None else EndOfProcess(log),
        )
        self.aof.latency = engine.latency
        self.snapshots.latency = engine.latency
        self.rewrites = Rewrites(
            self.aof, content, engine.clock, self.disk, self.processes, self.background, events
        )
        self.events = events
        engine.snapshots = self.snapshots
        engine.info_sources.append(PersistenceFacts(self))
        self.loading: SnapshotLoading | AofLoading | None = None
        self.manifest: Manifest | None = None  # of the append only file that is loaded
        self.loading_since_us: i64 = 0
        self.aof_in_trouble = False
        self.replacing = False  # a replica's data set is: nothing may be written of it
        self.loaded_aux: dict[bytes, bytes] = {}  # of the snapshot that was loaded at the start
        self.transfer_runs = False  # a child makes a snapshot for replicas
        self.fail: Callable[[str], None] = self.raise_failure
        self.when_loaded: list[Callable[[], None]] = []
        self.aof.follow()
        for name in AOF_DIRECTIVES:
            config.on_change(name, self.aof.follow)
        config.on_change("appendonly", self.follow_appendonly)
        engine.rewriter = Rewriter(self)
        engine.acknowledgements.door = FileDurability(self)

    def raise_failure(self, text: str) -> None:
        raise LoadingFailed(text)

    # -- loading ------------------------------------------------------------------------------------------

    def begin_loading(self) -> None:
        """Open what is to be loaded; the engine refuses commands until it is. Raises LoadingFailed."""
        if self.config.flag("appendonly"):
            self.begin_loading_aof()
        else:
            self.begin_loading_snapshot()
        if self.loading is not None:
            self.loading_since_us = self.engine.now_us
            self.engine.set_gate(GATE_LOADING, True)
        else:
            self.end_loading()

    def begin_loading_aof(self) -> None:
        try:
            self.manifest = prepare(self.disk, self.config, self.events)
            if self.manifest is not None:
                self.loading = AofLoading(self.engine, self.disk, self.config, self.events, self.manifest)
        except AofLoadError as error:
            raise LoadingFailed(str(error)) from error
        if self.manifest is None:
            self.warn_of_snapshot()
            self.begin_appending(0, None)

    def warn_of_snapshot(self) -> None:
        """There is no append only file yet: as in Redis the data set begins empty, whatever a snapshot holds."""
        name = self.snapshots.file_name()
        try:
            file = self.disk.open(name)
        except OSError:
            return
        if file is not None:
            file.close()
            self.log.warning(
                f"appendonly is on and there is no append only file: {name} is NOT loaded. To keep its data, start "
                "with appendonly no and then turn it on with CONFIG SET appendonly yes."
            )

    def begin_loading_snapshot(self) -> None:
        name = self.snapshots.file_name()
        try:
            self.know_manifest()
            file = self.disk.open(name)
        except ManifestError as problem:
            raise LoadingFailed("\n".join(problem.explain())) from problem
        except OSError as error:
            raise LoadingFailed(f"Fatal error loading the DB, check server logs: {error.strerror}") from error
        if file is not None:
            self.loading = SnapshotLoading(
                file, self.engine.keyspace, self.config.primary() is None, self.config.flag("rdbchecksum")
            )

    def know_manifest(self) -> None:
        """The append only file is off: its list is read all the same, so that turning it on goes on from there."""
        directory = decode_name(self.config.text("appenddirname"))
        if self.disk.is_directory(directory):
            listed = load_manifest(self.disk, directory, decode_name(self.config.text("appendfilename")))
            if listed is not None:
                self.rewrites.manifest = listed

    def step(self) -> int:
        """Load a piece (a timer of the loop): 0 while there is more, -1 at the end. Raises LoadingFailed."""
        loading = self.loading
        if loading is None:
            return -1
        if isinstance(loading, AofLoading):
            return self.step_aof(loading)
        return self.step_snapshot(loading)

    def step_aof(self, loading: AofLoading) -> int:
        try:
            if not loading.step(self.step_bytes()):
                return 0
        except AofLoadError as error:
            loading.close()
            self.fail(str(error))
            return -1
        loading.close()
        self.snapshots.keys_loaded = loading.keys_loaded
        self.begin_appending(loading.current_bytes, loading)
        self.end_loading()
        return -1

    def step_bytes(self) -> int:
        """How much is loaded before others are looked after."""
        return self.config.number("loading-process-events-interval-bytes")

    def begin_appending(self, loaded_bytes: i64, loading: AofLoading | None) -> None:
        """Everything is loaded: what is written from now on goes into the append only file."""
        try:
            self.rewrites.open_at_start(
                self.manifest, loaded_bytes, loading.last_checksums if loading is not None else None
            )
        except OSError as error:
            self.fail(f"Can't open the append-only file: {error.strerror or error}")
            return
        self.engine.feeds.append(self.aof)

    def step_snapshot(self, loading: SnapshotLoading) -> int:
        try:
            if not loading.step(self.step_bytes()):
                return 0
            if not loading.source.at_end():
                raise loading.source.fail("Bytes remain behind the end of the file")
            self.engine.functions.load_all(loading.target.functions)
        except (CorruptError, OSError) as error:
            loading.close()
            self.fail(f"Fatal error loading the DB {self.snapshots.file_name()}: {error}. Exiting.")
            return -1
        except CommandError as refusal:
            loading.close()
            self.fail(f"Failed loading a function library: {refusal.message.decode('utf-8', 'replace')}")
            return -1
        loading.close()
        report = loading.report()
        self.snapshots.note_loaded(report)
        self.loaded_aux = report.aux
        self.engine.state.dirty = 0
        elapsed_s = (self.engine.clock.now_us() - self.loading_since_us) / 1_000_000
        self.log.notice(
            f"Done loading RDB, keys loaded: {report.keys_loaded}, keys expired: {report.keys_expired}."
        )
        self.log.notice(f"DB loaded from disk: {elapsed_s:.3f} seconds")
        self.end_loading()
        return -1

    def end_loading(self) -> None:
        self.loading = None
        self.engine.set_gate(GATE_LOADING, False)
        for call in self.when_loaded:
            call()

    def reload(self, save: bool, flush: bool, merge: bool) -> bytes | None:
        """DEBUG RELOAD; the error reply where it failed. With `merge`, keys that are there already stay."""
        engine = self.engine
        if save:
            if not self.snapshots.save():
                return b"ERR Error trying to save the DB, can't reload"
            self.snapshots.saves -= 1  # nobody asked for a save
        if flush:
            for database in engine.keyspace.databases:
                engine.watches.touch_all(database.index, -1)
                database.clear()
        try:
            loaded = load_snapshot(
                self.disk, self.snapshots.file_name(), engine.keyspace, self.config.flag("rdbchecksum"), merge
            )
            if loaded is not None:
                self.snapshots.note_loaded(loaded.report())
                if flush:
                    engine.functions.clear()
                for code in loaded.target.functions:
                    engine.functions.load(code, merge)
        except CommandError as refusal:
            self.log.warning(f"DEBUG RELOAD: {refusal.message.decode('utf-8', 'replace')}")
            return RELOAD_FAILED if engine.limits.compat >= 72 else RELOAD_FAILED_70
        except (CorruptError, OSError) as error:
            self.log.warning(f"DEBUG RELOAD: {error}")
            return RELOAD_FAILED if engine.limits.compat >= 72 else RELOAD_FAILED_70
        self.log.notice("DB reloaded by DEBUG RELOAD")
        return None

    def reload_aof(self) -> bytes | None:
        """DEBUG LOADAOF: write everything, forget it, and load it again; the error reply where that failed."""
        rewrites = self.rewrites
        if rewrites.state == ON and not self.aof.settle():
            return b"ERR Error trying to load the AOF files, check server logs."
        for database in self.engine.keyspace.databases:
            self.engine.watches.touch_all(database.index, -1)
            database.clear()
        self.engine.functions.clear()
        try:
            loading = AofLoading(self.engine, self.disk, self.config, self.events, rewrites.manifest)
            while not loading.step():
                pass
        except AofLoadError as error:
            self.log.warning(str(error))
            return b"ERR Error trying to load the AOF files, check server logs."
        self.snapshots.keys_loaded = loading.keys_loaded
        self.log.notice("Append Only File loaded by DEBUG LOADAOF")
        return None

    # -- the append only file -----------------------------------------------------------------------------

    def follow_appendonly(self) -> None:
        """CONFIG SET appendonly, which is refused while loading; raises ConfigError where it cannot be turned on."""
        wanted = self.config.flag("appendonly")
        rewrites = self.rewrites
        if wanted and rewrites.state == OFF:
            rewrites.other_child_active = self.snapshots.in_background() or self.transfer_runs
            if not rewrites.turn_on(self.engine.call_depth > 0):
                raise ConfigError("Unable to turn on AOF. Check server logs.")
            self.engine.feeds.append(self.aof)
        elif not wanted and rewrites.state != OFF:
            self.engine.feeds.remove(self.aof)
            rewrites.turn_off()
        self.watch_children()

    def suspend_appending(self) -> None:
        """The data set is about to be replaced as a whole: what the append only file has is history."""
        if self.rewrites.state != OFF:
            self.engine.feeds.remove(self.aof)
            self.rewrites.turn_off()

    def resume_appending(self) -> bool:
        """Begin the append only file anew with the data set of now, where there is to be one; False on failure."""
        if self.rewrites.state == OFF and self.config.flag("appendonly"):
            try:
                self.follow_appendonly()
            except ConfigError:
                return False
        return True

    def request_rewrite(self, may_run_now: bool) -> bool:
        """BGREWRITEAOF: True where it began, False where it waits. Raises CommandError."""
        self.watch_children()
        began = self.rewrites.request(may_run_now)
        self.watch_children()
        return began

    def watch_children(self) -> None:
        """Tell each of the two whether the other has a child."""
        self.rewrites.other_child_active = self.snapshots.in_background() or self.transfer_runs
        self.snapshots.other_child_active = self.rewrites.in_progress() or self.transfer_runs

    def before_flush(self) -> None:
        """Before replies leave: what was written gets to where the policy promises."""
        aof = self.aof
        if self.engine.debug.aof_flush_sleep_us and aof.is_open():
            self.engine.hooks.sleep(float(self.engine.debug.aof_flush_sleep_us) / 1_000_000)
        aof.flush()
        if (aof.write_error != "" or aof.sync_error != "") != self.aof_in_trouble:
            self.refuse_or_allow_writes()

    def refuse_or_allow_writes(self) -> None:
        self.aof_in_trouble = self.aof.trouble() != ""
        self.engine.set_gate(GATE_DISK_ERROR, self.refusal() is not None)

    # -- cron ---------------------------------------------------------------------------------------------

    def cron(self) -> None:
        """Children, save points, rewrites, and whether writes are refused."""
        if self.loading is not None or self.replacing:
            return
        self.aof.cron()
        self.watch_children()
        self.rewrites.cron()
        self.watch_children()
        self.snapshots.cron()
        self.watch_children()
        self.refuse_or_allow_writes()

    def refusal(self) -> bytes | None:
        """Why writes are refused now, or None."""
        if not self.snapshots.may_write():
            return MISCONF
        trouble = self.aof.trouble()
        return MISCONF_AOF + trouble.encode("utf-8", "replace") if trouble else None

    # -- the end ------------------------------------------------------------------------------------------

    def before_shutdown(self, save: bool | None, force: bool) -> bool:
        """Do what a shutdown has to do with the disk; False where the server must not end (that failed)."""
        if self.loading is not None or self.replacing:
            return True
        rewrites = self.rewrites
        rewrites.finish_ended()
        if rewrites.state == FIRST_REWRITE and rewrites.in_progress():
            if not force:
                self.log.warning("Writing initial AOF, can't exit.")
                return False
            self.log.warning("Writing initial AOF. Exit anyway.")
        if self.snapshots.in_background():
            self.log.warning("There is a child saving an .rdb. Killing it!")
            self.snapshots.cancel_background()
        if rewrites.in_progress():
            self.log.warning("There is a child rewriting the AOF. Killing it!")
        rewrites.cancel()
        if rewrites.state == ON:
            self.log.notice("Calling fsync() on the AOF file.")
            if not self.aof.settle() and not force:
                self.log.warning("Error writing the append only file, can't exit.")
                return False
        wanted = bool(self.config.save_points()) if save is None else save
        if not wanted:
            return True
        self.log.notice("Saving the final RDB snapshot before exiting.")
        if self.snapshots.save():
            return True
        if force:
            self.log.warning("Error trying to save the DB. Exit anyway.")
            return True
        self.log.warning("Error trying to save the DB, can't exit.")
        return False
