"""Keyspace events: the classes of `notify-keyspace-events`, and what the keyspace tells whom."""

from typing import Final

from mypy_extensions import i64, mypyc_attr

NOTIFY_KEYSPACE: Final = 1 << 0  # K
NOTIFY_KEYEVENT: Final = 1 << 1  # E
NOTIFY_GENERIC: Final = 1 << 2  # g
NOTIFY_STRING: Final = 1 << 3  # $
NOTIFY_LIST: Final = 1 << 4  # l
NOTIFY_SET: Final = 1 << 5  # s
NOTIFY_HASH: Final = 1 << 6  # h
NOTIFY_ZSET: Final = 1 << 7  # z
NOTIFY_EXPIRED: Final = 1 << 8  # x
NOTIFY_EVICTED: Final = 1 << 9  # e
NOTIFY_STREAM: Final = 1 << 10  # t
NOTIFY_KEY_MISS: Final = 1 << 11  # m, not part of A
NOTIFY_MODULE: Final = 1 << 13  # d
NOTIFY_NEW: Final = 1 << 14  # n, not part of A
NOTIFY_ALL: Final = 0x27FC  # A: g$lshzxetd

_LETTERS: Final = (
    (b"g", NOTIFY_GENERIC),
    (b"$", NOTIFY_STRING),
    (b"l", NOTIFY_LIST),
    (b"s", NOTIFY_SET),
    (b"h", NOTIFY_HASH),
    (b"z", NOTIFY_ZSET),
    (b"x", NOTIFY_EXPIRED),
    (b"e", NOTIFY_EVICTED),
    (b"t", NOTIFY_STREAM),
    (b"d", NOTIFY_MODULE),
    (b"n", NOTIFY_NEW),
)
_EXTRA_LETTERS: Final = (
    (b"K", NOTIFY_KEYSPACE),
    (b"E", NOTIFY_KEYEVENT),
    (b"m", NOTIFY_KEY_MISS),
)


def parse_event_classes(text: bytes) -> int | None:
    """The mask that a notify-keyspace-events value means; None where a letter is unknown."""
    mask = 0
    for i in range(len(text)):
        letter = text[i : i + 1]
        if letter == b"A":
            mask |= NOTIFY_ALL
            continue
        for known, value in _LETTERS + _EXTRA_LETTERS:
            if letter == known:
                mask |= value
                break
        else:
            return None
    return mask


def format_event_classes(mask: int) -> bytes:
    """The canonical spelling of a mask, as CONFIG GET shows it (the real servers drop the n beside an A)."""
    text = b""
    if mask & NOTIFY_ALL == NOTIFY_ALL:
        text = b"A"
    else:
        for letter, value in _LETTERS:
            if mask & value:
                text += letter
    for letter, value in _EXTRA_LETTERS:
        if mask & value:
            text += letter
    return text


@mypyc_attr(allow_interpreted_subclasses=True)
class KeyspaceListener:
    """What the keyspace tells the engine; every method does nothing here."""

    def on_event(self, event_class: i64, event: bytes, key: bytes, db_index: i64) -> None:
        """A keyspace event whose class the configuration asks for."""

    def on_modified(self, key: bytes, db_index: i64) -> None:
        """A key changed in a way that watches, caches and blocked clients care about."""

    def on_overwritten(self, key: bytes, db_index: i64) -> None:
        """As on_modified(), but for a key that got another value in the place of its own."""
        self.on_modified(key, db_index)

    def on_removal_timed(self, event: bytes, elapsed_us: i64) -> None:
        """A key was removed by the server, which times that; the event is the latency monitor's."""

    def on_ready(self, key: bytes, db_index: i64) -> None:
        """Clients that wait for a key must look at it, though watches and caches need not care."""

    def wants_effects(self) -> bool:
        """Whether anybody listens to what is propagated: if not, a command may save itself the spelling."""
        return True

    def on_emptying(self, db_index: i64) -> None:
        """Every key of a database is about to go."""

    def on_flushed_all(self) -> None:
        """Every database was emptied by FLUSHALL: what is being saved is out of date."""

    def on_swapping(self, first: i64, second: i64) -> None:
        """Two databases are about to exchange their keys."""

    def on_swapped(self, first: i64, second: i64) -> None:
        """Two databases exchanged their keys: clients may wait for keys that are there now."""

    def on_removed_by_server(self, key: bytes, db_index: i64, evicted: bool) -> None:
        """A key was removed on the server's own decision (expired or evicted): replicas must hear a DEL."""

    def on_fields_removed_by_server(self, key: bytes, fields: list[bytes], db_index: i64) -> None:
        """Fields of a hash were removed because their time was over: replicas must hear an HDEL."""
