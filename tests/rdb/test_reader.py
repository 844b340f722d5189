"""The reader against files of five servers and of the old days, and against hand-made opcodes."""

import struct
from typing import Any

import pytest

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.input import Input
from gossamer.rdb.reader import Reader
from rdb.content import DUMPS, LEGACY, Collector, collect, comparable, expected_content, name_of, read_data


def limits_of(compat: int) -> Limits:
    limits = Limits()
    limits.compat = compat
    return limits


def frame(body: bytes, version: bytes = b"REDIS0010") -> bytes:
    """A file of that body, with its end and a right check sum."""
    data = version + body + b"\xff"
    return data + crc64(data).to_bytes(8, "little")


def text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


@pytest.mark.parametrize("name", DUMPS)
def test_dump_of_a_real_server_has_its_expected_content(name: str) -> None:
    collector = collect(read_data(f"{name}.rdb"))
    expected = expected_content(name)
    content = collector.content()
    assert {index: set(keys) for index, keys in content.items()} == {
        index: set(keys) for index, keys in expected["databases"].items()
    }
    for index, keys in expected["databases"].items():
        for key, entry in keys.items():
            got = content[index][key]
            if name == "redis-6.2" and "expire_at_ms" in entry:
                # That server had no command to tell the time.
                assert entry["expire_at_ms"] is None
                entry["expire_at_ms"] = got["expire_at_ms"]
            if name == "redis-6.2" and entry["type"] == "stream":
                # Nor did it keep counters or a group's position.
                del got["entries-added"], got["max-deleted-entry-id"]
                for group in got["groups"].values():
                    group["entries_read"] = None
            assert got == comparable(entry), key
    assert [code.decode() for code in collector.functions] == expected["functions"]
    assert collector.ended


@pytest.mark.parametrize(("name", "compat"), [("redis-7.0", 70), ("valkey-8.0", 80)])
def test_loaded_values_have_the_encodings_of_their_server(name: str, compat: int) -> None:
    collector = collect(read_data(f"{name}.rdb"), limits_of(compat))
    expected = expected_content(name)["databases"]
    for index, keys in collector.databases.items():
        for key, value in keys.items():
            if not isinstance(value, bytes):
                assert value.encoding().decode() == expected[str(index)][name_of(key)]["encoding"], key


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_a_stream_in_pieces_gives_what_the_whole_gives(chunk: int) -> None:
    data = read_data("redis-7.0.rdb" if chunk > 7 else "legacy/redis_50_with_streams.rdb")
    assert collect(data, chunk=chunk).content() == collect(data).content()


LEGACY_KEYS: dict[str, Any] = {
    "dictionary.rdb": {b"force_dictionary": 1000},
    "empty_database.rdb": {},
    "intset_32.rdb": {b"intset_32": [b"2147418108", b"2147418109", b"2147418110"]},
    "integer_keys.rdb": {
        b"183358245": b"Positive 32 bit integer",
        b"125": b"Positive 8 bit integer",
        b"-29477": b"Negative 16 bit integer",
        b"-123": b"Negative 8 bit integer",
        b"43947": b"Positive 16 bit integer",
        b"-183358245": b"Negative 32 bit integer",
    },
    "keys_with_expiry.rdb": {b"expires_ms_precision": b"2022-12-25 10:11:12.573 UTC"},
    "multiple_databases.rdb": {b"key_in_zeroth_database": b"zero", b"key_in_second_database": b"second"},
    "regular_set.rdb": {b"regular_set": [b"alpha", b"beta", b"delta", b"gamma", b"kappa", b"phi"]},
    "sorted_set_as_ziplist.rdb": {b"sorted_set_as_ziplist": 3},
    "ziplist_that_compresses_easily.rdb": {
        b"ziplist_compresses_easily": [b"a" * 6 * count for count in range(1, 7)]
    },
    "ziplist_with_integers.rdb": {b"ziplist_with_integers": 24},
    "zipmap_that_doesnt_compress.rdb": {b"zimap_doesnt_compress": [b"MKD1G6", b"2", b"YNNXK", b"F7TI"]},
    "parser_filters.rdb": 43,
    "redis_50_with_streams.rdb": 14,
    "rdb_version_8_with_64b_length_and_scores.rdb": 2,
}


@pytest.mark.parametrize("name", LEGACY)
def test_file_of_an_old_server_is_read(name: str) -> None:
    collector = collect(read_data(f"legacy/{name}"))
    keys = {key: value for database in collector.databases.values() for key, value in database.items()}
    expected = LEGACY_KEYS[name]
    assert collector.ended
    if isinstance(expected, int):
        assert len(keys) == expected
        return
    assert set(keys) == set(expected)
    for key, wanted in expected.items():
        value: Any = keys[key]
        if isinstance(wanted, int):
            assert value.length() == wanted
        elif isinstance(wanted, bytes):
            assert value == wanted
        elif value.type_name() == b"set":
            assert sorted(value.members()) == wanted
        elif value.type_name() == b"hash":
            assert value.items() == wanted
        else:
            assert value.elements() == wanted


def test_expiry_of_an_old_file_is_in_milliseconds() -> None:
    collector = collect(read_data("legacy/keys_with_expiry.rdb"))
    assert collector.expires == {(0, b"expires_ms_precision"): 1671963072573}


def test_integers_of_a_ziplist_have_every_width() -> None:
    value: Any = collect(read_data("legacy/ziplist_with_integers.rdb")).databases[0][b"ziplist_with_integers"]
    numbers = [int(element) for element in value.elements()]
    assert numbers[:13] == list(range(13))
    assert numbers[13:] == [-2, 13, 25, -61, 63, 16380, -16000, 65535, -65523, 4194304, 0x7FFFFFFFFFFFFFFF]


