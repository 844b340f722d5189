"""Mixed runs: Gossamer, redis-server and valkey-server in one replication tree, pulled about under load.

Owns: which tree, which faults, when, and what must hold afterwards. As a program:

    PYTHONPATH=src:tests python -m support.chaos --runs 100 --seconds 20 --parallel 2
    PYTHONPATH=src:tests python -m support.chaos --seed 7 --seconds 20

A run: three to five servers of random kinds and settings, the tree at most three deep, a misbehaving link
between each replica and its primary (support/links.py), several connections that write random commands of all
groups to the top (support/random_load.py). Meanwhile links are cut, stalled and throttled, servers killed, paused
and restarted, primaries replaced. Now and then all is healed and the load stops: then every link comes up within
a deadline, every offset and replication id is the primary's, and at equal offsets all hold the same. No server has
ended on its own, and no replica has answered an error to what its primary sent.

Invariants: no wait without a deadline; no server outlives its run; what happens, though not when to the
millisecond, depends on the seed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from gossamer.base import build
from support.random_load import Scene, Worker, draw_scenes
from support.servers import ServerAbsent, program_of
from support.tree_nodes import GOSSAMER, REDIS, VALKEY, Broken, Node

DEEPEST = 3
SETTLE_WITHIN_S = 40.0
TERMINATE_WITHIN_S = 12.0
FAILOVER_WITHIN_S = 3.0
LAG_S = 0.4
FILLER_KEYS = 4000
LOOKS = 8  # at contents at equal offsets: a key may be due between two looks
WORKERS = 3
SCENES = 150
REPL_TIMEOUT_S = 5
COMPLAINT = re.compile(r"== CRITICAL ==.*|Traceback.*|.*REDIS BUG REPORT.*|.*VALKEY BUG REPORT.*")


def choose_kinds(rng: random.Random, count: int, must: str, allowed: Sequence[str]) -> list[str]:
    """Gossamer at least once, where it takes part, the others at random."""
    kinds = [must] + [rng.choice(allowed) for _ in range(count - 1)]
    rng.shuffle(kinds)
    return kinds


def may_stand_under(child: str, parent: str) -> bool:
    """Valkey 8 sends an RDB of version 11, which Redis 7.0 cannot read."""
    return not (child == REDIS and parent == VALKEY)


def choose_options(rng: random.Random, kind: str, compat: str) -> list[str]:
    chosen: dict[str, str] = {
        "enable-debug-command": "yes",
        "repl-timeout": str(REPL_TIMEOUT_S),
        "repl-ping-replica-period": "1",
        "repl-diskless-sync": rng.choice(("yes", "no")),
        "repl-diskless-sync-delay": rng.choice(("0", "0", "1")),
        "repl-diskless-load": rng.choice(("disabled", "swapdb", "on-empty-db")),
        "repl-backlog-size": rng.choice(("16384", "65536", "1048576")),
        "appendonly": rng.choice(("yes", "no", "no")),
        "appendfsync": rng.choice(("everysec", "no", "always")),
        "save": rng.choice(("", "", "1 1", "3600 1")),
        "auto-aof-rewrite-min-size": "64kb",
        "rdbcompression": rng.choice(("yes", "no")),
        "list-max-listpack-size": rng.choice(("4", "-2")),
        "hash-max-listpack-entries": rng.choice(("4", "128")),
        "zset-max-listpack-entries": rng.choice(("4", "128")),
        "set-max-intset-entries": rng.choice(("4", "512")),
        "stream-node-max-entries": rng.choice(("4", "100")),
    }
    if kind == GOSSAMER:
        chosen["compat"] = compat
    return [word for name, value in chosen.items() for word in (f"--{name}", value)]


@dataclass
class Plan:
    """What a run is told."""

    seed: int
    seconds: float
    everywhere: bool = True  # Gossamer as a replica too, not only on top
    kinds: Sequence[str] = (GOSSAMER, REDIS, VALKEY)
    verbose: bool = False


class World:
    """All servers of a run."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = rng = random.Random(plan.seed)
        self.began = time.monotonic()
        self.story: list[str] = []
        self.counts: Counter[str] = Counter()
        self.read_up_to: dict[int, int] = {}
        others = plan.kinds if plan.everywhere else [kind for kind in plan.kinds if kind != GOSSAMER]
        must = GOSSAMER if GOSSAMER in plan.kinds else plan.kinds[0]
        kinds = choose_kinds(rng, rng.randint(3, 5), must, others)
        compat = "redis:7.0" if REDIS in kinds else rng.choice(("redis:7.0", "valkey:8.0"))
        self.may_lead = [GOSSAMER, REDIS] if REDIS in kinds else [GOSSAMER, VALKEY]
        if not plan.everywhere:
            self.may_lead = [GOSSAMER]
        elif compat == "redis:7.0" and VALKEY in kinds and REDIS not in kinds:
            self.may_lead = [GOSSAMER, VALKEY]
        self.nodes = [
            Node(i, kind, choose_options(rng, kind, compat), rng.getrandbits(32))
            for i, kind in enumerate(kinds)
        ]
        self.top = self.nodes[0]
        self.lock = threading.Lock()

    # -- the tree -----------------------------------------------------------------------------------------

    def choose_tree(self) -> list[tuple[Node, Node | None]]:
        """Who follows whom from now on, from the top down."""
        rng = self.rng
        top = rng.choice([node for node in self.nodes if node.kind in self.may_lead])
        depth = {top.number: 1}
        tree: list[tuple[Node, Node | None]] = [(top, None)]
        rest = [node for node in self.nodes if node is not top]
        rng.shuffle(rest)
        rest.sort(key=lambda node: node.kind == VALKEY)  # those under whom not everybody may stand come last
        for node in rest:
            parents = [
                placed for placed, _ in tree
                if depth[placed.number] < DEEPEST and may_stand_under(node.kind, placed.kind)
            ]  # fmt: skip
            parent = rng.choice(parents)
            depth[node.number] = depth[parent.number] + 1
            tree.append((node, parent))
        return tree

    def shape(self) -> str:
        return ", ".join(
            f"{node.name} under {node.parent.number}" if node.parent else f"{node.name} on top"
            for node in self.nodes
        )

    def start(self) -> None:
        for node, parent in self.choose_tree():
            node.parent = parent
            if parent is None:
                self.top = node
            else:
                node.link.lead_to(parent.server.port)
            node.start()
            if (
                parent is None and self.rng.random() < 0.5
            ):  # before anybody follows: nobody is told of these keys
                node.call("DEBUG", "POPULATE", str(FILLER_KEYS), "filler", str(self.rng.choice((10, 500))))
        self.tell(self.shape())

    def tell(self, what: str) -> None:
        line = f"{time.monotonic() - self.began:7.2f} {what}"
        self.story.append(line)
        if self.plan.verbose:
            print(line, flush=True)

    def top_port(self) -> int:
        return self.top.server.port

    # -- faults -------------------------------------------------------------------------------------------

    def disturb(self) -> None:
        """One fault."""
        faults = (
            ("cut", 5), ("cut_after", 4), ("stall", 2), ("throttle", 2), ("refuse", 2), ("disconnect", 2),
            ("crash", 3), ("restart", 2), ("pause", 2), ("promote", 3), ("move", 2), ("configure", 2),
            ("save", 2), ("failover", 2),
        )  # fmt: skip
        name = self.rng.choice([name for name, weight in faults for _ in range(weight)])
        self.counts[name] += 1
        with contextlib.suppress(OSError):  # whom it is meant for is down
            getattr(self, f"do_{name}")()

    def some_replica(self) -> Node:
        return self.rng.choice([node for node in self.nodes if node.parent is not None])

    def do_cut(self) -> None:
        node = self.some_replica()
        self.tell(f"cut {node.name}")
        node.link.cut(hard=self.rng.random() < 0.5)

    def do_cut_after(self) -> None:
        node, count = self.some_replica(), self.rng.choice((10, 100, 1000, 10_000, 100_000, 400_000))
        count += self.rng.randrange(count)
        self.tell(f"cut {node.name} behind {count} bytes")
        node.link.cut_after(count)
        if self.rng.random() < 0.5:
            node.link.cut()

    def do_stall(self) -> None:
        node, seconds = self.some_replica(), self.rng.choice((0.3, 1.0, REPL_TIMEOUT_S + 2.0))
        self.tell(f"stall {node.name} for {seconds} s")
        node.link.stall(seconds)

    def do_throttle(self) -> None:
        node = self.some_replica()
        node.link.bytes_per_s = self.rng.choice((0, 0, 20_000, 200_000, 2_000_000))
        self.tell(f"{node.link.bytes_per_s or 'any number of'} bytes/s to {node.name}")

    def do_refuse(self) -> None:
        node = self.some_replica()
        node.link.refuses = not node.link.refuses
        self.tell(f"{'refuse' if node.link.refuses else 'accept'} {node.name}")
        if node.link.refuses:
            node.link.cut()

    def do_disconnect(self) -> None:
        node = self.rng.choice(self.nodes)
        kind = self.rng.choice(("replica", "master"))
        self.tell(f"CLIENT KILL TYPE {kind} on {node.name}")
        node.call("CLIENT", "KILL", "TYPE", kind, timeout_s=1.0)

    def do_crash(self) -> None:
        node = self.rng.choice(self.nodes)
        if node.is_up():
            self.tell(f"kill -9 {node.name}")
            node.server.crash()
        else:
            self.tell(f"start {node.name} again")
            node.start()

    def do_restart(self) -> None:
        node = self.rng.choice(self.nodes)
        if node.is_up():
            self.tell(f"end and start {node.name}")
            node.resume()
            try:
                node.server.terminate(TERMINATE_WITHIN_S)
            except subprocess.TimeoutExpired:  # one that loads looks up late
                node.server.crash()
        node.start()

    def do_pause(self) -> None:
        node = self.rng.choice(self.nodes)
        if node.paused:
            self.tell(f"resume {node.name}")
            node.resume()
        elif node.is_up():
            self.tell(f"pause {node.name}")
            node.pause()

    def do_promote(self) -> None:
        """Another tree, perhaps with another top; the old one learns it at once or when it is back."""
        for node in self.nodes:
            node.resume()
        tree = self.choose_tree()
        top = tree[0][0]
        lags = top is not self.top and self.rng.random() < 0.5
        if lags:  # the others are to know more of the old top than the new one does
            self.tell(f"{top.name} is to be on top, and lags")
            top.link.stall(2 * LAG_S)
            time.sleep(LAG_S)
        self.top = top
        moved = [node for node, parent in tree if parent is not node.parent or self.rng.random() < 0.2]
        for node, parent in tree:
            if node in moved:
                node.place(parent)
        for node in moved:
            with contextlib.suppress(OSError):  # it learns it when all is healed
                node.take_place()
            if lags and node is top:
                time.sleep(LAG_S)  # and it goes on by itself before they ask it
        self.tell(f"new tree: {self.shape()}")

    def do_failover(self) -> None:
        """FAILOVER to a replica of the top; what becomes of it may take until the next faults."""
        top = self.top
        choice = [
            node for node in self.nodes if node.parent is top and node.kind in self.may_lead and node.is_up()
        ]
        if not choice or not top.is_up() or top.paused:
            return
        node = self.rng.choice(choice)
        self.tell(f"FAILOVER from {top.name} to {node.name}")
        top.call("FAILOVER", "TO", "127.0.0.1", str(node.server.port), "TIMEOUT", "1000", timeout_s=2.0)
        deadline = time.monotonic() + FAILOVER_WITHIN_S
        while time.monotonic() < deadline:
            if (
                top.info("replication").get("role") == "slave"
                and node.info("replication").get("role") == "master"
            ):
                node.parent, top.parent, self.top = None, node, node
                top.follow(node)  # by way of a link again
                self.counts["failed over"] += 1
                self.tell(f"new tree: {self.shape()}")
                return
            time.sleep(0.02)
        with contextlib.suppress(OSError):
            top.call("FAILOVER", "ABORT")
        for other, role in ((top, "master"), (node, "slave")):
            if other.info("replication").get("role") != role:
                other.follow(other.parent)

    def do_move(self) -> None:
        """A leaf to another primary."""
        leaves = [node for node in self.nodes if not any(other.parent is node for other in self.nodes)]
        node = self.rng.choice([leaf for leaf in leaves if leaf.parent is not None])
        node.resume()
        places = [
            other for other in self.nodes
            if other is not node and may_stand_under(node.kind, other.kind) and depth_of(other) < DEEPEST
        ]  # fmt: skip
        parent = self.rng.choice(places)
        self.tell(f"{node.name} to {parent.name}")
        node.follow(parent)

    def do_configure(self) -> None:
        node = self.rng.choice(self.nodes)
        name, value = self.rng.choice((
            ("repl-diskless-sync", "yes"), ("repl-diskless-sync", "no"), ("repl-diskless-load", "disabled"),
            ("repl-diskless-load", "swapdb"), ("repl-backlog-size", "16384"),
            ("repl-backlog-size", "1048576"), ("appendonly", "yes"), ("appendonly", "no"),
            ("repl-diskless-sync-delay", "0"),
        ))  # fmt: skip
        self.tell(f"{name} {value} on {node.name}")
        node.call("CONFIG", "SET", name, value, timeout_s=2.0)

    def do_save(self) -> None:
        node = self.rng.choice(self.nodes)
        command = self.rng.choice(("BGSAVE", "BGREWRITEAOF"))
        self.tell(f"{command} on {node.name}")
        node.call(command, timeout_s=1.0)

    # -- what must hold -----------------------------------------------------------------------------------

    def heal(self) -> None:
        self.tell("heal")
        for node in self.nodes:
            node.resume()
            node.link.heal()
        for node in self.nodes:
            if not node.is_up():
                node.start()
        for node in sorted(self.nodes, key=depth_of):
            self.insist(node)

    def insist(self, node: Node) -> None:
        """Have it where it is to stand, though it may be busy loading."""
        for left in (2, 1, 0):
            try:
                node.take_place()
                return
            except OSError:
                if not left or not node.is_up():
                    raise

    def settle(self) -> None:
        """Until every replica stands where the top does."""
        deadline = time.monotonic() + SETTLE_WITHIN_S
        places: list[tuple[str, str]] = []
        while time.monotonic() < deadline:
            self.look_at_servers()
            with contextlib.suppress(OSError):
                places = [node.where() for node in self.nodes]
                if len(set(places)) == 1:
                    return
            time.sleep(0.05)
        shown = "; ".join(
            f"{node.name}: {' '.join(place)}" for node, place in zip(self.nodes, places, strict=False)
        )
        raise Broken(f"not at one place after {SETTLE_WITHIN_S:.0f} s: {shown}")

    def compare(self) -> None:
        """Equal contents at equal offsets; keys that are due between two looks are looked at again."""
        for look in range(LOOKS):
            self.settle()
            digests = [node.digest() for node in self.nodes]
            functions = [node.functions() for node in self.nodes]
            if len(set(digests)) == 1 and len(set(functions)) == 1:
                return
            if len(set(functions)) == 1 and look >= LOOKS // 2 and not self.differences():
                return  # digests of some values differ by make
            time.sleep(0.2)
        if len(set(functions)) > 1:
            raise Broken("function libraries differ: " + "; ".join(map(repr, functions)))
        shown = "; ".join(
            f"{n.name} {d.decode().strip()[1:9]}" for n, d in zip(self.nodes, digests, strict=True)
        )
        differences = self.differences()
        if differences:
            raise Broken(f"digests at one offset: {shown}\n" + "\n".join(differences[:20]))

    def differences(self) -> list[str]:
        found: list[str] = []
        top = self.top.content()
        for node in self.nodes:
            if node is self.top:
                continue
            other = node.content()
            for name in sorted(top.keys() | other.keys()):
                if top.get(name) != other.get(name):
                    found.append(f"  {name}")
                    found += [f"    {n.name}: {c.get(name)!r}" for n, c in ((self.top, top), (node, other))]
        return found

    def look_at_servers(self) -> None:
        for node in self.nodes:
            if not node.is_up():
                raise Broken(f"{node.name} ended on its own:\n{node.server.log_tail(1500)}")

    def look_at_logs(self) -> None:
        for node in self.nodes:
            text = node.server.log.read_text(errors="replace")
            complaint = COMPLAINT.search(text)
            if complaint is not None:
                raise Broken(f"{node.name} complains: {text[complaint.start() : complaint.start() + 1200]}")

    def count_synchronizations(self) -> None:
        for node in self.nodes:
            text = node.server.log.read_text(errors="replace")
            for what, pattern in (
                (
                    "full",
                    r"Full resync from (?:master|primary)|MASTER <-> REPLICA sync: Finished with success",
                ),
                (
                    "partial",
                    r"(?:Successful partial resynchronization|Partial resynchronization .* accepted)",
                ),
            ):
                self.counts[what] += len(re.findall(pattern, text))

    def stop(self) -> None:
        for node in self.nodes:
            node.resume()
            node.link.close()
            node.server.crash()
            node.server.stop()

    def tails(self) -> str:
        return "\n".join(
            f"--- {node.name}, port {node.server.port}\n{node.server.log_tail(2500)}" for node in self.nodes
        )


