"""Files pass between Gossamer and the real servers, both ways: whatever one writes the other starts with.

The data set has every type and encoding, several databases, binary keys, expiry. A server of the same make must give
the same DEBUG DIGEST; across makes the content is compared, since the digest of a sorted set differs there.
"""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gossamer.ops.check_aof import Options
from gossamer.ops.check_aof import run as check_aof
from gossamer.ops.check_rdb import run as check_rdb
from support.data_set import change, content, digest, fill
from support.servers import ServerAbsent, ServerProcess, wait_until
from support.wire import WireClient

pytestmark = pytest.mark.peers

PEERS = {"redis-server": "redis:7.0", "valkey-server": "valkey:8.0"}
RDB_VERSIONS = {"redis-server": "10", "valkey-server": "11"}
AOF = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
DIRECTORY = "appendonlydir"


def start(kind: str, directory: Path, peer: str, *more: str) -> ServerProcess:
    """A server in a directory: the peer itself, or Gossamer as that peer."""
    arguments = ["--enable-debug-command", "yes", *more]
    if kind == "gossamer":
        arguments += ["--compat", PEERS[peer], "--rdb-version", RDB_VERSIONS[peer]]
    try:
        return ServerProcess(kind, arguments, directory=directory)
    except ServerAbsent as absent:
        pytest.skip(str(absent))


class Remembered:
    """What a server held."""

    def __init__(self, client: WireClient) -> None:
        self.content = content(client)
        self.digest = digest(client)
        kinds = {kind for kind, _, _ in self.content.values()}
        assert kinds == {b"string", b"list", b"set", b"hash", b"zset", b"stream"}

    def hold_against(self, client: WireClient, peer: str) -> None:
        now = content(client)
        assert {key for key in now if now[key] != self.content.get(key)} == set()
        assert now.keys() == self.content.keys()
        if peer == "redis-server":
            assert digest(client) == self.digest


