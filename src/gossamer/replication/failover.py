"""FAILOVER: a primary hands its role to one of its replicas, without losing a write.

Owns the states of one handing over. Writes wait (as under CLIENT PAUSE WRITE) until a replica has everything; then
this server becomes that replica's replica, and asks it with PSYNC ... FAILOVER to take over.

Invariants: NOTHING ↔ writes are not held back by it; IN_PROGRESS only while this server follows the chosen replica
and that one has not answered yet; whatever ends it lets the writes go on, here or with -READONLY.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError

if TYPE_CHECKING:
    from gossamer.replication.primary import Primary, Replica

NOTHING: Final = 0
WAITS_FOR_SYNC: Final = 1
IN_PROGRESS: Final = 2
STATE_NAMES: Final = (b"no-failover", b"waiting-for-sync", b"failover-in-progress")


@final
class Failover:
    """The handing over of one server."""

    def __init__(self, primary: Primary) -> None:
        self.primary: Primary = primary
        self.state: i64 = NOTHING
        self.host: bytes = b""  # of the chosen replica; none: whichever is ready first
        self.port: i64 = 0
        self.forced: bool = False
        self.until_us: i64 = 0  # how long it waits for the replica; 0: for ever

    def begin(self, host: bytes, port: i64, forced: bool, timeout_ms: i64) -> None:
        """FAILOVER, with what it was given. Raises CommandError."""
        primary = self.primary
        engine = primary.engine
        if self.state != NOTHING:
            raise CommandError(b"ERR FAILOVER already in progress.")
        if engine.is_replica:
            raise CommandError(b"ERR FAILOVER is not valid when server is a replica.")
        if not primary.attached():
            raise CommandError(b"ERR FAILOVER requires connected replicas.")
        if forced and (not timeout_ms or not host):
            raise CommandError(
                b"ERR FAILOVER with force option requires both a timeout and target HOST and IP."
            )
        if host:
            target = self.find(host, port)
            if target is None:
                raise CommandError(b"ERR FAILOVER target HOST and PORT is not a replica.")
            if not target.is_online():
                raise CommandError(b"ERR FAILOVER target replica is not online.")
        self.host = host
        self.port = port
        self.forced = forced
        self.until_us = engine.now_us + timeout_ms * 1000 if timeout_ms else 0
        self.state = WAITS_FOR_SYNC
        engine.hold_writes()
        primary.door.log(f"FAILOVER requested to {self.label()}." if host else "FAILOVER requested.")

    def label(self) -> str:
        return f"{self.host.decode('utf-8', 'replace')}:{self.port}"

    def find(self, host: bytes, port: i64) -> Replica | None:
        for replica in self.primary.attached():
            if replica.port == port and replica.host() == host:
                return replica
        return None

    def abort(self, why: str) -> None:
        """Stay the primary, or become it again."""
        if self.state == NOTHING:
            return
        primary = self.primary
        primary.door.log(
            f"Failover aborted: {why}" if self.host else f"Failover aborted without target: {why}"
        )
        handed_over: bool = self.state == IN_PROGRESS
        self.clear()
        link = primary.link
        if handed_over and link is not None:
            primary.engine.config.put("replicaof", ())
            link.follow_nobody()

    def clear(self) -> None:
        self.state = NOTHING
        link = self.primary.link
        if link is not None:
            link.asks_to_take_over = False
        self.primary.engine.release_writes()

    def advance(self) -> None:
        """Look how far the replicas are. They say so once a second; to ask them would move the end of the stream."""
        if self.state != WAITS_FOR_SYNC:
            return
        primary = self.primary
        engine = primary.engine
        if self.until_us and engine.now_us > self.until_us:
            if self.forced:
                primary.door.log(f"Failover to {self.label()} time out exceeded, failing over.")
                self.hand_over()
            else:
                self.abort("Replica never caught up before timeout")
            return
        offset: i64 = primary.offset()
        for replica in primary.attached():
            if not replica.is_online() or replica.acknowledged != offset:
                continue
            if self.host and (replica.port != self.port or replica.host() != self.host):
                continue
            self.host = replica.host()
            self.port = replica.port
            primary.door.log(f"Failover target {self.label()} is synced, failing over.")
            self.hand_over()
            return

    def hand_over(self) -> None:
        """Follow the replica, and ask it to take over."""
        primary = self.primary
        link = primary.link
        assert link is not None
        self.state = IN_PROGRESS
        link.asks_to_take_over = True
        primary.engine.config.put("replicaof", (self.host, int(self.port)))
        link.follow(self.host, self.port)

    def answered(self, well: bool) -> None:
        """What the replica said to PSYNC ... FAILOVER."""
        if self.state != IN_PROGRESS:
            return
        if well:
            self.clear()
        else:
            self.abort("Failover target rejected psync request")

    def name(self) -> bytes:
        return STATE_NAMES[self.state]