def depth_of(node: Node) -> int:
    return 1 if node.parent is None else 1 + depth_of(node.parent)


def run(plan: Plan) -> Counter[str]:
    """One run; Broken when something does not hold."""
    scenes = draw_scenes(plan.seed, SCENES)
    world = World(plan)
    try:
        world.start()
        deadline = time.monotonic() + plan.seconds
        while True:
            part_s = min(max(deadline - time.monotonic(), 0.5), world.rng.uniform(3.0, 9.0))
            disturb_for(world, scenes, part_s)
            world.heal()
            world.compare()
            world.look_at_logs()
            world.counts["comparisons"] += 1
            world.tell("all are equal")
            if time.monotonic() >= deadline:
                break
        world.count_synchronizations()
        return world.counts
    except Exception as error:
        story = "\n".join(world.story[-60:])
        raise Broken(f"{error}\n{story}\n{world.tails()}") from error
    finally:
        world.stop()


def disturb_for(world: World, scenes: Sequence[Scene], seconds: float) -> None:
    rng = world.rng
    pause_s = rng.choice((0.0, 0.02, 0.1))
    workers = [Worker(f"{n}", rng.getrandbits(32), scenes, world.top_port, pause_s) for n in range(WORKERS)]
    for worker in workers:
        worker.start()
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            time.sleep(rng.random() * rng.choice((0.1, 0.5, 1.0)))
            world.disturb()
    finally:
        for worker in workers:
            worker.leave()
            world.counts["commands"] += worker.commands


