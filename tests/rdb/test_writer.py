"""Files of ours: read back by ourselves, and loaded by real servers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from gossamer.base.limits import Limits
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.streams import Stream
from gossamer.rdb.format import (
    TYPE_HASH,
    TYPE_LIST,
    TYPE_SET,
    TYPE_SET_LISTPACK,
    TYPE_STREAM_LISTPACKS,
    VERSION_WITH_LISTPACKS,
)
from gossamer.rdb.streams import has_history
from gossamer.rdb.writer import Writer
from rdb.content import DUMPS, Collector, collect, read_data, write_all
from support.servers import ServerProcess

VERSIONS = [9, 10, 11, 12, 80]


def contents(collector: Collector, version: int) -> object:
    """The content, without the expire times of fields where the version does not hold them."""
    databases = collector.content()
    for keys in databases.values():
        for entry in keys.values():
            if version < 12:
                entry.pop("field_expire_at_ms", None)
    return databases


def writable(collector: Collector, version: int) -> Collector:
    """What a file of the version can hold: a snapshot takes a newer version for what it cannot."""
    if version < VERSION_WITH_LISTPACKS:
        collector.functions.clear()
        for keys in collector.databases.values():
            for key in [
                key for key, value in keys.items() if isinstance(value, Stream) and has_history(value)
            ]:
                del keys[key]
    if version < 12:
        collector.field_expires.clear()
        for keys in collector.databases.values():
            for key, value in keys.items():
                if isinstance(value, Hash) and value.expiring() > 0:
                    keys[key] = Hash.from_pairs(value.items(), Limits())
    return collector


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", DUMPS)
def test_what_was_read_is_read_again_from_our_file(name: str, version: int) -> None:
    original = collect(read_data(f"{name}.rdb"))
    again = collect(write_all(writable(original, version), version))
    assert again.version == version
    assert again.is_valkey == (version == 80)
    expected = writable(collect(read_data(f"{name}.rdb")), version)
    assert contents(again, version) == contents(expected, version)
    assert version < 12 or again.field_expires == original.field_expires
    assert again.functions == original.functions
    assert again.aux == original.aux


def test_a_file_of_the_servers_own_version_is_as_long_as_the_servers() -> None:
    """Same forms, same compression: only the order of members in tables is ours."""
    limits = Limits()
    limits.compat = 70
    data = read_data("redis-7.0.rdb")
    ours = write_all(collect(data, limits))
    assert abs(len(ours) - len(data)) < 2000


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_compression_and_check_sum_are_optional(compress: bool, checksum: bool) -> None:
    original = collect(read_data("redis-7.0.rdb"))
    data = write_all(original, 10, compress, checksum)
    assert collect(data).content() == original.content()
    assert (data[-8:] == b"\x00" * 8) is not checksum


def test_idle_time_and_frequency_are_kept() -> None:
    pieces: list[bytes] = []
    writer = Writer(pieces.append)
    writer.begin()
    writer.database(0, 2, 0)
    writer.key(b"idle", b"1", -1, 100000, -1)
    writer.key(b"used", b"2", 77, -1, 255)
    writer.end()
    collector = collect(b"".join(pieces))
    assert collector.idle == {b"idle": 100000}
    assert collector.frequency == {b"used": 255}
    assert collector.expires == {(0, b"used"): 77}


@pytest.mark.parametrize(("version", "value_type"), [(10, TYPE_SET), (11, TYPE_SET_LISTPACK)])
def test_a_small_set_of_words_is_plain_where_the_version_knows_no_listpack(
    version: int, value_type: int
) -> None:
    collector = Collector()
    collector.databases = {0: {b"s": Set.from_members([b"a", b"b"], Limits())}}
    again = collect(write_all(collector, version))
    assert again.types == {b"s": value_type}
    assert sorted(again.databases[0][b"s"].members()) == [b"a", b"b"]  # type: ignore[union-attr]


def test_version_9_knows_neither_listpacks_nor_what_a_stream_has_lost() -> None:
    limits = Limits()
    stream = Stream()
    collector = Collector()
    collector.databases = {
        0: {
            b"h": Hash.from_pairs([b"f", b"v"], limits),
            b"l": List.from_elements([b"a", b"b"], limits),
            b"x": stream,
        }
    }
    again = collect(write_all(collector, 9))
    assert again.types == {b"h": TYPE_HASH, b"l": TYPE_LIST, b"x": TYPE_STREAM_LISTPACKS}
    assert not has_history(stream)
    stream.entries_added = 1
    assert has_history(stream)


def server_with(kind: str, directory: Path, data: bytes) -> ServerProcess:
    (directory / "dump.rdb").write_bytes(data)
    return ServerProcess(kind, ["--enable-debug-command", "yes"], directory=directory)


def digest_of(kind: str, directory: Path, data: bytes) -> tuple[bytes, Collector]:
    """DEBUG DIGEST of a server that loaded the file, and what the server then saves."""
    directory.mkdir()
    with server_with(kind, directory, data) as server, server.client() as client:
        digest = client.call("DEBUG", "DIGEST").raw
        assert client.call("SAVE").raw == b"+OK\r\n"
        return digest, collect((directory / "dump.rdb").read_bytes())


@pytest.mark.peers
@pytest.mark.parametrize(
    ("kind", "name", "version"),
    [
        ("redis-server", "redis-6.2", 9),
        ("redis-server", "redis-7.0", 9),
        ("redis-server", "redis-6.2", 10),
        ("redis-server", "redis-7.0", 10),
        ("valkey-server", "redis-7.0", 10),
        ("valkey-server", "valkey-8.0", 11),
    ],
)
def test_a_server_digests_our_file_as_the_original(
    kind: str, name: str, version: int, tmp_path: Path
) -> None:
    if shutil.which(kind) is None:
        pytest.skip(kind)
    data = read_data(f"{name}.rdb")
    limits = Limits()
    limits.compat = 70 if kind == "redis-server" else 80
    original, _ = digest_of(kind, tmp_path / "original", data)
    ours, saved = digest_of(kind, tmp_path / "ours", write_all(collect(data, limits), version))
    assert ours == original
    assert len(saved.content()["0"]) > 300


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["redis-server", "valkey-server"])
@pytest.mark.parametrize("name", DUMPS)
def test_a_server_takes_the_content_of_any_other_from_our_file(kind: str, name: str, tmp_path: Path) -> None:
    if shutil.which(kind) is None:
        pytest.skip(kind)
    original = writable(collect(read_data(f"{name}.rdb")), 10)
    _, saved = digest_of(kind, tmp_path / "ours", write_all(original))
    assert saved.content() == original.content()
    assert saved.functions == original.functions


@pytest.mark.peers
@pytest.mark.parametrize(("checker", "version"), [("redis-check-rdb", 10), ("valkey-check-rdb", 11)])
def test_the_servers_checker_approves_our_file(checker: str, version: int, tmp_path: Path) -> None:
    if shutil.which(checker) is None:
        pytest.skip(checker)
    path = tmp_path / "ours.rdb"
    path.write_bytes(write_all(collect(read_data("redis-7.0.rdb")), version))
    done = subprocess.run([checker, os.fspath(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "Checksum OK" in done.stdout
