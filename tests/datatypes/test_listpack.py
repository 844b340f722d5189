"""Listpacks: round trips, edits against a plain list, damage, and byte equality with a real server."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.errors import CorruptError
from gossamer.base.numbers import parse_int64
from gossamer.datatypes import listpack

INTEGERS = [
    sign * (2**bits + delta)
    for bits in (0, 6, 7, 11, 12, 15, 23, 31, 62)
    for delta in (-1, 0, 1)
    for sign in (1, -1)
]
BOUNDARY_INTEGERS = sorted({*INTEGERS, 0, -(2**63), 2**63 - 1, -(2**63) + 1})
LOOK_ALIKES = [b"", b"-", b"-0", b"00", b"01", b"+1", b" 1", b"1 ", b"1_0", b"0x1", b"1.0", b"-01", b"1e3"]
TOO_WIDE = [
    b"9223372036854775808",
    b"-9223372036854775809",
    b"1" * 20,
    b"-" + b"1" * 20,
    b"9" * 19,
    b"9" * 40,
]
BOUNDARY_SIZES = [1, 62, 63, 64, 65, 125, 126, 127, 128, 4095, 4096, 16377, 16378, 16379, 16383, 16384, 70000]

elements = st.one_of(
    st.binary(max_size=80),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: b"%d" % value),
    st.sampled_from(LOOK_ALIKES + TOO_WIDE + [b"%d" % value for value in BOUNDARY_INTEGERS]),
    st.sampled_from(BOUNDARY_SIZES).map(lambda size: b"x" * size),
)
element_lists = st.lists(elements, max_size=12)


@given(element_lists)
def test_entries_returns_what_encode_was_given(items: list[bytes]) -> None:
    lp = listpack.encode(items)
    listpack.validate(lp)
    assert listpack.entries(lp) == items
    assert listpack.count(lp) == len(items)
    assert len(lp) == 7 + sum(listpack.encoded_size(item) for item in items)


@given(element_lists)
def test_walking_backwards_meets_the_same_positions(items: list[bytes]) -> None:
    lp = listpack.encode(items)
    forwards, backwards = [], []
    pos = listpack.first(lp)
    while pos >= 0:
        forwards.append(pos)
        pos = listpack.next_position(lp, pos)
    pos = listpack.last(lp)
    while pos >= 0:
        backwards.append(pos)
        pos = listpack.previous_position(lp, pos)
    assert backwards[::-1] == forwards
    for index, expected in enumerate(forwards):
        assert listpack.seek(lp, index) == expected
        assert listpack.seek(lp, index - len(items)) == expected
    assert listpack.seek(lp, len(items)) == -1
    assert listpack.seek(lp, -len(items) - 1) == -1


@given(element_lists, elements, st.data())
def test_every_edit_gives_the_encoding_of_the_edited_list(
    items: list[bytes], element: bytes, data: st.DataObject
) -> None:
    lp = listpack.encode(items)
    assert listpack.append(lp, element) == listpack.encode([*items, element])
    assert listpack.prepend(lp, element) == listpack.encode([element, *items])
    assert listpack.append_many(lp, items) == listpack.encode(items + items)
    index = data.draw(st.integers(0, len(items)))
    pos = listpack.seek(lp, index)
    inserted = listpack.insert_at(lp, pos, [element, b"7"])
    assert inserted == listpack.encode([*items[:index], element, b"7", *items[index:]])
    if pos >= 0:
        replaced = listpack.replace_at(lp, pos, element)
        assert replaced == listpack.encode([*items[:index], element, *items[index + 1 :]])
        removed = data.draw(st.integers(0, len(items) + 1))
        assert listpack.delete_at(lp, pos, removed) == listpack.encode(
            items[:index] + items[index + removed :]
        )


@given(element_lists, elements, st.integers(0, 2))
def test_find_meets_the_first_equal_element_that_is_not_skipped(
    items: list[bytes], element: bytes, skip: int
) -> None:
    lp = listpack.encode(items)
    for wanted in (element, *items[-1:]):
        index = next((i for i in range(0, len(items), skip + 1) if items[i] == wanted), None)
        expected = -1 if index is None else listpack.seek(lp, index)
        assert listpack.find(lp, listpack.first(lp), wanted, skip) == expected
    for index, item in enumerate(items):
        assert listpack.equals_at(lp, listpack.seek(lp, index), item)
        assert listpack.equals_at(lp, listpack.seek(lp, index), element) == (item == element)


@pytest.mark.parametrize("text", LOOK_ALIKES + TOO_WIDE)
def test_what_only_resembles_an_integer_is_kept_as_a_string(text: bytes) -> None:
    assert parse_int64(text) == (False, 0)
    assert not listpack.is_integer_at(listpack.encode([text]), 6)


@pytest.mark.parametrize("value", BOUNDARY_INTEGERS)
def test_an_integer_takes_its_shortest_encoding(value: int) -> None:
    text = b"%d" % value
    assert parse_int64(text) == (True, value)
    lp = listpack.encode([text])
    assert listpack.is_integer_at(lp, 6)
    assert listpack.integer_at(lp, 6) == value
    limits = [(0, 127, 2), (-4096, 4095, 3), (-(2**15), 2**15 - 1, 4), (-(2**23), 2**23 - 1, 5)]
    limits += [(-(2**31), 2**31 - 1, 6), (-(2**63), 2**63 - 1, 10)]
    assert listpack.encoded_size(text) == next(size for low, high, size in limits if low <= value <= high)


def test_the_count_is_unknown_from_65535_elements_on() -> None:
    lp = listpack.encode([b"1"] * 65534)
    assert listpack.header_count(lp) == 65534
    lp = listpack.append_many(lp, [b"a", b"b"])
    assert listpack.header_count(lp) == 65535
    assert listpack.count(lp) == 65536
    assert listpack.element_at(lp, listpack.seek(lp, -1)) == b"b"
    assert listpack.element_at(lp, listpack.seek(lp, 65534)) == b"a"
    assert listpack.seek(lp, 65536) == -1
    listpack.validate(lp)
    shorter = listpack.delete_at(lp, listpack.seek(lp, 10), 60000)
    assert listpack.count(shorter) == 5536
    listpack.validate(shorter)


@given(element_lists, st.data())
def test_damage_is_refused_or_leaves_a_sound_listpack(items: list[bytes], data: st.DataObject) -> None:
    lp = listpack.encode([item[:200] for item in items])
    damaged = bytearray(lp)
    index = data.draw(st.integers(0, len(lp) - 1))
    damaged[index] ^= 1 << data.draw(st.integers(0, 7))
    try:
        listpack.validate(bytes(damaged), 1000)
    except CorruptError as error:
        assert 1000 <= error.offset < 1000 + len(lp)
    else:
        walked = listpack.entries(bytes(damaged))
        assert len(walked) == listpack.count(bytes(damaged))
    for size in range(max(0, len(lp) - 40), len(lp)):
        with pytest.raises(CorruptError):
            listpack.validate(lp[:size])


@given(st.binary(max_size=60))
def test_no_bytes_make_validate_read_outside(body: bytes) -> None:
    lp = (len(body) + 7).to_bytes(4, "little") + b"\xff\xff" + body + b"\xff"
    try:
        listpack.validate(lp)
    except CorruptError:
        return
    assert listpack.append_many(listpack.EMPTY, listpack.entries(lp)) is not None


@pytest.fixture(scope="module")
def redis_socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    directory = tmp_path_factory.mktemp("redis")
    socket = directory / "s"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(directory)]
    command += ["--hash-max-listpack-value", "1000000", "--set-max-intset-entries", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        yield socket
    finally:
        process.kill()
        process.wait()


def dumped_string(payload: bytes) -> bytes:
    """The one RDB string (stored without compression) behind the type byte of a DUMP payload."""
    first = payload[1]
    if first < 0x40:
        size, start = first, 2
    elif first < 0x80:
        size, start = (first & 0x3F) << 8 | payload[2], 3
    else:
        assert first == 0x80
        size, start = int.from_bytes(payload[2:6], "big"), 6
    assert len(payload) == start + size + 10
    return payload[start : start + size]


@pytest.mark.peers
def test_the_bytes_are_those_of_a_real_server(redis_socket: Path) -> None:
    redis = pytest.importorskip("redis")
    client = redis.Redis(unix_socket_path=str(redis_socket))
    client.config_set("rdbcompression", "no")
    items = LOOK_ALIKES + TOO_WIDE + [b"%d" % value for value in BOUNDARY_INTEGERS]
    items += [b"x" * size for size in BOUNDARY_SIZES]
    for item in items:
        client.delete("h")
        client.hset("h", b"field", item)
        assert dumped_string(client.dump("h")) == listpack.encode([b"field", item]), item[:30]
    client.delete("h")
    client.hset("h", mapping={item: b"%d" % index for index, item in enumerate(items)})
    pairs = [part for index, item in enumerate(items) for part in (item, b"%d" % index)]
    assert dumped_string(client.dump("h")) == listpack.encode(pairs)
