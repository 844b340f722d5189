"""Loading snapshots into a keyspace, and saving what was loaded."""

import pytest

from gossamer.base.errors import CorruptError
from gossamer.engine.config import Config
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.state import ACCESS_LFU
from gossamer.persistence.loading import SnapshotLoading, load_snapshot
from gossamer.persistence.snapshot import SnapshotContent
from gossamer.rdb.writer import Writer
from persistence.fakes import FakeDisk, FakeInputFile, new_keyspace
from rdb.content import DUMPS, collect, read_data


def loaded(data: bytes, keyspace: Keyspace) -> SnapshotLoading:
    disk = FakeDisk()
    disk.files["dump.rdb"] = data
    loading = load_snapshot(disk, "dump.rdb", keyspace)
    assert loading is not None
    return loading


def saved(keyspace: Keyspace, version: bytes = b"10") -> bytes:
    config = Config(70)
    config.set([(b"rdb-version", version)])
    pieces: list[bytes] = []
    SnapshotContent(keyspace, config).write(pieces.append, 0, False)
    return b"".join(pieces)


@pytest.mark.parametrize("version", [b"10", b"11", b"12"])
@pytest.mark.parametrize("name", DUMPS)
def test_what_a_keyspace_loaded_it_saves(name: str, version: bytes) -> None:
    data = read_data(f"{name}.rdb")
    keyspace = new_keyspace()
    loading = loaded(data, keyspace)
    has_expiring_fields = name in ("redis-8.0", "valkey-9.1")
    assert loading.report().keys_loaded == keyspace.size() == 330 + 2 * has_expiring_fields
    assert loading.loaded_bytes() == len(data)
    assert len(loading.target.functions) == (0 if name == "redis-6.2" else 1)
    again = collect(saved(keyspace, version))
    assert again.content() == collect(data).content()
    assert again.version == (12 if has_expiring_fields else int(version)), "no version loses a time"


def test_no_file_is_no_error() -> None:
    assert load_snapshot(FakeDisk(), "dump.rdb", new_keyspace()) is None


def test_a_file_is_loaded_in_steps() -> None:
    data = read_data("redis-7.0.rdb")
    keyspace = new_keyspace()
    loading = SnapshotLoading(FakeInputFile(data), keyspace)
    steps = 1
    while not loading.step(20_000):
        steps += 1
    assert 10 < steps < 40
    assert keyspace.size() == 330


def small(*keys: tuple[int, bytes, int, int, int]) -> bytes:
    pieces: list[bytes] = []
    writer = Writer(pieces.append)
    writer.begin()
    for index, key, expire, idle, frequency in keys:
        writer.database(index, 1, 0)
        writer.key(key, b"v", expire, idle, frequency)
    writer.end()
    return b"".join(pieces)


def test_expired_keys_are_dropped_unless_the_primary_decides() -> None:
    data = small((0, b"due", 1000, -1, -1), (0, b"later", 1 << 50, -1, -1), (0, b"never", -1, -1, -1))
    keyspace = new_keyspace()
    report = loaded(data, keyspace).report()
    assert (report.keys_loaded, report.keys_expired) == (2, 1)
    assert keyspace.databases[0].expire_time(b"later") == 1 << 50
    keyspace = new_keyspace()
    loading = SnapshotLoading(FakeInputFile(data), keyspace, drop_expired=False)
    assert loading.step()
    assert keyspace.databases[0].size() == 3


def test_idle_time_and_frequency_reach_the_access_field() -> None:
    data = small((0, b"idle", -1, 60, -1), (0, b"used", -1, -1, 200))
    keyspace = new_keyspace()
    loaded(data, keyspace)
    now_s = keyspace.state.now_ms // 1000
    assert keyspace.databases[0].access_field(b"idle") == (now_s - 60) & 0xFFFFFF
    keyspace = new_keyspace()
    keyspace.state.access_mode = ACCESS_LFU
    keyspace.state.set_time(keyspace.state.now_ms)
    loaded(data, keyspace)
    assert keyspace.databases[0].access_field(b"used") & 0xFF == 200


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(CorruptError, match="twice"):
        loaded(small((0, b"k", -1, -1, -1), (0, b"k", -1, -1, -1)), new_keyspace())


def test_a_database_that_is_not_configured_is_refused() -> None:
    with pytest.raises(CorruptError, match="database 16"):
        loaded(small((16, b"k", -1, -1, -1)), new_keyspace())


def test_bytes_behind_the_end_are_refused() -> None:
    with pytest.raises(CorruptError, match="behind the end"):
        loaded(small() + b"x", new_keyspace())


def test_a_wrong_check_sum_is_refused() -> None:
    data = small((0, b"k", -1, -1, -1))
    with pytest.raises(CorruptError, match="check sum"):
        loaded(data[:-1] + bytes([data[-1] ^ 1]), new_keyspace())
