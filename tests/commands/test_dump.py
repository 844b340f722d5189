"""DUMP and RESTORE without a server: effects, access fields, errors, and every type there and back."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.commands import dump, hash_expiry, hashes, lists, sets, strings, zsets
from gossamer.keyspace.state import ACCESS_LFU
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.payload import dump as dump_payload
from rdb.content import collect, read_data, value_content
from support.caller import Caller

NOW_MS = 1_700_000_000_000
GROUPS = (dump.COMMANDS, strings.COMMANDS, hashes.COMMANDS, lists.COMMANDS, sets.COMMANDS, zsets.COMMANDS)
PAYLOAD = dump_payload(b"value", 10)


def with_sum(body: bytes) -> bytes:
    return body + crc64(body).to_bytes(8, "little")


def dumped(caller: Caller, key: str) -> bytes:
    payload = caller.call("DUMP", key)
    assert isinstance(payload, bytes)
    return payload


@pytest.mark.parametrize(("compat", "version"), [(70, 10), (72, 11), (80, 11)])
def test_a_payload_states_the_version_of_the_server_that_is_answered_as(compat: int, version: int) -> None:
    caller = Caller(GROUPS, compat)
    caller.line("SET k v")
    assert dumped(caller, "k")[-10:-8] == bytes([version, 0])
    assert caller.line("DUMP none") is None


@pytest.mark.parametrize(
    "line",
    [
        "SET k 12345",
        "SET k " + "long " * 200,
        "HSET k a 1 b 2",
        "HSET k a " + "x" * 100,
        "RPUSH k a 1 -5 " + "y" * 9000,
        "RPUSH k " + "element-10 " * 3000 + "z",
        "SADD k 1 2 3",
        "SADD k a b c",
        "SADD k " + " ".join(f"m{n}" for n in range(300)),
        "ZADD k 1 a 2.5 b inf c",
        "ZADD k " + " ".join(f"{n / 7} m{n}" for n in range(300)),
    ],
)
@pytest.mark.parametrize("compat", [70, 80])
def test_every_value_comes_back_from_its_payload(line: str, compat: int) -> None:
    caller = Caller(GROUPS, compat)
    caller.call(*line.split(" ") if not line.startswith("SET") else line.split(" ", 2))
    assert caller.call("RESTORE", "copy", "0", dumped(caller, "k")) == b"OK"
    db = caller.session.db
    original, copy = db.peek(b"k"), db.peek(b"copy")
    assert original is not None and copy is not None
    assert value_content(original) == value_content(copy)
    assert db.encoding(b"k") == db.encoding(b"copy")


def test_a_stream_comes_back_with_its_groups() -> None:
    caller = Caller(GROUPS)
    stream = collect(read_data("redis-7.0.rdb")).databases[0][b"stream:1"]
    caller.call("RESTORE", "s", "0", dump_payload(stream, 10))
    caller.call("RESTORE", "t", "0", dumped(caller, "s"))
    restored = caller.session.db.peek(b"t")
    assert restored is not None
    assert value_content(restored) == value_content(stream)


def test_a_relative_expiry_is_propagated_as_a_moment() -> None:
    caller = Caller(GROUPS)
    caller.call("RESTORE", "k", "5000", PAYLOAD, "REPLACE")
    moment = str(NOW_MS + 5000).encode()
    assert caller.propagated == [[b"RESTORE", b"k", moment, PAYLOAD, b"REPLACE", b"ABSTTL"]]
    assert caller.events == [(b"new", b"k"), (b"restore", b"k")]
    assert caller.session.db.expire_time(b"k") == NOW_MS + 5000
    caller.call("RESTORE", "j", str(NOW_MS + 1), PAYLOAD, "ABSTTL")
    assert caller.propagated is None
    assert caller.session.db.expire_time(b"j") == NOW_MS + 1


def test_a_moment_that_has_passed_restores_nothing_but_may_replace() -> None:
    caller = Caller(GROUPS)
    assert caller.call("RESTORE", "k", "1000", PAYLOAD, "ABSTTL") == b"OK"
    assert (caller.events, caller.modified) == ([], [])
    caller.line("SET k old")
    caller.call("RESTORE", "k", "1000", PAYLOAD, "ABSTTL", "REPLACE")
    assert caller.propagated == [[b"DEL", b"k"]]
    assert caller.events == [(b"del", b"k")]
    assert not caller.session.db.exists(b"k")


def test_idle_time_and_frequency_are_taken_as_the_policy_keeps_them() -> None:
    caller = Caller(GROUPS)
    caller.call("RESTORE", "k", "0", PAYLOAD, "IDLETIME", "50")
    assert caller.session.db.access_field(b"k") == (NOW_MS // 1000 - 50) & 0xFFFFFF
    caller.state.access_mode = ACCESS_LFU
    caller.state.set_time(NOW_MS)
    caller.call("RESTORE", "k", "0", PAYLOAD, "FREQ", "200", "REPLACE")
    assert caller.session.db.access_field(b"k") & 0xFF == 200


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["k", "0", PAYLOAD], b"BUSYKEY Target key name already exists."),
        (["k", "x", PAYLOAD], b"BUSYKEY Target key name already exists."),
        (["n", "x", PAYLOAD], b"ERR value is not an integer or out of range"),
        (["n", "-1", PAYLOAD], b"ERR Invalid TTL value, must be >= 0"),
        (["n", "0", PAYLOAD[:-1]], b"ERR DUMP payload version or checksum are wrong"),
        (["n", "0", PAYLOAD[:-8] + bytes(8)], b"ERR DUMP payload version or checksum are wrong"),
        (["n", "0", PAYLOAD, "IDLETIME", "-1"], b"ERR Invalid IDLETIME value, must be >= 0"),
        (["n", "0", PAYLOAD, "FREQ", "256"], b"ERR Invalid FREQ value, must be >= 0 and <= 255"),
        (["n", "0", PAYLOAD, "FREQ", "1", "IDLETIME", "1"], b"ERR syntax error"),
        (["n", "0", PAYLOAD, "REPLACED"], b"ERR syntax error"),
        (["n", "0", with_sum(b"\x05\x01m\x0b\x00")], b"ERR Bad data format"),
    ],
)
def test_what_cannot_be_restored_says_why(arguments: list[bytes | str], error: bytes) -> None:
    caller = Caller(GROUPS)
    caller.line("SET k v")
    with pytest.raises(CommandError) as caught:
        caller.call("RESTORE", *arguments)
    assert caught.value.message == error


def test_a_payload_of_another_make_is_taken() -> None:
    """Valkey 9 writes version 80; a hash with expiring fields keeps its fields."""
    caller = Caller(GROUPS)
    body = b"\x16\x01\x01f\x01v" + b"\xff" * 8 + b"\x50\x00"
    caller.call("RESTORE", "h", "0", with_sum(body))
    assert caller.line("HGETALL h") == [b"f", b"v"]


@pytest.mark.parametrize(("compat", "version", "kind"), [(70, 12, 24), (72, 12, 24), (80, 80, 22)])
def test_expiring_fields_travel_in_a_payload_that_knows_them(compat: int, version: int, kind: int) -> None:
    caller = Caller((*GROUPS, hash_expiry.COMMANDS), compat)
    caller.line("HSET k a 1 b 2")
    caller.line("HPEXPIRE k 500 FIELDS 1 a")
    payload = dumped(caller, "k")
    assert (payload[0], payload[-10:-8]) == (kind, bytes([version, 0]))
    assert caller.call("RESTORE", "copy", "0", payload) == b"OK"
    assert caller.line("HPTTL copy FIELDS 2 a b") == [500, -1]
    assert caller.session.db.field_expiry.count() == 2
    caller.state.set_time(NOW_MS + 501)
    assert caller.line("HGETALL copy") == [b"b", b"2"]


@pytest.mark.parametrize(("compat", "lazily", "told"), [(70, 1, b"DEL"), (80, 1, b"UNLINK"), (80, 0, b"DEL")])
def test_a_payload_whose_time_is_over_removes_what_it_was_to_replace(
    compat: int, lazily: int, told: bytes
) -> None:
    caller = Caller(GROUPS, compat)
    caller.limits.lazyfree_lazy_server_del = lazily
    caller.line("SET k v")
    assert caller.call("RESTORE", "k", "1", PAYLOAD, "ABSTTL", "REPLACE") == b"OK"
    assert caller.propagated == [[told, b"k"]]
