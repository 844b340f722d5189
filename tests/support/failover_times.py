"""How long a failover takes: kill -9 of the primary, until a promoted replica takes the first write.

Owns: the runs, alternately with redis-sentinel and with Gossamer, over the same kind of servers, and the table.
As a program:

    PYTHONPATH=src:tests python -m support.failover_times --runs 20

Three Sentinels with a quorum of two watch a primary and two replicas, all timings but `down-after-milliseconds` and
`failover-timeout` at their defaults. Half of the rounds begin with the one make, half with the other, so that neither
always gets the warmer machine.

Invariants: a run that does not end is an error, not a long time; no process outlives its run.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from typing import Final

from gossamer.base import build
from support.sentinels import SentinelGroup, wait_for_write

MAKES: Final = ("redis-server", "gossamer")
SENTINELS: Final = 3
DEADLINE_S: Final = 60.0
SLOW_S: Final = 3.0  # beyond down-after-milliseconds: then there was more than one attempt


def one_run(make: str, server: str, down_after_ms: int, rng: random.Random) -> float:
    """Seconds from the kill to the first write that is taken."""
    with SentinelGroup([make] * SENTINELS, [server] * 3, 2, down_after_ms, quick=False) as group:
        group.wait_ready(60.0)
        time.sleep(rng.uniform(0.0, 1.0))  # at any point of the periods
        replicas = [each.port for each in group.servers[1:]]
        killed = time.monotonic()
        group.servers[0].crash()
        _, written = wait_for_write(replicas, DEADLINE_S)
        seconds = written - killed
        if seconds > down_after_ms / 1000 + SLOW_S:
            tell_why(group, make)
        return seconds


def tell_why(group: SentinelGroup, make: str) -> None:
    """The events of every Sentinel, for a run that took long."""
    for number, sentinel in enumerate(group.sentinels, 1):
        for line in sentinel.log.read_text(errors="replace").splitlines():
            if " +" in line or " -" in line or "voted" in line:
                print(f"    {make} {number}: {line}")


def percentile(times: list[float], share: float) -> float:
    """The smallest time that so large a share of the runs needed at most."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, help="of each make")
    parser.add_argument("--server", default="redis-server", help="what they watch")
    parser.add_argument("--down-after", type=int, default=1000, help="milliseconds")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args(argv)
    rng = random.Random(wanted.seed)
    times: dict[str, list[float]] = {make: [] for make in MAKES}
    for number in range(wanted.runs):
        for make in MAKES if number % 2 == 0 else MAKES[::-1]:
            seconds = one_run(make, wanted.server, wanted.down_after, rng)
            times[make].append(seconds)
            print(f"run {number + 1:3}  {make:14} {seconds:6.2f} s", flush=True)
    names = {"redis-server": "redis-sentinel", "gossamer": f"gossamer ({build.mode()})"}
    print(
        f"\n{wanted.runs} failovers each, down-after-milliseconds {wanted.down_after}, over {wanted.server}:\n"
    )
    print(f"{'':24} {'p50':>8} {'p99':>8} {'min':>8} {'max':>8}   seconds to the first write")
    for make, found in times.items():
        figures = (percentile(found, 0.5), percentile(found, 0.99), min(found), max(found))
        print(f"{names[make]:24} " + " ".join(f"{figure:8.2f}" for figure in figures))
    worse = percentile(times["gossamer"], 0.5) > 1.05 * percentile(times["redis-server"], 0.5)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