def replay_command(plan: Plan) -> str:
    extra = "" if plan.everywhere else " --top-only"
    if tuple(plan.kinds) != (GOSSAMER, REDIS, VALKEY):
        extra += f" --kinds {','.join(plan.kinds)}"
    return f'make chaos RUNS=1 SECONDS={plan.seconds:g} ARGS="--seed {plan.seed}{extra} --verbose"'


def present_kinds(asked: Sequence[str]) -> list[str]:
    present = []
    for kind in asked:
        with contextlib.suppress(ServerAbsent):
            program_of(kind)
            present.append(kind)
    return present


def show(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description="Mixed replication trees under load and faults.")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument(
        "--kinds", default=f"{GOSSAMER},{REDIS},{VALKEY}", help="kinds of servers, with commas"
    )
    parser.add_argument("--top-only", action="store_true", help="Gossamer only as the primary of all")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    kinds = present_kinds(options.kinds.split(","))
    plans = [
        Plan(options.seed + n, options.seconds, not options.top_only, kinds, options.verbose)
        for n in range(options.runs)
    ]
    if options.runs == 1:
        return run_here(plans[0])
    print(
        f"{build.mode()} gossamer among {', '.join(kinds)}: {options.runs} runs of {options.seconds:g} s, "
        f"seeds from {options.seed}",
        flush=True,
    )
    return run_many(plans, options.parallel)


