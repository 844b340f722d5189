"""Commands on single members of sorted sets: ZADD and its kin, scores, ranks, random members, ZSCAN.

Ranges stand in zset_ranges.py, pops in zset_pops.py, unions and their kin in zset_combine.py.
"""

from typing import Final

from librt.strings import read_f64_le
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, format_double_17, parse_double
from gossamer.commands.arguments import negatable_argument
from gossamer.commands.scan import (
    SCAN_ZSET,
    parse_scan_cursor,
    parse_scan_options,
    reply_empty_scan,
    reply_scan,
    scan_table_items,
)
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes import listpack
from gossamer.datatypes.zsets import (
    ADD_GREATER,
    ADD_IF_ABSENT,
    ADD_IF_PRESENT,
    ADD_INCREMENT,
    ADD_LESS,
    DID_ADD,
    DID_NOTHING,
    DID_UPDATE,
    IS_NAN,
    ZSet,
)
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_ZSET
from gossamer.resp.errors import NOT_FLOAT, OUT_OF_RANGE, SYNTAX, wrong_arity

_NX_AND_XX: Final = b"ERR XX and NX options at the same time are not compatible"
_GT_LT_AND_NX: Final = b"ERR GT, LT, and/or NX options at the same time are not compatible"
_INCR_ONE_PAIR: Final = b"ERR INCR option supports a single increment-element pair"
_SCORE_IS_NAN: Final = b"ERR resulting score is not a number (NaN)"
_HALF_INT64_MAX: Final = 0x7FFFFFFFFFFFFFFF // 2


def parse_score(argument: bytes) -> float:
    """A score; raises CommandError."""
    try:
        return parse_double(argument)
    except NotANumber:
        raise CommandError(NOT_FLOAT) from None


def say_changed(session: Session, key: bytes, event: bytes, changes: i64) -> None:
    """Members were added, updated or removed: save points count each of them."""
    session.state.dirty += changes - 1
    session.changed(key, NOTIFY_ZSET, event)


def save_removed(session: Session, key: bytes, zset: ZSet, event: bytes, removed: i64) -> None:
    """Write back a sorted set that lost members; with the last one goes the key. Say so."""
    emptied = zset.length() == 0
    if emptied:
        session.db.delete(key)
    else:
        session.db.store(key, zset)
    say_changed(session, key, event, removed)
    if emptied:
        session.notify(NOTIFY_GENERIC, b"del", key)


# -- adding and removing ----------------------------------------------------------------------------------


def zadd(session: Session, argv: list[bytes]) -> None:
    """ZADD key [NX | XX] [GT | LT] [CH] [INCR] score member [score member ...]"""
    add_members(session, argv, 0, b"zadd")


def zincrby(session: Session, argv: list[bytes]) -> None:
    """ZINCRBY key increment member"""
    add_members(session, argv, ADD_INCREMENT, b"zincr")


def add_members(session: Session, argv: list[bytes], options: i64, event: bytes) -> None:
    size: i64 = len(argv)
    first: i64 = 2
    counts_updates = False
    while first < size:
        argument = argv[first]
        if len(argument) == 0 or argument[0] <= 57:
            break  # a digit, a sign or a point begins no option
        word = argument.upper()
        if word == b"NX":
            options |= ADD_IF_ABSENT
        elif word == b"XX":
            options |= ADD_IF_PRESENT
        elif word == b"GT":
            options |= ADD_GREATER
        elif word == b"LT":
            options |= ADD_LESS
        elif word == b"INCR":
            options |= ADD_INCREMENT
        elif word == b"CH":
            counts_updates = True
        else:
            break
        first += 1
    check_add_options(options, size - first)
    if options & ADD_INCREMENT:
        event = b"zincr"
    scores: list[float] = []
    i: i64 = first
    while i < size:
        scores.append(parse_score(argv[i]))
        i += 2
    key = argv[1]
    zset = session.db.lookup_zset(key, True)
    if zset is None:
        if options & ADD_IF_PRESENT:
            if options & ADD_INCREMENT:
                session.reply.null()
            else:
                session.reply.integer(0)
            return
        zset = ZSet(session.limits)
    longest: i64 = 0
    if options & ADD_IF_PRESENT:  # only then may a member be too long and not be added
        i = first + 1
        while i < size:
            longest = max(longest, i64(len(argv[i])))
            i += 2
    if zset.expect(len(scores), longest) and zset.length() > 0:
        session.db.store(key, zset)  # the form changes even where no member does
    added: i64 = 0
    updated: i64 = 0
    outcome: i64 = DID_NOTHING
    i = 0
    while i < len(scores):
        outcome = zset.add(argv[first + 2 * i + 1], scores[i], options)
        if outcome == DID_ADD:
            added += 1
        elif outcome == DID_UPDATE:
            updated += 1
        elif outcome == IS_NAN:
            raise CommandError(_SCORE_IS_NAN)
        i += 1
    if added + updated > 0:
        session.db.store(key, zset)
        say_changed(session, key, event, added + updated)
    if options & ADD_INCREMENT:
        if outcome == DID_NOTHING:
            session.reply.null()
        else:
            session.reply.double(zset.last_score)
    else:
        session.reply.integer(added + updated if counts_updates else added)


