"""What happens by itself: `hz` times a second, and once a second.

Owns the schedule and nothing else; each task belongs to the part that it calls.
"""

from typing import final

from mypy_extensions import i64

from gossamer.engine.config import Config
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_LOADING, GATE_MEMORY
from gossamer.keyspace.expiry import ExpireCycle
from gossamer.server.loop import Loop
from gossamer.server.memory import MemoryAccount


class CronTask:
    """A part that wants a turn of the cron."""

    def on_cron(self, now_ms: i64) -> None:
        """Called `hz` times a second, between commands."""


@final
class Cron:
    """The timers of a server."""

    def __init__(self, engine: Engine, loop: Loop, config: Config, memory: MemoryAccount) -> None:
        self.engine: Engine = engine
        self.loop: Loop = loop
        self.config: Config = config
        self.memory: MemoryAccount = memory
        self.expire_cycle: ExpireCycle = ExpireCycle(engine.keyspace, engine.clock)
        self.tasks: list[CronTask] = []
        self.turns: i64 = 0
        self.last_sample_us: i64 = 0
        self.last_second: i64 = 0
        self.timeout_s: i64 = 0
        for name in ("timeout", "active-expire-effort", "hz"):
            config.on_change(name, self.configure)
        self.configure()

    def configure(self) -> None:
        self.timeout_s = self.config.number("timeout")
        self.expire_cycle.configure(self.config.number("active-expire-effort"), self.config.number("hz"))

    def start(self) -> None:
        """Begin to tick."""
        self.loop.add_timer(1, self.tick)
        self.loop.add_timer(1, self.expire)
        self.loop.add_timer(1, self.free)
        self.loop.add_timer(1, self.evict)

    def evict(self) -> int:
        """Keep within maxmemory although no command comes (it was lowered); answers the ms until the next turn."""
        engine = self.engine
        idle: bool = engine.is_replica or engine.gate & GATE_LOADING != 0
        if engine.gate & GATE_MEMORY and not idle and engine.hooks.free_memory():
            if self.memory.counted_for_eviction_bytes() > engine.limits.maxmemory_bytes:
                return 1
        return 100

    def free(self) -> int:
        """A slice of giving back the memory of large values; answers the ms until the next."""
        return self.engine.state.lazyfree.slow(self.engine.clock)

    def expire(self) -> int:
        """A slice of the expire cycle; answers the ms until the next."""
        if self.engine.active_expire and self.engine.state.expires_now:
            clock = self.engine.clock
            started_us: i64 = clock.now_us()
            next_ms = self.expire_cycle.slow()
            now_us: i64 = clock.now_us()
            self.engine.latency.note(b"expire-cycle", (now_us - started_us) // 1000, now_us // 1_000_000)
            return next_ms
        if self.engine.active_expire and self.engine.is_replica:
            self.engine.own_expiring.sweep()
        return 100

    def tick(self) -> int:
        """One turn; answers the ms until the next."""
        engine = self.engine
        if engine.debug.cron_paused:
            return 1000 // max(1, self.config.number("hz"))
        now_us: i64 = engine.now_us
        now_ms: i64 = now_us // 1000
        self.turns += 1
        if now_us - self.last_sample_us >= 100_000:
            self.last_sample_us = now_us
            self.sample(now_us)
        if engine.paused_until_ms != 0 and engine.paused_until_ms <= now_ms:
            engine.end_pause()
        if now_us // 1_000_000 != self.last_second:
            self.last_second = now_us // 1_000_000
            self.each_second(now_us)
        for task in self.tasks:
            task.on_cron(now_ms)
        return 1000 // max(1, self.config.number("hz"))

    def fast_expire(self) -> None:
        """A short expire cycle at the end of a loop iteration, when the slow one could not finish."""
        if self.engine.active_expire and self.engine.state.expires_now:
            self.expire_cycle.fast()

    def sample(self, now_us: i64) -> None:
        """Rates and memory for INFO."""
        statistics = self.engine.statistics
        statistics.operations.sample(int(statistics.commands_processed), int(now_us))
        statistics.input.sample(int(statistics.input_bytes), int(now_us))
        statistics.output.sample(int(statistics.output_bytes), int(now_us))
        self.memory.used_bytes()

    def each_second(self, now_us: i64) -> None:
        """Idle clients, soft limits of output buffers, buffers' memory."""
        self.memory.measure_clients()
        self.engine.statistics.end_second()
        hooks = self.loop.hooks
        for client in list(self.engine.clients.values()):
            if client.soft_limit_since_us != 0:
                pending: i64 = client.door.unsent_bytes() + i64(len(client.reply.out))
                if hooks.output_limit_reached(client, pending):
                    self.engine.statistics.output_buffer_limit_disconnections += 1
                    hooks.log_closing(client, "closed for overcoming of output buffer limits.")
                    client.door.close()
                    continue
            if client.is_subscribed() or client.is_replica or client.brings_own_data:
                continue
            if self.timeout_s and client.blocked_command is None:
                if now_us - client.last_interaction_us > self.timeout_s * 1_000_000:
                    hooks.log_closing(client, "Closing idle client")
                    client.door.close()
