"""The append only file as it is written: what was fed since the last flush, and when that gets to the disk.

Owns the file that is written to, the buffer before it, and the promise of `appendfsync`:

    always     written and synced before flush() returns: one sync for all that was fed
    everysec   written by flush(); another thread syncs once a second; while a sync is late the write waits, two
               seconds at most
    no         written by flush(); the system syncs when it likes

Must not know: which file that is and what became of older ones (aof_rewrite.py).

Invariants: bytes leave the buffer only when they stand in the file; a batch that was written in part is cut off, or
its rest is the next thing that is written; a failure under `always` goes to `Emergency.give_up` before flush()
returns; a database is selected again in each file; with check sums each batch ends with its line.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, mypyc_attr

from gossamer.base.clock import Clock
from gossamer.engine.config import Config
from gossamer.engine.doors import WriteFeed
from gossamer.engine.latency import LatencyMonitor
from gossamer.persistence.aof_format import ChecksumState, write_command, write_timestamp
from gossamer.persistence.doors import Background, BackgroundTask, EventLog, OutputFile

EVERYSEC: Final = 0
ALWAYS: Final = 1
NO: Final = 2
POLICIES: Final = {b"everysec": EVERYSEC, b"always": ALWAYS, b"no": NO}

POSTPONED_MAX_S: Final = 2
LOG_ERRORS_EVERY_S: Final = 30
SETTLING_ROUNDS: Final = 2  # syncs by the other thread before the rest is synced at once
BUFFER_KEPT_BYTES: Final = 1 << 20  # a buffer that was larger is given back
_MULTI: Final = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"
_SELECT: Final = b"SELECT"


@mypyc_attr(allow_interpreted_subclasses=True)
class Emergency:
    """Who ends the process when a promise cannot be kept."""

    def give_up(self, text: str) -> None:
        """Log the text and end the process at once, with status 1. A test's version raises."""
        raise NotImplementedError


@final
class SyncTask(BackgroundTask):
    """Makes durable what stands in a file."""

    def __init__(self, file: OutputFile, end: i64) -> None:
        super().__init__()
        self.file: OutputFile = file
        self.end: i64 = end  # how much had been written when it was submitted

    def run(self) -> None:
        self.file.sync()


@final
class CloseTask(BackgroundTask):
    """Closes a file that nobody writes to any more; with a large one that takes time."""

    def __init__(self, file: OutputFile) -> None:
        super().__init__()
        self.file: OutputFile = file

    def run(self) -> None:
        self.file.close()


