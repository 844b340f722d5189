"""Hashes: fields with values.

Owns both forms and the switch between them; knows no keys and no clients.

    packed   one listpack: field, value, field, value ... in the order in which the fields came
    large    a PackedTable from field to value, and to the expire time of a field that has one

A hash becomes large, for good, with the first field or value above `hash-max-listpack-value` bytes, with more
than `hash-max-listpack-entries` fields, or with the first field that expires.

Invariants: exactly one form holds the fields; every field stands there once. A field that is due counts as there
(`length`, `items` ...) until it is removed; one that is hidden is absent from `get`, `contains`, `set`, `remove`,
`expire_time`, `live_length` and `visible`.
"""

from typing import Any, Final, final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.datatypes import listpack
from gossamer.datatypes.field_expiry import (
    NEVER_EXPIRES,
    NO_FIELD,
    copy_entries,
    count_due,
    expiring_fields,
    live_items,
    next_check_ms,
)
from gossamer.datatypes.packed_content import all_items, all_keys
from gossamer.datatypes.packed_random import find_random
from gossamer.datatypes.packed_table import PackedTable
from gossamer.datatypes.value import BYTES_OVERHEAD, KIND_HASH_LISTPACK, KIND_OBJECT, OBJECT_BYTES, Value

__all__: Final = ["Hash"]

# The listpack of a hash never passes this size, whatever the thresholds say (Redis: 1 GiB).
MAX_LISTPACK_BYTES: Final = 1 << 30


