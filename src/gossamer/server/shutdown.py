"""A shutdown from the moment it is asked for: it waits for replicas, can be called off, and ends the server.

Owns when a shutdown may go on, and what is said and held back meanwhile. What is to be done with the disk is
persistence's, closing the server's (ShutdownDoor).

Invariants: writes are held back while it waits; clients that asked for it wait as long as it does, and learn of its
failure, or of its being called off, by the same error.
"""

from collections.abc import Callable
from typing import final

from mypy_extensions import i64

from gossamer.engine.client import Client
from gossamer.engine.config import Config
from gossamer.engine.doors import InfoSource
from gossamer.engine.engine import Engine
from gossamer.replication.failover import NOTHING
from gossamer.replication.primary import ONLINE, STATE_NAMES, Primary, Replica
from gossamer.server.cron import CronTask
from gossamer.server.log import Log
from gossamer.server.persistence import SHUTDOWN_REFUSED, Persistence


@final
class Shutdown(CronTask):
    """The shutdown of one server, asked for or not. `end` closes it; `when_called_off` are told if it does not come."""

    def __init__(
        self, engine: Engine, config: Config, persistence: Persistence, primary: Primary, log: Log
    ) -> None:
        self.engine: Engine = engine
        self.config: Config = config
        self.persistence: Persistence = persistence
        self.primary: Primary = primary
        self.log: Log = log
        self.end: Callable[[], None] = nothing
        self.when_called_off: list[Callable[[], None]] = []
        self.waits: bool = False
        self.until_ms: i64 = 0
        self.save: bool | None = None  # None: as the save points say
        self.force: bool = False
        engine.info_sources.append(ShutdownFacts(self))

    def ask(self, save: bool | None, now: bool, force: bool) -> bytes | None:
        """Begin one, or join the one that waits, which `now` lets go on at once; the error where it failed."""
        if not self.waits:
            self.save = save
            self.force = force
            self.log.warning("User requested shutdown...")
            timeout_ms: i64 = self.config.number("shutdown-timeout") * 1000
            if not now and timeout_ms > 0 and self.lagging():
                self.log.notice("Waiting for replicas before shutting down.")
                self.waits = True
                self.until_ms = self.engine.state.now_ms + timeout_ms
                self.engine.hold_writes()
                return None
        elif not now:
            return None
        return None if self.finish() else SHUTDOWN_REFUSED

    def abort(self) -> bool:
        """SHUTDOWN ABORT; False where none waits."""
        if not self.waits:
            return False
        self.log.notice("Shutdown manually aborted.")
        self.call_off()
        return True

    def on_cron(self, now_ms: i64) -> None:
        if not self.waits:
            return
        self.engine.hold_writes()  # a failover that ended meanwhile has let them go
        if now_ms >= self.until_ms or not self.lagging():
            self.finish()

    def finish(self) -> bool:
        """Save as asked, and end the server; False where the save failed and the server goes on."""
        self.tell_of_replicas()
        if not self.persistence.before_shutdown(self.save, self.force):
            self.log.warning("Errors trying to shut down the server. Check the logs for more information.")
            self.call_off()
            return False
        self.end()
        return True

    def call_off(self) -> None:
        """The server goes on."""
        waited: bool = self.waits
        self.waits = False
        if waited and self.primary.failover.state == NOTHING:
            self.engine.release_writes()
        for client in list(self.engine.clients.values()):
            if asked_for_it(client):
                self.engine.unblock(client, SHUTDOWN_REFUSED)
        for told in self.when_called_off:
            told()

    def counted(self) -> list[Replica]:
        """Replicas that say how far they are."""
        return [r for r in self.primary.attached() if r.acknowledges and not r.rdb_only]

    def lagging(self) -> list[Replica]:
        """Those that have not said yet that they have everything."""
        offset: i64 = self.primary.offset()
        return [replica for replica in self.counted() if replica.acknowledged != offset]

    def tell_of_replicas(self) -> None:
        """What a shutdown at this moment leaves the replicas without."""
        counted = self.counted()
        if not counted:
            return
        lagging = self.lagging()
        for replica in lagging:
            silent_s: i64 = 0
            if replica.state == ONLINE:
                silent_s = (self.engine.now_us - replica.acknowledged_us) // 1_000_000
            self.log.notice(
                f"Lagging replica {replica.label()} reported offset "
                f"{int(self.primary.offset() - replica.acknowledged)} behind master, lag={int(silent_s)}, "
                f"state={STATE_NAMES[replica.state].decode()}."
            )
        self.log.notice(
            f"{len(counted) - len(lagging)} of {len(counted)} replicas are in sync when shutting down."
        )


@final
class ShutdownFacts(InfoSource):
    """INFO's share of a shutdown that waits."""

    def __init__(self, shutdown: Shutdown) -> None:
        self.shutdown: Shutdown = shutdown

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        shutdown = self.shutdown
        if shutdown.waits:
            facts[b"shutdown_in_milliseconds"] = int(max(0, shutdown.until_ms - shutdown.engine.state.now_ms))


def asked_for_it(client: Client) -> bool:
    """Whether a client waits for the end of a shutdown."""
    command = client.blocked_command
    return command is not None and command.name == b"shutdown" and not client.paused


def nothing() -> None:
    """The end of a server that is not there."""
