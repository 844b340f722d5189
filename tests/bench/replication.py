"""A primary with one replica: throughput side by side, and the time of a full synchronisation.

Owns: which commands are measured, who is whose replica, when a synchronisation is over. How a run is taken is
`speed.py`'s.
Invariants: every primary has a replica of the same make (redis-server), which shares the core of redis-benchmark; a
run's CPU time is read once its replica has everything. In a synchronisation nothing is pinned, as the child that
makes the snapshot may use the other core; it lasts from REPLICAOF until the replica stands where its primary does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.loading import send_all, strings
from bench.machine import REFERENCE, SUBJECT, BenchmarkServer, two_cores
from bench.speed import REQUESTS, Row, Test, geometric_mean, take_run

TESTS = (
    Test("SET"), Test("INCR"), Test("LPUSH"), Test("SADD"), Test("HSET"), Test("ZADD"), Test("XADD",
    ("XADD", "mystream", "*", "field", "value")), Test("MSET", share=0.25),
)  # fmt: skip
PATIENCE_S = 300.0
DIRECTIVES = ("--repl-diskless-sync-delay", "0", "--repl-backlog-size", "64mb")


def facts(server: BenchmarkServer) -> dict[str, str]:
    with server.client(timeout_s=60.0) as client:
        text: bytes = client.call("INFO", "replication").plain()
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def wait_for_replica(primary: BenchmarkServer, replica: BenchmarkServer) -> None:
    """Until it has everything."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        below = facts(replica)
        is_up = below.get("master_link_status") == "up"
        if is_up and below["slave_repl_offset"] == facts(primary)["master_repl_offset"]:
            return
        time.sleep(0.002)
    raise RuntimeError(f"the replica of {primary.name} does not catch up")


def follow(replica: BenchmarkServer, primary: BenchmarkServer | None) -> None:
    words = ("NO", "ONE") if primary is None else ("127.0.0.1", str(primary.port))
    with replica.client(timeout_s=60.0) as client:
        reply = client.call("REPLICAOF", *words)
    if reply.is_error:
        raise RuntimeError(f"{replica.name}: REPLICAOF {' '.join(words)}: {reply!r}")


@contextmanager
def running(commands: dict[str, list[str]]) -> Iterator[dict[str, BenchmarkServer]]:
    servers = {name: BenchmarkServer(name, command, DIRECTIVES) for name, command in commands.items()}
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.stop()


def primaries(commands: dict[str, list[str]]) -> dict[str, list[str]]:
    """Those of which redis-server can be the replica: Valkey's snapshots are too new for it."""
    return {name: command for name, command in commands.items() if name != "valkey-server"}


def measure_throughput(
    commands: dict[str, list[str]], pairs: int, requests: int | None, report: Callable[[Row], None]
) -> tuple[list[Row], list[str]]:
    """Every test at every depth on each primary in turn; also who took part."""
    server_core, client_core = two_cores()
    rows: list[Row] = []
    measured = primaries(commands)
    with (
        running(measured) as above,
        running({f"{name}'s replica": commands[REFERENCE] for name in measured}) as below,
    ):
        replicas = {name: below[f"{name}'s replica"] for name in measured}
        for name, primary in above.items():
            follow(replicas[name], primary)
            wait_for_replica(primary, replicas[name])
            primary.pin(server_core)
            replicas[name].pin(client_core)
        for pipeline, usual in REQUESTS.items():
            for test in TESTS:
                row = Row(test.name, pipeline)
                count = max(1000, int((requests or usual) * test.share))
                for _ in range(pairs):
                    for name, primary in above.items():

                        def caught_up(primary: BenchmarkServer = primary, name: str = name) -> None:
                            wait_for_replica(primary, replicas[name])

                        run = take_run(primary, test, pipeline, count, client_core, caught_up)
                        row.runs.setdefault(name, []).append(run)
                rows.append(row)
                report(row)
        descriptions = [server.description() for server in above.values()]
    return rows, descriptions


def couples(commands: dict[str, list[str]]) -> list[tuple[str, str]]:
    """Who is synchronised with whom: redis-server with itself first, as what the others are compared with."""
    names = [name for name in (REFERENCE, SUBJECT) if name in commands]
    found = [(primary, replica) for primary in names for replica in names]
    return found + [(name, name) for name in commands if name not in (REFERENCE, SUBJECT)]


def measure_synchronization(
    commands: dict[str, list[str]], keys: int, turns: int
) -> dict[tuple[str, str], list[float]]:
    """(primary, replica) -> the seconds of each full synchronisation of so many keys, taken in turn."""
    found: dict[tuple[str, str], list[float]] = {couple: [] for couple in couples(commands)}
    with running(commands) as above, running(commands) as below:
        for primary in above.values():
            with primary.client(timeout_s=PATIENCE_S) as client:
                send_all(client, strings(keys))
        for _ in range(turns):
            for primary_name, replica_name in found:
                found[primary_name, replica_name].append(
                    synchronize(above[primary_name], below[replica_name], keys)
                )
    return found


def synchronize(primary: BenchmarkServer, replica: BenchmarkServer, keys: int) -> float:
    """Seconds from REPLICAOF until all is there; the replica is empty before and afterwards."""
    with replica.client(timeout_s=PATIENCE_S) as client:
        client.call("REPLICAOF", "NO", "ONE")
        client.call("FLUSHALL")
        began = time.monotonic()
        follow(replica, primary)
        wait_for_replica(primary, replica)
        seconds = time.monotonic() - began
        found = client.call("DBSIZE").plain()
        if found != keys:
            raise RuntimeError(f"{replica.name} under {primary.name} has {found} keys of {keys}")
        client.call("REPLICAOF", "NO", "ONE")
        client.call("FLUSHALL")
    return seconds


def means(rows: Sequence[Row]) -> list[str]:
    """The geometric mean of the ratios at each depth, and the lowest."""
    lines = []
    for pipeline in sorted({row.pipeline for row in rows}):
        chosen = [row for row in rows if row.pipeline == pipeline and {SUBJECT, REFERENCE} <= set(row.runs)]
        if chosen:
            ratios = {row.test: row.ratio(SUBJECT, REFERENCE) for row in chosen}
            lowest = min(ratios, key=lambda test: ratios[test])
            lines.append(
                f"With one replica, pipeline {pipeline}, requests per CPU second of the primary against "
                f"{REFERENCE}: geometric mean {geometric_mean(list(ratios.values())):.2f}, lowest "
                f"{ratios[lowest]:.2f} ({lowest})."
            )
    return lines


SYNCHRONIZATION_HEADER = ("primary", "replica", "seconds", f"x {REFERENCE} under {REFERENCE}")


def synchronization_cells(found: dict[tuple[str, str], list[float]]) -> list[list[str]]:
    """A row for each couple: its median, and the median of its ratios to the reference in the same turn."""
    rows = []
    reference = found.get((REFERENCE, REFERENCE))
    for (primary, replica), seconds in found.items():
        ratio = ""
        if reference:
            ratio = f"{statistics.median(s / r for s, r in zip(seconds, reference, strict=True)):.2f}"
        rows.append([primary, replica, f"{statistics.median(seconds):.2f}", ratio])
    return rows
