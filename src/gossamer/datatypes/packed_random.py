"""Choosing an entry of a packed table by chance, every one as likely as any other.

Shares the layout of packed_table.py: linear hashing leaves some buckets that cover twice the hash space.
"""

from math import sqrt

from librt.strings import read_i16_le
from mypy_extensions import i64

from gossamer.base.rng import Random64
from gossamer.datatypes.packed_table import PackedTable


def find_random(table: PackedTable, rng: Random64) -> None:
    """Leave a uniformly chosen entry in the at_ fields, as find() does. The table must not be empty.

    A point of the hash space and a place in its bucket are drawn until the place is taken. A bucket that
    was not divided yet covers two points and has twice the places, so every entry is equally likely:
    exactly, but for entries beyond the places of their bucket, about one in 100,000.
    """
    if len(table.buckets) == 1:
        note_nth(table, 0, rng.below(table.count))
        return
    mask: i64 = table.mask
    split: i64 = table.split
    points: i64 = 2 * mask + 2
    # Entries scatter over the points as chance has it: four standard deviations above the mean.
    density = float(table.count) / float(points)
    places: i64 = i64(int(density + 4.0 * sqrt(density))) + 4
    while True:
        index: i64 = rng.next_u32() & (points - 1)
        nth: i64 = 0
        if index & mask < split:
            nth = rng.below(places)
        else:
            index &= mask
            nth = rng.below(2 * places)
        bucket: bytes = table.buckets[index]
        size: i64 = len(bucket)
        position: i64 = 0
        while nth > 0 and position < size:
            position += i64(read_i16_le(bucket, position + 1))
            nth -= 1
        if position < size:
            table.at_bucket = index
            table.note_position(bucket, position)
            return


def note_nth(table: PackedTable, index: i64, nth: i64) -> None:
    """Leave the nth entry of bucket `index`, which must exist, in the at_ fields."""
    bucket: bytes = table.buckets[index]
    position: i64 = 0
    while nth > 0:
        position += i64(read_i16_le(bucket, position + 1))
        nth -= 1
    table.at_bucket = index
    table.note_position(bucket, position)
