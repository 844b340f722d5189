"""Wires everything together: configuration, engine, loop, sockets, cron, persistence, signals.

The only place that knows all parts. Each part gets what it needs through its own small door; no part knows the
Server.
"""

import os
import socket
import time
from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.errors import ConfigError
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.acl_access import start_users
from gossamer.engine.client import GATE_AUTHENTICATION, GATE_SUBSCRIBED, Client
from gossamer.engine.config import NORMAL, PUBSUB, Config
from gossamer.engine.config_commands import EngineSettings, rename_commands
from gossamer.engine.config_file import rewrite
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.engine.info import EngineFacts
from gossamer.keyspace.eviction import Evictor
from gossamer.server.clock import SystemClock, SystemDelay
from gossamer.server.command_table import all_commands
from gossamer.server.connection import EARLY_FLUSH_BYTES, FREE_REPLY_BYTES, TlsError, Transport
from gossamer.server.cron import Cron, CronTask
from gossamer.server.facts import ProcessFacts, new_identity
from gossamer.server.listening import Listening
from gossamer.server.log import Log
from gossamer.server.loop import Loop, LoopHooks
from gossamer.server.memory import MemoryAccount
from gossamer.server.migration import MigrationFacts, MigrationTask, SocketTargets
from gossamer.server.oom_score import OomScore
from gossamer.server.persistence import SHUTDOWN_REFUSED, Persistence
from gossamer.server.poller import new_poller
from gossamer.server.process import Launch, grant_descriptors
from gossamer.server.replication import Replication, ReplicationTask
from gossamer.server.storage import SystemProcesses

