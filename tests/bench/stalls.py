"""The longest time that another client waits for a PONG while the server does something large.

Invariants: nothing is pinned here (a child that saves may use the other core, as it may in production);
the wait is measured by a connection that pings every millisecond and does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from bench.loading import LARGE_VALUES, send_all, strings
from bench.machine import BenchmarkServer
from support.wire import WireClient, encode

PATIENCE_S = 600.0
PING = encode(["PING"])
BURST_KEYS = 10_000
BURST_DELAY_MS = 1000


def longest_wait_ms(pinger: WireClient, finished: Callable[[], bool]) -> float:
    """Ping every millisecond until `finished` says so; the longest wait for an answer."""
    longest = 0.0
    check_at = time.monotonic() + 0.05
    while True:
        started = time.monotonic()
        pinger.socket.sendall(PING)
        pinger.socket.recv(64)
        now = time.monotonic()
        longest = max(longest, now - started)
        if now >= check_at:
            if finished():
                return longest * 1000
            check_at = now + 0.05
        time.sleep(0.001)


def after(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def idle(_: BenchmarkServer, __: WireClient, pinger: WireClient) -> float:
    return longest_wait_ms(pinger, after(1.0))


def bgsave(server: BenchmarkServer, worker: WireClient, pinger: WireClient) -> float:
    worker.send("BGSAVE")
    worker.read()

    return longest_wait_ms(pinger, lambda: b"rdb_bgsave_in_progress:0" in persistence_of(worker))


def persistence_of(worker: WireClient) -> bytes:
    reply: bytes = worker.call("INFO", "persistence").plain()
    return reply


def rewrite(worker: WireClient, pinger: WireClient) -> float:
    """The rewrite of a running AOF, from the command to the removal of the old files."""
    worker.call("BGREWRITEAOF")
    return longest_wait_ms(
        pinger,
        lambda: (
            b"aof_rewrite_in_progress:0" in (facts := persistence_of(worker))
            and b"aof_rewrite_scheduled:0" in facts
        ),
    )


def turned_on(worker: WireClient, pinger: WireClient) -> float:
    """CONFIG SET appendonly yes, until the whole data set is in the file."""
    worker.call("CONFIG", "SET", "appendonly", "yes")
    return longest_wait_ms(pinger, lambda: b"aof_rewrite_in_progress:0" in persistence_of(worker))


def delete(worker: WireClient, pinger: WireClient) -> float:
    worker.send("DEL", "large")
    wait = longest_wait_ms(pinger, lambda: bool(worker.available()))
    return max(wait, longest_wait_ms(pinger, after(0.3)))


def burst(count: int) -> Iterator[bytes]:
    at = str(int(time.time() * 1000) + BURST_DELAY_MS)
    for number in range(count):
        yield encode(["SET", f"burst:{number}", "x", "PXAT", at])


def expiry(worker: WireClient, pinger: WireClient) -> float:
    send_all(worker, burst(BURST_KEYS))
    return longest_wait_ms(pinger, after(BURST_DELAY_MS / 1000 + 1.0))


def measure_one(name: str, command: list[str], keys: int) -> tuple[dict[str, float], str]:
    server = BenchmarkServer(name, command)
    found: dict[str, float] = {}
    try:
        server.start()
        description = server.description()
        with server.client(timeout_s=PATIENCE_S) as worker, server.client(timeout_s=PATIENCE_S) as pinger:
            found["nothing (the machine's own noise)"] = idle(server, worker, pinger)
            send_all(worker, strings(keys))
            found[f"BGSAVE of {keys:,} keys"] = bgsave(server, worker, pinger)
            found[f"expiry of {BURST_KEYS:,} keys at once among them"] = expiry(worker, pinger)
            found[f"appendonly yes with {keys:,} keys"] = turned_on(worker, pinger)
            found[f"BGREWRITEAOF of {keys:,} keys"] = rewrite(worker, pinger)
            worker.call("CONFIG", "SET", "appendonly", "no")
            worker.call("FLUSHALL")
            for kind, fill in LARGE_VALUES.items():
                send_all(worker, fill("large", keys))
                found[f"DEL of a {kind} of {keys:,} elements"] = delete(worker, pinger)
        return found, description
    finally:
        server.stop()


def measure(commands: dict[str, list[str]], keys: int) -> tuple[dict[str, dict[str, float]], list[str]]:
    """event -> server -> milliseconds; also who took part."""
    found: dict[str, dict[str, float]] = {}
    descriptions: list[str] = []
    for name, command in commands.items():
        waits, description = measure_one(name, command, keys)
        descriptions.append(description)
        for event, wait_ms in waits.items():
            found.setdefault(event, {})[name] = wait_ms
            print(f"  {name:14} {event:45} {wait_ms:8.1f} ms", flush=True)
    return found, descriptions


def header(names: Sequence[str]) -> list[str]:
    return ["while", *[f"{name} ms" for name in names]]


def cells(event: str, waits: dict[str, float]) -> list[str]:
    return [event, *[f"{wait_ms:.1f}" for wait_ms in waits.values()]]
