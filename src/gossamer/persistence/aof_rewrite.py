"""Rewrites: a new base in place of old files; and turning the append only file on and off.

Owns the manifest, and the order in which files are made, listed and removed:

    1. settle: what was written so far is durable
    2. a new, empty increment, listed by the manifest; from now on it is written to
    3. a child writes the data set of this moment under a temporary name
    4. the new base is renamed into the directory and listed; what it makes superfluous is listed as history
    5. history is removed, then struck from the list

While the file is turned on there is nothing to settle: a temporary increment takes what is fed, and is listed together
with the first base. A failure at any step leaves a list that is right.

Invariants: one child at a time; the memory that a child sees and the increment that was begun just before make the
data set; no file is removed before the list without it is durable.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.errors import CommandError
from gossamer.engine.config import Config
from gossamer.persistence.aof import AppendOnlyFile
from gossamer.persistence.aof_content import write_commands
from gossamer.persistence.aof_format import ChecksumState
from gossamer.persistence.doors import Background, BackgroundTask, Disk, EventLog, Job, Processes
from gossamer.persistence.manifest import HISTORY, AofFile, Manifest, decode_name, store_manifest
from gossamer.persistence.snapshot import SnapshotContent, SyncingSink

# States of the append only file.
OFF: Final = 0
FIRST_REWRITE: Final = 1
ON: Final = 2

ALREADY_RUNNING: Final = b"ERR Background append only file rewriting already in progress"
CANNOT_START: Final = (
    b"ERR Can't execute an AOF background rewriting. Please check the server logs for more information."
)
FAILURES_FREE: Final = 3  # in a row, before attempts are delayed
FIRST_RETRY_DELAY_S: Final = 5  # while the file is being turned on, there is nothing else to live on
FIRST_DELAY_MINUTES: Final = 1
LONGEST_DELAY_MINUTES: Final = 60


@final
class RewriteJob(Job):
    """What the child does."""

    def __init__(self, rewrites: "Rewrites") -> None:
        self.rewrites: Rewrites = rewrites

    def run(self) -> i64:
        rewrites = self.rewrites
        return 0 if rewrites.write_base(temporary_base(rewrites.processes.own_id())) else 1


@final
class RemoveTask(BackgroundTask):
    """Removes a file of the history; with a large one that takes time."""

    def __init__(self, disk: Disk, name: str) -> None:
        super().__init__()
        self.disk: Disk = disk
        self.name: str = name

    def run(self) -> None:
        self.disk.remove(self.name)


def temporary_base(process_id: i64) -> str:
    return f"temp-rewriteaof-bg-{process_id}.aof"


@final
class Rewrites:
    """The files of the append only file, and how they become fewer."""

    def __init__(
        self,
        aof: AppendOnlyFile,
        content: SnapshotContent,
        clock: Clock,
        disk: Disk,
        processes: Processes,
        background: Background,
        log: EventLog,
    ) -> None:
        self.aof: AppendOnlyFile = aof
        self.content: SnapshotContent = content
        self.config: Config = content.config
        self.clock: Clock = clock
        self.disk: Disk = disk
        self.processes: Processes = processes
        self.background: Background = background
        self.log: EventLog = log
        self.state: i64 = OFF
        self.manifest: Manifest = Manifest()
        self.directory: str = ""
        self.prefix: str = ""
        self.other_child_active: bool = False  # a snapshot, a transfer to a replica
        # The rewrite
        self.child_id: i64 = -1
        self.child_ended: bool = False
        self.child_status: i64 = 0
        self.settling: bool = False  # a rewrite has begun and waits for a sync
        self.scheduled: bool = False
        self.base_is_rdb: bool = True
        self.since_s: i64 = -1
        self.last_took_s: i64 = -1
        self.last_copied_bytes: i64 = 0  # by the last child, copy on write
        self.last_ok: bool = True
        self.rewrites: i64 = 0
        self.failures: i64 = 0  # in a row
        self.next_try_s: i64 = 0
        # Sizes
        self.listed_bytes: i64 = 0  # of all listed files but the one that is written to
        self.size_after_rewrite: i64 = 0
        self.removing: list[RemoveTask] = []

    def now_s(self) -> i64:
        return self.clock.now_us() // 1_000_000

    def path(self, name: str) -> str:
        return f"{self.directory}/{name}"

    def temporary_increment(self) -> str:
        return self.path(f"temp-{self.prefix}.incr")

    def read_names(self) -> None:
        self.directory = decode_name(self.config.text("appenddirname"))
        self.prefix = decode_name(self.config.text("appendfilename"))

    def current_bytes(self) -> i64:
        """How long all files are together that would be loaded."""
        return self.listed_bytes + self.aof.written_bytes if self.state != OFF else 0

    def in_progress(self) -> bool:
        """Whether a rewrite is under way, its waiting for a sync included."""
        return self.child_id != -1 or self.settling

    # -- the start of a server ----------------------------------------------------------------------------

    def open_at_start(self, manifest: Manifest | None, loaded_bytes: i64, sums: ChecksumState | None) -> None:
        """Go on writing what was loaded, or begin an append only file where there is none. Raises OSError."""
        self.read_names()
        disk = self.disk
        disk.make_directory(self.directory)
        disk.sync_directory()
        listed = manifest.copy() if manifest is not None else Manifest()
        if not listed.files():
            self.make_first_base(listed)
            loaded_bytes = self.listed_bytes
        if not listed.increments:
            self.begin_increment(listed, "on server start")
            self.listed_bytes = loaded_bytes
        else:
            name = listed.increments[-1].name
            file = disk.append(self.path(name))
            size = file.size_bytes()
            self.aof.attach(file, size, sums if sums is not None else ChecksumState(size))
            self.aof.synced_bytes = 0  # a process that was killed may have left it unsynced
            self.listed_bytes = loaded_bytes - size
            self.manifest = listed
        self.state = ON
        self.size_after_rewrite = self.current_bytes()
        self.remove_history()

    def make_first_base(self, listed: Manifest) -> None:
        """An empty base: the list of files always begins with one."""
        as_rdb = self.config.flag("aof-use-rdb-preamble")
        name = listed.add_base(self.prefix, as_rdb)
        self.log.notice(f"Creating AOF base file {name} on server start")
        self.base_is_rdb = as_rdb
        temporary = temporary_base(self.processes.own_id())
        if not self.write_base(temporary):
            raise OSError(5, f"cannot write {name}")
        self.disk.rename(temporary, self.path(name))
        self.disk.sync_directory(self.directory)
        self.disk.sync_directory()
        self.listed_bytes = self.size_of(self.path(name))

    def size_of(self, name: str) -> i64:
        file = self.disk.open(name)
        if file is None:
            return 0
        size = file.size_bytes()
        file.close()
        return size

    # -- files --------------------------------------------------------------------------------------------

    def begin_increment(self, listed: Manifest, when: str) -> None:
        """List a new last increment and write to it from now on. Raises OSError, and then nothing has changed."""
        name = listed.add_increment(self.prefix)
        self.log.notice(f"Creating AOF incr file {name} {when}")
        file = self.disk.create(self.path(name))
        try:
            self.disk.sync_directory(self.directory)
            store_manifest(self.disk, self.directory, self.prefix, listed)
        except OSError:
            file.close()
            self.list_again()
            raise
        self.listed_bytes += self.aof.written_bytes
        self.aof.hand_over(file)
        self.manifest = listed

    def list_again(self) -> None:
        """A new list may be in place all the same, and not the one that we go by: put that back."""
        if not self.manifest.files():
            return
        try:
            store_manifest(self.disk, self.directory, self.prefix, self.manifest)
        except OSError as error:
            self.log.warning(f"Cannot restore the AOF manifest: {error.strerror or error}")

    def write_base(self, temporary: str) -> bool:
        """Write the data set under a temporary name, durably; False where that failed."""
        disk = self.disk
        try:
            file = disk.create(temporary)
            try:
                sink = SyncingSink(file, self.config.flag("aof-rewrite-incremental-fsync"))
                if self.base_is_rdb:
                    notice = self.content.version_notice()
                    if notice is not None:
                        self.log.notice(notice)
                    self.content.write(sink.write, self.now_s(), True)
                else:
                    stamp = self.now_s() if self.config.flag("aof-timestamp-enabled") else -1
                    write_commands(sink.write, self.content.keyspace, self.content.functions, stamp)
                file.sync()
            finally:
                file.close()
        except OSError as error:
            self.log.warning(f"Write error writing append only file on disk: {error.strerror or error}")
            self.remove_quietly(temporary)
            return False
        return True

    def remove_quietly(self, name: str) -> None:
        try:
            self.disk.remove(name)
        except OSError as error:
            self.log.warning(f"Cannot remove {name}: {error.strerror or error}")

    def remove_history(self) -> None:
        """Have the other thread remove what no start needs any more."""
        if self.config.flag("aof-disable-auto-gc") or self.removing:
            return
        for file in self.manifest.history:
            task = RemoveTask(self.disk, self.path(file.name))
            self.removing.append(task)
            self.background.submit(task)

    def strike_history(self) -> None:
        """When the files are gone, so is their mention."""
        for task in self.removing:
            if not task.done:
                return
        removed = [task.name for task in self.removing if task.error is None]
        failed = len(removed) < len(self.removing)
        self.removing = []
        listed = self.manifest.copy()
        listed.history = [file for file in listed.history if self.path(file.name) not in removed]
        try:
            self.disk.sync_directory(self.directory)
            store_manifest(self.disk, self.directory, self.prefix, listed)
        except OSError as error:
            self.log.warning(f"Cannot rewrite the AOF manifest: {error.strerror or error}")
            return
        self.manifest = listed
        if not failed:
            self.remove_history()  # what became history meanwhile

    # -- rewriting ----------------------------------------------------------------------------------------

    def request(self, may_run_now: bool) -> bool:
        """BGREWRITEAOF: True where it began, False where it was scheduled. Raises CommandError.

        Not `may_run_now` inside a transaction: what it changed so far would be in the base and in the increment.
        """
        if self.in_progress():
            raise CommandError(ALREADY_RUNNING)
        if self.other_child_active or not may_run_now:
            self.scheduled = True
            return False
        if not self.start():
            raise CommandError(CANNOT_START)
        return True

    def start(self) -> bool:
        """Begin a rewrite; it waits, if need be, until what was written is durable."""
        self.scheduled = False
        self.settling = True
        self.since_s = self.now_s()
        self.aof.begin_settling()
        return self.advance()

    def advance(self) -> bool:
        """Take a rewrite that waits a step further; False where it failed."""
        aof = self.aof
        if self.state == ON:
            if not aof.settles():
                if aof.trouble():
                    return self.fail("the AOF cannot be written")
                return True  # the sync is under way
            if not aof.settle():
                return self.fail("the AOF cannot be written")
        self.settling = False
        try:
            if self.state == ON:
                self.begin_increment(self.manifest.copy(), "on background rewrite")
            else:
                self.begin_outside_the_list()
            self.base_is_rdb = self.config.flag("aof-use-rdb-preamble")
            self.child_id = self.processes.fork(RewriteJob(self))
        except OSError as error:
            return self.fail(f"{error.strerror or error}")
        aof.child_runs = True
        self.rewrites += 1
        self.log.notice(f"Background append only file rewriting started by pid {self.child_id}")
        return True

    def begin_outside_the_list(self) -> None:
        """While the append only file is off or turned on: a base, and what is fed from now on, make a data set."""
        self.read_names()
        self.disk.make_directory(self.directory)
        self.disk.sync_directory()
        if self.state == FIRST_REWRITE:
            self.aof.forget()
            self.aof.hand_over(self.disk.create(self.temporary_increment()))

    def fail(self, reason: str) -> bool:
        self.settling = False
        self.since_s = -1
        self.log.warning(f"Can't rewrite append only file in background: {reason}")
        self.note_failure()
        return False

    def note_failure(self) -> None:
        """Remember it; after three in a row the next attempts of the server's own wait longer and longer."""
        self.last_ok = False
        self.failures += 1
        if self.state == FIRST_REWRITE:
            self.aof.forget()
            self.aof.detach()
            self.next_try_s = self.now_s() + FIRST_RETRY_DELAY_S
            return
        if self.failures < FAILURES_FREE:
            self.next_try_s = 0
            return
        minutes: i64 = FIRST_DELAY_MINUTES
        for _ in range(self.failures - FAILURES_FREE):
            minutes *= 2
            if minutes >= LONGEST_DELAY_MINUTES:
                minutes = LONGEST_DELAY_MINUTES
                break
        self.next_try_s = self.now_s() + minutes * 60
        self.log.warning(
            f"Background AOF rewrite has repeatedly failed and triggered the limit, will retry in {minutes} minutes"
        )

    def watch_child(self) -> None:
        """See whether the child has ended; the increment of a first rewrite is settled before it is listed."""
        if not self.child_ended:
            status = self.processes.exit_status(self.child_id)
            if status is None:
                return
            self.child_ended = True
            self.child_status = status
            self.aof.begin_settling()
        waits = self.state == FIRST_REWRITE and self.child_status == 0 and not self.aof.trouble()
        if not waits or self.aof.settles():
            self.finish(self.child_status)

    def finish_ended(self) -> None:
        """Take in at once what a child has left that has ended already (before a shutdown)."""
        if self.child_id == -1:
            return
        if not self.child_ended:
            status = self.processes.exit_status(self.child_id)
            if status is None:
                return
            self.child_status = status
        self.finish(self.child_status)

    def finish(self, status: i64) -> None:
        """The child has ended."""
        temporary = temporary_base(self.child_id)
        self.child_ended = False
        self.last_copied_bytes = self.processes.copied_bytes()
        self.log.notice(f"Fork CoW for AOF rewrite: {self.last_copied_bytes >> 20} MB")
        self.last_took_s = self.now_s() - self.since_s
        self.child_id = -1
        self.since_s = -1
        if status == 0:
            self.log.notice("Background AOF rewrite terminated with success")
            try:
                self.take_base(temporary)
            except OSError as error:
                self.log.warning(f"Error putting the rewritten AOF in place: {error.strerror or error}")
                self.remove_quietly(temporary)
                self.note_failure()
                return
            self.last_ok = True
            self.failures = 0
            self.next_try_s = 0
            self.log.notice("Background AOF rewrite finished successfully")
            return
        if status > 0:
            self.log.warning("Background AOF rewrite terminated with error")
        else:
            self.log.warning(f"Background AOF rewrite terminated by signal {-status}")
        self.remove_quietly(temporary)
        self.note_failure()

    def take_base(self, temporary: str) -> None:
        """Put the new base in its place. Raises OSError, and then the old list counts."""
        disk = self.disk
        listed = self.manifest.copy()
        name = listed.add_base(self.prefix, self.base_is_rdb)
        latency = self.aof.latency
        since_us: i64 = self.clock.now_us()
        disk.rename(temporary, self.path(name))
        latency.note_span(b"aof-rename", since_us, self.clock.now_us())
        since_us = self.clock.now_us()
        base_bytes = self.size_of(self.path(name))
        latency.note_span(b"aof-fstat", since_us, self.clock.now_us())
        if self.state == FIRST_REWRITE:
            if not self.aof.settle():
                raise OSError(5, "the increment cannot be written")
            disk.rename(self.temporary_increment(), self.path(listed.add_increment(self.prefix)))
        listed.retire_increments()
        if self.state == OFF:
            for last in listed.increments:
                listed.history.insert(0, AofFile(last.name, last.sequence, HISTORY))
            listed.increments.clear()
        disk.sync_directory(self.directory)
        disk.sync_directory()
        store_manifest(disk, self.directory, self.prefix, listed)
        self.manifest = listed
        if self.state != OFF:
            self.state = ON
            self.listed_bytes = base_bytes
            self.size_after_rewrite = self.current_bytes()
        self.remove_history()

    def cron(self) -> None:
        """See what has ended, and whether something is due; to be called several times a second."""
        self.aof.child_runs = self.other_child_active or self.child_id != -1
        if self.removing:
            self.strike_history()
        if self.child_id != -1:
            self.watch_child()
        elif self.settling:
            self.advance()
        elif not self.other_child_active and self.is_due():
            self.start()

    def is_due(self) -> bool:
        """Whether a rewrite was put off, or the files have grown enough."""
        if self.next_try_s > self.now_s():
            return False
        if self.scheduled or self.state == FIRST_REWRITE:
            return True
        percentage = self.config.number("auto-aof-rewrite-percentage")
        if self.state != ON or percentage == 0:
            return False
        size = self.current_bytes()
        if size <= self.config.number("auto-aof-rewrite-min-size"):
            return False
        base = self.size_after_rewrite if self.size_after_rewrite > 0 else 1
        growth: i64 = size * 100 // base - 100
        if growth < percentage:
            return False
        self.log.notice(f"Starting automatic rewriting of AOF on {growth}% growth")
        return True

    # -- on and off ---------------------------------------------------------------------------------------

    def turn_on(self, in_transaction: bool) -> bool:
        """CONFIG SET appendonly yes: what is there goes into a base first. False where that cannot begin.

        Amid a transaction the base would hold a part of it, so it has to wait.
        """
        self.cancel()
        self.state = FIRST_REWRITE
        if self.other_child_active:
            self.scheduled = True
            self.log.notice(
                "AOF was enabled but there is already another background operation. An AOF background was scheduled "
                "to start when possible."
            )
            return True
        if in_transaction:
            self.scheduled = True
            self.log.notice(
                "AOF was enabled during a transaction. An AOF background was scheduled to start when possible."
            )
            return True
        if self.start():
            return True
        self.state = OFF
        self.log.warning(
            "AOF was enabled but there was an error creating the AOF file or starting its rewrite: see above."
        )
        return False

    def turn_off(self) -> None:
        """CONFIG SET appendonly no: what was written stays."""
        was_first = self.state == FIRST_REWRITE
        self.cancel()
        if not was_first:
            self.aof.settle()
        self.aof.forget()
        self.aof.detach()
        if was_first:
            self.remove_quietly(self.temporary_increment())
        self.state = OFF

    def cancel(self) -> None:
        """Give up a rewrite under way."""
        self.scheduled = False
        self.settling = False
        self.since_s = -1
        if self.child_id == -1:
            return
        if not self.child_ended:
            self.log.notice(f"Killing running AOF rewrite child: {self.child_id}")
            self.processes.kill(self.child_id)
        self.child_ended = False
        self.remove_quietly(temporary_base(self.child_id))
        self.child_id = -1