def check_add_options(options: i64, arguments: i64) -> None:
    """Raise CommandError when options exclude each other or what follows them is not pairs."""
    if arguments == 0 or arguments & 1:
        raise CommandError(SYNTAX)
    if options & ADD_IF_ABSENT and options & ADD_IF_PRESENT:
        raise CommandError(_NX_AND_XX)
    exclusive: i64 = options & (ADD_IF_ABSENT | ADD_GREATER | ADD_LESS)
    if exclusive & (exclusive - 1):
        raise CommandError(_GT_LT_AND_NX)
    if options & ADD_INCREMENT and arguments > 2:
        raise CommandError(_INCR_ONE_PAIR)


def zrem(session: Session, argv: list[bytes]) -> None:
    """ZREM key member [member ...]"""
    key = argv[1]
    zset = session.db.lookup_zset(key, True)
    removed: i64 = 0
    if zset is not None:
        i: i64 = 2
        while i < len(argv):
            if zset.remove(argv[i]):
                removed += 1
            i += 1
        if removed > 0:
            save_removed(session, key, zset, b"zrem", removed)
    session.reply.integer(removed)


# -- reading ----------------------------------------------------------------------------------------------


def zcard(session: Session, argv: list[bytes]) -> None:
    """ZCARD key"""
    zset = session.db.lookup_zset(argv[1], False)
    session.reply.integer(0 if zset is None else zset.length())


def zscore(session: Session, argv: list[bytes]) -> None:
    """ZSCORE key member"""
    zset = session.db.lookup_zset(argv[1], False)
    if zset is None:
        session.reply.null()
    else:
        reply_score(session, zset.score(argv[2]))


def zmscore(session: Session, argv: list[bytes]) -> None:
    """ZMSCORE key member [member ...]"""
    zset = session.db.lookup_zset(argv[1], False)
    size: i64 = len(argv)
    session.reply.array(size - 2)
    i: i64 = 2
    while i < size:
        if zset is None:
            session.reply.null()
        else:
            reply_score(session, zset.score(argv[i]))
        i += 1


def reply_score(session: Session, score: float) -> None:
    if score != score:
        session.reply.null()
    else:
        session.reply.double(score)


def zrank(session: Session, argv: list[bytes]) -> None:
    """ZRANK key member [WITHSCORE]"""
    reply_rank(session, argv, False, b"zrank")


def zrevrank(session: Session, argv: list[bytes]) -> None:
    """ZREVRANK key member [WITHSCORE]"""
    reply_rank(session, argv, True, b"zrevrank")


def reply_rank(session: Session, argv: list[bytes], reverse: bool, name: bytes) -> None:
    reply = session.reply
    if len(argv) > 4:
        raise CommandError(wrong_arity(name))
    with_score = len(argv) == 4
    if with_score and argv[3].upper() != b"WITHSCORE":
        raise CommandError(SYNTAX)
    zset = session.db.lookup_zset(argv[1], False)
    rank: i64 = -1 if zset is None else zset.rank(argv[2])
    if zset is None or rank < 0:
        if with_score:
            reply.null_array()
        else:
            reply.null()
        return
    if with_score:
        reply.array(2)
    reply.integer(zset.length() - 1 - rank if reverse else rank)
    if with_score:
        reply.double(zset.score(argv[2]))


def zscan(session: Session, argv: list[bytes]) -> None:
    """ZSCAN key cursor [MATCH pattern] [COUNT count] [NOSCORES]"""
    compat: i64 = session.limits.compat
    cursor: i64 = parse_scan_cursor(argv[2], compat)
    zset = session.db.lookup_zset(argv[1], False)
    if zset is None:
        reply_empty_scan(session.reply)
        return
    options = parse_scan_options(argv, 3, SCAN_ZSET, compat)
    flat: list[bytes] = []
    table = zset.table
    if table is None:
        flat = listpack.entries(zset.pairs)
        cursor = 0
    else:
        cursor = scan_table_items(table, cursor, options, flat)
    items: list[bytes] = []
    i: i64 = 0
    while i < len(flat):
        if options.takes(flat[i]):
            items.append(flat[i])
            if not options.noscores:
                items.append(flat[i + 1] if table is None else format_double_17(read_f64_le(flat[i + 1], 0)))
        i += 2
    reply_scan(session.reply, cursor, items)


