"""Requests per second of wall time and of server CPU time, by redis-benchmark, for several servers in turn.

Owns: the list of tests, what each needs in the server beforehand, and how a run is taken.
Invariants: the servers run at the same time on one core and are measured in turn, A B A B, so that a slow
minute of the machine hits all of them; redis-benchmark runs on the other core; a ratio is taken within a
pair of neighbouring runs, and the median of pairs is what is reported.
"""

from __future__ import annotations

import csv
import io
import math
import os
import random
import selectors
import shutil
import statistics
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.loading import large_hash, large_list, large_set, large_zset, send_all
from bench.machine import REFERENCE, SUBJECT, BenchmarkServer, two_cores
from support.wire import encode

KEYSPACE = 100_000
CLIENTS = 50
REQUESTS = {1: 100_000, 16: 400_000}
LRANGE_LIST_LENGTH = 1000


@dataclass(frozen=True)
class Test:
    """One of redis-benchmark's tests. `share` is its part of the usual number of requests."""

    name: str
    command: tuple[str, ...] = ()  # given on the command line, where -t would run a loading phase as well
    prepare: Callable[[int], Iterator[bytes]] | None = None  # number of requests -> what is sent first
    share: float = 1.0
    subscribers: int = 0  # of the channel "news", while the run lasts


def all_strings(_: int) -> Iterator[bytes]:
    for start in range(0, KEYSPACE, 500):
        numbers = range(start, start + 500)
        yield encode(["MSET", *[part for number in numbers for part in (b"key:%012d" % number, b"xxx")]])


def lrange(length: int, share: float) -> Test:
    command = ("LRANGE", "mylist", "0", str(length - 1))
    return Test(f"LRANGE_{length}", command, lambda _: large_list("mylist", LRANGE_LIST_LENGTH), share)


def places(_: int) -> Iterator[bytes]:
    """10,000 places in a box of some 100 by 100 km."""
    numbers = random.Random(1)
    for start in range(0, 10_000, 500):
        parts: list[str] = []
        for number in range(start, start + 500):
            longitude, latitude = 13 + numbers.random(), 52 + numbers.random()
            parts += [f"{longitude:.6f}", f"{latitude:.6f}", f"place:{number}"]
        yield encode(["GEOADD", "places", *parts])


def two_sets(_: int) -> Iterator[bytes]:
    yield from large_set("set:a", 4000)
    yield from large_set("set:b", 2000)


def two_zsets(_: int) -> Iterator[bytes]:
    yield from large_zset("zset:a", 2000)
    yield from large_zset("zset:b", 1000)


def stream(_: int) -> Iterator[bytes]:
    for number in range(1000):
        yield encode(["XADD", "mystream", f"{number + 1}-1", "field", f"value:{number}"])


def bitmap(_: int) -> Iterator[bytes]:
    yield encode(["SET", "mybitmap", b"\x5a" * 4096])


RANDOM = "__rand_int__"

TESTS = [
    Test("PING_INLINE"),
    Test("PING_MBULK"),
    Test("SET"),
    Test("GET", prepare=all_strings),
    Test("INCR"),
    Test("LPUSH"),
    Test("RPUSH"),
    Test("LPOP", prepare=lambda count: large_list("mylist", count)),
    Test("RPOP", prepare=lambda count: large_list("mylist", count)),
    Test("SADD"),
    Test("HSET"),
    Test("SPOP", prepare=lambda count: large_set("myset", count)),
    Test("ZADD", prepare=lambda _: large_zset("myzset", KEYSPACE)),
    Test("ZPOPMIN", prepare=lambda count: large_zset("myzset", count)),
    lrange(100, 0.25),
    lrange(300, 0.1),
    lrange(500, 0.1),
    lrange(600, 0.1),
    Test("MSET", share=0.25),
    Test("HGETALL_100", ("HGETALL", "myhash"), lambda _: large_hash("myhash", 100), 0.25),
    Test("XADD", ("XADD", "mystream", "*", "field", "value")),
    Test("XREAD_100", ("XREAD", "COUNT", "100", "STREAMS", "mystream", "400"), stream, 0.1),
    Test(
        "GEOSEARCH",
        ("GEOSEARCH", "places", "FROMLONLAT", "13.5", "52.5", "BYRADIUS", "3", "km", "ASC"),
        places,
        0.1,
    ),
    Test("PFADD", ("PFADD", "myhll", f"element:{RANDOM}")),
    Test("SETBIT", ("SETBIT", f"bits:{RANDOM}", "77", "1")),
    Test("BITCOUNT", ("BITCOUNT", "mybitmap"), bitmap),
    Test("EVAL", ("EVAL", "return redis.call('GET', KEYS[1])", "1", f"key:{RANDOM}"), all_strings),
    Test("PUBLISH_50", ("PUBLISH", "news", "hello"), share=0.1, subscribers=50),
    Test("SINTER", ("SINTER", "set:a", "set:b"), two_sets, 0.005),
    Test("ZUNIONSTORE", ("ZUNIONSTORE", "zset:u", "2", "zset:a", "zset:b"), two_zsets, 0.005),
]


@dataclass
class Run:
    requests_per_s: float
    cpu_us: float  # server CPU time per request


