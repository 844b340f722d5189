"""One logical database: keys to values, with expire times and access fields.

Owns how keys are stored (a PackedTable; small values stand in the bucket itself, others in its slab) and
keeps that a secret: commands see `bytes` for strings and `Value` objects for the rest. It does not know
clients.

Invariants: a Value with `ref >= 0` is held in slot `ref` of the slab and its `accounted` bytes are part of
`used_bytes()`; a Value decoded from an entry (`ref == -1`) is a copy that must be stored again after a
change; no empty list, hash, set or sorted set is ever stored; a key has one entry, also while it is due; a hash
with expiring fields is held, and `field_expiry` knows of it.

The access field (three bytes): LRU: the second of the last access, modulo 2^24; LFU: minutes << 8 | counter.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.packed_content import all_keys, keys_in
from gossamer.datatypes.packed_expiry import average_expire_ms, live_keys_in
from gossamer.datatypes.packed_random import find_random
from gossamer.datatypes.packed_table import (
    META_KIND,
    META_OBJECT,
    PAYLOAD_EMBED_MAX_BYTES,
    PackedTable,
)
from gossamer.datatypes.sets import Set
from gossamer.datatypes.strings import BUFFER_MIN_BYTES, StringBuffer, overwritten
from gossamer.datatypes.value import (
    KIND_LAST_STRING,
    KIND_OBJECT,
    KIND_STRING,
    KIND_STRING_RAW,
    Value,
)
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.access import lfu_touched
from gossamer.keyspace.entries import decode_packed, packed_type_name, string_encoding
from gossamer.keyspace.events import (
    NOTIFY_EXPIRED,
    NOTIFY_KEY_MISS,
    NOTIFY_NEW,
)
from gossamer.keyspace.field_expiry import FieldExpiry
from gossamer.keyspace.lazyfree import LARGE_BYTES
from gossamer.keyspace.state import ACCESS_LRU, KeyspaceState
from gossamer.resp.errors import WRONGTYPE

NO_EXPIRE: Final = 0
KEEP_EXPIRE: Final = -1
AVERAGE_TTL_BUCKETS: Final = 100


@final
class Database:
    """Keys and values of one SELECTable database."""

    def __init__(self, index: i64, state: KeyspaceState) -> None:
        self.index: i64 = index
        self.state: KeyspaceState = state
        self.table: PackedTable = PackedTable(3)
        self.values_bytes: i64 = 0  # of the Values in the slab
        self.field_expiry: FieldExpiry = FieldExpiry(self)

    # -- looking up ---------------------------------------------------------------------------------------

    def find(self, key: bytes) -> bool:
        """Find a live key (an expired one is removed); leaves the table's at_ fields on its entry."""
        table = self.table
        if not table.find(key):
            return False
        if table.at_expire != 0 and table.at_expire < self.state.now_ms:
            return self.meet_expired(key)
        return True

    def meet_expired(self, key: bytes) -> bool:
        """What becomes of the due entry found last: removed, hidden, or treated as live."""
        state = self.state
        if state.expiry_paused:
            return False
        if state.expires_now:
            self.expire_found(key)
            self.table.find(key)  # an insertion may follow
            return False
        return not state.hides_expired

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
            self.table.set_found_extra(new)

    def keep_access(self) -> None:
        """Let the entry found last, which is about to be replaced, keep its access field."""
        state = self.state
        if state.touches and state.access_mode == ACCESS_LRU:
            self.table.new_extra = state.access_now
        else:
            self.table.new_extra = self.table.found_extra24()

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

    def find_read_untouched(self, key: bytes) -> bool:
        """find_read() that leaves the access field alone (EXISTS, TYPE, TTL)."""
        state = self.state
        if self.find(key):
            state.hits += 1
            return True
        state.misses += 1
        if state.notify_mask & NOTIFY_KEY_MISS:
            state.notify(NOTIFY_KEY_MISS, b"keymiss", key, self.index)
        return False

    def find_write(self, key: bytes) -> bool:
        """find() for a write: renews the access field; nothing hidden stays behind."""
        if self.find(key):
            self.touch_found()
            return True
        if not self.state.expires_now:
            self.remove_hidden(key)
        return False

    def remove_hidden(self, key: bytes) -> None:
        """Remove a due key that find() hid: the key is about to be made anew on a writable replica."""
        if self.table.find(key):
            self.expire_found(key)
            self.table.find(key)

    def exists(self, key: bytes) -> bool:
        """Whether a live key is there; nothing is counted or renewed."""
        return self.find(key)

    def found_value(self) -> bytes | Value:
        """The value of the entry found last."""
        table = self.table
        kind: i64 = table.at_meta & META_KIND
        if kind <= KIND_LAST_STRING:
            return table.found_payload()
        if kind == KIND_OBJECT:
            held = table.found_object()
            if isinstance(held, StringBuffer):
                return held.value()
            assert isinstance(held, Value)
            return held
        return decode_packed(kind, table.found_payload(), self.state)

    def found_type_name(self) -> bytes:
        """The type of the entry found last, as TYPE answers."""
        kind: i64 = self.table.at_meta & META_KIND
        if kind <= KIND_LAST_STRING:
            return b"string"
        if kind == KIND_OBJECT:
            held = self.table.found_object()
            assert isinstance(held, Value)
            return held.type_name()
        return packed_type_name(kind)

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
        if self.table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer().value()
        return self.table.found_payload()

    def get_if_string(self, key: bytes) -> bytes | None:
        """The string at key for reading; None also where the key is of another type (MGET)."""
        if not self.find_read(key):
            return None
        if self.table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer().value() if self.found_type_name() == b"string" else None
        return self.table.found_payload()

    def get_string_write(self, key: bytes) -> bytes | None:
        """The string at key, about to be changed; raises WRONGTYPE."""
        if not self.find_write(key):
            return None
        if self.table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer().value()
        return self.table.found_payload()

    def found_buffer(self) -> StringBuffer:
        """The StringBuffer of the entry found last, which is not of a string kind; raises WRONGTYPE."""
        if self.table.at_meta & META_KIND == KIND_OBJECT:
            held = self.table.found_object()
            if isinstance(held, StringBuffer):
                return held
        raise CommandError(WRONGTYPE)

    def found_string_length(self) -> i64:
        """The length of the string found last; raises WRONGTYPE."""
        table = self.table
        if table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer().length()
        if table.at_meta & META_OBJECT:
            return len(table.found_payload())
        return table.at_end - table.at_payload

    def found_string_cut(self, start: i64, stop: i64) -> bytes:
        """The bytes from start to before stop of the string found last; raises WRONGTYPE."""
        if self.table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer().cut(start, stop)
        return self.table.found_payload()[start:stop]

    def found_plain_string(self) -> bytes | None:
        """The string found last without a copy; None where it is long and changed in place. Raises WRONGTYPE."""
        if self.table.at_meta & META_KIND > KIND_LAST_STRING:
            self.found_buffer()
            return None
        return self.table.found_payload()

    def lookup_list(self, key: bytes, for_write: bool) -> List | None:
        """The list at key; raises WRONGTYPE. The same holds for the three below."""
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None or isinstance(value, List):
            return value
        raise CommandError(WRONGTYPE)

    def lookup_hash(self, key: bytes, for_write: bool) -> Hash | None:
        value = self.lookup_write(key) if for_write else self.lookup_read(key)
        if value is None:
            return None
        if isinstance(value, Hash):
            return value if value.scheduled_ms == 0 else self.field_expiry.without_due_fields(key, value)
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

        `raw` marks a string that must report the encoding raw whatever its content (SETRANGE and its kin).
        """
        kind: i64 = KIND_STRING_RAW if raw else KIND_STRING
        if self.find(key):
            if self.state.access_mode != ACCESS_LRU:
                self.touch_found()
            self.replace_found_string(key, kind, value, expire_ms)
            return
        self.insert_string(key, kind, value, expire_ms if expire_ms > 0 else 0)

    def insert_string(self, key: bytes, kind: i64, value: bytes, expire_ms: i64) -> None:
        """Add a string under a key that find() has just not found."""
        state = self.state
        if not state.expires_now:
            self.remove_hidden(key)
        table = self.table
        table.new_extra = state.access_now
        table.insert(key, kind, value, expire_ms)
        if state.notify_mask & NOTIFY_NEW:
            state.notify(NOTIFY_NEW, b"new", key, self.index)

    def replace_found_string(self, key: bytes, kind: i64, value: bytes, expire_ms: i64) -> None:
        """Put a string in place of the value found last."""
        table = self.table
        if expire_ms == KEEP_EXPIRE:
            expire_ms = table.at_expire
        self.keep_access()
        if table.at_meta & META_KIND == KIND_OBJECT:
            self.discard_found_value()
        table.replace_found(key, kind, value, expire_ms)

    def make_found_raw(self, key: bytes) -> None:
        """Let the string found last report the encoding raw, as a command does that changes it in place."""
        table = self.table
        if table.at_meta & (META_KIND | META_OBJECT) < KIND_STRING_RAW:
            self.replace_found_string(key, KIND_STRING_RAW, table.found_payload(), table.at_expire)
            table.find(key)

    def append_found(self, key: bytes, tail: bytes) -> i64:
        """Append to the string found last; answer its new length. Raises WRONGTYPE."""
        size: i64 = self.found_string_length() + i64(len(tail))
        if size < BUFFER_MIN_BYTES:
            value = self.table.found_payload() + tail
            self.replace_found_string(key, KIND_STRING_RAW, value, self.table.at_expire)
            return size
        buffer = self.buffer_found(key)
        buffer.append(tail)
        self.account(buffer)
        return size

    def overwrite_found(self, key: bytes, offset: i64, piece: bytes) -> i64:
        """Write piece into the string found last, at offset; answer its new length. Raises WRONGTYPE."""
        size: i64 = self.found_string_length()
        end: i64 = offset + i64(len(piece))
        if size < BUFFER_MIN_BYTES and end < BUFFER_MIN_BYTES:
            value = overwritten(self.table.found_payload(), offset, piece)
            self.replace_found_string(key, KIND_STRING_RAW, value, self.table.at_expire)
            return len(value)
        buffer = self.buffer_found(key)
        buffer.overwrite(offset, piece)
        self.account(buffer)
        return buffer.length()

    def buffer_found(self, key: bytes) -> StringBuffer:
        """The string found last as a StringBuffer, which it becomes if it is none."""
        table = self.table
        if table.at_meta & META_KIND > KIND_LAST_STRING:
            return self.found_buffer()
        buffer = StringBuffer(table.found_payload())
        self.keep_access()
        self.note_held(key, buffer, table.replace_found_object(key, KIND_OBJECT, buffer, table.at_expire))
        return buffer

    def account(self, value: Value) -> None:
        """Charge for the present size of a held Value."""
        now_bytes: i64 = value.memory_bytes()
        self.values_bytes += now_bytes - value.accounted
        value.accounted = now_bytes

    def store(self, key: bytes, value: Value) -> None:
        """Write a created or changed Value; an expire time that the key has is kept."""
        self.store_with_expire(key, value, KEEP_EXPIRE)

    def store_with_expire(self, key: bytes, value: Value, expire_ms: i64) -> None:
        """Write a Value with an expire time (Unix ms), NO_EXPIRE or KEEP_EXPIRE."""
        if value.ref >= 0 and expire_ms == KEEP_EXPIRE:
            self.account(value)
            if isinstance(value, Hash):
                self.field_expiry.schedule(key, value)
            return
        table = self.table
        packed = value.packed() if value.ref < 0 else None
        embed: bool = packed is not None and len(packed) <= PAYLOAD_EMBED_MAX_BYTES
        if self.find(key):
            if expire_ms == KEEP_EXPIRE:
                expire_ms = table.at_expire
            if value.ref >= 0 and table.at_meta & META_KIND == KIND_OBJECT and table.found_object() is value:
                self.account(value)
                table.set_found_expire(expire_ms)
                return
            assert value.ref < 0, "a held value belongs to one key"
            self.keep_access()
            if table.at_meta & META_KIND == KIND_OBJECT:
                self.discard_found_value()
            if embed and packed is not None:
                table.replace_found(key, value.packed_kind(), packed, expire_ms)
            else:
                self.note_held(key, value, table.replace_found_object(key, KIND_OBJECT, value, expire_ms))
            return
        assert value.ref < 0, "a held value belongs to one key"
        if not self.state.expires_now:
            self.remove_hidden(key)
        table.new_extra = self.state.access_now
        if expire_ms < 0:
            expire_ms = 0
        if embed and packed is not None:
            table.insert(key, value.packed_kind(), packed, expire_ms)
        else:
            self.note_held(key, value, table.insert_object(key, KIND_OBJECT, value, expire_ms))
        if self.state.notify_mask & NOTIFY_NEW:
            self.state.notify(NOTIFY_NEW, b"new", key, self.index)

    def note_held(self, key: bytes, value: Value, slot: i64) -> None:
        value.ref = slot
        value.accounted = value.memory_bytes()
        self.values_bytes += value.accounted
        if isinstance(value, Hash):
            self.field_expiry.schedule(key, value)

    def forget_found_value(self) -> Value:
        """Stop accounting for the held Value of the entry found last; the caller drops or moves the entry."""
        value = self.table.found_object()
        assert isinstance(value, Value)
        if isinstance(value, Hash) and value.scheduled_ms != 0:
            self.field_expiry.unschedule(self.table.found_key(), value)
        self.values_bytes -= value.accounted
        value.ref = -1
        value.accounted = 0
        return value

    def delete(self, key: bytes) -> bool:
        """Remove a live key; False where there was none."""
        if not self.find(key):
            return False
        self.discard_found()
        return True

    def delete_any(self, key: bytes) -> bool:
        """Remove a key, live or due; False where there was none.

        The real servers so delete what stands where a result belongs that came out empty (STORE), or that a
        RESTORE is about to replace.
        """
        if not self.table.find(key):
            return False
        self.discard_found()
        return True

    def take(self, key: bytes) -> bytes | Value | None:
        """Remove a live key and answer its value, which may then be stored elsewhere."""
        if not self.find(key):
            return None
        value = self.found_value()
        self.remove_found()
        return value

    def transfer(self, key: bytes, target: "Database", new_key: bytes, keep: bool) -> None:
        """Bring a live key with its expire time to a place where no key is; `keep` leaves the original there.

        What is moved keeps its access field, a copy begins a new one.
        """
        there: bool = self.find(key)
        assert there
        table = self.table
        state = self.state
        kind: i64 = table.at_meta & META_KIND
        expire_ms: i64 = table.at_expire
        access: i64 = state.access_now if keep else table.found_extra24()
        held: Value | None = None
        payload: bytes = b""
        if kind == KIND_OBJECT:
            found = table.found_object()
            assert isinstance(found, Value)
            held = found.copy() if keep else found
        else:
            payload = table.found_payload()
        if not keep:
            self.remove_found()
        there = target.find(new_key)
        assert not there
        if not state.expires_now:
            target.remove_hidden(new_key)
        target.table.new_extra = access
        if held is not None:
            target.note_held(new_key, held, target.table.insert_object(new_key, kind, held, expire_ms))
        else:
            target.table.insert(new_key, kind, payload, expire_ms)
        if state.notify_mask & NOTIFY_NEW:
            state.notify(NOTIFY_NEW, b"new", new_key, target.index)

    def remove_found(self) -> None:
        """Remove the entry found last."""
        if self.table.at_meta & META_KIND == KIND_OBJECT:
            self.forget_found_value()
        self.table.remove_found()

    def discard_found(self) -> None:
        """Remove the entry found last and free its value, a large one piecemeal."""
        if self.table.at_meta & META_KIND == KIND_OBJECT:
            self.discard_found_value()
        self.table.remove_found()

    def discard_found_timed(self, event: bytes) -> None:
        """discard_found() of the server's own accord: the latency monitor, where it is on, hears how long it took."""
        stopwatch = self.state.stopwatch
        if stopwatch is None:
            self.discard_found()
            return
        started_us: i64 = stopwatch.now_us()
        self.discard_found()
        self.state.listener.on_removal_timed(event, stopwatch.now_us() - started_us)

    def discard_found_value(self) -> None:
        """Free the held Value of the entry found last, which is about to be removed or replaced."""
        large: bool = self.found_accounted() >= LARGE_BYTES
        value = self.forget_found_value()
        if large:
            self.state.lazyfree.bury_value(value)

    def found_accounted(self) -> i64:
        value = self.table.found_object()
        assert isinstance(value, Value)
        return value.accounted

    def clear(self) -> None:
        """Remove every key."""
        self.state.lazyfree.bury_table(self.table)
        self.values_bytes = 0
        self.field_expiry.clear()

    # -- expire times and access fields -------------------------------------------------------------------

    def expire_found(self, key: bytes) -> None:
        """Remove the expired entry found last, and say so."""
        self.discard_found_timed(b"expire-del")
        state = self.state
        state.expired_keys += 1
        state.listener.on_removed_by_server(key, self.index, False)
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
            self.table.set_found_extra(value)

    def encoding(self, key: bytes) -> bytes | None:
        """What OBJECT ENCODING answers for a live key."""
        if not self.find(key):
            return None
        kind: i64 = self.table.at_meta & META_KIND
        if kind == KIND_OBJECT:
            held = self.table.found_object()
            assert isinstance(held, Value)
            return held.encoding()
        value = self.found_value()
        if isinstance(value, bytes):
            return string_encoding(value, kind)
        return value.encoding()

    # -- walking ------------------------------------------------------------------------------------------

    def size(self) -> i64:
        """Number of keys, expired ones that were not removed yet included (as DBSIZE counts)."""
        return self.table.count

    def eligible_keys(self, with_expire: bool) -> i64:
        """Number of keys that may be evicted: all, or those with an expire time."""
        return self.table.expires_count if with_expire else self.table.count

    def average_ttl_ms(self) -> i64:
        """Mean time to live of the keys that expire, of the first few buckets that have any; 0 where none do."""
        if self.table.expires_count == 0:
            return 0
        return average_expire_ms(self.table, AVERAGE_TTL_BUCKETS) - self.state.now_ms

    def used_bytes(self) -> i64:
        """Resident bytes of keys and values, by account."""
        return self.table.bytes_used + self.values_bytes + self.field_expiry.used_bytes()

    def scan(self, cursor: i64, keys: list[bytes]) -> i64:
        """Append the keys of one bucket to keys and answer the next cursor, 0 at the end."""
        keys_in(self.table, self.table.scan_bucket(cursor), keys)
        return self.table.scan_next(cursor)

    def keys(self) -> list[bytes]:
        """Every key, live or not yet removed."""
        return all_keys(self.table)

    def live_keys(self) -> list[bytes]:
        """Every key that is not due."""
        table = self.table
        if table.expires_count == 0 or not (self.state.expires_now or self.state.hides_expired):
            return all_keys(table)
        keys: list[bytes] = []
        n: i64 = table.bucket_count()
        i: i64 = 0
        while i < n:
            live_keys_in(table, i, self.state.now_ms, keys)
            i += 1
        return keys

    def random_key(self) -> bytes | None:
        """A key drawn uniformly, which may be an expired one; None in an empty database."""
        if self.table.count == 0:
            return None
        find_random(self.table, self.state.rng)
        return self.table.found_key()
