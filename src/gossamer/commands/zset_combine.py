"""Unions, intersections and differences of sorted sets and of sets, whose members count as having score 1."""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, parse_double, to_int64
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.commands.zset_ranges import reply_scored, store_result
from gossamer.datatypes.sets import Set
from gossamer.datatypes.zsets import NO_SCORE, ZSet, in_order
from gossamer.resp.errors import NOT_INTEGER, SYNTAX, WRONGTYPE

_NO_WEIGHT: Final = b"ERR weight value is not a float"
_NO_LIMIT: Final = b"ERR LIMIT can't be negative"

UNION: Final = 0
INTERSECTION: Final = 1
DIFFERENCE: Final = 2

SUM: Final = 0
MINIMUM: Final = 1
MAXIMUM: Final = 2


@final
class Source:
    """One input: a sorted set, a set, or nothing."""

    def __init__(self, zset: ZSet | None, plain: Set | None) -> None:
        self.zset: ZSet | None = zset
        self.plain: Set | None = plain
        self.weight: float = 1.0
        self.length: i64 = 0
        if zset is not None:
            self.length = zset.length()
        elif plain is not None:
            self.length = plain.length()

    def collect(self, members: list[bytes], scores: list[float]) -> None:
        """Append every member and its score."""
        if self.zset is not None:
            self.zset.collect(0, self.length, members, scores)
        elif self.plain is not None:
            for member in self.plain.members():
                members.append(member)
                scores.append(1.0)

    def score(self, member: bytes) -> float:
        """The score of a member, NO_SCORE where it is not there."""
        if self.zset is not None:
            return self.zset.score(member)
        if self.plain is not None and self.plain.contains(member):
            return 1.0
        return NO_SCORE


def find_source(session: Session, key: bytes) -> Source:
    value = session.db.lookup_read(key)
    if value is None:
        return Source(None, None)
    if isinstance(value, ZSet):
        return Source(value, None)
    if isinstance(value, Set):
        return Source(None, value)
    raise CommandError(WRONGTYPE)


@final
class Combination:
    """The arguments of one command from numkeys at argv[numkeys_at] on, its inputs looked up."""

    def __init__(
        self, session: Session, argv: list[bytes], numkeys_at: i64, operation: i64, stores: bool, counts: bool
    ) -> None:
        """`stores`: the result goes to a key; `counts`: only its size is asked for. Raises CommandError."""
        self.operation: i64 = operation
        self.aggregate: i64 = SUM
        self.with_scores: bool = False
        self.limit: i64 = 0
        self.sources: list[Source] = []
        size: i64 = len(argv)
        keys: i64 = self.parse_key_count(argv, numkeys_at)
        i: i64 = numkeys_at + 1
        while i <= numkeys_at + keys:
            self.sources.append(find_source(session, argv[i]))
            i += 1
        may_weigh = operation != DIFFERENCE and not counts
        while i < size:
            word = argv[i].upper()
            left: i64 = size - i
            if word == b"WEIGHTS" and may_weigh and left > keys:
                self.parse_weights(argv, i + 1)
                i += keys + 1
            elif word == b"AGGREGATE" and may_weigh and left > 1:
                self.aggregate = parse_aggregate(argv[i + 1])
                i += 2
            elif word == b"WITHSCORES" and not stores and not counts:
                self.with_scores = True
                i += 1
            elif word == b"LIMIT" and counts and left > 1:
                self.limit = parse_limit(argv[i + 1])
                i += 2
            else:
                raise CommandError(SYNTAX)

    def parse_key_count(self, argv: list[bytes], numkeys_at: i64) -> i64:
        try:
            keys: i64 = to_int64(argv[numkeys_at])
        except NotANumber:
            raise CommandError(NOT_INTEGER) from None
        if keys < 1:
            name = argv[0].lower()
            raise CommandError(b"ERR at least 1 input key is needed for '" + name + b"' command")
        if keys > len(argv) - numkeys_at - 1:
            raise CommandError(SYNTAX)
        return keys

    def parse_weights(self, argv: list[bytes], first: i64) -> None:
        i: i64 = first
        for source in self.sources:
            try:
                source.weight = parse_double(argv[i])
            except NotANumber:
                raise CommandError(_NO_WEIGHT) from None
            i += 1

    # -- results ------------------------------------------------------------------------------------------

    def compute(self) -> dict[bytes, float]:
        """The members of the result with their scores, in no order."""
        if self.operation == UNION:
            return self.unite()
        if self.operation == INTERSECTION:
            return self.intersect()
        return self.subtract()

    def smallest_first(self) -> list[Source]:
        """The inputs in the order in which scores are aggregated: it decides how sums are rounded."""
        order = [(int(self.sources[i].length), i) for i in range(len(self.sources))]
        order.sort()
        return [self.sources[i] for _, i in order]

    def unite(self) -> dict[bytes, float]:
        result: dict[bytes, float] = {}
        for source in self.smallest_first():
            names: list[bytes] = []
            values: list[float] = []
            source.collect(names, values)
            weight: float = source.weight
            if weight == 1.0 and not result:
                result = dict(zip(names, values, strict=True))
                continue
            i: i64 = 0
            while i < len(names):
                name = names[i]
                value: float = number(weight * values[i])
                known: i64 = len(result)
                old = result.setdefault(name, value)
                if len(result) == known:
                    result[name] = aggregated(self.aggregate, old, value)
                i += 1
        return result

    def intersect(self) -> dict[bytes, float]:
        result: dict[bytes, float] = {}
        sources = self.smallest_first()
        names: list[bytes] = []
        values: list[float] = []
        sources[0].collect(names, values)
        i: i64 = 0
        while i < len(names):
            name = names[i]
            value = number(sources[0].weight * values[i])
            j: i64 = 1
            while j < len(sources):
                other = sources[j].score(name)
                if other != other:
                    break
                value = aggregated(self.aggregate, value, other * sources[j].weight)
                j += 1
            if j == len(sources):
                result[name] = value
                if len(result) == self.limit:
                    break
            i += 1
        return result

    def subtract(self) -> dict[bytes, float]:
        result: dict[bytes, float] = {}
        names: list[bytes] = []
        values: list[float] = []
        self.sources[0].collect(names, values)
        i: i64 = 0
        while i < len(names):
            name = names[i]
            j: i64 = 1
            while j < len(self.sources):
                other = self.sources[j].score(name)
                if other == other:
                    break
                j += 1
            if j == len(self.sources):
                result[name] = values[i]
            i += 1
        return result


