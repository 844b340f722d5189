"""Servers that replicate in a world of its own time: real engines and both real sides of replication, no socket.

Owns the clock, the network between the servers (bytes delayed, split anywhere, cut, kept apart), what a server keeps on
its disk, and the part of a server that moves bytes and snapshots. What goes wrong and when is `replication_run.py`'s.

Invariants: everything that happens follows from the seed; bytes of one direction of a connection arrive in order and
only while it lives; a crash leaves of a server what it has on its disk and nothing else.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable

from mypy_extensions import i64

from gossamer.base.clock import ManualClock
from gossamer.base.errors import CommandError, CorruptError
from gossamer.engine.client import Client, ClientDoor
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_LOADING
from gossamer.keyspace.expiry import ExpireCycle
from gossamer.keyspace.keyspace import Keyspace
from gossamer.persistence.doors import InputFile
from gossamer.persistence.loading import SnapshotLoading
from gossamer.persistence.snapshot import SnapshotContent
from gossamer.replication.primary import BULK, ONLINE, WAIT_END, Primary, Replica, TransferDoor
from gossamer.replication.primary_link import CONNECTED, LinkDoor, PrimaryLink
from gossamer.resp.parser import RequestParser
from support.engines import StrictHooks, new_engine
from support.replication_fingerprint import fingerprint

LATENCY_MS = (1, 30)
DIED = "the other side died"


class World:
    """Time, chance, and who can reach whom."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.clock = ManualClock()
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.number = 0
        self.now = 0
        self.nodes: list[Node] = []
        self.apart: set[frozenset[int]] = set()
        self.story: list[str] = []
        self.counts: dict[str, int] = {}
        self.before_step: Callable[[], None] = lambda: None
        self.after_step: Callable[[], None] = lambda: None

    def later(self, delay_ms: int, what: Callable[[], None]) -> None:
        self.number += 1
        heapq.heappush(self.events, (self.now + delay_ms, self.number, what))

    def step(self) -> bool:
        """The next event; False where there is none."""
        if not self.events:
            return False
        when, _, what = heapq.heappop(self.events)
        self.advance(when)
        what()
        for node in self.nodes:
            node.pump()
        self.after_step()
        return True

    def run_until(self, when: int) -> None:
        while self.events and self.events[0][0] <= when:
            self.step()
        self.advance(when)

    def advance(self, when: int) -> None:
        if when > self.now:
            self.clock.advance_ms(when - self.now)
            self.now = when

    def tell(self, text: str) -> None:
        self.story.append(f"{self.now / 1000:9.3f}  {text}")

    def count(self, what: str, by: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + by

    def latency(self) -> int:
        return self.random.randint(*LATENCY_MS)

    def reachable(self, a: int, b: int) -> bool:
        return frozenset((a, b)) not in self.apart


class Pipe:
    """One direction of a connection: pieces arrive in order, cut anywhere."""

    def __init__(self, world: World, wire: Wire, deliver: Callable[[bytes], None]) -> None:
        self.world = world
        self.wire = wire
        self.deliver = deliver
        self.free_at = 0

    def put(self, data: bytes) -> None:
        rng = self.world.random
        while data:
            size = len(data) if rng.random() < 0.5 else rng.randint(1, len(data))
            piece, data = data[:size], data[size:]
            arrival = max(self.world.now + self.world.latency(), self.free_at)
            self.free_at = arrival
            self.world.later(arrival - self.world.now, lambda piece=piece: self.arrive(piece))  # type: ignore[misc]

    def arrive(self, piece: bytes) -> None:
        if self.wire.alive:
            self.world.count("bytes", len(piece))
            self.deliver(piece)


class Wire(ClientDoor):
    """A connection of a replica to its primary; the primary's engine knows it as the door of a client."""

    def __init__(self, world: World, replica: Node, primary: Node) -> None:
        self.world = world
        self.replica = replica
        self.primary = primary
        self.alive = True
        self.listening = True  # the replica wants to hear of its end
        self.life = replica.lives
        self.client: Client = primary.engine.new_client()
        self.client.address = b"node%d:1" % replica.number
        self.client.door = self
        self.parser = RequestParser(primary.engine.limits)
        self.to_primary = Pipe(world, self, self.request)
        self.to_replica = Pipe(world, self, replica.receive)
        primary.wires.append(self)

    def request(self, data: bytes) -> None:
        """Bytes arrive at the primary."""
        engine = self.primary.engine
        engine.begin_iteration()
        self.parser.feed(data)
        while self.alive:
            argv = self.parser.next()
            if argv is None:
                return
            engine.execute(self.client, argv)

    def flush(self) -> None:
        out = self.client.reply.out
        if len(out) and self.alive:
            self.to_replica.put(out.getvalue())
            out.truncate(0)
        if self.client.close_after_reply:
            self.cut("closed by the primary")

    def close(self) -> None:
        self.cut("closed by the primary")

    def unsent_bytes(self) -> i64:
        return 0

    def cut(self, why: str) -> None:
        """It ends, for both sides; what was on the way is lost."""
        if not self.alive:
            return
        self.alive = False
        if self in self.primary.wires:
            self.primary.wires.remove(self)
        if self.primary.alive:
            self.primary.engine.free_client(self.client)
        replica = self.replica
        if replica.wire is self:
            replica.wire = None
        self.world.later(self.world.latency(), lambda: replica.hear_of_loss(self, why))


class Received(InputFile):
    """A snapshot that was received."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def size_bytes(self) -> i64:
        return len(self.data)

    def read(self, size: int) -> bytes:
        piece = self.data[self.position : self.position + size]
        self.position += len(piece)
        return piece

    def close(self) -> None:
        self.data = b""


class Hooks(StrictHooks):
    """An engine's, with chance from the seed."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def random_bytes(self, count: int) -> bytes:
        return self.world.random.randbytes(count)


class Node(LinkDoor):
    """One server: what survives a crash is `disk`."""

    def __init__(self, world: World, number: int, backlog_bytes: int) -> None:
        self.world = world
        self.number = number
        self.backlog_bytes = backlog_bytes
        self.settings: dict[str, object] = {}
        self.disk: bytes | None = None
        self.alive = False
        self.lives = 0
        self.attempt: Callable[[], None] | None = None
        self.wires: list[Wire] = []  # of its replicas
        self.wire: Wire | None = None  # to its primary
        self.configured: Node | None = None  # replicaof in its file
        self.engine: Engine
        self.primary: Primary
        self.link: PrimaryLink
        self.transfers: Transfers
        self.hooks: Hooks
        self.checked: object = None  # what was looked at last
        self.last_known: bytes | None = None  # the digest when it last knew its history
        self.reset_snapshot()

    def reset_snapshot(self) -> None:
        self.coming: bytearray | None = None
        self.loading: SnapshotLoading | None = None
        self.beside: Keyspace | None = None
        self.replaced = False
        self.life_of_load = 0

    # -- life ---------------------------------------------------------------------------------------------

    def start(self) -> None:
        """From its disk, as a replica where it was configured to be one."""
        world = self.world
        self.lives += 1
        self.hooks = Hooks(world)
        self.engine = new_engine(world.clock, hooks=self.hooks)
        config = self.engine.config
        config.put("repl-backlog-size", self.backlog_bytes)
        config.put("repl-ping-replica-period", 2)
        config.put("repl-timeout", 5)
        config.put("repl-diskless-sync-delay", 0)
        for name, value in self.settings.items():
            config.put(name, value)
        self.transfers = Transfers(self)
        self.primary = Primary(self.engine, self.transfers, self.hooks.random_bytes(20).hex().encode())
        self.engine.replication = self.primary
        self.link = PrimaryLink(self.engine, self.primary, self)
        self.primary.link = self.link
        self.reset_snapshot()
        self.wires = []
        self.alive = True
        config.put("port", self.number)
        self.engine.begin_iteration()
        self.load_disk()
        life = self.lives
        world.later(world.random.randint(1, 999), lambda: self.cron(life))
        self.last_known = self.digest()

    def load_disk(self) -> None:
        aux: dict[bytes, bytes] = {}
        if self.disk is not None:
            loading = SnapshotLoading(
                Received(self.disk), self.engine.keyspace, self.configured is None, True
            )
            while not loading.step():
                pass
            self.engine.functions.load_all(loading.target.functions)
            aux = loading.report().aux
        replication_id = aux.get(b"repl-id", b"")
        offset = int(aux.get(b"repl-offset", b"0"))
        if self.configured is not None:
            database = int(aux.get(b"repl-stream-db", b"0"))
            self.link.remember(b"node", self.configured.number, replication_id, offset, database)
        elif replication_id:
            self.primary.go_on_from(replication_id, offset)

    def crash(self) -> None:
        self.world.tell(f"node {self.number} crashes")
        self.world.count("crashes")
        self.alive = False
        for wire in [*self.wires, *([self.wire] if self.wire else [])]:
            wire.cut(DIED)
        self.wire = None

    def save(self) -> None:
        if self.engine.gate & GATE_LOADING or not self.alive:
            return
        self.disk = self.snapshot(self.history_aux())

    def snapshot(self, aux: list[tuple[bytes, bytes]]) -> bytes:
        content = SnapshotContent(self.engine.keyspace, self.engine.config)
        content.functions = self.engine.functions.codes
        content.replication_aux = aux
        pieces: list[bytes] = []
        content.write(pieces.append, self.world.now // 1000, False)
        return b"".join(pieces)

    def history_aux(self) -> list[tuple[bytes, bytes]]:
        stream = self.primary.stream
        if stream.backlog is None or (self.engine.is_replica and not self.link.knows_history):
            return []
        database = self.link.selected() if self.engine.is_replica else max(stream.database, 0)
        return [
            (b"repl-stream-db", b"%d" % database),
            (b"repl-id", stream.replication_id),
            (b"repl-offset", b"%d" % stream.offset()),
        ]

    def cron(self, life: int) -> None:
        if life != self.lives or not self.alive:
            return
        self.engine.begin_iteration()
        self.engine.time_out_blocked()
        if self.engine.state.expires_now:
            ExpireCycle(self.engine.keyspace, self.world.clock).slow()
        self.primary.failover.advance()
        self.primary.each_second()
        self.link.each_second()
        self.world.later(1000, lambda: self.cron(life))

    # -- what it holds ------------------------------------------------------------------------------------

    def digest(self) -> bytes:
        """Of everything, due keys too."""
        state = self.engine.state
        before = (state.expires_now, state.hides_expired)
        state.expires_now = state.hides_expired = False
        try:
            return fingerprint(self.engine.keyspace, self.engine.functions.codes)
        finally:
            state.expires_now, state.hides_expired = before

    def knows(self) -> bool:
        """Whether its data set is that of a history at an offset."""
        if not self.alive or self.engine.gate & GATE_LOADING:
            return False
        if self.engine.is_replica:
            return self.link.knows_history
        return self.primary.stream.backlog is not None

    def place(self) -> tuple[bytes, int]:
        return self.primary.stream.replication_id, int(self.primary.stream.offset())

    def call(self, *words: bytes | str | int) -> bytes:
        """A command of a client that leaves again; the reply as it was sent, nothing where it has to wait."""
        client = self.engine.new_client()
        self.engine.begin_iteration()
        self.engine.execute(client, [w if isinstance(w, bytes) else str(w).encode() for w in words])
        reply = bytes(client.reply.out.getvalue())
        self.engine.free_client(client)
        return reply

    def follows(self) -> Node | None:
        """Whom it follows now, or will when it is started."""
        if not self.alive:
            return self.configured
        return self.world.nodes[int(self.link.port)] if self.engine.is_replica else None

    def follow(self, other: Node | None) -> None:
        self.configured = other
        words = ("NO", "ONE") if other is None else ("node", str(other.number))
        self.call("REPLICAOF", *words)

    # -- bytes to replicas --------------------------------------------------------------------------------

    def pump(self) -> None:
        """The end of a loop iteration."""
        if not self.alive:
            return
        primary = self.primary
        stream = primary.stream
        if primary.acknowledgement_wanted:
            primary.acknowledgement_wanted = False
            stream.feed_acknowledgement_request()
        stream.seal()
        for replica in list(primary.replicas.values()):
            if replica.state == ONLINE and not replica.awaits_acknowledgement:
                self.send_stream(replica)
        if stream.backlog is not None:
            stream.backlog.trim(primary.needed())
        for client in self.engine.pending:
            client.pending = False
        self.engine.pending = []
        for wire in list(self.wires):
            wire.flush()

    def send_stream(self, replica: Replica) -> None:
        backlog = self.primary.stream.backlog
        while backlog is not None and replica.position <= backlog.end:
            data = backlog.read(replica.position, 1 << 20)
            replica.client.reply.raw(data)
            replica.position += len(data)

    # -- the link's door ----------------------------------------------------------------------------------

    def connect(self, host: bytes, port: i64) -> None:
        other = self.world.nodes[int(port)]
        life = self.lives
        link = self.link

        def outcome() -> None:
            if life != self.lives or not self.alive or self.link is not link or self.wire is not None:
                return
            self.engine.begin_iteration()
            if not other.alive or not self.world.reachable(self.number, other.number):
                link.lost("unreachable")
                return
            self.wire = Wire(self.world, self, other)
            link.connected()

        self.attempt = outcome
        self.world.later(self.world.latency(), lambda: outcome() if self.attempt is outcome else None)

    def receive(self, data: bytes) -> None:
        if self.alive:
            self.engine.begin_iteration()
            self.link.receive(data)

    def hear_of_loss(self, wire: Wire, why: str) -> None:
        if wire.listening and self.alive and wire.life == self.lives:
            wire.listening = False
            self.engine.begin_iteration()
            self.link.lost(why)

    def send(self, data: bytes) -> None:
        """To the primary."""
        if self.wire is not None:
            self.wire.to_primary.put(data)

    def disconnect(self) -> None:
        wire = self.wire
        self.wire = None
        self.attempt = None
        if wire is not None:
            wire.listening = False
            wire.cut("closed by the replica")

    def begin_snapshot(self, size: i64) -> None:
        self.coming = bytearray()

    def take_snapshot(self, data: bytes) -> None:
        if self.coming is not None:
            self.coming += data

    def complete_snapshot(self) -> None:
        assert self.coming is not None
        data = bytes(self.coming)
        self.coming = None
        engine = self.engine
        keyspace = engine.keyspace
        if engine.config.choice("repl-diskless-load") == b"swapdb":
            self.beside = keyspace = Keyspace(engine.state, len(keyspace.databases))
            engine.set_gate(GATE_LOADING, True)
        else:
            self.disk = data
            self.replace()
        self.loading = SnapshotLoading(Received(data), keyspace, False, True)
        life = self.life_of_load = self.life_of_load + 1
        self.world.count("full synchronisations")
        self.world.later(self.world.random.randint(1, 400), lambda: self.load_some(life))

    def replace(self) -> None:
        self.link.drop_history()
        self.engine.set_gate(GATE_LOADING, True)
        self.replaced = True
        self.empty()

    def empty(self) -> None:
        for database in self.engine.keyspace.databases:
            database.clear()
        self.engine.functions.clear()

    def load_some(self, life: int) -> None:
        loading = self.loading
        if loading is None or life != self.life_of_load or not self.alive:
            return
        self.engine.begin_iteration()
        try:
            if not loading.step(200):
                self.world.later(self.world.random.randint(1, 200), lambda: self.load_some(life))
                return
            if self.beside is not None:
                self.link.drop_history()
                self.empty()
                self.engine.keyspace.exchange(self.beside)
                self.beside = None
            self.engine.functions.load_all(loading.target.functions)
        except (CorruptError, CommandError) as error:
            self.world.tell(f"node {self.number} cannot load: {error}")
            self.end_loading(True)
            return
        database = int(loading.report().aux.get(b"repl-stream-db", b"0"))
        self.end_loading(False)
        self.link.snapshot_loaded(True, database)

    def end_loading(self, failed: bool) -> None:
        self.loading = None
        self.beside = None
        if failed and self.replaced:
            self.empty()
        self.replaced = False
        self.engine.set_gate(GATE_LOADING, False)
        if failed:
            self.link.snapshot_loaded(False, 0)

    def drop_snapshot(self) -> None:
        self.coming = None
        if self.loading is not None:
            self.end_loading(True)

    def role_changed(self) -> None:
        role = "a replica" if self.engine.is_replica else "a primary"
        self.world.tell(f"node {self.number} is {role}")

    def log(self, text: str) -> None:
        self.world.tell(f"node {self.number}: {text}")


class Transfers(TransferDoor):
    """Snapshots that a node makes for its replicas: of this moment, and delivered bit by bit."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.running = False
        self.to_disk = False
        self.serial = 0

    def may_start(self) -> bool:
        return not self.running and not self.node.engine.gate & GATE_LOADING

    def runs_to_disk(self) -> bool:
        return self.running and self.to_disk

    def start(self, replicas: list[Replica], to_disk: bool) -> bool:
        node = self.node
        data = node.snapshot(node.history_aux())
        self.running = True
        self.to_disk = to_disk
        self.serial += 1
        serial = self.serial
        mark = node.world.random.randbytes(20).hex().encode()
        pieces = [data] if to_disk else [b"$EOF:" + mark + b"\r\n", *split(node.world.random, data), mark]
        node.world.later(node.world.random.randint(1, 300), lambda: self.go_on(serial, pieces))
        return True

    def receivers(self) -> list[Replica]:
        return [r for r in self.node.primary.replicas.values() if r.state == WAIT_END]

    def go_on(self, serial: int, pieces: list[bytes]) -> None:
        node = self.node
        if serial != self.serial or not self.running or not node.alive:
            return
        node.engine.begin_iteration()
        if self.to_disk:
            self.running = False
            for replica in self.receivers():
                replica.state = BULK
                replica.client.reply.raw(b"$%d\r\n" % len(pieces[0]))
                self.send_file(replica, split(node.world.random, pieces[0]))
            return
        for replica in self.receivers():
            replica.client.reply.raw(pieces[0])
        if len(pieces) > 1:
            node.world.later(node.world.random.randint(1, 60), lambda: self.go_on(serial, pieces[1:]))
            return
        self.running = False
        for replica in self.receivers():
            node.primary.transferred(replica, True)

    def send_file(self, replica: Replica, pieces: list[bytes]) -> None:
        node = self.node
        if not node.alive or replica.client.closed:
            return
        node.engine.begin_iteration()
        replica.client.reply.raw(pieces[0])
        if len(pieces) == 1:
            node.primary.transferred(replica, False)
        else:
            node.world.later(node.world.random.randint(1, 60), lambda: self.send_file(replica, pieces[1:]))

    def forget(self, replica: Replica) -> None:
        if self.running and not self.receivers():
            self.running = False

    def log(self, text: str) -> None:
        self.node.log(text)


def split(rng: random.Random, data: bytes) -> list[bytes]:
    """In a few pieces, none of them empty."""
    cuts = sorted({rng.randrange(1, len(data)) for _ in range(3)}) if len(data) > 1 else []
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]


def is_settled(nodes: list[Node], primary: Node) -> bool:
    """Whether all hold what the primary holds, and know it."""
    wanted = primary.place()
    for node in nodes:
        if not node.knows() or node.place() != wanted:
            return False
        if node is not primary and node.link.state != CONNECTED:
            return False
    return len({node.digest() for node in nodes}) == 1
