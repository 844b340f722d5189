"""A hash table of byte keys in packed, immutable buckets that grows one bucket at a time.

It owns the entries of a database, of a large hash, set and the dictionary of a sorted set. It knows nothing
of what a payload means. About eight entries stand back to back in one immutable `bytes` per bucket:

    offset  0      1..2     3      4      5..        then          then
            tag    length   meta   klen   extra      expire        key              payload
            u8     u16 LE   u8     u8     n bytes    i64 LE, ms    klen bytes       to the entry's end

    meta    bits 0-3 kind, the owner's    bit 4 payload is an i32 slot of `objects`
            bit 5 key is an i32 slot      bit 6 the expire field is there

    worked example (extra = 0): key b"ab", payload b"1", hash tag 0x7f
            7f 08 00 00 02 61 62 31

The number of buckets follows linear hashing: bucket `split` is the next to be divided, a key belongs to
`hash & mask`, or to `hash & (2 * mask + 1)` where that bucket was divided already. So no operation ever
touches more than a few buckets: there is no rehash pause, and a cursor that walks the hash space in
bit-reversed order visits every key that stays in the table throughout, whatever grows or shrinks meanwhile
(the guarantee of SCAN).

Invariants: `count` entries in all; every entry is in the bucket its hash names; a bucket is replaced, never
changed; `earliest[i]` (once any entry has an expire time) is at most the smallest expire time in bucket i.
"""

from typing import Any, Final, final

from librt.strings import BytesWriter, read_i16_le, read_i32_le, read_i64_le, write_i32_le, write_i64_le
from librt.vecs import append as vec_append
from librt.vecs import pop as vec_pop
from librt.vecs import vec
from mypy_extensions import i32, i64, u8

META_KIND: Final = 0x0F
META_OBJECT: Final = 0x10
META_KEY_OBJECT: Final = 0x20
META_EXPIRE: Final = 0x40

HEADER_BYTES: Final = 5
ENTRIES_PER_BUCKET: Final = 8
MIN_ENTRIES_PER_BUCKET: Final = 3
KEY_EMBED_MAX_BYTES: Final = 254
PAYLOAD_EMBED_MAX_BYTES: Final = 512
NEVER: Final = 0x7FFFFFFFFFFFFFFF
EMPTY_BYTES: Final = 128  # of a table without entries
SLOT_BYTES: Final = 8


def resident_bytes(length: i64) -> i64:
    """Resident bytes of a `bytes` object of that length, as the allocator rounds them."""
    return (length + 33 + 15) & -16


def bytes_equal_at(data: bytes, start: i64, key: bytes) -> bool:
    """Whether data[start:start+len(key)] == key, without taking the slice. The range must exist."""
    n: i64 = len(key)
    i: i64 = 0
    while i + 8 <= n:
        if read_i64_le(data, start + i) != read_i64_le(key, i):
            return False
        i += 8
    while i < n:
        if data[start + i] != key[i]:
            return False
        i += 1
    return True


