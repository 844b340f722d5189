"""Append only files that pass between Gossamer and the real servers."""

import random
import shutil
import subprocess
from pathlib import Path

import pytest

from gossamer.persistence.manifest import Manifest
from persistence.aof_content import DIRECTORY, INCREMENT, Loader, digest, record, scan
from support.servers import PEERS, ServerProcess
from support.wire import WireClient

pytestmark = pytest.mark.peers


@pytest.fixture(params=PEERS.values())
def peer(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is absent")
    return kind


def write_much(client: WireClient, chance: random.Random, commands: int) -> None:
    """All types in several databases, units among them, commands that are written in another form."""
    requests: list[tuple[str, ...]] = []
    for number in range(commands):
        key = str(chance.randrange(20))
        requests += chance.choice(
            [
                [("SELECT", str(chance.randrange(4)))],
                [("SET", "s" + key, "x" * chance.randrange(300), "EX", "10000")],
                [("INCRBYFLOAT", "f" + key, "1.25"), ("GETEX", "s" + key, "PERSIST")],
                [("RPUSH", "l" + key, *map(str, range(chance.randrange(1, 200)))), ("LPOP", "l" + key, "3")],
                [("HSET", "h" + key, "a", key, str(number), "v"), ("HINCRBYFLOAT", "h" + key, "n", "0.5")],
                [("SADD", "x" + key, key, str(number), "v"), ("SPOP", "x" + key)],
                [("ZADD", "z" + key, str(number), "m" + key, "-5", "n"), ("ZPOPMIN", "z" + key)],
                [("MULTI",), ("SET", "a" + key, "1"), ("SELECT", "2"), ("APPEND", "a" + key, "2"), ("EXEC",)],
                [
                    ("EXPIRE", "l" + key, "5000"),
                    ("RENAME", "s" + key, "r" + key),
                    ("COPY", "l" + key, "c", "DB", "3"),
                ],
                [("SWAPDB", "1", "3"), ("MOVE", "h" + key, "0"), ("RPUSH", "b", key), ("BLPOP", "b", "0")],
            ]
        )
    client.pipeline(requests)


def load_from(directory: Path) -> Loader:
    loader = Loader()
    for path in (directory / DIRECTORY).iterdir():
        loader.disk.files[f"{DIRECTORY}/{path.name}"] = path.read_bytes()
    loader.load()
    return loader


@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("timestamps", ["yes", "no"])
def test_what_a_real_server_wrote_is_loaded(
    peer: str, preamble: str, timestamps: str, tmp_path: Path
) -> None:
    chance = random.Random(7)
    arguments = ["--appendonly", "yes", "--appendfsync", "always", "--enable-debug-command", "yes"]
    arguments += ["--aof-use-rdb-preamble", preamble, "--aof-timestamp-enabled", timestamps]
    with ServerProcess(peer, arguments, directory=tmp_path) as server, server.client() as client:
        write_much(client, chance, 300)
        client.call("BGREWRITEAOF")
        write_much(client, chance, 300)
        theirs = client.call("DEBUG", "DIGEST").value
        server.crash()
    loader = load_from(tmp_path)
    assert digest(loader.engine) == theirs
    assert loader.engine.keyspace.size() > 100
    assert not [line for line in loader.log.lines if line.startswith("!")]


@pytest.mark.parametrize("checksums", [False, True])
def test_what_is_written_here_loads_there_and_back(peer: str, checksums: bool, tmp_path: Path) -> None:
    recording = record(8192, 150, checksums)
    manifest = Manifest()
    manifest.add_increment("appendonly.aof")
    loader = Loader()
    loader.load_increment(recording.data())
    (tmp_path / DIRECTORY).mkdir()
    (tmp_path / DIRECTORY / "appendonly.aof.manifest").write_bytes(manifest.render())
    (tmp_path / INCREMENT).write_bytes(recording.data())
    arguments = ["--appendonly", "yes", "--enable-debug-command", "yes"]
    with ServerProcess(peer, arguments, directory=tmp_path) as server, server.client() as client:
        assert client.call("DEBUG", "DIGEST").value == digest(loader.engine)
        write_much(client, random.Random(8), 100)
        theirs = client.call("DEBUG", "DIGEST").value
    data = (tmp_path / INCREMENT).read_bytes()
    assert data.startswith(recording.data()) and len(data) > 10_000
    assert digest(load_from(tmp_path).engine) == theirs
    # Another batch from here covers what they wrote.
    sums = scan(data).complete_sums()
    assert sums.pending_bytes() == len(data) - (len(recording.data()) if checksums else 0)
    assert (
        scan(data + sums.line()).checksum_lines
        == (recording.data().count(b"#CRC64:") if checksums else 0) + 1
    )


@pytest.mark.parametrize("checker", ["redis-check-aof", "valkey-check-aof"])
def test_the_real_checkers_approve(checker: str, tmp_path: Path) -> None:
    if shutil.which(checker) is None:
        pytest.skip(f"{checker} is absent")
    manifest = Manifest()
    manifest.add_increment("appendonly.aof")
    (tmp_path / "appendonly.aof.manifest").write_bytes(manifest.render())
    (tmp_path / "appendonly.aof.1.incr.aof").write_bytes(record(8192, 150, checksums=True).data())
    result = subprocess.run(
        [checker, str(tmp_path / "appendonly.aof.manifest")], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
    assert "All AOF files and manifest are valid" in result.stdout
