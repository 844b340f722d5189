"""What a data command sees of the client that sent it.

The engine's Client extends this; a data command uses only what stands here: the selected database, the reply,
the shared keyspace, and the four things it may say: changed, propagate, block, and (after a block) the reason.
"""

from mypy_extensions import i64

from gossamer.base.limits import SANITIZE_NOBODY, Limits
from gossamer.base.rng import Random64
from gossamer.datatypes.value import Value
from gossamer.keyspace.database import NO_EXPIRE, Database
from gossamer.keyspace.events import KeyspaceListener
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import KeyspaceState
from gossamer.resp.writer import ReplyWriter


class Session:
    """A client as the data commands know it."""

    def __init__(self, keyspace: Keyspace, reply: ReplyWriter) -> None:
        self.keyspace: Keyspace = keyspace
        self.state: KeyspaceState = keyspace.state
        self.limits: Limits = keyspace.state.limits
        self.rng: Random64 = keyspace.state.rng
        self.listener: KeyspaceListener = keyspace.state.listener
        self.db: Database = keyspace.databases[0]
        self.reply: ReplyWriter = reply
        self.deny_blocking: bool = False  # inside MULTI or a script a blocking command answers at once
        # What the running command asked for; read and reset by the engine after the call.
        self.propagated: list[list[bytes]] | None = None  # None: the command as it came
        self.block_keys: list[bytes] | None = None
        self.block_deadline_ms: i64 = 0  # 0: for ever
        # While a blocked command runs again as Redis 7.0 does it: the one key that may serve it.
        self.ready_key: bytes | None = None

    def is_script(self) -> bool:
        """Whether a script calls."""
        return False

    def is_reply_unwanted(self) -> bool:
        """Whether the client is to be closed for all that it has not read: a long reply may end here."""
        return False

    def changed(self, key: bytes, event_class: i64, event: bytes) -> None:
        """Say that `key` of the selected database changed: the one way to write.

        Counts the change, wakes watches and blocked clients, publishes the keyspace event.
        """
        self.changed_in(self.db, key, event_class, event)

    def changed_in(self, db: Database, key: bytes, event_class: i64, event: bytes) -> None:
        """As changed(), for a key of another database (MOVE, COPY)."""
        state = self.state
        state.dirty += 1
        state.listener.on_modified(key, db.index)
        if state.notify_mask & event_class:
            state.listener.on_event(event_class, event, key, db.index)

    def put(self, key: bytes, value: Value, event_class: i64, event: bytes) -> None:
        """Make this the value of `key`, without an expire time, whatever it held, and say so.

        Clients that wait for the key are served where it is new, as the real servers do it, and not where it was
        there with a value of any type.
        """
        there = self.db.find_write(key)
        self.db.store_with_expire(key, value, NO_EXPIRE)
        if not there:
            self.changed(key, event_class, event)
            return
        self.state.dirty += 1
        self.listener.on_overwritten(key, self.db.index)
        self.notify(event_class, event, key)

    def notify(self, event_class: i64, event: bytes, key: bytes) -> None:
        """A further keyspace event of the same change (`del` after the last `lpop`)."""
        self.state.notify(event_class, event, key, self.db.index)

    def propagate(self, argv: list[bytes]) -> None:
        """AOF and replicas are to see this in place of the command; call again for several."""
        if self.propagated is None:
            self.propagated = []
        self.propagated.append(argv)

    def propagate_removal(self, key: bytes, lazily: i64) -> None:
        """AOF and replicas are to see that a key goes; `lazily` is the lazyfree directive that names the command."""
        self.propagate([b"UNLINK" if lazily else b"DEL", key])

    def propagate_nothing(self) -> None:
        """AOF and replicas are to see nothing of this command."""
        self.propagated = []

    def reads_every_key(self, argv: list[bytes]) -> bool:
        """Whether the running request may read keys that are not among its arguments (SORT BY, GET)."""
        return True

    def distrusts_payloads(self) -> bool:
        """Whether packed values that this client brings are searched for what only a hostile sender makes."""
        return self.limits.sanitize_dump_payload != SANITIZE_NOBODY

    def may_serve(self, key: bytes) -> bool:
        """Whether a command that takes from the first of several keys may look at this one."""
        return self.ready_key is None or self.ready_key == key

    def block(self, keys: list[bytes], timeout_ms: i64) -> None:
        """Wait until one of the keys changes, then run the command again; timeout_ms 0 waits for ever.

        A command that can be served must not call this. It must write no reply when it does. The engine writes
        the timeout's reply (`null_array` unless the command's blocked_reply says otherwise).
        """
        self.block_keys = keys
        self.block_deadline_ms = self.state.now_ms + timeout_ms if timeout_ms > 0 else 0
