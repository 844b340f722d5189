"""The evidence of durability as a program: crash states, broken servers, failing operations.

    PYTHONPATH=src:tests python -m support.crash_campaign --states 100000 --seed 1

Owns: the order of the three and the tables. What is claimed stands in `crash_histories.py`, `broken_servers.py` and
`fault_campaign.py`.
"""

from __future__ import annotations

import argparse
import random
import sys
import time

from gossamer.base import build
from support.broken_servers import convict_all
from support.crash_histories import SCENARIOS, Tally, campaign, holes
from support.fault_campaign import SCENARIOS as FAULT_SCENARIOS
from support.fault_campaign import Outcome, try_all

SHOWN = 20  # violations

COLUMNS = ("histories", "units", "points", "judged", "states", "again", "broken")


def row(name: str, tallies: list[Tally]) -> str:
    figures = (
        sum(tally.histories for tally in tallies),
        sum(tally.units for tally in tallies),
        sum(tally.points for tally in tallies),
        sum(tally.judged for tally in tallies),
        sum(len(tally.states) for tally in tallies),
        sum(tally.second_lives for tally in tallies),
        sum(len(tally.violations) for tally in tallies),
    )
    return f"{name:<28}" + "".join(f"{figure:>11,}" for figure in figures)


def crash_states(states: int, seed: int, names: tuple[str, ...]) -> list[str]:
    """Print the table; the violations."""
    started = time.monotonic()
    told = 0

    def progress(total: int) -> None:
        nonlocal told
        if total - told >= 10_000:
            told = total
            print(f"  {total:,} states, {time.monotonic() - started:.0f} s", flush=True)

    tallies = campaign(states, seed, names, progress=progress)
    print(f"{'crash states':<28}" + "".join(f"{column:>11}" for column in COLUMNS))
    for name, tally in tallies.items():
        print(row(name, [tally]))
    print(row("all", list(tallies.values())), flush=True)
    return [violation for tally in tallies.values() for violation in tally.violations]


def files_with_holes(states: int, seed: int) -> list[str]:
    """Print the table; what check sums let pass."""
    print(
        f"\n{'blocks of zeros in the tail':<28}{'states':>11}{'whole':>11}{'refused':>11}{'wrong data':>11}"
    )
    problems: list[str] = []
    for checksums in (False, True):
        tally = holes(checksums, states, seed)
        name = "with check sums" if checksums else "without check sums"
        print(f"{name:<28}{len(tally.states):>11,}{tally.whole:>11,}{tally.refused:>11,}{tally.wrong:>11,}")
        if checksums and tally.wrong:
            problems.append(f"check sums let {tally.wrong} states with holes pass")
    return problems


def broken_servers(seed: int) -> list[str]:
    """Print the table; the variants that were not found out."""
    print(f"\n{'broken servers':<58}{'scenario':<28}{'convicted by':>20}")
    convictions = convict_all(seed)
    for conviction in convictions:
        print(conviction.line(), flush=True)
    print(f"{sum(1 for each in convictions if each.violations)} of {len(convictions)} found out")
    return [f"not found out: {each.name}" for each in convictions if not each.violations]


def failing_operations() -> list[str]:
    """Print the table; what was wrong."""
    print(
        f"\n{'failing operations':<28}{'operations':>11}{'tried':>11}{'unharmed':>11}{'refused':>11}{'ended':>11}"
        f"{'no start':>11}{'wrong':>11}"
    )
    wrong: list[str] = []
    every = Outcome()
    total = 0
    for name, make in FAULT_SCENARIOS.items():
        scenario = make()
        operations = len(scenario.operations())
        total += operations
        outcome = try_all(scenario)
        every.add(outcome)
        print(fault_row(name, operations, outcome), flush=True)
        wrong += [f"{name}: {each}" for each in outcome.wrong]
    print(fault_row("all", total, every))
    return wrong


def fault_row(name: str, operations: int, outcome: Outcome) -> str:
    figures = (
        operations, outcome.tried, outcome.unharmed, outcome.refused, outcome.died, outcome.start_failed,
        len(outcome.wrong),
    )  # fmt: skip
    return f"{name:<28}" + "".join(f"{figure:>11,}" for figure in figures)


def main() -> int:
    arguments = argparse.ArgumentParser(description="Load what every crash may leave; fail every operation.")
    arguments.add_argument("--states", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--scenario", choices=list(SCENARIOS), action="append", default=[])
    options = arguments.parse_args()
    print(
        f"crash states of {build.mode()} gossamer: at least {options.states:,}, seed {options.seed}",
        flush=True,
    )
    problems = crash_states(options.states, options.seed, tuple(options.scenario))
    if not options.scenario:
        problems += broken_servers(options.seed)
        problems += failing_operations()
        problems += files_with_holes(options.states // 20, options.seed)
    for problem in problems[:SHOWN]:
        print("BROKEN", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