def run_here(plan: Plan) -> int:
    try:
        print(f"OK {show(run(plan))}")
    except Broken as broken:
        print(f"BROKEN {broken}\nreplay: {replay_command(plan)}")
        return 1
    return 0


def run_many(plans: Sequence[Plan], parallel: int) -> int:
    """Each in a process of its own."""
    total: Counter[str] = Counter()
    broken = done = 0

    def one(plan: Plan) -> tuple[Plan, str]:
        command = [
            sys.executable, "-m", "support.chaos", "--seed", str(plan.seed), "--seconds", str(plan.seconds),
            "--kinds", ",".join(plan.kinds), *([] if plan.everywhere else ["--top-only"]),
        ]  # fmt: skip
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        return plan, finished.stdout + finished.stderr

    with ThreadPoolExecutor(parallel) as pool:
        for plan, output in pool.map(one, plans):
            done += 1
            last = output.strip().splitlines()[-1] if output.strip() else ""
            if last.startswith("OK "):
                for item in last[3:].split(", "):
                    count, _, name = item.partition(" ")
                    total[name] += int(count)
            else:
                broken += 1
                print(f"run {done}, seed {plan.seed}:\n{output}\nreplay: {replay_command(plan)}", flush=True)
            if done % 10 == 0:
                print(f"  {done} runs, {broken} broken: {show(total)}", flush=True)
    print(f"{done} runs, {broken} broken: {show(total)}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