# -- random members ---------------------------------------------------------------------------------------


def zrandmember(session: Session, argv: list[bytes]) -> None:
    """ZRANDMEMBER key [count [WITHSCORES]]"""
    reply = session.reply
    size: i64 = len(argv)
    members: list[bytes] = []
    if size == 2:
        zset = session.db.lookup_zset(argv[1], False)
        if zset is None:
            reply.null()
            return
        zset.collect_members(session.rng.below(zset.length()), 1, members)
        reply.bulk(members[0])
        return
    count = negatable_argument(argv[2])
    if size > 4 or (size == 4 and argv[3].upper() != b"WITHSCORES"):
        raise CommandError(SYNTAX)
    with_scores = size == 4
    if with_scores and not -_HALF_INT64_MAX <= count <= _HALF_INT64_MAX:
        raise CommandError(OUT_OF_RANGE)
    zset = session.db.lookup_zset(argv[1], False)
    if zset is None or count == 0:
        reply.array(0)
        return
    if count < 0:
        reply_repeating_sample(session, zset, -count, with_scores)
        return
    scores: list[float] = []
    collect_distinct_sample(session, zset, count, members, scores)
    nested = with_scores and reply.protocol == 3
    reply.array(2 * len(members) if with_scores and not nested else len(members))
    i: i64 = 0
    while i < len(members):
        if nested:
            reply.array(2)
        reply.bulk(members[i])
        if with_scores:
            reply.double(scores[i])
        i += 1


def reply_repeating_sample(session: Session, zset: ZSet, count: i64, with_scores: bool) -> None:
    """`count` draws, a member may come several times; written one by one, for `count` has no limit."""
    reply = session.reply
    length: i64 = zset.length()
    members: list[bytes] = []
    scores: list[float] = []
    packed = zset.table is None
    if packed:
        zset.collect(0, length, members, scores)
    nested = with_scores and reply.protocol == 3
    reply.array(2 * count if with_scores and not nested else count)
    while count > 0:
        if count & 1023 == 0 and session.is_reply_unwanted():
            return
        drawn: i64 = session.rng.below(length)
        if not packed:
            members.clear()
            scores.clear()
            zset.collect(drawn, 1, members, scores)
            drawn = 0
        if nested:
            reply.array(2)
        reply.bulk(members[drawn])
        if with_scores:
            reply.double(scores[drawn])
        count -= 1


def collect_distinct_sample(
    session: Session, zset: ZSet, count: i64, members: list[bytes], scores: list[float]
) -> None:
    """Up to `count` different members; all of them come from the highest down, as Redis gives them."""
    length: i64 = zset.length()
    rng = session.rng
    drawn: i64
    if count >= length:
        zset.collect(0, length, members, scores)
        members.reverse()
        scores.reverse()
    elif count * 3 > length:
        zset.collect(0, length, members, scores)
        i: i64 = 0
        while i < count:
            drawn = i + rng.below(length - i)
            members[i], members[drawn] = members[drawn], members[i]
            scores[i], scores[drawn] = scores[drawn], scores[i]
            i += 1
        del members[count:]
        del scores[count:]
    else:
        taken: set[i64] = set()
        while len(members) < count:
            drawn = rng.below(length)
            if drawn not in taken:
                taken.add(drawn)
                zset.collect(drawn, 1, members, scores)


_READ: Final = (KeySpec("RO access", 1),)
_NONDETERMINISTIC: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(b"zadd", zadd, -4, "write denyoom fast", "sortedset", (KeySpec("RW update", 1),)),
    Command(b"zincrby", zincrby, 4, "write denyoom fast", "sortedset", (KeySpec("RW access update", 1),)),
    Command(b"zrem", zrem, -3, "write fast", "sortedset", (KeySpec("RW delete", 1),)),
    Command(b"zcard", zcard, 2, "readonly fast", "sortedset", (KeySpec("RO", 1),)),
    Command(b"zscore", zscore, 3, "readonly fast", "sortedset", _READ),
    Command(b"zmscore", zmscore, -3, "readonly fast", "sortedset", _READ),
    Command(b"zrank", zrank, 3, "readonly fast", "sortedset", _READ, max_compat=70),
    Command(b"zrevrank", zrevrank, 3, "readonly fast", "sortedset", _READ, max_compat=70),
    Command(b"zrank", zrank, -3, "readonly fast", "sortedset", _READ, min_compat=72),
    Command(b"zrevrank", zrevrank, -3, "readonly fast", "sortedset", _READ, min_compat=72),
    Command(b"zrandmember", zrandmember, -2, "readonly", "sortedset", _READ, _NONDETERMINISTIC),
    Command(b"zscan", zscan, -3, "readonly", "sortedset", _READ, _NONDETERMINISTIC),
)
