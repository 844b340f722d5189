"""The evidence for replication as a program: thousands of worlds in which things go wrong, and broken variants.

    PYTHONPATH=src:tests python -m support.replication_campaign --seeds 5000          the code, then the broken ones
    PYTHONPATH=src:tests python -m support.replication_campaign --seed 17             one world, told event by event
    PYTHONPATH=src:tests python -m support.replication_campaign --seed 17 --variant "no SELECT at all"

Owns: the figures and tables. The rules stand in `replication_run.py`, the variants in `replication_broken.py`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor

from gossamer.base import build
from support.replication_broken import VARIANTS, broken, convict
from support.replication_run import Run

REPLAY = "replay: PYTHONPATH=src:tests python -m support.replication_campaign --seed"
LIMIT_OF_BROKEN = 500  # seeds within which each variant has to be convicted
BATCH = 25


def batch(first: int, count: int) -> tuple[Counter[str], list[str]]:
    """Some worlds: what was seen, and a line for each that broke a rule."""
    seen: Counter[str] = Counter()
    problems: list[str] = []
    for seed in range(first, first + count):
        run = Run(seed)
        seen.update(run.world.counts)
        seen["worlds"] += 1
        seen["writes"] += run.writes
        if run.violations:
            problems.append(f"seed {seed}: {run.violations[0]}\n    {REPLAY} {seed}")
    return seen, problems


def campaign(first: int, seeds: int, parallel: int) -> list[str]:
    """Run the worlds, print the figures; a line for each that broke a rule."""
    started = time.monotonic()
    seen: Counter[str] = Counter()
    problems: list[str] = []
    starts = range(first, first + seeds, BATCH)
    sizes = [min(BATCH, first + seeds - start) for start in starts]
    with ProcessPoolExecutor(parallel) as pool:
        for some, bad in pool.map(batch, starts, sizes):
            seen += some
            problems += bad
            for line in bad:
                print("BROKEN", line, flush=True)
            if seen["worlds"] % 1000 < BATCH:
                print(f"  {seen['worlds']:,} worlds, {time.monotonic() - started:.0f} s", flush=True)
    print(f"{seen['worlds']:,} worlds in {time.monotonic() - started:.0f} s")
    for name in sorted(seen):
        print(f"  {seen[name]:>12,} {name}")
    print(f"{len(problems)} of {seen['worlds']:,} worlds broke a rule", flush=True)
    return problems


def first_conviction(name: str) -> tuple[str, int, str]:
    return name, *convict(name, range(LIMIT_OF_BROKEN))


def broken_variants(names: list[str], parallel: int) -> list[str]:
    """Print the table; the variants that were not found out."""
    if build.compiled():
        print("broken variants are made of the sources: run this with PYTHONPATH=src")
        return []
    print(f"\n{'broken variant':<50}{'seed':>6}  rule that convicts it")
    missed: list[str] = []
    with ProcessPoolExecutor(parallel) as pool:
        for name, seed, how in pool.map(first_conviction, names):
            print(
                f"{name:<50}{seed:>6}  {how.partition(':')[0] if seed >= 0 else 'NOT FOUND OUT'}", flush=True
            )
            if seed < 0:
                missed.append(f"not found out: {name}")
    print(f"{len(names) - len(missed)} of {len(names)} found out within {LIMIT_OF_BROKEN} seeds")
    return missed


def replay(seed: int, variant: str) -> int:
    """Tell one world; whether a rule was broken."""
    with broken(VARIANTS[variant]) if variant else contextlib.nullcontext():
        run = Run(seed)
    for line in run.world.story:
        print(line)
    for violation in run.violations:
        print("BROKEN", violation)
    return 1 if run.violations else 0


def main() -> int:
    arguments = argparse.ArgumentParser(
        description="Simulate replication: cuts, crashes, promotions, partitions."
    )
    arguments.add_argument("--seeds", type=int, default=5000)
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--seed", type=int, help="replay one and tell it")
    arguments.add_argument(
        "--variant", choices=list(VARIANTS), default="", help="with --seed: a broken variant"
    )
    arguments.add_argument("--broken", action="store_true", help="the broken variants only")
    arguments.add_argument("--sound-only", action="store_true", help="leave the broken variants out")
    arguments.add_argument("--only", choices=list(VARIANTS), action="append", help="of the broken variants")
    arguments.add_argument("--parallel", type=int, default=os.cpu_count() or 1)
    options = arguments.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order in which keys are walked follows from hashes: without that a seed does not say everything.
        module = [sys.executable, "-m", "support.replication_campaign", *sys.argv[1:]]
        os.execve(sys.executable, module, {**os.environ, "PYTHONHASHSEED": "0"})
    if options.seed is not None:
        return replay(options.seed, options.variant)
    problems = [] if options.broken else campaign(options.first, options.seeds, options.parallel)
    if not options.sound_only:
        problems += broken_variants(options.only or list(VARIANTS), options.parallel)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
