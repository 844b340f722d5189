"""Damaged files and payloads: refused with CorruptError, whatever is damaged, at a bounded cost."""

import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossamer.base.errors import CorruptError
from gossamer.base.limits import Limits
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.zsets import ZSet
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.payload import restore
from gossamer.rdb.sanitize import ORDERED, UNORDERED, DuplicateFilter, zset_order
from rdb.content import LEGACY, Collector, collect, read_data, write_all


def small_file(version: int = 10) -> bytes:
    """A file of some 3 KB that has every type, large and packed."""
    limits = Limits()
    limits.hash_max_listpack_entries = limits.zset_max_listpack_entries = 4
    limits.set_max_listpack_entries = limits.set_max_intset_entries = 4
    words = [b"word-%d" % number for number in range(8)]
    scores = [number / 3 for number in range(8)]
    noise = random.Random(1).randbytes(1200)
    stream = collect(read_data("redis-7.0.rdb")).databases[0][b"stream:0"]
    collector = Collector()
    collector.functions = [b"#!lua name=f\nredis.register_function('f', function() return 1 end)"]
    collector.aux = {b"redis-ver": b"7.0.15", b"redis-bits": b"64", b"used-mem": b"1234567"}
    collector.databases = {
        0: {
            b"string": b"plain", b"int": b"-30000", b"repeated": b"abcdef" * 20, b"noise": noise, b"stream": stream,
            b"list": List.from_elements(words, limits), b"big list": List.from_elements([b"x" * 300] * 6, limits),
            b"hash": Hash.from_pairs(words[:4], limits), b"big hash": Hash.from_pairs(words * 1 + words[::-1], limits),
            b"set": Set.from_members(words[:3], limits), b"big set": Set.from_members(words, limits),
            b"intset": Set.from_members([b"1", b"70000", b"-5"], limits),
        },
        3: {
            b"zset": ZSet.from_entries(words[:3], scores[:3], limits),
            b"big zset": ZSet.from_entries(words, scores, limits),
        },
    }  # fmt: skip
    collector.expires = {(0, b"string"): 1999999999999, (3, b"zset"): 12345}
    collector.idle = {b"int": 1000}
    collector.frequency = {b"set": 9}
    return write_all(collector, version)


def refused(data: bytes) -> bool:
    try:
        collect(data)
    except CorruptError as error:
        assert error.reason
        return True
    return False


def test_every_flipped_bit_is_refused() -> None:
    """Version 11 is the harder one: one bit makes it version 1, which knows no check sum."""
    data = small_file(11)
    assert not refused(data)
    assert 2000 < len(data) < 6000
    survivors = []
    for index in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[index] ^= 1 << bit
            if not refused(bytes(damaged)):
                survivors.append((index, bit))
    assert survivors == []


def test_every_cut_is_refused() -> None:
    data = small_file()
    for length in range(len(data)):
        assert refused(data[:length])


@pytest.mark.parametrize("name", LEGACY)
def test_a_damaged_file_without_a_check_sum_never_raises_anything_else(name: str) -> None:
    """Before version 5 nothing tells that a value's bytes changed; the structure must hold all the same."""
    data = read_data(f"legacy/{name}")
    rng = random.Random(name)
    most = 400 if len(data) < 2000 else 10
    positions = range(len(data)) if len(data) <= most else rng.sample(range(len(data)), most)
    for index in positions:
        for value in {0, 1, 0x7F, 0x80, 0x81, 0xC3, 0xFE, 0xFF, data[index] ^ (1 << rng.randrange(8))}:
            damaged = bytearray(data)
            damaged[index] = value
            refused(bytes(damaged))
        refused(data[:index])


def resealed(body: bytearray) -> bytes:
    return bytes(body[:-8]) + crc64(bytes(body[:-8])).to_bytes(8, "little")


def test_damage_with_a_right_check_sum_never_raises_anything_else() -> None:
    """Someone who forges a file also forges its sum."""
    data = small_file(11)
    rng = random.Random(11)
    for _ in range(4000):
        damaged = bytearray(data)
        for _ in range(rng.randrange(1, 4)):
            index = rng.randrange(9, len(data) - 8)
            damaged[index] = rng.choice(
                [0, 1, 0x80, 0x81, 0xC3, 0xFF, damaged[index] ^ (1 << rng.randrange(8))]
            )
        refused(resealed(damaged))


