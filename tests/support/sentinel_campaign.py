"""The evidence for Sentinel as a program: thousands of worlds in which things go wrong, and Sentinels that are broken.

    PYTHONPATH=src:tests python -m support.sentinel_campaign --seeds 5000            the machine, then the broken ones
    PYTHONPATH=src:tests python -m support.sentinel_campaign --seed 17               one world, told event by event
    PYTHONPATH=src:tests python -m support.sentinel_campaign --seed 17 --variant "votes twice per epoch"

Owns: the figures and tables. What is claimed stands in `sentinel_rules.py`, broken variants in `sentinel_broken.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import time

from support.sentinel_broken import RARELY_CAUGHT, VARIANTS, broken, convict
from support.sentinel_run import Run

REPLAY = "replay: PYTHONPATH=src:tests python -m support.sentinel_campaign --seed"
LIMIT_OF_BROKEN = 500  # seeds within which each variant has to be convicted
PROGRESS = 1000


class Figures:
    """What was seen in all worlds together."""

    def __init__(self) -> None:
        self.worlds = 0
        self.faults = 0
        self.lives = 0
        self.tries = 0
        self.elections = 0
        self.virtual_ms = 0
        self.healing_ms: list[int] = []

    def add(self, run: Run) -> None:
        self.worlds += 1
        self.faults += sum(1 for _, node, _, _ in run.world.history if node is None)
        self.lives += sum(
            1 for _, node, kind, _ in run.world.history if node is not None and kind == b"start"
        )
        self.tries += run.rules.tries
        self.elections += run.rules.elections
        self.virtual_ms += run.world.now - run.started_ms
        if run.settled_ms:
            self.healing_ms.append(run.settled_ms - run.healed_ms)

    def lines(self, elapsed_s: float) -> list[str]:
        healing = sorted(self.healing_ms) or [0]
        p50, p99 = (healing[int(len(healing) * share)] / 1000 for share in (0.5, 0.99))
        return [
            f"{self.worlds:,} worlds in {elapsed_s:.0f} s ({elapsed_s * 1000 / max(self.worlds, 1):.0f} ms each), "
            f"{self.virtual_ms / 3_600_000:.1f} hours of their time",
            f"{self.faults:,} faults, {self.lives:,} restarts of Sentinels from their disks",
            f"{self.tries:,} failovers tried, {self.elections:,} leaders elected",
            f"agreement after the last fault: p50 {p50:.0f} s, p99 {p99:.0f} s, most {healing[-1] / 1000:.0f} s",
        ]


def campaign(first: int, seeds: int) -> list[str]:
    """Run the worlds, print the figures; a line for each that broke a rule."""
    started = time.monotonic()
    figures = Figures()
    problems: list[str] = []
    for seed in range(first, first + seeds):
        run = Run(seed)
        figures.add(run)
        if run.violations:
            problems.append(f"seed {seed}: {run.violations[0]}\n    {REPLAY} {seed}")
            print("BROKEN", problems[-1], flush=True)
        if figures.worlds % PROGRESS == 0:
            print(f"  {figures.worlds:,} worlds, {time.monotonic() - started:.0f} s", flush=True)
    for line in figures.lines(time.monotonic() - started):
        print(line)
    print(f"{len(problems)} of {figures.worlds:,} worlds broke a rule", flush=True)
    return problems


def broken_sentinels() -> list[str]:
    """Print the table; the variants that were not found out."""
    print(f"\n{'broken Sentinels':<52}{'seed':>6}  rule that convicts them")
    missed: list[str] = []
    for name in VARIANTS:
        conviction = convict(name, range(LIMIT_OF_BROKEN))
        print(conviction.line(), flush=True)
        if conviction.seed < 0:
            missed.append(f"not found out: {name}")
    print(f"{len(VARIANTS) - len(missed)} of {len(VARIANTS)} found out within {LIMIT_OF_BROKEN} seeds")
    return missed


def replay(seed: int, variant: str) -> int:
    """Tell one world; whether a rule was broken."""
    with broken({**VARIANTS, **RARELY_CAUGHT}[variant]) if variant else contextlib.nullcontext():
        run = Run(seed)
    print(run.title())
    for line in run.story():
        print(line)
    for violation in run.violations:
        print("BROKEN", violation)
    return 1 if run.violations else 0


def main() -> int:
    arguments = argparse.ArgumentParser(
        description="Simulate Sentinels: crashes, partitions, pauses, clocks, disks."
    )
    arguments.add_argument("--seeds", type=int, default=5000)
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--seed", type=int, help="replay one and tell it")
    arguments.add_argument(
        "--variant", choices=[*VARIANTS, *RARELY_CAUGHT], default="", help="with --seed: a broken Sentinel"
    )
    arguments.add_argument("--broken", action="store_true", help="the broken Sentinels only")
    options = arguments.parse_args()
    if options.seed is not None:
        return replay(options.seed, options.variant)
    problems = [] if options.broken else campaign(options.first, options.seeds)
    problems += broken_sentinels()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