def number(value: float) -> float:
    """0 for what is no number (an infinite score with weight 0)."""
    return value if value == value else 0.0


def aggregated(how: i64, old: float, value: float) -> float:
    if how == SUM:
        return number(old + value)
    if how == MINIMUM:
        return value if value < old else old
    return value if value > old else old


def parse_aggregate(argument: bytes) -> i64:
    word = argument.upper()
    if word == b"SUM":
        return SUM
    if word == b"MIN":
        return MINIMUM
    if word == b"MAX":
        return MAXIMUM
    raise CommandError(SYNTAX)


def parse_limit(argument: bytes) -> i64:
    try:
        limit: i64 = to_int64(argument)
    except NotANumber:
        raise CommandError(_NO_LIMIT) from None
    if limit < 0:
        raise CommandError(_NO_LIMIT)
    return limit


# -- the commands -----------------------------------------------------------------------------------------


def zunion(session: Session, argv: list[bytes]) -> None:
    """ZUNION numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]"""
    reply_combination(session, argv, UNION)


def zinter(session: Session, argv: list[bytes]) -> None:
    """ZINTER numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX] [WITHSCORES]"""
    reply_combination(session, argv, INTERSECTION)


def zdiff(session: Session, argv: list[bytes]) -> None:
    """ZDIFF numkeys key [key ...] [WITHSCORES]"""
    reply_combination(session, argv, DIFFERENCE)


def reply_combination(session: Session, argv: list[bytes], operation: i64) -> None:
    combination = Combination(session, argv, 1, operation, False, False)
    members, scores = in_order(combination.compute())
    if combination.with_scores:
        reply_scored(session.reply, members, scores)
    else:
        session.reply.bulk_array(members)


def zunionstore(session: Session, argv: list[bytes]) -> None:
    """ZUNIONSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]"""
    store_combination(session, argv, UNION, b"zunionstore")


def zinterstore(session: Session, argv: list[bytes]) -> None:
    """ZINTERSTORE destination numkeys key [key ...] [WEIGHTS weight ...] [AGGREGATE SUM | MIN | MAX]"""
    store_combination(session, argv, INTERSECTION, b"zinterstore")


def zdiffstore(session: Session, argv: list[bytes]) -> None:
    """ZDIFFSTORE destination numkeys key [key ...]"""
    store_combination(session, argv, DIFFERENCE, b"zdiffstore")


def store_combination(session: Session, argv: list[bytes], operation: i64, event: bytes) -> None:
    combination = Combination(session, argv, 2, operation, True, False)
    store_result(session, argv[1], combination.compute(), event)


def zintercard(session: Session, argv: list[bytes]) -> None:
    """ZINTERCARD numkeys key [key ...] [LIMIT limit]"""
    combination = Combination(session, argv, 1, INTERSECTION, False, True)
    session.reply.integer(len(combination.compute()))


_READ_COUNTED: Final = (KeySpec("RO access", 1, count_at=0, first=1),)
_STORE_COUNTED: Final = (KeySpec("OW update", 1), KeySpec("RO access", 2, count_at=0, first=1))

COMMANDS: Final = (
    Command(b"zunion", zunion, -3, "readonly", "sortedset", _READ_COUNTED),
    Command(b"zinter", zinter, -3, "readonly", "sortedset", _READ_COUNTED),
    Command(b"zdiff", zdiff, -3, "readonly", "sortedset", _READ_COUNTED),
    Command(b"zunionstore", zunionstore, -4, "write denyoom", "sortedset", _STORE_COUNTED),
    Command(b"zinterstore", zinterstore, -4, "write denyoom", "sortedset", _STORE_COUNTED),
    Command(b"zdiffstore", zdiffstore, -4, "write denyoom", "sortedset", _STORE_COUNTED),
    Command(b"zintercard", zintercard, -3, "readonly", "sortedset", _READ_COUNTED),
)
