"""Places on the earth as 52-bit numbers, and the search for those in a circle or a box.

Owns the geometry: cells, distances, which cells cover a shape. It knows numbers only; no sorted sets, no replies.

A place is a cell of a grid of 2**26 by 2**26 over longitude -180 to 180 and latitude -85.05112878 to 85.05112878; the
score of a sorted set interleaves the bits of both indices, latitude in the even ones:

    score bits   51 50 49 48 ... 1 0
                 x  y  x  y      x y        x: cell by longitude, y: cell by latitude

A cell of fewer bits (a step below 26) is the range of scores that begin with its bits. What is computed and in which
order of operations follows Redis, so that distances are equal to the last digit and results come in the same order.
"""

import math
from typing import Final, final

from mypy_extensions import i64

LONGITUDE_MAX: Final = 180.0
LATITUDE_MAX: Final = 85.05112878
STEP_MAX: Final = 26
EARTH_RADIUS_M: Final = 6372797.560856
_DIAMETER_M: Final = 2.0 * EARTH_RADIUS_M
_MERCATOR_MAX_M: Final = 20037726.37
_DEGREE: Final = math.pi / 180.0
_ODD_BITS: Final = 0x2AAAAAAAAAAAAAAA  # the even ones would be 63 bits long, and an object to compiled code
_FINEST: Final = (
    1.0 / 67108864.0
)  # the width of the finest cells as a part of the whole; a power of two, so exact
_TWO63: Final = 9223372036854775808.0
_ALPHABET: Final = b"0123456789bcdefghjkmnpqrstuvwxyz"
_GEOHASH_LATITUDE_MAX: Final = 90.0
_WHOLE_CIRCLE: Final = 360.0
# What is farther than an estimate of how far a shape reaches by so much needs no exact distance.
_FACTOR_OF_DOUBT: Final = 1.000001
_ANGLE_OF_DOUBT: Final = 0.000001
_DEGREES_OF_DOUBT: Final = 0.0000001


# -- cells ----------------------------------------------------------------------------------------------------


def spread(index: i64) -> i64:
    """The low 32 bits, each moved to twice its place."""
    index = (index | (index << 16)) & 0x0000FFFF0000FFFF
    index = (index | (index << 8)) & 0x00FF00FF00FF00FF
    index = (index | (index << 4)) & 0x0F0F0F0F0F0F0F0F
    index = (index | (index << 2)) & 0x3333333333333333
    odd: i64 = _ODD_BITS
    return (index | (index << 1)) & ((odd << 1) | 1)


def gathered(bits: i64) -> i64:
    """The even bits, moved together."""
    odd: i64 = _ODD_BITS
    bits &= (odd << 1) | 1
    bits = (bits | (bits >> 1)) & 0x3333333333333333
    bits = (bits | (bits >> 2)) & 0x0F0F0F0F0F0F0F0F
    bits = (bits | (bits >> 4)) & 0x00FF00FF00FF00FF
    bits = (bits | (bits >> 8)) & 0x0000FFFF0000FFFF
    return (bits | (bits >> 16)) & 0x00000000FFFFFFFF


def cells_along(step: i64) -> i64:
    """Into how many cells a step divides each direction."""
    cells: i64 = 1
    while step > 0:
        cells *= 2
        step -= 1
    return cells


def index_of(degrees: float, limit: float, cells: i64) -> i64:
    """The cell, along one direction from -limit to limit; `cells` itself for the upper end."""
    return i64(int((degrees + limit) / (limit + limit) * float(cells)))


def encode(longitude: float, latitude: float) -> i64:
    """The score of a place."""
    cells = cells_along(STEP_MAX)
    x = index_of(longitude, LONGITUDE_MAX, cells)
    return spread(index_of(latitude, LATITUDE_MAX, cells)) | (spread(x) << 1)


def lower_edge(index: i64, limit: float, cells: i64) -> float:
    """Where a cell begins, in degrees."""
    return -limit + (float(index) / float(cells)) * (limit + limit)


