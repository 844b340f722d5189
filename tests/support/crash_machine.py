"""A server on a disk that can lose power: the real engine and the real persistence, driven by hand.

Owns: the doors (disk, child processes, the other thread) as a schedule turns them, and what the server promised at
every point of the disk's journal.
Must not know: which schedule it follows (`crash_histories.py`), how persistence works.

A child's job runs when it is forked, so it sees the memory of that moment; what it does to the disk is kept and done
later, piece by piece, when the schedule says so. A task of the other thread covers what was written when it was
submitted and is durable when the schedule lets it end: both are the worst that may happen.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import ClassVar, Final

from mypy_extensions import i64

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.config import Config, ConfigDoor
from gossamer.engine.config_commands import EngineSettings
from gossamer.engine.digest import keyspace_digest
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.persistence.aof import Emergency
from gossamer.persistence.doors import Background, BackgroundTask, Disk, InputFile, Job, OutputFile, Processes
from gossamer.persistence.durable import replace_file
from gossamer.server.command_table import all_commands
from gossamer.server.log import NOTHING, Log
from gossamer.server.persistence import Persistence
from support.disk_model import Image, ModelDisk

CRON_MS: Final = 100
# What the histories use and what a base is written in; a whole table would take most of the time of a load.
NAMES: Final = frozenset(
    b"set append incr rpush lpush lpop hset hmset hincrby sadd zadd del rename exists select multi exec expire "
    b"pexpireat save bgsave bgrewriteaof config".split()
)
COMMANDS: Final = tuple(command for command in all_commands() if command.name in NAMES)
CHILD: Final = 1000  # the first process id of a child


class MachineDisk(Disk):
    """The disk as the server sees it: the model, or what a child's job is keeping for later.

    A broken variant of the server overrides something here.
    """

    directives: ClassVar[dict[str, str]] = {}
    forks_late = False  # a child sees the memory of a later moment

    def __init__(self, model: ModelDisk) -> None:
        self.model = model
        self.kept: list[Callable[[], None]] | None = None

    def file(self, name: str, file: OutputFile) -> OutputFile:
        """What is handed out for a file that was opened."""
        return file

    def do(self, call: Callable[[], None]) -> None:
        if self.kept is None:
            call()
        else:
            self.kept.append(call)

    def opened(self, name: str, opener: Callable[[str], OutputFile]) -> OutputFile:
        if self.kept is None:
            return self.file(name, opener(name))
        later = LaterFile(self.kept)

        def open_later() -> None:
            later.real = self.file(name, opener(name))

        self.kept.append(open_later)
        return later

    def create(self, name: str) -> OutputFile:
        return self.opened(name, self.model.create)

    def append(self, name: str) -> OutputFile:
        return self.opened(name, self.model.append)

    def open(self, name: str) -> InputFile | None:
        return self.model.open(name)

    def make_directory(self, name: str) -> None:
        self.do(lambda: self.model.make_directory(name))

    def is_directory(self, name: str) -> bool:
        return self.model.is_directory(name)

    def rename(self, name: str, new_name: str) -> None:
        self.do(lambda: self.model.rename(name, new_name))

    def remove(self, name: str) -> None:
        self.do(lambda: self.model.remove(name))

    def sync_directory(self, name: str = ".") -> None:
        self.do(lambda: self.model.sync_directory(name))


class LaterFile(OutputFile):
    """A file of a child: it is written when the child's turn comes."""

    def __init__(self, kept: list[Callable[[], None]]) -> None:
        self.kept = kept
        self.real: OutputFile | None = None
        self.size = 0

    def file(self) -> OutputFile:
        assert self.real is not None
        return self.real

    def write(self, data: bytes) -> None:
        self.size += len(data)
        self.kept.append(lambda: self.file().write(data))

    def size_bytes(self) -> i64:
        return self.size

    def truncate(self, size: i64) -> None:
        self.size = int(size)
        self.kept.append(lambda: self.file().truncate(size))

    def sync(self) -> None:
        self.kept.append(lambda: self.file().sync())

    def close(self) -> None:
        self.kept.append(lambda: self.file().close())


