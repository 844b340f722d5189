"""Servers that break one rule of durability each: the crash campaign must convict every one of them.

Owns: the broken variants, made by doors that leave out or reorder what they are asked to do, so that the persistence
behind them is the real one in every build mode. As a table (`convict_all`) it shows the power of the simulator.
"""

from __future__ import annotations

import random
from typing import Final

from mypy_extensions import i64

from gossamer.persistence.doors import OutputFile
from support.crash_histories import SCENARIOS, Tally, try_history
from support.crash_machine import MachineDisk
from support.disk_model import ModelDisk
from support.wire import encode

HISTORIES_MAX: Final = 12


class Wrapped(OutputFile):
    """A file that passes everything on."""

    def __init__(self, real: OutputFile) -> None:
        self.real = real

    def write(self, data: bytes) -> None:
        self.real.write(data)

    def size_bytes(self) -> i64:
        return self.real.size_bytes()

    def truncate(self, size: i64) -> None:
        self.real.truncate(size)

    def sync(self) -> None:
        self.real.sync()

    def close(self) -> None:
        self.real.close()


class Unsynced(Wrapped):
    def sync(self) -> None:
        pass


class NoSyncBeforeRename(MachineDisk):
    """Temporary files are renamed as they are."""

    def file(self, name: str, file: OutputFile) -> OutputFile:
        return Unsynced(file) if "temp" in name or name.endswith(".tmp") else file


class NoSyncOfDirectory(MachineDisk):
    """Names are left to luck."""

    def sync_directory(self, name: str = ".") -> None:
        pass


class CopiesInsteadOfRenaming(MachineDisk):
    """The new content is written over the old one."""

    def rename(self, name: str, new_name: str) -> None:
        def copy() -> None:
            file = self.model.open(name)
            assert file is not None
            target = self.model.create(new_name)
            target.write(file.read(1 << 30))
            target.sync()
            target.close()
            self.model.remove(name)

        self.do(copy)


class RemovesBeforeRenaming(MachineDisk):
    """The old file makes room first."""

    def rename(self, name: str, new_name: str) -> None:
        self.do(lambda: self.model.remove(new_name))
        self.do(lambda: self.model.sync_directory())
        super().rename(name, new_name)


class NoSyncOfIncrement(MachineDisk):
    """What was appended is left to luck."""

    def file(self, name: str, file: OutputFile) -> OutputFile:
        return Unsynced(file) if ".incr" in name else file


class NoSyncOfManifest(MachineDisk):
    def file(self, name: str, file: OutputFile) -> OutputFile:
        return Unsynced(file) if "manifest" in name else file


class NoSyncOfBase(MachineDisk):
    def file(self, name: str, file: OutputFile) -> OutputFile:
        return Unsynced(file) if "rewrite" in name or ".base." in name else file


class ManifestBeforeBase(MachineDisk):
    """The list names a base that gets its name a moment later."""

    def __init__(self, model: ModelDisk) -> None:
        super().__init__(model)
        self.late: list[tuple[str, str]] = []

    def rename(self, name: str, new_name: str) -> None:
        if ".base." in new_name:
            self.late.append((name, new_name))
            return
        super().rename(name, new_name)
        if "manifest" in new_name:
            for late in self.late:
                super().rename(*late)
            self.late.clear()


class RemovesHistoryFirst(MachineDisk):
    """What a new list calls history goes before that list is there."""

    def rename(self, name: str, new_name: str) -> None:
        if "manifest" in new_name:
            file = self.model.open(name)
            assert file is not None
            directory = name.rpartition("/")[0]
            for line in file.read(1 << 20).decode().splitlines():
                words = line.split()
                if words[-1] == "h":
                    self.model.remove(f"{directory}/{words[1]}")
        super().rename(name, new_name)


class NeverCuts(MachineDisk):
    """A torn end stays where it is."""

    def file(self, name: str, file: OutputFile) -> OutputFile:
        return Uncut(file)


class Uncut(Wrapped):
    def truncate(self, size: i64) -> None:
        pass


class SplitsTransactions(MachineDisk):
    """MULTI and EXEC are not written."""

    directives = {"aof-checksum-enabled": "no"}

    def file(self, name: str, file: OutputFile) -> OutputFile:
        return WithoutMulti(file) if ".incr" in name else file


