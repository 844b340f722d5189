"""Drives replication: children that make snapshots for replicas, and the bytes into the replicas' connections.

Joins replication/ to the loop, the processes and the files. A snapshot goes to a file, which each replica is sent
once it is complete, or through a pipe to all of them at once (diskless).

Invariants: at most one transfer makes its snapshot; the pipe is read only while every replica of the transfer has
taken all that came before; a file has no name any more once it is complete, and lives as long as a replica reads it.
"""

import os
from typing import Final, final

from mypy_extensions import i64

from gossamer.engine.client import Client
from gossamer.engine.config import REPLICA
from gossamer.engine.doors import InfoSource
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_ASYNC_LOADING, GATE_LOADING
from gossamer.persistence.doors import Job
from gossamer.persistence.snapshot import READERS_REDIS, READERS_UNKNOWN, READERS_VALKEY, SnapshotContent
from gossamer.replication.primary import (
    BULK,
    ONLINE,
    WAIT_END,
    WITHOUT_DATA,
    WITHOUT_FUNCTIONS,
    Primary,
    Replica,
    TransferDoor,
)
from gossamer.replication.primary_link import CONNECTING
from gossamer.server.connection import Endpoint
from gossamer.server.cron import CronTask
from gossamer.server.facts import new_identity
from gossamer.server.log import Log
from gossamer.server.loop import Loop
from gossamer.server.oom_score import OomScore
from gossamer.server.persistence import Persistence
from gossamer.server.persistence_facts import add_loading_facts
from gossamer.server.replica_sync import ReplicaSync

PIECE_BYTES: Final = 65536
TURN_BYTES: Final = 4 << 20  # to one replica, before others are looked after


@final
class TransferJob(Job):
    """What the child does: the whole snapshot into a descriptor, between marks where it is diskless."""

    def __init__(
        self, content: SnapshotContent, descriptor: int, unused: int, mark: bytes, left_out: int
    ) -> None:
        self.content = content
        self.descriptor = descriptor
        self.unused = unused  # the parent's end of the pipe, or -1
        self.mark = mark
        self.left_out = left_out
        self.aux: list[tuple[bytes, bytes]] = []
        self.now_s = 0
        self.version = 0
        self.readers: i64 = READERS_UNKNOWN

    def run(self) -> i64:
        if self.unused >= 0:
            os.close(self.unused)
        content = self.content
        content.replication_aux = self.aux
        if self.left_out & WITHOUT_FUNCTIONS:
            content.functions = []
        if self.left_out & WITHOUT_DATA:
            content.keyspace.databases = []
        content.wanted_version = content.version_for_replica(self.version)
        content.readers = self.readers
        if self.mark:
            self.write(b"$EOF:" + self.mark + b"\r\n")
        content.write(self.write, self.now_s, False)
        if self.mark:
            self.write(self.mark)
        return 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            written = os.write(
                self.descriptor, view
            )  # in the brackets below, compiled code would call it twice
            view = view[written:]


@final
class Pipe(Endpoint):
    """The parent's end of a diskless transfer."""

    def __init__(self, replication: "Replication", descriptor: int) -> None:
        self.replication = replication
        self.descriptor = descriptor
        self.watched = False

    def on_readable(self) -> None:
        self.replication.pass_on()


@final
class File:
    """What one replica has yet to be sent of a snapshot in a file."""

    def __init__(self, descriptor: int, size: int) -> None:
        self.descriptor = descriptor
        self.left = size