class ModelProcesses(Processes):
    """One child at a time, whose file work is done by `play`. With `at_once`, at the fork."""

    def __init__(self, disk: MachineDisk, at_once: bool = False) -> None:
        self.disk = disk
        self.at_once = at_once
        self.current = 1
        self.forks = 0
        self.todo: list[Callable[[], None]] = []
        self.result: int | None = None
        self.ended: dict[int, int] = {}
        self.fault: OSError | None = None

    def own_id(self) -> i64:
        return self.current

    def fork(self, job: Job) -> i64:
        if self.fault is not None:
            raise self.fault
        self.forks += 1
        process_id = CHILD + self.forks
        self.result = 0
        if self.disk.forks_late:
            self.todo = [lambda: self.run(job, process_id)]
        else:
            self.run(job, process_id)
        return process_id

    def run(self, job: Job, process_id: int) -> None:
        self.current = process_id
        if not self.at_once:
            self.disk.kept = []
        try:
            self.result = int(job.run())
        finally:
            self.current = 1
            self.todo = self.disk.kept or []
            self.disk.kept = None

    def busy(self) -> bool:
        return self.result is not None

    def play(self, count: int) -> None:
        """Let the child do that much of its file work."""
        todo, self.todo = self.todo[:count], self.todo[count:]
        for call in todo:
            call()

    def end(self) -> None:
        """Let the child finish."""
        if self.result is not None:
            while self.todo:
                self.play(len(self.todo))
            self.ended[CHILD + self.forks] = self.result
            self.result = None

    def exit_status(self, process_id: i64) -> i64 | None:
        return self.ended.get(int(process_id))

    def kill(self, process_id: i64) -> None:
        self.todo = []
        self.result = None
        self.ended[int(process_id)] = -9


class ModelBackground(Background):
    """Tasks wait until the schedule lets the first one end."""

    def __init__(self, disk: MachineDisk, clock: ManualClock) -> None:
        self.disk = disk
        self.clock = clock
        self.tasks: list[tuple[BackgroundTask, int]] = []
        self.submitted_us = 0  # when the first of those that wait was

    def submit(self, task: BackgroundTask) -> None:
        if not self.tasks:
            self.submitted_us = int(self.clock.now_us())
        self.tasks.append((task, self.disk.model.mark()))

    def finish_one(self) -> None:
        if not self.tasks:
            return
        task, place = self.tasks.pop(0)
        self.disk.model.covers = place
        try:
            task.run()
        except OSError as error:
            task.error = error
        finally:
            self.disk.model.covers = None
        task.done = True
        self.submitted_us = int(self.clock.now_us())

    def drain(self) -> None:
        while self.tasks:
            self.finish_one()


class ModelConfigDoor(ConfigDoor):
    """The directory of a configuration: the root of the model."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk

    def current_directory(self) -> bytes:
        return b"/data"

    def read_file(self, path: bytes) -> bytes:
        file = self.disk.open(path.decode())
        if file is None:
            raise FileNotFoundError(2, "No such file or directory")
        return file.read(1 << 20)

    def replace_file(self, path: bytes, content: bytes) -> None:
        name = path.decode()
        replace_file(self.disk, name, f"{name}-1.tmp", content)


class Died(BaseException):
    """The server ended itself."""


class ModelEmergency(Emergency):
    def give_up(self, text: str) -> None:
        raise Died(text)


class MachineHooks(EngineHooks):
    """What the loop and the server do for the engine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def disk_error(self) -> bytes | None:
        return self.machine.persistence.refusal()

    def log_bug(self, what: str, error: BaseException) -> None:
        raise AssertionError(f"a bug in {what}: {error!r}") from error


class Promise:
    """What must be found after a crash at a place of the journal or later.

    With `snapshots`, one of those states of the history; else any state that is no older than `at_least`.
    """

    __slots__ = ("appendonly", "at_least", "config", "snapshots")

    def __init__(
        self,
        at_least: int,
        appendonly: bool,
        snapshots: frozenset[int] | None = None,
        config: frozenset[bytes] | None = None,
    ) -> None:
        self.at_least = at_least
        self.appendonly = appendonly
        self.snapshots = snapshots
        self.config = config  # what the configuration file may hold; then nothing else counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Promise) and all(
            getattr(self, name) == getattr(other, name) for name in self.__slots__
        )

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))


