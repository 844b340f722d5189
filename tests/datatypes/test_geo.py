"""Places on the grid: encoding, distances, and that no place inside a shape is missed."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.datatypes.geo import (
    LATITUDE_MAX,
    LONGITUDE_MAX,
    Cover,
    Shape,
    bits_of,
    distance,
    encode,
    gathered,
    geohash_text,
    latitude_of,
    longitude_of,
    spread,
)

longitudes = st.floats(-LONGITUDE_MAX, LONGITUDE_MAX)
latitudes = st.floats(-LATITUDE_MAX, LATITUDE_MAX)


@given(st.integers(0, (1 << 31) - 1))  # more than the 26 bits that a coordinate has
def test_spread_bits_gather_again(index: int) -> None:
    assert gathered(spread(index)) == index
    assert gathered(spread(index) << 1) == 0


@given(longitudes, latitudes)
def test_a_place_reads_back_within_a_cell(longitude: float, latitude: float) -> None:
    bits = encode(longitude, latitude)
    assert abs(longitude_of(bits) - longitude) <= 360 / 2**26
    assert abs(latitude_of(bits) - latitude) <= 2 * LATITUDE_MAX / 2**26
    assert bits_of(float(bits)) == bits or bits >> 52  # the cell of the last longitudes is beyond 52 bits


def test_known_places() -> None:
    palermo, catania = encode(13.361389, 38.115556), encode(15.087269, 37.502669)
    assert (palermo, catania) == (3479099956230698, 3479447370796909)
    assert geohash_text(float(palermo)) == b"sqc8b49rny0"
    places = [(longitude_of(bits), latitude_of(bits)) for bits in (palermo, catania)]
    assert f"{distance(*places[0], *places[1]):.4f}" == "166274.1516"


@pytest.mark.parametrize("score", [-1.0, 1.5, 1e19, -1e19, 1e300, math.inf, -math.inf, 2.0**63])
def test_any_score_is_some_place(score: float) -> None:
    bits = bits_of(score)
    assert abs(longitude_of(bits)) <= LONGITUDE_MAX
    assert abs(latitude_of(bits)) <= LATITUDE_MAX
    assert len(geohash_text(score)) == 11


@given(
    longitudes,
    latitudes,
    st.floats(0.0, 3e7),
    st.floats(0.0, 2 * math.pi),
    st.floats(0.0, 1.0),
    st.booleans(),
)
def test_no_place_inside_a_shape_is_outside_its_cover(
    longitude: float, latitude: float, size: float, angle: float, part: float, is_box: bool
) -> None:
    shape = Shape()
    shape.longitude, shape.latitude, shape.is_box = longitude, latitude, is_box
    shape.radius = shape.width = shape.height = size
    # Away from the antimeridian and the poles, where Redis's bounds are no bounds.
    degrees = part * size / 111_000
    there_x, there_y = longitude + degrees * math.cos(angle), latitude + degrees * math.sin(angle)
    far = size > 1_000_000 or max(abs(latitude), abs(there_y)) > 60
    if far or abs(there_x) > 175 or abs(longitude) > 175 or not shape.contains(there_x, there_y):
        return
    score = float(encode(there_x, there_y))
    cover = Cover(shape)
    assert any(low <= score < high for low, high in zip(cover.lows, cover.highs, strict=True))


@given(longitudes, latitudes, st.floats(0.0, 1e8) | st.just(math.inf))
def test_the_cells_of_a_cover_are_few_and_distinct_enough(
    longitude: float, latitude: float, radius: float
) -> None:
    shape = Shape()
    shape.longitude, shape.latitude, shape.radius = longitude, latitude, radius
    cover = Cover(shape)
    assert 1 <= len(cover.lows) <= 9
    assert all(low < high for low, high in zip(cover.lows, cover.highs, strict=True))


def test_opposite_places_have_a_distance_or_none_but_no_error() -> None:
    assert distance(0.0, 0.0, 180.0, 0.0) == pytest.approx(math.pi * 6372797.560856)
    for step in range(200):
        latitude = step * 0.4
        assert not distance(-90.0, latitude, 90.0, -latitude) < 2.0e7


@given(longitudes, latitudes, longitudes, latitudes, st.floats(0.0, 2.1e7), st.booleans())
def test_what_is_passed_over_without_trigonometry_is_outside(
    longitude: float, latitude: float, there_x: float, there_y: float, size: float, is_box: bool
) -> None:
    shape = Shape()
    shape.longitude, shape.latitude, shape.is_box = longitude, latitude, is_box
    shape.radius = shape.width = shape.height = size
    shape.prepare()
    score = float(encode(there_x, there_y))
    bits = bits_of(score)
    assert shape.holds(score) == shape.contains(longitude_of(bits), latitude_of(bits))
    # The edge itself: a circle through the place.
    shape.is_box = False
    shape.radius = distance(longitude, latitude, longitude_of(bits), latitude_of(bits))
    shape.prepare()
    assert shape.holds(score) or math.isnan(shape.radius)
