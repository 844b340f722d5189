"""`gossamer serve` as a process: how it starts, refuses and ends."""

import os
import signal
import subprocess
import sys

import pytest

from support.servers import PACKAGE_ROOT, ServerProcess, wait_until

SERVE = [sys.executable, "-m", "gossamer", "serve"]


def serve(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)}
    return subprocess.run(
        [*SERVE, *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=30,
        check=False,
        **options,
    )


def test_a_bad_directive_is_told_on_standard_error_with_status_1():
    result = serve("--hz", "x")
    assert result.returncode == 1
    assert result.stderr.endswith(">>> 'hz \"x\"'\nargument couldn't be parsed into an integer\n")


def test_a_missing_file_is_told_in_the_log_with_status_1(tmp_path):
    result = serve("none.conf", cwd=tmp_path)
    assert result.returncode == 1
    assert f"# Fatal error, can't open config file '{tmp_path}/none.conf'" in result.stdout


def test_a_port_in_use_ends_the_start():
    with ServerProcess("gossamer") as server:
        result = serve("--port", str(server.port))
        assert result.returncode == 1
        assert "Address already in use" in result.stdout
        assert f"Failed listening on port {server.port} (TCP), aborting." in result.stdout


def test_to_listen_nowhere_is_refused():
    result = serve("--port", "0")
    assert result.returncode == 1
    assert "Configured to not listen anywhere, exiting." in result.stdout


@pytest.mark.parametrize("word", ["--test-memory", "--check-system"])
def test_what_it_cannot_do_is_refused_clearly(word):
    result = serve(word)
    assert result.returncode == 1
    assert result.stderr.startswith(f"gossamer serve: {word}: ")


@pytest.mark.parametrize(
    "demand",
    [
        "--cluster-enabled yes",
        "--loadmodule /m.so",
    ],
)  # fmt: skip
def test_a_demand_that_cannot_be_met_ends_the_start(demand):
    result = serve(*demand.split())
    assert result.returncode == 1
    assert "available" in result.stdout


def test_commands_are_renamed_and_taken_away(tmp_path):
    (tmp_path / "f.conf").write_text('rename-command GET fetch\nrename-command FLUSHALL ""\n')
    with (
        ServerProcess("gossamer", ["--include", str(tmp_path / "f.conf")]) as server,
        server.client() as client,
    ):
        assert client.call("SET", "a", "1").raw == b"+OK\r\n"
        assert client.call("fetch", "a").raw == b"$1\r\n1\r\n"
        assert client.call("GET", "a").raw.startswith(b"-ERR unknown command 'GET'")
        assert client.call("FLUSHALL").raw.startswith(b"-ERR unknown command 'FLUSHALL'")


@pytest.mark.parametrize(
    ("line", "reason"),
    [("rename-command nosuch x", "No such command in rename-command"),
     ("rename-command get set", "Target command name already exists")],
)  # fmt: skip
def test_a_wrong_renaming_ends_the_start(tmp_path, line, reason):
    (tmp_path / "f.conf").write_text(line + "\n")
    result = serve("f.conf", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.endswith(f"at line 1\n>>> '{line}'\n{reason}\n")


@pytest.mark.parametrize("word", ["-v", "--version", "-h", "--help"])
def test_help_and_version_start_nothing(word):
    result = serve(word)
    assert result.returncode == 0
    assert "ossamer" in result.stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0_and_takes_the_pid_file_away(tmp_path, number):
    pid_file = tmp_path / "pid"
    with ServerProcess("gossamer", ["--pidfile", str(pid_file)]) as server:
        assert pid_file.read_text() == f"{server.pid}\n"
        os.kill(server.pid, number)
        assert server.process is not None and server.process.wait(10) == 0
        assert not pid_file.exists()
        assert f"Received {number.name} scheduling shutdown" in server.log_tail()


def test_a_file_is_read_and_rewritten(tmp_path):
    path = tmp_path / "r.conf"
    path.write_text("# mine\nmaxmemory 1gb\nsave 900 1\n")

    class WithFile(ServerProcess):
        def command_line(self):
            return [*SERVE, str(path), "--port", str(self.port), "--dir", str(tmp_path)]

    with WithFile("gossamer") as server, server.client() as client:
        assert client.call("CONFIG", "GET", "maxmemory").plain() == [b"maxmemory", b"1073741824"]
        assert client.call("CONFIG", "SET", "maxmemory", "2gb", "requirepass", "x y").raw == b"+OK\r\n"
        assert client.call("CONFIG", "REWRITE").raw == b"+OK\r\n"
        lines = path.read_text().splitlines()
        assert lines[:3] == ["# mine", "maxmemory 2gb", "save 900 1"]
        assert 'requirepass "x y"' in lines


def test_a_daemon_leaves_the_terminal_and_writes_its_pid(tmp_path):
    pid_file = tmp_path / "pid"
    log = tmp_path / "log"
    with ServerProcess("gossamer", start=False) as server:
        port = server.port
    result = serve(
        "--port", str(port), "--dir", str(tmp_path), "--daemonize", "yes", "--pidfile", str(pid_file),
        "--logfile", str(log), "--save", "",
    )  # fmt: skip
    assert result.returncode == 0
    wait_until(lambda: log.exists() and "Ready to accept connections" in log.read_text(), 15, "the daemon")
    pid = int(pid_file.read_text())
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not pid_file.exists(), 10, "the daemon's end")


def test_the_logo_tells_the_process_id(tmp_path):
    with ServerProcess("gossamer", ["--always-show-logo", "yes"]) as server:
        assert f" PID: {server.pid}" in server.log_tail()


def test_why_nothing_was_loaded_is_the_last_line_of_the_log(tmp_path):
    with ServerProcess("gossamer", start=False) as server:
        port = server.port
    (tmp_path / "dump.rdb").write_bytes(b"REDIS0010 this is no snapshot")
    pid_file = tmp_path / "pid"
    result = serve("--port", str(port), "--dir", str(tmp_path), "--pidfile", str(pid_file))
    assert result.returncode == 1
    assert "Fatal error loading the DB" in result.stdout.splitlines()[-1]
    assert not pid_file.exists()
