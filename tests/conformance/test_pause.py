"""Which requests wait while clients are paused, on Gossamer and on the real servers."""

from __future__ import annotations

import pytest

from support.servers import PEERS, ServerAbsent, ServerProcess
from support.wire import WireClient

pytestmark = pytest.mark.peers

REQUESTS: list[list[tuple[str, ...]]] = [
    [("GET", "k")],
    [("SET", "k", "v")],
    [("GETEX", "k")],
    [("PUBLISH", "c", "m")],
    [("SPUBLISH", "c", "m")],
    [("PFCOUNT", "h")],
    [("PFADD", "h", "a")],
    [("FLUSHALL",)],
    [("MULTI",), ("GET", "k"), ("EXEC",)],
    [("MULTI",), ("SET", "k", "w"), ("EXEC",)],
    [("MULTI",), ("PUBLISH", "c", "m"), ("EXEC",)],
    [("EVAL", "return 1", "0")],
    [("EVAL_RO", "return 1", "0")],
    [("EVAL", "#!lua flags=no-writes\nreturn 1", "0")],
    [("EVAL", "#!lua\nreturn 1", "0")],
    [("EVAL", "#!lua flags=nothing\nreturn 1", "0")],
    [("EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "0")],
    [("FCALL", "writer", "0")],
    [("FCALL", "reader", "0")],
    [("FCALL", "nothing", "0")],
    [("WAIT", "0", "0")],
]
LIBRARY = (
    "#!lua name=lib\n"
    "redis.register_function('writer', function() return 1 end)\n"
    "redis.register_function{function_name='reader', callback=function() return 2 end, flags={'no-writes'}}"
)


def settle(control: WireClient) -> None:
    for _ in range(2):
        control.call("PING")


def waiting(server: ServerProcess) -> list[tuple[tuple[str, ...], list[bytes], list[bytes]]]:
    """Of each request what was answered during the pause and what after it."""
    found = []
    control = server.client()
    control.call("FUNCTION", "LOAD", "REPLACE", LIBRARY)
    for request in REQUESTS:
        with server.client() as client:
            client.call("PING")
            control.call("CLIENT", "PAUSE", "60000", "WRITE")
            for words in request:
                client.send(*words)
            settle(control)
            during = [reply.raw[:40] for reply in client.available()]
            assert control.call("CLIENT", "UNPAUSE").raw == b"+OK\r\n"
            settle(control)
            after = [reply.raw[:40] for reply in client.available()]
            found.append((request[0] if len(request) == 1 else request[1], during, after))
    return found


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_the_same_requests_wait_for_the_end_of_a_pause_of_writes(compat: str) -> None:
    pytest.importorskip("lupa")
    outcomes = []
    for kind, arguments in (("gossamer", ["--compat", compat]), (PEERS[compat], [])):
        try:
            with ServerProcess(kind, arguments) as server:
                outcomes.append(waiting(server))
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
    for mine, other in zip(*outcomes, strict=True):
        assert mine == other
