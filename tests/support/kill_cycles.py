"""Kill a real server under load, again and again, and look for writes that it had acknowledged.

Owns: the load (several connections, pipelined, numbered), when the kill comes, and what must be there afterwards.
As a program:

    PYTHONPATH=src:tests python -m support.kill_cycles --cycles 200 --seed 1

Each writer counts up. Its number n is four commands and one transaction:

    INCR count    SET last n    RPUSH list n    MULTI  SET left n  SET right n  EXEC

so after a restart count >= last >= length of list >= left = right, they differ by one at most, the list is 1 2 3 ...,
and no number is missing for which every reply had been read. With `appendfsync always` a kill -9 costs nothing else
than what was not answered. Some cycles kill during BGREWRITEAOF, some while AOF is switched off and on: then what was
acknowledged before it went off must be there, and everything once the switch back is complete.

Invariants: no wait without a deadline; no server outlives its cycle.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from gossamer.base import build
from support.servers import ServerProcess, wait_until
from support.wire import Reply, WireClient, encode

WRITERS: Final = 4
CYCLES_KEPT: Final = 3  # whose keys stay and are looked at again
REPLIES_PER_NUMBER: Final = 7
PLAIN, REWRITE, SWITCH = "plain", "rewrite", "switch"


class Lost(AssertionError):
    """What an acknowledged write should have left is not there, or what was never sent is."""


class Writer(threading.Thread):
    """One connection that writes numbers until the server is gone."""

    def __init__(self, port: int, prefix: str, seed: int) -> None:
        super().__init__(name=f"writer-{prefix}", daemon=True)
        self.prefix = prefix
        self.rng = random.Random(seed)
        self.client = WireClient(port, timeout_s=10.0)
        self.sent = 0
        self.acknowledged = 0
        self.refused: Reply | None = None
        self.silent = False

    def number(self, n: int) -> bytes:
        p = self.prefix
        commands = (
            ("INCR", f"{p}:count"), ("SET", f"{p}:last", n), ("RPUSH", f"{p}:list", n), ("MULTI",),
            ("SET", f"{p}:left", n), ("SET", f"{p}:right", n), ("EXEC",),
        )  # fmt: skip
        return b"".join(encode(command) for command in commands)

    def run(self) -> None:
        try:
            while True:
                count = self.rng.choice((1, 1, 4, 16))
                numbers = range(self.sent + 1, self.sent + 1 + count)
                self.sent += count
                self.client.send_raw(b"".join(self.number(n) for n in numbers))
                for n in numbers:
                    for _ in range(REPLIES_PER_NUMBER):
                        reply = self.client.read()
                        if reply.is_error:
                            self.refused = reply
                            return
                    self.acknowledged = n
        except TimeoutError:
            self.silent = True
        except OSError:
            return
        finally:
            self.client.close()


class Cycle:
    """What one cycle wrote: per writer how far it must be there, and how far it can be."""

    def __init__(self) -> None:
        self.bounds: dict[str, tuple[int, int]] = {}


class Killing:
    """A data directory, and the cycles that went over it."""

    def __init__(self, kind: str, seed: int, directory: Path) -> None:
        self.kind = kind
        self.rng = random.Random(seed)
        self.directory = directory
        self.kept: list[Cycle] = []
        self.cycles = 0
        self.acknowledged = 0
        self.unanswered = 0
        self.missing = 0
        self.kinds: dict[str, int] = {}
        self.slowest_s = 0.0

    def start(self) -> ServerProcess:
        return ServerProcess(
            self.kind,
            ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-min-size", "64kb",
             "--auto-aof-rewrite-percentage", "100"],
            directory=self.directory,
        )  # fmt: skip

    def cycle(self) -> None:
        """Start, load, kill, start, look."""
        began = time.monotonic()
        how = self.rng.choice((PLAIN, PLAIN, REWRITE, REWRITE, SWITCH))
        server = self.start()
        try:
            writers = [
                Writer(server.port, f"{self.cycles}:{n}", self.rng.randrange(1 << 30)) for n in range(WRITERS)
            ]
            self.forget_old(server)
            for writer in writers:
                writer.start()
            promised = self.load_and_kill(server, writers, how)
        finally:
            server.crash()
        for writer in writers:
            writer.join(15.0)
            if writer.is_alive() or writer.silent:
                raise Lost(f"writer {writer.prefix} got no answer")
            if writer.refused is not None:
                raise Lost(f"writer {writer.prefix} was refused: {writer.refused!r}")
        cycle = Cycle()
        for writer in writers:
            least = promised.get(writer.prefix, writer.acknowledged)
            cycle.bounds[writer.prefix] = (least, writer.sent)
            self.acknowledged += writer.acknowledged
            self.unanswered += writer.sent - writer.acknowledged
        self.kept.append(cycle)
        self.kinds[how] = self.kinds.get(how, 0) + 1
        self.cycles += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def load_and_kill(self, server: ServerProcess, writers: list[Writer], how: str) -> dict[str, int]:
        """Wait a moment, perhaps with a rewrite on the way, and kill; what is promised, if not everything."""
        promised: dict[str, int] = {}
        self.pause(0.3)
        if how != PLAIN:
            with server.client() as control:
                if how == REWRITE:
                    control.call("BGREWRITEAOF")
                    self.pause(0.15)
                else:
                    promised = self.switch(control, writers)
        server.crash()
        return promised

    def switch(self, control: WireClient, writers: list[Writer]) -> dict[str, int]:
        """AOF off and on; what is promised if the kill comes before the switch is complete."""
        promised = {writer.prefix: writer.acknowledged for writer in writers}
        expect_ok(control.call("CONFIG", "SET", "appendonly", "no"))
        self.pause(0.05)
        expect_ok(control.call("CONFIG", "SET", "appendonly", "yes"))
        if self.rng.random() < 0.5:
            self.pause(0.1)
            return promised
        wait_until(lambda: switched_on(control), 10.0, "the AOF")
        self.pause(0.1)
        return {}

    def pause(self, limit_s: float) -> None:
        time.sleep(self.rng.random() * limit_s)

    def forget_old(self, server: ServerProcess) -> None:
        """Look at what the last cycles left, then keep only the newest."""
        with server.client() as client:
            for cycle in self.kept:
                self.look(client, cycle)
            while len(self.kept) > CYCLES_KEPT:
                old = self.kept.pop(0)
                for prefix in old.bounds:
                    names = [f"{prefix}:{name}" for name in ("count", "last", "list", "left", "right")]
                    client.call("UNLINK", *names)

    def look(self, client: WireClient, cycle: Cycle) -> None:
        """Lost unless every writer's numbers are as they must be; what was found is fixed from now on."""
        for prefix, (least, most) in cycle.bounds.items():
            replies = client.pipeline(
                [("GET", f"{prefix}:{name}") for name in ("count", "last", "left", "right")]
                + [("LRANGE", f"{prefix}:list", 0, -1)]
            )
            count, last, left, right = (int(reply.plain() or 0) for reply in replies[:4])
            numbers = [int(word) for word in replies[4].plain()]
            self.missing += max(0, least - min(count, last, len(numbers), left, right))
            shown = f"{prefix}: {least} to {most} expected; {count} {last} {len(numbers)} {left} {right}"
            if not least <= left <= len(numbers) <= last <= count <= most or count - left > 1:
                raise Lost(shown)
            if left != right:
                raise Lost(f"half a transaction: {shown}")
            if numbers != list(range(1, len(numbers) + 1)):
                raise Lost(f"the list has gaps: {shown}")
            cycle.bounds[prefix] = (left, count)

    def last_look(self) -> None:
        server = self.start()
        try:
            with server.client() as client:
                for cycle in self.kept:
                    self.look(client, cycle)
        finally:
            server.stop()