def centre(index: i64, limit: float) -> float:
    """The middle of one of the finest cells, in degrees; no farther out than the limit."""
    whole: float = limit + limit
    low: float = -limit + float(index) * _FINEST * whole
    high: float = -limit + float(index + 1) * _FINEST * whole
    degrees: float = (low + high) / 2.0
    if degrees > limit:
        return limit
    return -limit if degrees < -limit else degrees


def bits_of(score: float) -> i64:
    """A score as 64 bits, as a signed number; any score of a sorted set has some."""
    if 0.0 <= score < _TWO63:
        return i64(int(score))
    return odd_bits_of(score)


def odd_bits_of(score: float) -> i64:
    """Those of a score that GEOADD does not make, as the conversion of a double on x86-64 leaves them."""
    if score >= _TWO63:
        bits = int(score - _TWO63) if score < 2.0 * _TWO63 else 0
        bits ^= 1 << 63
        return i64(bits - (1 << 64) if bits >> 63 else bits)
    return i64(int(score)) if score >= -_TWO63 else i64(-int(_TWO63))


def longitude_of(bits: i64) -> float:
    return centre(gathered(bits >> 1), LONGITUDE_MAX)


def latitude_of(bits: i64) -> float:
    return centre(gathered(bits), LATITUDE_MAX)


def geohash_text(score: float) -> bytes:
    """The eleven characters of a standard geohash, whose grid goes to the poles; the last one is always 0."""
    bits = bits_of(score)
    cells = cells_along(STEP_MAX)
    x = index_of(longitude_of(bits), LONGITUDE_MAX, cells)
    standard = spread(index_of(latitude_of(bits), _GEOHASH_LATITUDE_MAX, cells)) | (spread(x) << 1)
    text = bytearray()
    shift: i64 = 47
    while shift >= 0:
        text.append(_ALPHABET[(standard >> shift) & 31])
        shift -= 5
    text.append(_ALPHABET[0])
    return bytes(text)


# -- distances ------------------------------------------------------------------------------------------------


def latitude_distance(latitude: float, other: float) -> float:
    """Metres along a meridian."""
    return EARTH_RADIUS_M * abs(other * _DEGREE - latitude * _DEGREE)


def distance(longitude: float, latitude: float, other_longitude: float, other_latitude: float) -> float:
    """Metres between two places on a sphere."""
    root = haversine_root(longitude, latitude, other_longitude, other_latitude)
    return arc(root) if root >= 0.0 else latitude_distance(latitude, other_latitude)


def haversine_root(longitude: float, latitude: float, other_longitude: float, other_latitude: float) -> float:
    """The sine of half the angle between two places; -1 where they have one meridian."""
    v = math.sin((other_longitude * _DEGREE - longitude * _DEGREE) / 2.0)
    if v == 0.0:
        return -1.0
    radians = latitude * _DEGREE
    other_radians = other_latitude * _DEGREE
    u = math.sin((other_radians - radians) / 2.0)
    return math.sqrt(u * u + math.cos(radians) * math.cos(other_radians) * v * v)


def arc(root: float) -> float:
    """Metres along the sphere, by the sine of half the angle; rounding may leave no angle for opposite places."""
    return _DIAMETER_M * math.asin(root) if root <= 1.0 else math.nan


# -- shapes ---------------------------------------------------------------------------------------------------


