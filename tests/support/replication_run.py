"""One simulated run of replication: a few servers, a random load, and everything that can go wrong; and what must hold.

Owns the faults, the load and the rules. `replication_world.py` has the servers and the network.

The rules:
  place     at one offset of one history all servers hold the same
  prefix    what a server keeps of a history are the bytes that its primary told
  half      what is half loaded is never served; what cannot be loaded leaves nothing
  ack       nobody acknowledges what it has not run
  wait      where WAIT answers n, so many other servers have held what the client wrote
  refusal   a replica never answers its primary with an error, and no command meets a bug
  healing   when all faults are over, every server follows the one primary and holds what it holds
"""

from __future__ import annotations

from collections.abc import Callable

from gossamer.engine.gates import GATE_LOADING
from gossamer.replication.primary import ONLINE
from gossamer.replication.primary_link import CONNECTED, NO_PRIMARY
from support.replication_fingerprint import EMPTY
from support.replication_load import Player, Waits, scenes
from support.replication_world import Node, World, is_settled

Words = tuple[bytes | str | int, ...]
LOAD_MS = 12_000
HEALING_MS = 90_000
LOOKED_AT_ONE_IN = 3  # of the offsets: all servers are looked at there or none; who differs stays different


class Tape:
    """What was told in one history, from the offset where it began."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.data = bytearray()

    def end(self) -> int:
        return self.first + len(self.data) - 1


class Run:
    """Everything of one seed; `violations` is empty where all rules held."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.world = World(seed)
        self.violations: list[str] = []
        self.digests: dict[tuple[bytes, int], bytes] = {}
        self.tapes: dict[bytes, Tape] = {}
        self.taped: dict[int, tuple[bytes, int]] = {}
        self.writes = 0
        self.database = 0
        self.waits = Waits(self.world, self.violate)
        self.before()
        self.world.after_step = self.check
        self.world.run_until(LOAD_MS)
        self.heal()

    # -- the world ----------------------------------------------------------------------------------------

    def before(self) -> None:
        world = self.world
        rng = world.random
        size = rng.choice([600, 3000, 1 << 20])
        for number in range(rng.randint(2, 4)):
            node = Node(world, number, size)
            node.settings = {
                "repl-diskless-sync": rng.random() < 0.5,
                "repl-diskless-load": rng.choice([0, 2]),
                "repl-backlog-ttl": rng.choice([0, 3, 3600]),
            }
            world.nodes.append(node)
        self.primary = world.nodes[0]
        for node in world.nodes[1:]:
            node.configured = rng.choice(world.nodes[: node.number]) if rng.random() < 0.4 else self.primary
        for node in world.nodes:
            node.start()
        self.repeat(5, 60, self.write)
        self.repeat(300, 2500, self.fault)
        self.repeat(200, 800, self.scene)
        self.repeat(500, 3000, self.read)
        self.repeat(300, 1500, self.wait)

    def repeat(self, least: int, most: int, what: Callable[[], None]) -> None:
        def again() -> None:
            if self.world.now < LOAD_MS:
                what()
                self.world.later(self.world.random.randint(least, most), again)

        self.world.later(self.world.random.randint(0, most), again)

    # -- load ---------------------------------------------------------------------------------------------

    def write(self) -> None:
        """A command at whoever takes writes."""
        rng = self.world.random
        takers = [n for n in self.world.nodes if n.alive and not n.engine.is_replica]
        if not takers:
            return
        node = self.primary if self.primary in takers and rng.random() < 0.9 else rng.choice(takers)
        if node.engine.gate & GATE_LOADING:
            return
        self.writes += 1
        client_words = self.command()
        if rng.random() < 0.15:
            script = "redis.call('SELECT', ARGV[1]) return redis.call(unpack(ARGV, 2))"
            node.call("EVAL", script, 0, rng.randrange(3), *client_words)
        elif rng.random() < 0.1:
            self.session(node, [("MULTI",), client_words, self.command(), self.command(), ("EXEC",)])
        else:
            self.session(node, [client_words])

    def session(self, node: Node, commands: list[Words]) -> None:
        """A client that comes, says all this, and leaves; the database is mostly that of the one before."""
        rng = self.world.random
        if rng.random() < 0.1:
            self.database = rng.randrange(3)
        engine = node.engine
        engine.begin_iteration()
        client = engine.new_client()
        for words in [("SELECT", self.database), *commands]:
            engine.execute(client, [w if isinstance(w, bytes) else str(w).encode() for w in words])
        engine.free_client(client)

    def command(self) -> Words:
        rng = self.world.random
        n = rng.randrange(4)
        choices: list[Words] = [
            ("SET", f"s{n}", rng.randrange(1000)),
            ("SET", f"e{n}", rng.randrange(1000), "PX", rng.randint(1, 1500)),
            ("INCR", f"i{n}"),
            ("APPEND", f"a{n}", rng.randrange(100)),
            ("LPUSH", f"l{n}", rng.randrange(100), rng.randrange(100)),
            ("RPOP", f"l{n}"),
            ("SADD", f"t{n}", rng.randrange(50)),
            ("SPOP", f"t{n}"),
            ("HSET", f"h{n}", rng.randrange(8), rng.randrange(100)),
            ("HPEXPIRE", f"h{n}", rng.randint(1, 900), "FIELDS", 1, rng.randrange(8)),
            ("ZADD", f"z{n}", rng.randrange(100), rng.randrange(20)),
            ("ZPOPMIN", f"z{n}"),
            ("XADD", f"x{n}", "MAXLEN", "~", 20, "*", "f", rng.randrange(100)),
            ("PEXPIRE", f"i{n}", rng.randint(1, 1500)),
            ("GETEX", f"s{n}", "PX", rng.randint(1, 2000)),
            ("DEL", f"a{n}", f"l{n}"),
            ("PUBLISH", "channel", "message"),
            ("SWAPDB", 0, 1),
            ("GET", f"e{n}"),
        ]
        if rng.random() < 0.01:
            return ("FLUSHALL",)
        return rng.choice(choices)

    def read(self) -> None:
        """Somebody asks a replica, whatever its state: half of a data set must not show."""
        node = self.world.random.choice(self.world.nodes)
        if not node.alive:
            return
        reply = node.call("DBSIZE")
        if node.engine.gate & GATE_LOADING and not reply.startswith(b"-LOADING"):
            self.violate("half", f"node {node.number} answered {reply!r} while it loaded")

    def scene(self) -> None:
        """A sequence of any group of commands, by clients of its own."""
        rng = self.world.random
        takers = [n for n in self.world.nodes if n.alive and not n.engine.is_replica]
        if takers:
            Player(self.world, rng.choice(takers), rng.choice(scenes()), rng.randrange(3))

    def wait(self) -> None:
        node = self.primary
        if node.alive and not node.engine.is_replica and not node.engine.gate & GATE_LOADING:
            self.waits.begin(node)

    # -- faults -------------------------------------------------------------------------------------------

    def fault(self) -> None:
        rng = self.world.random
        nodes = self.world.nodes
        node = rng.choice(nodes)
        what = rng.randrange(9)
        if what <= 2:
            wires = [wire for each in nodes if each.alive for wire in each.wires]
            if wires:
                wire = rng.choice(wires)
                self.world.tell(f"the connection of node {wire.replica.number} is cut")
                self.world.count("cuts")
                wire.cut("cut")
        elif what == 3 and len(nodes) > 1:
            self.split_network()
        elif what == 4 and node.alive:
            if rng.random() < 0.5:
                node.save()
            node.crash()
            self.world.later(rng.randint(100, 4000), lambda: None if node.alive else node.start())
        elif what == 5 and node.alive:
            node.save()
        elif what == 6:
            self.promote(node)
        elif what == 7:
            self.attach(node, rng.choice(nodes))
        elif node.alive and not node.engine.is_replica:
            self.world.tell(f"node {node.number} is to hand its role over")
            node.call("FAILOVER", "TIMEOUT", rng.randint(500, 4000))

    def split_network(self) -> None:
        rng = self.world.random
        a, b = rng.sample(self.world.nodes, 2)
        pair = frozenset((a.number, b.number))
        self.world.tell(f"nodes {a.number} and {b.number} cannot reach each other")
        self.world.count("partitions")
        self.world.apart.add(pair)
        for node, other in ((a, b), (b, a)):
            for wire in list(node.wires):
                if wire.replica is other:
                    wire.cut("apart")
        self.world.later(rng.randint(200, 6000), lambda: self.world.apart.discard(pair))

    def promote(self, node: Node) -> None:
        """By hand: one becomes the primary, most of the others are told so."""
        if not node.alive or node.engine.gate & GATE_LOADING:
            return
        self.world.count("promotions")
        self.primary = node
        node.follow(None)
        for other in self.world.nodes:
            if other is not node and self.world.random.random() < 0.8:
                self.attach(other, node)

    def attach(self, node: Node, to: Node) -> None:
        """Never in a circle: that can be had, but holds no data set."""
        if node is to or not node.alive or node.engine.gate & GATE_LOADING or node is self.primary:
            return
        above: Node | None = to
        passed = {node}
        while above is not None:
            if above in passed:
                return
            passed.add(above)
            above = above.follows()
        node.follow(to)

    # -- rules --------------------------------------------------------------------------------------------

    def violate(self, rule: str, what: str) -> None:
        if len(self.violations) < 5:
            self.violations.append(f"{rule}: {what} (at {self.world.now / 1000:.3f} s)")
            self.world.tell(f"BROKEN {self.violations[-1]}")

    def check(self) -> None:
        for node in self.world.nodes:
            if node.alive:
                self.check_node(node)
        self.waits.check()

    def check_node(self, node: Node) -> None:
        if node.hooks.bugs:
            place, bug = node.hooks.bugs.pop()
            self.violate("refusal", f"node {node.number}, {place}: {bug!r}")
        if node.engine.statistics.unexpected_error_replies:
            node.engine.statistics.unexpected_error_replies = 0
            self.violate("refusal", f"node {node.number} refused what its primary said")
        mark = (
            node.lives,
            node.engine.state.dirty,
            node.place(),
            node.engine.gate & GATE_LOADING,
            node.knows(),
        )
        if node.checked == mark:
            return
        node.checked = mark
        self.check_place(node)
        self.check_prefix(node)
        self.check_acknowledgements(node)

    def check_place(self, node: Node) -> None:
        if not node.knows():
            self.check_unknown(node)
            return
        node.last_known = None
        self.waits.note(node)
        place = node.place()
        if place[1] % LOOKED_AT_ONE_IN:
            return
        digest = node.digest()
        known = self.digests.setdefault(place, digest)
        self.world.count("comparisons" if known is digest else "agreements")
        if known != digest:
            self.violate("place", f"node {node.number} differs at {place[0][:8].decode()}:{place[1]}")

    def check_unknown(self, node: Node) -> None:
        """What it has may be what it had when it last knew its history, or nothing."""
        if node.last_known is None:
            node.last_known = node.digest()
        elif node.engine.is_replica and not node.engine.gate & GATE_LOADING:
            if node.digest() not in (EMPTY, node.last_known):
                self.violate("half", f"node {node.number} serves what no history holds")

    def check_prefix(self, node: Node) -> None:
        """The end of what it keeps, against what was told first."""
        backlog = node.primary.stream.backlog
        if backlog is None or not node.knows():
            return
        name, offset = node.place()
        tape = self.tapes.get(name)
        if tape is None:
            tape = self.tapes[name] = Tape(int(backlog.first))
        start = max(int(backlog.first), self.looked_from(node, name))
        data = bytearray()
        at = start
        while at <= backlog.end:
            piece = backlog.read(at, 1 << 20)
            data += piece
            at += len(piece)
        self.taped[node.number] = (name, int(backlog.end) + 1)
        self.compare(node, name, tape, start, bytes(data))

    def looked_from(self, node: Node, name: bytes) -> int:
        before = self.taped.get(node.number)
        return before[1] if before is not None and before[0] == name else 0

    def compare(self, node: Node, name: bytes, tape: Tape, start: int, data: bytes) -> None:
        if start < tape.first:
            data = data[tape.first - start :]
            start = tape.first
        if start > tape.end() + 1:
            return  # there is a gap in what we have seen
        shared = min(len(data), tape.end() + 1 - start)
        if bytes(tape.data[start - tape.first : start - tape.first + shared]) != data[:shared]:
            self.violate(
                "prefix", f"node {node.number} keeps other bytes of {name[:8].decode()} from {start} on"
            )
        tape.data += data[shared:]

    def check_acknowledgements(self, node: Node) -> None:
        for wire in node.wires:
            replica = node.primary.replicas.get(wire.client.client_id)
            if (
                replica is None
                or replica.state != ONLINE
                or not wire.replica.alive
                or wire.life != wire.replica.lives
            ):
                continue
            said = int(replica.acknowledged)
            if wire.replica.link.state == CONNECTED and said > wire.replica.place()[1]:
                self.violate("ack", f"node {wire.replica.number} acknowledged {said}, and is not there")

    # -- the end ------------------------------------------------------------------------------------------

    def heal(self) -> None:
        world = self.world
        world.tell("all faults are over")
        world.apart.clear()
        for node in world.nodes:
            if not node.alive:
                node.start()
        for node in world.nodes:
            if node.primary.failover.state:
                node.call("FAILOVER", "ABORT")
        world.run_until(world.now + 6_000)
        if self.primary.engine.gate & GATE_LOADING:
            world.run_until(world.now + 6_000)
        self.primary.follow(None)
        for node in world.nodes:
            if node is not self.primary and (
                node.link.state == NO_PRIMARY or node.follows() is not self.primary
            ):
                if node.engine.gate & GATE_LOADING:
                    world.run_until(world.now + 3_000)
                node.follow(self.primary)
        self.primary.call("SET", "last", self.seed)
        until = world.now + HEALING_MS
        while world.now < until and not is_settled(world.nodes, self.primary):
            world.run_until(world.now + 500)
        if not is_settled(world.nodes, self.primary):
            places = [(n.number, n.place()[0][:8], n.place()[1], int(n.link.state)) for n in world.nodes]
            self.violate("healing", f"no agreement: {places}")
        for node in world.nodes:
            world.count("partial synchronisations", int(node.engine.statistics.sync_partial))
