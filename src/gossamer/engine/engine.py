"""A whole server without sockets: execute(client, argv) writes the reply into client.reply.

Owns the command table in use, the clients, and the path of a command: look up, arity, the gates (authentication,
MULTI, subscriptions, memory, loading, pause), the call with its accounting, and what follows a call (propagation,
blocked clients). What it needs from above comes through small doors: Clock, WriteFeed, ClientDoor.

Invariants: a command that raises leaves exactly one error reply; `state.dirty` moves only by changed(); a reply
is complete in the client's buffer before `execute` returns, unless the client is blocked.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.base.errors import CommandError
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.commands.table import (
    ADMIN,
    FAST,
    SKIP_MONITOR,
    SKIP_SLOWLOG,
    Command,
    build_table,
)
from gossamer.engine.acknowledgements import Acknowledgements
from gossamer.engine.acl import Acl
from gossamer.engine.acl_access import act_as_default, refusal_text, without_secrets
from gossamer.engine.admission import admit, unknown_command
from gossamer.engine.blocking import Blocking, awaited_type
from gossamer.engine.client import (
    GATE_ACL,
    GATE_LARGE_REQUEST,
    GATE_MULTI,
    GATE_REPLY,
    GATE_TRACKING,
    REPLY_ON,
    REPLY_SKIP,
    REPLY_SKIPPING,
    Client,
)
from gossamer.engine.client_memory import ClientMemory
from gossamer.engine.command_log import CommandLog, wire_bytes
from gossamer.engine.config import Config
from gossamer.engine.debug_settings import DebugSettings
from gossamer.engine.doors import EngineHooks, InfoSource, WriteFeed
from gossamer.engine.effects import HEARERS_SHIFT, effects_for, tell
from gossamer.engine.functions import Functions
from gossamer.engine.gates import (
    GATE_BUSY,
    GATE_MEMORY,
    GATE_MONITORS,
    GATE_PAUSED,
    GATE_READ_ONLY,
    GATE_REPLICAS,
    GATE_STALE,
)
from gossamer.engine.keyspace_events import KeyspaceEvents
from gossamer.engine.latency import LatencyMonitor
from gossamer.engine.migration_door import MigrationTargets
from gossamer.engine.monitors import Monitors
from gossamer.engine.pubsub import PubSub
from gossamer.engine.replica_clients import drop_reply
from gossamer.engine.replication_door import ReplicationDoor
from gossamer.engine.scripting import Scripts
from gossamer.engine.snapshot_door import RewriteDoor, SnapshotDoor
from gossamer.engine.statistics import Statistics, record_latency
from gossamer.engine.tracking import Tracking
from gossamer.engine.watches import Watches
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.own_expiry import OwnExpiringKeys
from gossamer.keyspace.state import KeyspaceState
from gossamer.resp.errors import (
    FORCED_UNBLOCK,
    wrong_arity,
)
from gossamer.resp.personality import Personality, personality_of
from gossamer.resp.writer import ReplyWriter

NAME_CACHE_MAX: Final = 4096


@final
class Engine:
    """The server's logic; everything that it uses is handed in."""

    def __init__(self, clock: Clock, limits: Limits, rng: Random64, databases: int) -> None:
        self.clock: Clock = clock
        self.now_us: i64 = clock.now_us()
        self.limits: Limits = limits
        self.config: Config = Config(int(limits.compat))  # the defaults, until a server brings its own
        self.keyspace: Keyspace = Keyspace(KeyspaceState(limits, rng, KeyspaceEvents(self)), databases)
        self.own_expiring: OwnExpiringKeys = OwnExpiringKeys(self.keyspace, clock)
        self.notes_own_keys: bool = False  # a replica that clients may write to
        self.state: KeyspaceState = self.keyspace.state
        self.state.set_time(self.now_us // 1000)
        self.commands: dict[bytes, Command] = {}
        self.name_cache: dict[bytes, Command] = {}
        self.recent_name: bytes = b""  # the name looked up last, as it was spelled, and what it named
        self.recent_command: Command | None = None
        self.gate: i64 = 0
        self.acl: Acl = Acl(int(limits.compat))
        self.clients: dict[i64, Client] = {}
        self.next_client_id: i64 = 1
        self.pending: list[Client] = []
        self.monitors: Monitors = Monitors()
        self.blocking: Blocking = Blocking(databases)
        self.watches: Watches = Watches(self.keyspace)
        self.pubsub: PubSub = PubSub()
        self.statistics: Statistics = Statistics(self.now_us)
        self.slowlog: CommandLog = CommandLog(10_000)  # us
        self.large_requests: CommandLog = CommandLog(1 << 20)  # bytes
        self.large_replies: CommandLog = CommandLog(1 << 20)  # bytes
        self.latency: LatencyMonitor = LatencyMonitor()
        self.feeds: list[WriteFeed] = []
        self.hooks: EngineHooks = EngineHooks()
        self.info_sources: list[InfoSource] = []
        self.snapshots: SnapshotDoor = SnapshotDoor()
        self.rewriter: RewriteDoor = RewriteDoor()
        self.migration_targets: MigrationTargets = MigrationTargets()
        self.effects: list[list[bytes]] = []  # of the command or transaction under way
        self.effect_databases: list[i64] = []  # of each of them; ~database: a message, for replicas only
        self.effects_differ: bool = False  # some are not for all feeds: see call_for()
        self.running: Client | None = None
        self.call_depth: i64 = 0
        self.in_transaction: bool = False
        self.personality: Personality = personality_of(int(limits.compat))
        self.paused_until_ms: i64 = 0
        self.pause_writes_only: bool = False
        self.writes_held: bool = False  # while this server hands its role over
        self.paused_clients: list[Client] = []
        self.tracks_latency: bool = True
        self.active_expire: bool = True  # DEBUG SET-ACTIVE-EXPIRE
        self.debug: DebugSettings = DebugSettings()
        self.scripts: Scripts = Scripts(self)
        self.tracking: Tracking = Tracking(self)
        self.client_memory: ClientMemory = ClientMemory(self)
        self.acknowledgements: Acknowledgements = Acknowledgements(self)
        self.functions: Functions = Functions(self, self.scripts)
        self.replication: ReplicationDoor = ReplicationDoor()
        self.mode: bytes = b"standalone"  # or sentinel, as HELLO and INFO call it
        self.is_replica: bool = False

    # -- clients ------------------------------------------------------------------------------------------

    def new_client(self) -> Client:
        """A client that is connected now."""
        client = Client(self, self.keyspace, ReplyWriter(self.limits.compat), self.next_client_id)
        self.next_client_id += 1
        act_as_default(client)
        self.clients[client.client_id] = client
        return client

    def new_hidden_client(self) -> Client:
        """A client that no list shows: for scripts and for loading."""
        return Client(self, self.keyspace, ReplyWriter(self.limits.compat), 0)

    def free_client(self, client: Client) -> None:
        """Forget a client whose connection is gone."""
        if client.closed:
            return
        client.closed = True
        if client.blocked_command is not None:
            self.blocking.release(client)
        self.watches.forget(client)
        self.pubsub.forget(client)
        self.watch_commands(client, False)
        self.tracking.disable(client)
        self.client_memory.forget(client)
        self.replication.forget(client)
        self.clients.pop(client.client_id, None)

    def set_gate(self, bit: i64, on: bool) -> None:
        if on:
            self.gate |= bit
        else:
            self.gate &= ~bit

    def set_busy(self, on: bool) -> None:
        """A slow script runs: most commands of others are refused."""
        self.set_gate(GATE_BUSY, on)

    def become_replica(self) -> None:
        """Another server decides from now on what is written and what expires."""
        self.is_replica = True
        self.state.expires_now = False
        for client in list(self.clients.values()):
            if client.blocked_command is not None and not client.paused:
                self.unblock(client, FORCED_UNBLOCK)
                client.close_soon()

    def become_primary(self) -> None:
        """This server decides itself."""
        self.is_replica = False
        self.state.expires_now = True
        self.own_expiring.forget()

    def lacks_replicas(self) -> bool:
        """Whether writes are refused by min-replicas-to-write."""
        return self.gate & GATE_REPLICAS != 0

    def is_read_only_for(self, client: Client) -> bool:
        """Whether a replica refuses what this client wants to write."""
        return self.gate & GATE_READ_ONLY != 0 and not client.brings_own_data

    def is_stale(self) -> bool:
        """Whether a replica serves nothing, since its link is down."""
        return self.gate & GATE_STALE != 0

    def is_over_memory_limit(self) -> bool:
        """Whether maxmemory is set and eviction cannot meet it."""
        return self.gate & GATE_MEMORY != 0 and not self.hooks.free_memory()

    def begin_iteration(self) -> None:
        """Read the clock; the loop calls it when it wakes."""
        self.statistics.loop_cycles += 1
        self.now_us = self.clock.now_us()
        now_ms: i64 = self.now_us // 1000
        if now_ms != self.state.now_ms:
            self.state.set_time(now_ms)

    def add_commands(self, commands: tuple[Command, ...]) -> None:
        """Put a group into the table, as far as the version that is answered as has its commands."""
        self.commands.update(build_table((commands,), int(self.limits.compat)))
        self.acl.add_commands(self.commands)

    # -- the path of a command ----------------------------------------------------------------------------

    def find_command(self, argv: list[bytes]) -> Command | None:
        """The command or subcommand that argv names, in any case of letters; None where there is none."""
        name = argv[0]
        command = self.commands.get(name.lower())
        if command is None:
            return None
        if command.subcommands:
            if len(argv) < 2:
                return command
            return command.subcommands.get(argv[1].lower())
        if len(self.name_cache) < NAME_CACHE_MAX:
            self.name_cache[name] = command
        return command

    def execute(self, client: Client, argv: list[bytes]) -> None:
        """Run one request of a client; argv is not empty."""
        if client.gate & GATE_REPLY:
            self.execute_muted(client, argv)
        else:
            self.process(client, argv)
            if client.kept_pushes:
                client.send_kept_pushes()

    def process(self, client: Client, argv: list[bytes]) -> None:
        """From the name of a command to its reply, and to what follows from it."""
        name = argv[0]
        command = self.recent_command
        if command is None or name != self.recent_name:
            command = self.name_cache.get(name)
            if command is None:
                command = self.find_command(argv)
                if command is None:
                    if name.lower() in HTTP_WORDS:
                        client.door.close()  # a browser was made to talk to us (cross-protocol scripting)
                    else:
                        self.reject(client, None, unknown_command(self, argv))
                    return
            if not command.in_container and not command.subcommands:
                self.recent_name = name
                self.recent_command = command
        n: i64 = len(argv)
        arity: i64 = command.arity
        if n != arity and (arity > 0 or n < -arity):
            self.refuse(client, command, wrong_arity(command.full_name))
            return
        if (client.gate | self.gate) != 0 and not admit(self, client, command, argv):
            return
        self.call(client, command, argv)
        if client.block_keys is not None:
            self.start_blocking(client, command, argv)
        if self.blocking.ready and self.call_depth == 0:
            self.serve_ready()

    def execute_muted(self, client: Client, argv: list[bytes]) -> None:
        """Run a request of a client that said CLIENT REPLY OFF or SKIP, or of a replica: its reply is dropped."""
        mark: i64 = len(client.reply.out)
        if client.is_replica:
            self.process(client, argv)
            drop_reply(self, client, argv, mark)
            return
        if client.reply_mode == REPLY_SKIP:
            client.reply_mode = REPLY_SKIPPING
        self.process(client, argv)
        if client.reply_mode != REPLY_ON:
            client.reply.out.truncate(mark)
            if client.reply_mode == REPLY_SKIPPING:
                client.set_reply_mode(REPLY_ON)
        client.send_kept_pushes()

    def call(self, client: Client, command: Command, argv: list[bytes]) -> None:
        """Run a command that was admitted, account for it, and hand its effects on."""
        state = self.state
        reply = client.reply
        started_us: i64 = self.now_us
        mark: i64 = len(reply.out)
        dirty: i64 = state.dirty
        outer = self.running
        self.running = client
        client.last_command = command
        function = command.function
        assert function is not None
        if self.gate & GATE_MONITORS and command.name in RUNNING_SCRIPTS:
            self.monitors.feed(self.now_us, client, command, argv)  # before what it runs
        try:
            function(client, argv)
        except CommandError as error:
            reply.out.truncate(mark)
            reply.error(error.message)
            client.block_keys = None
        except Exception as bug:
            reply.out.truncate(mark)
            reply.error(b"ERR internal error in '" + command.full_name + b"'")
            client.block_keys = None
            self.hooks.log_bug(command.full_name.decode(), bug)
        self.running = outer
        if self.gate & GATE_MONITORS and not command.flags & (SKIP_MONITOR | ADMIN):
            self.monitors.feed(self.now_us, client, command, argv)
        now_us: i64 = self.clock.now_us()
        self.now_us = now_us
        now_ms: i64 = now_us // 1000
        if now_ms != state.now_ms and self.call_depth == 0:
            state.set_time(now_ms)
        elapsed_us: i64 = now_us - started_us
        if elapsed_us < 0:
            elapsed_us = 0
        command.calls += 1
        command.total_us += elapsed_us
        if self.tracks_latency:
            record_latency(command, elapsed_us)
        if elapsed_us >= self.slowlog.watch_above:
            self.note_slow(client, command, argv, elapsed_us)
        replied: i64 = i64(len(reply.out)) - mark
        if replied > 0 and reply.out[mark] == 45:
            command.failed_calls += 1
            self.statistics.note_error(reply.out, mark)
        if replied >= self.large_replies.watch_above:
            self.note_in(self.large_replies, client, command, argv, replied)
        if client.gate & GATE_LARGE_REQUEST and self.call_depth == 0:
            self.note_in(self.large_requests, client, command, argv, wire_bytes(argv))
        if client.gate & GATE_TRACKING:
            self.tracking.after_call(client, command, argv)
        if client.propagated is not None or (self.feeds and (state.dirty > dirty or self.effects)):
            self.collect_effects(client, argv, state.dirty > dirty)

    def note_slow(self, client: Client, command: Command, argv: list[bytes], elapsed_us: i64) -> None:
        """Slow log and latency monitor, each by its own threshold."""
        if command.flags & SKIP_SLOWLOG == 0 and client.block_keys is None:
            self.note_in(self.slowlog, client, command, argv, elapsed_us)
            event = b"fast-command" if command.flags & FAST else b"command"
            self.latency.note(event, elapsed_us // 1000, self.now_us // 1_000_000)

    def note_in(
        self, log: CommandLog, client: Client, command: Command, argv: list[bytes], cost: i64
    ) -> None:
        """Offer a command to a log; what a script calls is the script's cost."""
        if command.flags & SKIP_SLOWLOG == 0 and client.block_keys is None and client.client_id != 0:
            if log.threshold >= 0 and cost >= log.threshold:
                argv = without_secrets(command, argv, int(self.limits.compat))
                log.note(argv, cost, self.now_us, client.address, client.name)

    def collect_effects(self, client: Client, argv: list[bytes], wrote: bool) -> None:
        """Remember what AOF and replicas must see; send it unless a transaction is under way.

        What the keyspace said while the command ran (a key that was due is gone) stands before the command.
        """
        if self.tracking.flush_due:
            self.tracking.send_flush()
        propagated = client.propagated
        db_index: i64 = client.db.index
        if propagated is None:
            if wrote and self.call_depth == 0 and not self.effects:
                for feed in self.feeds:
                    feed.feed(db_index, argv)
                self.acknowledgements.note_write(client)
                return
        else:
            client.propagated = None
            if not self.feeds:
                return
        if propagated is not None:
            for effect in propagated:
                self.add_effect(db_index, effect)
        elif wrote:
            self.add_effect(db_index, argv)
        if self.call_depth == 0:
            self.flush_effects(len(self.effects) > 1 and argv[0].lower() not in TOUCHING_ARBITRARY_KEYS)
            self.acknowledgements.note_write(client)

    def add_effect(self, db_index: i64, argv: list[bytes]) -> None:
        self.effects.append(argv)
        self.effect_databases.append(db_index)

    def add_message(self, db_index: i64, argv: list[bytes]) -> None:
        """Remember a message to subscribers: replicas pass it on, the AOF does not keep it."""
        if self.feeds:
            self.add_effect(~db_index, argv)

    def call_for(self, client: Client, command: Command, argv: list[bytes], hearers: i64) -> None:
        """call() for a command that a script tells to some feeds only (redis.set_repl)."""
        mark: i64 = len(self.effects)
        self.call(client, command, argv)
        if hearers == 0:
            del self.effects[mark:]
            del self.effect_databases[mark:]
            return
        databases = self.effect_databases
        n: i64 = len(databases)
        for i in range(mark, n):
            db_index: i64 = databases[i]
            if db_index >= 0:
                databases[i] = db_index | hearers << HEARERS_SHIFT
                self.effects_differ = True

    def flush_effects(self, as_unit: bool) -> None:
        """Hand the effects collected so far to the feeds, as one unit or each alone."""
        effects = self.effects
        if not effects:
            return
        databases = self.effect_databases
        self.effects = []
        self.effect_databases = []
        differ: bool = self.effects_differ
        self.effects_differ = False
        for feed in self.feeds:
            if differ:
                tell(feed, *effects_for(feed.hears(), effects, databases), as_unit, self.limits.compat)
            else:
                tell(feed, effects, databases, as_unit, self.limits.compat)

    # -- gates --------------------------------------------------------------------------------------------

    def reject(self, client: Client, command: Command | None, message: bytes) -> None:
        """Refuse a request before it runs; a transaction that was being queued is broken by it."""
        if client.queued is not None:
            client.queue_broken = True
        if command is not None:
            command.rejected_calls += 1
        mark: i64 = len(client.reply.out)
        client.reply.error(message)
        self.statistics.note_error(client.reply.out, mark)

    def refuse(self, client: Client, command: Command, message: bytes) -> bool:
        """reject(), as the answer of a gate; EXEC that is refused says why it aborts."""
        if command.name == b"exec":
            self.discard_transaction(client)
            message = b"EXECABORT Transaction discarded because of: " + message.removeprefix(b"ERR ")
        self.reject(client, command, message)
        return False

    def hold_writes(self) -> None:
        """Let writes wait until release_writes(), whatever CLIENT PAUSE says."""
        self.writes_held = True
        self.state.expiry_paused = True
        self.set_gate(GATE_PAUSED, True)

    def release_writes(self) -> None:
        if self.writes_held:
            self.writes_held = False
            if self.paused_until_ms <= self.state.now_ms:
                self.end_pause()

    def end_pause(self) -> None:
        """Run what waited for the end of CLIENT PAUSE, in order."""
        self.paused_until_ms = 0
        if self.writes_held:
            return
        self.state.expiry_paused = False
        self.set_gate(GATE_PAUSED, False)
        waiting = self.paused_clients
        self.paused_clients = []
        for client in waiting:
            argv = client.blocked_argv
            client.paused = False
            client.blocked_argv = None
            client.blocked_command = None
            if client.closed or argv is None:
                continue
            self.execute(client, argv)
            client.mark_pending()
            if client.blocked_command is None:
                client.door.resume()
        releasing = self.running
        if waiting and releasing is not None and releasing.propagated is None:
            releasing.propagated = []  # the writes that ran were told; the command that let them run is none

    # -- blocked clients ----------------------------------------------------------------------------------

    def start_blocking(self, client: Client, command: Command, argv: list[bytes]) -> None:
        """The command that ran has asked to wait."""
        keys = client.block_keys
        client.block_keys = None
        assert keys is not None
        self.blocking.block(client, command, argv, keys, client.block_deadline_ms)

    def serve_ready(self) -> None:
        """Run again, in order of arrival, the commands that wait for keys which changed."""
        blocking = self.blocking
        while blocking.ready:
            ready = blocking.ready
            blocking.ready = []
            blocking.ready_set = set()
            for db_index, key in ready:
                line = blocking.waiting[db_index].get(key)
                if line is None:
                    continue
                for client in line.copy():
                    command = client.blocked_command
                    if command is None:
                        continue
                    db = self.keyspace.databases[db_index]
                    if db.exists(key) and db.found_type_name() == awaited_type(command):
                        client.ready_key = key if self.limits.compat < 72 else None
                        self.retry(client)
                        client.ready_key = None
                    elif command.name == b"xreadgroup":
                        self.end_group_read(client)

    def end_group_read(self, client: Client) -> None:
        """The stream for whose group a client waited is gone: an error ends the wait, the command's own since 7.2."""
        if self.limits.compat < 72:
            self.unblock(client, b"UNBLOCKED the stream key no longer exists")
        else:
            self.retry(client)

    def retry(self, client: Client) -> None:
        """Run a blocked client's command once more; it stays where it is if it still cannot be served."""
        command = client.blocked_command
        argv = client.blocked_argv
        assert command is not None and argv is not None
        mark: i64 = len(client.reply.out)
        until_ms: i64 = client.blocked_until_ms
        function = command.function
        assert function is not None
        dirty: i64 = self.state.dirty
        outer = self.running
        self.running = client
        started_us: i64 = self.clock.now_us()
        try:
            if client.gate & GATE_ACL and self.limits.compat >= 72:
                denied = refusal_text(self, client, command, argv)
                if denied is not None:
                    raise CommandError(denied)
            function(client, argv)
        except CommandError as error:
            client.reply.out.truncate(mark)
            client.reply.error(error.message)
            self.statistics.note_error(client.reply.out, mark)
            command.failed_calls += 1
        self.running = outer
        if client.block_keys is not None:
            client.block_keys = None
            client.blocked_until_ms = until_ms
            if client.propagated is not None or self.effects:
                self.collect_effects(client, argv, False)
            return
        self.blocking.release(client)
        client.last_interaction_us = self.now_us
        self.note_served(client, command, argv, self.clock.now_us() - started_us)
        if client.propagated is not None or (self.feeds and (self.state.dirty > dirty or self.effects)):
            self.collect_effects(client, argv, self.state.dirty > dirty)
        client.send_kept_pushes()
        client.mark_pending()
        client.door.resume()

    def note_served(self, client: Client, command: Command, argv: list[bytes], elapsed_us: i64) -> None:
        """Slow log and latency monitor hear of a command that waited when it is served; its wait does not count."""
        if elapsed_us >= self.slowlog.watch_above:
            self.note_in(self.slowlog, client, command, argv, elapsed_us)
            self.latency.note(b"command-unblocking", elapsed_us // 1000, self.now_us // 1_000_000)

    def unblock(self, client: Client, error: bytes | None) -> None:
        """End a wait without service: by its timeout (error None) or by CLIENT UNBLOCK ... ERROR."""
        command = client.blocked_command
        if command is None:
            return
        self.blocking.release(client)
        if error is not None:
            mark: i64 = len(client.reply.out)
            client.reply.error(error)
            self.statistics.note_error(client.reply.out, mark)
            command.failed_calls += 1
        elif not self.acknowledgements.answer(client, command):
            client.reply.null_array()
        client.mark_pending()
        client.door.resume()

    def time_out_blocked(self) -> None:
        """Give up the waits whose time is over."""
        while True:
            client = self.blocking.pop_timed_out(self.state.now_ms)
            if client is None:
                return
            self.unblock(client, None)

    def discard_transaction(self, client: Client) -> None:
        """Leave MULTI: forget the queue and the watches."""
        client.queued = None
        client.queued_bytes = 0
        client.queue_broken = False
        client.gate &= ~GATE_MULTI
        self.watches.forget(client)

    def watch_commands(self, client: Client, on: bool) -> None:
        """Let a client enter or leave MONITOR."""
        if on:
            self.monitors.begin(client)
        else:
            self.monitors.end(client)
        self.set_gate(GATE_MONITORS, bool(self.monitors.clients))


HTTP_WORDS: Final = frozenset((b"post", b"host:"))
RUNNING_SCRIPTS: Final = frozenset((b"eval", b"eval_ro", b"evalsha", b"evalsha_ro", b"fcall", b"fcall_ro"))
TOUCHING_ARBITRARY_KEYS: Final = frozenset(
    (b"scan", b"randomkey")
)  # due keys that they meet need not go together
