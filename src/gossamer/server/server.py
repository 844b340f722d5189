"""Wires everything together: configuration, engine, loop, sockets, cron, persistence, signals.

The only place that knows all parts. Each part gets what it needs through its own small door; no part knows the
Server.
"""

import os
import time
from collections.abc import Callable
from typing import final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.acl_access import start_users
from gossamer.engine.client import Client
from gossamer.engine.config import Config
from gossamer.engine.config_commands import EngineSettings, rename_commands
from gossamer.engine.config_file import rewrite
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.engine.info import EngineFacts
from gossamer.keyspace.eviction import Evictor
from gossamer.server.clock import SystemClock, SystemDelay
from gossamer.server.command_table import all_commands
from gossamer.server.cron import Cron, CronTask
from gossamer.server.facts import ProcessFacts, new_identity
from gossamer.server.listening import Listening
from gossamer.server.log import Log
from gossamer.server.loop import Loop, LoopHooks
from gossamer.server.memory import MemoryAccount
from gossamer.server.migration import MigrationFacts, MigrationTask, SocketTargets
from gossamer.server.oom_score import OomScore
from gossamer.server.persistence import Persistence
from gossamer.server.poller import new_poller
from gossamer.server.process import Launch
from gossamer.server.reception import Reception
from gossamer.server.replication import Replication, ReplicationTask
from gossamer.server.shutdown import Shutdown
from gossamer.server.storage import SystemProcesses


@final
class ServerLoopHooks(LoopHooks):
    """The loop's door to the server."""

    def __init__(self, server: "Server") -> None:
        self.server: Server = server

    def before_flush(self) -> None:
        self.server.persistence.before_flush()
        if self.server.replication.primary.stream.backlog is not None:
            self.server.replication.before_flush()

    def before_wait(self) -> None:
        server = self.server
        server.cron.fast_expire()
        if server.evictor.unfinished:
            server.free_memory()

    def log_closing(self, client: Client, why: str) -> None:
        self.server.log.warning(f"Client id={client.client_id} addr={client.address.decode()} {why}")

    def output_limit_reached(self, client: Client, pending_bytes: i64) -> bool:
        return self.server.reception.output_limit_reached(client, pending_bytes)


@final
class ServerEngineHooks(EngineHooks):
    """The engine's door to the server."""

    def __init__(self, server: "Server") -> None:
        self.server: Server = server

    def free_memory(self) -> bool:
        return self.server.free_memory()

    def disk_error(self) -> bytes | None:
        return self.server.persistence.refusal()

    def shutdown(self, save: bool | None, now: bool, force: bool) -> bytes | None:
        return self.server.shut_down(save, now, force)

    def shutdown_waits(self) -> bool:
        return self.server.shutdown.waits

    def abort_shutdown(self) -> bool:
        return self.server.shutdown.abort()

    def reload(self, save: bool, flush: bool, merge: bool) -> bytes | None:
        return self.server.persistence.reload(save, flush, merge)

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def reload_aof(self) -> bytes | None:
        return self.server.persistence.reload_aof()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def crash(self) -> None:
        os.abort()

    def restart(self, gracefully: bool, delay_ms: int) -> None:
        self.server.restart(gracefully, delay_ms)

    def change_replication_id(self) -> None:
        self.server.replication.primary.stream.change_id(new_identity())

    def log_notice(self, text: str) -> None:
        self.server.log.notice(text)

    def log_script(self, level: int, text: str) -> None:
        log = self.server.log
        (log.debug, log.verbose, log.notice, log.warning)[level](text)

    def serve_others(self) -> bool:
        self.server.loop.turn_within_command()
        return not self.server.loop.stopped

    def log_bug(self, what: str, error: BaseException) -> None:
        self.server.log.warning(f"A bug in the command {what}: {error!r}")


@final
class PersistenceTask(CronTask):
    """Persistence's turn of the cron."""

    def __init__(self, persistence: Persistence) -> None:
        self.persistence: Persistence = persistence

    def on_cron(self, now_ms: i64) -> None:
        self.persistence.cron()