def test_opcodes_around_keys_are_told() -> None:
    body = (
        b"\xfa" + text(b"redis-ver") + text(b"x")
        + b"\xf5" + text(b"#!lua name=a\n")
        + b"\xf6" + text(b"lib") + text(b"LUA") + b"\x01" + text(b"words") + text(b"code")
        + b"\xfe\x05\xfb\x02\x01\xf4\x01\x02\x03"
        + b"\xfc" + struct.pack("<q", 1234567890123) + b"\xf8\x14" + b"\x00" + text(b"idle") + text(b"1")
        + b"\xfd" + struct.pack("<i", 1234567890) + b"\xf9\xc8" + b"\x00" + text(b"freq") + text(b"2")
        + b"\x00" + text(b"none") + b"\xc0\xff"
    )  # fmt: skip
    collector = collect(frame(body))
    assert collector.aux == {b"redis-ver": b"x"}
    assert collector.functions == [b"#!lua name=a\n", b"#!lua name=lib\ncode"]
    assert collector.databases == {5: {b"idle": b"1", b"freq": b"2", b"none": b"-1"}}
    assert collector.expires == {(5, b"idle"): 1234567890123, (5, b"freq"): 1234567890000}
    assert collector.idle == {b"idle": 20}
    assert collector.frequency == {b"freq": 200}


def module_id(name: str, version: int) -> bytes:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    number = 0
    for character in name:
        number = number << 6 | alphabet.index(character)
    return b"\x81" + (number << 10 | version).to_bytes(8, "big")


MODULE_DATUM = (
    b"\x02\x07\x01\x81"
    + b"\xff" * 8
    + b"\x03"
    + b"f" * 4
    + b"\x04"
    + b"d" * 8
    + b"\x05"
    + text(b"s")
    + b"\x00"
)


def test_values_and_aux_data_of_modules_are_passed_over() -> None:
    body = (
        b"\xf7" + module_id("ReJSON-RL", 3) + b"\x02\x02" + MODULE_DATUM
        + b"\x07" + text(b"document") + module_id("MBbloom--", 1) + MODULE_DATUM
        + b"\x00" + text(b"k") + text(b"v")
    )  # fmt: skip
    collector = collect(frame(body))
    assert collector.module_aux == [b"ReJSON-RL"]
    assert collector.module_keys == {b"document": b"MBbloom--"}
    assert collector.databases == {0: {b"k": b"v"}}


def test_a_module_value_of_the_first_form_is_refused() -> None:
    with pytest.raises(CorruptError, match="not known"):
        collect(frame(b"\x06" + text(b"k") + b"\x00\x00"))


def expiring_hash(kind: int) -> bytes:
    listpack_ex = b"".join(
        [b"\x81a\x02", b"\x01\x01", b"\xf4" + struct.pack("<q", 9999999999999) + b"\x09",
         b"\x81b\x02", b"\x02\x01", b"\x00\x01"]
    )  # fmt: skip
    packed = struct.pack("<IH", len(listpack_ex) + 7, 6) + listpack_ex + b"\xff"
    long = b"\x81" + (9999999999999).to_bytes(8, "big")
    return {
        22: b"\x02" + long + text(b"a") + text(b"1") + b"\x00" + text(b"b") + text(b"2"),
        23: text(packed),
        24: struct.pack("<q", 9999999999999) + b"\x02\x01" + text(b"a") + text(b"1") + b"\x00" + text(b"b")
        + text(b"2"),
        25: struct.pack("<q", 9999999999999) + text(packed),
        80: b"\x02" + text(b"a") + text(b"1") + struct.pack("<q", 9999999999999) + text(b"b") + text(b"2")
        + struct.pack("<q", -1),
    }[kind]  # fmt: skip


@pytest.mark.parametrize("kind", [22, 23, 24, 25, 80])
def test_every_form_of_a_hash_with_expiring_fields_is_read(kind: int) -> None:
    """Type 22 means one thing behind REDIS and another behind VALKEY."""
    body = bytes([22 if kind == 80 else kind]) + text(b"h") + expiring_hash(kind)
    collector = collect(frame(body, b"VALKEY080" if kind == 80 else b"REDIS0012"))
    value: Any = collector.databases[0][b"h"]
    assert value.items() == [b"a", b"1", b"b", b"2"]
    assert collector.field_expires == {(0, b"h"): {b"a": 9999999999999}}


@pytest.mark.parametrize(
    "version", [b"REDIS0000", b"REDIS0013", b"REDIS00x1", b"VALKEY079", b"VALKEY011", b"SIDER0001"]
)
def test_another_magic_or_version_is_refused(version: bytes) -> None:
    with pytest.raises(CorruptError):
        collect(frame(b"", version))


def test_a_zero_check_sum_means_that_none_was_kept() -> None:
    data = b"REDIS0010\x00\x01k\x01v\xff"
    assert collect(data + b"\x00" * 8).databases == {0: {b"k": b"v"}}
    with pytest.raises(CorruptError, match="check sum"):
        collect(data + b"\x01" * 8)


def test_what_follows_the_check_sum_is_left_to_the_caller() -> None:
    collector = Collector()
    data = frame(b"\x00\x01k\x01v")
    source = Input(data + b"*1\r\n")
    Reader(source, collector, Limits()).read_all()
    assert source.offset() == len(data)
    assert collector.ended
