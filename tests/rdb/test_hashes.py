"""Hashes whose fields expire: their forms in files and payloads, there and back, and damaged."""

import random
import struct

import pytest

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.value import Value
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.input import Input
from gossamer.rdb.loader import Loader, LoadTarget
from gossamer.rdb.payload import dump, is_sound, restore
from gossamer.rdb.reader import Reader
from rdb.content import Collector, collect, read_data, write_all

TIME_MS = 1_800_000_000_000
LATE_MS = (1 << 46) - 1


def expiring(size: int, every: int = 2) -> Hash:
    """Every nth field expires, each at another time."""
    value = Hash(Limits())
    for number in range(size):
        value.set(b"f%d" % number, b"value %d" % number)
    for number in range(0, size, every):
        value.set_expire(b"f%d" % number, TIME_MS + number)
    return value


def content(value: object) -> tuple[dict[bytes, bytes], dict[bytes, int]]:
    assert isinstance(value, Hash)
    flat = value.items()
    assert value.length() * 2 == len(flat)
    times = value.expiring_fields()
    assert value.expiring() == len(times)
    return dict(zip(flat[::2], flat[1::2], strict=True)), dict(times)


def text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def with_footer(body: bytes, version: int = 12) -> bytes:
    body += struct.pack("<H", version)
    return body + crc64(body).to_bytes(8, "little")


@pytest.mark.parametrize("version", [12, 80])
@pytest.mark.parametrize(("size", "every"), [(1, 1), (6, 2), (300, 1), (300, 300)])
def test_a_payload_brings_fields_and_times_back(version: int, size: int, every: int) -> None:
    value = expiring(size, every)
    payload = dump(value, version)
    assert payload[0] == (22 if version == 80 else 24)
    assert is_sound(payload)
    assert content(restore(payload, Limits())) == content(value)


def test_the_bytes_of_redis_74() -> None:
    """earliest | count | ( time - earliest + 1 or 0 | field | value ) ..."""
    value = Hash(Limits())
    value.set(b"a", b"1")
    value.set_expire(b"a", TIME_MS)
    assert dump(value, 12)[:-10] == b"\x18" + struct.pack("<q", TIME_MS) + b"\x01\x01\x01a\xc0\x01"
    value.set_expire(b"a", 0)
    value.set(b"a", b"x")
    assert dump(value, 12)[:-10] == b"\x04\x01\x01a\x01x"


def test_the_bytes_of_valkey_9() -> None:
    """count | ( field | value | time or -1 ) ..."""
    value = Hash(Limits())
    value.set(b"a", b"x")
    value.set_expire(b"a", TIME_MS)
    assert dump(value, 80)[:-10] == b"\x16\x01\x01a\x01x" + struct.pack("<q", TIME_MS)


def test_the_earliest_time_is_exact_after_times_were_put_off() -> None:
    value = expiring(50, 1)
    for number in range(49):
        value.set_expire(b"f%d" % number, LATE_MS)
    assert struct.unpack("<q", dump(value, 12)[1:9]) == (TIME_MS + 49,)
    assert content(restore(dump(value, 12), Limits())) == content(value)


def test_a_hash_none_of_whose_fields_expires_any_more_is_a_plain_one() -> None:
    body = b"\x18" + struct.pack("<q", TIME_MS) + b"\x01\x00\x01a\x01x"
    value = restore(with_footer(body), Limits())
    assert isinstance(value, Hash)
    assert value.encoding() == b"listpack"


def triples(*elements: bytes) -> bytes:
    return struct.pack("<q", TIME_MS) + text(listpack.encode(list(elements)))


TIME = b"%d" % TIME_MS
ILL_FORMED = {
    "field twice": b"\x18" + struct.pack("<q", TIME_MS) + b"\x02" + b"\x01\x01a\x01x" * 2,
    "negative earliest time": b"\x18" + struct.pack("<q", -5) + b"\x01\x01\x01a\x01x",
    "time beyond 64 bits": b"\x18" + struct.pack("<q", TIME_MS) + b"\x01\x81" + b"\xff" * 8 + b"\x01a\x01x",
    "sum of times beyond 63 bits": b"\x18"
    + struct.pack("<q", 1 << 62)
    + b"\x01\x81\x60"
    + b"\0" * 7
    + b"\x01a\x01x",
    "no field": b"\x18" + struct.pack("<q", TIME_MS) + b"\x00",
    "cut off": b"\x18" + struct.pack("<q", TIME_MS) + b"\x02\x01\x01a\x01x",
    "declared length": b"\x18" + struct.pack("<q", TIME_MS) + b"\x81" + (1 << 40).to_bytes(8, "big"),
    "listpack with a field twice": b"\x19" + triples(b"a", b"x", TIME, b"a", b"y", TIME),
    "listpack without a time": b"\x19" + triples(b"a", b"x", TIME, b"b", b"y"),
    "listpack with words for a time": b"\x19" + triples(b"a", b"x", b"soon"),
    "listpack with a negative time": b"\x19" + triples(b"a", b"x", b"-5"),
    "listpack of nothing": b"\x19" + triples(),
}


