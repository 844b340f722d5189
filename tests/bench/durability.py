"""Throughput with an append only file: the same setting on every server, side by side.

Owns: which settings and commands are measured. How a run is taken is `speed.py`'s.
Under `always` a run waits for the disk nearly all the time, so what counts is requests per second of wall time;
CPU time per request stands beside it.
Invariant: nothing is pinned: the thread that syncs may use the other core, as it may in production.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from bench.machine import REFERENCE, SUBJECT, BenchmarkServer
from bench.speed import Row, Test, geometric_mean, take_run

POLICIES = ("everysec", "always")
TESTS = (Test("SET"), Test("INCR"), Test("LPUSH"), Test("HSET"), Test("MSET", share=0.25))
REQUESTS = {"everysec": {1: 200_000, 16: 600_000}, "always": {1: 20_000, 16: 200_000}}


def wall_ratio(row: Row, name: str) -> float:
    """Requests per second of wall time over those of another server: the median of pairs."""
    pairs = zip(row.runs[SUBJECT], row.runs[name], strict=True)
    return statistics.median(ours.requests_per_s / other.requests_per_s for ours, other in pairs)


def measure(
    commands: dict[str, list[str]],
    pairs: int,
    requests: int | None,
    report: Callable[[str, Row], None],
) -> tuple[dict[str, list[Row]], list[str]]:
    """policy -> rows, each reported as soon as it is whole; also who took part."""
    found: dict[str, list[Row]] = {}
    descriptions: list[str] = []
    for policy in POLICIES:
        directives = ["--appendonly", "yes", "--appendfsync", policy, "--auto-aof-rewrite-percentage", "0"]
        servers = [BenchmarkServer(name, command, directives) for name, command in commands.items()]
        found[policy] = []
        try:
            for server in servers:
                server.start()
            for pipeline, usual in REQUESTS[policy].items():
                for test in TESTS:
                    row = Row(test.name, pipeline)
                    count = max(1000, int((requests or usual) * test.share))
                    for _ in range(pairs):
                        for server in servers:
                            row.runs.setdefault(server.name, []).append(
                                take_run(server, test, pipeline, count, None)
                            )
                    found[policy].append(row)
                    report(policy, row)
            descriptions = [server.description() for server in servers]
        finally:
            for server in servers:
                server.stop()
    return found, descriptions


def header(names: Sequence[str]) -> list[str]:
    columns = ["appendfsync", "test", "-P"]
    columns += [f"{name} req/s" for name in names]
    columns += [f"{name} us/req" for name in names]
    return columns + [f"req/s vs {name}" for name in names if name != SUBJECT and SUBJECT in names]


def cells(policy: str, row: Row) -> list[str]:
    names = list(row.runs)
    ratios = [wall_ratio(row, name) for name in names if name != SUBJECT and SUBJECT in names]
    return [
        policy,
        row.test,
        str(row.pipeline),
        *[f"{row.requests_per_s(name):,.0f}" for name in names],
        *[f"{row.cpu_us(name):.2f}" for name in names],
        *[f"{ratio:.2f}" for ratio in ratios],
    ]


def means(found: dict[str, list[Row]]) -> list[str]:
    """One line per policy: the geometric mean of the throughput ratios against the reference, and the lowest."""
    lines = []
    for policy, rows in found.items():
        chosen = [row for row in rows if {SUBJECT, REFERENCE} <= set(row.runs)]
        if chosen:
            ratios = {f"{row.test} at pipeline {row.pipeline}": wall_ratio(row, REFERENCE) for row in chosen}
            lowest = min(ratios, key=lambda test: ratios[test])
            mean = geometric_mean(list(ratios.values()))
            lines.append(
                f"With appendfsync {policy}, requests per second against {REFERENCE}: geometric mean "
                f"{mean:.2f}, lowest {ratios[lowest]:.2f} ({lowest})."
            )
    return lines
