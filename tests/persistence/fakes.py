"""A disk and processes in memory, which fail when they are told to."""

from mypy_extensions import i64

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.config import Config
from gossamer.keyspace.events import KeyspaceListener
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import KeyspaceState
from gossamer.persistence.aof import Emergency
from gossamer.persistence.doors import (
    Background,
    BackgroundTask,
    Disk,
    EventLog,
    InputFile,
    Job,
    OutputFile,
    Processes,
)
from gossamer.persistence.snapshot import SnapshotContent, Snapshots


class FakeDisk(Disk):
    """Files by name; `synced` holds what a crash would leave. `steps` counts operations, `fail_at` breaks one."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.directories: set[str] = set()
        self.steps = 0
        self.fail_at = -1
        self.journal: list[str] = []
        self.handed_out: list[FakeOutputFile] = []

    def step(self, what: str) -> None:
        self.steps += 1
        if self.steps == self.fail_at:
            raise OSError(28, "No space left on device")
        self.journal.append(what)

    def create(self, name: str) -> OutputFile:
        self.step(f"create {name}")
        self.files[name] = b""
        return FakeOutputFile(self, name)

    def append(self, name: str) -> OutputFile:
        self.step(f"append {name}")
        self.files.setdefault(name, b"")
        return FakeOutputFile(self, name)

    def make_directory(self, name: str) -> None:
        self.step(f"make directory {name}")
        self.directories.add(name)

    def is_directory(self, name: str) -> bool:
        return name in self.directories

    def open(self, name: str) -> InputFile | None:
        return FakeInputFile(self.files[name]) if name in self.files else None

    def rename(self, name: str, new_name: str) -> None:
        self.step(f"rename {name} {new_name}")
        self.files[new_name] = self.files.pop(name)
        for file in self.handed_out:
            if file.name == name:
                file.name = new_name

    def remove(self, name: str) -> None:
        self.journal.append(f"remove {name}")
        self.files.pop(name, None)

    def sync_directory(self, name: str = ".") -> None:
        self.step("sync directory" if name == "." else f"sync directory {name}")


class FakeOutputFile(OutputFile):
    def __init__(self, disk: FakeDisk, name: str) -> None:
        self.disk = disk
        self.name = name
        self.short_by = 0  # the next write leaves so many bytes out and fails
        disk.handed_out.append(self)

    def write(self, data: bytes) -> None:
        self.disk.step("write")
        if self.short_by:
            self.disk.files[self.name] += data[: -self.short_by]
            self.short_by = 0
            raise OSError(28, "No space left on device")
        self.disk.files[self.name] += data

    def size_bytes(self) -> i64:
        return len(self.disk.files[self.name])

    def truncate(self, size: i64) -> None:
        self.disk.step(f"truncate {size}")
        self.disk.files[self.name] = self.disk.files[self.name][:size]

    def sync(self) -> None:
        self.disk.step("sync")

    def close(self) -> None:
        self.disk.journal.append("close")


class FakeInputFile(InputFile):
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def size_bytes(self) -> i64:
        return len(self.data)

    def read(self, size: int) -> bytes:
        piece = self.data[self.position : self.position + size]
        self.position += len(piece)
        return piece

    def close(self) -> None:
        pass


class FakeProcesses(Processes):
    """A child runs when the test lets it."""

    def __init__(self) -> None:
        self.current = 1
        self.jobs: dict[int, Job] = {}
        self.ended: dict[int, int] = {}
        self.fails = False

    def own_id(self) -> i64:
        return self.current

    def fork(self, job: Job) -> i64:
        if self.fails:
            raise OSError(11, "Resource temporarily unavailable")
        process_id = 100 + len(self.jobs)
        self.jobs[process_id] = job
        return process_id

    def run_child(self) -> None:
        self.current = max(self.jobs)
        self.ended[self.current] = int(self.jobs[self.current].run())
        self.current = 1

    def exit_status(self, process_id: i64) -> i64 | None:
        return self.ended.get(int(process_id))

    def kill(self, process_id: i64) -> None:
        self.ended[int(process_id)] = -9


class FakeBackground(Background):
    """The other thread works when the test lets it."""

    def __init__(self) -> None:
        self.tasks: list[BackgroundTask] = []

    def submit(self, task: BackgroundTask) -> None:
        self.tasks.append(task)

    def work(self) -> None:
        while self.tasks:
            task = self.tasks.pop(0)
            try:
                task.run()
            except OSError as error:
                task.error = error
            task.done = True

    def drain(self) -> None:
        self.work()


class GaveUp(BaseException):
    """The process would have ended here."""


class FakeEmergency(Emergency):
    def give_up(self, text: str) -> None:
        raise GaveUp(text)


class Lines(EventLog):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def notice(self, text: str) -> None:
        self.lines.append(text)

    def warning(self, text: str) -> None:
        self.lines.append(f"! {text}")


def new_keyspace(compat: int = 70, databases: int = 16, now_ms: int = 1_700_000_000_000) -> Keyspace:
    limits = Limits()
    limits.compat = compat
    state = KeyspaceState(limits, Random64(1), KeyspaceListener())
    state.set_time(now_ms)
    return Keyspace(state, databases)


class World:
    """A keyspace whose snapshots go to a fake disk."""

    def __init__(self, save_points: bytes = b"") -> None:
        self.keyspace = new_keyspace()
        self.config = Config(70)
        self.config.set([(b"save", save_points)])
        self.clock = ManualClock()
        self.disk = FakeDisk()
        self.processes = FakeProcesses()
        self.log = Lines()
        content = SnapshotContent(self.keyspace, self.config)
        self.snapshots = Snapshots(content, self.clock, self.disk, self.processes, self.log)

    def put(self, key: bytes, value: bytes) -> None:
        self.keyspace.databases[0].set_string(key, value, 0, False)
        self.keyspace.state.dirty += 1

    def pass_seconds(self, seconds: int) -> None:
        self.clock.advance_ms(seconds * 1000)
