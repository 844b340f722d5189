"""What goes wrong in a world of Sentinels, drawn from its seed.

Owns the kinds of faults and when they begin and end; every one can end, and `heal` ends all.
"""

from __future__ import annotations

from collections.abc import Callable

from support.sentinel_world import Node, SentinelNode, World


class Faults:
    """A plan for one world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.random = world.random
        self.healed = False
        self.cuts: list[list[tuple[int, int]]] = []
        self.kinds: list[tuple[int, Callable[[], None]]] = [
            (8, self.crash_primary),
            (2, self.crash_replica),
            (3, self.crash_sentinel),
            (4, self.crash_at_some_step),
            (4, self.crash_after_vote),
            (2, self.pause_server),
            (2, self.pause_sentinel),
            (3, self.split),
            (3, self.isolate),
            (3, self.cut_one_way),
            (3, self.cut_sentinels_one_way),
            (2, self.split_sentinels),
            (2, self.jump_clock),
            (2, self.fail_disk),
            (2, self.slow_network),
            (1, self.reset_connections),
        ]
        self.only_clocks = False

    def plan(self, start_ms: int, length_ms: int) -> None:
        """Most worlds have a few kinds of faults only, each world other ones: so each kind is seen at its worst."""
        choose = self.random.choice
        functions = [function for weight, function in self.kinds for _ in range(weight)]
        if choose((True, True, False)):
            functions = [choose(functions) for _ in range(3)]
        self.only_clocks = self.random.random() < 0.05
        if self.only_clocks:
            functions = [self.jump_far]
            self.world.delay_ms = int(self.world.down_after_ms * 0.2)  # answers are awaited most of the time
        else:
            first = choose((self.crash_primary, self.crash_primary, self.isolate_primary))
            self.world.at(start_ms + self.random.randrange(500), self.begin, first)
        for _ in range(self.random.randrange(2, 8)):
            self.world.at(start_ms + self.random.randrange(length_ms), self.begin, choose(functions))

    def begin(self, fault: Callable[[], None]) -> None:
        if not self.healed:
            self.world.record(None, fault.__name__.encode(), b"")
            fault()

    def later(self, least_ms: int, most_ms: int, function: Callable[..., None], *arguments: object) -> None:
        self.world.after(self.random.randrange(least_ms, most_ms), function, *arguments)

    def sentinel(self) -> SentinelNode:
        return self.random.choice(self.world.sentinels)

    # -- processes ----------------------------------------------------------------------------------------

    def crash_primary(self) -> None:
        primaries = [s for s in self.world.servers if s.alive and s.upstream is None]
        if primaries:
            self.crash(self.random.choice(primaries), 2000, 25_000)

    def crash_replica(self) -> None:
        self.crash(self.random.choice(self.world.servers), 500, 15_000)

    def crash_sentinel(self) -> None:
        self.crash(self.sentinel(), 100, 10_000)

    def crash_at_some_step(self) -> None:
        """Soon, in the middle of what it does; it is back at once."""
        node = self.sentinel()
        node.crash_after_steps = self.random.randrange(1, 60)
        for wait_ms in range(500, 20_000, 1500):
            self.world.after(wait_ms, self.start, node)

    def crash_after_vote(self) -> None:
        """As soon as the vote has left."""
        for node in self.world.sentinels:
            node.crashes_after_vote = self.random.random() < 0.7

    def crash(self, node: Node, least_ms: int, most_ms: int) -> None:
        if node.alive:
            node.crash()  # type: ignore[attr-defined]
            self.later(least_ms, most_ms, self.start, node)

    def start(self, node: Node) -> None:
        if not node.alive:
            node.start()  # type: ignore[attr-defined]

    def pause_server(self) -> None:
        self.pause(self.random.choice(self.world.servers), 500, 12_000)

    def pause_sentinel(self) -> None:
        self.pause(self.sentinel(), 200, self.random.choice((1500, 10_000)))

    def pause(self, node: Node, least_ms: int, most_ms: int) -> None:
        if node.alive and not node.paused:
            self.world.settle_all()
            node.paused = True
            self.later(least_ms, most_ms, self.resume, node)

    def resume(self, node: Node) -> None:
        if node.paused:
            self.world.settle_all()
            node.resume()

    def jump_clock(self) -> None:
        self.sentinel().skew_ms += self.random.choice((-1, 1)) * self.random.choice((500, 1500, 5000, 40_000))

    def jump_far(self) -> None:
        self.sentinel().skew_ms += self.random.choice((-1, 1)) * self.random.choice((5000, 40_000))

    def fail_disk(self) -> None:
        node = self.sentinel()
        node.disk_fails = True
        self.later(1000, 10_000, self.mend_disk, node)

    def mend_disk(self, node: SentinelNode) -> None:
        node.disk_fails = False

    # -- the network --------------------------------------------------------------------------------------

    def cut(self, pairs: list[tuple[int, int]]) -> None:
        self.world.change_cut(pairs, 1)
        self.cuts.append(pairs)
        self.later(1000, 15_000, self.mend, pairs)

    def mend(self, pairs: list[tuple[int, int]]) -> None:
        if pairs in self.cuts:
            self.cuts.remove(pairs)
            self.world.change_cut(pairs, -1)

    def between(self, one: list[Node], other: list[Node]) -> list[tuple[int, int]]:
        return [pair for a in one for b in other for pair in ((a.index, b.index), (b.index, a.index))]

    def split(self) -> None:
        """Two halves of any shape."""
        one: list[Node] = []
        other: list[Node] = []
        for node in self.world.nodes:
            (one if self.random.random() < 0.5 else other).append(node)
        self.cut(self.between(one, other))

    def isolate(self) -> None:
        node = self.random.choice(self.world.nodes)
        self.cut(self.between([node], [other for other in self.world.nodes if other is not node]))

    def isolate_primary(self) -> None:
        """From the others, or from the Sentinels alone."""
        primary = self.random.choice(
            [s for s in self.world.servers if s.upstream is None] or self.world.servers
        )
        others = [other for other in self.world.nodes if other is not primary]
        if self.random.random() < 0.5:
            others = [*self.world.sentinels]
        self.cut(self.between([primary], others))

    def cut_one_way(self) -> None:
        """Some directions between some nodes: what is said arrives, what is answered does not."""
        chosen = self.random.randrange(1, 5)
        nodes = self.world.nodes
        pairs = []
        for _ in range(chosen):
            a, b = self.random.sample(nodes, 2)
            pairs.append((a.index, b.index))
        self.cut(pairs)

    def cut_sentinels_one_way(self) -> None:
        """As above, among Sentinels: requests for votes, or the votes, are lost."""
        pairs = [(a.index, b.index) for a in self.world.sentinels for b in self.world.sentinels if a is not b]
        self.cut(self.random.sample(pairs, self.random.randrange(1, len(pairs) // 2 + 1)))

    def split_sentinels(self) -> None:
        """Sentinels that see all servers and not each other."""
        shuffled = self.random.sample(self.world.sentinels, len(self.world.sentinels))
        at = self.random.randrange(1, len(shuffled))
        self.cut(self.between([*shuffled[:at]], [*shuffled[at:]]))

    def slow_network(self) -> None:
        self.world.delay_ms = self.random.choice((100, 400, 1200))
        self.later(2000, 10_000, self.hasten)

    def hasten(self) -> None:
        self.world.delay_ms = 5

    def reset_connections(self) -> None:
        for server in self.world.servers:
            for wire in list(server.wires):
                if self.random.random() < 0.5:
                    self.world.lose(wire)

    # -- the end ------------------------------------------------------------------------------------------

    def heal(self) -> None:
        """Everything works again."""
        self.healed = True
        for pairs in list(self.cuts):
            self.mend(pairs)
        self.hasten()
        for sentinel in self.world.sentinels:
            sentinel.disk_fails = False
            sentinel.crash_after_steps = 0
            sentinel.crashes_after_vote = False
        for node in self.world.nodes:
            self.resume(node)
            self.start(node)
