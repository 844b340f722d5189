"""A replica's sockets and files: the connection to the primary, and the way of its snapshot into the data set.

Drives `replication/primary_link.py`. By way of a file in `dir`, which then is the server's own snapshot, or directly
from the connection (`repl-diskless-load`).

Invariants: while a data set is being replaced commands are refused with -LOADING, unless the old one stays whole
beside it; what could not be loaded whole is emptied before the gate opens; no snapshot and no append only file is
written of a part.
"""

import os
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError, ConfigError, CorruptError
from gossamer.engine.config import Config
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_ASYNC_LOADING, GATE_LOADING
from gossamer.keyspace.keyspace import Keyspace
from gossamer.persistence.doors import InputFile
from gossamer.persistence.loading import SnapshotLoading
from gossamer.replication.primary import Primary
from gossamer.replication.primary_link import LinkDoor, PrimaryLink
from gossamer.server.connection import TlsError
from gossamer.server.log import Log
from gossamer.server.loop import Loop
from gossamer.server.oom_score import OomScore
from gossamer.server.outgoing import OutgoingConnection, OutgoingHandler
from gossamer.server.persistence import LoadingFailed, Persistence
from gossamer.server.storage import SystemInputFile

SYNC_EVERY_BYTES: Final = 8 << 20  # of a file that arrives, so that the last sync does not take long
PIECES_MAX_BYTES: Final = 8 << 20  # that wait to be loaded before the connection is read again
WAIT_S: Final = 0.05
APPENDING_ATTEMPTS: Final = 10


@final
class LinkHandler(OutgoingHandler):
    """The connection's way to the link."""

    def __init__(self, sync: "ReplicaSync") -> None:
        self.sync: ReplicaSync = sync

    def on_connected(self) -> None:
        self.sync.link.connected()

    def on_data(self, data: bytes) -> None:
        self.sync.link.receive(data)

    def on_lost(self, reason: str) -> None:
        self.sync.connection = None
        self.sync.link.lost(reason)


@final
class ArrivingFile(InputFile):
    """A snapshot that is loaded while it arrives: reading waits, and others are looked after meanwhile."""

    def __init__(self, sync: "ReplicaSync", size: i64) -> None:
        self.sync: ReplicaSync = sync
        self.size: i64 = size
        self.pieces: list[bytes] = []
        self.pieces_bytes: i64 = 0
        self.whole: bool = False
        self.broken: bool = False

    def size_bytes(self) -> i64:
        return self.size

    def read(self, size: int) -> bytes:
        while not self.pieces and not self.whole:
            if self.broken or self.sync.loop.stopped:
                raise OSError(104, "the link to the primary was lost")
            self.sync.wait()
        if not self.pieces:
            return b""
        data = self.pieces[0]
        if len(data) <= size:
            self.pieces.pop(0)
        else:
            self.pieces[0] = data[size:]
            data = data[:size]
        self.pieces_bytes -= len(data)
        if self.pieces_bytes < PIECES_MAX_BYTES:
            self.sync.hold(False)
        return data

    def close(self) -> None:
        self.pieces = []