def switched_on(control: WireClient) -> bool:
    info = control.call("INFO", "persistence").raw
    return (
        b"aof_enabled:1" in info and b"aof_rewrite_in_progress:0" in info and b"aof_rewrite_scheduled:0" in info
        and b"aof_last_bgrewrite_status:ok" in info
    )  # fmt: skip


def expect_ok(reply: Reply) -> None:
    if reply.raw != b"+OK\r\n":
        raise Lost(f"refused: {reply!r}")


def run(kind: str, cycles: int, seed: int, progress: Callable[[Killing], None] | None = None) -> Killing:
    """So many cycles over one directory. Raises Lost."""
    with tempfile.TemporaryDirectory(prefix="kill-cycles-") as directory:
        killing = Killing(kind, seed, Path(directory))
        for _ in range(cycles):
            killing.cycle()
            if progress is not None:
                progress(killing)
        killing.last_look()
        return killing


def show(killing: Killing) -> str:
    kinds = ", ".join(f"{count} {name}" for name, count in sorted(killing.kinds.items()))
    return (
        f"{killing.cycles} kills ({kinds}): {killing.acknowledged} numbers acknowledged (5 writes each), "
        f"{killing.unanswered} unanswered, {killing.missing} missing; slowest cycle {killing.slowest_s:.2f} s"
    )


def main() -> int:
    arguments = argparse.ArgumentParser(
        description="Kill a server under load and look for acknowledged writes."
    )
    arguments.add_argument("--cycles", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    arguments.add_argument("--server", default="gossamer", help="gossamer, redis-server or valkey-server")
    options = arguments.parse_args()
    what = f"{build.mode()} gossamer" if options.server == "gossamer" else options.server
    print(f"kill -9 on {what}, appendfsync always: {options.cycles} cycles, seed {options.seed}", flush=True)

    def progress(killing: Killing) -> None:
        if killing.cycles % 20 == 0:
            print(f"  {show(killing)}", flush=True)

    with contextlib.suppress(KeyboardInterrupt):
        try:
            killing = run(options.server, options.cycles, options.seed, progress)
        except Lost as lost:
            print(f"LOST {lost}")
            return 1
        print(show(killing))
        return 0
    return 130


if __name__ == "__main__":
    sys.exit(main())