@dataclass
class Row:
    """All runs of one test at one pipeline depth, by the server's name."""

    test: str
    pipeline: int
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def requests_per_s(self, name: str) -> float:
        return statistics.median(run.requests_per_s for run in self.runs[name])

    def cpu_us(self, name: str) -> float:
        return statistics.median(run.cpu_us for run in self.runs[name])

    def ratio(self, subject: str, reference: str) -> float:
        """Requests per CPU second of the one over the other's: the median of pairs; above 1 is faster."""
        pairs = zip(self.runs[subject], self.runs[reference], strict=True)
        return statistics.median(other.cpu_us / ours.cpu_us for ours, other in pairs)


def geometric_mean(values: Sequence[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


class Audience:
    """Subscribers of the channel "news" that read what they are sent and keep nothing."""

    def __init__(self, server: BenchmarkServer, count: int) -> None:
        self.clients = [server.client() for _ in range(count)]
        for client in self.clients:
            client.call("SUBSCRIBE", "news")
            client.socket.setblocking(False)
        self.leaving = False
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self) -> None:
        with selectors.DefaultSelector() as selector:
            for client in self.clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            while self.clients and not self.leaving:
                for key, _ in selector.select(0.1):
                    key.data.socket.recv(1 << 20)

    def leave(self) -> None:
        self.leaving = True
        self.thread.join()
        for client in self.clients:
            client.close()


def take_run(
    server: BenchmarkServer,
    test: Test,
    pipeline: int,
    requests: int,
    client_core: int | None,
    settle: Callable[[], None] | None = None,
) -> Run:
    """One run of redis-benchmark, on the given core or on any. Its end is when `settle` returns."""
    with server.client(timeout_s=60.0) as client:
        client.call("FLUSHALL")
        if test.prepare is not None:
            send_all(client, test.prepare(requests))
    program = shutil.which("redis-benchmark") or shutil.which("valkey-benchmark")
    if program is None:
        raise SystemExit("redis-benchmark is not installed (on Debian: apt-get install redis-tools)")
    options = ["-p", server.port, "-c", CLIENTS, "-n", requests, "-P", pipeline, "-r", KEYSPACE, "--csv"]
    what = list(test.command) or ["-t", test.name.lower()]
    audience = Audience(server, test.subscribers)
    cores = os.sched_getaffinity(0) if client_core is None else {client_core}
    before_ns = server.cpu_ns()
    result = subprocess.run(
        [program, *map(str, options), *what],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    if settle is not None:
        settle()
    cpu_ns = server.cpu_ns() - before_ns
    audience.leave()
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    if result.returncode != 0 or len(rows) != 1:
        raise RuntimeError(f"{test.name} on {server.name}: {result.stdout}{result.stderr}")
    return Run(float(rows[0]["rps"]), cpu_ns / 1000 / requests)


def measure(
    commands: dict[str, list[str]],
    names: Sequence[str],
    pipelines: Sequence[int],
    pairs: int,
    requests: int | None,
    report: Callable[[Row], None],
) -> tuple[list[Row], list[str]]:
    """Every chosen test at every depth; `report` sees each row as soon as it is whole. Also who took part."""
    server_core, client_core = two_cores()
    tests = [test for test in TESTS if not names or test.name.lower() in names]
    rows: list[Row] = []
    servers = [BenchmarkServer(name, command) for name, command in commands.items()]
    try:
        for server in servers:
            server.start()
            server.pin(server_core)
        for pipeline in pipelines:
            for test in tests:
                row = Row(test.name, pipeline)
                usual = requests or REQUESTS.get(pipeline, REQUESTS[16])
                count = max(1000, int(usual * test.share))
                for _ in range(pairs):
                    for server in servers:
                        run = take_run(server, test, pipeline, count, client_core)
                        row.runs.setdefault(server.name, []).append(run)
                rows.append(row)
                report(row)
        return rows, [server.description() for server in servers]
    finally:
        for server in servers:
            server.stop()


def header(names: Sequence[str]) -> list[str]:
    columns = ["test", "-P"]
    columns += [f"{name} req/s" for name in names]
    columns += [f"{name} us/req" for name in names]
    return columns + [f"vs {name}" for name in names if name != SUBJECT and SUBJECT in names]


def cells(row: Row) -> list[str]:
    names = list(row.runs)
    ratios = [row.ratio(SUBJECT, name) for name in names if name != SUBJECT and SUBJECT in names]
    return [
        row.test,
        str(row.pipeline),
        *[f"{row.requests_per_s(name):,.0f}" for name in names],
        *[f"{row.cpu_us(name):.2f}" for name in names],
        *[f"{ratio:.2f}" for ratio in ratios],
    ]


def means(rows: Sequence[Row]) -> list[str]:
    """One line per pipeline depth: the geometric mean of the ratios against the reference, and the lowest."""
    lines = []
    for pipeline in sorted({row.pipeline for row in rows}):
        chosen = [row for row in rows if row.pipeline == pipeline and {SUBJECT, REFERENCE} <= set(row.runs)]
        if chosen:
            ratios = {row.test: row.ratio(SUBJECT, REFERENCE) for row in chosen}
            lowest = min(ratios, key=lambda test: ratios[test])
            mean = geometric_mean(list(ratios.values()))
            lines.append(
                f"At pipeline {pipeline}, requests per CPU second against {REFERENCE}: geometric mean "
                f"{mean:.2f}, lowest {ratios[lowest]:.2f} ({lowest})."
            )
    return lines
