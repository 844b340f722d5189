"""ioredis, redis-cli and redis-benchmark, unmodified, against a Gossamer process."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.servers import ServerAbsent, ServerPool

pytestmark = pytest.mark.peers

HERE = Path(__file__).parent
NODE_MODULES = HERE.parents[1] / "build" / "node" / "node_modules"
TIMEOUT_S = 60


@pytest.fixture
def port(servers: ServerPool) -> int:
    try:
        server = servers.get("gossamer", "redis:7.0")
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server.client() as client:
        client.call("FLUSHALL")
    return server.port


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is absent")
    return path


def run(*command: str, stdin: str = "", environment: dict[str, str] | None = None) -> str:
    """What it prints; it must succeed."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, timeout=TIMEOUT_S, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cli(port: int, *arguments: str, stdin: str = "") -> str:
    return run(program("redis-cli"), "-p", str(port), *arguments, stdin=stdin).rstrip("\n")


def test_ioredis(port: int) -> None:
    node = program("node")
    environment = dict(os.environ)
    environment.setdefault("NODE_PATH", str(NODE_MODULES))
    probe = subprocess.run(
        [node, "-e", "require('ioredis')"], env=environment, capture_output=True, check=False
    )
    if probe.returncode != 0:
        pytest.skip("ioredis is absent")
    assert run(node, str(HERE / "ioredis_session.js"), str(port), environment=environment).strip() == "ok"


def test_redis_cli_shows_replies_of_every_kind(port: int) -> None:
    assert cli(port, "SET", "k", "v") == "OK"
    assert cli(port, "GET", "k") == "v"
    assert cli(port, "--no-raw", "GET", "nothing") == "(nil)"
    assert cli(port, "--no-raw", "RPUSH", "l", "a", "b") == "(integer) 2"
    assert cli(port, "--no-raw", "LRANGE", "l", "0", "-1") == '1) "a"\n2) "b"'
    assert "ERR unknown command" in cli(port, "NOSUCH")
    assert cli(port, "-3", "--no-raw", "HSET", "h", "f", "v") == "(integer) 1"
    assert cli(port, "-3", "--no-raw", "HGETALL", "h") == '1# "f" => "v"'


def test_redis_cli_takes_commands_from_its_input_and_with_repetition(port: int) -> None:
    assert cli(port, stdin="SET a 1\nINCR a\nGET a\n").split() == ["OK", "2", "2"]
    assert cli(port, "-r", "3", "INCR", "a").split() == ["3", "4", "5"]
    assert cli(port, "-n", "1", "SET", "elsewhere", "x") == "OK"
    assert cli(port, "-n", "1", "DBSIZE") == "1"


def test_redis_cli_pipes_a_bulk_load(port: int) -> None:
    load = "".join(f"*3\r\n$3\r\nSET\r\n$6\r\nk{n:05d}\r\n$1\r\nv\r\n" for n in range(10_000))
    assert "errors: 0, replies: 10000" in cli(port, "--pipe", stdin=load)
    assert cli(port, "DBSIZE") == "10000"


def test_redis_cli_scans_and_looks_for_big_keys(port: int) -> None:
    cli(port, "MSET", *(word for n in range(100) for word in (f"key:{n}", str(n))))
    assert len(cli(port, "--scan", "--pattern", "key:*").split()) == 100
    cli(port, "RPUSH", "big", *(str(n) for n in range(50)))
    report = cli(port, "--bigkeys")
    assert "has 50 items" in report
    assert "Sampled 101 keys" in report
    assert "Sampled 101 keys" in cli(port, "--memkeys")


def test_redis_cli_reports(port: int) -> None:
    assert "redis_version:" in cli(port, "INFO", "server")
    assert cli(port, "CONFIG", "GET", "databases").split() == ["databases", "16"]


@pytest.mark.parametrize("pipeline", [1, 16])
def test_redis_benchmark_runs_every_test(port: int, pipeline: int) -> None:
    output = run(
        program("redis-benchmark"), "-p", str(port), "-n", "300", "-c", "5", "-P", str(pipeline), "--csv",
        "-t", "ping,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange,mset",
    )  # fmt: skip
    rows = [line.split(",")[0].strip('"') for line in output.splitlines()[1:]]
    assert len(rows) == 20, rows
    assert "WARN" not in output and "rror" not in output
