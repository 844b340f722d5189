"""Whole servers and their files: what one saves another loads, and a crash loses nothing that was saved."""

import os
import random
import signal
from pathlib import Path

import pytest

from support.servers import ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers

KINDS = ("hash", "list", "set", "integers", "zset")
COMPATS = {"redis-server": "redis:7.0", "valkey-server": "valkey:8.0"}


def start(kind: str, directory: Path, compat: str, *more: str) -> ServerProcess:
    arguments = ["--enable-debug-command", "yes", *more]
    if kind == "gossamer":
        arguments += ["--compat", compat]
    try:
        return ServerProcess(kind, arguments, directory=directory)
    except ServerAbsent as absent:
        pytest.skip(str(absent))


def fill(client: WireClient, seed: int) -> None:
    """Keys of every type and encoding, some with an expiry, in two databases."""
    rng = random.Random(seed)
    word = [bytes(rng.choices(range(256), k=rng.choice((1, 8, 30, 90)))) for _ in range(300)]
    commands: list[tuple[bytes | str, ...]] = []
    for n in range(60):
        commands.append(
            ("SET", f"string:{n}", rng.choice([word[n], b"%d" % rng.randrange(-(10**12), 10**12)]))
        )
    commands.append(("SET", "long", b"abc" * 30_000))
    commands += [("APPEND", "long", "x"), ("SETRANGE", "sparse", "100000", "1")]
    for name, size in (("small", 10), ("large", 300)):
        for n in range(size):
            element = word[n] if name == "large" else word[n][:20]
            commands.append(("HSET", f"hash:{name}", element, element))
            commands.append(("RPUSH", f"list:{name}", element * 20))
            commands.append(("SADD", f"set:{name}", element))
            commands.append(("SADD", f"integers:{name}", str(n * n * n - 7000)))
            commands.append(
                ("ZADD", f"zset:{name}", rng.choice(("1", "-2.5", "inf", "1e30", "0.1", str(n))), element)
            )
    commands += [("EXPIRE", "string:1", "100000"), ("EXPIRE", "hash:large", "100000")]
    commands += [("SELECT", "9"), ("SET", "elsewhere", "1"), ("SELECT", "0")]
    for command in commands:
        assert not client.call(*command).raw.startswith(b"-"), command


def digest(client: WireClient) -> bytes:
    return client.call("DEBUG", "DIGEST").raw


def encodings(client: WireClient) -> list[bytes]:
    names = [f"{kind}:{size}" for kind in KINDS for size in ("small", "large")] + [
        "string:1",
        "string:2",
        "string:3",
    ]
    return [client.call("OBJECT", "ENCODING", name).raw.split(b"\r\n")[1] for name in names]


@pytest.mark.parametrize("peer", COMPATS)
@pytest.mark.parametrize("ours_first", [True, False])
def test_one_server_loads_what_the_other_saved(peer: str, ours_first: bool, tmp_path: Path) -> None:
    compat = COMPATS[peer]
    kinds = ["gossamer", peer] if ours_first else [peer, "gossamer"]
    extra = ["--rdb-version", "10" if peer == "redis-server" else "11"]
    arguments = {"gossamer": extra, peer: []}
    with start(kinds[0], tmp_path, compat, *arguments[kinds[0]]) as server, server.client() as client:
        fill(client, 7)
        before = digest(client)
        assert client.call("SAVE").raw == b"+OK\r\n"
        before_encodings = encodings(client)
        assert len(set(before_encodings)) >= 7
        ttl = int(client.call("PEXPIRETIME", "hash:large").raw[1:])
    with start(kinds[1], tmp_path, compat, *arguments[kinds[1]]) as server, server.client() as client:
        if peer == "redis-server":
            assert digest(client) == before
        assert int(client.call("PEXPIRETIME", "hash:large").raw[1:]) == ttl
        assert client.call("DBSIZE").raw == b":72\r\n"
        assert encodings(client) == before_encodings


def test_a_background_save_holds_the_moment_of_its_start(tmp_path: Path) -> None:
    with start("gossamer", tmp_path, "redis:7.0") as server, server.client() as client:
        fill(client, 8)
        before = digest(client)
        assert client.call("BGSAVE").raw == b"+Background saving started\r\n"
        client.call("FLUSHDB")  # FLUSHALL would end the child
        wait_until(
            lambda: b"rdb_bgsave_in_progress:0" in client.call("INFO", "persistence").raw, what="the end"
        )
        assert b"rdb_last_bgsave_status:ok" in client.call("INFO", "persistence").raw
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
    assert [path.name for path in tmp_path.glob("*.rdb")] == ["dump.rdb"]
    with start("gossamer", tmp_path, "redis:7.0") as server, server.client() as client:
        assert digest(client) == before


def test_flushall_gives_up_the_snapshot_under_way_and_saves_the_empty_data_set(tmp_path: Path) -> None:
    with start("gossamer", tmp_path, "redis:7.0", "--save", "3600 1") as server, server.client() as client:
        fill(client, 8)
        assert client.call("BGSAVE").raw == b"+Background saving started\r\n"
        assert client.call("FLUSHALL").raw == b"+OK\r\n"
        assert b"rdb_bgsave_in_progress:0" in client.call("INFO", "persistence").raw
        assert server.process is not None
        os.kill(server.process.pid, signal.SIGKILL)
    assert [path.name for path in tmp_path.glob("*.rdb")] == ["dump.rdb"]
    with start("gossamer", tmp_path, "redis:7.0") as server, server.client() as client:
        assert client.call("DBSIZE").raw == b":0\r\n"


def test_a_damaged_file_stops_the_start_and_stays(tmp_path: Path) -> None:
    with start("gossamer", tmp_path, "redis:7.0") as server, server.client() as client:
        fill(client, 9)
        client.call("SAVE")
    file = tmp_path / "dump.rdb"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 4
    file.write_bytes(data)
    with pytest.raises(RuntimeError, match="offset"):
        start("gossamer", tmp_path, "redis:7.0").stop()
    assert file.read_bytes() == data
