"""What MONITOR shows: every command once, after it ran; what a script calls after the script."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from support.servers import PEERS, ServerAbsent, ServerProcess
from support.wire import WireClient, encode

pytestmark = pytest.mark.peers

SCRIPT = "redis.call('select', 2) redis.call('set', KEYS[1], 'x') return redis.pcall('nosuch')"
SCENE: list[tuple[str, ...]] = [
    ("SET", "k", 'a\x00b"\\\n\x7f'),
    ("select", "3"),
    ("eval", SCRIPT, "1", "k"),
    ("select", "0"),
    ("multi",),
    ("set", "a", "1"),
    ("get", "b", "c"),
    ("exec",),
    ("multi",),
    ("set", "a", "1"),
    ("get", "b"),
    ("exec",),
    ("config", "get", "port"),
    ("client", "id"),
    ("auth", "a", "b"),
    ("hello", "2", "auth", "default", "x"),
    ("slowlog", "len"),
    ("nosuch", "x"),
    ("get",),
    ("blpop", "nothing", "0.01"),
    ("fcall", "nothing", "0"),
    ("subscribe", "c"),
    ("unsubscribe", "c"),
    ("reset",),
]


def shown(monitor: WireClient, path: str) -> list[bytes]:
    """The lines so far, without times and ports."""
    lines: list[bytes] = []
    while True:
        line = monitor.read().raw
        if line.endswith(b'"the end"\r\n'):
            return lines
        line = re.sub(rb"^\+\d+\.\d{6}", b"TIME", line)
        lines.append(re.sub(rb"127\.0\.0\.1:\d+", b"ADDRESS", line).replace(path.encode(), b"PATH"))


def ask_by_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)
        client.sendall(encode(["GET", "k"]))
        client.recv(100)


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_monitors_see_what_they_see_on_the_real_server(compat: str, tmp_path: Path) -> None:
    pytest.importorskip("lupa")
    outcomes = []
    for kind, arguments in (("gossamer", ["--compat", compat]), (PEERS[compat], [])):
        path = str(tmp_path / f"{kind}.sock")
        try:
            with ServerProcess(kind, [*arguments, "--unixsocket", path]) as server:
                monitor, client, waiter = server.client(), server.client(), server.client()
                monitor.call("MONITOR")
                for words in SCENE:
                    client.call(*words)
                ask_by_socket(path)
                waiter.send("BLPOP", "queue", "0")
                while client.call("INFO", "clients").plain().find(b"blocked_clients:1") < 0:
                    pass
                client.call("RPUSH", "queue", "1")
                waiter.read()
                client.call("ECHO", "the end")
                lines = shown(monitor, path)
                outcomes.append([line for line in lines if b'"INFO"' not in line])
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
    assert outcomes[0] == outcomes[1]
    assert any(b"lua]" in line for line in outcomes[0])