class Server:
    """One running server. `listen()`, then `run()` until `stop()`."""

    def __init__(self, config: Config, log: Log, clock: Clock | None = None) -> None:
        self.config: Config = config
        self.log: Log = log
        limits = Limits()
        limits.compat = config.compat
        self.clock: Clock = clock if clock is not None else SystemClock()
        seed = int(self.clock.now_us()) ^ id(self)
        self.engine: Engine = Engine(self.clock, limits, Random64(seed), config.number("databases"))
        EngineSettings(self.engine, config).connect()
        self.engine.hooks = ServerEngineHooks(self)
        self.engine.state.delay = SystemDelay(self.engine.state.rng)
        self.engine.add_commands(all_commands())
        start_users(self.engine, config)
        rename_commands(self.engine, config)
        self.loop: Loop = Loop(self.engine, new_poller(), ServerLoopHooks(self))
        self.memory: MemoryAccount = MemoryAccount(self.engine)
        self.evictor: Evictor = Evictor(self.engine.keyspace)
        self.run_id: bytes = new_identity()
        self.oom_score: OomScore = OomScore(config, log)
        processes = SystemProcesses(self.oom_score)
        self.persistence: Persistence = Persistence(self.engine, config, log, processes=processes)
        self.cron: Cron = Cron(self.engine, self.loop, config, self.memory)
        self.reception: Reception = Reception(self.engine, self.loop, config, log)
        self.listening: Listening = Listening(config, self.loop, log, self.reception.welcome)
        self.facts: ProcessFacts | None = None  # since it listens
        self.launch: Launch | None = None  # of a server that is a process of its own
        self.cron.tasks.append(PersistenceTask(self.persistence))
        self.replication: Replication = Replication(
            self.engine, self.loop, self.persistence, log, self.oom_score
        )
        self.cron.tasks.append(ReplicationTask(self.replication))
        self.shutdown: Shutdown = Shutdown(
            self.engine, config, self.persistence, self.replication.primary, log
        )
        self.shutdown.end = self.end
        self.cron.tasks.append(self.shutdown)
        self.migration_targets: SocketTargets = SocketTargets(config, self.engine.state.rng)
        self.engine.migration_targets = self.migration_targets
        self.engine.info_sources.append(MigrationFacts(self.migration_targets))
        self.cron.tasks.append(MigrationTask(self.migration_targets))
        self.reception.follow_config()
        for name in ("oom-score-adj", "oom-score-adj-values"):
            config.on_change(name, self.oom_score.apply)
        self.oom_score.start()

    # -- sockets ------------------------------------------------------------------------------------------

    def listen(self) -> None:
        """Open every listening socket; raises ListenError."""
        self.listening.open()
        facts = ProcessFacts(self.memory, self.listening.listeners, self.config.number("port"), self.run_id)
        self.facts = facts
        self.engine.info_sources = [EngineFacts(self.engine), facts, *self.engine.info_sources]

    # -- memory -------------------------------------------------------------------------------------------

    def free_memory(self) -> bool:
        """Evict until `maxmemory` is met; False where it cannot be. A replica leaves that to its primary."""
        if self.engine.is_replica and self.config.flag("replica-ignore-maxmemory"):
            return True
        used: i64 = self.memory.counted_for_eviction_bytes()
        if used <= self.engine.limits.maxmemory_bytes or self.engine.latency.threshold_ms == 0:
            return self.evictor.perform(used, self.clock)
        started_us: i64 = self.clock.now_us()
        within = self.evictor.perform(used, self.clock)
        now_us: i64 = self.clock.now_us()
        self.engine.latency.note(b"eviction-cycle", (now_us - started_us) // 1000, now_us // 1_000_000)
        return within

    # -- life ---------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until stop()."""
        self.cron.start()
        if self.persistence.loading is not None:
            self.loop.add_timer(0, self.persistence.step)
        self.loop.run()
        self.close()

    def load(self, when_loaded: Callable[[], None]) -> None:
        """Begin to load the data set; it goes on in run(). Raises LoadingFailed, as run() does."""
        self.persistence.when_loaded.append(when_loaded)
        self.persistence.begin_loading()
        if self.persistence.loading is not None:
            self.persistence.step()

    def shut_down(self, save: bool | None, now: bool, force: bool) -> bytes | None:
        """Wait for replicas, save as asked and stop; the error where the save failed and the server goes on."""
        if self.loop.stopped:
            return None  # asked for once more
        return self.shutdown.ask(save, now, force)

    def end(self) -> None:
        """Take nothing more, and stop."""
        self.listening.close()  # who sees a connection end finds nobody listening any more
        for client in self.engine.clients.values():
            client.close_soon()  # what is asked from now on would be answered and lost
        self.stop()

    def restart(self, gracefully: bool, delay_ms: int) -> None:
        """Begin the process anew (DEBUG RESTART, CRASH-AND-RECOVER); comes back where that is not possible."""
        launch = self.launch
        problem = launch.problem() if launch is not None else "this server is not a process of its own"
        if gracefully and not problem:
            if self.config.config_file:
                try:
                    rewrite(self.config)
                except OSError as error:
                    problem = f"the configuration file cannot be rewritten: {error.strerror or error}"
            self.log.warning("User requested shutdown...")
            if not problem and not self.persistence.before_shutdown(None, False):
                problem = "the data set cannot be saved"
        if problem or launch is None:
            self.log.warning(f"Can't restart: {problem}")
            return
        time.sleep(delay_ms / 1000)
        try:
            launch.again()
        except OSError as error:
            self.log.warning(f"Can't restart: {error.strerror or error}")

    def stop(self) -> None:
        self.loop.stop()

    def close(self) -> None:
        """Give every socket back."""
        self.listening.close()
        for client in list(self.engine.clients.values()):
            client.door.flush()
            client.door.close()
        self.replication.close()
        self.migration_targets.close_all()
        self.loop.poller.close()