@final
class Shape:
    """A circle or a box around a place; lengths are in the unit that `unit_m` tells in metres.

    prepare() it once it is described; contains() is for any place, holds() for the score of one.
    """

    def __init__(self) -> None:
        self.longitude: float = 0.0
        self.latitude: float = 0.0
        self.is_box: bool = False
        self.radius: float = 0.0
        self.width: float = 0.0
        self.height: float = 0.0
        self.unit_m: float = 1.0
        self.distance_m: float = 0.0  # of the place that contains() dealt with last
        # A place that is farther from the middle than so many degrees is outside; others may be.
        self.latitude_reach: float = _WHOLE_CIRCLE
        self.longitude_reach: float = _WHOLE_CIRCLE

    def prepare(self) -> None:
        """Find how far the shape reaches, with some doubt: for what is near its edge the distance decides."""
        half_m = self.unit_m * (self.height / 2.0 if self.is_box else self.radius)
        angle = half_m * _FACTOR_OF_DOUBT / EARTH_RADIUS_M
        limit = math.pi / 2.0 - abs(self.latitude) * _DEGREE - _ANGLE_OF_DOUBT
        self.latitude_reach = self.longitude_reach = _WHOLE_CIRCLE
        if angle < limit:
            self.latitude_reach = angle / _DEGREE + _DEGREES_OF_DOUBT
            if not self.is_box:
                along = math.asin(math.sin(angle) / math.cos(self.latitude * _DEGREE))
                self.longitude_reach = along * _FACTOR_OF_DOUBT / _DEGREE + _DEGREES_OF_DOUBT

    def holds(self, score: float) -> bool:
        """contains() for the place that a score stands for; far ones cost no trigonometry."""
        bits: i64 = bits_of(score)
        latitude = latitude_of(bits)
        if abs(latitude - self.latitude) > self.latitude_reach:
            return False
        longitude = longitude_of(bits)
        apart = abs(longitude - self.longitude)
        if apart > self.longitude_reach and _WHOLE_CIRCLE - apart > self.longitude_reach:
            return False
        return self.contains(longitude, latitude)

    def contains(self, longitude: float, latitude: float) -> bool:
        """Whether a place is inside; leaves its distance from the middle in `distance_m`."""
        if self.is_box:
            if latitude_distance(latitude, self.latitude) > self.height * self.unit_m / 2.0:
                return False
            along = distance(longitude, latitude, self.longitude, latitude)
            if along > self.width * self.unit_m / 2.0:
                return False
            self.distance_m = distance(self.longitude, self.latitude, longitude, latitude)
            return True
        radius_m = self.radius * self.unit_m
        root = haversine_root(self.longitude, self.latitude, longitude, latitude)
        if root * _DIAMETER_M > radius_m * _FACTOR_OF_DOUBT:
            return False  # no chord is longer than its arc
        self.distance_m = arc(root) if root >= 0.0 else latitude_distance(self.latitude, latitude)
        return not self.distance_m > radius_m

    def reach_m(self) -> float:
        """Metres from the middle to the farthest point."""
        if not self.is_box:
            return self.radius * self.unit_m
        half_width = self.width / 2.0
        half_height = self.height / 2.0
        return math.sqrt(half_width * half_width + half_height * half_height) * self.unit_m


def cosine(radians: float) -> float:
    """As C has it: no number for what is infinite."""
    return math.cos(radians) if radians - radians == 0.0 else math.nan


def quotient(dividend: float, divisor: float) -> float:
    """As C has it: infinite, or no number, where the divisor is zero."""
    if divisor != 0.0:
        return dividend / divisor
    if dividend == 0.0 or dividend != dividend:
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1.0, divisor)


@final
class Bounds:
    """The smallest and largest longitude and latitude of a shape, roughly."""

    def __init__(self, shape: Shape) -> None:
        half_height = shape.unit_m * (shape.height / 2.0 if shape.is_box else shape.radius)
        half_width = shape.unit_m * (shape.width / 2.0 if shape.is_box else shape.radius)
        latitude = shape.latitude
        across = half_height / EARTH_RADIUS_M / _DEGREE
        # The side that is nearer to its pole is the wider one in degrees.
        nearer = latitude - across if latitude < 0.0 else latitude + across
        along = quotient(half_width / EARTH_RADIUS_M, cosine(nearer * _DEGREE)) / _DEGREE
        self.west: float = shape.longitude - along
        self.east: float = shape.longitude + along
        self.south: float = latitude - across
        self.north: float = latitude + across


