"""The event loop: wait, read and run, write; timers and cron in between.

One iteration: poll; run what is readable; resume clients that were blocked; give up waits that timed out; run due
timers; `before_flush` (the AOF's turn); then every pending reply leaves. All connections share the one flush.
"""

import socket
from collections.abc import Callable
from typing import Final, final

from mypy_extensions import i64

from gossamer.engine.client import Client
from gossamer.engine.engine import Engine
from gossamer.server.connection import EARLY_FLUSH_BYTES, Connection, Endpoint
from gossamer.server.poller import READ, Poller

NEVER_US: Final = 1 << 62


class LoopHooks:
    """What the loop asks of the server around it."""

    def before_flush(self) -> None:
        """Make durable what must be durable before the replies of this iteration leave."""

    def before_wait(self) -> None:
        """Work at the end of every iteration that is not worth a timer (the fast expire cycle)."""

    def log_closing(self, client: Client, why: str) -> None:
        """A client is closed for a reason that is worth a line in the log."""

    def output_limit_reached(self, client: Client, pending_bytes: i64) -> bool:
        """Whether the client's output buffer is over its limit now."""
        return False


@final
class Timer:
    """A call that repeats; the callable answers the ms until its next turn, or a negative number to end."""

    def __init__(self, due_us: i64, call: Callable[[], int]) -> None:
        self.due_us: i64 = due_us
        self.call: Callable[[], int] = call


@final
class Loop:
    """Owns the poller and the endpoints by descriptor."""

    def __init__(self, engine: Engine, poller: Poller, hooks: LoopHooks) -> None:
        self.engine: Engine = engine
        self.poller: Poller = poller
        self.hooks: LoopHooks = hooks
        self.endpoints: list[Endpoint | None] = []  # by descriptor
        self.timers: list[Timer] = []
        self.next_due_us: i64 = NEVER_US  # of the earliest timer
        self.resumable: list[Connection] = []
        self.stopped: bool = False
        self.reply_watch_bytes: i64 = EARLY_FLUSH_BYTES  # a reply that is larger is compared with the limits

    def add(self, descriptor: int, endpoint: Endpoint) -> None:
        """Call endpoint.on_readable() whenever the descriptor has something to read."""
        while len(self.endpoints) <= descriptor:
            self.endpoints.append(None)
        self.endpoints[descriptor] = endpoint
        self.poller.set(descriptor, READ, False)

    def remove(self, descriptor: int) -> None:
        if descriptor < len(self.endpoints) and self.endpoints[descriptor] is not None:
            self.endpoints[descriptor] = None
            self.poller.remove(descriptor)

    def add_timer(self, delay_ms: i64, call: Callable[[], int]) -> Timer:
        """Have `call` called in delay_ms."""
        timer = Timer(self.engine.now_us + delay_ms * 1000, call)
        self.timers.append(timer)
        self.next_due_us = min(self.next_due_us, timer.due_us)
        return timer

    def adopt(self, sock: socket.socket, address: bytes, local_address: bytes) -> Connection:
        """Make a client of an accepted socket."""
        sock.setblocking(False)
        client = self.engine.new_client()
        client.address = address
        client.local_address = local_address
        connection = Connection(self, self.engine, sock, client)
        client.descriptor = connection.descriptor
        self.add(connection.descriptor, connection)
        return connection

    def forget(self, connection: Connection) -> None:
        """The connection closes its socket now."""
        self.remove(connection.descriptor)

    def note_closing(self, client: Client, why: str) -> None:
        self.hooks.log_closing(client, why)

    def check_output_limit(self, connection: Connection) -> None:
        """Close a client whose replies pile up beyond client-output-buffer-limit."""
        pending: i64 = connection.unsent_size + i64(len(connection.client.reply.out))
        if not connection.closed and self.hooks.output_limit_reached(connection.client, pending):
            self.close_over_limit(connection)

    def close_over_limit(self, connection: Connection) -> None:
        """Close a client for its unread replies, which are dropped."""
        self.engine.statistics.output_buffer_limit_disconnections += 1
        self.note_closing(
            connection.client, "scheduled to be closed ASAP for overcoming of output buffer limits."
        )
        connection.close()

    def run(self) -> None:
        """Turn until stop()."""
        while not self.stopped:
            self.turn()

    def stop(self) -> None:
        self.stopped = True

    def turn(self) -> None:
        """One iteration."""
        ready = self.poller.poll(self.timeout_s())
        self.engine.begin_iteration()
        self.dispatch(ready)
        self.after_events()

    def dispatch(self, ready: list[tuple[int, int]]) -> None:
        """Let the endpoints read and write that can."""
        endpoints = self.endpoints
        for descriptor, mask in ready:
            endpoint = endpoints[descriptor]
            if endpoint is None:
                continue
            if mask & 4:
                endpoint.on_writable()
            if mask & ~4:
                endpoint.on_readable()

    def turn_within_command(self, wait_s: float = 0.0) -> None:
        """While a command takes long: read and answer without waiting; no timers, and time stands still."""
        ready = self.poller.poll(wait_s)
        self.engine.now_us = self.engine.clock.now_us()
        self.dispatch(ready)
        self.flush_pending()

    def after_events(self) -> None:
        """Everything of an iteration that follows the reading."""
        engine = self.engine
        self.run_timers()
        if engine.blocking.deadlines:
            engine.time_out_blocked()
        while self.resumable:
            resumable = self.resumable
            self.resumable = []
            for connection in resumable:
                if not connection.closed and connection.client.blocked_command is None:
                    connection.process_input()
        self.flush_pending()
        self.hooks.before_wait()

    def flush_pending(self) -> None:
        """Make durable what must be, then let every reply leave."""
        self.hooks.before_flush()
        engine = self.engine
        if engine.acknowledgements.waiting:
            engine.acknowledgements.serve()
        if engine.tracking.changed:
            engine.tracking.broadcast()
        pending = engine.pending
        if pending:
            engine.pending = []
            for client in pending:
                client.pending = False
                door = client.door
                door.flush()
                if engine.client_memory.limit_bytes:
                    engine.client_memory.note(client)
        if engine.client_memory.total_bytes > engine.client_memory.limit_bytes:
            engine.client_memory.evict()

    def timeout_s(self) -> float:
        """How long the poller may wait."""
        if self.resumable or self.engine.pending:
            return 0.0
        now_us: i64 = self.engine.clock.now_us()
        due_us: i64 = min(now_us + 1_000_000, self.next_due_us)
        if self.engine.blocking.deadlines:
            deadline_ms: i64 = self.engine.blocking.next_deadline_ms()
            if deadline_ms > 0 and deadline_ms * 1000 < due_us:
                due_us = deadline_ms * 1000
        wait_us: i64 = due_us - now_us
        if wait_us <= 0:
            return 0.0
        return float(wait_us + 500) / 1_000_000.0

    def run_timers(self) -> None:
        now_us: i64 = self.engine.now_us
        if now_us < self.next_due_us:
            return
        for timer in self.timers.copy():
            if timer.due_us <= now_us:
                next_ms: i64 = timer.call()
                if next_ms < 0:
                    self.timers.remove(timer)
                else:
                    timer.due_us = now_us + next_ms * 1000
        self.next_due_us = NEVER_US
        for timer in self.timers:
            self.next_due_us = min(self.next_due_us, timer.due_us)
