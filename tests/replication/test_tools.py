"""The tools of both makes take a snapshot or the stream from a Gossamer primary, as from their own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdb.content import collect
from support.servers import ServerProcess, wait_until

pytestmark = pytest.mark.peers

LIBRARY = "#!lua name=f\nredis.register_function('f', function() return 1 end)"


@pytest.fixture(scope="module", params=["yes", "no"])
def primary(request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    options = ["--repl-diskless-sync", request.param, "--repl-diskless-sync-delay", "0"]
    with ServerProcess("gossamer", options) as server, server.client() as client:
        for number in range(100):
            client.call("SET", f"key:{number}", "x" * number)
            client.call("RPUSH", "list", number)
        client.call("FUNCTION", "LOAD", LIBRARY)
        yield server


@pytest.fixture(params=["redis-cli", "valkey-cli"])
def program(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if shutil.which(name) is None:
        pytest.skip(f"{name} is absent")
    return name


def run(program: str, server: ServerProcess, *words: str) -> bytes:
    command = [program, "-p", str(server.port), *words]
    finished = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_a_snapshot_goes_to_a_file(primary: ServerProcess, program: str, tmp_path: Path) -> None:
    path = tmp_path / "taken.rdb"
    run(program, primary, "--rdb", str(path))
    collector = collect(path.read_bytes())
    assert len(collector.databases[0]) >= 101 and collector.functions == [LIBRARY.encode()]


def test_the_functions_alone_go_to_a_file(primary: ServerProcess, program: str, tmp_path: Path) -> None:
    path = tmp_path / "functions.rdb"
    run(program, primary, "--functions-rdb", str(path))
    collector = collect(path.read_bytes())
    assert collector.databases == {} and collector.functions == [LIBRARY.encode()]


def test_the_largest_keys_are_found(primary: ServerProcess, program: str) -> None:
    assert b'"list"' in run(program, primary, "--bigkeys")


def test_the_stream_is_printed_as_it_comes(primary: ServerProcess, program: str, tmp_path: Path) -> None:
    path = tmp_path / "stream"
    with path.open("wb") as output, primary.client() as client:
        command = [program, "-p", str(primary.port), "--replica"]
        tool = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        try:
            online = lambda: b"state=online" in client.call("INFO", "replication").raw  # noqa: E731
            wait_until(online, 15, "the transfer")
            client.call("SET", "written:later", "1")
            wait_until(lambda: b'"SET","written:later","1"' in path.read_bytes(), 15, "the write")
        finally:
            tool.kill()
            tool.wait()
        wait_until(lambda: b"connected_slaves:0" in client.call("INFO", "replication").raw, 10, "the end")
