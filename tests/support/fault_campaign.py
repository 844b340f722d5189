"""Every file operation of a scenario fails once, in turn, in each way in which it can fail.

Owns: the scenarios as lists of steps, the ways to fail, and what must hold afterwards.

Claims, for every operation and every way: after each iteration of the loop either every answered write would be found
by a server that starts on what the files hold now, or the next write is refused with MISCONF, or the process has ended
itself before it answered. A start that fails says so and changes nothing that a later start needs. When the disk works
again the server goes on without a restart: writes are taken, and a loss of power a little later takes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from gossamer.base.errors import GossamerError
from gossamer.server.persistence import LoadingFailed
from support.crash_histories import CONFIG_FILE, History, words
from support.crash_machine import CRON_MS, Died, Machine
from support.disk_model import EIO, ENOSPC, Fault, Image, ModelDisk, Replay
from support.wire import encode

Step = tuple[str, ...]
Way = tuple[
    str, int, int, float
]  # its name, the error, how many operations it lasts, the part of a write that is done

WAYS: Final[tuple[Way, ...]] = (
    ("disk full", ENOSPC, 1, 0.0),
    ("short write", ENOSPC, 1, 0.5),
    ("input/output error", EIO, 1, 0.0),
    ("error after the whole write", EIO, 1, 1.0),
    ("disk full for a while", ENOSPC, 12, 0.3),
)

WRITES: Final[tuple[Step, ...]] = (
    ("write", "SET a 1"), ("flush",), ("write", "INCR n"), ("write", "RPUSH l x y z"), ("flush",),
    ("write", "INCR n", "APPEND a 23", "HSET h f v"), ("flush",), ("tick",), ("write", "INCR n"), ("flush",),
    ("tick",), ("write", "SADD s 1 2 3"), ("flush",), ("seconds",),
)  # fmt: skip
MORE: Final[tuple[Step, ...]] = (
    ("write", "INCR n"), ("flush",), ("write", "APPEND a 4", "INCR n"), ("flush",), ("seconds",),
)  # fmt: skip


class Outcome:
    """What became of one scenario with one fault in it."""

    def __init__(self) -> None:
        self.tried = 0
        self.refused = 0  # scenarios in which a write was refused
        self.died = 0
        self.start_failed = 0
        self.unharmed = 0
        self.wrong: list[str] = []

    def add(self, other: Outcome) -> None:
        self.tried += other.tried
        self.refused += other.refused
        self.died += other.died
        self.start_failed += other.start_failed
        self.unharmed += other.unharmed
        self.wrong += other.wrong


class FaultyRun:
    """A machine that follows the steps whatever happens."""

    def __init__(self, image: Image, directives: dict[str, str], fault: Fault | None) -> None:
        self.directives = directives
        self.model = ModelDisk(image)
        self.model.fault = fault
        self.machine = Machine(self.model, directives, children_at_once=True)
        self.history = History(self.machine, directives)
        self.refused = False
        self.wants_switch = False
        self.struck: list[str] = []
        self.answered = 0
        self.pending = 0  # units of this iteration
        self.saved_at_least = 0
        if CONFIG_FILE in image.files:
            self.machine.config.config_file = CONFIG_FILE.encode()
        self.config_may_be: set[bytes | None] = {image.files.get(CONFIG_FILE)}

    def step(self, step: Step) -> None:
        kind = step[0]
        machine = self.machine
        if kind == "write":
            self.write([words(command) for command in step[1:]])
        elif kind == "flush":
            machine.background.drain()  # a sync that is under way may let the write wait
            machine.flush()
            self.answered = len(machine.history) - 1
            self.look("a flush")
        elif kind == "tick":
            self.pass_time(2)
        elif kind == "seconds":
            self.pass_time(25)
        elif kind == "save":
            self.save()
        elif kind == "bgsave":
            machine.run(b"BGSAVE")
            machine.processes.end()
            self.pass_time(2)
        elif kind == "rewrite":
            machine.run(b"BGREWRITEAOF")
            self.pass_time(3)
        elif kind == "switch on":
            machine.run(b"CONFIG", b"SET", b"appendonly", b"yes")
            machine.rewrite_from = 0
            self.pass_time(3)
        elif kind == "set":
            machine.run(b"CONFIG", b"SET", *words(step[1]))
        else:
            self.rewrite_config()

    def write(self, commands: list[list[bytes]]) -> None:
        machine = self.machine
        if len(commands) == 1:
            reply = machine.run(*commands[0])
        else:
            machine.run(b"MULTI")
            for command in commands:
                machine.run(*command)
            reply = machine.run(b"EXEC")
        if reply.startswith((b"-MISCONF", b"-EXECABORT")):
            self.refused = True
            return
        if reply.startswith(b"-"):
            raise AssertionError(f"{commands}: {reply!r}")
        machine.note_unit()

    def pass_time(self, ticks: int) -> None:
        for _ in range(ticks):
            self.machine.background.drain()
            self.machine.processes.end()
            self.machine.tick(CRON_MS)
        self.machine.background.drain()
        self.answered = len(self.machine.history) - 1

    def save(self) -> None:
        wanted = len(self.machine.history) - 1
        reply = self.machine.run(b"SAVE")
        if reply == b"+OK\r\n":
            self.saved_at_least = wanted
            self.must_hold(self.durable(), wanted, False, "SAVE said OK")
        else:
            assert reply.startswith(b"-"), reply

    def rewrite_config(self) -> None:
        reply = self.machine.run(b"CONFIG", b"REWRITE")
        now = self.model.volatile().files.get(CONFIG_FILE)
        if reply == b"+OK\r\n":
            self.config_may_be = {now}
        else:
            self.config_may_be.add(now)
            assert now is None or b"maxmemory" in now or now in self.config_may_be
        for image in (self.model.volatile(), self.durable()):
            content = image.files.get(CONFIG_FILE)
            if content not in self.config_may_be or (content is not None and not content.endswith(b"\n")):
                raise Wrong(f"the configuration file is neither old nor new: {content!r}")

    # -- what must hold -----------------------------------------------------------------------------------

    def durable(self) -> Image:
        """What a loss of power now leaves at least."""
        replay = Replay(self.model)
        for operation in self.model.journal:
            replay.advance(operation)
        files, directories = replay.tree({})
        return Image({path: replay.contents.get(inode, b"") for path, inode in files.items()}, directories)

    def must_hold(self, image: Image, at_least: int, appendonly: bool, when: str) -> None:
        index = self.history.index_of(image, appendonly)
        if isinstance(index, str) or index < at_least:
            raise Wrong(f"after {when}: {index} where {at_least} units were answered")

    def look(self, when: str) -> None:
        """Nothing that was answered is missing, or writes are refused."""
        image = self.model.volatile()
        if not self.machine.switched:
            self.must_hold(image, self.saved_at_least, False, when)
            return
        index = self.history.index_of(image, True)
        if isinstance(index, int) and index >= self.answered:
            return
        if not self.machine.run(b"SET", b"probe", b"1").startswith(b"-MISCONF"):
            raise Wrong(
                f"after {when}: {index} where {self.answered} units were answered, and writes are taken"
            )
        self.refused = True

    def look_after_death(self) -> None:
        if self.machine.switched:
            for image in (self.model.volatile(), self.durable()):
                self.must_hold(image, self.answered, True, "the server ended itself")

    def look_at_end(self) -> None:
        """The disk works again: the server must have recovered by itself."""
        if self.model.fault is not None:
            self.struck = self.model.fault.struck
        self.model.fault = None
        self.pass_time(80)
        if not self.machine.switched:
            self.machine.run(b"BGSAVE")
            self.machine.processes.end()
            self.pass_time(2)
        if self.wants_switch and not self.machine.switched:
            self.step(("switch on",))
            if not self.machine.switched:
                raise Wrong("AOF cannot be switched on although the disk works again")
        self.refused = False
        self.write([words("SET last 1")])
        if self.refused:
            raise Wrong("writes are still refused although the disk works again")
        self.machine.flush()
        self.pass_time(25)
        everything = len(self.machine.history) - 1
        if self.machine.switched:
            self.must_hold(self.model.volatile(), everything, True, "the disk worked again")
            if self.directives.get("appendfsync") != "no":
                self.must_hold(self.durable(), everything, True, "a few seconds on a disk that works")
            return
        self.save()
        if self.saved_at_least != everything:
            raise Wrong("SAVE fails although the disk works again")

    def look_for_garbage(self) -> None:
        names = [name for name in self.model.names() if "temp" in name or name.endswith(".tmp")]
        if names:
            raise Wrong(f"temporary files stay: {names}")


class Wrong(Exception):
    """A promise that a fault breaks."""


class FaultScenario:
    """Steps, what stands on the disk before them, and with which directives."""

    def __init__(
        self, directives: dict[str, str], steps: tuple[Step, ...], image: Callable[[], Image] = Image
    ) -> None:
        self.directives = directives
        self.steps = steps
        self.image = image()

    def operations(self) -> list[str]:
        """What a run without a fault does."""
        run = FaultyRun(self.image, self.directives, None)
        run.machine.start()
        for step in self.steps:
            run.step(step)
        return run.model.operations

    def try_fault(self, number: int, way: Way, outcome: Outcome) -> None:
        name, error, lasts, part = way
        fault = Fault(number, number + lasts - 1, error, part)
        run = FaultyRun(self.image, self.directives, fault)
        outcome.tried += 1
        try:
            self.live(run, outcome)
        except (Wrong, AssertionError) as wrong:
            struck = fault.struck[0] if fault.struck else "nothing"
            outcome.wrong.append(f"{name} at operation {number} ({struck}): {wrong}")

    def live(self, run: FaultyRun, outcome: Outcome) -> None:
        try:
            run.machine.start()
        except LoadingFailed:
            outcome.start_failed += 1
            self.look_after_failed_start(run)
            return
        except (GossamerError, OSError) as error:
            raise Wrong(f"the start failed with {error!r}, which nobody expects") from error
        try:
            for step in self.steps:
                run.step(step)
            refused = run.refused
            run.wants_switch = ("switch on",) in self.steps
            run.look_at_end()
            if not any("remove" in each for each in run.struck):
                run.look_for_garbage()
        except Died:
            outcome.died += 1
            run.look_after_death()
            return
        outcome.refused += refused
        outcome.unharmed += not refused

    def look_after_failed_start(self, run: FaultyRun) -> None:
        """A later start on a disk that works finds everything."""
        if not run.machine.switched:
            return
        whole = Machine(ModelDisk(self.image), self.directives)
        whole.start()
        run.machine.at[whole.history[0]] = [0]
        for image in (run.model.volatile(), run.durable()):
            run.must_hold(image, 0, True, "a start that failed")


def attempts(scenario: FaultScenario, every: int = 1) -> Iterator[tuple[int, Way]]:
    """Each operation in each way that suits it."""
    for number, operation in enumerate(scenario.operations(), 1):
        for way in WAYS:
            if way[3] and way[2] == 1 and not operation.startswith("write"):
                continue
            if number % every == 0:
                yield number, way


def try_all(scenario: FaultScenario, every: int = 1) -> Outcome:
    outcome = Outcome()
    for number, way in attempts(scenario, every):
        scenario.try_fault(number, way, outcome)
    return outcome


def appending(policy: str, *steps: Step) -> Callable[[], FaultScenario]:
    return lambda: FaultScenario(
        {"appendonly": "yes", "appendfsync": policy, "auto-aof-rewrite-percentage": "0"},
        (*WRITES, *steps, *MORE),
    )


def after_a_crash() -> Image:
    """Base, increment and a torn end."""
    machine = Machine(ModelDisk(), {"appendonly": "yes"}, children_at_once=True)
    machine.start()
    for number in range(5):
        machine.unit([b"INCR", b"n"], [b"RPUSH", b"l", b"%d" % number])
        machine.flush()
    machine.rewrite()
    machine.processes.end()
    for _ in range(3):
        machine.tick()
    machine.unit([b"INCR", b"n"])
    machine.flush()
    image = machine.model.volatile()
    name = max(name for name in image.files if ".incr." in name)
    image.files[name] += encode([b"SET", b"never", b"complete"])[:20]
    return image


def old_single_file() -> Image:
    return Image({"appendonly.aof": encode([b"SET", b"a", b"1"]) + encode([b"INCR", b"n"])})


ON: Final = {"appendonly": "yes", "appendfsync": "always", "auto-aof-rewrite-percentage": "0"}

SCENARIOS: dict[str, Callable[[], FaultScenario]] = {
    "snapshots": lambda: FaultScenario(
        {"save": "1 1", "stop-writes-on-bgsave-error": "yes"},
        (*WRITES[:6], ("save",), ("bgsave",), *MORE, ("save",), *MORE, ("bgsave",), *MORE),
    ),
    "configuration rewrite": lambda: FaultScenario(
        {},
        (("set", "maxmemory 1gb"), ("rewrite config",), ("set", "maxmemory 2gb"), ("rewrite config",)),
        lambda: Image({CONFIG_FILE: b"# by hand\nmaxmemory 100mb\n"}),
    ),
    "always": appending("always"),
    "everysec": appending("everysec"),
    "no": appending("no"),
    "always, rewrite": appending("always", ("rewrite",)),
    "everysec, rewrite": appending("everysec", ("rewrite",), ("write", "INCR n"), ("rewrite",)),
    "no, rewrite": appending("no", ("rewrite",)),
    "switched on": lambda: FaultScenario(
        ON | {"appendonly": "no"}, (*WRITES[:6], ("save",), *MORE, ("switch on",), *MORE)
    ),
    "start after a crash": lambda: FaultScenario(ON, MORE, after_a_crash),
    "start on an old single file": lambda: FaultScenario(ON, MORE, old_single_file),
}
