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


# What is broken, in which scenario it shows, and the doors that break it.
VARIANTS: Final[tuple[tuple[str, str, type[MachineDisk]], ...]] = (
    ("a snapshot is not synced before its rename", "snapshots", NoSyncBeforeRename),
    ("a snapshot's directory is not synced", "snapshots", NoSyncOfDirectory),
    ("a snapshot is written over the last one", "snapshots", CopiesInsteadOfRenaming),
    ("the old snapshot is removed first", "snapshots", RemovesBeforeRenaming),
    ("a configuration is not synced before its rename", "configuration rewrite", NoSyncBeforeRename),
    ("a configuration is written in place", "configuration rewrite", CopiesInsteadOfRenaming),
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
