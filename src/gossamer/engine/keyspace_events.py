"""What the keyspace tells the engine: who must hear that a key changed, went, or came.

Owns the ways from a change to watches, caches, blocked clients and, for what the server decides itself, to AOF and
replicas. The commands' own effects take `Engine.collect_effects`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from mypy_extensions import i64

from gossamer.keyspace.events import KeyspaceListener

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine


@final
class KeyspaceEvents(KeyspaceListener):
    """The listener of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine

    def on_event(self, event_class: i64, event: bytes, key: bytes, db_index: i64) -> None:
        self.engine.pubsub.keyspace_event(self.engine.state.notify_mask, event, key, db_index)

    def on_modified(self, key: bytes, db_index: i64) -> None:
        if self.engine.notes_own_keys:
            self.note_writer(key, db_index)
        if self.engine.watches.count != 0:
            self.engine.watches.touch(key, db_index)
        if self.engine.tracking.active:
            self.engine.tracking.invalidate(key)
        if self.engine.blocking.waiting_keys != 0:
            self.engine.blocking.note_modified(key, db_index)

    def on_overwritten(self, key: bytes, db_index: i64) -> None:
        if self.engine.notes_own_keys:
            self.note_writer(key, db_index)
        if self.engine.watches.count != 0:
            self.engine.watches.touch(key, db_index)
        if self.engine.tracking.active:
            self.engine.tracking.invalidate(key)
        if self.engine.blocking.waiting_keys != 0:
            self.engine.blocking.note_overwritten(key, db_index)

    def note_writer(self, key: bytes, db_index: i64) -> None:
        """Which keys only this replica has, so that it expires them itself."""
        running = self.engine.running
        if running is not None:
            self.engine.own_expiring.note(key, db_index, not running.brings_own_data)

    def on_removed_by_server(self, key: bytes, db_index: i64, evicted: bool) -> None:
        if self.engine.feeds:
            limits = self.engine.limits
            lazily: i64 = limits.lazyfree_lazy_eviction if evicted else limits.lazyfree_lazy_expire
            self.engine.add_effect(db_index, [b"UNLINK" if lazily else b"DEL", key])
            if self.engine.running is None:
                self.engine.flush_effects(False)

    def on_fields_removed_by_server(self, key: bytes, fields: list[bytes], db_index: i64) -> None:
        if self.engine.feeds:
            self.engine.add_effect(db_index, [b"HDEL", key, *fields])
            if self.engine.running is None:
                self.engine.flush_effects(False)

    def on_removal_timed(self, event: bytes, elapsed_us: i64) -> None:
        engine = self.engine
        engine.latency.note(event, elapsed_us // 1000, engine.state.now_ms // 1000)

    def on_ready(self, key: bytes, db_index: i64) -> None:
        if self.engine.blocking.waiting_keys != 0:
            self.engine.blocking.note_modified(key, db_index)

    def wants_effects(self) -> bool:
        return bool(self.engine.feeds)

    def on_flushed_all(self) -> None:
        self.engine.snapshots.on_flushed_all()
        self.engine.replication.on_flushed_all()

    def on_emptying(self, db_index: i64) -> None:
        self.engine.tracking.flush_due = (
            self.engine.tracking.clients != 0 or len(self.engine.tracking.table) > 0
        )
        if self.engine.blocking.waiting_keys != 0:
            self.engine.blocking.note_database_changed(db_index)
        if self.engine.watches.count != 0:
            self.engine.watches.touch_all(db_index, -1)

    def on_swapping(self, first: i64, second: i64) -> None:
        if self.engine.watches.count != 0:
            self.engine.watches.touch_all(first, second)
            self.engine.watches.touch_all(second, first)

    def on_swapped(self, first: i64, second: i64) -> None:
        self.engine.blocking.note_database_changed(first)
        self.engine.blocking.note_database_changed(second)
