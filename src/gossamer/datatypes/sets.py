"""Sets: distinct members without order.

Owns the three forms and the switches between them; knows no keys and no clients.

    intset     only integers, ascending, up to `set-max-intset-entries`
    listpack   up to `set-max-listpack-entries` members of up to `set-max-listpack-value` bytes (since 7.2)
    large      a PackedTable whose payloads are empty

A set that left a form never returns to it by losing members. A new set starts as an intset if its first
member is an integer.

Invariants: exactly one form holds the members; every member stands there once.
"""

from typing import Any, Final, final

from mypy_extensions import i64

from gossamer.base.limits import Limits
from gossamer.base.numbers import format_int, is_int64, to_int64
from gossamer.base.rng import Random64
from gossamer.datatypes import intset, listpack
from gossamer.datatypes.packed_content import all_keys
from gossamer.datatypes.packed_random import find_random
from gossamer.datatypes.packed_table import PackedTable
from gossamer.datatypes.value import (
    BYTES_OVERHEAD,
    KIND_OBJECT,
    KIND_SET_INTSET,
    KIND_SET_LISTPACK,
    OBJECT_BYTES,
    Value,
)

__all__: Final = ["Set"]

# A packed set never passes this size, whatever the thresholds say (Redis: 1 GiB).
MAX_LISTPACK_BYTES: Final = 1 << 30
MAX_INTSET_ENTRIES: Final = 1 << 30
# SPOP draws what stays instead of what goes when that is less work by this factor.
MOVE_FACTOR: Final = 5
_INTEGER_BYTES: Final = 20  # the longest text of an integer