@final
class AppendOnlyFile(WriteFeed):
    """The file under way. `attach` gives it one; `flush` belongs to the end of each loop iteration."""

    def __init__(
        self, clock: Clock, config: Config, background: Background, log: EventLog, emergency: Emergency
    ) -> None:
        self.clock: Clock = clock
        self.config: Config = config
        self.background: Background = background
        self.log: EventLog = log
        self.emergency: Emergency = emergency
        self.latency: LatencyMonitor = LatencyMonitor()  # the engine's, once there is one
        self.policy: i64 = EVERYSEC
        self.with_timestamps: bool = False
        self.with_checksums: bool = False
        self.spares_syncs: bool = False  # no-appendfsync-on-rewrite
        self.child_runs: bool = False  # a snapshot or a rewrite is made now
        # The buffer
        self.out: BytesWriter = BytesWriter()
        self.database: i64 = -1  # selected in the file
        self.timestamp_s: i64 = 0  # told last
        # The file
        self.file: OutputFile | None = None
        self.written_bytes: i64 = 0  # how long the file is
        self.earlier_bytes: i64 = 0  # of what was fed: what went into files before this one, or was dropped
        self.sums: ChecksumState = ChecksumState()
        self.rest: bytes = b""  # of a batch that was written in part and could not be cut off
        self.postponed_since_us: i64 = -1
        self.write_error: str = ""  # why the last write failed
        self.error_logged_s: i64 = 0
        # Syncs
        self.synced_bytes: i64 = 0
        self.sync_task: SyncTask | None = None
        self.sync_error: str = ""
        self.last_sync_s: i64 = 0
        self.delayed_syncs: i64 = 0
        self.settling_to: i64 = 0  # how much is to be durable before a file is handed over
        self.settling_rounds: i64 = 0
        self.closing: list[CloseTask] = []

    def follow(self) -> None:
        """Take the directives over; to be called whenever one changes."""
        config = self.config
        self.policy = POLICIES[config.choice("appendfsync")]
        self.with_timestamps = config.flag("aof-timestamp-enabled")
        self.with_checksums = config.flag("aof-checksum-enabled")
        self.spares_syncs = config.flag("no-appendfsync-on-rewrite")

    # -- the file -----------------------------------------------------------------------------------------

    def is_open(self) -> bool:
        return self.file is not None

    def attach(self, file: OutputFile, size: i64, sums: ChecksumState) -> None:
        """Write to this file from now on: its size and the running check sum of what it holds.

        Of what it holds nothing may be durable yet: it may be the work of a server that was killed.
        """
        self.file = file
        self.written_bytes = size
        self.synced_bytes = 0
        self.sums = sums
        self.database = -1
        self.timestamp_s = 0
        self.rest = b""

    def detach(self) -> None:
        """Let go of the file; what was fed and not written is dropped, so flush before."""
        file = self.file
        self.file = None
        self.earlier_bytes += self.buffered_bytes() + self.written_bytes
        self.written_bytes = 0
        self.synced_bytes = 0
        self.out = BytesWriter()
        self.rest = b""
        self.postponed_since_us = -1
        self.write_error = ""
        self.sync_error = ""
        self.sync_task = None
        if file is not None:
            task = CloseTask(file)
            self.closing.append(task)
            self.background.submit(task)

    def hand_over(self, file: OutputFile) -> None:
        """Go on in a new, empty file. The old one is whole and durable (`settle`)."""
        old = self.file
        self.earlier_bytes += self.written_bytes
        self.attach(file, 0, ChecksumState())
        self.sync_task = None
        self.write_error = ""
        self.sync_error = ""
        if old is not None:
            task = CloseTask(old)
            self.closing.append(task)
            self.background.submit(task)

    def settle(self) -> bool:
        """Write and sync everything now; False where that fails."""
        file = self.file
        if file is None:
            return True
        self.flush(True)
        if self.write_error or self.rest or len(self.out) > 0:
            return False
        if self.synced_bytes < self.written_bytes:
            return self.sync_now(file)
        return True

    def begin_settling(self) -> None:
        """Get ready for settle() without a stall; ask `settles` again and again until it is True."""
        self.flush(True)
        self.settling_to = self.written_bytes
        self.settling_rounds = SETTLING_ROUNDS

    def settles(self) -> bool:
        """True once little is left to sync: what was written while the last of a few syncs ran.

        Under load there is always something left, so nobody may wait for nothing.
        """
        self.flush()
        file = self.file
        if file is None or self.synced_bytes >= self.written_bytes:
            return True
        if self.synced_bytes >= self.settling_to:
            self.settling_rounds -= 1
            self.settling_to = self.written_bytes
            if self.settling_rounds == 0:
                return True
        if self.sync_task is None:
            self.start_sync(file)
        return False

    # -- what is fed --------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Drop what was fed and not written: a base that is about to be made holds it."""
        self.earlier_bytes += self.buffered_bytes()
        self.out = BytesWriter()
        self.rest = b""

    def begin(self) -> None:
        if self.file is None:
            return
        if self.with_timestamps:
            self.note_time()
        self.out.write(_MULTI)

    def end(self) -> None:
        if self.file is None:
            return
        self.out.write(_EXEC)

    def feed(self, db_index: i64, argv: list[bytes]) -> None:
        if self.file is None:
            return
        if self.with_timestamps:
            self.note_time()
        self.select(db_index)
        write_command(self.out, argv)

    def select(self, db_index: i64) -> None:
        if db_index != self.database and self.file is not None:
            self.database = db_index
            write_command(self.out, [_SELECT, b"%d" % db_index])

    def note_time(self) -> None:
        """Say what time it is, where the second is another than the one told last."""
        now_s: i64 = self.clock.now_us() // 1_000_000
        if now_s > self.timestamp_s:
            self.timestamp_s = now_s
            write_timestamp(self.out, now_s)

    def buffered_bytes(self) -> i64:
        """What was fed and does not stand in the file yet."""
        return i64(len(self.out)) + i64(len(self.rest))

    def fed_bytes(self) -> i64:
        """The position behind all that was fed since the start: it only grows, whatever becomes of files."""
        return self.earlier_bytes + self.written_bytes + self.buffered_bytes()

    def durable_bytes(self) -> i64:
        """The position up to which all that was fed is durable."""
        return self.earlier_bytes + self.synced_bytes

    # -- flushing -----------------------------------------------------------------------------------------

    def flush(self, force: bool = False) -> None:
        """Bring what was fed where the policy promises. `force` does not wait for a late sync."""
        file = self.file
        if file is None:
            return
        if self.sync_task is not None:
            self.see_sync()
        if len(self.out) == 0 and not self.rest:
            if self.synced_bytes < self.written_bytes:
                self.sync_by_policy(file)
            return
        if self.policy == EVERYSEC and self.sync_task is not None and not force:
            if self.must_postpone():
                return
        self.postponed_since_us = -1
        had_rest: bool = len(self.rest) > 0
        if self.write(file) and (not had_rest or len(self.out) == 0 or self.write(file)):
            self.sync_by_policy(file)

    def must_postpone(self) -> bool:
        """A sync is under way, and writing now would wait for it: better the buffer waits, two seconds at most."""
        now_us: i64 = self.clock.now_us()
        if self.postponed_since_us < 0:
            self.postponed_since_us = now_us
            return True
        if now_us - self.postponed_since_us < POSTPONED_MAX_S * 1_000_000:
            return True
        self.delayed_syncs += 1
        self.log.notice(
            "Asynchronous AOF fsync is taking too long (disk is busy?). Writing the AOF buffer without waiting for "
            "fsync to complete, this may slow down the server."
        )
        return False

    def write(self, file: OutputFile) -> bool:
        """Write the buffer; False where that failed, and then nothing of it is lost."""
        data = self.rest
        sums = self.sums
        if not data:
            data = self.out.getvalue()
            sums = sums.copy()
            sums.add(data)
            if self.with_checksums:
                data += sums.line()
        watched: bool = self.latency.threshold_ms != 0
        since_us: i64 = self.clock.now_us() if watched else 0
        try:
            file.write(data)
        except OSError as error:
            self.note_write_error(file, data, sums, error)
            return False
        if watched:
            self.note_write_latency(since_us)
        self.note_written(i64(len(data)), sums)
        return True

    def note_write_latency(self, since_us: i64) -> None:
        """Tell the latency monitor of a write, and of what may have made it slow."""
        now_us: i64 = self.clock.now_us()
        latency_ms: i64 = (now_us - since_us) // 1000
        reason = b"aof-write-alone"
        if self.sync_task is not None:
            reason = b"aof-write-pending-fsync"
        elif self.child_runs:
            reason = b"aof-write-active-child"
        self.latency.note(reason, latency_ms, now_us // 1_000_000)
        self.latency.note(b"aof-write", latency_ms, now_us // 1_000_000)

    def note_written(self, size: i64, sums: ChecksumState) -> None:
        self.written_bytes += size
        if self.rest:
            self.rest = b""
        elif len(self.out) > BUFFER_KEPT_BYTES:
            self.out = BytesWriter()
        else:
            self.out.truncate(0)
        self.sums = sums
        if self.write_error:
            self.write_error = ""
            self.log.warning("AOF write error looks solved. The server can write again.")

    def note_write_error(self, file: OutputFile, data: bytes, sums: ChecksumState, error: OSError) -> None:
        """Take back the part of a batch that was written, or remember what is left of it."""
        reason = error.strerror or str(error)
        now_s: i64 = self.clock.now_us() // 1_000_000
        if not self.write_error or now_s - self.error_logged_s > LOG_ERRORS_EVERY_S:
            self.error_logged_s = now_s
            self.log.warning(f"Error writing to the AOF file: {reason}")
        self.write_error = reason
        if self.policy == ALWAYS:
            self.emergency.give_up(
                "Can't recover from AOF write error when the AOF fsync policy is 'always'. Exiting..."
            )
        try:
            size: i64 = file.size_bytes()
            if size > self.written_bytes:
                file.truncate(self.written_bytes)
        except OSError as second:
            self.log.warning(
                f"Could not remove short write from the append-only file: {second.strerror or second}. "
                "It will be completed."
            )
            self.keep_rest(file, data, sums)

    def keep_rest(self, file: OutputFile, data: bytes, sums: ChecksumState) -> None:
        """The file ends inside a batch: what is left of it must be what is written next."""
        try:
            part: i64 = file.size_bytes() - self.written_bytes
        except OSError:
            part = 0
        if part <= 0:
            return
        if part > i64(len(data)):
            part = len(data)
        if not self.rest:
            self.out.truncate(0)
        self.rest = data[part:]
        self.written_bytes += part
        self.sums = sums

    # -- syncing ------------------------------------------------------------------------------------------

    def sync_by_policy(self, file: OutputFile) -> None:
        if (self.policy == NO and not self.sync_error) or (self.spares_syncs and self.child_runs):
            return  # a sync that failed, of a rewrite say, is tried again under every policy
        if self.policy == ALWAYS:
            self.sync_now(file)
            return
        if self.sync_task is None and self.clock.now_us() // 1_000_000 > self.last_sync_s:
            self.start_sync(file)

    def sync_now(self, file: OutputFile) -> bool:
        since_us: i64 = self.clock.now_us()
        try:
            file.sync()
        except OSError as error:
            reason = error.strerror or str(error)
            self.sync_error = reason
            if self.policy == ALWAYS:
                self.emergency.give_up(
                    "Can't persist AOF for fsync error when the AOF fsync policy is 'always': "
                    f"{reason}. Exiting..."
                )
            self.log.warning(f"Fail to fsync the AOF file: {reason}")
            return False
        self.sync_error = ""
        self.synced_bytes = self.written_bytes
        now_us: i64 = self.clock.now_us()
        self.last_sync_s = now_us // 1_000_000
        if self.policy == ALWAYS:
            self.latency.note(b"aof-fsync-always", (now_us - since_us) // 1000, now_us // 1_000_000)
        return True

    def start_sync(self, file: OutputFile) -> None:
        """Let the other thread sync."""
        task = SyncTask(file, self.written_bytes)
        self.sync_task = task
        self.last_sync_s = self.clock.now_us() // 1_000_000
        self.background.submit(task)
        self.see_sync()

    def see_sync(self) -> None:
        """Take note of a sync that has ended."""
        task = self.sync_task
        if task is None or not task.done:
            return
        self.sync_task = None
        error = task.error
        if error is None:
            if self.sync_error:
                self.log.warning("AOF fsync error looks solved. The server can write again.")
            self.sync_error = ""
            if task.end > self.synced_bytes:
                self.synced_bytes = task.end
            return
        reason = error.strerror or str(error)
        if not self.sync_error:
            self.log.warning(f"Fail to fsync the AOF file: {reason}")
        self.sync_error = reason

    def cron(self) -> None:
        """A write that waited or failed is tried again; files that are closed are forgotten."""
        self.flush()
        if self.closing:
            self.closing = [task for task in self.closing if not task.done]

    def trouble(self) -> str:
        """Why writes are refused now; empty where they are not."""
        return self.write_error or self.sync_error

    def sync_is_pending(self) -> bool:
        return self.sync_task is not None
