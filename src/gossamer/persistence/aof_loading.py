"""From a manifest to a keyspace: base, then increments, a piece at a time; and the move of an old single file.

Owns what becomes of a torn end and of damage (see `aof_format.py` for which is which), and the client in whose name
the commands run. Commands are run as they stand: no gate is asked, nothing is fed to anyone, nothing expires, nothing
waits. MULTI ... EXEC runs when its EXEC has been read, so a unit is loaded whole or not at all.

A file may begin with a snapshot (a base that was written as one, or the preamble of an old append only file); keys
whose time is over are loaded too, since the commands behind may renew them.

Invariants: every failure leaves as AofLoadError, whose text is for the log, before a file was changed. What is cut
is the torn end of the last file that holds anything, only. After an error the keyspace holds what came before it: the
server must end.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError, CorruptError, GossamerError
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.engine.config import Config
from gossamer.engine.doors import WriteFeed
from gossamer.engine.engine import Engine
from gossamer.engine.snapshot_door import SnapshotDoor
from gossamer.persistence.aof_format import COMMAND, NEED_MORE, AofScanner, ChecksumState
from gossamer.persistence.doors import Disk, EventLog, InputFile
from gossamer.persistence.loading import SnapshotLoading
from gossamer.persistence.manifest import (
    BASE,
    AofFile,
    Manifest,
    ManifestError,
    decode_name,
    load_manifest,
    manifest_name,
    store_manifest,
)
from gossamer.rdb.format import MAGIC_REDIS, MAGIC_VALKEY

STEP_BYTES: Final = 2 << 20
READ_BYTES: Final = 1 << 18
REPLY_KEPT_BYTES: Final = 1 << 16


class AofLoadError(GossamerError):
    """The data set cannot be loaded: the server must not start. The text is for the log."""


@final
class ReadAgain(InputFile):
    """A file whose first bytes were read already, from its beginning."""

    def __init__(self, head: bytes, file: InputFile) -> None:
        self.head: bytes = head
        self.file: InputFile = file

    def size_bytes(self) -> i64:
        return self.file.size_bytes()

    def read(self, size: int) -> bytes:
        head = self.head
        if not head:
            return self.file.read(size)
        if len(head) > size:
            self.head = head[size:]
            return head[:size]
        self.head = b""
        return head

    def close(self) -> None:
        self.file.close()


@final
class AofClient:
    """Runs the commands of one file in the name of a client that nobody sees."""

    def __init__(self, engine: Engine, log: EventLog, file_name: str) -> None:
        self.engine: Engine = engine
        self.log: EventLog = log
        self.file_name: str = file_name
        self.client: Client = engine.new_hidden_client()
        self.client.deny_blocking = True
        self.client.brings_own_data = True
        self.unit: list[list[bytes]] | None = None  # since MULTI
        self.commands: i64 = 0

    def take(self, argv: list[bytes], in_unit: bool, offset: i64) -> None:
        """The next command of the file; `in_unit` is true from MULTI up to what stands before its EXEC."""
        unit = self.unit
        if in_unit:
            if unit is None:
                self.unit = []
                self.client.queued = []  # so that a MULTI within a unit fails
                return
            self.find(argv, offset)
            unit.append(argv)
        elif unit is None:
            self.run(self.find(argv, offset), argv, offset, b"")
        else:
            self.unit = None
            for queued in unit:
                self.run(self.find(queued, offset), queued, offset, b"exec")
            self.client.queued = None

    def find(self, argv: list[bytes], offset: i64) -> Command:
        """The command that is named, which must exist and must be given as many arguments as it takes."""
        engine = self.engine
        command = engine.name_cache.get(argv[0])
        if command is None:
            command = engine.find_command(argv)
            if command is None or command.function is None:
                raise AofLoadError(
                    f"Unknown command '{shown(argv[0])}' reading the append only file {self.file_name} "
                    f"at offset {offset}"
                )
        count: i64 = len(argv)
        if count != command.arity and (command.arity > 0 or count < -command.arity):
            raise AofLoadError(
                f"Wrong number of arguments for '{shown(command.full_name)}' reading the append only file "
                f"{self.file_name} at offset {offset}"
            )
        return command

    def run(self, command: Command, argv: list[bytes], offset: i64, told_as: bytes) -> None:
        """Run a command; `told_as` names it to the log where another one made it run."""
        client = self.client
        out = client.reply.out
        function = command.function
        assert function is not None, "find() looks"
        client.last_command = command
        self.commands += 1
        try:
            function(client, argv)
        except CommandError as error:
            out.truncate(0)
            client.reply.error(error.message)
        except Exception as bug:
            raise AofLoadError(
                f"Internal error in '{shown(command.full_name)}' reading the append only file {self.file_name} "
                f"at offset {offset}: {bug!r}"
            ) from bug
        client.propagated = None
        client.block_keys = None
        size: i64 = len(out)
        if size == 0:
            return
        if out[0] == 45:
            self.tell_error(out.getvalue(), told_as or command.full_name)
        if size > REPLY_KEPT_BYTES:
            client.reply.renew()
        else:
            out.truncate(0)

    def tell_error(self, reply: bytes, name: bytes) -> None:
        """A command that was written when it succeeded must not fail now: the data set differs."""
        text = shown(reply.rstrip(b"\r\n")).removeprefix("-ERR ")
        self.log.warning(
            "== CRITICAL == This server is sending an error to its AOF-loading-client: "
            f"'{text}' after processing the command '{shown(name)}'"
        )

    def close(self) -> None:
        self.engine.free_client(self.client)


@final
class AofLoading:
    """One data set that is being loaded. `step` until it is True; `close` if that is never reached.

    When it is done: `base_bytes` and `current_bytes` say how long the base and all files are now, `last_checksums`
    is the running check sum of the last increment, for who goes on writing it (None where there is no increment).
    `keys_loaded` counts those of a snapshot; its function libraries are loaded into the engine.
    """

    def __init__(self, engine: Engine, disk: Disk, config: Config, log: EventLog, manifest: Manifest) -> None:
        """Raises AofLoadError where a file is missing."""
        self.engine: Engine = engine
        self.disk: Disk = disk
        self.config: Config = config
        self.log: EventLog = log
        self.directory: str = decode_name(config.text("appenddirname"))
        self.prefix: str = decode_name(config.text("appendfilename"))
        self.files: list[AofFile] = manifest.files()
        self.sizes: list[i64] = [self.measure(file) for file in self.files]
        self.total_bytes: i64 = 0
        self.base_bytes: i64 = 0
        for i in range(len(self.files)):
            self.total_bytes += self.sizes[i]
            if self.files[i].kind == BASE:
                self.base_bytes = self.sizes[i]
        self.current_bytes: i64 = self.total_bytes
        self.passed_bytes: i64 = 0  # of the files that are loaded
        self.keys_loaded: i64 = 0
        self.commands: i64 = 0
        self.last_checksums: ChecksumState | None = None
        # The file under way
        self.index: i64 = -1
        self.input: InputFile | None = None
        self.snapshot: SnapshotLoading | None = None
        self.scanner: AofScanner = AofScanner()
        self.client: AofClient | None = None
        self.file_since_us: i64 = 0
        # The whole
        self.since_us: i64 = 0
        self.begun: bool = False
        self.done: bool = False
        self.expired_before: bool = True
        self.hid_before: bool = True

    def measure(self, file: AofFile) -> i64:
        try:
            found = self.disk.open(self.path(file))
            if found is None:
                raise AofLoadError(
                    f"Unable to obtain the AOF file {file.name} length. stat: No such file or directory"
                )
            size = found.size_bytes()
            found.close()
            return size
        except OSError as error:
            raise AofLoadError(
                f"Unable to obtain the AOF file {file.name} length. stat: {error.strerror}"
            ) from error

    def path(self, file: AofFile) -> str:
        return f"{self.directory}/{file.name}"

    def loaded_bytes(self) -> i64:
        """Up to where the files have been loaded, of `total_bytes`."""
        snapshot = self.snapshot
        if snapshot is not None:
            return self.passed_bytes + snapshot.loaded_bytes()
        return self.passed_bytes + self.scanner.end_offset

    def step(self, limit_bytes: i64 = STEP_BYTES) -> bool:
        """Load some more; True when all is loaded. Raises AofLoadError."""
        if not self.begun:
            self.begin()
        engine = self.engine
        feeds = engine.feeds
        nobody: list[WriteFeed] = []
        engine.feeds = nobody
        snapshots = engine.snapshots
        engine.snapshots = SnapshotDoor()  # a FLUSHALL from the past must not save
        running = engine.running
        try:
            stop: i64 = self.loaded_bytes() + limit_bytes
            while not self.done and self.loaded_bytes() < stop:
                self.advance(stop)
        finally:
            engine.feeds = feeds
            engine.snapshots = snapshots
            engine.running = running
        return self.done

    def begin(self) -> None:
        self.begun = True
        state = self.engine.state
        self.expired_before = state.expires_now
        self.hid_before = state.hides_expired
        state.expires_now = False
        state.hides_expired = False
        self.since_us = self.engine.clock.now_us()
        if self.total_bytes == 0:
            self.last_checksums = ChecksumState() if self.ends_with_increment() else None
            self.end()

    def end(self) -> None:
        self.done = True
        self.close()
        self.engine.state.dirty = 0
        elapsed_s = (self.engine.clock.now_us() - self.since_us) / 1_000_000
        if self.files:
            self.log.notice(f"DB loaded from append only file: {elapsed_s:.3f} seconds")

    def close(self) -> None:
        """Let go of the file, and let keys expire again as before."""
        file = self.input
        self.input = None
        if file is not None:
            file.close()
        client = self.client
        self.client = None
        if client is not None:
            client.close()
        if self.begun:
            self.engine.state.expires_now = self.expired_before
            self.engine.state.hides_expired = self.hid_before

    def ends_with_increment(self) -> bool:
        return len(self.files) > 0 and self.files[-1].kind != BASE

    # -- one file -----------------------------------------------------------------------------------------

    def advance(self, stop: i64) -> None:
        """Load from the file under way, or go to the next one."""
        if self.client is None:
            self.index += 1
            if self.index >= i64(len(self.files)):
                self.end()
                return
            self.open_file(self.files[self.index])
        file = self.files[self.index]
        try:
            if self.snapshot is not None:
                self.load_snapshot(file, stop)
            elif self.load_commands(stop - self.passed_bytes):
                self.end_file(file)
        except CorruptError as error:
            raise AofLoadError(
                f"Bad file format reading the append only file {file.name}: {error}. Make a backup of your AOF file, "
                f"then use gossamer check-aof --fix {self.directory}/{manifest_name(self.prefix)}"
            ) from error
        except OSError as failure:
            raise AofLoadError(
                f"Unrecoverable error reading the append only file {file.name}: {failure.strerror}"
            ) from failure

    def open_file(self, file: AofFile) -> None:
        head = b""
        try:
            found = self.disk.open(self.path(file))
            if found is not None:
                self.input = found
                head = found.read(READ_BYTES)
        except OSError as error:
            raise AofLoadError(
                f"Fatal error: can't open the append log file {file.name} for reading: {error.strerror}"
            ) from error
        if found is None:
            raise AofLoadError(f"The append log file {file.name} doesn't exist: No such file or directory")
        self.client = AofClient(self.engine, self.log, file.name)
        self.engine.running = self.client.client
        self.file_since_us = self.engine.clock.now_us()
        self.scanner = AofScanner(0, self.sizes[self.index])
        if not head.startswith(MAGIC_REDIS) and not head.startswith(MAGIC_VALKEY):
            self.scanner.feed(head)
            return
        if file.name == self.prefix:
            self.log.notice("Reading RDB preamble from AOF file...")
        else:
            self.log.notice("Reading RDB base file on AOF loading...")
        self.snapshot = SnapshotLoading(
            ReadAgain(head, found), self.engine.keyspace, False, self.config.flag("rdbchecksum")
        )

    def load_snapshot(self, file: AofFile, stop: i64) -> None:
        """Load from the snapshot with which a file begins; commands follow it."""
        snapshot = self.snapshot
        assert snapshot is not None
        try:
            if not snapshot.step(stop - self.loaded_bytes()):
                return
        except CorruptError as error:
            part = "RDB preamble of the AOF file" if file.name == self.prefix else "RDB base file"
            raise AofLoadError(
                f"Error reading the {part} {file.name}, AOF loading aborted: {error}"
            ) from error
        report = snapshot.report()
        self.keys_loaded = report.keys_loaded
        try:
            self.engine.functions.load_all(snapshot.target.functions)
        except CommandError as refused:
            raise AofLoadError(
                f"Error reading a function library of {file.name}, AOF loading aborted: {shown(refused.message)}"
            ) from refused
        self.log.notice(
            f"Done loading RDB, keys loaded: {report.keys_loaded}, keys expired: {report.keys_expired}."
        )
        source = snapshot.source
        self.snapshot = None
        self.scanner = AofScanner(source.offset(), self.sizes[self.index])
        self.scanner.feed(source.data[source.position : source.end])

    def load_commands(self, stop: i64) -> bool:
        """Run commands up to an offset in the file under way; True at its end."""
        scanner = self.scanner
        client = self.client
        file = self.input
        assert client is not None and file is not None
        self.engine.running = client.client
        limits = self.engine.limits
        while scanner.end_offset < stop:
            kind = scanner.next()
            if kind == COMMAND:
                client.take(scanner.argv, scanner.unit_start >= 0, scanner.offset)
                if limits.key_load_delay_us != 0:
                    self.engine.state.delay.wait(limits.key_load_delay_us)
            elif kind == NEED_MORE:
                data = file.read(READ_BYTES)
                if not data:
                    scanner.finish()
                    return True
                scanner.feed(data)
        return False

    def end_file(self, file: AofFile) -> None:
        """Settle a torn end, and go on to the next file."""
        size = self.sizes[self.index]
        is_last = self.index == i64(len(self.files)) - 1
        if self.scanner.is_torn():
            self.settle_tear(file, self.nothing_follows())
            size = self.scanner.complete_end
            self.current_bytes -= self.sizes[self.index] - size
            if file.kind == BASE:
                self.base_bytes = size
        if is_last and file.kind != BASE:
            self.last_checksums = self.scanner.complete_sums()
        self.passed_bytes += self.sizes[self.index]
        self.scanner = AofScanner()
        client, source = self.client, self.input
        assert client is not None and source is not None
        self.commands += client.commands
        self.client = None
        self.input = None
        client.close()
        source.close()
        if self.sizes[self.index] > 0:
            elapsed_s = (self.engine.clock.now_us() - self.file_since_us) / 1_000_000
            kind = "base" if file.kind == BASE else "incr"
            self.log.notice(f"DB loaded from {kind} file {file.name}: {elapsed_s:.3f} seconds")

    def nothing_follows(self) -> bool:
        """Whether all files behind the one under way are empty: a crash may come just after one was listed."""
        i: i64 = self.index + 1
        while i < i64(len(self.files)):
            if self.sizes[i] > 0:
                return False
            i += 1
        return True

    def settle_tear(self, file: AofFile, is_last: bool) -> None:
        """The file ends inside a command or a unit: cut that off, or refuse the file."""
        end = self.scanner.complete_end
        if self.scanner.unit_start >= 0:
            self.log.warning(f"Revert incomplete MULTI/EXEC transaction in AOF file {file.name}")
        if not is_last:
            raise AofLoadError(
                f"Fatal error: the truncated file is not the last file: {file.name} ends inside a command or "
                f"a transaction that begins at offset {end}"
            )
        if not self.config.flag("aof-load-truncated"):
            raise AofLoadError(
                f"Unexpected end of file reading the append only file {file.name}, whose last complete command ends "
                f"at offset {end}. You can: 1) Make a backup of your AOF file, then use gossamer check-aof --fix "
                f"{self.directory}/{manifest_name(self.prefix)}. 2) Alternatively you can set the "
                "'aof-load-truncated' configuration option to yes and restart the server."
            )
        self.log.warning(f"!!! Warning: short read while loading the AOF file {file.name}!!!")
        self.log.warning(f"!!! Truncating the AOF {file.name} at offset {end} !!!")
        try:
            output = self.disk.append(self.path(file))
            try:
                output.truncate(end)
                output.sync()
            finally:
                output.close()
        except OSError as error:
            raise AofLoadError(f"Error truncating the AOF file {file.name}: {error.strerror}") from error
        self.log.warning(f"AOF {file.name} loaded anyway because aof-load-truncated is enabled")


def shown(text: bytes) -> str:
    """Bytes as a line of the log shows them."""
    return text[:128].decode("utf-8", "backslashreplace")


# -- before loading -----------------------------------------------------------------------------------------


def prepare(disk: Disk, config: Config, log: EventLog) -> Manifest | None:
    """The manifest to load, after an old single file was moved into the directory; None where there is neither.

    The move can be interrupted anywhere and goes on at the next start: the manifest that names the old file as base
    is durable before the file is renamed, and a base of that name which is still in the working directory says that
    the rename is to come. Raises AofLoadError.
    """
    prefix = decode_name(config.text("appendfilename"))
    directory = decode_name(config.text("appenddirname"))
    try:
        manifest = load_manifest(disk, directory, prefix) if disk.is_directory(directory) else None
        if has_file(disk, prefix) and wants_move(disk, directory, prefix, manifest):
            manifest = move_old_file(disk, directory, prefix, log)
        return manifest
    except ManifestError as error:
        raise AofLoadError("\n".join(error.explain())) from error
    except OSError as failure:
        raise AofLoadError(
            f"Fatal error preparing the append only directory {directory}: {failure.strerror}"
        ) from failure


def has_file(disk: Disk, name: str) -> bool:
    if disk.is_directory(name):
        return False
    file = disk.open(name)
    if file is None:
        return False
    file.close()
    return True


def wants_move(disk: Disk, directory: str, prefix: str, manifest: Manifest | None) -> bool:
    """Whether an old file is the data set: no list names any file, or one names it where it is not yet."""
    if manifest is None:
        return True
    base = manifest.base
    if manifest.increments:
        return False
    if base is None:
        return True
    return base.name == prefix and not has_file(disk, f"{directory}/{prefix}")


def move_old_file(disk: Disk, directory: str, prefix: str, log: EventLog) -> Manifest:
    """Make an old single file the base of a new list."""
    disk.make_directory(directory)
    disk.sync_directory()
    manifest = Manifest()
    manifest.base = AofFile(prefix, 1, BASE)
    manifest.base_sequence = 1
    store_manifest(disk, directory, prefix, manifest)
    disk.rename(prefix, f"{directory}/{prefix}")
    disk.sync_directory(directory)  # first: the file must not be in neither
    disk.sync_directory()
    log.notice(
        f"Successfully migrated an old-style AOF file ({prefix}) into the AOF directory ({directory})."
    )
    return manifest
