"""Commands on places, which are members of sorted sets whose scores are cells of a grid (datatypes/geo.py).

GEOADD is a ZADD with computed scores, and is told to AOF and replicas as that. GEORADIUS and its kin are GEOSEARCH
under older names.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, format_int, parse_double
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.commands.zsets import parse_score, zadd
from gossamer.datatypes.geo import (
    LATITUDE_MAX,
    LONGITUDE_MAX,
    Cover,
    Shape,
    bits_of,
    distance,
    encode,
    geohash_text,
    latitude_of,
    longitude_of,
)
from gossamer.datatypes.partial_sort import sort_first
from gossamer.datatypes.score_cursor import ScoreCursor
from gossamer.datatypes.zsets import BEFORE_SCORE, ZSet
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_ZSET
from gossamer.resp.errors import SYNTAX
from gossamer.resp.writer import ReplyWriter

_NO_RADIUS: Final = b"ERR need numeric radius"
_NO_WIDTH: Final = b"ERR need numeric width"
_NO_HEIGHT: Final = b"ERR need numeric height"
_NEGATIVE_RADIUS: Final = b"ERR radius cannot be negative"
_NEGATIVE_SIDE: Final = b"ERR height or width cannot be negative"
_NO_UNIT: Final = b"ERR unsupported unit provided. please use M, KM, FT, MI"
_NO_MEMBER: Final = b"ERR could not decode requested zset member"
_COUNT_NOT_POSITIVE: Final = b"ERR COUNT must be > 0"
_ANY_WITHOUT_COUNT: Final = b"ERR the ANY argument requires COUNT argument"
_NOT_WITH_STORE: Final = b" is not compatible with WITHDIST, WITHHASH and WITHCOORD options"


def parse_place(longitude: bytes, latitude: bytes) -> tuple[float, float]:
    """A place; raises CommandError."""
    x = parse_score(longitude)
    y = parse_score(latitude)
    if not (-LONGITUDE_MAX <= x <= LONGITUDE_MAX and -LATITUDE_MAX <= y <= LATITUDE_MAX):
        raise CommandError(b"ERR invalid longitude,latitude pair %f,%f" % (x, y))
    return x, y


def parse_unit(argument: bytes) -> float:
    """The metres of a unit; raises CommandError."""
    unit = argument.lower()
    if unit == b"m":
        return 1.0
    if unit == b"km":
        return 1000.0
    if unit == b"ft":
        return 0.3048
    if unit == b"mi":
        return 1609.34
    raise CommandError(_NO_UNIT)


def parse_length(argument: bytes, message: bytes) -> float:
    try:
        return parse_double(argument)
    except NotANumber:
        raise CommandError(message) from None


def distance_text(value: float, compat: i64) -> bytes:
    """A distance with four decimals; since 7.2 the last one is rounded by arithmetic, not by the exact digits."""
    if compat < 72 or not -1e14 < value < 1e14:
        return b"%.4f" % value
    scaled: float = value * 10000.0
    whole = int(scaled)
    if scaled - float(whole) >= 0.5:
        whole += 1
    return b"%d.%04d" % (whole // 10000, whole % 10000)


def coordinate_text(value: float) -> bytes:
    """Seventeen decimals without trailing zeros."""
    text = b"%.17f" % value
    return text.rstrip(b"0").rstrip(b".")


def reply_place(reply: ReplyWriter, bits: i64) -> None:
    reply.array(2)
    reply_coordinate(reply, coordinate_text(longitude_of(bits)))
    reply_coordinate(reply, coordinate_text(latitude_of(bits)))


def reply_coordinate(reply: ReplyWriter, text: bytes) -> None:
    if reply.protocol == 2:
        reply.bulk(text)
        return
    reply.raw(b"," + text + b"\r\n")


# -- members --------------------------------------------------------------------------------------------------


def geoadd(session: Session, argv: list[bytes]) -> None:
    """GEOADD key [NX | XX] [CH] longitude latitude member [longitude latitude member ...]"""
    size: i64 = len(argv)
    first: i64 = 2
    nx = False
    xx = False
    while first < size:
        word = argv[first].upper()
        if word == b"NX":
            nx = True
        elif word == b"XX":
            xx = True
        elif word != b"CH":
            break
        first += 1
    if (size - first) % 3 != 0 or (nx and xx):
        raise CommandError(SYNTAX)
    as_zadd = [b"zadd", *argv[1:first]]
    i: i64 = first
    while i < size:
        longitude, latitude = parse_place(argv[i], argv[i + 1])
        as_zadd.append(format_int(encode(longitude, latitude)))
        as_zadd.append(argv[i + 2])
        i += 3
    before: i64 = session.state.dirty
    zadd(session, as_zadd)
    if session.state.dirty != before:
        session.propagate(as_zadd)


def geopos(session: Session, argv: list[bytes]) -> None:
    """GEOPOS key [member ...]"""
    zset = session.db.lookup_zset(argv[1], False)
    reply = session.reply
    reply.array(len(argv) - 2)
    for member in argv[2:]:
        score = zset.score(member) if zset is not None else 0.0
        if zset is None or score != score:
            reply.null_array()
        else:
            reply_place(reply, bits_of(score))


def geohash(session: Session, argv: list[bytes]) -> None:
    """GEOHASH key [member ...]"""
    zset = session.db.lookup_zset(argv[1], False)
    reply = session.reply
    reply.array(len(argv) - 2)
    for member in argv[2:]:
        score = zset.score(member) if zset is not None else 0.0
        if zset is None or score != score:
            reply.null()
        else:
            reply.bulk(geohash_text(score))


def geodist(session: Session, argv: list[bytes]) -> None:
    """GEODIST key member1 member2 [M | KM | FT | MI]"""
    size: i64 = len(argv)
    unit_m: float = 1.0
    if size == 5:
        unit_m = parse_unit(argv[4])
    elif size > 5:
        raise CommandError(SYNTAX)
    reply = session.reply
    zset = session.db.lookup_zset(argv[1], False)
    if zset is None:
        reply.null()
        return
    score = zset.score(argv[2])
    other = zset.score(argv[3])
    if score != score or other != other:
        reply.null()
        return
    one = bits_of(score)
    two = bits_of(other)
    metres = distance(longitude_of(one), latitude_of(one), longitude_of(two), latitude_of(two))
    reply.bulk(distance_text(metres / unit_m, session.limits.compat))


# -- searching ------------------------------------------------------------------------------------------------


@final
class Found:
    """The members inside a shape, in the order in which they were met."""

    def __init__(self) -> None:
        self.members: list[bytes] = []
        self.scores: list[float] = []
        self.distances_m: list[float] = []

    def search(self, zset: ZSet, shape: Shape, limit: i64) -> None:
        """Fill with the members of a sorted set; a limit above 0 ends the search there."""
        shape.prepare()
        cover = Cover(shape)
        i: i64 = 0
        while i < len(cover.lows):
            if limit > 0 and len(self.members) >= limit:
                break
            low = cover.lows[i]
            high = cover.highs[i]
            if zset.table is None:
                self.take_packed(zset, low, high, shape, limit)
            else:
                self.take_large(ScoreCursor(zset.index, low), high, shape, limit)
            i += 1

    def take_large(self, cursor: ScoreCursor, high: float, shape: Shape, limit: i64) -> None:
        """Look at the members of a large sorted set from a cursor on up to a score."""
        while cursor.next() and cursor.score < high:
            if shape.holds(cursor.score):
                self.members.append(cursor.member())
                self.scores.append(cursor.score)
                self.distances_m.append(shape.distance_m)
                if limit > 0 and len(self.members) >= limit:
                    return

    def take_packed(self, zset: ZSet, low: float, high: float, shape: Shape, limit: i64) -> None:
        """Look at the members of a small sorted set between two scores."""
        start: i64 = zset.cut(BEFORE_SCORE, low, b"")
        members: list[bytes] = []
        scores: list[float] = []
        zset.collect(start, zset.cut(BEFORE_SCORE, high, b"") - start, members, scores)
        i: i64 = 0
        while i < len(members):
            if shape.holds(scores[i]):
                self.members.append(members[i])
                self.scores.append(scores[i])
                self.distances_m.append(shape.distance_m)
                if limit > 0 and len(self.members) >= limit:
                    return
            i += 1

    def in_order(self, sort: i64, count: i64) -> list[i64]:
        """The positions of the results, sorted by distance (-1: farthest first; 0: as met), `count` at most."""
        size: i64 = len(self.members)
        order: list[i64] = [i for i in range(size)]
        if sort != 0:
            keys = self.distances_m if sort > 0 else [-metres for metres in self.distances_m]
            if 0 < count < size:
                sort_first(keys, order, count)
            else:
                pairs = [(keys[i], int(i)) for i in range(size)]
                pairs.sort()
                order = [i64(i) for _, i in pairs]
        return order[:count] if 0 < count < size else order


_RADIUS: Final = 0  # GEORADIUS
_RADIUS_MEMBER: Final = 1  # GEORADIUSBYMEMBER
_SEARCH: Final = 2  # GEOSEARCH, GEOSEARCHSTORE


@final
class Search:
    """The arguments of a search, looked at together with its source as the real servers do it."""

    def __init__(self, kind: i64, may_store: bool, zset: ZSet | None) -> None:
        self.kind: i64 = kind
        self.may_store: bool = may_store
        self.zset: ZSet | None = zset
        self.shape: Shape = Shape()
        self.has_place: bool = False
        self.from_member: bool = False
        self.has_shape: bool = False
        self.with_distance: bool = False
        self.with_hash: bool = False
        self.with_place: bool = False
        self.any: bool = False
        self.sort: i64 = 0
        self.count: i64 = 0
        self.store_key: bytes | None = None
        self.stores_distance: bool = False

    def set_member(self, member: bytes) -> None:
        """The middle is a member; without a source there is nothing to look it up in."""
        if self.zset is None:
            return
        score = self.zset.score(member)
        if score != score:
            raise CommandError(_NO_MEMBER)
        bits = bits_of(score)
        self.shape.longitude = longitude_of(bits)
        self.shape.latitude = latitude_of(bits)

    def set_place(self, longitude: bytes, latitude: bytes) -> None:
        self.shape.longitude, self.shape.latitude = parse_place(longitude, latitude)

    def set_radius(self, radius: bytes, unit: bytes) -> None:
        self.shape.radius = parse_length(radius, _NO_RADIUS)
        if self.shape.radius < 0.0:
            raise CommandError(_NEGATIVE_RADIUS)
        self.shape.unit_m = parse_unit(unit)
        self.shape.is_box = False

    def set_box(self, width: bytes, height: bytes, unit: bytes) -> None:
        self.shape.width = parse_length(width, _NO_WIDTH)
        self.shape.height = parse_length(height, _NO_HEIGHT)
        if self.shape.width < 0.0 or self.shape.height < 0.0:
            raise CommandError(_NEGATIVE_SIDE)
        self.shape.unit_m = parse_unit(unit)
        self.shape.is_box = True

    def parse(self, argv: list[bytes], first: i64) -> None:
        """The options from argv[first] on; raises CommandError."""
        size: i64 = len(argv)
        i: i64 = first
        while i < size:
            word = argv[i].upper()
            following: i64 = size - i - 1
            if word == b"WITHDIST":
                self.with_distance = True
            elif word == b"WITHHASH":
                self.with_hash = True
            elif word == b"WITHCOORD":
                self.with_place = True
            elif word == b"ANY":
                self.any = True
            elif word == b"ASC":
                self.sort = 1
            elif word == b"DESC":
                self.sort = -1
            elif word == b"COUNT" and following >= 1:
                self.count = integer_argument(argv[i + 1])
                if self.count <= 0:
                    raise CommandError(_COUNT_NOT_POSITIVE)
                i += 1
            else:
                taken: i64 = 0
                if self.kind == _SEARCH:
                    taken = self.parse_search_option(argv, i, word, following)
                elif self.may_store and following >= 1 and (word == b"STORE" or word == b"STOREDIST"):
                    self.store_key = argv[i + 1]
                    self.stores_distance = word == b"STOREDIST"
                    taken = 2
                if taken == 0:
                    raise CommandError(SYNTAX)
                i += taken - 1
            i += 1

    def parse_search_option(self, argv: list[bytes], at: i64, word: bytes, following: i64) -> i64:
        """An option that only GEOSEARCH and GEOSEARCHSTORE have; answer how many arguments it takes."""
        shape_at_hand: bool = self.has_shape
        if word == b"FROMMEMBER" and following >= 1 and (not self.has_place or self.from_member):
            self.set_member(argv[at + 1])
            self.has_place = True
            self.from_member = True
            return 2
        if word == b"FROMLONLAT" and following >= 2 and not self.from_member:
            self.set_place(argv[at + 1], argv[at + 2])
            self.has_place = True
            return 3
        if word == b"BYRADIUS" and following >= 2 and not (shape_at_hand and self.shape.is_box):
            self.set_radius(argv[at + 1], argv[at + 2])
            self.has_shape = True
            return 3
        if word == b"BYBOX" and following >= 3 and not (shape_at_hand and not self.shape.is_box):
            self.set_box(argv[at + 1], argv[at + 2], argv[at + 3])
            self.has_shape = True
            return 4
        if word == b"STOREDIST" and self.store_key is not None:
            self.stores_distance = True
            return 1
        return 0

    def check(self, name: bytes) -> None:
        """Raise where options contradict each other."""
        if self.store_key is not None and (self.with_distance or self.with_hash or self.with_place):
            what = b"GEOSEARCHSTORE" if self.kind == _SEARCH else b"STORE option in GEORADIUS"
            raise CommandError(b"ERR " + what + _NOT_WITH_STORE)
        if not self.has_place:
            raise CommandError(b"ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for " + name)
        if not self.has_shape:
            raise CommandError(b"ERR exactly one of BYRADIUS and BYBOX can be specified for " + name)
        if self.any and self.count == 0:
            raise CommandError(_ANY_WITHOUT_COUNT)


def georadius(session: Session, argv: list[bytes]) -> None:
    """GEORADIUS key longitude latitude radius unit [WITHCOORD] ... [STORE key | STOREDIST key]"""
    radius_around_place(session, argv, True)


def georadius_ro(session: Session, argv: list[bytes]) -> None:
    """GEORADIUS_RO key longitude latitude radius unit [WITHCOORD] ..."""
    radius_around_place(session, argv, False)


def radius_around_place(session: Session, argv: list[bytes], may_store: bool) -> None:
    search = Search(_RADIUS, may_store, session.db.lookup_zset(argv[1], False))
    search.set_place(argv[2], argv[3])
    search.set_radius(argv[4], argv[5])
    run_radius(session, argv, search, 6)


def georadiusbymember(session: Session, argv: list[bytes]) -> None:
    """GEORADIUSBYMEMBER key member radius unit [WITHCOORD] ... [STORE key | STOREDIST key]"""
    radius_around_member(session, argv, True)


def georadiusbymember_ro(session: Session, argv: list[bytes]) -> None:
    """GEORADIUSBYMEMBER_RO key member radius unit [WITHCOORD] ..."""
    radius_around_member(session, argv, False)


def radius_around_member(session: Session, argv: list[bytes], may_store: bool) -> None:
    zset = session.db.lookup_zset(argv[1], False)
    search = Search(_RADIUS_MEMBER, may_store, zset)
    if zset is not None:
        search.set_member(argv[2])
        search.set_radius(argv[3], argv[4])
    run_radius(session, argv, search, 5)


def run_radius(session: Session, argv: list[bytes], search: Search, first: i64) -> None:
    search.has_place = True
    search.has_shape = True
    search.parse(argv, first)
    search.check(argv[0])
    answer_search(session, search, b"georadiusstore")


def geosearch(session: Session, argv: list[bytes]) -> None:
    """GEOSEARCH key FROMMEMBER member | FROMLONLAT x y BYRADIUS radius unit | BYBOX width height unit ..."""
    search = Search(_SEARCH, False, session.db.lookup_zset(argv[1], False))
    search.parse(argv, 2)
    search.check(argv[0])
    answer_search(session, search, b"")


def geosearchstore(session: Session, argv: list[bytes]) -> None:
    """GEOSEARCHSTORE destination source FROMMEMBER ... BYRADIUS ... [STOREDIST]"""
    search = Search(_SEARCH, True, session.db.lookup_zset(argv[2], False))
    search.store_key = argv[1]
    search.parse(argv, 3)
    search.check(argv[0])
    answer_search(session, search, b"geosearchstore")


def answer_search(session: Session, search: Search, event: bytes) -> None:
    found = Found()
    order: list[i64] = []
    if search.zset is not None:
        found.search(search.zset, search.shape, search.count if search.any else 0)
        sort: i64 = search.sort
        if search.count > 0 and sort == 0 and not search.any:
            sort = 1
        order = found.in_order(sort, search.count)
    if search.store_key is None:
        reply_found(session, search, found, order)
    else:
        store_found(session, search, found, order, search.store_key, event)


def reply_found(session: Session, search: Search, found: Found, order: list[i64]) -> None:
    reply = session.reply
    compat: i64 = session.limits.compat
    width: i64 = 1
    if search.with_distance:
        width += 1
    if search.with_hash:
        width += 1
    if search.with_place:
        width += 1
    reply.array(len(order))
    for at in order:
        if width > 1:
            reply.array(width)
        reply.bulk(found.members[at])
        if search.with_distance:
            reply.bulk(distance_text(found.distances_m[at] / search.shape.unit_m, compat))
        bits = bits_of(found.scores[at])
        if search.with_hash:
            reply.integer(bits)
        if search.with_place:
            reply_place(reply, bits)


def store_found(
    session: Session, search: Search, found: Found, order: list[i64], key: bytes, event: bytes
) -> None:
    """Replace `key` by the results, or delete it where there are none; reply their number."""
    members: list[bytes] = []
    scores: list[float] = []
    for at in order:
        members.append(found.members[at])
        if search.stores_distance:
            scores.append(found.distances_m[at] / search.shape.unit_m)
        else:
            scores.append(found.scores[at])
    if len(members) > 0:
        session.put(key, ZSet.from_entries(members, scores, session.limits), NOTIFY_ZSET, event)
        session.state.dirty += i64(len(members)) - 1
    elif session.db.delete_any(key):
        session.changed(key, NOTIFY_GENERIC, b"del")
    session.reply.integer(len(members))


_READ: Final = (KeySpec("RO access", index=1),)
_ADD: Final = (KeySpec("RW update", index=1),)
_STORE: Final = (KeySpec("OW update", index=1), KeySpec("RO access", index=2))
_RADIUS_KEYS: Final = (
    KeySpec("RO access", index=1),
    KeySpec("OW update", keyword=b"STORE", start_from=6),
    KeySpec("OW update", keyword=b"STOREDIST", start_from=6),
)
_RADIUS_MEMBER_KEYS: Final = (
    KeySpec("RO access", index=1),
    KeySpec("OW update", keyword=b"STORE", start_from=5),
    KeySpec("OW update", keyword=b"STOREDIST", start_from=5),
)

COMMANDS: Final = (
    Command(b"geoadd", geoadd, -5, "write denyoom", "geo", _ADD),
    Command(b"geopos", geopos, -2, "readonly", "geo", _READ),
    Command(b"geodist", geodist, -4, "readonly", "geo", _READ),
    Command(b"geohash", geohash, -2, "readonly", "geo", _READ),
    Command(b"geosearch", geosearch, -7, "readonly", "geo", _READ),
    Command(b"geosearchstore", geosearchstore, -8, "write denyoom", "geo", _STORE),
    Command(b"georadius", georadius, -6, "write denyoom", "geo", _RADIUS_KEYS),
    Command(b"georadius_ro", georadius_ro, -6, "readonly", "geo", _READ),
    Command(b"georadiusbymember", georadiusbymember, -5, "write denyoom", "geo", _RADIUS_MEMBER_KEYS),
    Command(b"georadiusbymember_ro", georadiusbymember_ro, -5, "readonly", "geo", _READ),
)
