"""A client: what the engine knows of one connection (or of a caller without one).

It owns the client's own state and no behaviour of commands. Sockets are behind ClientDoor, which the server
layer implements; an in-process client has the door that does nothing.

Invariants: `gate` is non-zero exactly when some state makes the engine look closer before it runs a command;
a client whose reply buffer was written outside its own command stands in the engine's `pending` list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.limits import SANITIZE_ALWAYS, SANITIZE_CLIENTS
from gossamer.commands.session import Session
from gossamer.commands.table import Command
from gossamer.engine.acl import SKIP_SANITIZE, User
from gossamer.engine.tracking import TrackingState
from gossamer.keyspace.keyspace import Keyspace
from gossamer.resp.writer import ReplyWriter

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine

# Bits of Client.gate.
GATE_AUTHENTICATION: Final = 1 << 0
GATE_MULTI: Final = 1 << 1
GATE_SUBSCRIBED: Final = 1 << 2
GATE_REPLY: Final = 1 << 3  # CLIENT REPLY OFF or SKIP, or a replica
GATE_NO_TOUCH: Final = 1 << 4
GATE_CLOSING: Final = 1 << 5
GATE_ACL: Final = 1 << 6  # its user may not do everything
GATE_TRACKING: Final = 1 << 7
GATE_LARGE_REQUEST: Final = 1 << 8  # what has arrived may hold a request for the log of large ones

REPLY_ON: Final = 0
REPLY_OFF: Final = 1
REPLY_SKIP: Final = 2  # drops the reply of the next command
REPLY_SKIPPING: Final = 3  # that command runs


@mypyc_attr(allow_interpreted_subclasses=True)
class ClientDoor:
    """What the engine asks of whoever carries a client's bytes."""

    def close(self) -> None:
        """Close the connection at once."""

    def flush(self) -> None:
        """Send what the client's reply buffer holds."""

    def resume(self) -> None:
        """The client is no longer blocked: go on with the requests that have arrived."""

    def unsent_bytes(self) -> i64:
        """Reply bytes that left the writer and are not sent yet."""
        return 0

    def input_bytes(self) -> i64:
        """Bytes of requests that are buffered; of those that run now as well."""
        return 0

    def is_over_output_limit(self) -> bool:
        """Whether so many replies wait that the connection is to be closed without them."""
        return False


class Watch:
    """One WATCHed key of one client."""

    def __init__(self, client: Client, db_index: i64, key: bytes, was_expired: bool) -> None:
        self.client: Client = client
        self.db_index: i64 = db_index
        self.key: bytes = key
        self.was_expired: bool = was_expired