def step_for(reach_m: float, latitude: float) -> i64:
    """How fine cells may be so that one and its eight neighbours cover a reach."""
    if reach_m == 0.0:
        return STEP_MAX
    step: i64 = 1
    while reach_m < _MERCATOR_MAX_M:
        reach_m *= 2.0
        step += 1
    step -= 2
    if latitude > 66.0 or latitude < -66.0:  # cells narrow towards the poles
        step -= 1
        if latitude > 80.0 or latitude < -80.0:
            step -= 1
    if step < 1:
        return 1
    return step if step < STEP_MAX else STEP_MAX


# The cells to search, as steps to the east and to the north, in Redis's order.
_EASTWARD: Final = (0, 0, 0, 1, -1, 1, -1, 1, -1)
_NORTHWARD: Final = (0, 1, -1, 0, 0, 1, 1, -1, -1)


@final
class Cover:
    """The cells that may hold places of a shape: ranges of scores from lows[i] to before highs[i]."""

    def __init__(self, shape: Shape) -> None:
        self.lows: list[float] = []
        self.highs: list[float] = []
        bounds = Bounds(shape)
        self.step: i64 = step_for(shape.reach_m(), shape.latitude)
        self.cells: i64 = 0  # of the grid in each direction
        self.x: i64 = 0  # the cell of the middle
        self.y: i64 = 0
        self.place(shape)
        if self.step > 1 and self.falls_short(bounds):
            self.step -= 1
            self.place(shape)
        self.collect(bounds)

    def place(self, shape: Shape) -> None:
        """Find the cell of the middle."""
        self.cells = cells_along(self.step)
        self.x = index_of(shape.longitude, LONGITUDE_MAX, self.cells)
        self.y = index_of(shape.latitude, LATITUDE_MAX, self.cells)

    def moved(self, index: i64, by: i64) -> i64:
        """A neighbouring index; the grid is closed, in both directions. Staying changes nothing."""
        return index if by == 0 else (index + by) & (self.cells - 1)

    def falls_short(self, bounds: Bounds) -> bool:
        """Whether the neighbours of the middle end before the shape does."""
        cells = self.cells
        north = lower_edge(self.moved(self.y, 1) + 1, LATITUDE_MAX, cells)
        south = lower_edge(self.moved(self.y, -1), LATITUDE_MAX, cells)
        east = lower_edge(self.moved(self.x, 1) + 1, LONGITUDE_MAX, cells)
        west = lower_edge(self.moved(self.x, -1), LONGITUDE_MAX, cells)
        return north < bounds.north or south > bounds.south or east < bounds.east or west > bounds.west

    def collect(self, bounds: Bounds) -> None:
        cells = self.cells
        skips_south = skips_north = skips_west = skips_east = False
        if self.step >= 2:
            skips_south = lower_edge(self.y, LATITUDE_MAX, cells) < bounds.south
            skips_north = lower_edge(self.y + 1, LATITUDE_MAX, cells) > bounds.north
            skips_west = lower_edge(self.x, LONGITUDE_MAX, cells) < bounds.west
            skips_east = lower_edge(self.x + 1, LONGITUDE_MAX, cells) > bounds.east
        width: float = float(cells_along(2 * (STEP_MAX - self.step)))
        last: i64 = -1  # huge shapes reach the same cell in two directions
        i: i64 = 0
        while i < 9:
            dx: i64 = _EASTWARD[i]
            dy: i64 = _NORTHWARD[i]
            i += 1
            if (skips_south and dy < 0) or (skips_north and dy > 0):
                continue
            if (skips_west and dx < 0) or (skips_east and dx > 0):
                continue
            bits: i64 = spread(self.moved(self.y, dy)) | (spread(self.moved(self.x, dx)) << 1)
            if bits == last:
                continue
            if i > 1:
                last = bits
            self.lows.append(float(bits) * width)
            self.highs.append(float(bits + 1) * width)
