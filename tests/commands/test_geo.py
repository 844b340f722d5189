"""Commands on places without a server: what they say to events, AOF and replicas, and the order of results."""

import pytest

from gossamer.commands import geo, zsets
from support.caller import Caller

PALERMO = "13.361389 38.115556 Palermo"
CATANIA = "15.087269 37.502669 Catania"

EFFECTS = [
    (
        f"GEOADD g {PALERMO} {CATANIA}",
        "new g, zadd g",
        "zadd g 3479099956230698 Palermo 3479447370796909 Catania",
        2,
    ),
    (f"GEOADD g nx ch {PALERMO}", "", None, 0),
    ("GEOADD g xx ch 15 37 Catania", "zadd g", "zadd g xx ch 3476504601741708 Catania", 1),
    ("GEOSEARCHSTORE d g FROMLONLAT 15 37 BYRADIUS 200 km", "new d, geosearchstore d", None, 2),
    ("GEORADIUS g 15 37 300 km STORE d", "georadiusstore d", None, 2),
    ("GEORADIUS g 15 37 1 m STOREDIST d", "georadiusstore d", None, 1),
    ("GEORADIUS g 0 0 1 m STORE d", "del d", None, 1),
    ("GEORADIUS g 0 0 1 m STORE d", "", None, 0),
]


@pytest.mark.parametrize("compat", [70, 80])
def test_each_command_says_what_the_real_server_says(compat: int) -> None:
    caller = Caller((geo.COMMANDS, zsets.COMMANDS), compat)
    for line, events, propagated, changes in EFFECTS:
        dirty = caller.state.dirty
        caller.line(line)
        said = ", ".join(f"{event.decode()} {key.decode()}" for event, key in caller.events)
        assert (line, said) == (line, events)
        sent = None if caller.propagated is None else b" ".join(caller.propagated[0]).decode()
        assert (line, sent, caller.state.dirty - dirty) == (line, propagated, changes)


def test_results_come_nearest_first_as_far_as_they_are_counted() -> None:
    caller = Caller((geo.COMMANDS,))
    for number in range(100):
        caller.line(f"GEOADD g {13 + (number * 37 % 100) / 1000} 38 m{number * 37 % 100}")
    nearest = caller.line("GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 100 km COUNT 5")
    assert nearest == [b"m0", b"m1", b"m2", b"m3", b"m4"]
    farthest = caller.line("GEOSEARCH g FROMLONLAT 13 38 BYBOX 100 100 km DESC COUNT 2")
    assert farthest == [b"m99", b"m98"] or farthest == [b"m57", b"m56"]
    assert len(caller.line("GEOSEARCH g FROMLONLAT 13 38 BYRADIUS 100 km COUNT 7 ANY")) == 7  # type: ignore[arg-type]
    assert len(caller.line("GEOSEARCH g FROMMEMBER m50 BYRADIUS 100 km")) == 100  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", [2, 3])
def test_coordinates_are_numbers_and_distances_are_text(protocol: int) -> None:
    caller = Caller((geo.COMMANDS,), 72, protocol)
    caller.line(f"GEOADD g {PALERMO} {CATANIA}")
    assert caller.raw("GEODIST", "g", "Palermo", "Catania", "km") == b"$8\r\n166.2742\r\n"
    place = caller.raw("GEOPOS", "g", "Palermo")
    assert place.startswith(
        b"*1\r\n*2\r\n$20\r\n13." if protocol == 2 else b"*1\r\n*2\r\n,13.361389338970184"
    )
