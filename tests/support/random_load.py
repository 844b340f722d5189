"""Random commands of every data group, drawn from a seed, and threads that send them to the primary.

Owns: what is sent and how fast; that nobody waits for ever (a connection that blocks is dropped).
Must not know: which servers there are, what is expected of them.
Invariant: what is drawn depends on the seed alone; when it is sent does not.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from conformance.arguments import Group, Snippet, Step
from conformance.propagation_groups import DATA_GROUPS
from conformance.test_differential import load
from support.wire import Argument, WireClient, encode

ANSWER_WITHIN_S = 0.25
FLUSHES_KEPT = 0.05  # of the commands that empty everything, so that there is something to replicate
FLUSHES = (b"FLUSHALL", b"FLUSHDB", b"SWAPDB")
COUNTERS = 50
LEAST = b"-9223372036854775808"


class Scene:
    """One sequence of a group: its steps in order, and how many connections they take."""

    def __init__(self, group: Group, steps: Sequence[Step]) -> None:
        self.clients = group.clients
        self.steps = list(steps)


def draw_scenes(number: int, count: int) -> list[Scene]:
    """So many scenes of all groups, by this seed."""
    groups = [load(name) for name in DATA_GROUPS]
    sequences = [group.sequences() for group in groups]
    scenes: list[Scene] = []
    rng = random.Random(number)

    @st.composite
    def any_group(draw: st.DrawFn) -> tuple[int, list[Snippet]]:
        which = draw(st.integers(0, len(groups) - 1))
        return which, draw(sequences[which])

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(any_group())
    def collect(drawn: tuple[int, list[Snippet]]) -> None:
        which, snippets = drawn
        steps = [step for part in snippets for step in part.steps]
        kept = [step for step in steps if not is_unseen(step) and not is_disputed(step)]
        kept = [step for step in kept if not is_flush(step) or rng.random() < FLUSHES_KEPT]
        scenes.append(Scene(groups[which], kept))

    collect()
    return scenes


def is_unseen(step: Step) -> bool:
    """A script that keeps its writes from the replicas on purpose."""
    return any(b"set_repl" in word for word in step.argv)


def is_disputed(step: Step) -> bool:
    """What one make runs and another refuses: LREM with the least count of all, which Valkey has no use for."""
    return bool(step.argv) and step.argv[0].upper() == b"LREM" and LEAST in step.argv


def is_flush(step: Step) -> bool:
    return bool(step.argv) and step.argv[0].upper() in FLUSHES


class Worker(threading.Thread):
    """Plays scenes to the server whose port `port_of` gives, and keys of its own, until told to stop."""

    def __init__(
        self, name: str, seed_number: int, scenes: Sequence[Scene], port_of: Callable[[], int], pause_s: float
    ) -> None:
        super().__init__(name=f"worker-{name}", daemon=True)
        self.prefix = name
        self.rng = random.Random(seed_number)
        self.scenes = scenes
        self.port_of = port_of
        self.pause_s = pause_s
        self.leaving = threading.Event()
        self.commands = 0

    def run(self) -> None:
        while not self.leaving.is_set():
            try:
                self.play(self.rng.choice(self.scenes))
            except OSError:
                time.sleep(0.02)  # the primary is gone; another may be there soon
            time.sleep(self.rng.random() * self.pause_s)

    def play(self, scene: Scene) -> None:
        with contextlib.ExitStack() as stack:
            port = self.port_of()
            clients = [
                stack.enter_context(WireClient(port, timeout_s=ANSWER_WITHIN_S)) for _ in range(scene.clients)
            ]
            clients[0].send_raw(self.own_writes())
            if scene.clients == 1:
                clients[0].send_raw(b"".join(encode(step.argv) for step in scene.steps))
            for step in scene.steps if scene.clients > 1 else ():
                clients[step.client].send_raw(encode(step.argv))
                if self.rng.random() < 0.3:
                    for client in clients:
                        client.available()
            for client in clients:
                self.wait_for_end(client)
            self.commands += len(scene.steps)

    def own_writes(self) -> bytes:
        """Keys that no scene touches, in a database of their own: a data set that takes time."""
        rng = self.rng
        number = rng.randrange(COUNTERS)
        commands: list[Sequence[Argument]] = [
            ("SELECT", 9),
            ("INCR", f"{self.prefix}:count"),
            ("SETRANGE", f"{self.prefix}:large:{number}", rng.randrange(20_000), rng.randbytes(200)),
            ("HSET", f"{self.prefix}:hash", number, rng.random()),
            ("ZADD", f"{self.prefix}:zset", rng.randrange(1000), number),
            ("XADD", f"{self.prefix}:stream", "MAXLEN", "~", 500, "*", "n", number),
            ("SET", f"{self.prefix}:short:{number}", 1, "PX", rng.randrange(1, 2000)),
            ("SELECT", 0),
        ]
        return b"".join(map(encode, commands))

    def wait_for_end(self, client: WireClient) -> None:
        """Until all is answered; a client that waits (or is silenced) is left behind."""
        token = b"%d" % self.rng.getrandbits(60)
        client.send_raw(encode(["RESET"]) + encode(["ECHO", token]))
        deadline = time.monotonic() + ANSWER_WITHIN_S
        with contextlib.suppress(OSError):
            while client.read(max(0.0, deadline - time.monotonic())).value != token:
                pass

    def leave(self) -> None:
        self.leaving.set()
        self.join(10.0)
