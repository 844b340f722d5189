"""A world for Sentinels: virtual time, a network that can be cut, servers that replicate, disks that keep and fail.

Owns: nodes, connections, what a server answers, what survives a crash. The Sentinels in it are the real state machine,
their disks hold what the real sentinel.conf rows say. Must not know what ought to be true (sentinel_rules.py listens
through `Observer`), nor when anything goes wrong (sentinel_faults.py).

Invariants: one seed, one history, to the byte. A connection keeps its order. What is sent into a cut is lost, and the
connection with it: its ends learn of it when something is sent after the cut has healed, or by their own means.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from typing import Any, Final

from gossamer.base.quoting import split_arguments
from gossamer.resp.reply_reader import ErrorReply
from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel import commands, voting
from gossamer.sentinel.config import SentinelConfig
from gossamer.sentinel.doors import ScriptJob, SentinelDoor
from gossamer.sentinel.instances import (
    MESSAGES,
    Connection,
    Instance,
    Request,
    SentinelState,
    add_primary,
    add_replica,
    add_sentinel,
)
from gossamer.sentinel.machine import Sentinel

START_MS: Final = 1_700_000_000_000
SERVER_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
NAMES: Final = (b"main", b"second")
WRITES_PER_MS: Final = 1


class Crash(BaseException):
    """The process of a Sentinel ends here and now."""


class Observer:
    """Who looks on. `kind` and `text` are those of events; nothing here may change anything."""

    def on_event(self, node: SentinelNode, kind: bytes, text: bytes) -> None: ...

    def on_question(self, node: SentinelNode, epoch: int) -> None: ...

    def on_vote_told(self, node: SentinelNode, name: bytes, leader: bytes, epoch: int) -> None: ...

    def on_hello(self, node: SentinelNode, message: bytes) -> None: ...

    def on_order(self, node: SentinelNode, server: ServerNode, argv: list[bytes]) -> None: ...


class Node:
    """A process on a machine of its own."""

    def __init__(self, world: World, index: int, ip: bytes, port: int) -> None:
        self.world = world
        self.index = index
        self.ip = ip
        self.port = port
        self.alive = True
        self.paused = False
        self.life = 0
        self.inbox: list[tuple[Callable[..., None], tuple[Any, ...]]] = []  # what arrives while it is stopped

    def receive(self, function: Callable[..., None], *arguments: Any) -> None:
        if self.paused:
            self.inbox.append((function, arguments))
        else:
            function(*arguments)

    def resume(self) -> None:
        self.paused = False
        waiting, self.inbox = self.inbox, []
        for function, arguments in waiting:
            self.receive(function, *arguments)


class Wire:
    """A connection as both its ends and the network have it."""

    def __init__(self, connection: Connection, source: SentinelNode, target: Node) -> None:
        self.connection = connection
        self.source = source
        self.source_life = source.life
        self.target = target
        self.target_life = target.life
        self.closed = False  # by its source, or known to it as lost
        self.dead = False  # something was lost on it
        self.there_ms = 0
        self.back_ms = 0
        self.queued: list[list[bytes]] | None = None  # behind MULTI


class ServerNode(Node):
    """A redis-server, as far as a Sentinel can tell."""

    def __init__(self, world: World, index: int, ip: bytes, name: bytes) -> None:
        super().__init__(world, index, ip, SERVER_PORT)
        self.name = name  # of the group that it belongs to
        self.run_id = b"%040x" % (index + 1)
        self.upstream: ServerNode | None = None  # what REPLICAOF says
        self.priority = 100
        self.offset = 1
        self.counted_ms = world.now
        self.link_up = False
        self.link_down_since = world.now
        self.wires: list[Wire] = []
        self.subscribers: list[Wire] = []
        self.loading_until = 0
        self.was_promoted = False  # once at least

    # -- replication --------------------------------------------------------------------------------------

    def settle(self, depth: int = 0) -> None:
        """Bring the offset and the link up to now, as nothing that matters for them changed since the last time."""
        world = self.world
        now = world.now
        upstream = self.upstream
        if not self.alive:
            self.counted_ms = now
            return
        if upstream is None:
            if not self.paused:
                self.offset += (now - self.counted_ms) * WRITES_PER_MS
            self.counted_ms = now
            return
        self.counted_ms = now
        reachable = (
            upstream.alive
            and not upstream.paused
            and not self.paused
            and world.is_open(self, upstream)
            and world.is_open(upstream, self)
            and depth < 8
        )
        if reachable:
            upstream.settle(depth + 1)
            reachable = upstream.upstream is None or upstream.link_up
        if reachable:
            self.offset = upstream.offset
        elif self.link_up:
            self.link_down_since = now
        self.link_up = reachable

    def follow(self, upstream: ServerNode | None) -> None:
        self.settle()
        if upstream is not self.upstream:
            self.link_up = False
            self.link_down_since = self.world.now
        self.upstream = upstream if upstream is not self else None

    def info(self) -> bytes:
        self.settle()
        lines = [b"# Server", b"run_id:" + self.run_id, b"", b"# Replication"]
        upstream = self.upstream
        if upstream is None:
            lines.append(b"role:master")
            replicas = [s for s in self.world.servers if s.upstream is self and s.alive]
            for replica in replicas:
                replica.settle()
            replicas = [s for s in replicas if s.link_up]
            lines.append(b"connected_slaves:%d" % len(replicas))
            for number, replica in enumerate(replicas):
                lines.append(
                    b"slave%d:ip=%s,port=%d,state=online,offset=%d,lag=0"
                    % (number, replica.ip, replica.port, replica.offset)
                )
        else:
            lines += [b"role:slave", b"master_host:" + upstream.ip, b"master_port:%d" % upstream.port]
            lines.append(b"master_link_status:" + (b"up" if self.link_up else b"down"))
            if not self.link_up:
                down_s = (self.world.now - self.link_down_since) // 1000
                lines.append(b"master_link_down_since_seconds:%d" % down_s)
            lines += [b"slave_repl_offset:%d" % self.offset, b"slave_priority:%d" % self.priority]
            lines += [b"replica_announced:1", b"connected_slaves:0"]
        return b"\r\n".join(lines) + b"\r\n"

    # -- commands -----------------------------------------------------------------------------------------

    def handle(self, wire: Wire, argv: list[bytes], request: Request) -> None:
        if not self.alive or wire.target_life != self.life or wire.dead:
            self.world.lose(wire)
            return
        self.world.respond(wire, request, self.answer(wire, argv))

    def answer(self, wire: Wire, argv: list[bytes]) -> object:
        command = argv[0]
        if command == b"PING":
            return ErrorReply(b"LOADING loading") if self.world.now < self.loading_until else b"PONG"
        if command == b"INFO":
            return self.info()
        if command == b"PUBLISH":
            for subscriber in self.subscribers:
                self.world.push(subscriber, [b"message", argv[1], argv[2]])
            return len(self.subscribers)
        if command == b"SUBSCRIBE":
            self.subscribers.append(wire)
            return [b"subscribe", argv[1], 1]
        if command == b"MULTI":
            wire.queued = []
        elif command == b"EXEC":
            queued, wire.queued = wire.queued or [], None
            for each in queued:
                self.execute(wire, each)
        elif wire.queued is not None:
            wire.queued.append(argv)
        elif command not in (b"CLIENT", b"AUTH"):
            return ErrorReply(b"ERR unknown command")
        return b"OK"

    def execute(self, wire: Wire, argv: list[bytes]) -> None:
        """A command of a transaction."""
        world = self.world
        if argv[0] == b"SLAVEOF":
            world.settle_all()
            self.follow(None if argv[1] == b"NO" else world.server_at[argv[1]])
            self.was_promoted = self.was_promoted or self.upstream is None
            world.settle_all()
        elif argv[0] == b"CLIENT":
            kind = MESSAGES if argv[3] == b"pubsub" else 0
            for other in list(self.wires):
                if other is not wire and other.connection.purpose == kind:
                    world.lose(other)

    # -- faults -------------------------------------------------------------------------------------------

    def crash(self) -> None:
        self.world.settle_all()
        self.alive = False
        self.paused = False
        self.inbox = []
        self.life += 1
        self.link_up = False
        self.link_down_since = self.world.now
        self.subscribers = []
        wires, self.wires = self.wires, []
        for wire in wires:
            self.world.lose(wire)
        self.world.settle_all()

    def start(self) -> None:
        self.alive = True
        self.run_id = b"%040x" % (self.index + 1 + 1000 * self.life)
        self.counted_ms = self.world.now
        self.loading_until = self.world.now + self.world.random.choice((0, 0, 300, 1500))
        self.world.settle_all()


class WorldDoor(SentinelDoor):
    """One life of one Sentinel: what it does after its end is nothing."""

    def __init__(self, node: SentinelNode) -> None:
        self.node = node
        self.life = node.life

    def step(self) -> None:
        """Something that can be seen from outside is about to be done: a crash may come just before it."""
        node = self.node
        if node.crash_after_steps:
            node.crash_after_steps -= 1
            if node.crash_after_steps == 0:
                raise Crash

    def open(self, connection: Connection) -> None:
        world, node = self.node.world, self.node
        target = world.node_at.get((connection.instance.address.ip, connection.instance.address.port))
        if target is None:
            raise OSError(113, "No route to host")
        wire = Wire(connection, node, target)
        connection.handle = wire
        if isinstance(target, ServerNode):
            target.wires.append(wire)
        if not world.is_open(node, target) or not world.is_open(target, node):
            wire.dead = True
        elif not target.alive:
            world.lose(wire)

    def close(self, connection: Connection) -> None:
        wire = connection.handle
        assert isinstance(wire, Wire)
        wire.closed = True
        forget(wire)

    def send(self, connection: Connection, argv: list[bytes], request: Request) -> bool:
        self.step()
        wire = connection.handle
        assert isinstance(wire, Wire)
        node = self.node
        if argv[0] == b"SENTINEL" and argv[5] != voting.NOBODY:
            node.world.observer.on_question(node, int(argv[4]))
        elif argv[0] == b"PUBLISH":
            node.world.observer.on_hello(node, argv[2])
        elif argv[0] == b"SLAVEOF" and isinstance(wire.target, ServerNode):
            node.world.observer.on_order(node, wire.target, argv)
        node.world.transmit(wire, argv, request)
        return True

    def local_host(self, connection: Connection) -> bytes:
        return self.node.ip

    def publish(self, channel: bytes, message: bytes) -> None:
        self.node.world.record(self.node, channel, message)

    def save(self) -> None:
        self.step()
        node = self.node
        if node.disk_fails:
            raise OSError(28, "No space left on device")
        node.keep()
        self.step()

    def run_script(self, argv: list[bytes]) -> None:
        return

    def pending_scripts(self) -> list[ScriptJob]:
        return []

    def is_executable(self, path: bytes) -> bool:
        return False

    def random_below(self, limit: int) -> int:
        return int(self.node.chance.random() * limit)

    def log(self, level: int, text: bytes) -> None:
        return

    def time_text(self, at_ms: int) -> bytes:
        return b"then"

    def resolve(self, host: bytes, names: bool) -> bytes | None:
        return host

    def exit(self, text: bytes) -> None:
        raise Crash


class SentinelNode(Node):
    """A Sentinel: the machine of its present life, and the disk that outlives it."""

    def __init__(self, world: World, index: int, ip: bytes) -> None:
        super().__init__(world, index, ip, SENTINEL_PORT)
        self.chance = random.Random(f"{world.seed} sentinel {index}")
        self.id = bytes(self.chance.choice(b"0123456789abcdef") for _ in range(40))
        self.skew_ms = 0
        self.disk: list[bytes] = []
        self.durable: dict[bytes, tuple[int, int]] = {}  # of each primary, config epoch and leader epoch
        self.durable_epoch = 0
        self.disk_fails = False
        self.crash_after_steps = 0
        self.crashes_after_vote = False
        self.saves = 0
        self.machine: Sentinel

    @property
    def now(self) -> int:
        return self.world.now + self.skew_ms

    @property
    def primaries(self) -> dict[bytes, Instance]:
        return self.machine.state.primaries

    def first_state(self) -> SentinelState:
        """As an operator configures it; some Sentinels know the others and the replicas from before."""
        world = self.world
        state = SentinelState()
        state.my_id = self.id
        door = WorldDoor(self)
        for name, servers in world.groups.items():
            primary = add_primary(state, door, name, servers[0].ip, SERVER_PORT, world.quorum, world.now)
            primary.down_after_ms = world.down_after_ms
            primary.failover_timeout_ms = world.failover_timeout_ms
            primary.parallel_syncs = world.parallel_syncs
            if world.knows_all:
                for server in servers[1:]:
                    add_replica(state, door, primary, server.ip, SERVER_PORT, world.now)
                for other in world.sentinels:
                    if other is not self:
                        add_sentinel(state, door, primary, other.ip, SENTINEL_PORT, other.id, world.now)
        return state

    def keep(self) -> None:
        """The file is replaced, durably."""
        state = self.machine.state
        self.saves += 1
        self.disk = [line for _, line in SentinelConfig(state).rows()]
        self.durable = {p.name: (p.config_epoch, p.leader_epoch) for p in state.primaries.values()}
        self.durable_epoch = state.current_epoch

    def run(self, state: SentinelState) -> None:
        """Begin a life."""
        world = self.world
        state.port = SENTINEL_PORT
        timings = state.timings
        timings.info_period = world.info_period_ms
        timings.tilt_period = world.tilt_period_ms
        timings.election_timeout = world.election_timeout_ms
        timings.min_link_reconnect_period = 5000
        self.machine = Sentinel(state, WorldDoor(self))
        self.guard(self.machine.start, self.now)
        if not self.disk:
            self.keep()
        world.after(self.chance.randrange(1, 200), self.tick, self.life)

    def tick(self, life: int) -> None:
        if life != self.life or not self.alive:
            return
        if self.paused:
            self.inbox.append((self.tick, (life,)))
            return
        pause_ms = self.guard(self.machine.tick, self.now)
        if pause_ms:
            self.world.after(pause_ms * self.world.tick_factor, self.tick, life)

    def guard(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a piece of the machine; a crash in it ends this life."""
        try:
            return function(*arguments)
        except Crash:
            self.crash()
            return None

    def handle(self, wire: Wire, argv: list[bytes], request: Request) -> None:
        """A command of another Sentinel."""
        if not self.alive or wire.target_life != self.life or wire.dead:
            self.world.lose(wire)
            return
        reply = self.guard(self.answer, argv)
        if self.alive:
            self.world.respond(wire, request, reply)

    def answer(self, argv: list[bytes]) -> object:
        machine = self.machine
        if argv[0] == b"PING":
            return b"PONG"
        machine.now_ms = self.now
        if argv[0] == b"PUBLISH":
            commands.publish(machine, argv, ReplyWriter())
            return 1
        if argv[0] == b"SENTINEL":
            down, leader, epoch = voting.answer(machine, argv[2], int(argv[3]), int(argv[4]), argv[5])
            if leader:
                asked = machine.primary_at(argv[2], int(argv[3]))
                assert asked is not None
                self.world.observer.on_vote_told(self, asked.name, leader, epoch)
            return [int(down), leader or voting.NOBODY, epoch]
        return b"OK"

    def on_reply(self, wire: Wire, request: Request, reply: object) -> None:
        if self.is_listening(wire):
            if wire.connection.purpose == MESSAGES:
                self.guard(self.machine.on_message, wire.connection, reply, self.now)
            else:
                self.guard(self.machine.on_reply, wire.connection, request, reply, self.now)

    def on_push(self, wire: Wire, value: object) -> None:
        if self.is_listening(wire):
            self.guard(self.machine.on_message, wire.connection, value, self.now)

    def on_lost(self, wire: Wire) -> None:
        if self.is_listening(wire):
            wire.closed = True
            self.guard(self.machine.on_lost, wire.connection, "lost", self.now)

    def is_listening(self, wire: Wire) -> bool:
        return self.alive and wire.source_life == self.life and not wire.closed

    def crash(self) -> None:
        self.alive = False
        self.paused = False
        self.inbox = []
        self.life += 1
        self.crash_after_steps = 0
        world = self.world
        for server in world.servers:
            server.wires = [wire for wire in server.wires if wire.source is not self]
            server.subscribers = [wire for wire in server.subscribers if wire.source is not self]
        world.record(self, b"crash", b"")

    def start(self) -> None:
        """Come back with what the disk holds."""
        self.alive = True
        state = SentinelState()
        config = SentinelConfig(state)
        for number, line in enumerate(self.disk):
            config.take(number, line, split_arguments(line) or [])
        config.load(WorldDoor(self), lambda path: True, self.now)
        self.world.record(self, b"start", b"")
        self.run(state)


