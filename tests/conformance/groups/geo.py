"""Places: a few that are close together, the edges of the grid, and scores that are no places at all."""

from hypothesis import strategies as st

from conformance.arguments import (
    SMALL_ENCODINGS,
    Group,
    command,
    count,
    either,
    floating,
    index,
    key,
    many,
    member,
    optional,
    options,
    pair,
    sequence,
    weighted,
)

place = st.one_of(
    st.sampled_from(
        [
            (b"13.361389", b"38.115556"),
            (b"15.087269", b"37.502669"),
            (b"13.583333", b"37.316667"),
            (b"0", b"0"),
            (b"-0", b"-0.0"),
            (b"180", b"0"),
            (b"-180", b"0"),
            (b"179.999", b"0.001"),
            (b"-179.999", b"-0.001"),
            (b"0", b"85.05112878"),
            (b"90", b"85.05"),
            (b"-90", b"-85.05112878"),
            (b"180", b"85.05112878"),
            (b"-180", b"-85.05112878"),
            (b"-122.4194", b"37.7749"),
            (b"1e-300", b"66.5"),
            (b"12.5", b"80.1"),
        ]
    ),
    # A grid of a few hundred metres, where distances are often equal.
    st.tuples(
        st.integers(0, 6).map(lambda n: b"13.%03d" % (400 + n)),
        st.integers(0, 6).map(lambda n: b"38.%03d" % (100 + n)),
    ),
    st.tuples(st.floats(-180, 180).map(lambda x: b"%.6f" % x), st.floats(-85, 85).map(lambda y: b"%.6f" % y)),
)
bad_place = st.one_of(
    st.tuples(floating, floating),
    st.sampled_from(
        [
            (b"180.0001", b"0"),
            (b"0", b"85.0511288"),
            (b"nan", b"1"),
            (b"1", b"-inf"),
            (b"x", b"1"),
            (b"1", b""),
        ]
    ),
)
somewhere = st.integers(0, 11).flatmap(lambda n: bad_place if n == 0 else place)
name = weighted((6, either("Palermo", "Catania", "p", "q", "r", "s")), (1, member))
unit = weighted((12, either("m", "km", "ft", "mi", "KM", "Mi")), (1, either("", "x", "mm")))
length = weighted(
    (8, either("0", "1", "50", "100", "250", "1000", "5000", "20000", "30000", "1e5")),
    (2, either("0.1", "123.456", "1e7", "2e7")),
    (1, floating),
)
limit = ("COUNT", count, optional("ANY"))
RESULTS = options("WITHDIST", "WITHCOORD", "WITHHASH", "ASC", "DESC", limit, maximum=4)
middle = st.one_of(sequence("FROMLONLAT", somewhere), sequence("FROMMEMBER", name))
shape = st.one_of(sequence("BYRADIUS", length, unit), sequence("BYBOX", length, length, unit))
ANYTHING = options(
    ("FROMLONLAT", somewhere),
    ("FROMMEMBER", name),
    ("BYRADIUS", length, unit),
    ("BYBOX", length, length, unit),
    "ASC",
    limit,
    "ANY",
    "STOREDIST",
    ("STORE", key),
    "WITHDIST",
    "COUNT",
    maximum=6,
)
store = options(("STORE", key), ("STOREDIST", key), "ASC", "DESC", limit, "WITHDIST", maximum=3)
odd_score = either(
    "-1", "1.5", "4503599627370496", "1e19", "-1e19", "9223372036854775808", "inf", "-inf", "3479099956230698"
)

COMMANDS = [
    command("GEOADD", key, options("NX", "XX", "CH", maximum=2), many(pair(somewhere, name), 1, 4), weight=6),
    command("GEOADD", key, many(pair(place, name), 1, 8), weight=12),
    command("ZADD", key, odd_score, name, weight=1),
    command("GEOPOS", key, many(name, 0, 3), weight=3),
    command("GEOHASH", key, many(name, 0, 3), weight=3),
    command("GEODIST", key, name, name, optional(unit), weight=5),
    command("GEOSEARCH", key, middle, shape, RESULTS, weight=14),
    command("GEOSEARCH", key, shape, RESULTS, middle, weight=2),
    command("GEOSEARCH", key, ANYTHING, weight=3),
    command(
        "GEOSEARCHSTORE",
        key,
        key,
        middle,
        shape,
        options("STOREDIST", "ASC", "DESC", limit, "WITHHASH"),
        weight=5,
    ),
    command("GEOSEARCHSTORE", key, key, ANYTHING, weight=1),
    command("GEORADIUS", key, somewhere, length, unit, RESULTS, weight=5),
    command("GEORADIUS", key, somewhere, length, unit, store, weight=4),
    command("GEORADIUS_RO", key, somewhere, length, unit, RESULTS, weight=2),
    command("GEORADIUS_RO", key, somewhere, length, unit, store, weight=1),
    command("GEORADIUSBYMEMBER", key, name, length, unit, RESULTS, weight=4),
    command("GEORADIUSBYMEMBER", key, name, length, unit, store, weight=3),
    command("GEORADIUSBYMEMBER_RO", key, name, length, unit, RESULTS, weight=2),
    command("ZRANGE", key, index, index, "WITHSCORES"),
    command("ZREM", key, name),
]
GROUP = Group("geo", COMMANDS, config=SMALL_ENCODINGS)
