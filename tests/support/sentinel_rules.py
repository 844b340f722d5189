"""What must be true in every world of Sentinels, whatever goes wrong, and what must come true when nothing does.

At every moment:
  votes        a Sentinel tells of one vote per epoch, over all its lives, and only after its disk holds it
  epochs       votes are asked for in an epoch that the asking Sentinel's disk holds
  leaders      one leader per epoch; it has the votes of a majority of all Sentinels, and of `quorum` of them
  down         a primary is objectively down only if `quorum` Sentinels held it for down a moment ago
  orders       REPLICAOF NO ONE comes from an elected leader only; a promotion is announced when it has happened;
               replicas are turned to the promoted one, no more than `parallel-syncs` at a time
  choice       the chosen replica has the most data of those that are preferred alike
  calm         where nothing but clocks goes wrong nobody holds the primary for down
  agreement    one configuration epoch, one address; it is on the disk before it is published; it never goes back
In the end, when everything has worked again for a while:
  convergence  all Sentinels name one primary, of one epoch; it is a primary; every other server follows it
  peace        no failover begins any more, and there were few on the way
"""

from __future__ import annotations

from gossamer.sentinel.failover import is_eligible
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FAILOVER_RECONF_SLAVES,
    RECONF_IN_PROGRESS,
    RECONF_SENT,
    SUBJECTIVELY_DOWN,
    current_address,
)
from support.sentinel_world import Observer, SentinelNode, ServerNode, World

DOWN_WINDOW_MS = 12_000  # an answer is valid for five seconds, and may have been on its way for some
SWITCHES_AFTER_HEALING = 3


