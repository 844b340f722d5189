"""Every crash of a random history: what the disk model may leave is loaded and held against what was promised.

Owns: the histories (scenarios), the judging of each state, and the counting.
Must not know: how a campaign is told to people (`crash_campaign.py`).

Claims, for every state: a server starts on it; it holds what stood there after some whole number of units (commands
that stand alone, transactions); no unit is missing that the setting in force had promised to keep. A snapshot is the
old or the new one, a configuration file has the old content or the new. A server that goes on from such a state keeps
its own promises at the next crash (`again`).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Final

from gossamer.base.errors import GossamerError
from gossamer.engine.digest import keyspace_digest
from gossamer.server.persistence import LoadingFailed
from support.crash_machine import CRON_MS, Machine, MachineDisk, Promise, loaded
from support.disk_model import Image, ModelDisk, Replay
from support.wire import encode

IMAGES_PER_POINT: Final = 40
NO_START: Final = "no server starts on it"
SYNC_MS_MAX: Final = 900  # the schedule lets no sync of the other thread take longer
SECOND_LIVES: Final = 6  # states of a history from which a server goes on


class Violation(Exception):
    """A promise that a crash breaks."""


class Tally:
    """What a scenario has shown so far."""

    def __init__(self) -> None:
        self.histories = 0
        self.units = 0
        self.points = 0
        self.judged = 0
        self.states: set[int] = set()
        self.second_lives = 0
        self.violations: list[str] = []


class History:
    """A machine that was driven to its end, and how it is loaded after a crash."""

    def __init__(
        self, machine: Machine, directives: dict[str, str], disk_type: type[MachineDisk] = MachineDisk
    ) -> None:
        self.machine = machine
        self.directives = directives
        self.disk_type = disk_type  # of a server that goes on from a crash
        self.found: dict[tuple[int, bool], list[int] | str] = {}

    def judge(self, image: Image, promise: Promise) -> None:
        """Violation unless the state keeps the promise."""
        if promise.config is not None:
            content = image.files.get(CONFIG_FILE)
            if content not in promise.config:
                raise Violation(f"the configuration file is neither old nor new: {content!r}")
            return
        places = self.places_of(image, promise.appendonly)
        if isinstance(places, str):
            raise Violation(places)
        if promise.snapshots is not None:
            if not promise.snapshots.intersection(places):
                raise Violation(f"state {places} is none of the snapshots {sorted(promise.snapshots)}")
        elif places[-1] < promise.at_least:
            raise Violation(f"{places[-1]} units are left where {promise.at_least} were promised")

    def index_of(self, image: Image, appendonly: bool) -> int | str:
        """After how many units at most the data stood as the image has it; or what is wrong with it."""
        places = self.places_of(image, appendonly)
        return places if isinstance(places, str) else places[-1]

    def places_of(self, image: Image, appendonly: bool) -> list[int] | str:
        """After how many units the data stood as the image has it, sometimes more than once."""
        key = (image.key(), appendonly)
        known = self.found.get(key)
        if known is None:
            known = self.load(image, appendonly)
            self.found[key] = known
        return known

    def load(self, image: Image, appendonly: bool) -> list[int] | str:
        directives = {**self.directives, "appendonly": "yes" if appendonly else "no"}
        try:
            after = loaded(image, directives, int(self.machine.clock.now_us()))
        except (LoadingFailed, GossamerError, OSError) as error:
            return f"{NO_START}: {error}"
        return self.machine.at.get(after.history[0]) or "it is no whole number of units"


def crashes(
    history: History, rng: random.Random, limit: int, tally: Tally, holes: bool = False
) -> Iterator[tuple[int, Image, Promise]]:
    """Crash states of every point of a history, with the promise in force there."""
    machine = history.machine
    replay = Replay(machine.model)
    journal = machine.model.journal
    for place in range(len(journal) + 1):
        if place:
            replay.advance(journal[place - 1])
        promise = machine.promised_at(place)
        tally.points += 1
        for image in replay.images(rng, limit, holes):
            tally.judged += 1
            yield place, image, promise


def try_history(
    name: str, history: History, seed: int, limit: int, tally: Tally, again: int = SECOND_LIVES
) -> None:
    """Judge every crash of a history; then go on from some of the states."""
    rng = random.Random(seed)
    tally.histories += 1
    tally.units += len(history.machine.history) - 1
    reached: dict[int, Image] = {}
    for place, image, promise in crashes(history, rng, limit, tally):
        key = image.key()
        if key not in tally.states and promise.appendonly and promise.config is None:
            reached[key] = image
        tally.states.add(key)
        try:
            history.judge(image, promise)
        except Violation as violation:
            operation = history.machine.model.journal[place - 1].describe() if place else "the start"
            tally.violations.append(f"{name}, seed {seed}, place {place} ({operation}): {violation}; {image}")
    for key in rng.sample(sorted(reached), min(again, len(reached))):
        second = second_life(history, reached[key], rng)
        if second is not None:
            tally.second_lives += 1
            try_history(f"{name}, again", second, seed, limit // 2, tally, 0)


def second_life(history: History, image: Image, rng: random.Random) -> History | None:
    """A server that goes on from a crash; None where it does not start, which was judged already."""
    directives = {**history.directives, "appendonly": "yes"}
    now_us = int(history.machine.clock.now_us())
    machine = Machine(ModelDisk(image), directives, now_us, history.disk_type)
    try:
        machine.start()
    except (LoadingFailed, GossamerError, OSError):
        return None
    drive(machine, rng, 12, rewrites=True)
    return History(machine, history.directives, history.disk_type)


# -- schedules ----------------------------------------------------------------------------------------------

CONFIG_FILE: Final = "redis.conf"


def words(text: str) -> list[bytes]:
    return [word.encode() for word in text.split()]


def random_command(rng: random.Random, number: int) -> list[bytes]:
    """A write that shows when it is lost, torn, or done twice."""
    key = rng.randrange(3)
    value = f"v{number}" + "x" * rng.choice((0, 3, 20, 70))
    return words(
        rng.choice(
            (
                f"SET s{key} {value}", f"APPEND s{key} {value}", f"INCR n{key}", f"RPUSH l{key} {value}",
                f"LPUSH l{key} {value} {number}", f"HSET h{key} f{number % 7} {value}", f"HINCRBY c{key} f 3",
                f"SADD m{key} {value}", f"ZADD z{key} {number} {value}", f"SET e{key} {value} EX 100000",
                f"LPOP l{key}", f"DEL s{key} l{(key + 1) % 3}", f"RENAME n{key} n{(key + 1) % 3}",
            )
        )
    )  # fmt: skip


def write_unit(machine: Machine, rng: random.Random) -> None:
    """A command, sometimes in another database, sometimes several in MULTI; always one that changes something."""
    number = len(machine.history)
    machine.run(b"SELECT", b"%d" % rng.choice((0, 0, 0, 1)))
    if rng.random() < 0.25:
        commands = [random_command(rng, number) for _ in range(rng.randint(1, 3))]
        commands = [command for command in commands if command[0] != b"RENAME"]
        machine.unit(*commands, [b"INCR", b"units"], [b"APPEND", b"trail", b"%d," % number])
        return
    command = random_command(rng, number)
    before = machine.engine.state.dirty
    if command[0] == b"RENAME" and machine.run(b"EXISTS", command[1]) == b":0\r\n":
        command = [b"INCR", command[1]]
    machine.unit(command)
    if machine.engine.state.dirty == before:
        machine.drop_unit()


def turn_other_threads(machine: Machine, rng: random.Random) -> None:
    """Let the child and the other thread do something, or nothing."""
    if rng.random() < 0.4 or machine.sync_is_late(SYNC_MS_MAX):
        machine.background.finish_one()
    if machine.processes.busy():
        machine.processes.play(rng.choice((0, 1, 1, 3)))
        if not machine.processes.todo and rng.random() < 0.5:
            machine.processes.end()


def drive(
    machine: Machine, rng: random.Random, steps: int, rewrites: bool = False, snapshots: bool = False
) -> None:
    """Batches of writes, time, the work of others, and now and then a rewrite or a snapshot."""
    for _ in range(steps):
        what = rng.random()
        if what < 0.6:
            for _ in range(rng.choice((1, 1, 2, 4))):
                write_unit(machine, rng)
            machine.flush()
        elif what < 0.85:
            for _ in range(rng.choice((1, 3, 8))):
                turn_other_threads(machine, rng)
                machine.tick(rng.randint(10, CRON_MS))
        elif rewrites and what < 0.93 and not machine.has_child():
            machine.rewrite()
        elif snapshots and not machine.has_child():
            if rng.random() < 0.3:
                machine.save()
            else:
                machine.begin_background_save()
        turn_other_threads(machine, rng)


def settle(machine: Machine, rng: random.Random) -> None:
    """Let a child come to its end while writes go on."""
    for _ in range(60):
        if not machine.processes.busy() and not machine.background.tasks:
            break
        if rng.random() < 0.3:
            write_unit(machine, rng)
            machine.flush()
        turn_other_threads(machine, rng)
        machine.tick(rng.randint(50, CRON_MS))
    machine.tick()


# -- scenarios ----------------------------------------------------------------------------------------------

Scenario = Callable[[random.Random, type[MachineDisk]], History]


def snapshot_history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
    """RDB alone: SAVE and BGSAVE among writes."""
    directives = {"appendonly": "no"}
    machine = Machine(ModelDisk(), directives, disk_type=disk_type)
    machine.start()
    drive(machine, rng, 50, snapshots=True)
    settle(machine, rng)
    return History(machine, directives, disk_type)


def configuration_history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
    """CONFIG SET and CONFIG REWRITE."""
    disk = ModelDisk(Image({CONFIG_FILE: b"# by hand\nmaxmemory 1gb\n"}))
    machine = Machine(disk, {}, disk_type=disk_type)
    machine.start()
    machine.keep_config(CONFIG_FILE)
    for _ in range(6):
        machine.run(b"CONFIG", b"SET", b"maxmemory", b"%d" % rng.randrange(10**9))
        if rng.random() < 0.5:
            machine.run(b"CONFIG", b"SET", b"requirepass", bytes(rng.choices(b"abc", k=30)))
        machine.rewrite_config()
    return History(machine, {}, disk_type)


def aof_directives(rng: random.Random, policy: str) -> dict[str, str]:
    """Append only with everything else as the dice fall."""
    return {
        "appendonly": "yes",
        "appendfsync": policy,
        "aof-checksum-enabled": rng.choice(("yes", "no")),
        "aof-timestamp-enabled": rng.choice(("yes", "no")),
        "aof-use-rdb-preamble": rng.choice(("yes", "yes", "no")),
        "auto-aof-rewrite-percentage": rng.choice(("0", "50")),
        "auto-aof-rewrite-min-size": "600",
    }


def appending(policy: str, rewrites: bool) -> Scenario:
    """Writes with AOF on from the beginning."""

    def history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
        directives = aof_directives(rng, policy)
        if not rewrites:
            directives["auto-aof-rewrite-percentage"] = "0"
        machine = Machine(ModelDisk(), directives, disk_type=disk_type)
        machine.start()
        drive(machine, rng, 50, rewrites, rewrites and rng.random() < 0.3)
        settle(machine, rng)
        return History(machine, directives, disk_type)

    return history


def switch_history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
    """A server that has run with RDB turns AOF on, perhaps off and on again."""
    directives = aof_directives(rng, rng.choice(("always", "everysec", "no"))) | {"appendonly": "no"}
    machine = Machine(ModelDisk(), directives, disk_type=disk_type)
    machine.start()
    drive(machine, rng, 12, snapshots=True)
    for _ in range(2):
        settle(machine, rng)
        machine.switch_on()
        drive(machine, rng, 6)
        settle(machine, rng)
        drive(machine, rng, 10, rewrites=True)
        settle(machine, rng)
        if rng.random() < 0.5:
            break
        machine.switch_off()
        drive(machine, rng, 5, snapshots=True)
    return History(machine, directives, disk_type)


def upgrade_history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
    """The first start on an old append only file, which is moved into the directory."""
    plain = Machine(ModelDisk(), {})
    plain.start()
    out = b""
    for number in range(rng.randint(1, 12)):
        command = random_command(rng, number)
        if not plain.run(*command).startswith(b"-"):
            out += encode(command)
    digest = keyspace_digest(plain.engine.keyspace)
    if rng.random() < 0.5:
        torn = encode([b"SET", b"never", b"complete"])
        out += torn[: rng.randrange(len(torn))]
    directives = aof_directives(rng, rng.choice(("always", "everysec", "no")))
    machine = Machine(ModelDisk(Image({"appendonly.aof": out})), directives, disk_type=disk_type)
    machine.start()
    assert machine.history[0] == digest, "the old file was not loaded as it is"
    drive(machine, rng, 15, rewrites=True)
    settle(machine, rng)
    return History(machine, directives, disk_type)


def killed_history(rng: random.Random, disk_type: type[MachineDisk]) -> History:
    """The process is killed and started again, twice, before the power fails."""
    directives = aof_directives(rng, rng.choice(("always", "everysec", "everysec", "no")))
    disk = ModelDisk()
    machine = Machine(disk, directives, disk_type=disk_type)
    machine.start()
    for _ in range(2):
        drive(machine, rng, 12, rewrites=True)
        before = machine
        machine = Machine(disk, directives, int(before.clock.now_us()), disk_type)
        machine.start_after(before)
        for _ in range(rng.choice((0, 15))):
            turn_other_threads(machine, rng)
            machine.tick()
        if rng.random() < 0.5 and not machine.has_child():
            machine.rewrite()
    drive(machine, rng, 10, rewrites=True)
    settle(machine, rng)
    return History(machine, directives, disk_type)


SCENARIOS: dict[str, Scenario] = {
    "snapshots": snapshot_history,
    "configuration rewrite": configuration_history,
    "always": appending("always", False),
    "everysec": appending("everysec", False),
    "no": appending("no", False),
    "always, rewrites": appending("always", True),
    "everysec, rewrites": appending("everysec", True),
    "no, rewrites": appending("no", True),
    "switched on and off": switch_history,
    "old single file": upgrade_history,
    "killed and started again": killed_history,
}


def campaign(
    states: int,
    seed: int,
    names: tuple[str, ...] = (),
    limit: int = IMAGES_PER_POINT,
    again: int = SECOND_LIVES,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Tally]:
    """Histories of every scenario, seed after seed, until so many different states were judged."""
    tallies = {name: Tally() for name in names or SCENARIOS}
    while sum(len(tally.states) for tally in tallies.values()) < states:
        for name, tally in tallies.items():
            rng = random.Random(f"{name} {seed}")
            history = SCENARIOS[name](rng, MachineDisk)
            try_history(name, history, seed, limit, tally, again)
        seed += 1
        if progress is not None:
            progress(sum(len(tally.states) for tally in tallies.values()))
    return tallies


class HoleTally:
    """What became of files that a file system lengthened before it wrote them."""

    def __init__(self) -> None:
        self.states: set[int] = set()
        self.whole = 0
        self.refused = 0
        self.wrong = 0


def holes(checksums: bool, states: int, seed: int) -> HoleTally:
    """Crash states whose unsynced tail may have blocks of zeros in it, with and without check sum lines.

    This is beyond what the appendonly file promises by itself: zeros inside of a value look like a value. With check
    sums a server refuses them and names the place.
    """
    tally = HoleTally()
    while len(tally.states) < states:
        rng = random.Random(f"holes {seed}")
        directives = aof_directives(rng, "everysec") | {
            "aof-checksum-enabled": "yes" if checksums else "no",
            "auto-aof-rewrite-percentage": "0",
        }
        machine = Machine(ModelDisk(), directives)
        machine.start()
        drive(machine, rng, 40)
        history = History(machine, directives)
        for _, image, promise in crashes(history, rng, 12, Tally(), True):
            if image.key() in tally.states:
                continue
            tally.states.add(image.key())
            places = history.places_of(image, True)
            if isinstance(places, list) and places[-1] >= promise.at_least:
                tally.whole += 1
            elif isinstance(places, str) and places.startswith(NO_START):
                tally.refused += 1
            else:
                tally.wrong += 1
        seed += 1
    return tally
