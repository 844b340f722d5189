"""Hashes with expiring fields on the disk: the commands of a rewrite, and the version that a snapshot takes."""

import pytest

from gossamer.base.limits import Limits
from gossamer.commands import hash_expiry, hashes, keys
from gossamer.datatypes.hashes import Hash
from gossamer.engine.config import Config
from gossamer.engine.digest import keyspace_digest
from gossamer.persistence.aof_content import write_commands
from gossamer.persistence.hash_commands import commands_of_field_expiry
from gossamer.persistence.snapshot import READERS_REDIS, READERS_UNKNOWN, READERS_VALKEY, SnapshotContent
from persistence.aof_content import commands_of
from rdb.content import collect
from support.caller import Caller

GROUPS = (hashes.COMMANDS, hash_expiry.COMMANDS, keys.COMMANDS)


def test_fields_of_one_time_stand_in_one_command() -> None:
    value = Hash(Limits())
    for number in range(200):
        value.set(b"f%d" % number, b"v")
        if number % 2:
            value.set_expire(b"f%d" % number, 5000 if number < 100 else 4000)
    commands = commands_of_field_expiry(b"h", value)
    assert [(argv[2], int(argv[4])) for argv in commands] == [(b"4000", 50), (b"5000", 50)]
    assert all(argv[:2] == [b"HPEXPIREAT", b"h"] and len(argv) == 5 + int(argv[4]) for argv in commands)
    for number in range(200):
        value.set_expire(b"f%d" % number, 6000)
    assert [int(argv[4]) for argv in commands_of_field_expiry(b"h", value)] == [64, 64, 64, 8]
    assert commands_of_field_expiry(b"h", Hash(Limits())) == []


@pytest.mark.parametrize("size", [3, 500])
def test_a_rewrite_in_commands_makes_the_same_data_set(size: int) -> None:
    caller = Caller(GROUPS)
    words = [word for number in range(size) for word in (f"f{number}", str(number))]
    caller.call("HSET", "h", *words)
    for number in range(0, size, 2):
        caller.call("HPEXPIRE", "h", str(1000 + number % 7), "FIELDS", "1", f"f{number}")
    pieces: list[bytes] = []
    write_commands(pieces.append, caller.session.keyspace, [], -1)
    again = Caller(GROUPS)
    for argv in commands_of(b"".join(pieces)):
        if argv[0] != b"SELECT":
            again.call(*argv)
    assert keyspace_digest(again.session.keyspace) == keyspace_digest(caller.session.keyspace)


@pytest.mark.parametrize(
    ("compat", "configured", "written"),
    [(70, b"10", 12), (72, b"11", 12), (72, b"12", 12), (80, b"10", 80), (80, b"12", 12)],
)
def test_a_snapshot_takes_a_version_that_loses_no_time(compat: int, configured: bytes, written: int) -> None:
    caller = Caller(GROUPS, compat)
    config = Config(compat)
    config.set([(b"rdb-version", configured)])
    content = SnapshotContent(caller.session.keyspace, config)
    caller.line("HSET h a 1 b 2")
    assert content.version() == int(configured)
    assert content.version_notice() is None
    caller.line("HEXPIRE h 10 FIELDS 1 a")
    pieces: list[bytes] = []
    content.write(pieces.append, 0, False)
    again = collect(b"".join(pieces))
    assert (again.version, again.is_valkey) == (written, written == 80)
    assert again.field_expires == {(0, b"h"): {b"a": 1_700_000_010_000}}
    notice = content.version_notice()
    assert (notice is None) == (written == int(configured))
    assert notice is None or f"RDB version {written}" in notice
    caller.line("HPERSIST h FIELDS 1 a")
    assert content.version() == int(configured)


@pytest.mark.parametrize("compat", [70, 80])
def test_a_snapshot_for_replicas_takes_the_version_of_their_kind(compat: int) -> None:
    caller = Caller(GROUPS, compat)
    content = SnapshotContent(caller.session.keyspace, Config(compat))
    for readers, written in (
        (READERS_REDIS, 12),
        (READERS_VALKEY, 80),
        (READERS_UNKNOWN, 80 if compat == 80 else 12),
    ):
        content.readers = readers
        caller.line("HPERSIST h FIELDS 1 a")
        caller.line("HSET h a 1")
        assert content.version() == 10
        caller.line("HEXPIRE h 10 FIELDS 1 a")
        assert content.version() == written


def test_the_digest_tells_when_fields_expire() -> None:
    caller = Caller(GROUPS)
    caller.line("HSET h a 1 b 2")
    digests = [keyspace_digest(caller.session.keyspace)]
    for line in ("HPEXPIRE h 5 FIELDS 1 a", "HPEXPIRE h 6 FIELDS 1 a", "HPEXPIRE h 6 FIELDS 1 b"):
        caller.line(line)
        digests.append(keyspace_digest(caller.session.keyspace))
    assert len(set(digests)) == 4
    caller.line("HPERSIST h FIELDS 2 a b")
    assert keyspace_digest(caller.session.keyspace) == digests[0]