DESCRIPTORS_RESERVED: Final = 32
UNAUTHENTICATED_OUTPUT_BYTES: Final = 17 * 1024  # unread, as the real servers since 2025
TLS_DIRECTIVES: Final = (
    "tls-port", "tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-dh-params-file", "tls-ca-cert-file",
    "tls-ca-cert-dir", "tls-auth-clients", "tls-cluster", "tls-replication", "tls-protocols", "tls-ciphers",
    "tls-ciphersuites", "tls-prefer-server-ciphers", "tls-session-caching",
)  # fmt: skip
DENIED: Final = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode "
    b"sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the "
    b"same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do "
    b"so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode "
    b"by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting "
    b"the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' "
    b"option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above "
    b"things in order for the server to start accepting connections from the outside.\r\n"
)


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
        return self.server.output_limit_reached(client, pending_bytes)


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
        return None if self.server.shut_down(save, force) else SHUTDOWN_REFUSED

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
        self.listening: Listening = Listening(config, self.loop, log, self.welcome)
        self.maxclients: i64 = config.number("maxclients")
        self.tcp_keepalive_s: int = 0
        self.tls_context: object = None
        self.protected: bool = True
        self.facts: ProcessFacts | None = None  # since it listens
        self.launch: Launch | None = None  # of a server that is a process of its own
        self.output_limits: list[tuple[int, int, int]] = []
        self.cron.tasks.append(PersistenceTask(self.persistence))
        self.replication: Replication = Replication(self.engine, self.loop, self.persistence, log)
        self.cron.tasks.append(ReplicationTask(self.replication))
        self.migration_targets: SocketTargets = SocketTargets(config, self.engine.state.rng)
        self.engine.migration_targets = self.migration_targets
        self.engine.info_sources.append(MigrationFacts(self.migration_targets))
        self.cron.tasks.append(MigrationTask(self.migration_targets))
        self.follow_config()

    # -- configuration ------------------------------------------------------------------------------------

    def follow_config(self) -> None:
        """Take every directive that has an effect at run time, now and whenever it changes."""
        config = self.config
        for names, listener in (
            (("protected-mode",), self.apply_access),
            (("maxclients",), self.apply_maxclients),
            (("client-output-buffer-limit",), self.apply_output_limits),
            (("tcp-keepalive",), self.apply_keepalive),
            (TLS_DIRECTIVES, self.apply_tls),
        ):
            for name in names:
                config.on_change(name, listener)
            listener()
        for name in ("oom-score-adj", "oom-score-adj-values"):
            config.on_change(name, self.oom_score.apply)
        self.oom_score.start()

    def apply_access(self) -> None:
        self.protected = self.config.flag("protected-mode")

    def apply_maxclients(self) -> None:
        wanted = self.config.number("maxclients")
        granted = grant_descriptors(wanted + DESCRIPTORS_RESERVED) - DESCRIPTORS_RESERVED
        if granted < wanted and wanted > self.maxclients:
            raise ConfigError(
                "The operating system is not able to handle the specified number of clients, "
                f"try with {granted}"
            )
        self.maxclients = wanted

    def apply_output_limits(self) -> None:
        self.output_limits = [self.config.output_buffer_limit(i) for i in range(3)]
        limits = [limit for hard, soft, _ in self.output_limits for limit in (hard, soft) if limit]
        self.loop.reply_watch_bytes = max(FREE_REPLY_BYTES, min([EARLY_FLUSH_BYTES, *limits]))

    def apply_keepalive(self) -> None:
        self.tcp_keepalive_s = self.config.number("tcp-keepalive")

    # -- sockets ------------------------------------------------------------------------------------------

    def raise_descriptor_limit(self) -> None:
        """Make room for maxclients descriptors, or lower maxclients to what the system grants."""
        granted = grant_descriptors(int(self.maxclients) + DESCRIPTORS_RESERVED) - DESCRIPTORS_RESERVED
        if granted < self.maxclients:
            self.maxclients = max(1, granted)
            self.config.put("maxclients", int(self.maxclients))
            self.log.warning(
                f"maxclients has been reduced to {self.maxclients} to fit the limit of open files."
            )

    def listen(self) -> None:
        """Open every listening socket; raises ListenError."""
        self.listening.open()
        facts = ProcessFacts(self.memory, self.listening.listeners, self.config.number("port"), self.run_id)
        self.facts = facts
        self.engine.info_sources = [EngineFacts(self.engine), facts, *self.engine.info_sources]

    def welcome(self, sock: socket.socket, peer: bytes, local: bytes, over_tls: bool) -> None:
        """Make a client of an accepted socket, or refuse it."""
        statistics = self.engine.statistics
        is_unix = sock.family == socket.AF_UNIX
        if i64(len(self.engine.clients)) >= self.maxclients:
            statistics.connections_rejected += 1
            refuse(sock, b"-ERR max number of clients reached\r\n")
            return
        if (
            self.protected
            and self.engine.acl.default.needs_no_password
            and not is_unix
            and not is_loopback(peer)
        ):
            statistics.connections_rejected += 1
            refuse(sock, DENIED)
            return
        statistics.connections_received += 1
        if not is_unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tcp_keepalive_s:
                set_keepalive(sock, self.tcp_keepalive_s)
        connection = self.loop.adopt(sock, peer, local)
        if over_tls:
            connection.tls = self.new_transport()
        connection.client.over_unix_socket = is_unix

    def new_transport(self) -> Transport:
        """TLS for one more connection, by the settings of now."""
        from gossamer.server import tls

        if self.tls_context is None:
            self.tls_context = tls.server_context(self.config)
        return tls.new_transport(self.tls_context)

    def apply_tls(self) -> None:
        """The certificates or their settings changed: build the context again, at once if it is in use."""
        self.tls_context = None
        if self.config.number("tls-port"):
            from gossamer.server import tls

            try:
                self.tls_context = tls.server_context(self.config)
            except TlsError as error:
                self.log.warning(str(error))
                raise ConfigError("Unable to update TLS configuration. Check server logs.") from error

    def output_limit_reached(self, client: Client, pending_bytes: i64) -> bool:
        """Whether a client must be closed for the replies that it does not read (client-output-buffer-limit).

        One that has not logged in where it must gets no more than UNAUTHENTICATED_OUTPUT_BYTES.
        """
        if client.is_replica:
            return False  # server/replication.py judges by what is left of the stream
        if client.gate & GATE_AUTHENTICATION and pending_bytes > UNAUTHENTICATED_OUTPUT_BYTES:
            return True
        hard, soft, seconds = self.output_limits[PUBSUB if client.gate & GATE_SUBSCRIBED else NORMAL]
        if hard and pending_bytes >= hard:
            return True
        if not soft or pending_bytes < soft:
            client.soft_limit_since_us = 0
            return False
        now_us: i64 = self.engine.now_us
        if client.soft_limit_since_us == 0:
            client.soft_limit_since_us = now_us
        return now_us - client.soft_limit_since_us > seconds * 1_000_000

    # -- memory -------------------------------------------------------------------------------------------

    def free_memory(self) -> bool:
        """Evict until `maxmemory` is met; False where it cannot be."""
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

    def shut_down(self, save: bool | None, force: bool) -> bool:
        """Save as asked and stop; False where the save failed and the server goes on."""
        if self.loop.stopped:
            return True  # asked for once more
        if not self.persistence.before_shutdown(save, force):
            return False
        self.listening.close()  # who sees a connection end finds nobody listening any more
        for client in self.engine.clients.values():
            client.close_soon()  # what is asked from now on would be answered and lost
        self.stop()
        return True

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


def refuse(sock: socket.socket, message: bytes) -> None:
    """Say why, as far as the kernel takes it at once, and close."""
    try:
        sock.setblocking(False)
        sock.send(message)
    except OSError:
        pass
    sock.close()


def is_loopback(peer: bytes) -> bool:
    return peer.startswith((b"127.", b"[::1]", b"[::ffff:127."))


def set_keepalive(sock: socket.socket, interval_s: int) -> None:
    """First probe after interval_s, then three more at a third of it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, interval_s // 3))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
