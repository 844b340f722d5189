"""How long a failover takes: kill -9 of the primary, until a promoted replica takes the first write; and what it costs.

Owns: the runs, alternately with redis-sentinel and with Gossamer, over the same kind of servers, and the table.
As a program:

    PYTHONPATH=src:tests python -m support.failover_times --runs 20

Three Sentinels with a quorum of two watch a primary and two replicas, all timings but `down-after-milliseconds` and
`failover-timeout` at their defaults. Half of the rounds begin with the one make, half with the other, so that neither
always gets the warmer machine.

Until the kill a client counts up on the primary, one number after another. What it was answered for and the promoted
replica does not have is lost.

Invariants: a run that does not end is an error, not a long time; no process outlives its run.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import threading
import time
from typing import Final

from gossamer.base import build
from support.sentinels import SentinelGroup, wait_for_write
from support.servers import ServerProcess

MAKES: Final = ("redis-server", "gossamer")
SENTINELS: Final = 3
DEADLINE_S: Final = 60.0
SLOW_S: Final = 3.0  # beyond down-after-milliseconds: then there was more than one attempt


class Counter(threading.Thread):
    """Counts up on a server until it is gone; `acknowledged` is the last number that was answered."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(daemon=True)
        self.client = server.client()
        self.acknowledged = 0

    def run(self) -> None:
        try:
            while True:
                number = self.client.call("INCR", "count").value
                assert isinstance(number, bytes | int)
                self.acknowledged = int(number)
        except OSError:
            self.client.close()


class Run:
    """Seconds from the kill to the first write that is taken; numbers that were answered, and of them lost."""

    def __init__(self, seconds: float, acknowledged: int, lost: int) -> None:
        self.seconds = seconds
        self.acknowledged = acknowledged
        self.lost = lost


def one_run(make: str, server: str, down_after_ms: int, rng: random.Random) -> Run:
    with SentinelGroup([make] * SENTINELS, [server] * 3, 2, down_after_ms, quick=False) as group:
        group.wait_ready(60.0)
        counter = Counter(group.servers[0])
        counter.start()
        time.sleep(rng.uniform(0.2, 1.2))  # at any point of the periods
        replicas = [each.port for each in group.servers[1:]]
        killed = time.monotonic()
        group.servers[0].crash()
        port, written = wait_for_write(replicas, DEADLINE_S)
        counter.join(DEADLINE_S)
        with group.server_at(port).client() as client:
            kept = client.call("GET", "count").value
        assert isinstance(kept, bytes)
        seconds = written - killed
        if seconds > down_after_ms / 1000 + SLOW_S:
            tell_why(group, make)
        return Run(seconds, counter.acknowledged, max(0, counter.acknowledged - int(kept)))


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
    runs: dict[str, list[Run]] = {make: [] for make in MAKES}
    for number in range(wanted.runs):
        for make in MAKES if number % 2 == 0 else MAKES[::-1]:
            run = one_run(make, wanted.server, wanted.down_after, rng)
            runs[make].append(run)
            print(
                f"run {number + 1:3}  {make:14} {run.seconds:6.2f} s  {run.lost} of {run.acknowledged} lost",
                flush=True,
            )
    names = {"redis-server": "redis-sentinel", "gossamer": f"gossamer ({build.mode()})"}
    print(
        f"\n{wanted.runs} failovers each, down-after-milliseconds {wanted.down_after}, over {wanted.server}:\n"
    )
    print(
        f"{'':24} {'p50':>8} {'p99':>8} {'min':>8} {'max':>8}   seconds to the first write; writes lost, at most"
    )
    for make, found in runs.items():
        times = [run.seconds for run in found]
        figures = (percentile(times, 0.5), percentile(times, 0.99), min(times), max(times))
        lost = f"{sum(run.lost for run in found)}, {max(run.lost for run in found)}"
        print(f"{names[make]:24} " + " ".join(f"{figure:8.2f}" for figure in figures) + f"   {lost}")
    theirs, ours = ([run.seconds for run in runs[make]] for make in MAKES)
    is_worse = any(percentile(ours, share) > 1.05 * percentile(theirs, share) for share in (0.5, 0.99))
    return 1 if is_worse else 0


if __name__ == "__main__":
    sys.exit(main())
