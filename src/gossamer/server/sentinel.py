"""A Sentinel as a server: configuration, engine, loop, sockets, the machine, its links and scripts, wired together.

Owns the wiring, the order of a start and of an end. Must not know what the machine decides, nor any data.

Invariants: nothing a client or another Sentinel may rely on leaves before it is in the file (the machine saves inside
the call that decides, replies leave at the end of the loop's turn); scripts and links never keep the loop waiting.
"""

import os
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.acl_access import start_users
from gossamer.engine.client import Client
from gossamer.engine.config import Config
from gossamer.engine.config_commands import EngineSettings, rename_commands
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.engine.info import EngineFacts
from gossamer.sentinel.config import SentinelConfig
from gossamer.sentinel.machine import Sentinel
from gossamer.server.clock import SystemClock
from gossamer.server.cron import Cron
from gossamer.server.facts import ProcessFacts, new_identity
from gossamer.server.listening import Listening
from gossamer.server.log import Log
from gossamer.server.loop import Loop, LoopHooks
from gossamer.server.memory import MemoryAccount
from gossamer.server.poller import new_poller
from gossamer.server.reception import Reception
from gossamer.server.sentinel_commands import sentinel_commands
from gossamer.server.sentinel_door import SystemSentinelDoor
from gossamer.server.sentinel_links import SentinelLinks
from gossamer.server.sentinel_scripts import SentinelScripts

DATABASES: Final = 1  # which stays empty
AFTER_BUG_MS: Final = 1000


@final
class SentinelLoopHooks(LoopHooks):
    """The loop's door to the Sentinel."""

    def __init__(self, server: "SentinelServer") -> None:
        self.server: SentinelServer = server

    def log_closing(self, client: Client, why: str) -> None:
        self.server.log.warning(f"Client id={client.client_id} addr={client.address.decode()} {why}")

    def output_limit_reached(self, client: Client, pending_bytes: i64) -> bool:
        return self.server.reception.output_limit_reached(client, pending_bytes)


@final
class SentinelEngineHooks(EngineHooks):
    """The engine's door to the Sentinel."""

    def __init__(self, server: "SentinelServer") -> None:
        self.server: SentinelServer = server

    def shutdown(self, save: bool | None, now: bool, force: bool) -> bytes | None:
        self.server.shut_down()
        return None

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def log_notice(self, text: str) -> None:
        self.server.log.notice(text)

    def log_bug(self, what: str, error: BaseException) -> None:
        self.server.log.warning(f"A bug in the command {what}: {error!r}")


class SentinelServer:
    """One running Sentinel. `listen()`, then `start()`, then `run()` until `stop()`."""

    def __init__(self, config: Config, lines: SentinelConfig, log: Log, clock: Clock | None = None) -> None:
        self.config: Config = config
        self.log: Log = log
        limits = Limits()
        limits.compat = config.compat
        self.clock: Clock = clock if clock is not None else SystemClock()
        seed = int.from_bytes(os.urandom(7), "little")
        self.engine: Engine = Engine(self.clock, limits, Random64(seed), DATABASES)
        self.engine.mode = b"sentinel"
        EngineSettings(self.engine, config).connect()
        self.engine.hooks = SentinelEngineHooks(self)
        self.loop: Loop = Loop(self.engine, new_poller(), SentinelLoopHooks(self))
        self.memory: MemoryAccount = MemoryAccount(self.engine)
        self.cron: Cron = Cron(self.engine, self.loop, config, self.memory)
        self.run_id: bytes = new_identity()
        self.reception: Reception = Reception(self.engine, self.loop, config, log)
        self.listening: Listening = Listening(config, self.loop, log, self.reception.welcome)
        self.links: SentinelLinks = SentinelLinks(self.loop, config, log, self.now_ms)
        self.scripts: SentinelScripts = SentinelScripts(lines.state.timings, self.announce, self.now_ms)
        self.door: SystemSentinelDoor = SystemSentinelDoor(self.engine, self.links, self.scripts, log)
        self.machine: Sentinel = Sentinel(lines.state, self.door)
        self.links.machine = self.machine
        lines.state.port = self.announced_port()
        lines.load(self.door, self.door.is_executable, self.now_ms(), config.compat)
        self.engine.add_commands(sentinel_commands(self.engine, self.machine, self.now_ms))
        start_users(self.engine, config)
        rename_commands(self.engine, config)
        self.reception.follow_config()

    def announced_port(self) -> int:
        """Where other Sentinels are to connect: they speak TLS where we do."""
        tls_port = self.config.number("tls-port")
        return tls_port if tls_port and self.config.flag("tls-replication") else self.config.number("port")

    def now_ms(self) -> int:
        """The time of this turn of the loop."""
        return int(self.engine.now_us) // 1000

    def announce(self, level: int, kind: bytes, text: bytes) -> None:
        """An event about no instance."""
        self.machine.announce(level, kind, text, None)

    def listen(self) -> None:
        """Open every listening socket; raises ListenError."""
        self.listening.open()
        facts = ProcessFacts(self.memory, self.listening.listeners, self.config.number("port"), self.run_id)
        self.engine.info_sources = [EngineFacts(self.engine), facts]

    def start(self) -> None:
        """Begin to watch; raises OSError where the file cannot be written."""
        self.engine.begin_iteration()
        self.machine.start(self.now_ms())

    def run(self) -> None:
        """Serve until stop()."""
        self.loop.add_timer(1, self.cron.tick)
        self.loop.add_timer(1, self.tick)
        self.loop.run()
        self.close()

    def tick(self) -> int:
        """One turn of the machine and of its scripts; answers the ms until the next."""
        try:
            next_ms = self.machine.tick(self.now_ms())
            self.scripts.step()
        except Exception as bug:  # ours: what was promised is in the file, so going on breaks no promise
            self.log.warning(f"A bug in the Sentinel's tick: {bug!r}")
            return AFTER_BUG_MS
        return next_ms

    def shut_down(self) -> None:
        """Take no more clients and end with this turn of the loop."""
        if self.loop.stopped:
            return
        self.log.warning("User requested shutdown...")
        self.listening.close()
        for client in self.engine.clients.values():
            client.close_soon()
        self.loop.stop()

    def close(self) -> None:
        """Give every socket back. Scripts that run go on by themselves."""
        self.listening.close()
        self.links.close_all()
        for client in list(self.engine.clients.values()):
            client.door.flush()
            client.door.close()
        self.loop.poller.close()