@final
class Hash(Value):
    """The value behind a hash key."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits: Limits = limits
        self.pairs: bytes = listpack.EMPTY  # while packed
        self.table: PackedTable | None = None  # None while packed
        self.hidden_before_ms: i64 = 0  # fields that expire before this time are hidden
        self.scheduled_ms: i64 = 0  # owned by the database: when it will look for due fields; 0: never

    @staticmethod
    def from_packed(packed: bytes, limits: Limits) -> "Hash":
        """Over the listpack of a bucket, a file or a payload, which must be valid."""
        value = Hash(limits)
        value.pairs = packed
        return value

    @staticmethod
    def from_pairs(flat: list[bytes], limits: Limits) -> "Hash":
        """Of field, value, field, value ...; with a field given twice it has fewer fields than pairs."""
        value = Hash(limits)
        size: i64 = len(flat)
        if value.fits_packed(flat) and len(set(flat[::2])) == size >> 1:
            value.pairs = listpack.encode(flat)
            return value
        index: i64 = 0
        while index < size:
            value.set(flat[index], flat[index + 1])
            index += 2
        return value

    # -- what every value answers -------------------------------------------------------------------------

    def type_name(self) -> bytes:
        return b"hash"

    def encoding(self) -> bytes:
        return b"listpack" if self.table is None else b"hashtable"

    def length(self) -> i64:
        """Number of fields."""
        table = self.table
        if table is None:
            return listpack.count(self.pairs) >> 1
        return table.count

    def packed(self) -> bytes | None:
        return self.pairs if self.table is None else None

    def packed_kind(self) -> i64:
        return KIND_HASH_LISTPACK if self.table is None else KIND_OBJECT

    def memory_bytes(self) -> i64:
        table = self.table
        if table is None:
            return OBJECT_BYTES + BYTES_OVERHEAD + len(self.pairs)
        return 4 * OBJECT_BYTES + table.bytes_used

    def hand_over(self, lists: list[list[Any]]) -> None:
        if self.table is not None:
            self.table.hand_over(lists)

    def copy(self) -> "Hash":
        """An independent hash with the same fields."""
        table = self.table
        if table is None:
            return Hash.from_packed(self.pairs, self.limits)
        value = Hash(self.limits)
        if table.expires_count != 0:
            copy_entries(table, value.become_large())
        else:
            fill(value.become_large(), all_items(table))
        return value

    # -- fields -------------------------------------------------------------------------------------------

    def get(self, field: bytes) -> bytes | None:
        """The value of a field."""
        table = self.table
        if table is not None:
            if self.hidden_before_ms != 0 and self.hides(field):
                return None
            return table.get(field)
        pairs = self.pairs
        position = listpack.find(pairs, listpack.first(pairs), field, 1)
        if position < 0:
            return None
        return listpack.element_at(pairs, position + listpack.entry_bytes(pairs, position))

    def contains(self, field: bytes) -> bool:
        table = self.table
        if table is not None:
            return table.find(field) and (self.hidden_before_ms == 0 or not self.hides(field))
        return listpack.find(self.pairs, listpack.first(self.pairs), field, 1) >= 0

    def set(self, field: bytes, value: bytes) -> bool:
        """Give a field its value, for ever; True when the field is new."""
        table = self.table
        if table is None:
            limits = self.limits
            pairs = self.pairs
            longest: i64 = limits.hash_max_listpack_value
            if (
                len(field) <= longest
                and len(value) <= longest
                and len(pairs) + len(field) + len(value) <= MAX_LISTPACK_BYTES
            ):
                position = listpack.find(pairs, listpack.first(pairs), field, 1)
                if position >= 0:
                    position += listpack.entry_bytes(pairs, position)
                    if not listpack.equals_at(pairs, position, value):
                        self.pairs = listpack.replace_at(pairs, position, value)
                    return False
                if listpack.count(pairs) >> 1 < limits.hash_max_listpack_entries:
                    self.pairs = listpack.append_many(pairs, [field, value])
                    return True
            table = self.become_large()
        if table.expires_count != 0:
            is_new = not table.find(field)
            if not is_new:
                is_new = self.hides(field)
                table.set_found_expire(0)
            table.put(field, value)
            return is_new
        return table.put(field, value)

    def remove(self, field: bytes) -> bool:
        """Take out a field; False when it is not there."""
        table = self.table
        if table is not None:
            if self.hidden_before_ms != 0 and self.hides(field):
                return False
            return table.remove(field)
        position = listpack.find(self.pairs, listpack.first(self.pairs), field, 1)
        if position < 0:
            return False
        self.pairs = listpack.delete_at(self.pairs, position, 2)
        return True

    # -- fields that expire -------------------------------------------------------------------------------

    def expiring(self) -> i64:
        """How many fields expire."""
        table = self.table
        return 0 if table is None else table.expires_count

    def expire_time(self, field: bytes) -> i64:
        """When a field expires, in Unix ms; NEVER_EXPIRES, or NO_FIELD where it is not there."""
        table = self.table
        if table is None:
            return NEVER_EXPIRES if self.contains(field) else NO_FIELD
        if not table.find(field) or self.hides(field):
            return NO_FIELD
        return table.at_expire if table.at_expire != 0 else NEVER_EXPIRES

    def set_expire(self, field: bytes, expire_ms: i64) -> None:
        """Give a field that is there an expire time in Unix ms above 0; 0 takes it away."""
        table = self.table
        if table is None:
            if expire_ms == 0:
                return
            table = self.become_large()
        if table.find(field):
            table.set_found_expire(expire_ms)

    def set_keeping_time(self, field: bytes, value: bytes) -> bool:
        """As set(), but an expire time that the field has is kept."""
        table = self.table
        if table is not None and table.find(field) and not self.hides(field):
            table.put(field, value)
            return False
        return self.set(field, value)

    def hides(self, field: bytes) -> bool:
        """Whether a field is there and hidden."""
        table = self.table
        return table is not None and table.find(field) and 0 < table.at_expire < self.hidden_before_ms

    def next_check_ms(self) -> i64:
        """No field is due before this time; 0 where none expires."""
        table = self.table
        return 0 if table is None else next_check_ms(table)

    def expiring_fields(self) -> list[tuple[bytes, int]]:
        """Every field that expires, with its time."""
        table = self.table
        return [] if table is None else expiring_fields(table)

    def live_length(self) -> i64:
        """Number of fields that are not hidden."""
        table = self.table
        if table is None or self.hidden_before_ms == 0:
            return self.length()
        return table.count - count_due(table, self.hidden_before_ms)

    def visible(self) -> "Hash":
        """A hash of the fields that are not hidden: this one, or a copy without their times."""
        table = self.table
        if table is None or self.hidden_before_ms == 0:
            return self
        value = Hash(self.limits)
        fill(value.become_large(), live_items(table, self.hidden_before_ms))
        return value

    # -- all of it ----------------------------------------------------------------------------------------

    def items(self) -> list[bytes]:
        """field, value, field, value ..."""
        table = self.table
        return listpack.entries(self.pairs) if table is None else all_items(table)

    def fields(self) -> list[bytes]:
        table = self.table
        return listpack.entries(self.pairs)[::2] if table is None else all_keys(table)

    def values(self) -> list[bytes]:
        return self.items()[1::2]

    # -- random fields ------------------------------------------------------------------------------------

    def random_pair(self, rng: Random64, flat: list[bytes]) -> None:
        """Append a uniformly chosen field and its value; there must be one."""
        table = self.table
        if table is None:
            pairs = self.pairs
            position = listpack.seek(pairs, 2 * rng.below(listpack.count(pairs) >> 1))
            flat.append(listpack.element_at(pairs, position))
            flat.append(listpack.element_at(pairs, position + listpack.entry_bytes(pairs, position)))
            return
        find_random(table, rng)
        flat.append(table.found_key())
        flat.append(table.found_payload())

    def random_pairs(self, rng: Random64, count: i64) -> list[bytes]:
        """So many fields with their values, drawn one by one: a field may come up again."""
        table = self.table
        flat: list[bytes] = []
        if table is None and count > 1:
            all_pairs = listpack.entries(self.pairs)
            fields: i64 = len(all_pairs) >> 1
            while count > 0:
                index: i64 = 2 * rng.below(fields)
                flat.append(all_pairs[index])
                flat.append(all_pairs[index + 1])
                count -= 1
            return flat
        while count > 0:
            self.random_pair(rng, flat)
            count -= 1
        return flat

    def distinct_random_pairs(self, rng: Random64, count: i64) -> list[bytes]:
        """So many different fields (all of them, if they are fewer) with their values."""
        size: i64 = self.length()
        if count >= size:
            return self.items()
        flat: list[bytes] = []
        table = self.table
        if table is None or count * 3 > size:
            all_pairs = self.items()
            for index in rng.distinct_below(size, count):
                flat.append(all_pairs[2 * index])
                flat.append(all_pairs[2 * index + 1])
            return flat
        seen: set[bytes] = set()
        while len(seen) < count:
            find_random(table, rng)
            field = table.found_key()
            if field not in seen:
                seen.add(field)
                flat.append(field)
                flat.append(table.found_payload())
        return flat

    # -- the switch ---------------------------------------------------------------------------------------

    def fits_packed(self, flat: list[bytes]) -> bool:
        """Whether fields and values, all together, are within the thresholds of the packed form."""
        limits = self.limits
        if len(flat) >> 1 > limits.hash_max_listpack_entries:
            return False
        total: i64 = 0
        for element in flat:
            size: i64 = len(element)
            if size > limits.hash_max_listpack_value:
                return False
            total += size
        return total <= MAX_LISTPACK_BYTES

    def expect(self, pairs: i64) -> None:
        """Prepare for so many pairs of one command; since 7.2 too many make it large even if they repeat."""
        if self.table is None and self.limits.compat >= 72 and pairs > self.limits.hash_max_listpack_entries:
            self.become_large()

    def apply_limits(self) -> None:
        """Become large if a listpack from elsewhere has more fields than the thresholds allow here."""
        if self.table is None and self.length() > self.limits.hash_max_listpack_entries:
            self.become_large()

    def become_large(self) -> PackedTable:
        """Move everything into the large form."""
        table = PackedTable(0)
        fill(table, listpack.entries(self.pairs))
        self.pairs = listpack.EMPTY
        self.table = table
        return table


def fill(table: PackedTable, flat: list[bytes]) -> None:
    """Put field, value, field, value ... into a table."""
    index: i64 = 0
    size: i64 = len(flat)
    while index < size:
        table.put(flat[index], flat[index + 1])
        index += 2
