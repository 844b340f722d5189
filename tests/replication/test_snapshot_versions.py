"""Which RDB version a replica is offered: what it says, what it refused, what is configured."""

from __future__ import annotations

from gossamer.replication.snapshot_versions import (
    CUTS_PER_REFUSAL,
    NONE_OLDER,
    NOTHING,
    OLDER_NEXT,
    REPLICAS_REMEMBERED,
    SnapshotVersions,
)

HERE = b"10.0.0.2:6379"


def test_who_says_nothing_is_offered_what_is_configured() -> None:
    versions = SnapshotVersions()
    assert [versions.choose(HERE, False, configured) for configured in (9, 10, 11, 12)] == [9, 10, 11, 12]


def test_valkey_is_offered_nothing_that_is_newer_behind_the_magic_of_redis() -> None:
    versions = SnapshotVersions()
    assert [versions.choose(HERE, True, configured) for configured in (9, 10, 11, 12)] == [9, 10, 11, 11]


def test_who_leaves_with_a_whole_snapshot_is_offered_an_older_one_down_to_the_oldest() -> None:
    versions = SnapshotVersions()
    offered = []
    for _ in range(4):
        offered.append(versions.choose(HERE, False, 12))
        assert versions.refuse(HERE, offered[-1], True) == (OLDER_NEXT if offered[-1] > 9 else NONE_OLDER)
    assert offered == [12, 11, 10, 9]
    assert versions.choose(HERE, False, 12) == 9
    assert versions.choose(b"10.0.0.3:6379", False, 12) == 12


def test_that_nothing_older_is_written_is_told_once_until_one_is_taken() -> None:
    versions = SnapshotVersions()
    told = [versions.refuse(HERE, 9, True) for _ in range(3)]
    versions.accept(HERE)
    assert [*told, versions.refuse(HERE, 9, True)] == [NONE_OLDER, NOTHING, NOTHING, NONE_OLDER]


def test_cuts_in_the_middle_count_only_in_a_row() -> None:
    versions = SnapshotVersions()
    for _ in range(CUTS_PER_REFUSAL - 1):
        assert versions.refuse(HERE, 10, False) == NOTHING
    versions.accept(HERE)
    for _ in range(CUTS_PER_REFUSAL - 1):
        assert versions.refuse(HERE, 10, False) == NOTHING
    assert versions.refuse(HERE, 10, False) == OLDER_NEXT


def test_what_is_learned_stays_after_a_success_and_gives_way_to_a_lower_setting() -> None:
    versions = SnapshotVersions()
    versions.refuse(HERE, 11, True)
    versions.accept(HERE)
    assert versions.choose(HERE, False, 12) == 10
    assert versions.choose(HERE, False, 9) == 9


def test_only_so_many_are_remembered() -> None:
    versions = SnapshotVersions()
    for number in range(REPLICAS_REMEMBERED + 5):
        versions.refuse(b"%d" % number, 10, True)
    assert len(versions.learned) == REPLICAS_REMEMBERED
    assert versions.choose(b"0", False, 10) == 10 and versions.choose(b"1000", False, 10) == 9