@final
class Client(Session):
    """One client of the engine; `client_id` is unique for the life of the server."""

    def __init__(self, engine: Engine, keyspace: Keyspace, reply: ReplyWriter, client_id: i64) -> None:
        super().__init__(keyspace, reply)
        self.engine: Engine = engine
        self.client_id: i64 = client_id
        self.door: ClientDoor = ClientDoor()
        self.gate: i64 = 0
        self.authenticated: bool = True
        self.brings_own_data: bool = False  # it loads a file, or is the link to the primary
        self.user: User = engine.acl.default
        self.name: bytes = b""
        self.library_name: bytes = b""
        self.library_version: bytes = b""
        self.address: bytes = b""
        self.local_address: bytes = b""
        self.descriptor: i64 = -1
        self.over_unix_socket: bool = False
        self.created_us: i64 = engine.now_us
        self.last_interaction_us: i64 = engine.now_us
        self.last_command: Command | None = None
        self.commands_processed: i64 = 0
        self.input_total_bytes: i64 = 0
        self.output_total_bytes: i64 = 0
        self.reply_mode: i64 = REPLY_ON
        self.kept_pushes: list[bytes] = []
        self.pending: bool = False
        self.close_after_reply: bool = False
        self.closed: bool = False
        self.no_evict: bool = False
        self.accounted_bytes: i64 = 0  # client_memory.py's
        self.last_write: i64 = 0  # what was fed to the append only file ended here then
        self.is_replica: bool = False  # it has asked for the stream of writes
        self.last_offset: i64 = 0  # and here in the stream for replicas
        self.can_redirect: bool = False  # CLIENT CAPA redirect: it follows -REDIRECT
        self.monitor: bool = False
        self.soft_limit_since_us: i64 = 0
        # MULTI and WATCH
        self.queued: list[list[bytes]] | None = None
        self.queued_bytes: i64 = 0
        self.queue_broken: bool = False
        self.watches: list[Watch] = []
        self.watch_dirty: bool = False
        # Blocking: the command that waits, and on what
        self.blocked_argv: list[bytes] | None = None
        self.blocked_command: Command | None = None
        self.blocked_on: list[bytes] = []
        self.blocked_db: i64 = 0
        self.blocked_until_ms: i64 = 0
        self.paused: bool = False
        self.tracking: TrackingState | None = None
        # Pub/sub
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    def is_script(self) -> bool:
        return self.engine.scripts.client is self

    def is_reply_unwanted(self) -> bool:
        return self.door.is_over_output_limit()

    def spare_push(self, mark: i64, is_message: bool) -> None:
        """Put aside what was pushed since `mark` while a command of this client runs, where that is due.

        CLIENT REPLY silences replies, not pushes; and since 7.2 a message to oneself follows the reply.
        """
        if self.gate & GATE_REPLY == 0 and (not is_message or self.limits.compat < 72):
            return
        if self.engine.running is self:
            out = self.reply.out
            self.kept_pushes.append(out.getvalue()[mark:])
            out.truncate(mark)

    def send_kept_pushes(self) -> None:
        """The command is over: what it pushed to its own client may leave."""
        for push in self.kept_pushes:
            self.reply.raw(push)
        self.kept_pushes = []

    def act_as(self, user: User, authenticated: bool) -> None:
        """Belong to a user from now on, who has logged in or not."""
        self.user = user
        self.authenticated = authenticated
        self.set_gate(GATE_AUTHENTICATION, not authenticated)
        self.set_gate(GATE_ACL, not user.unrestricted)

    def set_tracking_gate(self, on: bool) -> None:
        self.set_gate(GATE_TRACKING, on)

    def reads_every_key(self, argv: list[bytes]) -> bool:
        command = self.last_command
        if self.gate & GATE_ACL == 0 or command is None:
            return True
        return self.user.reads_every_key(command, argv)

    def distrusts_payloads(self) -> bool:
        mode: i64 = self.limits.sanitize_dump_payload
        if mode != SANITIZE_CLIENTS:
            return mode == SANITIZE_ALWAYS
        return not self.brings_own_data and self.user.sanitize != SKIP_SANITIZE

    def mark_pending(self) -> None:
        """Its reply buffer has bytes to send at the end of the loop iteration."""
        if not self.pending:
            self.pending = True
            self.engine.pending.append(self)

    def subscription_count(self) -> i64:
        """Channels and patterns, the number that SUBSCRIBE and its kin reply."""
        return i64(len(self.channels)) + i64(len(self.patterns))

    def is_subscribed(self) -> bool:
        return self.gate & GATE_SUBSCRIBED != 0

    def set_no_touch(self, on: bool) -> None:
        """CLIENT NO-TOUCH: reads of this client do not renew access fields."""
        self.set_gate(GATE_NO_TOUCH, on)

    def set_gate(self, bit: i64, on: bool) -> None:
        if on:
            self.gate |= bit
        else:
            self.gate &= ~bit

    def set_reply_mode(self, mode: i64) -> None:
        """CLIENT REPLY: REPLY_ON, REPLY_OFF or REPLY_SKIP."""
        self.reply_mode = mode
        self.set_gate(GATE_REPLY, mode != REPLY_ON)

    def close_soon(self) -> None:
        """Send what was replied so far, then close."""
        self.close_after_reply = True
        self.set_gate(GATE_CLOSING, True)
        self.mark_pending()