@final
class Set(Value):
    """The value behind a set key. A fresh one is an empty intset."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits: Limits = limits
        self.data: bytes = intset.EMPTY  # intset or listpack, while packed
        self.is_intset: bool = True
        self.table: PackedTable | None = None  # None while packed

    @staticmethod
    def from_intset(packed: bytes, limits: Limits) -> "Set":
        """Over a valid intset."""
        value = Set(limits)
        value.data = packed
        return value

    @staticmethod
    def from_listpack(packed: bytes, limits: Limits) -> "Set":
        """Over a valid listpack of distinct members."""
        value = Set(limits)
        value.data = packed
        value.is_intset = False
        return value

    @staticmethod
    def from_members(members: list[bytes], limits: Limits) -> "Set":
        """Of members in any order; with one given twice it has fewer than the list."""
        value = Set(limits)
        count: i64 = len(members)
        bound: i64 = limits.set_max_intset_entries
        if limits.compat >= 72 and bound < limits.set_max_listpack_entries:
            bound = limits.set_max_listpack_entries
        if count > bound:
            value.become_large()
        elif value.fits_listpack(members) and len(set(members)) == count:
            value.data = listpack.encode(members)
            value.is_intset = False
            return value
        for member in members:
            value.add(member)
        return value

    @staticmethod
    def new_for(member: bytes, expected: i64, limits: Limits) -> "Set":
        """Empty, in the form that suits a first member and the number of members that one command brings."""
        value = Set(limits)
        if limits.compat < 72:
            if not is_int64(member):
                value.become_large()
        elif expected <= limits.set_max_intset_entries and is_int64(member):
            pass
        elif expected <= limits.set_max_listpack_entries:
            value.data = listpack.EMPTY
            value.is_intset = False
        else:
            value.become_large()
        return value

    # -- what every value answers -------------------------------------------------------------------------

    def type_name(self) -> bytes:
        return b"set"

    def encoding(self) -> bytes:
        if self.table is not None:
            return b"hashtable"
        return b"intset" if self.is_intset else b"listpack"

    def length(self) -> i64:
        """Number of members."""
        table = self.table
        if table is not None:
            return table.count
        return intset.count(self.data) if self.is_intset else listpack.count(self.data)

    def packed(self) -> bytes | None:
        return self.data if self.table is None else None

    def packed_kind(self) -> i64:
        if self.table is not None:
            return KIND_OBJECT
        return KIND_SET_INTSET if self.is_intset else KIND_SET_LISTPACK

    def memory_bytes(self) -> i64:
        table = self.table
        if table is None:
            return OBJECT_BYTES + BYTES_OVERHEAD + len(self.data)
        return 4 * OBJECT_BYTES + table.bytes_used

    def hand_over(self, lists: list[list[Any]]) -> None:
        if self.table is not None:
            self.table.hand_over(lists)

    def copy(self) -> "Set":
        """An independent set with the same members."""
        table = self.table
        if table is None:
            value = Set.from_intset(self.data, self.limits)
            value.is_intset = self.is_intset
            return value
        value = Set(self.limits)
        fill(value.become_large(), all_keys(table))
        return value

    # -- members ------------------------------------------------------------------------------------------

    def contains(self, member: bytes) -> bool:
        table = self.table
        if table is not None:
            return table.find(member)
        data = self.data
        if self.is_intset:
            return is_int64(member) and intset.contains(data, to_int64(member))
        return listpack.find(data, listpack.first(data), member, 0) >= 0

    def add(self, member: bytes) -> bool:
        """Add a member; False when it was there."""
        table = self.table
        if table is None:
            data = self.data
            if self.is_intset:
                if is_int64(member):
                    grown = intset.add(data, to_int64(member))
                    if grown is data:
                        return False
                    self.data = grown
                    if intset.count(grown) > self.intset_bound():
                        self.become_large()
                    return True
                if self.leave_intset(member):
                    self.data = listpack.append(self.data, member)
                    return True
            else:
                if listpack.find(data, listpack.first(data), member, 0) >= 0:
                    return False
                limits = self.limits
                if (
                    listpack.count(data) < limits.set_max_listpack_entries
                    and len(member) <= limits.set_max_listpack_value
                    and len(data) + len(member) <= MAX_LISTPACK_BYTES
                ):
                    self.data = listpack.append(data, member)
                    return True
            table = self.table
            if table is None:
                table = self.become_large()
        if table.find(member):
            return False
        table.insert(member, 0, b"", 0)
        return True

    def remove(self, member: bytes) -> bool:
        """Take out a member; False when it is not there."""
        table = self.table
        if table is not None:
            return table.remove(member)
        data = self.data
        if self.is_intset:
            if not is_int64(member):
                return False
            self.data = intset.remove(data, to_int64(member))
            return self.data is not data
        position = listpack.find(data, listpack.first(data), member, 0)
        if position < 0:
            return False
        self.data = listpack.delete_at(data, position, 1)
        return True

    def members(self) -> list[bytes]:
        """All members; those of an intset ascend."""
        table = self.table
        if table is not None:
            return all_keys(table)
        if not self.is_intset:
            return listpack.entries(self.data)
        data = self.data
        members: list[bytes] = []
        count: i64 = intset.count(data)
        index: i64 = 0
        while index < count:
            members.append(format_int(intset.get(data, index)))
            index += 1
        return members

    # -- random members -----------------------------------------------------------------------------------

    def random_member(self, rng: Random64) -> bytes:
        """A uniformly chosen member; there must be one."""
        table = self.table
        if table is not None:
            find_random(table, rng)
            return table.found_key()
        data = self.data
        if self.is_intset:
            return format_int(intset.get(data, rng.below(intset.count(data))))
        return listpack.element_at(data, listpack.seek(data, rng.below(listpack.count(data))))

    def pop(self, rng: Random64) -> bytes:
        """Take out a uniformly chosen member; there must be one."""
        table = self.table
        if table is not None:
            find_random(table, rng)
            member = table.found_key()
            table.remove_found()
            return member
        data = self.data
        if self.is_intset:
            index = rng.below(intset.count(data))
            self.data = intset.remove_index(data, index)
            return format_int(intset.get(data, index))
        position = listpack.seek(data, rng.below(listpack.count(data)))
        self.data = listpack.delete_at(data, position, 1)
        return listpack.element_at(data, position)

    def random_members(self, rng: Random64, count: i64) -> list[bytes]:
        """So many members, drawn one by one: a member may come up again."""
        drawn: list[bytes] = []
        table = self.table
        if table is None and count > 1:
            members = self.members()
            size: i64 = len(members)
            while count > 0:
                drawn.append(members[rng.below(size)])
                count -= 1
            return drawn
        while count > 0:
            drawn.append(self.random_member(rng))
            count -= 1
        return drawn

    def distinct_random_members(self, rng: Random64, count: i64) -> list[bytes]:
        """So many different members (all of them, if they are fewer)."""
        size: i64 = self.length()
        if count >= size:
            return self.members()
        drawn: list[bytes] = []
        table = self.table
        if table is None or count * 3 > size:
            members = self.members()
            for index in rng.distinct_below(size, count):
                drawn.append(members[index])
            return drawn
        seen: set[bytes] = set()
        while len(seen) < count:
            find_random(table, rng)
            member = table.found_key()
            if member not in seen:
                seen.add(member)
                drawn.append(member)
        return drawn

    def take_random(self, rng: Random64, count: i64) -> list[bytes]:
        """Take out so many uniformly chosen members, fewer than there are.

        Where few remain, they are what is drawn, and they begin a new set whose form may be a smaller one.
        """
        taken: list[bytes] = []
        size: i64 = self.length()
        remaining: i64 = size - count
        if self.table is not None and remaining * MOVE_FACTOR > count:
            while count > 0:
                taken.append(self.pop(rng))
                count -= 1
            return taken
        members = self.members()
        if self.table is not None:
            kept = rng.distinct_below(size, remaining)
            self.become_empty(members[kept[0]])
            for index in kept:
                self.add(members[index])
            staying = set(kept)
            return [members[index] for index in range(len(members)) if index not in staying]
        drawn = rng.distinct_below(size, count)
        taken = [members[index] for index in drawn]
        leaving = set(drawn)
        rest = [members[index] for index in range(len(members)) if index not in leaving]
        if self.is_intset:
            self.data = intset.encode([to_int64(member) for member in rest])
        else:
            self.data = listpack.encode(rest)
        return taken

    def become_empty(self, first: bytes) -> None:
        """Start anew for a few members of a large set."""
        self.table = None
        if self.limits.compat >= 72:
            self.data = listpack.EMPTY
            self.is_intset = False
        else:
            self.data = intset.EMPTY
            self.is_intset = True
            if not is_int64(first):
                self.become_large()

    # -- the switches -------------------------------------------------------------------------------------

    def intset_bound(self) -> i64:
        bound: i64 = self.limits.set_max_intset_entries
        return bound if bound < MAX_INTSET_ENTRIES else MAX_INTSET_ENTRIES

    def fits_listpack(self, members: list[bytes]) -> bool:
        """Whether these members, some of them no integers, are within the thresholds of a listpack."""
        limits = self.limits
        if limits.compat < 72 or len(members) > limits.set_max_listpack_entries:
            return False
        total: i64 = 0
        only_integers = True
        for member in members:
            size: i64 = len(member)
            if size > limits.set_max_listpack_value:
                return False
            total += size
            if only_integers and not is_int64(member):
                only_integers = False
        return total <= MAX_LISTPACK_BYTES and not only_integers

    def leave_intset(self, member: bytes) -> bool:
        """Leave the intset for a member that is no integer; True when there is room for it in a listpack."""
        data = self.data
        limits = self.limits
        count: i64 = intset.count(data)
        size: i64 = len(member)
        longest: i64 = size
        if count > 0:
            lowest: i64 = len(format_int(intset.get(data, 0)))
            highest: i64 = len(format_int(intset.get(data, count - 1)))
            longest = max(size, max(lowest, highest))
        if (
            limits.compat < 72
            or count >= limits.set_max_listpack_entries
            or longest > limits.set_max_listpack_value
            or count * _INTEGER_BYTES + size > MAX_LISTPACK_BYTES
        ):
            self.become_large()
            return False
        self.data = listpack.encode(self.members())
        self.is_intset = False
        return True

    def expect(self, count: i64) -> None:
        """Prepare for so many members of one command; since 7.2 too many make it large even if repeated."""
        limits = self.limits
        if self.table is not None or limits.compat < 72:
            return
        bound: i64 = limits.set_max_intset_entries if self.is_intset else limits.set_max_listpack_entries
        if count > bound:
            self.become_large()

    def apply_limits(self) -> None:
        """Become large if packed bytes from elsewhere are not what this server's thresholds allow."""
        if self.table is not None:
            return
        bound: i64 = self.intset_bound()
        if not self.is_intset:
            bound = self.limits.set_max_listpack_entries if self.limits.compat >= 72 else -1
        if self.length() > bound:
            self.become_large()

    def become_intset(self) -> None:
        """Return to an intset; only for members that are all integers, and not too many of them."""
        if self.length() > self.intset_bound():
            return
        numbers: list[int] = [to_int64(member) for member in self.members()]
        numbers.sort()
        self.data = intset.encode(numbers)
        self.is_intset = True
        self.table = None

    def become_large(self) -> PackedTable:
        """Move everything into the large form."""
        table = PackedTable(0)
        fill(table, self.members())
        self.data = intset.EMPTY
        self.is_intset = False
        self.table = table
        return table


def fill(table: PackedTable, members: list[bytes]) -> None:
    """Put distinct members into an empty table."""
    for member in members:
        table.find(member)
        table.insert(member, 0, b"", 0)
