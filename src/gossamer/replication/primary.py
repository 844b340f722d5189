"""A primary's side: its replicas, what each of them has, and who must be given a snapshot.

Owns the states of the replicas (docs/design/replication.md) and the stream. Must not know sockets, files or
processes: TransferDoor makes snapshots, and moves the bytes.

Invariants: `replicas` holds every client that is to be sent the stream, and none that is closed; one that stands in
WAIT_END, BULK or ONLINE has a `position`, and the backlog holds all from there on; the stream is one of the engine's
feeds exactly while it has a backlog.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import CommandError
from gossamer.engine.client import GATE_REPLY, Client
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_REPLICAS
from gossamer.engine.replication_door import ReplicationDoor
from gossamer.replication.failover import Failover
from gossamer.replication.safe_start import LATER, SafeStart
from gossamer.replication.snapshot_versions import NONE_OLDER, OLDER_NEXT, SnapshotVersions
from gossamer.replication.stream import Stream

if TYPE_CHECKING:
    from gossamer.replication.primary_link import PrimaryLink

HANDSHAKE: Final = 0
WAIT_START: Final = 1
WAIT_END: Final = 2
BULK: Final = 3
ONLINE: Final = 4
TRANSMITTED: Final = 5  # rdb-only: it has all that it wants
STATE_NAMES: Final = (
    b"wait_bgsave", b"wait_bgsave", b"wait_bgsave", b"send_bulk", b"online", b"rdb_transmitted",
)  # fmt: skip

WITHOUT_DATA: Final = 1  # bits of Replica.filter
WITHOUT_FUNCTIONS: Final = 2


@final
class Replica:
    """One replica, as its connection knows it."""

    def __init__(self, client: Client) -> None:
        self.client: Client = client
        self.state: i64 = HANDSHAKE
        self.knows_eof: bool = False
        self.knows_psync2: bool = False
        self.port: i64 = 0
        self.address: bytes = b""
        self.filter: i64 = 0
        self.rdb_only: bool = False
        self.says_valkey: bool = False  # REPLCONF version, which Redis does not say
        self.version: int = 0  # of the snapshot that it waits for or has
        self.is_heard: bool = False  # it has acknowledged something
        self.acknowledges: bool = True  # not one that came with SYNC
        self.position: i64 = 0  # the next byte of the stream to send
        self.acknowledged: i64 = 0
        self.durable: i64 = 0
        self.acknowledged_us: i64 = 0
        self.left_of_snapshot: i64 = (
            0  # bytes that were passed on to it and that its connection has not taken
        )
        self.progress_us: i64 = 0  # when that changed last
        self.since_us: i64 = 0  # it waits for a snapshot
        self.awaits_acknowledgement: bool = False  # the stream starts with its first
        self.soft_limit_since_us: i64 = 0

    def host(self) -> bytes:
        """Where it says it is, or where it comes from."""
        return self.address or self.client.address.rpartition(b":")[0]

    def endpoint(self) -> bytes:
        """Where it listens; nothing where it does not say so."""
        return b"" if self.port == 0 else self.host() + b":%d" % self.port

    def is_online(self) -> bool:
        return self.state == ONLINE

    def label(self) -> str:
        return f"{self.host().decode('utf-8', 'replace')}:{self.port or '<unknown-port>'}"


@mypyc_attr(allow_interpreted_subclasses=True)
class TransferDoor:
    """Who makes snapshots for replicas."""

    def may_start(self) -> bool:
        """Whether no child runs."""
        raise NotImplementedError

    def start(self, replicas: list[Replica], to_disk: bool) -> bool:
        """Begin a snapshot of this moment for them, all of one filter and version; False where that failed."""
        raise NotImplementedError

    def runs_to_disk(self) -> bool:
        """Whether a transfer by way of a file is under way, its snapshot not complete."""
        raise NotImplementedError

    def forget(self, replica: Replica) -> None:
        """It is gone; a transfer that only it waited for may end."""
        raise NotImplementedError

    def log(self, text: str) -> None:
        """A line for the log."""


@final
class Primary(ReplicationDoor):
    """All replicas of one server, by client id."""

    def __init__(self, engine: Engine, door: TransferDoor, replication_id: bytes) -> None:
        self.engine: Engine = engine
        self.door: TransferDoor = door
        self.stream: Stream = Stream(replication_id)
        self.replicas: dict[i64, Replica] = {}
        self.without_replicas_since_us: i64 = 0
        self.acknowledgement_wanted: bool = False
        self.versions: SnapshotVersions = SnapshotVersions()
        self.seconds: i64 = 0
        self.link: PrimaryLink | None = None  # the other side of this server
        self.failover: Failover = Failover(self)
        self.safe_start: SafeStart = SafeStart(self)
        self.serves: bool = True  # not a replica whose own link is down

    def new_id(self) -> bytes:
        return self.engine.hooks.random_bytes(20).hex().encode()

    def replica_of(self, client: Client) -> Replica:
        """The record of a client that speaks as a replica; it is one from PSYNC on."""
        replica = self.replicas.get(client.client_id)
        if replica is None:
            replica = Replica(client)
            self.replicas[client.client_id] = replica
        return replica

    def attached(self) -> list[Replica]:
        """Those that have asked for the stream, oldest first."""
        return [replica for replica in self.replicas.values() if replica.state != HANDSHAKE]

    def count(self) -> i64:
        return len(self.attached())

    # -- the role of this server --------------------------------------------------------------------------

    def become_replica(self) -> None:
        """Tell nothing of one's own any more: from now on the stream is another server's."""
        stream = self.stream
        self.safe_start.decide()
        stream.seal()
        if stream in self.engine.feeds:
            self.engine.feeds.remove(stream)
        self.keep_stream()
        self.judge_writes()

    def become_primary(self, goes_on: bool) -> None:
        """Tell what is written here, under an id of one's own, to which replicas may come over if it goes on."""
        stream = self.stream
        if goes_on:
            stream.promote(self.new_id())
        else:
            stream.restart(self.new_id(), stream.offset())
        if stream.backlog is not None and stream not in self.engine.feeds:
            self.engine.feeds.append(stream)
        self.disconnect_replicas()
        self.without_replicas_since_us = self.engine.now_us
        self.judge_writes()

    def keep_stream(self) -> None:
        """Have a backlog, without telling anything ourselves."""
        if self.stream.backlog is None:
            self.stream.open(self.engine.config.number("repl-backlog-size"))

    def abandon_stream(self) -> None:
        """The data set is about to be replaced by that of another history."""
        self.disconnect_replicas()
        self.stream.restart(self.new_id(), 0)

    def disconnect_replicas(self) -> None:
        """They come back, and learn how things stand."""
        for replica in self.attached():
            replica.client.door.close()

    def go_on_from(self, replication_id: bytes, offset: i64) -> None:
        """A primary's start: its file says where in which history it stood; replicas may go on from there."""
        stream = self.stream
        stream.restart(replication_id, offset)
        stream.promote(self.new_id())
        self.keep_stream()
        self.engine.feeds.append(stream)
        self.without_replicas_since_us = self.engine.now_us

    # -- synchronisation ----------------------------------------------------------------------------------

    def take_over(self, client: Client, replication_id: bytes) -> None:
        """PSYNC ... FAILOVER: the primary that this server follows wants to follow it instead."""
        link = self.link
        if link is None or not self.engine.is_replica:
            raise CommandError(b"ERR PSYNC FAILOVER can't be sent to a master.")
        if replication_id.lower() != self.stream.replication_id:
            raise CommandError(b"ERR PSYNC FAILOVER replid must match my replid.")
        self.engine.config.put("replicaof", ())
        link.follow_nobody()
        self.door.log("Failover request received: this server is the primary now")

    def synchronize(self, client: Client, replication_id: bytes, offset: i64, by_psync: bool) -> None:
        """PSYNC or SYNC: go on with the stream from the offset, or begin with a snapshot."""
        replica = self.replica_of(client)
        if replica.state != HANDSHAKE:
            return
        if not self.serves:
            client.reply.error(b"NOMASTERLINK Can't SYNC while not connected with my master")
            return
        if self.safe_start.refuses(replication_id, offset):
            client.reply.error(LATER)
            return
        replica.acknowledges = by_psync
        client.is_replica = True
        client.set_gate(GATE_REPLY, True)
        self.door.log(f"Replica {replica.label()} asks for synchronization")
        if by_psync and self.go_on(replica, replication_id, offset):
            return
        if by_psync and replication_id != b"?":
            self.engine.statistics.sync_partial_refused += 1
        self.engine.statistics.sync_full += 1
        self.open_stream()
        replica.state = WAIT_START
        configured = self.engine.config.number("rdb-version")
        replica.version = self.versions.choose(replica.endpoint(), replica.says_valkey, configured)
        replica.since_us = self.engine.now_us
        replica.acknowledged_us = self.engine.now_us
        if not self.join(replica):
            self.start_transfers()

    def go_on(self, replica: Replica, replication_id: bytes, offset: i64) -> bool:
        """A partial synchronisation, where the backlog has what it takes."""
        stream = self.stream
        backlog = stream.backlog
        if backlog is None or not stream.vouches_for(replication_id, offset):
            return False
        stream.seal()
        if not backlog.holds(offset):
            self.door.log(f"Unable to partial resync with replica {replica.label()} for lack of backlog")
            return False
        self.engine.statistics.sync_partial += 1
        replica.position = offset
        answer = b"+CONTINUE"
        if replica.knows_psync2:
            answer += b" " + stream.replication_id
        replica.client.reply.raw(answer + b"\r\n")
        replica.client.mark_pending()
        self.put_online(replica)
        self.door.log(
            f"Partial resynchronization request from {replica.label()} accepted. Sending "
            f"{int(backlog.end - offset + 1)} bytes of backlog starting from offset {int(offset)}."
        )
        return True

    def on_flushed_all(self) -> None:
        """Those who wait for a snapshot that is under way come back for a new one, which is soon made."""
        for replica in self.attached():
            if replica.state == WAIT_END:
                replica.client.door.close()

    def open_stream(self) -> None:
        """Keep what is told from now on; a history that was not kept from here on has another name."""
        stream = self.stream
        if stream.backlog is None:
            stream.change_id(self.new_id())
            self.keep_stream()
            self.engine.feeds.append(stream)

    def close_stream(self) -> None:
        self.engine.feeds.remove(self.stream)
        self.stream.close()
        self.stream.change_id(self.new_id())

    def join(self, replica: Replica) -> bool:
        """Have a share in a snapshot that is being made into a file for another replica."""
        if not self.door.runs_to_disk():
            return False
        for other in self.replicas.values():
            same = other.filter == replica.filter and other.version == replica.version
            if other.state == WAIT_END and same:
                self.begin_bulk(replica, other.position)
                self.door.log("Waiting for end of BGSAVE for SYNC")
                return True
        return False

    def begin_bulk(self, replica: Replica, position: i64) -> None:
        """It gets a snapshot that holds everything before the position."""
        replica.state = WAIT_END
        replica.position = position
        if replica.acknowledges:
            head = b"+FULLRESYNC " + self.stream.replication_id + b" %d\r\n" % (position - 1)
            replica.client.reply.raw(head)
            replica.client.mark_pending()

    def start_transfers(self) -> None:
        """Begin a snapshot for those who wait for one, as soon as that may be."""
        waiting = [replica for replica in self.replicas.values() if replica.state == WAIT_START]
        if not waiting or not self.door.may_start():
            return
        config = self.engine.config
        first = waiting[0]
        chosen = [r for r in waiting if r.filter == first.filter and r.version == first.version]
        to_disk = not config.flag("repl-diskless-sync") or not all([r.knows_eof for r in chosen])
        if first.filter and all([r.knows_eof for r in chosen]):
            to_disk = False
        if not to_disk:
            longest_us: i64 = max([self.engine.now_us - replica.since_us for replica in chosen])
            most = config.number("repl-diskless-sync-max-replicas")
            if longest_us < config.number("repl-diskless-sync-delay") * 1_000_000:
                if not most or len(chosen) < most:
                    return
        self.stream.seal()
        if not self.engine.is_replica:
            self.stream.database = -1
        position: i64 = self.stream.offset() + 1
        if not self.door.start(chosen, to_disk):
            for replica in chosen:
                replica.client.reply.error(b"ERR BGSAVE failed, replication can't continue")
                replica.client.close_soon()
            return
        for replica in chosen:
            self.begin_bulk(replica, position)

    def put_online(self, replica: Replica) -> None:
        replica.state = ONLINE
        replica.acknowledged_us = self.engine.now_us
        self.judge_writes()

    def transferred(self, replica: Replica, awaits_acknowledgement: bool) -> None:
        """The whole snapshot is on its way to it."""
        if replica.rdb_only:
            replica.state = TRANSMITTED
            return
        replica.awaits_acknowledgement = awaits_acknowledgement and replica.acknowledges
        self.put_online(replica)
        self.door.log(f"Synchronization with replica {replica.label()} succeeded")

    # -- acknowledgements ---------------------------------------------------------------------------------

    def acknowledge(self, client: Client, offset: i64, durable: i64) -> None:
        replica = self.replicas.get(client.client_id)
        if replica is None or replica.state == HANDSHAKE:
            return
        replica.acknowledged = max(replica.acknowledged, offset)
        replica.durable = max(replica.durable, durable)
        replica.acknowledged_us = self.engine.now_us
        if not replica.is_heard:
            replica.is_heard = True
            self.versions.accept(replica.endpoint())
        if replica.state == ONLINE:
            replica.awaits_acknowledgement = False
            if self.engine.gate & GATE_REPLICAS:
                self.judge_writes()

    def offset(self) -> i64:
        return self.stream.offset()

    def count_at(self, offset: i64) -> i64:
        return sum([1 for r in self.replicas.values() if r.state == ONLINE and r.acknowledged >= offset])

    def count_durable_at(self, offset: i64) -> i64:
        return sum([1 for r in self.replicas.values() if r.state == ONLINE and r.durable >= offset])

    def ask(self) -> None:
        if self.engine.is_replica or self.engine.writes_held:
            return
        self.acknowledgement_wanted = self.stream.backlog is not None

    def count_good(self) -> int:
        """Replicas whose last word is not older than min-replicas-max-lag."""
        longest_us = self.engine.config.number("min-replicas-max-lag") * 1_000_000
        good = 0
        for replica in self.replicas.values():
            if replica.state == ONLINE and self.engine.now_us - replica.acknowledged_us <= longest_us:
                good += 1
        return good

    def judge_writes(self) -> None:
        """Refuse writes while fewer replicas than `min-replicas-to-write` hear them."""
        least = self.engine.config.number("min-replicas-to-write")
        on = (
            not self.engine.is_replica and least > 0 and self.engine.config.number("min-replicas-max-lag") > 0
        )
        self.engine.set_gate(GATE_REPLICAS, on and self.count_good() < least)

    # -- time ---------------------------------------------------------------------------------------------

    def forget(self, client: Client) -> None:
        replica = self.replicas.pop(client.client_id, None)
        if replica is not None and replica.state != HANDSHAKE:
            self.door.log(f"Connection with replica {replica.label()} lost.")
            self.without_replicas_since_us = self.engine.now_us
            self.learn(replica)
            self.door.forget(replica)
            self.judge_writes()

    def learn(self, replica: Replica) -> None:
        """One that was sent a snapshot, or a part of it, and left without a word may have been unable to read it."""
        endpoint = replica.endpoint()
        if not replica.version or replica.is_heard or replica.rdb_only or not endpoint:
            return
        is_whole = replica.state == ONLINE
        is_partial = replica.state == BULK or (replica.state == WAIT_END and not self.door.runs_to_disk())
        if not is_whole and not is_partial:
            return
        lesson = self.versions.refuse(endpoint, replica.version, is_whole)
        if lesson == OLDER_NEXT:
            self.door.log(
                f"Replica {replica.label()} did not acknowledge a snapshot of RDB version {replica.version}: "
                "the next one is older, if that holds the data set"
            )
        elif lesson == NONE_OLDER:
            self.door.log(
                f"Replica {replica.label()} acknowledges no snapshot. If it is older than Redis 7.0 it cannot hold "
                "function libraries and what streams remember: with rdb-version 9 it is sent the rest"
            )

    def each_second(self) -> None:
        """Signs of life, both ways; snapshots that had to wait; the end of a backlog that nobody reads."""
        config = self.engine.config
        self.seconds += 1
        attached = self.attached()
        timeout_us: i64 = config.number("repl-timeout") * 1_000_000
        for replica in attached:
            silent = self.engine.now_us - replica.acknowledged_us > timeout_us
            if replica.state == ONLINE and replica.acknowledges and silent:
                self.door.log(f"Disconnecting timedout replica (streaming sync): {replica.label()}")
                replica.client.door.close()
            elif (
                replica.state == WAIT_END
                and replica.left_of_snapshot > 0
                and self.engine.now_us - replica.progress_us > timeout_us
            ):
                self.door.log(f"Disconnecting timedout replica (full sync): {replica.label()}")
                replica.client.door.close()  # the others would wait for it for ever
            elif replica.state == WAIT_START or (replica.state == WAIT_END and self.door.runs_to_disk()):
                replica.client.reply.raw(b"\n")  # patience: a snapshot is being made
                replica.client.mark_pending()
        if (
            attached
            and not self.engine.is_replica
            and self.seconds % config.number("repl-ping-replica-period") == 0
        ):
            self.stream.feed_ping()
        self.start_transfers()
        self.judge_writes()
        ttl_us: i64 = config.number("repl-backlog-ttl") * 1_000_000
        idle: bool = not attached and not self.engine.is_replica
        if idle and self.stream.backlog is not None and ttl_us > 0:
            if self.engine.now_us - self.without_replicas_since_us > ttl_us:
                self.close_stream()
                self.door.log(
                    "Replication backlog freed: there were no replicas for repl-backlog-ttl seconds"
                )

    def needed(self) -> i64:
        """The oldest byte of the stream that a replica has yet to be sent."""
        oldest: i64 = self.stream.offset() + 1
        for replica in self.replicas.values():
            if replica.state in (WAIT_END, BULK, ONLINE) and replica.position < oldest:
                oldest = replica.position
        return oldest

    # -- what others see ----------------------------------------------------------------------------------

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        stream = self.stream
        attached = self.attached()
        facts[b"connected_slaves"] = len(attached)
        if self.engine.config.number("min-replicas-to-write") and self.engine.config.number(
            "min-replicas-max-lag"
        ):
            facts[b"min_slaves_good_slaves"] = self.count_good()
        for number, replica in enumerate(attached):
            facts[b"slave%d" % number] = self.describe(replica)
        facts[b"master_failover_state"] = self.failover.name()
        facts[b"master_replid"] = stream.replication_id
        facts[b"master_replid2"] = stream.second_id
        facts[b"master_repl_offset"] = stream.offset()
        facts[b"second_repl_offset"] = stream.second_offset
        facts[b"sync_full"] = self.engine.statistics.sync_full
        facts[b"sync_partial_ok"] = self.engine.statistics.sync_partial
        facts[b"sync_partial_err"] = self.engine.statistics.sync_partial_refused
        if stream.backlog is not None:
            facts[b"repl_backlog_active"] = 1
            facts[b"repl_backlog_first_byte_offset"] = stream.backlog.first
            held: i64 = stream.offset() - stream.backlog.first + 1
            facts[b"repl_backlog_histlen"] = held
            beyond: i64 = held - stream.backlog.size_bytes if attached else 0
            facts[b"mem_total_replication_buffers"] = held
            facts[b"mem_clients_slaves"] = max(0, beyond)
            facts[b"mem_replication_backlog"] = held - max(0, beyond)

    def describe(self, replica: Replica) -> bytes:
        lag: i64 = 0
        if replica.state == ONLINE:
            lag = (self.engine.now_us - replica.acknowledged_us) // 1_000_000
        return b"ip=%b,port=%d,state=%b,offset=%d,lag=%d" % (
            replica.host(), replica.port, STATE_NAMES[replica.state], replica.acknowledged, lag,
        )  # fmt: skip
