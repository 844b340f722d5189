"""What DEBUG does to a process, and the directives that slow it down, tried on a running server."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from support.servers import ServerProcess, program_of, start_gossamer, wait_until


def pid_of(server: ServerProcess) -> int:
    with server.client() as client:
        text = client.call("INFO", "server").plain()
    return int(text.partition(b"process_id:")[2].split(b"\r\n")[0])


def run_id(server: ServerProcess) -> bytes:
    with server.client() as client:
        text: bytes = client.call("INFO", "server").plain()
    return text.partition(b"run_id:")[2].split(b"\r\n")[0]


def restart(server: ServerProcess, *words: str) -> None:
    """Let it begin anew; it has when it answers under another run id."""
    before = run_id(server)
    with server.client() as client:
        client.send_raw(b"DEBUG " + " ".join(words).encode() + b"\r\n")
        with pytest.raises(OSError):
            client.read(5.0)
    wait_until(server.answers, what="the new start")
    assert run_id(server) != before


def test_a_restart_keeps_process_data_and_changed_directives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ServerProcess("gossamer", directory=tmp_path, start=False)
    (tmp_path / "data").mkdir()
    (tmp_path / "server.conf").write_text(
        f"port {server.port}\ndir data\nsave 100 100\nhz 11\nenable-debug-command yes\n"
    )
    monkeypatch.setattr(server, "command_line", lambda: [*program_of("gossamer"), "server.conf"])
    server.start()
    with server:
        pid = pid_of(server)
        with server.client() as client:
            client.call("SET", "k", "v")
            client.call("CONFIG", "SET", "hz", "13")
        restart(server, "RESTART")
        assert pid_of(server) == pid
        with server.client() as client:
            assert client.call("GET", "k").value == b"v"
            assert client.call("CONFIG", "GET", "hz").plain() == [b"hz", b"13"]


def test_after_a_crash_only_what_was_saved_is_there() -> None:
    with start_gossamer("redis:7.2", "--save", "100 100") as server:
        with server.client() as client:
            client.call("SET", "saved", "v")
            client.call("SAVE")
            client.call("SET", "lost", "v")
        restart(server, "CRASH-AND-RECOVER", "10")
        with server.client() as client:
            assert client.call("KEYS", "*").plain() == [b"saved"]
            assert client.call("DEBUG", "RESTART", "soon").is_error


def test_a_script_may_call_what_is_not_for_scripts() -> None:
    script = "return #redis.call('client', 'list') > 0"
    with start_gossamer() as server, server.client() as client:
        assert client.call("EVAL", script, 0).is_error
        client.call("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 1)
        assert client.call("EVAL", script, 0).value == 1
        number = client.call("EVAL", "redis.setresp(3); return redis.call('debug', 'protocol', 'bignum')", 0)
        assert number.value == b"1234567999999999999999999999999999999"
        client.call("DEBUG", "SET-DISABLE-DENY-SCRIPTS", 0)
        assert client.call("EVAL", script, 0).is_error


def test_the_replication_id_can_be_changed() -> None:
    def replication_id() -> bytes:
        text: bytes = client.call("INFO", "replication").plain()
        return text.partition(b"master_replid:")[2].split(b"\r\n")[0]

    with start_gossamer() as server, server.client() as client:
        before = replication_id()
        assert client.call("DEBUG", "CHANGE-REPL-ID").raw == b"+OK\r\n"
        assert len(before) == 40 and replication_id() not in (before, run_id(server))


def test_a_child_that_is_slow_on_purpose_still_runs() -> None:
    with start_gossamer() as server, server.client() as client:
        client.call("DEBUG", "POPULATE", 100)
        client.call("CONFIG", "SET", "rdb-key-save-delay", 1_000_000)
        client.call("BGSAVE")
        time.sleep(0.2)
        assert b"rdb_bgsave_in_progress:1" in client.call("INFO", "persistence").plain()
        client.call("CONFIG", "SET", "rdb-key-save-delay", -10)
        before = time.monotonic()
        client.call("SAVE")
        assert time.monotonic() - before < 5


@pytest.mark.parametrize("appendonly", ["no", "yes"])
def test_loading_can_be_slowed_down_and_let_go(appendonly: str) -> None:
    with start_gossamer("redis:7.2", "--appendonly", appendonly) as server:
        with server.client() as client:
            client.pipeline([("SET", f"key:{n}", "x" * 100) for n in range(400)])
            client.call("SAVE")
        server.crash()
        slow = ["--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"]
        server.arguments += slow
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(server, "answers", lambda: is_loading(server))
            server.start()
        with server.client() as client:
            assert client.call("GET", "key:1").raw.startswith(b"-LOADING")
            before = time.monotonic()
            assert client.call("CONFIG", "SET", "key-load-delay", 0).raw == b"+OK\r\n"
        wait_until(server.answers)
        assert time.monotonic() - before < 2.0, "two seconds would be the whole delay"
        with server.client() as client:
            assert client.call("DBSIZE").value == 400


def is_loading(server: ServerProcess) -> bool:
    try:
        with server.client() as client:
            return client.call("PING").raw.startswith(b"-LOADING")
    except OSError:
        return False
