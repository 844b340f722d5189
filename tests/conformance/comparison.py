"""When two replies that are not equal to the byte still mean the same: one table, per command.

Owns: `RULES`, the only place that says what may differ between Gossamer and a real server.
Must not know: how the replies were obtained.
Invariant: a rule is consulted only after the bytes differ, and it is as strict as the specification allows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from support.wire import Reply

# (argv, ours, theirs) -> do they mean the same?
Rule = Callable[[Sequence[bytes], Reply, Reply], bool]


def multiset(reply: Reply) -> list[bytes]:
    return sorted(item.raw for item in reply.items())


def pairs(reply: Reply) -> list[tuple[bytes, bytes]]:
    """The (key, value) pairs of a map, a flat array or an array of two-element arrays."""
    items = reply.items()
    if items and all(len(item.items()) == 2 for item in items):
        return sorted((item.items()[0].raw, item.items()[1].raw) for item in items)
    return sorted((items[i].raw, items[i + 1].raw) for i in range(0, len(items) - 1, 2))


def unordered(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same elements in any order."""
    return ours.kind == theirs.kind and multiset(ours) == multiset(theirs)


def unordered_pairs(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same pairs in any order."""
    same_length = len(ours.items()) == len(theirs.items())
    return ours.kind == theirs.kind and same_length and pairs(ours) == pairs(theirs)


def same_kind(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same type of reply, both null or both not; the value is nobody's promise."""
    return ours.kind == theirs.kind and ours.is_null == theirs.is_null and not ours.is_error


def same_length(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same type and the same number of elements; which ones is random (a law judges them)."""
    return same_kind(_argv, ours, theirs) and len(ours.items()) == len(theirs.items())


def within(tolerance: int) -> Rule:
    """Integers that differ by at most this much; below zero they must be equal."""

    def rule(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
        if not (isinstance(ours.value, int) and isinstance(theirs.value, int)):
            return False
        return min(ours.value, theirs.value) >= 0 and abs(ours.value - theirs.value) <= tolerance

    return rule


def scan(argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Both finished: the same elements in any order. Otherwise cursors and chunks are the server's own
    affair."""
    if len(ours.items()) != 2 or len(theirs.items()) != 2:
        return False
    our_cursor, our_items = ours.items()
    their_cursor, their_items = theirs.items()
    from_start = argv[1 if argv[0].upper() == b"SCAN" else 2 : 3][:1] == [b"0"]
    if from_start and our_cursor.value == their_cursor.value == b"0":
        compare = unordered_pairs if argv[0].upper() in (b"HSCAN", b"ZSCAN") else unordered
        return compare(argv, our_items, their_items)
    return our_cursor.kind == their_cursor.kind and our_items.kind == their_items.kind


def sort(argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Without an order (BY without `*`) a set or sorted set comes in any; ties under ALPHA BY too.

    ALPHA compares as C strings do: words that differ only behind a NUL are a tie.
    """
    words = [word.upper() for word in argv]
    has_nul = b"ALPHA" in words and b"\x00" in theirs.raw
    return (b"BY" in words or has_nul) and unordered(argv, ours, theirs)


def same_fields(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Text of `name=value` or `name:value` fields: the same names in the same order."""
    if ours.kind != theirs.kind or not isinstance(ours.value, bytes) or not isinstance(theirs.value, bytes):
        return False
    return field_names(ours.value) == field_names(theirs.value)


def field_names(text: bytes) -> list[bytes]:
    text = text.removeprefix(b"txt:")
    separator = b"=" if b"=" in text.split(b"\n", 1)[0] else b":"
    return [part.split(separator, 1)[0] for part in text.replace(b"\r\n", b" ").split() if separator in part]


def help_text(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Status lines, the first of them the same."""
    mine, other = ours.items(), theirs.items()
    return bool(mine) and {line.kind for line in mine} == {b"+"} and mine[0].raw == other[0].raw


def hello(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Everything but the client's id."""
    if ours.kind != theirs.kind or len(ours.items()) != len(theirs.items()) or not ours.items():
        return False
    fields = zip(ours.items(), theirs.items(), strict=True)
    previous = b""
    for mine, other in fields:
        if mine.raw != other.raw and previous != b"id":
            return False
        previous = mine.value if isinstance(mine.value, bytes) else b""
    return True


def elements_of_exec(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """EXEC: each element equal, or an unordered collection of the same elements."""
    if ours.kind != theirs.kind or len(ours.items()) != len(theirs.items()):
        return False
    for mine, other in zip(ours.items(), theirs.items(), strict=True):
        if mine.raw != other.raw and not (mine.kind == b"~" and unordered((), mine, other)):
            return False
    return True


UNIX_TIME_MS = 1_000_000_000_000  # numbers above are points in time, which two servers see a little apart


def close_in_time(ours: Reply, theirs: Reply, tolerance_ms: int = 5000) -> bool:
    """The same but for points in time."""
    if ours.raw == theirs.raw:
        return True
    if isinstance(ours.value, int) and isinstance(theirs.value, int):
        both_times = min(ours.value, theirs.value) > UNIX_TIME_MS
        return both_times and abs(ours.value - theirs.value) <= tolerance_ms
    mine, other = ours.items(), theirs.items()
    if ours.kind != theirs.kind or len(mine) != len(other) or not mine:
        return False
    return all(close_in_time(a, b, tolerance_ms) for a, b in zip(mine, other, strict=True))


def points_in_time(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    return close_in_time(ours, theirs)


def generated_id(argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """XADD with `*`: any id."""
    return b"*" in argv and same_kind(argv, ours, theirs)


def pending(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """XPENDING with a range: equal but for the idle time."""
    if ours.kind != theirs.kind or len(ours.items()) != len(theirs.items()):
        return False
    for mine, other in zip(ours.items(), theirs.items(), strict=True):
        ours_of, theirs_of = mine.items(), other.items()
        if len(ours_of) != 4 or len(theirs_of) != 4:
            return False
        for i in range(4):
            if i == 2 and not within(5000)((), ours_of[i], theirs_of[i]):
                return False
            if i != 2 and ours_of[i].raw != theirs_of[i].raw:
                return False
    return True


def idle_consumers(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """XINFO CONSUMERS: equal but for the idle times."""
    if len(ours.items()) != len(theirs.items()):
        return False
    for mine, other in zip(ours.items(), theirs.items(), strict=True):
        names, others = mine.items(), other.items()
        if mine.kind != other.kind or len(names) != len(others):
            return False
        for i in range(0, len(names), 2):
            if names[i].raw != others[i].raw:
                return False
            if names[i + 1].raw != others[i + 1].raw:
                if names[i].value not in (b"idle", b"inactive"):
                    return False
                if not within(5000)((), names[i + 1], others[i + 1]):
                    return False
    return True


def user_rules(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """ACL GETUSER, LIST: Redis 7.0 derives the words about single commands from a hash table, in its order."""
    return ours.kind == theirs.kind and sorted(ours.raw.split()) == sorted(theirs.raw.split())


def denials(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """ACL LOG: entries equal but for age, client and times."""
    if ours.kind != theirs.kind or len(ours.items()) != len(theirs.items()):
        return False
    for mine, other in zip(ours.items(), theirs.items(), strict=True):
        ours_of, theirs_of = mine.items(), other.items()
        if mine.kind != other.kind or len(ours_of) != len(theirs_of):
            return False
        for i in range(0, len(ours_of), 2):
            if ours_of[i].raw != theirs_of[i].raw or ours_of[i + 1].kind != theirs_of[i + 1].kind:
                return False
            open_to_chance = ours_of[i].value in OPEN_IN_A_DENIAL
            if not open_to_chance and ours_of[i + 1].raw != theirs_of[i + 1].raw:
                return False
    return True


def role(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """The same role; the offset counts whatever the process has ever told to an append only file."""
    return [item.raw for item in ours.items()[::2]] == [item.raw for item in theirs.items()[::2]]


OPEN_IN_A_DENIAL = (
    b"age-seconds",
    b"client-info",
    b"entry-id",
    b"timestamp-created",
    b"timestamp-last-updated",
)


def structure(_argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """DEBUG OBJECT, SDSLEN: equal but for addresses, clocks and what the allocator gives."""

    def sure(reply: Reply) -> list[bytes]:
        return [] if not isinstance(reply.value, bytes) else OPEN_IN_A_STRUCTURE.sub(b"", reply.value).split()

    return ours.kind == theirs.kind == b"+" and sure(ours) == sure(theirs)


OPEN_IN_A_STRUCTURE = re.compile(
    rb"(?:at:0x[0-9a-f]+|lru:\d+|lru_seconds_idle:\d+|lfu_\w+:\d+|zmalloc: \d+|_sds_avail:\d+|serializedlength:\d+)"
)


RULES: dict[bytes, Rule] = {
    # Order is nobody's promise.
    b"KEYS": unordered,
    b"SMEMBERS": unordered,
    b"SINTER": unordered,
    b"SUNION": unordered,
    b"SDIFF": unordered,
    b"HGETALL": unordered_pairs,
    b"HKEYS": unordered,
    b"HVALS": unordered,
    b"PUBSUB CHANNELS": unordered,
    b"PUBSUB SHARDCHANNELS": unordered,
    b"CONFIG GET": unordered_pairs,
    b"UNSUBSCRIBE": unordered,
    b"DEBUG OBJECT": structure,
    b"DEBUG SDSLEN": structure,
    b"DEBUG STRUCTSIZE": same_kind,
    b"DEBUG HTSTATS": same_kind,
    b"DEBUG HTSTATS-KEY": same_kind,
    b"DEBUG CLIENT-EVICTION": same_kind,
    b"SCAN": scan,
    b"SSCAN": scan,
    b"HSCAN": scan,
    b"ZSCAN": scan,
    b"SORT": sort,
    b"SORT_RO": sort,
    b"EXEC": elements_of_exec,
    b"ACL GETUSER": user_rules,
    b"ACL LIST": user_rules,
    b"ACL LOG": denials,
    # Chosen at random; laws judge what was chosen.
    b"RANDOMKEY": same_kind,
    b"SPOP": same_length,
    b"SRANDMEMBER": same_length,
    b"HRANDFIELD": same_length,
    b"ZRANDMEMBER": same_length,
    # Clocks.
    b"TTL": within(1),
    b"PTTL": within(1500),
    b"EXPIRETIME": within(1),
    b"PEXPIRETIME": within(1500),
    b"OBJECT IDLETIME": within(2),
    b"OBJECT FREQ": within(6),
    b"TIME": same_length,
    b"XADD": generated_id,
    b"XPENDING": pending,
    b"XINFO STREAM": points_in_time,
    b"XINFO CONSUMERS": idle_consumers,
    b"LASTSAVE": same_kind,
    # Identity and measures of the process.
    b"CLIENT ID": same_kind,
    b"CLIENT INFO": same_fields,
    b"CLIENT LIST": same_fields,
    b"HELLO": hello,
    b"ROLE": role,
    b"INFO": same_fields,
    b"MEMORY USAGE": same_kind,
    b"MEMORY STATS": same_kind,
    b"MEMORY DOCTOR": same_kind,
    b"LOLWUT": same_kind,
    b"DUMP": same_kind,
    # test_command_table.py and test_command_docs.py look at these.
    b"COMMAND": same_kind,
    b"COMMAND COUNT": same_kind,
    b"COMMAND LIST": same_kind,
    b"COMMAND DOCS": same_kind,
    # Help is prose: that there is some, and how it begins.
    b"ACL HELP": help_text,
    b"CLIENT HELP": help_text,
    b"COMMAND HELP": help_text,
    b"CONFIG HELP": help_text,
    b"OBJECT HELP": help_text,
    b"PUBSUB HELP": help_text,
    b"SLOWLOG HELP": help_text,
    b"XGROUP HELP": help_text,
    b"XINFO HELP": help_text,
    b"LATENCY HELP": help_text,
    b"MEMORY HELP": help_text,
    b"DEBUG HELP": help_text,
    b"SLOWLOG GET": same_kind,
    b"SLOWLOG LEN": same_kind,
    b"LATENCY LATEST": same_kind,
    b"LATENCY HISTOGRAM": same_kind,
    b"LATENCY DOCTOR": same_kind,
}


def command_name(argv: Sequence[bytes]) -> bytes:
    """The name under which RULES knows this command: "NAME SUBCOMMAND" if listed so, else "NAME"."""
    if not argv:
        return b""
    name = argv[0].upper()
    full = name + b" " + argv[1].upper() if len(argv) > 1 else name
    return full if full in RULES else name


def equivalent(argv: Sequence[bytes], ours: Reply, theirs: Reply) -> bool:
    """Equal to the byte, or equal by the command's rule. An error equals nothing but itself."""
    if ours.raw == theirs.raw:
        return True
    rule = RULES.get(command_name(argv))
    return rule is not None and not ours.is_error and not theirs.is_error and rule(argv, ours, theirs)
