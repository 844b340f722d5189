"""One session over a keyspace in memory: data commands without an engine, and what they said on the way.

Owns: how a test calls a command function and sees its reply, its events, its propagation, its changes.
"""

from collections.abc import Sequence

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.commands.session import Session
from gossamer.commands.table import Command
from gossamer.datatypes.packed_content import all_items
from gossamer.datatypes.value import Value
from gossamer.keyspace.events import NOTIFY_ALL, NOTIFY_NEW, KeyspaceListener
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import KeyspaceState
from gossamer.resp.writer import ReplyWriter
from support.wire import parse_one


class Listener(KeyspaceListener):
    """Remembers events and modified keys in their order, and the fields that went because their time was over."""

    def __init__(self) -> None:
        self.events: list[tuple[bytes, bytes]] = []
        self.modified: list[bytes] = []
        self.expired_fields: list[tuple[bytes, list[bytes]]] = []

    def on_event(self, event_class: int, event: bytes, key: bytes, db_index: int) -> None:
        self.events.append((event, key))

    def on_modified(self, key: bytes, db_index: int) -> None:
        self.modified.append(key)

    def on_fields_removed_by_server(self, key: bytes, fields: list[bytes], db_index: int) -> None:
        self.expired_fields.append((key, sorted(fields)))


class Caller:
    """Calls commands of some groups; an error is raised as CommandError.

    After a call `events` holds (event, key), `modified` the keys that changed, `propagated` the commands
    said to replace this one (None: the command as it came).
    """

    def __init__(
        self, groups: Sequence[Sequence[Command]], compat: int = 72, protocol: int = 2, seed: int = 1
    ) -> None:
        self.limits = Limits()
        self.limits.compat = compat
        self.listener = Listener()
        self.state = KeyspaceState(self.limits, Random64(seed), self.listener)
        self.state.set_time(1_700_000_000_000)
        self.state.notify_mask = NOTIFY_ALL | NOTIFY_NEW
        self.reply = ReplyWriter(compat)
        self.reply.protocol = protocol
        self.session = Session(Keyspace(self.state, 2), self.reply)
        self.commands = {
            command.name: command
            for group in groups
            for command in group
            if command.min_compat <= compat <= command.max_compat
        }

    @property
    def events(self) -> list[tuple[bytes, bytes]]:
        return self.listener.events

    @property
    def modified(self) -> list[bytes]:
        return self.listener.modified

    @property
    def expired_fields(self) -> list[tuple[bytes, list[bytes]]]:
        return self.listener.expired_fields

    @property
    def propagated(self) -> list[list[bytes]] | None:
        return self.session.propagated

    def raw(self, *argv: bytes | str) -> bytes:
        """The exact bytes of the reply."""
        words = [word.encode() if isinstance(word, str) else word for word in argv]
        self.listener.events.clear()
        self.listener.modified.clear()
        self.listener.expired_fields.clear()
        self.session.propagated = None
        function = self.commands[words[0].lower()].function
        assert function is not None
        self.reply.out.truncate(0)
        function(self.session, words)
        return self.reply.out.getvalue()

    def call(self, *argv: bytes | str) -> object:
        """The reply as bytes, int, None and lists of them."""
        return parse_one(self.raw(*argv)).plain()

    def line(self, text: str) -> object:
        """call() with blank-separated arguments."""
        return self.call(*text.split(" "))

    def content(self) -> dict[bytes, object]:
        """Every key with what it holds, in a form that can be compared."""
        db = self.session.db
        shown: dict[bytes, object] = {}
        for key in db.keys():
            value = db.peek(key)
            if isinstance(value, Value):
                packed = value.packed()
                elements: object = packed if packed is not None else sorted(elements_of(value))
                shown[key] = (value.type_name(), value.encoding(), elements, db.expire_time(key))
            else:
                shown[key] = (value, db.expire_time(key))
        return shown


def elements_of(value: Value) -> list[bytes]:
    """The members of a large set, or field and value of a large hash joined."""
    table = value.table  # type: ignore[attr-defined]
    flat: list[bytes] = all_items(table)
    return [flat[i] + b"\0" + flat[i + 1] for i in range(0, len(flat), 2)]