@given(st.binary(max_size=200), st.integers(0, 25), st.booleans())
@settings(max_examples=2000, deadline=None)
def test_a_payload_of_any_bytes_gives_a_value_or_is_refused(
    body: bytes, value_type: int, valkey: bool
) -> None:
    footer = struct.pack("<H", 80 if valkey else 11) + b"\x00" * 8
    try:
        restored = restore(bytes([value_type]) + body + footer, Limits())
    except CorruptError:
        return
    assert restored is not None


def huge(length: int) -> bytes:
    return b"\x81" + length.to_bytes(8, "big")


HOSTILE = {
    "string": b"\x00\x01k" + huge(1 << 40),
    "key": b"\x00" + huge(1 << 62),
    "list": b"\x01\x01k" + huge(1 << 40) + b"\x01a",
    "set": b"\x02\x01k" + huge(1 << 40) + b"\x01a",
    "zset": b"\x05\x01k" + huge(1 << 40) + b"\x01a",
    "hash": b"\x04\x01k" + huge(1 << 40) + b"\x01a\x01b",
    "quicklist": b"\x12\x01k" + huge(1 << 40) + b"\x02",
    "stream": b"\x15\x01k" + huge(1 << 40),
    "lzf": b"\x00\x01k\xc3\x04" + huge(1 << 40) + b"\x00a\xff\xff",
    "above 63 bits": b"\x00\x01k" + huge((1 << 64) - 1),
    "module": b"\x07\x01k" + huge(77) + b"\x05" + huge(1 << 40),
    "resize": b"\xfb" + huge(1 << 60) + huge(1 << 60),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_declared_length_never_takes_memory(name: str, streamed: bool) -> None:
    data = b"REDIS0010" + HOSTILE[name] + b"\xff" + b"\x00" * 8
    if name == "resize":
        assert not refused(data)
        return
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            collect(data, chunk=16 if streamed else 0)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def text(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def packed(*elements: bytes) -> bytes:
    return text(listpack.encode(list(elements)))


def foreign(*entries: bytes) -> bytes:
    body = b"".join(entries)
    return text(struct.pack("<IH", len(body) + 7, len(entries)) + body + b"\xff")


def intset(*values: int) -> bytes:
    return text(struct.pack("<II", 2, len(values)) + struct.pack(f"<{len(values)}h", *values))


FIVE = b"\x05\x01"
V = b"\x81v\x02"

ILL_FORMED: dict[str, tuple[int, bytes]] = {
    "hash with a field twice": (4, b"\x02" + (text(b"f") + text(b"v")) * 2),
    "hash listpack with a field twice": (16, packed(b"f", b"v", b"f", b"w")),
    "hash listpack with a number twice, once as text": (16, foreign(FIVE, V, b"\x815\x02", V)),
    "hash listpack with a number twice, once wider": (16, foreign(FIVE, V, b"\xf1\x05\x00\x03", V)),
    "hash listpack with a field alone": (16, packed(b"f", b"v", b"g")),
    "set with a member twice": (2, b"\x02" + text(b"m") * 2),
    "set listpack with a member twice": (20, packed(b"m", b"n", b"m")),
    "intset out of order": (11, intset(2, 1)),
    "intset with a member twice": (11, intset(1, 1)),
    "intset that is empty": (11, intset()),
    "zset with a member twice": (5, b"\x02" + (text(b"m") + struct.pack("<d", 1.0)) * 2),
    "zset with no number": (5, b"\x01" + text(b"m") + struct.pack("<d", float("nan"))),
    "zset of old with no number": (3, b"\x01" + text(b"m") + b"\xfd"),
    "zset of old with words for a score": (3, b"\x01" + text(b"m") + text(b"1_0")),
    "zset listpack with a member twice": (17, packed(b"m", b"1", b"m", b"2")),
    "zset listpack with words for a score": (17, packed(b"m", b"score")),
    "zset listpack with a member alone": (17, packed(b"m")),
    "list with a node of an unknown kind": (18, b"\x01\x03" + packed(b"a")),
    "list of nothing": (1, b"\x00"),
    "hash of nothing": (16, packed()),
    "zset of nothing": (5, b"\x00"),
    "value with bytes behind it": (0, text(b"v") + b"x"),
    "ziplist whose last entry is elsewhere": (10, text(struct.pack("<IIH", 14, 11, 1) + b"\x00\x01a\xff")),
    "zipmap of another count": (9, text(b"\x02\x01f\x01\x00v\xff")),
}  # fmt: skip


@pytest.mark.parametrize("name", ILL_FORMED)
def test_an_ill_formed_value_is_refused(name: str) -> None:
    value_type, body = ILL_FORMED[name]
    with pytest.raises(CorruptError):
        restore(bytes([value_type]) + body + b"\x0b\x00" + b"\x00" * 8, Limits())


def test_pairs_out_of_order_are_put_in_order() -> None:
    value = restore(b"\x11" + packed(b"b", b"2", b"a", b"-inf") + b"\x0b\x00" + b"\x00" * 8, Limits())
    assert isinstance(value, ZSet)
    assert (value.rank(b"a"), value.rank(b"b")) == (0, 1)


def test_the_error_tells_where(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"REDIS0003\x00\x01k\x3fshort"
    with pytest.raises(CorruptError) as caught:
        collect(data)
    assert caught.value.offset == 13
    assert "offset 13" in str(caught.value)


def test_many_rounds_of_lzf_are_bounded() -> None:
    """Three bytes give 264 at most, so no more than that is ever made."""
    compressed = b"\x00a" + b"\xe0\xff\x00" * 1000
    decode: Callable[[int], bytes] = lambda size: b"\x00\x01k\xc3" + huge(len(compressed)) + huge(size)  # noqa: E731
    good = b"REDIS0003" + decode(1 + 264 * 1000) + compressed + b"\xff"
    assert collect(good).databases[0][b"k"] == b"a" * (1 + 264 * 1000)
    for size in (264 * 1000, 2 + 264 * 1000, 1 << 50):
        assert refused(b"REDIS0003" + decode(size) + compressed + b"\xff")


ELEMENTS = st.one_of(
    st.binary(max_size=12),
    st.integers(-(1 << 63), (1 << 63) - 1).map(lambda n: b"%d" % n),
    st.sampled_from([b"", b"0"]),
)


@given(st.lists(ELEMENTS, max_size=12), st.sampled_from([1, 2]))
@settings(max_examples=1000, deadline=None)
def test_duplicates_are_found_and_nothing_else(elements: list[bytes], stride: int) -> None:
    """The quick filter must not depend on where in the listpack an element stands."""
    filter_ = DuplicateFilter()
    members = elements[::stride]
    assert filter_.has_duplicates(listpack.encode(elements), stride) == (len(set(members)) < len(members))
    if members:
        twice = elements + [b"x"] * (-len(elements) % stride) + [members[0]]
        assert filter_.has_duplicates(listpack.encode(twice), stride)


@given(st.lists(st.tuples(st.floats(allow_nan=False), st.binary(max_size=4)), max_size=12))
@settings(max_examples=500, deadline=None)
def test_the_order_of_pairs_is_told_as_floats_compare(pairs: list[tuple[float, bytes]]) -> None:
    flat: list[bytes] = []
    ordered = sorted({member: score for score, member in pairs}.items(), key=lambda pair: (pair[1], pair[0]))
    for member, score in ordered:
        flat += [member, b"%.17g" % score]
    assert zset_order(listpack.encode(flat)) == ORDERED
    if len(ordered) > 1 and ordered[0] != ordered[-1]:
        assert zset_order(listpack.encode(flat[2:] + flat[:2])) == UNORDERED


@pytest.mark.parametrize(
    "score", [b"1.5", b"-1.5", b"0.1", b"123456789012.345", b"-0.000000000001", b"1e3", b"-inf"]
)
def test_a_short_decimal_is_read_as_exactly_as_any_other(score: bytes) -> None:
    exact = repr(float(score)).encode()
    for below, above in ((score, exact), (exact, score)):
        assert zset_order(listpack.encode([b"a", below, b"b", above])) == ORDERED
        assert zset_order(listpack.encode([b"b", below, b"a", above])) == UNORDERED


def test_an_element_with_a_node_of_its_own_is_not_empty() -> None:
    """No server gives an empty element a node: Redis and Valkey refuse such a list."""
    plain_nodes = b"\x12\x01\x01%b\x0a\x00"
    for element, is_refused in ((b"\x01x", False), (b"\x00", True)):
        body = plain_nodes % element
        payload = body + struct.pack("<Q", crc64(body))
        if is_refused:
            with pytest.raises(CorruptError):
                restore(payload, Limits())
        else:
            assert isinstance(restore(payload, Limits()), List)
