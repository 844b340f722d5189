"""The keys of a request, by specifications and by finders."""

import pytest

from gossamer.commands.key_positions import (
    bitfield_keys,
    find_keys,
    has_keys,
    has_movable_keys,
    legacy_range,
    migrate_keys,
    set_keys,
    sort_keys,
)
from gossamer.commands.table import Command, KeySpec, build_table, implicit_categories


def command(*keys: KeySpec, arity: int = -2, flags: str = "readonly") -> Command:
    return Command(b"test", None, arity, flags, "", keys=keys)


def keys_of(declared: Command, line: bytes) -> list[bytes]:
    argv = line.split(b" ")
    return [argv[reference.position] for reference in find_keys(declared, argv)]


ONE = command(KeySpec("RO access", index=1))
ALL = command(KeySpec("RO access", index=1, last=-1))
PAIRS = command(KeySpec("OW update", index=1, last=-1, step=2))
COUNTED = command(KeySpec("RO access", index=1, count_at=0, first=1))
DESTINATION_AND_COUNTED = command(
    KeySpec("OW update", index=1), KeySpec("RO access", index=2, count_at=0, first=1)
)
HALF = command(KeySpec("RO access", keyword=b"STREAMS", start_from=1, last=-1, limit=2))
LAST_KEYWORD = command(KeySpec("RW", keyword=b"KEYS", start_from=-2, last=-1))


@pytest.mark.parametrize(
    ("declared", "line", "keys"),
    [
        (ONE, b"c k x y", [b"k"]),
        (ALL, b"c a b c", [b"a", b"b", b"c"]),
        (PAIRS, b"c a 1 b 2", [b"a", b"b"]),
        (COUNTED, b"c 2 a b LIMIT 1", [b"a", b"b"]),
        (DESTINATION_AND_COUNTED, b"c d 1 a WEIGHTS 2", [b"d", b"a"]),
        (HALF, b"c COUNT 1 streams a b 0 0", [b"a", b"b"]),
        (HALF, b"c COUNT 1", []),
        (LAST_KEYWORD, b"c KEYS x KEYS a b", [b"a", b"b"]),
    ],
)
def test_specifications_find_the_keys(declared: Command, line: bytes, keys: list[bytes]) -> None:
    assert keys_of(declared, line) == keys


@pytest.mark.parametrize("count", [b"0", b"-1", b"3", b"x", b"", b"99999999999999999999", b"+1"])
def test_a_count_that_does_not_fit_finds_nothing(count: bytes) -> None:
    assert keys_of(COUNTED, b"c " + count + b" a b") == []


def test_channels_are_no_keys_unless_asked_for() -> None:
    publish = command(KeySpec("not_key", index=1))
    assert not has_keys(publish)
    assert find_keys(publish, [b"spublish", b"c", b"m"]) == []
    assert [key.position for key in find_keys(publish, [b"spublish", b"c", b"m"], with_channels=True)] == [1]


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (ONE, (1, 1, 1)),
        (ALL, (1, -1, 1)),
        (PAIRS, (1, -1, 2)),
        (COUNTED, (0, 0, 0)),
        (DESTINATION_AND_COUNTED, (1, 1, 1)),
        (command(KeySpec("RW", index=1), KeySpec("RW", index=2)), (1, 2, 1)),
        (command(), (0, 0, 0)),
    ],
)
def test_the_legacy_range_follows_from_the_specifications(
    declared: Command, expected: tuple[int, int, int]
) -> None:
    assert legacy_range(declared) == expected


def test_only_fixed_positions_are_not_movable() -> None:
    assert not has_movable_keys(ALL)
    assert has_movable_keys(COUNTED)
    assert has_movable_keys(HALF)


def test_sort_keeps_the_last_destination_and_is_not_fooled_by_values() -> None:
    line = b"SORT src BY store LIMIT 0 1 GET store STORE one STORE two"
    assert [position for position, _ in sort_keys(line.split())] == [1, 12]
    assert [position for position, _ in sort_keys(b"SORT src STORE".split())] == [1]


def test_migrate_takes_its_key_or_those_behind_keys() -> None:
    assert [p for p, _ in migrate_keys(b"MIGRATE h 1 k 0 10 COPY".split(b" "))] == [3]
    assert [p for p, _ in migrate_keys(b"MIGRATE h 1  0 10 AUTH KEYS KEYS a b".split(b" "))] == [9, 10]
    assert migrate_keys(b"MIGRATE h 1 k 0 10 KEYS a".split(b" ")) == []


def test_access_depends_on_the_options_of_set_and_bitfield() -> None:
    assert set_keys(b"SET k v".split())[0][1] == ("OW", "update")
    assert set_keys(b"SET k v EX 1 get".split())[0][1] == ("RW", "access", "update")
    assert bitfield_keys(b"BITFIELD k GET u8 0 OVERFLOW SAT GET u8 1".split())[0][1] == ("RO", "access")
    assert bitfield_keys(b"BITFIELD k GET u8 0 INCRBY u8 0 1".split())[0][1] == ("RW", "access", "update")


def test_categories_follow_from_flags() -> None:
    assert implicit_categories(command(flags="write fast")) == ("write", "fast")
    assert implicit_categories(command(flags="admin")) == ("admin", "slow", "dangerous")
    assert implicit_categories(command(flags="pubsub blocking")) == ("pubsub", "slow", "blocking")


def test_a_table_holds_the_commands_of_its_version_with_statistics_of_its_own() -> None:
    old = Command(b"c", None, 3, "", "", max_compat=70)
    sub = Command(b"s", None, 2, "", "", min_compat=80)
    new = Command(b"c", None, -3, "", "", subcommands=(sub,), min_compat=72)
    table = build_table(((old, new),), 70)
    assert table[b"c"].arity == 3
    table[b"c"].calls += 1
    assert build_table(((old, new),), 70)[b"c"].calls == 0
    assert build_table(((old, new),), 72)[b"c"].subcommands == {}
    assert build_table(((old, new),), 80)[b"c"].subcommands[b"s"].full_name == b"c|s"