class WithoutMulti(Wrapped):
    def write(self, data: bytes) -> None:
        self.real.write(data.replace(encode([b"MULTI"]), b"").replace(encode([b"EXEC"]), b""))


class ForksLate(MachineDisk):
    """The new base holds writes that stand in the new increment as well."""

    forks_late = True


class OpensIncrementLate(MachineDisk):
    """The first writes after the fork still go to the old increment."""

    directives = {"aof-checksum-enabled": "no"}

    def __init__(self, model: ModelDisk) -> None:
        super().__init__(model)
        self.last = ""

    def file(self, name: str, file: OutputFile) -> OutputFile:
        if ".incr" not in name or name == self.last:
            return file
        last, self.last = self.last, name
        return Misdirected(file, self.model.append(last)) if last else file


class Misdirected(Wrapped):
    def __init__(self, real: OutputFile, old: OutputFile) -> None:
        super().__init__(real)
        self.old = old
        self.left = 2

    def write(self, data: bytes) -> None:
        self.left -= 1
        if self.left >= 0:
            self.old.write(data)
            self.old.sync()
        else:
            self.real.write(data)


# What is broken, in which scenario it shows, and the doors that break it.
VARIANTS: Final[tuple[tuple[str, str, type[MachineDisk]], ...]] = (
    ("a snapshot is not synced before its rename", "snapshots", NoSyncBeforeRename),
    ("a snapshot's directory is not synced", "snapshots", NoSyncOfDirectory),
    ("a snapshot is written over the last one", "snapshots", CopiesInsteadOfRenaming),
    ("the old snapshot is removed first", "snapshots", RemovesBeforeRenaming),
    ("a configuration is not synced before its rename", "configuration rewrite", NoSyncBeforeRename),
    ("a configuration is written in place", "configuration rewrite", CopiesInsteadOfRenaming),
    ("replies leave before the sync", "always", NoSyncOfIncrement),
    ("the other thread forgets to sync", "everysec", NoSyncOfIncrement),
    ("an old increment is not synced before the next counts", "no, rewrites", NoSyncOfIncrement),
    ("the list is not synced before its rename", "always, rewrites", NoSyncOfManifest),
    ("the list's directory is not synced", "always, rewrites", NoSyncOfDirectory),
    ("the list is written in place", "always, rewrites", CopiesInsteadOfRenaming),
    ("a new base is not synced", "always, rewrites", NoSyncOfBase),
    ("the list counts before the base is there", "always, rewrites", ManifestBeforeBase),
    ("history is removed before the list", "always, rewrites", RemovesHistoryFirst),
    ("a torn end is not cut off", "everysec", NeverCuts),
    ("a transaction is written without MULTI", "everysec", SplitsTransactions),
    ("the child sees a later moment than the increment", "always, rewrites", ForksLate),
    ("the increment is opened after the fork", "always, rewrites", OpensIncrementLate),
)


class Conviction:
    """What it took to find a broken server out."""

    def __init__(self, name: str, scenario: str) -> None:
        self.name = name
        self.scenario = scenario
        self.histories = 0
        self.judged = 0
        self.violations: list[str] = []

    def line(self) -> str:
        found = f"{len(self.violations):>6} of {self.judged:>6} states" if self.violations else "NOT FOUND"
        return f"{self.name:<58}{self.scenario:<24}{found}"


def convict(name: str, scenario: str, disk_type: type[MachineDisk], seed: int, limit: int = 25) -> Conviction:
    """Histories of a broken server until a crash shows it."""
    conviction = Conviction(name, scenario)
    for number in range(HISTORIES_MAX):
        tally = Tally()
        rng = random.Random(f"{scenario} {seed + number}")
        try_history(scenario, SCENARIOS[scenario](rng, disk_type), seed + number, limit, tally)
        conviction.histories += 1
        conviction.judged += tally.judged
        conviction.violations += tally.violations
        if conviction.violations:
            break
    return conviction


def convict_all(seed: int, limit: int = 25) -> list[Conviction]:
    return [convict(name, scenario, disk_type, seed, limit) for name, scenario, disk_type in VARIANTS]