class Rules(Observer):
    """Collects what was broken."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.violations: list[str] = []
        # by the name of a primary and an epoch
        self.leaders: dict[tuple[bytes, int], tuple[SentinelNode, int]] = {}
        self.votes: dict[tuple[bytes, int], dict[SentinelNode, bytes]] = {}
        self.addresses: dict[tuple[bytes, int], tuple[bytes, bytes]] = {}
        # by the name of a primary and a Sentinel
        self.down_until: dict[tuple[bytes, SentinelNode], tuple[int, bool]] = {}
        self.told_epoch: dict[tuple[bytes, SentinelNode], int] = {}
        self.leading: dict[SentinelNode, int] = {}
        self.elections = 0
        self.tries = 0
        self.switches = 0
        self.forced: set[SentinelNode] = set()
        self.is_calm = False

    def broken(self, rule: str, text: str) -> None:
        assert self.world is not None
        seconds = (self.world.now - 1_700_000_000_000) / 1000
        self.violations.append(f"{rule}: {text} at {seconds:.1f} s")

    # -- what is seen -------------------------------------------------------------------------------------

    def on_event(self, node: SentinelNode, kind: bytes, text: bytes) -> None:
        words = text.split(b" ")
        if kind in (b"+sdown", b"-sdown") and words[0] == b"master":
            self.note_down(node, words[1], kind == b"+sdown")
        elif kind == b"+switch-master":
            self.switches += 1
            self.note_down(node, words[0], False)
        elif kind == b"start":
            for name in node.world.groups:
                self.note_down(node, name, False)
        elif kind == b"+odown":
            self.check_down(node, words[1])
        elif kind == b"+vote-for-leader":
            for name, primary in node.primaries.items():
                if primary.leader == words[0] and primary.leader_epoch == int(words[1]):
                    self.note_vote(node, name, words[0], int(words[1]))
        elif kind == b"+elected-leader":
            self.check_leader(node, words[1])
        elif kind == b"+try-failover":
            self.tries += 1
        elif kind == b"+selected-slave":
            self.check_choice(node, words[5], words[1])
        elif kind == b"+promoted-slave":
            server = node.world.server_at[words[2]]
            if not server.was_promoted:
                self.broken("orders", f"{server.ip.decode()} is announced and was never promoted")

    def note_down(self, node: SentinelNode, name: bytes, is_down: bool) -> None:
        if is_down and self.is_calm:
            self.broken("calm", f"sentinel {node.index} holds the primary for down")
        if is_down or self.down_until.get((name, node), (0, False))[1]:
            self.down_until[name, node] = (node.world.now, is_down)

    def check_down(self, node: SentinelNode, name: bytes) -> None:
        world = node.world
        agree = 0
        for each in world.sentinels:
            since, still = self.down_until.get((name, each), (0, False))
            if still or world.now - since <= DOWN_WINDOW_MS:
                agree += since > 0
        if agree < world.quorum:
            self.broken("down", f"{agree} of {world.quorum} hold the primary for down")

    def note_vote(self, node: SentinelNode, name: bytes, leader: bytes, epoch: int) -> None:
        given = self.votes.setdefault((name, epoch), {})
        if given.setdefault(node, leader) != leader:
            self.broken("votes", f"sentinel {node.index} voted twice in epoch {epoch}")

    def on_vote_told(self, node: SentinelNode, name: bytes, leader: bytes, epoch: int) -> None:
        self.note_vote(node, name, leader, epoch)
        if node.durable.get(name, (0, 0))[1] < epoch or node.durable_epoch < epoch:
            self.broken(
                "votes", f"sentinel {node.index} told of a vote in epoch {epoch} that is not on its disk"
            )

    def on_question(self, node: SentinelNode, epoch: int) -> None:
        if node.durable_epoch < epoch:
            self.broken("epochs", f"sentinel {node.index} asks for votes in epoch {epoch}, not on its disk")

    def check_leader(self, node: SentinelNode, name: bytes) -> None:
        self.elections += 1
        epoch = node.primaries[name].failover_epoch
        self.leading[node] = node.life
        if node in self.forced:
            return
        present = (node, node.life)
        if self.leaders.setdefault((name, epoch), present) != present:
            self.broken("leaders", f"a second leader in epoch {epoch}")
        votes = sum(1 for leader in self.votes.get((name, epoch), {}).values() if leader == node.id)
        world = node.world
        needed = max(len(world.sentinels) // 2 + 1, world.quorum)
        if votes < needed:
            self.broken("leaders", f"a leader in epoch {epoch} with {votes} votes of {needed}")

    def on_hello(self, node: SentinelNode, message: bytes) -> None:
        fields = message.split(b",")
        name, epoch, address = fields[4], int(fields[7]), (fields[5], fields[6])
        key = (name, epoch)
        known = self.addresses.setdefault(key, address)
        if known != address:
            self.broken("agreement", f"two addresses in configuration epoch {epoch}")
        if key in self.leaders and self.leaders[key][0] is node and node.durable[name][0] < epoch:
            self.broken(
                "agreement", f"configuration epoch {epoch} published and not on the disk of its leader"
            )
        if epoch and key not in self.leaders and not self.forced:
            self.broken("agreement", f"configuration epoch {epoch} without a leader")
        if self.told_epoch.get((name, node), 0) > epoch and not node.life:
            self.broken("agreement", f"the configuration of sentinel {node.index} went back to epoch {epoch}")
        self.told_epoch[name, node] = epoch

    def on_order(self, node: SentinelNode, server: ServerNode, argv: list[bytes]) -> None:
        if argv[1] == b"NO" and node not in self.leading:
            self.broken("orders", f"sentinel {node.index} promotes without having been elected")
        primary = node.primaries[server.name]
        if argv[1] != b"NO" and primary.failover_state == FAILOVER_RECONF_SLAVES:
            turning = sum(
                1 for each in primary.replicas.values() if each.flags & (RECONF_SENT | RECONF_IN_PROGRESS)
            )
            promoted = primary.promoted_replica
            if promoted is not None and argv[1] != promoted.address.ip:
                self.broken("orders", f"sentinel {node.index} turns a replica to {argv[1].decode()}")
            if turning >= node.world.parallel_syncs:
                self.broken("orders", f"sentinel {node.index} turns {turning + 1} replicas at a time")

    def check_choice(self, node: SentinelNode, of: bytes, name: bytes) -> None:
        primary = node.primaries[of]
        chosen = primary.replicas[name]
        for each in primary.replicas.values():
            better = (each.replica_priority, -each.replica_offset) < (
                chosen.replica_priority,
                -chosen.replica_offset,
            )
            if better and is_eligible(node.machine, primary, each):
                self.broken(
                    "choice", f"sentinel {node.index} chose {name.decode()}, worse than {each.name.decode()}"
                )

    # -- the end ------------------------------------------------------------------------------------------

    def unsettled(self, world: World) -> str:
        """What is not yet as it must be in the end; empty: nothing."""
        for name in world.groups:
            problem = self.unsettled_group(world, name)
            if problem:
                return problem
        return ""

    def unsettled_group(self, world: World, name: bytes) -> str:
        named = []
        servers = world.groups[name]
        for node in world.sentinels:
            primary = node.primaries[name]
            if primary.flags & (FAILOVER_IN_PROGRESS | SUBJECTIVELY_DOWN) or node.machine.state.tilt:
                return f"sentinel {node.index} is in a failover or in tilt, or holds the primary for down"
            address = current_address(primary)
            named.append((primary.config_epoch, address.ip))
            if len(primary.sentinels) != len(world.sentinels) - 1:
                return f"sentinel {node.index} knows {len(primary.sentinels)} others"
            if len(primary.replicas) != len(servers) - 1:
                return f"sentinel {node.index} knows {len(primary.replicas)} replicas"
        if len(set(named)) != 1:
            return f"the Sentinels name {sorted(set(named))}"
        return self.unsettled_servers(world, servers, named[0][1])

    def unsettled_servers(self, world: World, servers: list[ServerNode], ip: bytes) -> str:
        world.settle_all()
        for server in servers:
            if server.ip == ip:
                if server.upstream is not None:
                    return f"the primary {ip.decode()} is a replica"
            elif server.upstream is None:
                return f"{server.ip.decode()} is a primary too"
            elif server.upstream.ip != ip or not server.link_up:
                return f"{server.ip.decode()} does not follow"
        return ""