class Machine:
    """One life of a server. `start`, then `unit` and `flush` and `tick`; `history` and `promises` for the judge."""

    def __init__(
        self,
        disk: ModelDisk,
        directives: dict[str, str] | None = None,
        now_us: int = 1_700_000_000_000_000,
        disk_type: type[MachineDisk] = MachineDisk,
        children_at_once: bool = False,
    ) -> None:
        self.model = disk
        self.disk = disk_type(disk)
        self.clock = ManualClock(now_us)
        self.processes = ModelProcesses(self.disk, children_at_once)
        self.background = ModelBackground(self.disk, self.clock)
        self.config = Config(70, ModelConfigDoor(self.disk))
        for name, value in {
            "save": "",
            "aof-use-rdb-preamble": "yes",
            **(directives or {}),
            **disk_type.directives,
        }.items():
            directive = self.config.names[name]
            words = value.split(" ") if name == "save" and value else [value]
            parsed = directive.parse([word.encode() for word in words], self.config.value(name), 70)
            self.config.put(name, parsed)
        limits = Limits()
        limits.compat = 70
        self.engine = Engine(self.clock, limits, Random64(1), 4)
        EngineSettings(self.engine, self.config).connect()
        self.engine.hooks = MachineHooks(self)
        self.engine.add_commands(COMMANDS)
        log = Log()
        log.level = NOTHING
        self.persistence = Persistence(
            self.engine, self.config, log, self.disk, self.processes, self.background, ModelEmergency()
        )
        self.client: Client = self.engine.new_client()
        self.history: list[bytes] = []  # the digest after each unit; the first of what was loaded
        self.at: dict[bytes, list[int]] = {}  # the places of a digest in the history
        self.answered: list[tuple[int, int]] = []  # when how many units had been answered
        self.promises: list[tuple[int, Promise]] = []
        self.saved: int = 0
        self.save_tried: set[int] = set()
        self.forked_at = -1
        self.switched = directives is not None and directives.get("appendonly") == "yes"  # AOF is complete
        self.rewrite_from = -1  # the place in the history where a rewrite under way began
        self.floor = 0  # what a finished rewrite holds in any case
        self.config_name = ""
        self.config_contents: frozenset[bytes] | None = None

    # -- the life of a server -----------------------------------------------------------------------------

    def start(self) -> None:
        """Load what is there, as a server does. Raises LoadingFailed."""
        self.load()
        self.note_unit()
        self.promise(0)

    def load(self) -> None:
        self.engine.begin_iteration()
        persistence = self.persistence
        persistence.begin_loading()
        while persistence.loading is not None and persistence.step() == 0:
            pass

    def start_after(self, before: Machine) -> None:
        """Start where another one was killed: what it wrote is there, but not all of it is durable."""
        self.load()
        digest = keyspace_digest(self.engine.keyspace)
        index = max(before.at.get(digest, [-1]))
        assert index >= before.promises[-1][1].at_least, "a kill lost what was promised"
        self.history = before.history[: index + 1]
        self.at = {each: [p for p in places if p <= index] for each, places in before.at.items()}
        self.answered = [(at_us, min(index, answered)) for at_us, answered in before.answered]
        self.promises = before.promises
        self.floor = min(before.floor, index)
        self.promise()

    def run(self, *argv: bytes) -> bytes:
        """A command and its reply, which stays here until the next flush."""
        self.engine.begin_iteration()
        out = self.client.reply.out
        out.truncate(0)
        self.engine.execute(self.client, list(argv))
        return out.getvalue()

    def unit(self, *commands: list[bytes]) -> None:
        """One command, or several in MULTI."""
        if len(commands) == 1:
            reply = self.run(*commands[0])
        else:
            self.run(b"MULTI")
            for command in commands:
                self.run(*command)
            reply = self.run(b"EXEC")
        assert not reply.startswith(b"-"), (commands, reply)
        self.note_unit()

    def drop_unit(self) -> None:
        """The last unit changed nothing: it is none."""
        self.at[self.history.pop()].pop()

    def note_unit(self) -> None:
        digest = keyspace_digest(self.engine.keyspace)
        self.at.setdefault(digest, []).append(len(self.history))
        self.history.append(digest)

    def flush(self) -> None:
        """The end of a loop iteration: the replies leave. Raises Died."""
        self.persistence.before_flush()
        self.answered.append((int(self.clock.now_us()), len(self.history) - 1))
        self.promise()

    def tick(self, ms: int = CRON_MS) -> None:
        """Time passes; cron and the end of an iteration."""
        self.clock.advance_ms(ms)
        self.engine.begin_iteration()
        self.persistence.cron()
        self.see_child()
        self.see_rewrite()
        self.flush()

    # -- snapshots ----------------------------------------------------------------------------------------

    def has_child(self) -> bool:
        """Whether a child runs, or ended and cron has not seen it."""
        return self.persistence.snapshots.in_background() or self.persistence.rewrites.in_progress()

    def save(self) -> None:
        self.save_tried.add(len(self.history) - 1)
        self.promise()
        assert self.run(b"SAVE") == b"+OK\r\n"
        self.note_saved(len(self.history) - 1)

    def begin_background_save(self) -> None:
        self.forked_at = len(self.history) - 1
        self.save_tried.add(self.forked_at)
        self.promise()
        assert self.run(b"BGSAVE") == b"+Background saving started\r\n"

    def see_child(self) -> None:
        if self.forked_at >= 0 and not self.persistence.snapshots.in_background():
            if self.persistence.snapshots.last_background_ok:
                self.note_saved(self.forked_at)
            self.forked_at = -1

    def note_saved(self, place: int) -> None:
        self.saved = place
        self.save_tried = {place}
        self.promise()

    # -- the append only file -----------------------------------------------------------------------------

    def facts(self) -> dict[bytes, bytes | int]:
        """What INFO persistence says."""
        facts: dict[bytes, bytes | int] = {}
        for source in self.engine.info_sources:
            source.add_facts(facts)
        return facts

    def rewrite(self) -> None:
        self.rewrite_from = len(self.history) - 1
        assert self.run(b"BGREWRITEAOF").startswith(b"+Background append only file rewriting")

    def switch_on(self) -> None:
        self.rewrite_from = len(self.history) - 1
        assert self.run(b"CONFIG", b"SET", b"appendonly", b"yes") == b"+OK\r\n"

    def switch_off(self) -> None:
        self.switched = False
        self.floor = 0
        self.rewrite_from = -1
        self.promise()
        assert self.run(b"CONFIG", b"SET", b"appendonly", b"no") == b"+OK\r\n"

    def see_rewrite(self) -> None:
        """Whether a rewrite has come to its end: then its base is there whatever happens."""
        if self.rewrite_from < 0:
            return
        facts = self.facts()
        if facts[b"aof_rewrite_in_progress"] or facts[b"aof_rewrite_scheduled"]:
            return
        if facts[b"aof_last_bgrewrite_status"] == b"ok" and facts[b"aof_enabled"]:
            self.switched = True
            self.floor = self.rewrite_from
            self.rewrite_from = -1

    def kept(self) -> int:
        """How many units the setting in force promises to keep now."""
        policy = self.config.choice("appendfsync")
        if policy == b"always":
            return self.answered[-1][1] if self.answered else self.floor
        if policy == b"no":
            return self.floor
        limit_us = (2_000 if self.background.tasks else 1_000) * 1000 + CRON_MS * 1000
        now_us = int(self.clock.now_us())
        kept = self.floor
        for at_us, answered in reversed(self.answered):
            if at_us <= now_us - limit_us:
                return max(kept, answered)
        return kept

    # -- the other thread, the configuration --------------------------------------------------------------

    def sync_is_late(self, limit_ms: int) -> bool:
        """Whether the schedule should let the other thread go on."""
        if not self.background.tasks:
            return False
        return int(self.clock.now_us()) - self.background.submitted_us > limit_ms * 1000

    def keep_config(self, name: str) -> None:
        """From now on it is the configuration file that counts."""
        self.config_name = name
        self.config.config_file = name.encode()
        self.config_contents = frozenset({self.model.volatile().files[name]})
        self.promise()

    def rewrite_config(self) -> None:
        """CONFIG REWRITE: until it has answered, the file may be the old one or the new."""
        assert self.config_contents is not None
        old = self.config_contents
        start = self.model.mark()
        assert self.run(b"CONFIG", b"REWRITE") == b"+OK\r\n"
        new = frozenset({self.model.volatile().files[self.config_name]})
        self.config_contents = old | new
        self.promise(start)
        self.config_contents = new
        self.promise()

    # -- promises -----------------------------------------------------------------------------------------

    def promise(self, place: int | None = None) -> None:
        if self.switched:
            made = Promise(self.kept(), True, None, self.config_contents)
        else:
            snapshots = frozenset(self.save_tried | {self.saved})
            made = Promise(self.saved, False, snapshots, self.config_contents)
        if not self.promises or self.promises[-1][1] != made:
            self.promises.append((self.model.mark() if place is None else place, made))

    def promised_at(self, place: int) -> Promise:
        """The promise in force when the journal had so many operations; the strictest, where it changed meanwhile."""
        index = bisect_right(self.promises, place, key=lambda pair: pair[0]) - 1
        promise = self.promises[index][1]
        if not promise.appendonly:
            return promise
        at_least = promise.at_least
        while index > 0 and self.promises[index][0] == place:
            index -= 1
            earlier = self.promises[index][1]
            if earlier.appendonly:
                at_least = max(at_least, earlier.at_least)
        return Promise(at_least, True, None, promise.config)


def loaded(image: Image, directives: dict[str, str], now_us: int) -> Machine:
    """A server that was started on what a crash left. Raises LoadingFailed."""
    machine = Machine(ModelDisk(image), directives, now_us)
    machine.start()
    return machine
