"""One seed: a world, what goes wrong in it, and the verdict."""

from __future__ import annotations

from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel import commands
from support.sentinel_faults import Faults
from support.sentinel_rules import SWITCHES_AFTER_HEALING, Rules
from support.sentinel_world import START_MS, World

WARM_UP_MS = 7000
PATIENCE_MS = 150_000
LOOK_MS = 1000
SETTLING_MS = 6000  # connections that died in a cut are found dead only now
PEACE_MS = 15_000
MANUAL_SHARE = 20  # one seed in so many is an operator's failover instead of faults


class Run:
    """The run of a seed and what came of it."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.rules = Rules()
        self.world = World(seed, self.rules)
        self.rules.world = self.world
        self.manual = seed % MANUAL_SHARE == MANUAL_SHARE - 1
        self.started_ms = START_MS
        self.healed_ms = 0
        self.settled_ms = 0
        try:
            self.play()
        except Exception as error:  # a broken machine may well fall over: that is a verdict too
            self.rules.broken("survival", f"{type(error).__name__}: {error}")

    @property
    def violations(self) -> list[str]:
        return self.rules.violations

    def play(self) -> None:
        world, rules = self.world, self.rules
        warm_ms = 2500 if world.knows_all else WARM_UP_MS
        world.run_until(START_MS + warm_ms)
        others = len(world.sentinels) - 1
        if any(len(each.sentinels) != others for node in world.sentinels for each in node.primaries.values()):
            rules.broken("discovery", "the Sentinels have not found one another")
            return
        faults = Faults(world)
        if self.manual:
            self.switch_by_hand()
            length_ms = 1000
        else:
            length_ms = world.random.randrange(6000, 25_000)
            faults.plan(world.now, length_ms)
            rules.is_calm = faults.only_clocks
        self.run_watching(world.now + length_ms)
        faults.heal()
        self.healed_ms = world.now
        configurations = len(rules.addresses)
        self.await_convergence()
        if not rules.violations:
            grown = len(rules.addresses) - configurations
            if grown > SWITCHES_AFTER_HEALING * len(world.groups):
                rules.broken("peace", f"{grown} failovers after everything had healed")

    def run_watching(self, until_ms: int) -> None:
        """Stop at the first violation: what follows from it proves nothing more."""
        world = self.world
        while world.now < until_ms and not self.violations:
            world.run_until(min(world.now + LOOK_MS, until_ms))

    def switch_by_hand(self) -> None:
        world = self.world
        node = world.random.choice(world.sentinels)
        self.rules.forced.add(node)
        node.machine.now_ms = node.now
        reply = ReplyWriter()
        node.guard(commands.failover_now, node.machine, [b"SENTINEL", b"FAILOVER", b"main"], reply)
        if reply.out.getvalue() != b"+OK\r\n":
            self.rules.broken("manual", f"SENTINEL FAILOVER says {reply.out.getvalue()!r}")

    def await_convergence(self) -> None:
        world, rules = self.world, self.rules
        deadline = world.now + PATIENCE_MS
        calm_since = 0
        tries = rules.tries
        problem = ""
        while world.now < deadline and not rules.violations:
            self.run_watching(world.now + LOOK_MS)
            problem = rules.unsettled(world)
            if problem:
                if calm_since and world.now - calm_since > SETTLING_MS and rules.tries != tries:
                    rules.broken("peace", f"a failover began after everything had settled: {problem}")
                calm_since = 0
            elif not calm_since:
                calm_since = world.now
                self.settled_ms = world.now
                tries = rules.tries
            elif world.now - calm_since >= PEACE_MS:
                if self.manual and rules.elections != 1:
                    rules.broken("manual", f"{rules.elections} failovers for one command")
                return
        if not rules.violations:
            rules.broken("convergence", problem or "no peace")

    def title(self) -> str:
        world = self.world
        return (
            f"seed {self.seed}: {len(world.sentinels)} Sentinels, quorum {world.quorum}, "
            f"{len(world.groups)} primaries, {len(world.servers)} servers, down after {world.down_after_ms} ms, "
            f"failover timeout {world.failover_timeout_ms} ms"
        )

    def story(self) -> list[str]:
        """What happened, a line each."""
        lines = []
        for when, node, kind, text in self.world.history:
            who = "     " if node is None else f"s{node.index}"
            lines.append(f"{(when - START_MS) / 1000:8.2f} {who} {kind.decode()} {text.decode()}")
        return lines
