"""What docs/persistence.md tells an operator to do, done with a real server: it works, step by step."""

import shutil
import time
from pathlib import Path

from gossamer.ops.check_aof import Options
from gossamer.ops.check_aof import run as check_aof
from gossamer.ops.check_rdb import run as check_rdb
from support.servers import ServerProcess, wait_until
from support.wire import WireClient

# With `always` a killed server leaves all that it answered; with `everysec` a late sync may hold some of it back.
ON = ["--appendonly", "yes", "--appendfsync", "always"]
OFF = ["--appendonly", "no", "--appendfsync", "always"]


def start(directory: Path, *arguments: str) -> ServerProcess:
    return ServerProcess("gossamer", arguments, directory=directory)


def facts(client: WireClient) -> bytes:
    return client.call("INFO", "persistence").raw


def turn_on(client: WireClient) -> None:
    assert client.call("CONFIG", "SET", "appendonly", "yes").raw == b"+OK\r\n"
    wait_until(
        lambda: b"aof_rewrite_in_progress:0\r\naof_rewrite_scheduled:0" in facts(client),
        what="the first rewrite",
    )
    assert b"aof_last_bgrewrite_status:ok" in facts(client)


def save_and_end(server: ServerProcess, client: WireClient) -> None:
    assert client.call("SAVE").raw == b"+OK\r\n"
    server.terminate()


def keys(client: WireClient) -> int:
    return int(client.call("DBSIZE").raw[1:])


def test_the_append_only_file_wins_over_the_snapshot(tmp_path: Path) -> None:
    with start(tmp_path, *ON) as server, server.client() as client:
        client.call("SET", "in", "both")
        assert client.call("SAVE").raw == b"+OK\r\n"
        client.call("SET", "in", "the append only file alone")
        server.crash()
    with start(tmp_path, *ON) as server, server.client() as client:
        assert client.call("GET", "in").plain() == b"the append only file alone"
    with start(tmp_path, *OFF) as server, server.client() as client:
        assert client.call("GET", "in").plain() == b"both"


def test_it_is_turned_on_in_a_running_server(tmp_path: Path) -> None:
    with start(tmp_path, *OFF) as server, server.client() as client:
        for number in range(500):
            client.call("SET", f"before:{number}", number)
        turn_on(client)
        client.call("SET", "after", 1)
        server.crash()
    assert check_aof(str(tmp_path), Options()) == 0
    with start(tmp_path, *ON) as server, server.client() as client:
        assert keys(client) == 501
        assert client.call("GET", "before:499").plain() == b"499"
        assert client.call("GET", "after").plain() == b"1"


def test_to_edit_the_file_alone_starts_an_empty_server(tmp_path: Path) -> None:
    with start(tmp_path, *OFF) as server, server.client() as client:
        client.call("SET", "k", "v")
        save_and_end(server, client)
    with start(tmp_path, *ON) as server, server.client() as client:
        assert keys(client) == 0
        server.crash()
    assert check_rdb([str(tmp_path / "dump.rdb")]) == 0


def test_a_copy_of_a_running_server_is_a_backup(tmp_path: Path) -> None:
    running, copy = tmp_path / "running", tmp_path / "copy"
    running.mkdir()
    copy.mkdir()
    with start(running, *ON, "--auto-aof-rewrite-percentage", "0") as server, server.client() as client:
        for number in range(300):
            client.call("SET", f"key:{number}", "x" * 100)
        shutil.copytree(running / "appendonlydir", copy / "appendonlydir")
        client.call("SET", "later", 1)
    (increment,) = (copy / "appendonlydir").glob("*.incr.aof")
    data = increment.read_bytes()
    for torn in (0, 7):
        increment.write_bytes(data[: len(data) - torn])
        assert check_aof(str(copy), Options()) == (1 if torn else 0)
        with start(copy, *ON) as server, server.client() as client:
            assert keys(client) == (299 if torn else 300)


def test_a_snapshot_is_restored_where_the_append_only_file_is_in_use(tmp_path: Path) -> None:
    with start(tmp_path, *ON) as server, server.client() as client:
        client.call("SET", "k", "good")
        assert client.call("SAVE").raw == b"+OK\r\n"
        client.call("SET", "k", "bad")
        server.terminate()
    shutil.move(tmp_path / "appendonlydir", tmp_path / "appendonlydir.old")
    assert check_rdb([str(tmp_path / "dump.rdb")]) == 0
    with start(tmp_path, *OFF) as server, server.client() as client:
        assert client.call("GET", "k").plain() == b"good"
        turn_on(client)
        server.crash()
    with start(tmp_path, *ON) as server, server.client() as client:
        assert client.call("GET", "k").plain() == b"good"


def test_a_mistake_is_undone_by_a_cut_at_a_point_in_time(tmp_path: Path) -> None:
    arguments = [*ON, "--aof-timestamp-enabled", "yes", "--auto-aof-rewrite-percentage", "0"]
    with start(tmp_path, *arguments) as server, server.client() as client:
        client.call("SET", "k", "v")
        good_s = int(client.call("TIME").plain()[0])
        wait_until(lambda: int(time.time()) > good_s, what="the next second")
        client.call("FLUSHALL")
        client.call("SET", "other", "v")
        server.terminate()
    assert check_aof(str(tmp_path), Options(until_s=good_s, yes=True)) == 0
    with start(tmp_path, *arguments) as server, server.client() as client:
        assert keys(client) == 1
        assert client.call("GET", "k").plain() == b"v"


def test_check_sums_can_be_switched_in_a_running_server(tmp_path: Path) -> None:
    with start(tmp_path, *ON) as server, server.client() as client:
        for setting in ("no", "yes", "no", "yes"):
            assert client.call("CONFIG", "SET", "aof-checksum-enabled", setting).raw == b"+OK\r\n"
            for number in range(3):
                client.call("SET", f"{setting}:{number}", number)
        server.crash()
    (increment,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    data = increment.read_bytes()
    assert data.count(b"#CRC64:") == 6
    assert check_aof(str(tmp_path), Options()) == 0
    with start(tmp_path, *ON, "--aof-checksum-enabled", "yes") as server, server.client() as client:
        assert keys(client) == 6
        client.call("SET", "further", 1)
        server.crash()
    assert check_aof(str(tmp_path), Options()) == 0
    damaged = bytearray(data)
    damaged[data.index(b"no:0")] ^= 1
    increment.write_bytes(damaged)
    assert check_aof(str(tmp_path), Options()) == 1
