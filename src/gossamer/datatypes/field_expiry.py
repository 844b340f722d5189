"""Fields of a hash that expire: what can be asked of the table that holds them.

A hash with such fields is in its large form, and an expire time stands in the entry of its field, where the
layout of PackedTable has a place for it: a hash without them carries nothing. Knows tables, no Hash.

A field is due when its time lies before now. What becomes of a due field (removed, or only hidden on a replica)
is decided by the database.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.datatypes.packed_expiry import sweep
from gossamer.datatypes.packed_table import NEVER, PackedTable

NO_FIELD: Final = -2
NEVER_EXPIRES: Final = -1


def next_check_ms(table: PackedTable) -> i64:
    """No field is due before this time (it may be too early); 0 where none expires."""
    if table.expires_count == 0:
        return 0
    if table.sweep_at != 0 or table.earliest_of_all < 1:
        return 1
    return table.earliest_of_all


def earliest_expire_ms(table: PackedTable) -> i64:
    """The very time at which the first field is due; NEVER where none expires."""
    earliest: i64 = NEVER
    for index in range(len(table.earliest)):
        # What is noted of a bucket is at most the truth: look only where it could be the first.
        if table.earliest[index] < earliest:
            there: bool = table.note_first(index)
            while there:
                if 0 < table.at_expire < earliest:
                    earliest = table.at_expire
                there = table.note_next()
    return earliest


def count_due(table: PackedTable, before_ms: i64) -> i64:
    """How many fields expire before that time."""
    count: i64 = 0
    for index in range(len(table.earliest)):
        if table.earliest[index] < before_ms:
            there: bool = table.note_first(index)
            while there:
                if 0 < table.at_expire < before_ms:
                    count += 1
                there = table.note_next()
    return count


def live_items(table: PackedTable, before_ms: i64) -> list[bytes]:
    """field, value, field, value ... of the fields that do not expire before that time."""
    flat: list[bytes] = []
    for index in range(len(table.buckets)):
        there: bool = table.note_first(index)
        while there:
            if table.at_expire == 0 or table.at_expire >= before_ms:
                flat.append(table.found_key())
                flat.append(table.found_payload())
            there = table.note_next()
    return flat


def expiring_fields(table: PackedTable) -> list[tuple[bytes, int]]:
    """Every field that expires, with its time in Unix ms."""
    found: list[tuple[bytes, int]] = []
    if table.expires_count == 0:
        return found
    for index in range(len(table.buckets)):
        there: bool = table.note_first(index)
        while there:
            if table.at_expire != 0:
                found.append((table.found_key(), int(table.at_expire)))
            there = table.note_next()
    return found


def copy_entries(source: PackedTable, target: PackedTable) -> None:
    """Put fields, values and expire times of one table into another, which is empty."""
    for index in range(len(source.buckets)):
        there: bool = source.note_first(index)
        while there:
            field = source.found_key()
            target.find(field)
            target.insert(field, 0, source.found_payload(), source.at_expire)
            there = source.note_next()


def remove_due(table: PackedTable, now_ms: i64, buckets: i64, removed: list[bytes]) -> bool:
    """Remove due fields until so many buckets were looked at, and append their names; False when none is left."""
    more: bool = True
    while more and buckets > 0:
        due: list[bytes] = []
        at: i64 = table.sweep_at
        more = sweep(table, now_ms, buckets, due)
        for field in due:
            table.remove(field)
        removed.extend(due)
        passed: i64 = table.sweep_at - at
        buckets -= passed if passed > 0 else 1
    return more