class World:
    """Time, the network, and everybody in it."""

    def __init__(self, seed: int, observer: Observer) -> None:
        self.seed = seed
        self.random = random.Random(f"{seed} world")
        self.observer = observer
        self.now = START_MS
        self.queue: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self.sequence = 0
        self.cut: dict[tuple[int, int], int] = {}  # direction -> how many faults cut it
        self.delay_ms = 5
        self.history: list[tuple[int, SentinelNode | None, bytes, bytes]] = []
        choose = self.random.choice
        sentinels = choose((3, 3, 3, 5, 5, 4))
        sizes = [choose((2, 3, 3, 3, 4))]
        if self.random.random() < 0.15:
            sizes.append(choose((2, 3)))
        self.quorum = choose((2, sentinels // 2 + 1, sentinels // 2 + 1, 1, sentinels))
        self.down_after_ms = choose((1000, 2000, 3000))
        self.failover_timeout_ms = choose((4000, 6000, 10_000))
        self.election_timeout_ms = choose((3000, 10_000))
        self.parallel_syncs = choose((1, 1, 2))
        self.info_period_ms = choose((3000, 5000, 10_000))
        self.tilt_period_ms = choose((4000, 8000))
        self.tick_factor = choose((3, 4))
        self.knows_all = choose((True, True, True, False))
        self.groups: dict[bytes, list[ServerNode]] = {}
        self.servers: list[ServerNode] = []
        for name, size in zip(NAMES, sizes, strict=False):
            servers = []
            for _ in range(size):
                index = len(self.servers)
                servers.append(ServerNode(self, index, b"10.0.0.%d" % (index + 1), name))
                self.servers.append(servers[-1])
            servers[0].was_promoted = True
            for server in servers[1:]:
                server.upstream = servers[0]
                server.priority = choose((100, 100, 100, 50))
            self.groups[name] = servers
        self.sentinels = [SentinelNode(self, 100 + i, b"10.0.1.%d" % (i + 1)) for i in range(sentinels)]
        self.nodes: list[Node] = [*self.servers, *self.sentinels]
        self.node_at = {(node.ip, node.port): node for node in self.nodes}
        self.server_at = {server.ip: server for server in self.servers}
        for server in self.servers:
            server.settle()
        for sentinel in self.sentinels:
            sentinel.run(sentinel.first_state())

    # -- time ---------------------------------------------------------------------------------------------

    def after(self, delay_ms: int, function: Callable[..., None], *arguments: Any) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (self.now + delay_ms, self.sequence, function, arguments))

    def at(self, when_ms: int, function: Callable[..., None], *arguments: Any) -> None:
        self.sequence += 1
        heapq.heappush(self.queue, (when_ms, self.sequence, function, arguments))

    def run_until(self, when_ms: int) -> None:
        queue = self.queue
        pop = heapq.heappop
        while queue and queue[0][0] <= when_ms:
            when, _, function, arguments = pop(queue)
            self.now = when
            function(*arguments)
        self.now = when_ms

    def record(self, node: SentinelNode | None, kind: bytes, text: bytes) -> None:
        self.history.append((self.now, node, kind, text))
        if node is not None:
            self.observer.on_event(node, kind, text)
            if kind == b"+vote-for-leader" and node.crashes_after_vote and not text.startswith(node.id):
                node.crashes_after_vote = False
                self.after(self.random.randrange(5, 60), self.restart, node, node.life)

    def restart(self, node: SentinelNode, life: int) -> None:
        """A crash, and at once a new start from the disk."""
        if node.alive and node.life == life:
            node.crash()
            node.start()

    # -- the network --------------------------------------------------------------------------------------

    def is_open(self, source: Node, target: Node) -> bool:
        return not self.cut or (source.index, target.index) not in self.cut

    def change_cut(self, pairs: list[tuple[int, int]], by: int) -> None:
        self.settle_all()
        for pair in pairs:
            count = self.cut.get(pair, 0) + by
            if count > 0:
                self.cut[pair] = count
            else:
                self.cut.pop(pair, None)
        self.settle_all()

    def settle_all(self) -> None:
        for server in self.servers:
            server.settle()

    def latency(self) -> int:
        return 1 + int(self.random.random() * self.delay_ms)

    def transmit(self, wire: Wire, argv: list[bytes], request: Request) -> None:
        """From a Sentinel to whom it watches."""
        if not self.is_open(wire.source, wire.target):
            wire.dead = True
        elif wire.dead:
            self.lose(wire)
        else:
            wire.there_ms = max(self.now + self.latency(), wire.there_ms)
            self.at(wire.there_ms, wire.target.receive, wire.target.handle, wire, argv, request)  # type: ignore[attr-defined]

    def respond(self, wire: Wire, request: Request, reply: object) -> None:
        self.back(wire, wire.source.on_reply, request, reply)

    def push(self, wire: Wire, value: object) -> None:
        self.back(wire, wire.source.on_push, value)

    def back(self, wire: Wire, function: Callable[..., None], *arguments: Any) -> None:
        if wire.closed or wire.dead:
            return
        if not self.is_open(wire.target, wire.source):
            wire.dead = True
            return
        wire.back_ms = max(self.now + self.latency(), wire.back_ms)
        self.at(wire.back_ms, wire.source.receive, function, wire, *arguments)

    def lose(self, wire: Wire) -> None:
        """The other end is gone; the Sentinel hears of it unless the way back is cut."""
        wire.dead = True
        forget(wire)
        if not wire.closed and self.is_open(wire.target, wire.source):
            self.after(self.latency(), wire.source.receive, wire.source.on_lost, wire)


def forget(wire: Wire) -> None:
    """The server's side of it ends."""
    target = wire.target
    if isinstance(target, ServerNode):
        if wire in target.wires:
            target.wires.remove(wire)
        if wire in target.subscribers:
            target.subscribers.remove(wire)