@pytest.mark.parametrize("name", ILL_FORMED)
def test_an_ill_formed_value_is_refused(name: str) -> None:
    with pytest.raises(CorruptError):
        restore(with_footer(ILL_FORMED[name]), Limits())


@pytest.mark.parametrize(
    "body",
    [
        b"\x16\x01\x01a\x01x" + struct.pack("<q", -2),
        b"\x16\x02" + (b"\x01a\x01x" + struct.pack("<q", -1)) * 2,
    ],
)
def test_an_ill_formed_value_of_valkey_is_refused(body: bytes) -> None:
    with pytest.raises(CorruptError):
        restore(with_footer(body, 80), Limits())


@pytest.mark.parametrize("version", [12, 80])
def test_a_mutated_payload_is_refused_or_a_sound_value(version: int) -> None:
    rng = random.Random(version)
    original = dump(expiring(12), version, False)
    packed = [b"a", b"1", TIME, b"b", b"22222222222", b"0"]
    for payload in (original, with_footer(b"\x19" + triples(*packed), version)):
        for _ in range(3000):
            damaged = bytearray(payload[:-8])
            for _ in range(rng.randrange(1, 4)):
                damaged[rng.randrange(len(damaged) - 2)] = rng.randrange(256)
            body = bytes(damaged)
            try:
                value = restore(body + crc64(body).to_bytes(8, "little"), Limits())
            except CorruptError:
                continue
            if isinstance(value, Hash) and value.expiring() > 0:
                fields, times = content(value)
                assert times.keys() <= fields.keys()
                assert content(restore(dump(value, 12), Limits())) == (fields, times)
                for name in fields:
                    assert value.remove(name)
                assert value.length() == value.expiring() == 0


@pytest.mark.parametrize("version", [12, 80])
def test_every_flipped_bit_and_every_cut_of_a_file_is_refused(version: int) -> None:
    collector = Collector()
    collector.databases = {0: {b"h": expiring(5), b"g": expiring(40, 3)}}
    data = write_all(collector, version)
    assert collect(data).content() == collect(write_all(collect(data), version)).content()
    for index in range(len(data)):
        for damaged in (data[:index], *(damaged_at(data, index, bit) for bit in range(8))):
            with pytest.raises(CorruptError):
                collect(damaged)


def damaged_at(data: bytes, index: int, bit: int) -> bytes:
    damaged = bytearray(data)
    damaged[index] ^= 1 << bit
    return bytes(damaged)


@pytest.mark.parametrize("name", ["redis-8.0", "valkey-9.1"])
def test_the_dumps_of_other_servers_hold_the_times_that_are_expected(name: str) -> None:
    assert sum(len(times) for times in collect(read_data(f"{name}.rdb")).field_expires.values()) > 2


class Keeping(LoadTarget):
    """What a loader passes on."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Hash] = {}

    def add(
        self,
        db_index: int,
        key: bytes,
        value: bytes | Value,
        expire_at_ms: int,
        idle_seconds: int,
        frequency: int,
        offset: int,
    ) -> None:
        assert isinstance(value, Hash)
        self.kept[key] = value


@pytest.mark.parametrize(
    ("now_ms", "kept", "expired"),
    [(-1, 6, 0), (TIME_MS, 6, 0), (TIME_MS + 1, 5, 1), (TIME_MS + 3, 4, 2), (TIME_MS + 99, 3, 3)],
)
def test_fields_that_expired_are_dropped_when_a_file_is_loaded(now_ms: int, kept: int, expired: int) -> None:
    collector = Collector()
    collector.databases = {0: {b"h": expiring(6), b"all": expiring(2, 1)}}
    target = Keeping()
    loader = Loader(target, 16, now_ms)
    Reader(Input(write_all(collector, 12)), loader, Limits()).read_all()
    assert target.kept[b"h"].length() == kept
    all_gone = now_ms > TIME_MS + 1
    assert (b"all" in target.kept) is not all_gone
    assert loader.report.keys_expired == all_gone
    assert loader.report.fields_expired == expired + (0 if now_ms <= TIME_MS else min(2, now_ms - TIME_MS))
