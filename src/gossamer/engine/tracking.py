"""Client-side caching: who may have which key in a cache of its own, and who must hear that it changed.

Owns the table of tracked keys, the prefixes of clients in broadcasting mode, and the messages. Must not know: how the
CLIENT commands spell any of it (tracking_commands.py).

    CLIENT TRACKING on                 GET k -> table[k] has the client; k changes -> one message, the entry goes
    CLIENT TRACKING on BCAST PREFIX p  a key that begins with p changes -> a message at the end of the iteration

Invariants: `active` is false exactly while neither a key nor a prefix is tracked, so that writes cost one test then; a
client has GATE_TRACKING exactly while it tracks. An entry may name a client that tracks no longer: it is passed over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from gossamer.commands.key_positions import find_keys
from gossamer.commands.table import READONLY, Command

if TYPE_CHECKING:
    from gossamer.engine.client import Client
    from gossamer.engine.engine import Engine

CHANNEL: Final = b"__redis__:invalidate"
# What a script reads is tracked command by command.
SCRIPTS: Final = (b"eval_ro", b"evalsha_ro", b"fcall_ro")


@final
class TrackingState:
    """How one client tracks."""

    def __init__(self) -> None:
        self.redirect: i64 = 0  # the client that gets the messages; 0: this one
        self.broadcasting: bool = False
        self.opts_in: bool = False
        self.opts_out: bool = False
        self.no_loop: bool = False
        self.caching_said: bool = False  # CLIENT CACHING, for the next command
        self.is_broken: bool = False  # the client that the messages go to is gone
        self.prefixes: list[bytes] = []


@final
class Tracking:
    """Client-side caching of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self.active: bool = False
        self.table: dict[bytes, dict[i64, None]] = {}  # key -> ids of clients, in order
        self.items: i64 = 0  # ids in the table
        self.clients: i64 = 0  # that track
        self.prefixes: dict[bytes, dict[Client, None]] = {}
        self.changed: dict[bytes, dict[bytes, Client | None]] = {}  # prefix -> key -> who changed it last
        self.flush_due: bool = False  # a database was emptied

    def settle(self) -> None:
        self.active = bool(self.table) or bool(self.prefixes)

    # -- who tracks ---------------------------------------------------------------------------------------

    def enable(self, client: Client, state: TrackingState) -> None:
        """Let a client track, or change how it does; prefixes add to those that it has."""
        known = client.tracking
        if state.broadcasting and not state.prefixes:
            state.prefixes = [b""]
        if known is None:
            self.clients += 1
        else:
            state.prefixes = known.prefixes + [word for word in state.prefixes if word not in known.prefixes]
            state.caching_said = known.caching_said
        client.tracking = state
        client.set_tracking_gate(True)
        if state.broadcasting:
            for prefix in state.prefixes:
                self.prefixes.setdefault(prefix, {})[client] = None
        self.settle()

    def disable(self, client: Client) -> None:
        """The client tracks no longer; what the table has of it goes as its keys change."""
        state = client.tracking
        if state is None:
            return
        for prefix in state.prefixes:
            listeners = self.prefixes.get(prefix)
            if listeners is not None:
                listeners.pop(client, None)
                if not listeners:
                    del self.prefixes[prefix]
                    self.changed.pop(prefix, None)
        client.tracking = None
        client.set_tracking_gate(False)
        self.clients -= 1
        self.settle()

    def current(self) -> Client | None:
        """The client whose request runs, be it by way of a script."""
        running = self.engine.running
        scripts = self.engine.scripts
        if running is scripts.client and scripts.running is not None:
            return scripts.running.caller
        return running

    # -- what is tracked ----------------------------------------------------------------------------------

    def after_call(self, client: Client, command: Command, argv: list[bytes]) -> None:
        """Remember the keys that a command of a tracking client read."""
        engine = self.engine
        scripts = engine.scripts
        if client is scripts.client and scripts.running is not None:
            client = scripts.running.caller
        state = client.tracking
        if state is None:
            return
        if command.flags & READONLY and not state.broadcasting and command.name not in SCRIPTS:
            if state.caching_said if state.opts_in else not (state.opts_out and state.caching_said):
                if scripts.running is not None and engine.limits.compat < 72:
                    argv = scripts.running.command  # which then counts as the reader of its keys
                    caller = engine.find_command(argv)
                    command = caller if caller is not None else command
                self.remember(client.client_id, command, argv)
        if engine.call_depth == 0 and client.queued is None and not command.full_name.startswith(b"client|"):
            state.caching_said = False

    def remember(self, client_id: i64, command: Command, argv: list[bytes]) -> None:
        for reference in find_keys(command, argv):
            readers = self.table.setdefault(argv[reference.position], {})
            if client_id not in readers:
                readers[client_id] = None
                self.items += 1
        self.active = True
        self.limit()

    def limit(self) -> None:
        """tracking-table-max-keys: the readers of the oldest keys hear of a change that never was."""
        most = self.engine.config.number("tracking-table-max-keys")
        while most > 0 and len(self.table) > most:
            self.invalidate_readers(next(iter(self.table)), None)

    # -- what changes -------------------------------------------------------------------------------------

    def invalidate(self, key: bytes) -> None:
        """A key changed or is gone."""
        if self.prefixes:
            current = self.current()
            for prefix in self.prefixes:
                if key.startswith(prefix):
                    self.changed.setdefault(prefix, {})[key] = current
        if key in self.table:
            self.invalidate_readers(key, self.current())

    def invalidate_readers(self, key: bytes, current: Client | None) -> None:
        """Tell those who read a key, once; but not who changed it, if that is what NOLOOP asks."""
        readers = self.table.pop(key)
        self.items -= i64(len(readers))
        self.settle()
        for client_id in readers:
            client = self.engine.clients.get(client_id)
            if client is None:
                continue
            state = client.tracking
            if state is None or state.broadcasting or (state.no_loop and client is current):
                continue
            self.send(client, state, [key], False)

    def send_flush(self) -> None:
        """A database was emptied: every cache is void."""
        self.flush_due = False
        self.table = {}
        self.items = 0
        self.settle()
        for client in list(self.engine.clients.values()):
            state = client.tracking
            if state is not None:
                self.send(client, state, [], True)

    def broadcast(self) -> None:
        """Tell the clients in broadcasting mode what changed since the last time."""
        changed = self.changed
        self.changed = {}
        for prefix in sorted(changed):
            keys = sorted(changed[prefix])
            for client in list(self.prefixes.get(prefix, {})):
                state = client.tracking
                if state is None:
                    continue
                news = keys
                if state.no_loop:
                    news = [key for key in keys if changed[prefix][key] is not client]
                if news:
                    self.send(client, state, news, False)

    # -- messages -----------------------------------------------------------------------------------------

    def send(self, client: Client, state: TrackingState, keys: list[bytes], everything: bool) -> None:
        """One message to a client, or to the one that stands in for it."""
        protocol: i64 = client.reply.protocol
        receiver = client
        if state.redirect != 0:
            other = self.engine.clients.get(state.redirect)
            if other is None:
                state.is_broken = True
                self.tell_broken(client, state)
                return
            receiver = other
        reply = receiver.reply
        mark: i64 = len(reply.out)
        if reply.protocol > 2:
            reply.push(2)
            reply.bulk(b"invalidate")
        elif state.redirect != 0 and receiver.is_subscribed():
            reply.push(3)
            reply.bulk(b"message")
            reply.bulk(CHANNEL)
        else:
            return
        if everything:
            reply.raw(b"_\r\n" if protocol > 2 else b"$-1\r\n")
        else:
            reply.bulk_array(keys)
        self.put_aside(receiver, mark)

    def tell_broken(self, client: Client, state: TrackingState) -> None:
        """The client that the messages were to go to is gone."""
        if client.reply.protocol > 2:
            mark: i64 = len(client.reply.out)
            client.reply.push(2)
            client.reply.bulk(b"tracking-redir-broken")
            client.reply.integer(state.redirect)
            self.put_aside(client, mark)

    def put_aside(self, receiver: Client, mark: i64) -> None:
        """A message to the client whose command runs follows the reply."""
        if receiver is self.current():
            out = receiver.reply.out
            receiver.kept_pushes.append(out.getvalue()[mark:])
            out.truncate(mark)
        receiver.mark_pending()