@final
class ReplicaSync(LinkDoor):
    """One server's side as a replica. `link` is the protocol."""

    def __init__(
        self,
        engine: Engine,
        loop: Loop,
        persistence: Persistence,
        primary: Primary,
        config: Config,
        log: Log,
        oom_score: OomScore,
    ) -> None:
        self.engine: Engine = engine
        self.loop: Loop = loop
        self.persistence: Persistence = persistence
        self.config: Config = config
        self.logbook: Log = log
        self.oom_score: OomScore = oom_score
        self.link: PrimaryLink = PrimaryLink(engine, primary, self)
        primary.link = self.link
        self.connection: OutgoingConnection | None = None
        self.path: str = ""  # of the file that arrives
        self.descriptor: int = -1  # of that file
        self.unsynced_bytes: i64 = 0
        self.arriving: ArrivingFile | None = None
        self.loading: SnapshotLoading | None = None
        self.beside: Keyspace | None = None  # the new data set while the old one is kept
        self.replaced: bool = False  # the old data set is gone

    # -- the connection -----------------------------------------------------------------------------------

    def connect(self, host: bytes, port: i64) -> None:
        connection = OutgoingConnection(self.loop, LinkHandler(self))
        self.connection = connection
        try:
            context: object | None = None
            if self.config.flag("tls-replication"):
                from gossamer.server import tls

                context = tls.client_context(self.config)
            connection.connect(host, int(port), context, self.config.text("bind-source-addr"))
        except (OSError, TlsError) as error:
            self.connection = None
            connection.close()
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            self.link.lost(f"Unable to connect to MASTER: {text}")

    def send(self, data: bytes) -> None:
        connection = self.connection
        if connection is not None:
            connection.send(data)

    def disconnect(self) -> None:
        connection = self.connection
        self.connection = None
        if connection is not None:
            connection.close()

    def hold(self, on: bool) -> None:
        connection = self.connection
        if connection is not None:
            connection.hold(on)

    def wait(self) -> None:
        """Somebody needs bytes of the primary that are not here: let everybody go on for a moment."""
        timeout_us: i64 = self.config.number("repl-timeout") * 1_000_000
        self.loop.turn_within_command(WAIT_S)
        if self.engine.now_us - self.link.heard_us > timeout_us:
            self.link.break_off("Timeout receiving bulk data from MASTER...")

    # -- the snapshot arrives -----------------------------------------------------------------------------

    def begin_snapshot(self, size: i64) -> None:
        mode = self.config.choice("repl-diskless-load")
        if mode == b"swapdb" or (mode == b"on-empty-db" and self.engine.keyspace.size() == 0):
            self.begin_directly(size, mode == b"swapdb")
            return
        self.path = f"temp-{int(self.engine.now_us) // 1_000_000}.{os.getpid()}.rdb"
        self.unsynced_bytes = 0
        try:
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            self.link.break_off(
                f"Opening the temp file needed for MASTER <-> REPLICA synchronization: {error}"
            )

    def take_snapshot(self, data: bytes) -> None:
        arriving = self.arriving
        if arriving is not None:
            arriving.pieces.append(data)
            arriving.pieces_bytes += len(data)
            if arriving.pieces_bytes >= PIECES_MAX_BYTES:
                self.hold(True)
            return
        if self.descriptor < 0:
            return
        try:
            written = os.write(self.descriptor, data)
            while written < len(data):
                written += os.write(self.descriptor, data[written:])
            self.unsynced_bytes += len(data)
            if self.unsynced_bytes >= SYNC_EVERY_BYTES:
                self.unsynced_bytes = 0
                os.fdatasync(self.descriptor)
        except OSError as error:
            self.link.break_off(
                "Write error or short write writing to the DB dump file needed for MASTER <-> REPLICA "
                f"synchronization: {error.strerror or error}"
            )

    def complete_snapshot(self) -> None:
        arriving = self.arriving
        if arriving is not None:
            arriving.whole = True
            self.hold(True)
            return
        name = self.persistence.snapshots.file_name()
        try:
            os.fsync(self.descriptor)
            os.close(self.descriptor)
            self.descriptor = -1
            self.persistence.snapshots.cancel_background()
            os.rename(self.path, name)
            self.persistence.disk.sync_directory(".")
            file = SystemInputFile(name)
        except OSError as error:
            self.log(f"Failed to keep the snapshot of the primary: {error.strerror or error}")
            self.close_file()
            self.link.snapshot_loaded(False, 0)
            return
        self.replace()
        self.load_from(file, self.engine.keyspace)

    def close_file(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            try:
                os.unlink(self.path)
            except FileNotFoundError:
                pass  # somebody has tidied up

    # -- and becomes the data set -------------------------------------------------------------------------

    def begin_directly(self, size: i64, keeps_old: bool) -> None:
        """Load it while it arrives; `keeps_old`: beside the old data set, which stays if this fails."""
        arriving = ArrivingFile(self, size)
        self.arriving = arriving
        if keeps_old:
            link = self.link
            same = link.coming_id == link.primary.stream.replication_id
            self.beside = Keyspace(self.engine.state, len(self.engine.keyspace.databases))
            self.persistence.replacing = True
            self.engine.set_gate(GATE_ASYNC_LOADING if same else GATE_LOADING, True)
            self.load_from(arriving, self.beside)
        else:
            self.replace()
            self.load_from(arriving, self.engine.keyspace)

    def replace(self) -> None:
        """Here the old data set ends."""
        self.link.drop_history()
        self.persistence.replacing = True
        self.persistence.suspend_appending()
        self.engine.set_gate(GATE_LOADING, True)
        self.replaced = True
        self.log("MASTER <-> REPLICA sync: Flushing old data")
        self.empty()

    def empty(self) -> None:
        engine = self.engine
        for database in engine.keyspace.databases:
            engine.state.listener.on_emptying(database.index)
            database.clear()
        if engine.tracking.flush_due:
            engine.tracking.send_flush()
        engine.functions.clear()

    def load_from(self, file: InputFile, keyspace: Keyspace) -> None:
        self.log("MASTER <-> REPLICA sync: Loading DB in memory")
        self.loading = SnapshotLoading(file, keyspace, False, self.config.flag("rdbchecksum"))
        self.persistence.loading_since_us = self.engine.now_us
        self.loop.add_timer(0, self.step)

    def step(self) -> int:
        """Load some more (a timer of the loop)."""
        loading = self.loading
        if loading is None:
            return -1
        arriving = self.arriving
        if arriving is not None and not arriving.pieces and not arriving.whole and not arriving.broken:
            return 1
        try:
            if not loading.step(self.persistence.step_bytes()):
                return 0
            if arriving is not None and not arriving.whole:
                self.finish_arriving(arriving)
            if not loading.source.at_end():
                raise loading.source.fail("Bytes remain behind the end of the snapshot")
            self.take(loading)
        except (CorruptError, OSError) as error:
            place = int(loading.loaded_bytes())
            self.log(f"Internal error in RDB reading offset {place}: {error}")
            self.end_loading("Failed trying to load the MASTER synchronization DB")
        except CommandError as refusal:
            text = refusal.message.decode("utf-8", "replace")
            self.end_loading(f"Failed trying to load the MASTER synchronization DB: {text}")
        return -1

    def finish_arriving(self, arriving: ArrivingFile) -> None:
        """The data set is read; the mark behind it must come yet."""
        while not arriving.whole:
            if arriving.broken or self.loop.stopped:
                raise OSError(104, "the link to the primary was lost")
            self.wait()

    def take(self, loading: SnapshotLoading) -> None:
        """The new data set is whole."""
        engine = self.engine
        beside = self.beside
        if beside is not None:
            self.link.drop_history()
            self.persistence.suspend_appending()
            self.empty()
            engine.keyspace.exchange(beside)
            self.beside = None
        engine.functions.load_all(loading.target.functions)
        report = loading.report()
        self.persistence.snapshots.keys_loaded = report.keys_loaded
        engine.state.dirty = 0
        text = report.aux.get(b"repl-stream-db", b"0")
        database = int(text) if text.isdigit() else 0
        self.end_loading("")
        if database >= len(engine.keyspace.databases):
            database = 0
        self.link.snapshot_loaded(True, database)

    def end_loading(self, problem: str) -> None:
        """The gate opens, on the new data set or on none."""
        loading = self.loading
        self.loading = None
        if loading is not None:
            loading.close()
        self.arriving = None
        beside = self.beside
        self.beside = None
        if beside is not None:
            for database in beside.databases:
                database.clear()
        if problem:
            self.log(problem)
            if self.replaced:
                self.empty()
        self.engine.set_gate(GATE_LOADING | GATE_ASYNC_LOADING, False)
        self.replaced = False
        self.persistence.replacing = False
        self.resume_appending()
        if problem:
            self.link.snapshot_loaded(False, 0)

    def resume_appending(self) -> None:
        """The append only file begins anew with the new data set; a server that cannot have it must not go on."""
        for _ in range(APPENDING_ATTEMPTS):
            if self.persistence.resume_appending():
                return
        raise LoadingFailed(
            "FATAL: this replica can't write its append only file after synchronization. Exiting."
        )

    def drop_snapshot(self) -> None:
        """The link is lost, or this server is to follow somebody else."""
        arriving = self.arriving
        if arriving is not None:
            arriving.broken = True  # whoever reads from it finds out
        elif self.loading is not None:
            self.end_loading("The synchronization was given up")
        self.close_file()

    # -- the rest -----------------------------------------------------------------------------------------

    def role_changed(self) -> None:
        self.logbook.role = "S" if self.engine.is_replica else "M"
        try:
            self.oom_score.apply()
        except ConfigError as refusal:
            self.log(str(refusal))

    def log(self, text: str) -> None:
        self.logbook.notice(text)

    def close(self) -> None:
        """The server ends."""
        self.disconnect()
        self.close_file()