def approve(tool: str, path: Path, peer: str) -> None:
    """The real tools find nothing wrong: Valkey's, and Redis's where its version can read the file."""
    for make in ("redis", "valkey") if peer == "redis-server" else ("valkey",):
        program = shutil.which(f"{make}-{tool}")
        if program is None:
            pytest.skip(f"{make}-{tool}")
        done = subprocess.run([program, path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program}: {done.stdout[-2000:]}"


@pytest.fixture(params=PEERS)
def peer(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def pair(peer: str, ours_first: bool) -> tuple[str, str]:
    return ("gossamer", peer) if ours_first else (peer, "gossamer")


# -- RDB ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours there", "theirs here"])
def test_a_snapshot_of_one_starts_the_other(peer: str, ours_first: bool, tmp_path: Path) -> None:
    writer, reader = pair(peer, ours_first)
    with start(writer, tmp_path, peer) as server, server.client() as client:
        fill(client)
        assert client.call("SAVE").raw == b"+OK\r\n"
        held = Remembered(client)
    if ours_first:
        approve("check-rdb", tmp_path / "dump.rdb", peer)
    assert check_rdb([str(tmp_path / "dump.rdb")]) == 0
    with start(reader, tmp_path, peer) as server, server.client() as client:
        held.hold_against(client, peer)


def test_a_snapshot_with_check_sums_off_passes_too(peer: str, tmp_path: Path) -> None:
    with start("gossamer", tmp_path, peer, "--rdbchecksum", "no", "--rdbcompression", "no") as server:
        with server.client() as client:
            fill(client)
            assert client.call("SAVE").raw == b"+OK\r\n"
            held = Remembered(client)
    with start(peer, tmp_path, peer) as server, server.client() as client:
        held.hold_against(client, peer)


# -- AOF ----------------------------------------------------------------------------------------------------

FORMS = {
    "increment alone": [],
    "snapshot as base": ["rewrite"],
    "commands as base": ["rewrite", "--aof-use-rdb-preamble", "no"],
    "time stamps": ["rewrite", "--aof-timestamp-enabled", "yes"],
    "fsync always": ["--appendfsync", "always"],
}
OWN_FORMS = {
    "check sums": ["rewrite", "--aof-checksum-enabled", "yes"],
    "check sums and time stamps": [
        "--aof-checksum-enabled",
        "yes",
        "--aof-timestamp-enabled",
        "yes",
        "--aof-use-rdb-preamble",
        "no",
    ],
}


def rewrite(client: WireClient) -> None:
    client.call("BGREWRITEAOF")
    wait_until(
        lambda: (
            b"aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0" in client.call("INFO", "persistence").raw
        ),
        what="the end of the rewrite",
    )
    assert b"aof_last_bgrewrite_status:ok" in client.call("INFO", "persistence").raw


def write_aof(kind: str, directory: Path, peer: str, form: list[str]) -> Remembered:
    """Let a server write an append only file, and end it without a word."""
    options = [word for word in form if word != "rewrite"]
    with start(kind, directory, peer, *AOF, *options) as server, server.client() as client:
        fill(client)
        if "rewrite" in form:
            rewrite(client)
        change(client, 7)
        held = Remembered(client)
        server.terminate()
    return held


def read_aof(kind: str, directory: Path, peer: str, held: Remembered) -> None:
    """Another server starts with it, holds the same, writes on, and starts again with that."""
    with start(kind, directory, peer, *AOF) as server, server.client() as client:
        held.hold_against(client, peer)
        change(client, 8)
        further = Remembered(client)
        server.terminate()
    with start(kind, directory, peer, *AOF) as server, server.client() as client:
        further.hold_against(client, peer)


def manifest(directory: Path) -> Path:
    return directory / DIRECTORY / "appendonly.aof.manifest"


@pytest.mark.parametrize("form", FORMS)
def test_their_append_only_file_starts_here(peer: str, form: str, tmp_path: Path) -> None:
    held = write_aof(peer, tmp_path, peer, FORMS[form])
    assert check_aof(str(tmp_path), Options()) == 0
    read_aof("gossamer", tmp_path, peer, held)
    approve("check-aof", manifest(tmp_path), peer)


@pytest.mark.parametrize("form", [*FORMS, *OWN_FORMS])
def test_our_append_only_file_starts_there(peer: str, form: str, tmp_path: Path) -> None:
    held = write_aof("gossamer", tmp_path, peer, {**FORMS, **OWN_FORMS}[form])
    assert check_aof(str(tmp_path), Options()) == 0
    approve("check-aof", manifest(tmp_path), peer)
    read_aof(peer, tmp_path, peer, held)


def write_increments(kind: str, directory: Path, peer: str) -> Remembered:
    """Rewrites that are interrupted leave several increments. A database full of keys makes them long enough."""
    with (
        start(kind, directory, peer, *AOF, "--rdb-key-save-delay", "100") as server,
        server.client() as client,
    ):
        fill(client)
        client.call("SELECT", 9)
        assert client.call("DEBUG", "POPULATE", 100_000).raw == b"+OK\r\n"
        client.call("SELECT", 0)
        for number in range(3):
            interrupt_rewrite(server, client, number)
        client.call("SELECT", 9)
        client.call("FLUSHDB")
        client.call("SELECT", 0)
        held = Remembered(client)
        server.terminate()
    return held


def interrupt_rewrite(server: ServerProcess, client: WireClient, number: int) -> None:
    client.call("BGREWRITEAOF")
    wait_until(lambda: len(children(server)) == 1, what="a rewrite")
    change(client, number)
    for child in children(server):
        os.kill(child, signal.SIGKILL)
    wait_until(lambda: b"aof_rewrite_in_progress:0" in client.call("INFO", "persistence").raw, what="its end")
    assert b"aof_last_bgrewrite_status:err" in client.call("INFO", "persistence").raw


def children(server: ServerProcess) -> list[int]:
    text = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours there", "theirs here"])
def test_several_increments_pass(peer: str, ours_first: bool, tmp_path: Path) -> None:
    writer, reader = pair(peer, ours_first)
    held = write_increments(writer, tmp_path, peer)
    assert manifest(tmp_path).read_bytes().count(b" type i") == 4
    assert check_aof(str(tmp_path), Options()) == 0
    if ours_first:
        approve("check-aof", manifest(tmp_path), peer)
    read_aof(reader, tmp_path, peer, held)


@pytest.mark.parametrize("with_snapshot", [False, True])
def test_an_old_single_file_starts_here_and_moves_into_the_directory(
    peer: str, with_snapshot: bool, tmp_path: Path
) -> None:
    """As Redis 6 wrote it: one file, commands alone or behind a snapshot."""
    held = write_aof(peer, tmp_path, peer, ["rewrite"] if with_snapshot else [])
    parts = sorted((tmp_path / DIRECTORY).glob("*.base.*")) + sorted(
        (tmp_path / DIRECTORY).glob("*.incr.aof")
    )
    (tmp_path / "appendonly.aof").write_bytes(b"".join(part.read_bytes() for part in parts))
    shutil.rmtree(tmp_path / DIRECTORY)
    assert check_aof(str(tmp_path / "appendonly.aof"), Options()) == 0
    read_aof("gossamer", tmp_path, peer, held)
    assert not (tmp_path / "appendonly.aof").exists()
    read_aof(peer, tmp_path, peer, held_now("gossamer", tmp_path, peer))


def held_now(kind: str, directory: Path, peer: str) -> Remembered:
    with start(kind, directory, peer, *AOF) as server, server.client() as client:
        held = Remembered(client)
        server.terminate()
    return held


# -- the tools ----------------------------------------------------------------------------------------------


def damage_tear(data: bytes) -> bytes:
    return data[:-3]


def damage_middle(data: bytes) -> bytes:
    at = data.index(b"\r\n$", len(data) // 2) + 2
    return data[:at] + b"x" + data[at + 1 :]


@pytest.mark.parametrize("damage", [damage_tear, damage_middle])
def test_fix_cuts_where_the_real_tool_cuts(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    program = shutil.which("redis-check-aof")
    if program is None:
        pytest.skip("redis-check-aof")
    write_aof("redis-server", tmp_path, "redis-server", [])
    (increment,) = (tmp_path / DIRECTORY).glob("*.incr.aof")
    damaged = damage(increment.read_bytes())
    increment.write_bytes(damaged)
    assert subprocess.run([program, increment], capture_output=True, check=False).returncode == 1
    assert check_aof(str(tmp_path), Options()) == 1
    done = subprocess.run([program, "--fix", increment], input=b"y\n", capture_output=True, check=False)
    assert done.returncode == 0
    theirs = increment.read_bytes()
    increment.write_bytes(damaged)
    assert check_aof(str(tmp_path), Options(fix=True, yes=True)) == 0
    assert increment.read_bytes() == theirs
    assert len(theirs) < len(damaged)


def test_a_point_in_time_is_cut_where_the_real_tool_cuts(tmp_path: Path) -> None:
    program = shutil.which("redis-check-aof")
    if program is None:
        pytest.skip("redis-check-aof")
    path = tmp_path / "appendonly.aof"
    command = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$1\r\nv\r\n"
    whole = b"".join(b"#TS:%d\r\n" % now_s + command * (now_s % 3) for now_s in range(1000, 1010))
    for until_s in (1000, 1004, 1009, 2000):
        line = [program, "--truncate-to-timestamp", str(until_s), str(path)]
        path.write_bytes(whole)
        assert subprocess.run(line, capture_output=True, check=False).returncode == 0
        theirs = path.read_bytes()
        path.write_bytes(whole)
        assert check_aof(str(path), Options(until_s=until_s, yes=True, backup=False)) == 0
        assert path.read_bytes() == theirs
    for tool in (
        lambda: subprocess.run([program, "--truncate-to-timestamp", "999", path], check=False).returncode,
        lambda: check_aof(str(path), Options(until_s=999, yes=True)),
    ):
        path.write_bytes(whole)
        assert tool() == 1
        assert path.read_bytes() == whole
