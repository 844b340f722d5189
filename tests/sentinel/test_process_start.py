"""How a Sentinel starts, or says why it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.sentinels import SentinelProcess
from support.servers import PACKAGE_ROOT, free_port

MONITOR = "sentinel monitor main 127.0.0.1 1 1"


def gossamer(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "gossamer", *words],
        capture_output=True,
        text=True,
        timeout=20,
        env=environment,
    )


def test_help_and_version_are_told() -> None:
    assert "sentinel.conf" in gossamer("sentinel", "--help").stdout
    assert gossamer("sentinel", "--version").stdout.startswith("Gossamer sentinel v=")


@pytest.mark.parametrize("words", [("sentinel",), ("serve", "--sentinel")])
def test_without_a_file_there_is_no_place_for_what_it_learns(words: tuple[str, ...]) -> None:
    ended = gossamer(*words)
    assert ended.returncode == 1
    assert "Sentinel needs config file on disk to save state. Exiting..." in ended.stdout


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = gossamer("sentinel", f"{tmp_path}/nothing.conf")
    assert ended.returncode == 1
    assert f"Fatal error, can't open config file '{tmp_path}/nothing.conf'" in ended.stdout


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_found_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "sentinel.conf"
    file.write_text(MONITOR)
    tmp_path.chmod(0o500)
    try:
        ended = gossamer("sentinel", str(file))
    finally:
        tmp_path.chmod(0o700)
    assert (ended.returncode, "is not writable" in ended.stdout) == (1, True)


@pytest.mark.parametrize(("compat", "who"), [("redis:7.0", "Redis 7.0.15"), ("valkey:8.0", "Version 8.0.1")])
def test_a_wrong_line_is_told_as_the_real_ones_do(tmp_path: Path, compat: str, who: str) -> None:
    file = tmp_path / "sentinel.conf"
    file.write_text(f"compat {compat}\n{MONITOR}\nsentinel quorum main 2\n")
    ended = gossamer("sentinel", str(file))
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[1:] == [
        f"*** FATAL CONFIG FILE ERROR ({who}) ***",
        "Reading the configuration file, at line 3",
        ">>> 'sentinel quorum main 2'",
        "Unrecognized sentinel configuration statement.",
    ]


def test_a_server_refuses_the_lines_of_a_sentinel(tmp_path: Path) -> None:
    file = tmp_path / "redis.conf"
    file.write_text(MONITOR)
    ended = gossamer("serve", str(file))
    assert ended.returncode == 1
    assert "sentinel directive while not in sentinel mode" in ended.stderr


def test_options_of_the_command_line_go_beside_the_file() -> None:
    sentinel = SentinelProcess("gossamer", [MONITOR])
    port = free_port()
    line = sentinel.command_line()
    sentinel.command_line = lambda: [*line, "--port", str(port), "--loglevel", "debug"]  # type: ignore[method-assign]
    sentinel.port = port
    sentinel.start()
    try:
        assert sentinel.call("SENTINEL", "CONFIG", "GET", "loglevel").plain() == [b"loglevel", b"debug"]
        assert sentinel.call("SENTINEL", "FLUSHCONFIG").raw == b"+OK\r\n"
        assert f"port {port}\n" in sentinel.file.read_text()
        assert sentinel.terminate() == 0
    finally:
        sentinel.stop()