@final
class PackedTable:
    """bytes -> (kind, extra bytes, expire time in ms, payload); see the module's layout."""

    def __init__(self, extra_bytes: i64) -> None:
        self.extra: i64 = extra_bytes
        self.new_extra: i64 = 0
        self.count: i64 = 0
        self.buckets: list[bytes] = [b""]
        self.mask: i64 = 0
        self.split: i64 = 0
        self.objects: list[object] = []
        self.free_slots: vec[i64] = vec[i64]()
        self.earliest: vec[i64] = vec[i64]()
        self.earliest_of_all: i64 = NEVER  # at most the smallest of earliest, unless a sweep is under way
        self.sweep_at: i64 = 0  # the bucket at which a sweep goes on; 0: none is under way
        self.sweep_earliest: i64 = NEVER  # of the buckets that the sweep has passed
        self.tracks_expires: bool = False
        self.expires_count: i64 = 0
        self.bytes_used: i64 = EMPTY_BYTES
        self.writer: BytesWriter = BytesWriter()
        self.writer2: BytesWriter = BytesWriter()
        # Where the last find() ended: valid until the next change of the table. `at_key` is the very object
        # that was found there, so that looking a key up again before it is written costs nothing.
        self.at_key: bytes | None = None
        self.at_tag: i64 = 0  # of the key that was looked for
        self.at_bucket: i64 = 0
        self.at_entry: i64 = 0
        self.at_end: i64 = 0
        self.at_meta: i64 = 0
        self.at_extra: i64 = 0
        self.at_expire: i64 = 0  # ms, 0 where the entry has none
        self.at_payload: i64 = 0

    # -- looking up ---------------------------------------------------------------------------------------

    def bucket_of(self, hashed: i64) -> i64:
        index: i64 = hashed & self.mask
        if index < self.split:
            index = hashed & (2 * self.mask + 1)
        return index

    def find(self, key: bytes) -> bool:
        """Find the entry of `key` and leave its position in the at_ fields; False where there is none."""
        if key is self.at_key:
            return True
        hashed: i64 = hash(key)
        index: i64 = hashed & self.mask
        if index < self.split:
            index = hashed & (2 * self.mask + 1)
        self.at_bucket = index
        bucket: bytes = self.buckets[index]
        tag: i64 = (hashed >> 48) & 0xFF
        self.at_tag = tag
        key_bytes: i64 = len(key)
        size: i64 = len(bucket)
        position: i64 = 0
        while position < size:
            end: i64 = position + i64(read_i16_le(bucket, position + 1))
            if i64(bucket[position]) == tag:
                meta: i64 = i64(bucket[position + 3])
                extra: i64 = position + HEADER_BYTES
                start: i64 = extra + self.extra
                if meta & META_EXPIRE:
                    start += 8
                if meta & META_KEY_OBJECT:
                    if key_bytes > KEY_EMBED_MAX_BYTES:
                        stored = self.objects[i64(read_i32_le(bucket, start))]
                        if stored == key:
                            self.note_entry(bucket, position, end, meta, extra, start + 4)
                            self.at_key = key
                            return True
                elif i64(bucket[position + 4]) == key_bytes and bytes_equal_at(bucket, start, key):
                    self.note_entry(bucket, position, end, meta, extra, start + key_bytes)
                    self.at_key = key
                    return True
            position = end
        self.at_key = None
        return False

    def note_entry(self, bucket: bytes, entry: i64, end: i64, meta: i64, extra: i64, payload: i64) -> None:
        self.at_entry = entry
        self.at_end = end
        self.at_meta = meta
        self.at_extra = extra
        self.at_expire = read_i64_le(bucket, extra + self.extra) if meta & META_EXPIRE else 0
        self.at_payload = payload

    def found_payload(self) -> bytes:
        """The payload of the entry found last, which must be bytes."""
        bucket: bytes = self.buckets[self.at_bucket]
        if self.at_meta & META_OBJECT:
            held = self.objects[i64(read_i32_le(bucket, self.at_payload))]
            assert isinstance(held, bytes)
            return held
        return bucket[self.at_payload : self.at_end]

    def found_object(self) -> object:
        """The object of the entry found last, whose meta has META_OBJECT."""
        return self.objects[i64(read_i32_le(self.buckets[self.at_bucket], self.at_payload))]

    def get(self, key: bytes) -> bytes | None:
        """The payload of `key`."""
        return self.found_payload() if self.find(key) else None

    def contains(self, key: bytes) -> bool:
        return self.find(key)

    # -- changing -----------------------------------------------------------------------------------------

    def put(self, key: bytes, payload: bytes) -> bool:
        """Set the payload of `key`, keeping its expire time; True where the key is new."""
        if self.find(key):
            self.replace_found(key, self.at_meta & META_KIND, payload, self.at_expire)
            return False
        self.insert(key, 0, payload, 0)
        return True

    def insert(self, key: bytes, kind: i64, payload: bytes, expire_ms: i64) -> None:
        """Add a key that find() has just not found. Its extra bytes are the low bytes of `new_extra`."""
        if len(payload) > PAYLOAD_EMBED_MAX_BYTES:
            self.insert_object(key, kind, payload, expire_ms)
            return
        self.start_entry_at_end(key, kind, i64(len(payload)), expire_ms)
        self.writer.write(payload)
        self.finish_insert(expire_ms)

    def insert_object(self, key: bytes, kind: i64, held: object, expire_ms: i64) -> i64:
        """Add a key whose payload is held by reference; answer the slot."""
        slot: i64 = self.hold(held)
        self.start_entry_at_end(key, kind | META_OBJECT, 4, expire_ms)
        write_i32_le(self.writer, i32(slot))
        self.finish_insert(expire_ms)
        return slot

    def start_entry_at_end(self, key: bytes, meta: i64, payload_bytes: i64, expire_ms: i64) -> None:
        writer = self.writer
        writer.truncate(0)
        writer.write(self.buckets[self.at_bucket])
        self.write_entry_head(writer, key, meta, payload_bytes, expire_ms)

    def write_entry_head(
        self, writer: BytesWriter, key: bytes, meta: i64, payload_bytes: i64, expire_ms: i64
    ) -> None:
        key_bytes: i64 = len(key)
        slot: i64 = -1
        if key_bytes > KEY_EMBED_MAX_BYTES:
            slot = self.hold(key)
            key_bytes = 4
            meta |= META_KEY_OBJECT
        length: i64 = HEADER_BYTES + self.extra + key_bytes + payload_bytes
        if expire_ms != 0:
            meta |= META_EXPIRE
            length += 8
        writer.append(u8(self.at_tag))
        writer.append(u8(length & 0xFF))
        writer.append(u8((length >> 8) & 0xFF))
        writer.append(u8(meta & 0xFF))
        writer.append(u8(key_bytes & 0xFF))
        extra: i64 = self.new_extra
        i: i64 = 0
        while i < self.extra:
            writer.append(u8(extra & 0xFF))
            extra >>= 8
            i += 1
        if expire_ms != 0:
            write_i64_le(writer, expire_ms)
        if slot >= 0:
            write_i32_le(writer, i32(slot))
        else:
            writer.write(key)

    def finish_insert(self, expire_ms: i64) -> None:
        index: i64 = self.at_bucket
        self.set_bucket(index, self.writer.getvalue())
        self.count += 1
        if expire_ms != 0:
            self.expires_count += 1
            self.note_expire(index, expire_ms)
        if self.count > i64(len(self.buckets)) * ENTRIES_PER_BUCKET:
            self.grow()

    def replace_found(self, key: bytes, kind: i64, payload: bytes, expire_ms: i64) -> None:
        """Give the entry found last a new kind, payload, expire time, and the extra bytes of `new_extra`."""
        size: i64 = len(payload)
        if size > PAYLOAD_EMBED_MAX_BYTES:
            self.replace_found_object(key, kind, payload, expire_ms)
            return
        bucket: bytes = self.buckets[self.at_bucket]
        writer = self.writer
        if (
            size == self.at_end - self.at_payload
            and expire_ms == self.at_expire
            and not self.at_meta & META_OBJECT
        ):
            writer.truncate(0)
            writer.write(bucket)
            self.at_meta = (self.at_meta & ~META_KIND) | kind
            writer[self.at_entry + 3] = self.at_meta & 0xFF  # type: ignore[assignment]
            self.write_extra_at(self.at_extra)
            position: i64 = self.at_payload
            i: i64 = 0
            while i < size:
                writer[position + i] = payload[i]
                i += 1
            self.buckets[self.at_bucket] = writer.getvalue()
            return
        self.start_replacement(key, kind, size, expire_ms)
        writer.write(payload)
        self.finish_replacement(expire_ms)

    def replace_found_object(self, key: bytes, kind: i64, held: object, expire_ms: i64) -> i64:
        """As replace_found, for a payload held by reference; answer the slot."""
        self.start_replacement(key, kind | META_OBJECT, 4, expire_ms)
        slot: i64 = self.hold(held)
        write_i32_le(self.writer, i32(slot))
        self.finish_replacement(expire_ms)
        return slot

    def start_replacement(self, key: bytes, meta: i64, payload_bytes: i64, expire_ms: i64) -> None:
        """Write the bucket without the entry found last, then that entry's new head at the end."""
        bucket: bytes = self.buckets[self.at_bucket]
        self.release_found(bucket)
        writer = self.writer
        writer.truncate(0)
        if self.at_entry > 0:
            writer.write(bucket[: self.at_entry])
        if self.at_end < i64(len(bucket)):
            writer.write(bucket[self.at_end :])
        self.write_entry_head(writer, key, meta, payload_bytes, expire_ms)

    def write_extra_at(self, position: i64) -> None:
        """Write the low bytes of `new_extra` into the bucket that the writer holds."""
        writer = self.writer
        value: i64 = self.new_extra
        end: i64 = position + self.extra
        while position < end:
            writer[position] = value & 0xFF  # type: ignore[assignment]
            value >>= 8
            position += 1

    def finish_replacement(self, expire_ms: i64) -> None:
        if self.at_expire != 0:
            self.expires_count -= 1
        self.set_bucket(self.at_bucket, self.writer.getvalue())
        if expire_ms != 0:
            self.expires_count += 1
            self.note_expire(self.at_bucket, expire_ms)

    def set_found_expire(self, expire_ms: i64) -> None:
        """Change only the expire time (0: none) of the entry found last; slots stay as they are."""
        if expire_ms == self.at_expire:
            return
        bucket: bytes = self.buckets[self.at_bucket]
        entry: i64 = self.at_entry
        body: i64 = self.at_extra + self.extra
        meta: i64 = self.at_meta & ~META_EXPIRE
        length: i64 = self.at_end - entry
        if self.at_expire != 0:
            body += 8
            length -= 8
        if expire_ms != 0:
            meta |= META_EXPIRE
            length += 8
        writer = self.writer
        writer.truncate(0)
        writer.write(bucket[:entry])
        writer.write(bucket[self.at_end :])
        writer.append(u8(bucket[entry]))
        writer.append(u8(length & 0xFF))
        writer.append(u8((length >> 8) & 0xFF))
        writer.append(u8(meta & 0xFF))
        writer.write(bucket[entry + 4 : self.at_extra + self.extra])
        if expire_ms != 0:
            write_i64_le(writer, expire_ms)
        writer.write(bucket[body : self.at_end])
        self.finish_replacement(expire_ms)

    def set_found_extra(self, value: i64) -> None:
        """Write the low bytes of value into the extra bytes of the entry found last."""
        writer = self.writer
        writer.truncate(0)
        writer.write(self.buckets[self.at_bucket])
        self.new_extra = value
        self.write_extra_at(self.at_extra)
        self.buckets[self.at_bucket] = writer.getvalue()

    def remove_found(self) -> None:
        """Remove the entry found last."""
        bucket: bytes = self.buckets[self.at_bucket]
        self.release_found(bucket)
        if self.at_entry == 0:
            rest = bucket[self.at_end :]
        elif self.at_end == i64(len(bucket)):
            rest = bucket[: self.at_entry]
        else:
            rest = bucket[: self.at_entry] + bucket[self.at_end :]
        self.set_bucket(self.at_bucket, rest)
        self.count -= 1
        if self.at_expire != 0:
            self.expires_count -= 1
        buckets: i64 = len(self.buckets)
        if buckets > 1 and self.count < buckets * MIN_ENTRIES_PER_BUCKET:
            self.shrink()

    def remove(self, key: bytes) -> bool:
        if not self.find(key):
            return False
        self.remove_found()
        return True

    def clear(self) -> None:
        """Forget everything."""
        self.count = 0
        self.buckets = [b""]
        self.mask = 0
        self.split = 0
        self.objects = []
        self.free_slots = vec[i64]()
        self.earliest = vec[i64]()
        self.earliest_of_all = NEVER
        self.sweep_at = 0
        self.tracks_expires = False
        self.expires_count = 0
        self.bytes_used = EMPTY_BYTES
        self.at_key = None

    def reserve(self, entries: i64) -> None:
        """Make the buckets for so many entries at once, where the table is still new: loading need not grow it."""
        buckets: i64 = entries // ENTRIES_PER_BUCKET
        if self.count > 0 or len(self.buckets) > 1 or buckets < 2:
            return
        mask: i64 = 1
        while 2 * mask + 2 <= buckets:
            mask = 2 * mask + 1
        self.buckets = [b""] * int(buckets)
        self.mask = mask
        self.split = buckets - mask - 1
        self.bytes_used += (buckets - 1) * (resident_bytes(0) + 8)
        self.at_key = None

    def hand_over(self, lists: list[list[Any]]) -> None:
        """Append the long lists of the table, and become empty: their owner frees them piecemeal."""
        lists.append(self.buckets)
        lists.append(self.objects)
        self.clear()

    # -- objects held beside the buckets ------------------------------------------------------------------

    def hold(self, held: object) -> i64:
        if isinstance(held, bytes):
            self.bytes_used += resident_bytes(len(held))
        if len(self.free_slots) > 0:
            self.free_slots, slot = vec_pop(self.free_slots)
            self.objects[slot] = held
            return slot
        self.bytes_used += SLOT_BYTES
        self.objects.append(held)
        return i64(len(self.objects)) - 1

    def release(self, slot: i64) -> None:
        held = self.objects[slot]
        if isinstance(held, bytes):
            self.bytes_used -= resident_bytes(len(held))
        self.objects[slot] = None
        self.free_slots = vec_append(self.free_slots, slot)
        if i64(len(self.free_slots)) == i64(len(self.objects)):
            self.bytes_used -= SLOT_BYTES * i64(len(self.objects))
            self.objects = []
            self.free_slots = vec[i64]()

    def release_found(self, bucket: bytes) -> None:
        meta: i64 = self.at_meta
        if meta & META_OBJECT:
            self.release(i64(read_i32_le(bucket, self.at_payload)))
        if meta & META_KEY_OBJECT:
            self.release(i64(read_i32_le(bucket, self.at_payload - 4)))

    # -- growing and shrinking ----------------------------------------------------------------------------

    def set_bucket(self, index: i64, data: bytes) -> None:
        old: i64 = len(self.buckets[index])
        size: i64 = len(data)
        self.bytes_used += resident_bytes(size) - resident_bytes(old)
        self.buckets[index] = data
        self.at_key = None

    def key_at(self, bucket: bytes, position: i64) -> bytes:
        """The key of the entry at that position of a bucket."""
        meta: i64 = i64(bucket[position + 3])
        start: i64 = position + HEADER_BYTES + self.extra
        if meta & META_EXPIRE:
            start += 8
        if meta & META_KEY_OBJECT:
            held = self.objects[i64(read_i32_le(bucket, start))]
            assert isinstance(held, bytes)
            return held
        return bucket[start : start + i64(bucket[position + 4])]

    def grow(self) -> None:
        """Divide bucket `split` into itself and a new last bucket."""
        bit: i64 = self.mask + 1
        bucket: bytes = self.buckets[self.split]
        stay = self.writer
        leave = self.writer2
        stay.truncate(0)
        leave.truncate(0)
        size: i64 = len(bucket)
        position: i64 = 0
        while position < size:
            end: i64 = position + i64(read_i16_le(bucket, position + 1))
            hashed: i64 = hash(self.key_at(bucket, position))
            if hashed & bit:
                leave.write(bucket[position:end])
            else:
                stay.write(bucket[position:end])
            position = end
        self.bytes_used += resident_bytes(0) + 8
        self.buckets.append(b"")
        self.set_bucket(self.split, stay.getvalue())
        self.set_bucket(i64(len(self.buckets)) - 1, leave.getvalue())
        if self.tracks_expires:
            self.earliest = vec_append(self.earliest, self.earliest[self.split])
            self.bytes_used += SLOT_BYTES
        self.split += 1
        if self.split == bit:
            self.mask = 2 * self.mask + 1
            self.split = 0

    def shrink(self) -> None:
        """Take the last bucket back into the one that it was divided from."""
        if self.split == 0:
            self.mask >>= 1
            self.split = self.mask + 1
        self.split -= 1
        last = self.buckets.pop()
        self.bytes_used -= resident_bytes(len(last)) + 8
        if last:
            self.set_bucket(self.split, self.buckets[self.split] + last)
        if self.tracks_expires:
            self.earliest, moved = vec_pop(self.earliest)
            self.bytes_used -= SLOT_BYTES
            if moved < self.earliest[self.split]:
                self.earliest[self.split] = moved
            if moved < self.earliest_of_all:
                self.earliest_of_all = moved  # a sweep under way may be past the bucket that it moved to

    # -- expire times -------------------------------------------------------------------------------------

    def note_expire(self, index: i64, expire_ms: i64) -> None:
        if not self.tracks_expires:
            self.tracks_expires = True
            n: i64 = len(self.buckets)
            earliest = vec[i64](capacity=n)
            i: i64 = 0
            while i < n:
                earliest = vec_append(earliest, NEVER)
                i += 1
            self.earliest = earliest
            self.bytes_used += SLOT_BYTES * n
        if expire_ms < self.earliest[index]:
            self.earliest[index] = expire_ms
        if expire_ms < self.earliest_of_all:
            self.earliest_of_all = expire_ms

    # -- walking ------------------------------------------------------------------------------------------

    def scan_bucket(self, cursor: i64) -> i64:
        """The bucket that a scan at `cursor` (0 at the start) reads next."""
        return self.bucket_of(cursor)

    def scan_next(self, cursor: i64) -> i64:
        """The cursor after the bucket of `cursor` was read; 0 when the walk is complete.

        Read with its bits reversed, a cursor is a position in the hash space, and a bucket covers an interval
        of it whose length is one over its modulus: the next cursor is the end of that interval.
        """
        mask: i64 = self.mask
        if (cursor & mask) < self.split:
            mask = 2 * mask + 1
        # Increment the reversed low bits: clear the leading ones from the top, set the next zero.
        bit: i64 = (mask + 1) >> 1
        cursor &= mask
        while bit and cursor & bit:
            cursor &= ~bit
            bit >>= 1
        return cursor | bit

    def bucket_count(self) -> i64:
        return len(self.buckets)

    def note_first(self, index: i64) -> bool:
        """Leave the first entry of bucket `index` in the at_ fields; False where it is empty."""
        self.at_bucket = index
        self.at_end = 0
        return self.note_next()

    def note_next(self) -> bool:
        """Move the at_ fields on to the next entry of the same bucket; False at its end."""
        bucket: bytes = self.buckets[self.at_bucket]
        if self.at_end >= i64(len(bucket)):
            return False
        self.note_position(bucket, self.at_end)
        return True

    def note_position(self, bucket: bytes, position: i64) -> None:
        """Leave the entry at that position of bucket `at_bucket` in the at_ fields."""
        self.at_key = None
        meta: i64 = i64(bucket[position + 3])
        extra: i64 = position + HEADER_BYTES
        payload: i64 = extra + self.extra + i64(bucket[position + 4])
        if meta & META_EXPIRE:
            payload += 8
        self.note_entry(
            bucket, position, position + i64(read_i16_le(bucket, position + 1)), meta, extra, payload
        )

    def found_key(self) -> bytes:
        """The key of the entry found last."""
        return self.key_at(self.buckets[self.at_bucket], self.at_entry)

    def found_extra24(self) -> i64:
        """The three extra bytes of the entry found last, as an unsigned number."""
        # Read from the byte before (the length of the key): the entry may end with its extra bytes.
        return (i64(read_i32_le(self.buckets[self.at_bucket], self.at_extra - 1)) >> 8) & 0xFFFFFF