@final
class Replication(TransferDoor):
    """A server's replication. `primary` is its side as a primary."""

    def __init__(
        self, engine: Engine, loop: Loop, persistence: Persistence, log: Log, oom_score: OomScore
    ) -> None:
        self.engine = engine
        self.loop = loop
        self.persistence = persistence
        self.logbook = log
        self.primary = Primary(engine, self, new_identity())
        self.sync = ReplicaSync(engine, loop, persistence, self.primary, engine.config, log, oom_score)
        self.link = self.sync.link
        self.child_id: i64 = -1
        self.ended: i64 | None = None  # the status of a child whose last bytes are still passed on
        self.pipe: Pipe | None = None
        self.path = ""  # of the file that the child writes
        self.descriptor = -1  # of that file
        self.files: dict[i64, File] = {}  # by client id
        self.last_second: i64 = 0
        engine.replication = self.primary
        engine.info_sources.append(ReplicationFacts(self))
        persistence.snapshots.content.find_replication_aux = self.history_aux
        persistence.when_loaded.append(self.begin)
        for name in ("replica-read-only", "replica-serve-stale-data"):
            engine.config.on_change(name, self.link.judge)
        for name in ("min-replicas-to-write", "min-replicas-max-lag"):
            engine.config.on_change(name, self.primary.judge_writes)
        engine.config.on_change("repl-backlog-size", self.resize_backlog)

    # -- where we stand -----------------------------------------------------------------------------------

    def begin(self) -> None:
        """The data set is loaded, and says perhaps where in which history it stands: a start of the server."""
        aux = self.persistence.loaded_aux
        replication_id = aux.get(b"repl-id", b"")
        text = aux.get(b"repl-offset", b"")
        database = aux.get(b"repl-stream-db", b"0")
        if len(replication_id) != 40 or not text.isdigit():
            replication_id = b""
        offset = int(text) if replication_id else 0
        wanted = self.engine.config.primary()
        if wanted is not None:
            index = int(database) if database.isdigit() else 0
            count = len(self.engine.keyspace.databases)
            self.link.remember(wanted[0], wanted[1], replication_id, offset, index if index < count else 0)
        elif replication_id:
            self.primary.go_on_from(replication_id, offset)

    def history_aux(self) -> list[tuple[bytes, bytes]]:
        """What a snapshot of now says of the history that it belongs to."""
        stream = self.primary.stream
        if stream.backlog is None or (self.engine.is_replica and not self.link.knows_history):
            return []
        database = self.link.selected() if self.engine.is_replica else max(stream.database, 0)
        return [
            (b"repl-stream-db", b"%d" % database),
            (b"repl-id", stream.replication_id),
            (b"repl-offset", b"%d" % stream.offset()),
        ]

    def resize_backlog(self) -> None:
        backlog = self.primary.stream.backlog
        if backlog is not None:
            backlog.size_bytes = self.engine.config.number("repl-backlog-size")

    # -- snapshots ----------------------------------------------------------------------------------------

    def may_start(self) -> bool:
        persistence = self.persistence
        busy = persistence.snapshots.in_background() or persistence.rewrites.in_progress()
        return self.child_id == -1 and self.pipe is None and not busy and not self.engine.gate & GATE_LOADING

    def runs_to_disk(self) -> bool:
        return self.child_id != -1 and self.descriptor >= 0

    def start(self, replicas: list[Replica], to_disk: bool) -> bool:
        reader = writer = -1
        try:
            if to_disk:
                self.path = f"temp-replication-{os.getpid()}-{new_identity().decode()[:8]}.rdb"
                writer = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
            else:
                reader, writer = os.pipe2(os.O_CLOEXEC)
                os.set_blocking(reader, False)
            mark = b"" if to_disk else new_identity()
            job = TransferJob(
                self.persistence.snapshots.content, writer, reader, mark, int(replicas[0].filter)
            )
            job.version = replicas[0].version
            job.readers = readers_of(replicas)
            job.now_s = int(self.engine.now_us) // 1_000_000
            job.aux = self.history_aux()
            self.child_id = self.persistence.processes.fork(job)
        except OSError as error:
            self.logbook.warning(f"Can't make a snapshot for replicas: {error.strerror or error}")
            for descriptor in (reader, writer):
                if descriptor >= 0:
                    os.close(descriptor)
            if to_disk and writer >= 0:
                os.unlink(self.path)
            return False
        self.tell_persistence()
        if to_disk:
            self.descriptor = writer
            self.logbook.notice("Starting BGSAVE for SYNC with target: disk")
            self.logbook.notice(f"Background saving started by pid {int(self.child_id)}")
        else:
            os.close(writer)
            self.pipe = Pipe(self, reader)
            self.watch_pipe(True)
            self.logbook.notice("Starting BGSAVE for SYNC with target: replicas sockets")
            self.logbook.notice(f"Background RDB transfer started by pid {int(self.child_id)}")
        return True

    def tell_persistence(self) -> None:
        self.persistence.transfer_runs = self.child_id != -1
        self.persistence.watch_children()

    def receivers(self) -> list[Replica]:
        """Those for whom the snapshot is made that is under way."""
        return [replica for replica in self.primary.replicas.values() if replica.state == WAIT_END]

    def forget(self, replica: Replica) -> None:
        file = self.files.pop(replica.client.client_id, None)
        if file is not None:
            os.close(file.descriptor)
        if self.child_id != -1 and not self.receivers():
            kind = "Diskless rdb transfer" if self.descriptor < 0 else "Background transfer"
            self.logbook.notice(f"{kind}, last replica dropped, killing fork child.")
            self.cancel()

    def cancel(self) -> None:
        """End the child; what it made is dropped."""
        if self.child_id != -1:
            if self.ended is None:
                self.persistence.processes.kill(self.child_id)
            self.child_id = -1
            self.ended = None
        self.close_pipe()
        self.close_file()
        self.tell_persistence()

    def close_pipe(self) -> None:
        if self.pipe is not None:
            self.watch_pipe(False)
            os.close(self.pipe.descriptor)
            self.pipe = None

    def close_file(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            os.unlink(self.path)
            self.descriptor = -1

    def watch_pipe(self, on: bool) -> None:
        pipe = self.pipe
        if pipe is not None and pipe.watched != on:
            pipe.watched = on
            if on:
                self.loop.add(pipe.descriptor, pipe)
            else:
                self.loop.remove(pipe.descriptor)

    def pass_on(self) -> None:
        """From the pipe to all replicas, as long as all of them keep up."""
        passed = 0
        while self.pipe is not None and passed < TURN_BYTES:
            receivers = self.receivers()
            if self.note_progress(receivers):
                self.watch_pipe(False)  # before_flush() looks again
                return
            try:
                data = os.read(self.pipe.descriptor, PIECE_BYTES)
            except BlockingIOError:
                break
            if not data:
                self.logbook.notice(
                    f"Diskless rdb transfer, done reading from pipe, {len(receivers)} replicas still up."
                )
                self.close_pipe()
                self.reap()
                return
            passed += len(data)
            for replica in receivers:
                replica.client.reply.raw(data)
                replica.client.door.flush()
        self.watch_pipe(True)

    def note_progress(self, receivers: list[Replica]) -> bool:
        """Whether one of them has not taken all yet; when each last took something is kept."""
        waiting = False
        for replica in receivers:
            left = unsent(replica.client)
            if left != replica.left_of_snapshot:
                replica.left_of_snapshot = left
                replica.progress_us = self.engine.now_us
            waiting = waiting or left > 0
        return waiting

    def reap(self) -> None:
        """See whether the child has ended, and give its snapshot to those who wait for it."""
        if self.child_id == -1:
            return
        if self.ended is None:
            self.ended = self.persistence.processes.exit_status(self.child_id)
        status = self.ended
        if status is None or (status == 0 and self.pipe is not None):
            return  # at work; or the last it made is still in the pipe
        self.close_pipe()
        self.child_id = -1
        self.ended = None
        receivers = self.receivers()
        diskless = self.descriptor < 0
        if status != 0:
            self.logbook.warning("The snapshot for replicas failed")
            for replica in receivers:
                replica.client.door.close()
        elif diskless:
            for replica in receivers:
                self.primary.transferred(replica, True)
        else:
            for replica in receivers:
                self.begin_file(replica)
        self.close_file()
        self.tell_persistence()
        self.primary.start_transfers()

    def begin_file(self, replica: Replica) -> None:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            self.logbook.warning(f"Can't send the snapshot to a replica: {error.strerror or error}")
            replica.client.door.close()
            return
        size = os.fstat(descriptor).st_size
        self.files[replica.client.client_id] = File(descriptor, size)
        replica.state = BULK
        replica.client.reply.raw(b"$%d\r\n" % size)
        replica.client.mark_pending()

    # -- bytes --------------------------------------------------------------------------------------------

    def before_flush(self) -> None:
        """At the end of each iteration: every replica gets what it has yet to get, as far as it takes it."""
        primary = self.primary
        stream = primary.stream
        if primary.acknowledgement_wanted:
            primary.acknowledgement_wanted = False
            stream.feed_acknowledgement_request()
        stream.seal()
        if self.pipe is not None and not self.pipe.watched:
            self.pass_on()
        for replica in list(primary.replicas.values()):
            if replica.state == BULK:
                self.send_file(replica)
            if replica.state == ONLINE and not replica.awaits_acknowledgement:
                self.send_stream(replica)
            self.check_limit(replica)
        backlog = stream.backlog
        if backlog is not None:
            backlog.trim(primary.needed())

    def send_stream(self, replica: Replica) -> None:
        backlog = self.primary.stream.backlog
        client = replica.client
        sent: i64 = 0
        while backlog is not None and replica.position <= backlog.end and unsent(client) == 0:
            if client.closed:
                return
            if sent >= TURN_BYTES:
                client.mark_pending()  # so that the next iteration does not wait
                return
            gathered: i64 = 0
            while gathered < PIECE_BYTES:
                data = backlog.read(replica.position, PIECE_BYTES)
                if not data:
                    break
                client.reply.raw(data)
                replica.position += len(data)
                gathered += len(data)
            sent += gathered
            client.door.flush()

    def send_file(self, replica: Replica) -> None:
        client = replica.client
        file = self.files[client.client_id]
        sent: i64 = 0
        while file.left > 0 and unsent(client) == 0 and not client.closed:
            if sent >= TURN_BYTES:
                client.mark_pending()
                return
            data = os.read(file.descriptor, PIECE_BYTES)
            if not data:
                client.door.close()  # the file is shorter than it was
                return
            file.left -= len(data)
            sent += len(data)
            client.reply.raw(data)
            client.door.flush()
        if file.left == 0 and not client.closed:
            os.close(file.descriptor)
            del self.files[client.client_id]
            self.primary.transferred(replica, False)

    def check_limit(self, replica: Replica) -> None:
        """client-output-buffer-limit replica: what it has yet to take of the stream."""
        backlog = self.primary.stream.backlog
        if backlog is None or replica.state not in (WAIT_END, BULK, ONLINE) or replica.client.closed:
            return
        pending: i64 = backlog.end - replica.position + 1
        if replica.state == ONLINE:
            pending += unsent(replica.client)
        hard, soft, seconds = self.engine.config.output_buffer_limit(REPLICA)
        size = self.engine.config.number("repl-backlog-size")
        hard = max(hard, size) if hard else 0
        soft = max(soft, size) if soft else 0
        over = hard != 0 and pending >= hard
        if soft and pending >= soft:
            if replica.soft_limit_since_us == 0:
                replica.soft_limit_since_us = self.engine.now_us
            over = over or self.engine.now_us - replica.soft_limit_since_us > seconds * 1_000_000
        else:
            replica.soft_limit_since_us = 0
        if over:
            self.engine.statistics.output_buffer_limit_disconnections += 1
            self.loop.note_closing(
                replica.client, "scheduled to be closed ASAP for overcoming of output buffer limits."
            )
            replica.client.door.close()

    # -- the rest -----------------------------------------------------------------------------------------

    def cron(self, now_ms: i64) -> None:
        """Children that have ended; once a second what the primary does by itself."""
        self.reap()
        self.primary.failover.advance()
        if now_ms // 1000 != self.last_second:
            self.last_second = now_ms // 1000
            self.primary.each_second()
            if not self.engine.gate & GATE_LOADING or self.link.state >= CONNECTING:
                self.link.each_second()

    def log(self, text: str) -> None:
        self.logbook.notice(text)

    def close(self) -> None:
        """The server ends."""
        self.sync.close()
        self.cancel()
        for file in self.files.values():
            os.close(file.descriptor)
        self.files = {}


@final
class ReplicationFacts(InfoSource):
    """What INFO tells of it."""

    def __init__(self, replication: Replication) -> None:
        self.replication = replication

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        self.replication.primary.add_facts(facts)
        self.replication.link.add_facts(facts)
        sync = self.replication.sync
        if sync.loading is not None:
            beside = self.replication.engine.gate & GATE_ASYNC_LOADING
            facts[b"async_loading" if beside else b"loading"] = 1
            add_loading_facts(facts, sync.loading, self.replication.persistence)


@final
class ReplicationTask(CronTask):
    """Its turn of the cron."""

    def __init__(self, replication: Replication) -> None:
        self.replication = replication

    def on_cron(self, now_ms: i64) -> None:
        self.replication.cron(now_ms)


def readers_of(replicas: list[Replica]) -> i64:
    """Whose formats a snapshot for these replicas may be in."""
    if all([replica.says_valkey for replica in replicas]):
        return READERS_VALKEY
    if any([replica.says_valkey or replica.rdb_only for replica in replicas]):
        return READERS_UNKNOWN
    return READERS_REDIS


def unsent(client: Client) -> i64:
    """Bytes that the connection has not been able to send."""
    return client.door.unsent_bytes()
