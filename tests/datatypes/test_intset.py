"""Intsets: operations against a plain set, damage, and byte equality with a real server."""

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossamer.base.errors import CorruptError
from gossamer.datatypes import intset

BOUNDARIES = [0, 1, -1, 2**15 - 1, 2**15, -(2**15), -(2**15) - 1, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1]
BOUNDARIES += [2**63 - 1, -(2**63)]

numbers = st.one_of(st.integers(-5, 5), st.sampled_from(BOUNDARIES), st.integers(-(2**63), 2**63 - 1))


@given(st.sets(numbers, max_size=12), numbers)
def test_an_intset_holds_what_a_set_of_integers_would(content: set[int], value: int) -> None:
    data = intset.encode(sorted(content))
    assert intset.values(data) == sorted(content)
    assert intset.count(data) == len(content)
    assert [intset.get(data, index) for index in range(len(content))] == sorted(content)
    assert intset.contains(data, value) == (value in content)
    added = intset.add(data, value)
    assert intset.values(added) == sorted(content | {value})
    assert (added is data) == (value in content)
    removed = intset.remove(data, value)
    assert intset.values(removed) == sorted(content - {value})
    assert (removed is data) == (value not in content)
    for result in (added, removed):
        if intset.count(result):
            intset.validate(result)


def test_removing_the_widest_value_keeps_the_width() -> None:
    data = intset.add(intset.encode([1, 2]), 2**40)
    assert intset.remove(data, 2**40)[0] == 8


@given(st.sets(numbers, min_size=1, max_size=8), st.data())
def test_damage_is_refused_or_leaves_a_sound_intset(content: set[int], data: st.DataObject) -> None:
    sound = intset.encode(sorted(content))
    damaged = bytearray(sound)
    damaged[data.draw(st.integers(0, len(sound) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        intset.validate(bytes(damaged), 500)
    except CorruptError as error:
        assert 500 <= error.offset <= 500 + len(sound)
    else:
        assert sorted(set(intset.values(bytes(damaged)))) == intset.values(bytes(damaged))
    for size in range(len(sound)):
        with pytest.raises(CorruptError):
            intset.validate(sound[:size])


@pytest.mark.peers
def test_the_bytes_are_those_of_a_real_server(tmp_path: Path) -> None:
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed")
    redis = pytest.importorskip("redis")
    socket = tmp_path / "s"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen([*command, "--rdbcompression", "no"], stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 10
        while not socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        client = redis.Redis(unix_socket_path=str(socket))
        ours = intset.EMPTY
        for value in [5, 3, *BOUNDARIES]:
            client.sadd("s", value)
            ours = intset.add(ours, value)
            payload = client.dump("s")
            start = 2 if payload[1] < 0x40 else 3
            assert payload[0] == 11
            assert payload[start:-10] == ours
    finally:
        process.kill()
        process.wait()
