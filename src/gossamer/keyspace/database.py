"""One logical database: keys to values, with expire times and access fields.

Owns how keys are stored (a PackedTable; small values stand in the bucket itself, others in its slab) and keeps
that a secret: commands see `bytes` for strings and `Value` objects for the rest. It does not know clients.

Invariants: a Value with `ref >= 0` is held in slot `ref` of the slab and its `accounted` bytes are part of
`used_bytes()`; a Value decoded from an entry (`ref == -1`) is a copy that must be stored again after a change;
no empty list, hash, set or sorted set is ever stored.

The access field (three bytes): LRU: the second of the last access, modulo 2^24; LFU: minutes << 8 | counter.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.packed_table import META_KIND, PAYLOAD_EMBED_MAX_BYTES, PackedTable
from gossamer.datatypes.sets import Set
from gossamer.datatypes.value import (
    KIND_HASH_LISTPACK,
    KIND_LIST_LISTPACK,
    KIND_OBJECT,
    KIND_SET_INTSET,
    KIND_SET_LISTPACK,
    KIND_STRING,
    KIND_STRING_RAW,
    KIND_ZSET_LISTPACK,
    Value,
)
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.access import lfu_touched
from gossamer.keyspace.events import NOTIFY_EXPIRED, NOTIFY_KEY_MISS, NOTIFY_NEW
from gossamer.keyspace.state import ACCESS_LRU, KeyspaceState
from gossamer.resp.errors import WRONGTYPE

NO_EXPIRE: Final = 0
KEEP_EXPIRE: Final = -1

_PACKED_TYPE_NAMES: Final = (b"list", b"hash", b"set", b"set", b"zset")  # by kind, from KIND_LIST_LISTPACK on


@final
class Database:
    """Keys and values of one SELECTable database."""

    def __init__(self, index: i64, state: KeyspaceState) -> None:
        self.index: i64 = index
        self.state: KeyspaceState = state
        self.table: PackedTable = PackedTable(3)
        self.values_bytes: i64 = 0  # of the Values in the slab
        self.expire_cursor: i64 = 0

    # -- looking up ---------------------------------------------------------------------------------------

    def find(self, key: bytes) -> bool:
        """Find a live key (an expired one is removed); leaves the table's at_ fields on its entry."""
        table = self.table
        if not table.find(key):
            return False
        if table.at_expire != 0 and table.at_expire < self.state.now_ms:
            if self.state.expires_now:
                self.expire_found(key)
            return False
        return True

    def touch_found(self) -> None:
        """Renew the access field of the entry found last."""
        state = self.state
        if not state.touches:
            return
        old: i64 = self.table.found_extra24()
        new: i64 = state.access_now
        if state.access_mode != ACCESS_LRU:
            new = lfu_touched(old, new >> 8, state.limits, state.rng)
        if new != old:
            self.table.set_found_extra24(new)

    def find_read(self, key: bytes) -> bool:
        """find() for a read: counts the hit or miss, renews the access field."""
        state = self.state
        if self.find(key):
            state.hits += 1
            self.touch_found()
            return True
        state.misses += 1
        if state.notify_mask & NOTIFY_KEY_MISS:
            state.notify(NOTIFY_KEY_MISS, b"keymiss", key, self.index)
        return False

    def find_write(self, key: bytes) -> bool:
        """find() for a write: renews the access field."""
        if self.find(key):
            self.touch_found()
            return True
        return False

    def exists(self, key: bytes) -> bool:
        """Whether a live key is there; nothing is counted or renewed."""
        return self.find(key)

    def found_value(self) -> bytes | Value:
        """The value of the entry found last."""
        table = self.table
        kind: i64 = table.at_meta & META_KIND
        if kind <= KIND_STRING_RAW:
            return table.found_payload()
        if kind == KIND_OBJECT:
            held = table.found_object()
            assert isinstance(held, Value)
            return held
        return decode_packed(kind, table.found_payload(), self.state)

    def found_type_name(self) -> bytes:
        """The type of the entry found last, as TYPE answers."""
        kind: i64 = self.table.at_meta & META_KIND
        if kind <= KIND_STRING_RAW:
            return b"string"
        if kind == KIND_OBJECT:
            held = self.table.found_object()
            assert isinstance(held, Value)
            return held.type_name()
        return _PACKED_TYPE_NAMES[kind - KIND_LIST_LISTPACK]

    def lookup_read(self, key: bytes) -> bytes | Value | None:
        """The value of a key for reading: bytes for a string; None where there is none."""
        return self.found_value() if self.find_read(key) else None

    def lookup_write(self, key: bytes) -> bytes | Value | None:
        """The value of a key that is about to be changed; store() it again afterwards."""
        return self.found_value() if self.find_write(key) else None

    def peek(self, key: bytes) -> bytes | Value | None:
        """The value of a key; nothing is counted or renewed (OBJECT, DEBUG, saving)."""
        return self.found_value() if self.find(key) else None

    def get_string(self, key: bytes) -> bytes | None:
        """The string at key for reading; raises WRONGTYPE."""
        if not self.find_read(key):
            return None
        if self.table.at_meta & META_KIND > KIND_STRING_RAW:
            raise CommandError(WRONGTYPE)
        return self.table.found_payload()

    def get_string_write(self, key: bytes) -> bytes | None:
        """The string at key, about to be changed; raises WRONGTYPE."""
        if not self.find_write(key):
            return None
        if self.table.at_meta & META_KIND > KIND_STRING_RAW:
            raise CommandError(WRONGTYPE)
        return self.table.found_payload()

    def lookup_list(self, key: bytes, for_write: bool) -> List | None:
        """The list at key; raises WRONGTYPE. The same holds for the three below."""
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None or isinstance(value, List):
            return value
        raise CommandError(WRONGTYPE)

    def lookup_hash(self, key: bytes, for_write: bool) -> Hash | None:
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None or isinstance(value, Hash):
            return value
        raise CommandError(WRONGTYPE)

    def lookup_set(self, key: bytes, for_write: bool) -> Set | None:
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None or isinstance(value, Set):
            return value
        raise CommandError(WRONGTYPE)

    def lookup_zset(self, key: bytes, for_write: bool) -> ZSet | None:
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None or isinstance(value, ZSet):
            return value
        raise CommandError(WRONGTYPE)

    # -- changing -----------------------------------------------------------------------------------------

    def set_string(self, key: bytes, value: bytes, expire_ms: i64, raw: bool) -> None:
        """Set a string; expire_ms is a Unix time in ms, NO_EXPIRE or KEEP_EXPIRE.

        `raw` marks a string that must report the encoding raw whatever its content (APPEND and its kin).
        """
        table = self.table
        kind: i64 = KIND_STRING_RAW if raw else KIND_STRING
        if self.find(key):
            if expire_ms == KEEP_EXPIRE:
                expire_ms = table.at_expire
            if table.at_meta & META_KIND == KIND_OBJECT:
                self.forget_found_value()
            table.replace_found(key, kind, value, expire_ms)
            return
        table.new_extra = self.state.access_now
        table.insert(key, kind, value, expire_ms if expire_ms > 0 else 0)
        if self.state.notify_mask & NOTIFY_NEW:
            self.state.notify(NOTIFY_NEW, b"new", key, self.index)

    def store(self, key: bytes, value: Value) -> None:
        """Write a created or changed Value; an expire time that the key has is kept."""
        self.store_with_expire(key, value, KEEP_EXPIRE)

    def store_with_expire(self, key: bytes, value: Value, expire_ms: i64) -> None:
        """Write a Value with an expire time (Unix ms), NO_EXPIRE or KEEP_EXPIRE."""
        if value.ref >= 0 and expire_ms == KEEP_EXPIRE:
            now_bytes: i64 = value.memory_bytes()
            self.values_bytes += now_bytes - value.accounted
            value.accounted = now_bytes
            return
        table = self.table
        packed = value.packed() if value.ref < 0 else None
        embed: bool = packed is not None and len(packed) <= PAYLOAD_EMBED_MAX_BYTES
        if self.find(key):
            if expire_ms == KEEP_EXPIRE:
                expire_ms = table.at_expire
            if value.ref >= 0 and table.at_meta & META_KIND == KIND_OBJECT and table.found_object() is value:
                table.set_found_expire(expire_ms)
                return
            assert value.ref < 0, "a held value belongs to one key"
            if table.at_meta & META_KIND == KIND_OBJECT:
                self.forget_found_value()
            if embed and packed is not None:
                table.replace_found(key, value.packed_kind(), packed, expire_ms)
            else:
                self.note_held(value, table.replace_found_object(key, KIND_OBJECT, value, expire_ms))
            return
        assert value.ref < 0, "a held value belongs to one key"
        table.new_extra = self.state.access_now
        if expire_ms < 0:
            expire_ms = 0
        if embed and packed is not None:
            table.insert(key, value.packed_kind(), packed, expire_ms)
        else:
            self.note_held(value, table.insert_object(key, KIND_OBJECT, value, expire_ms))
        if self.state.notify_mask & NOTIFY_NEW:
            self.state.notify(NOTIFY_NEW, b"new", key, self.index)

    def note_held(self, value: Value, slot: i64) -> None:
        value.ref = slot
        value.accounted = value.memory_bytes()
        self.values_bytes += value.accounted

    def forget_found_value(self) -> Value:
        """Stop accounting for the held Value of the entry found last; the caller drops or moves the entry."""
        value = self.table.found_object()
        assert isinstance(value, Value)
        self.values_bytes -= value.accounted
        value.ref = -1
        value.accounted = 0
        return value

    def delete(self, key: bytes) -> bool:
        """Remove a live key; False where there was none. Large values are freed piecemeal by the caller's cron."""
        if not self.find(key):
            return False
        self.remove_found()
        return True

    def take(self, key: bytes) -> bytes | Value | None:
        """Remove a live key and answer its value, which may then be stored elsewhere."""
        if not self.find(key):
            return None
        value = self.found_value()
        self.remove_found()
        return value

    def remove_found(self) -> None:
        """Remove the entry found last."""
        if self.table.at_meta & META_KIND == KIND_OBJECT:
            self.forget_found_value()
        self.table.remove_found()

    def clear(self) -> None:
        """Remove every key."""
        self.table.clear()
        self.values_bytes = 0
        self.expire_cursor = 0

    # -- expire times and access fields -------------------------------------------------------------------

    def expire_found(self, key: bytes) -> None:
        """Remove the expired entry found last, and say so."""
        self.remove_found()
        state = self.state
        state.expired_keys += 1
        state.listener.on_removed_by_server(key, self.index)
        state.notify(NOTIFY_EXPIRED, b"expired", key, self.index)
        state.listener.on_modified(key, self.index)

    def expire_time(self, key: bytes) -> i64:
        """Unix time in ms when a live key expires; -1: never; -2: no such key."""
        if not self.find(key):
            return -2
        return self.table.at_expire if self.table.at_expire != 0 else -1

    def set_expire(self, key: bytes, expire_ms: i64) -> bool:
        """Give a live key an expire time (NO_EXPIRE removes it); False where there is no such key."""
        if not self.find(key):
            return False
        self.table.set_found_expire(expire_ms)
        return True

    def access_field(self, key: bytes) -> i64:
        """The 24-bit access field of a live key, -1 where there is none."""
        return self.table.found_extra24() if self.find(key) else -1

    def set_access_field(self, key: bytes, value: i64) -> None:
        """Write the access field of a live key (loading, RESTORE, COPY)."""
        if self.find(key):
            self.table.set_found_extra24(value)

    def encoding(self, key: bytes) -> bytes | None:
        """What OBJECT ENCODING answers for a live key."""
        if not self.find(key):
            return None
        kind: i64 = self.table.at_meta & META_KIND
        if kind > KIND_STRING_RAW:
            value = self.found_value()
            assert isinstance(value, Value)
            return value.encoding()
        return string_encoding(self.table.found_payload(), kind == KIND_STRING_RAW)

    # -- walking ------------------------------------------------------------------------------------------

    def size(self) -> i64:
        """Number of keys, expired ones that were not removed yet included (as DBSIZE counts)."""
        return self.table.count

    def used_bytes(self) -> i64:
        """Resident bytes of keys and values, by account."""
        return self.table.bytes_used + self.values_bytes

    def scan(self, cursor: i64, keys: list[bytes]) -> i64:
        """Append the keys of one bucket to keys and answer the next cursor, 0 at the end."""
        self.table.keys_in(self.table.scan_bucket(cursor), keys)
        return self.table.scan_next(cursor)

    def keys(self) -> list[bytes]:
        """Every key, live or not yet removed."""
        return self.table.keys()

    def random_key(self) -> bytes | None:
        """A key drawn uniformly, which may be an expired one; None in an empty database."""
        if self.table.count == 0:
            return None
        self.table.find_random(self.state.rng)
        return self.table.found_key()


def string_encoding(value: bytes, raw: bool) -> bytes:
    """`int`, `embstr` or `raw`, as Redis would hold the string."""
    if raw:
        return b"raw"
    n: i64 = len(value)
    if n <= 20 and is_int64(value):
        return b"int"
    return b"embstr" if n <= 44 else b"raw"


def decode_packed(kind: i64, packed: bytes, state: KeyspaceState) -> Value:
    """A Value over the packed bytes of an entry."""
    limits = state.limits
    if kind == KIND_HASH_LISTPACK:
        return Hash.from_packed(packed, limits)
    if kind == KIND_LIST_LISTPACK:
        return List.from_packed(packed, limits)
    if kind == KIND_ZSET_LISTPACK:
        return ZSet.from_packed(packed, limits)
    if kind == KIND_SET_INTSET:
        return Set.from_intset(packed, limits)
    assert kind == KIND_SET_LISTPACK
    return Set.from_listpack(packed, limits)
