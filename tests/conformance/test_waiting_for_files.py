"""WAIT and WAITAOF of a server that stands alone, step by step beside the real one."""

from __future__ import annotations

import pytest

from support.servers import PEERS, ServerAbsent, ServerProcess
from support.wire import Reply

pytestmark = pytest.mark.peers


def on_both(compat: str, scene: object) -> list[object]:
    """What the scene showed: the same on Gossamer and on the real server."""
    outcomes = []
    for kind, arguments in (("gossamer", ["--compat", compat]), (PEERS[compat], [])):
        try:
            with ServerProcess(kind, arguments) as server:
                outcomes.append(scene(server))  # type: ignore[operator]
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
    assert outcomes[0] == outcomes[1]
    shown: list[object] = outcomes[0]
    return shown


def test_waitaof_ends_when_the_file_is_synced() -> None:
    def scene(server: ServerProcess) -> list[object]:
        writer, other = server.client(), server.client()
        replies: list[Reply] = [writer.call("WAITAOF", "1", "0", "0"), writer.call("WAITAOF", "0", "0", "0")]
        writer.call("CONFIG", "SET", "appendonly", "yes")
        for _ in range(2):
            writer.call("SET", "k", "v")
            replies.append(writer.call("WAITAOF", "1", "0", "0"))
        replies.append(other.call("WAITAOF", "1", "1", "10"))
        writer.pipeline([("MULTI",), ("SET", "k", "v"), ("WAITAOF", "1", "1", "0")])
        replies.append(writer.call("EXEC"))
        writer.call("CONFIG", "SET", "appendfsync", "always")
        writer.call("EVAL", "redis.call('set', 'k', 'w')", "0")
        replies.append(writer.call("WAITAOF", "1", "0", "0"))
        return [reply.raw for reply in replies]

    shown = on_both("valkey:8.0", scene)
    assert shown[2] == b"*2\r\n:1\r\n:0\r\n"


def test_waitaof_gives_up_where_nothing_is_synced_and_when_the_file_is_turned_off() -> None:
    def scene(server: ServerProcess) -> list[object]:
        writer, other = server.client(), server.client()
        writer.call("CONFIG", "SET", "appendfsync", "no", "appendonly", "yes")
        number = str(writer.call("CLIENT", "ID").value)
        writer.call("WAITAOF", "1", "0", "0")  # the first rewrite has ended
        writer.call("SET", "k", "v")
        replies: list[Reply] = [writer.call("WAITAOF", "1", "0", "20")]
        for wake in (("CLIENT", "UNBLOCK", number), ("CLIENT", "UNBLOCK", number, "ERROR")):
            writer.send("WAITAOF", "1", "0", "0")
            while other.call(*wake).value != 1:
                pass
            replies.append(writer.read())
        writer.send("WAITAOF", "1", "0", "0")
        while b"cmd=waitaof" not in other.call("CLIENT", "LIST", "ID", number).plain():
            pass
        other.call("CONFIG", "SET", "appendonly", "no")
        replies.append(writer.read())
        return [reply.raw for reply in replies]

    on_both("valkey:8.0", scene)


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_wait_counts_no_replicas(compat: str) -> None:
    def scene(server: ServerProcess) -> list[object]:
        writer, other = server.client(), server.client()
        number = str(writer.call("CLIENT", "ID").value)
        replies: list[Reply] = [
            writer.call("WAIT", *words) for words in (("0", "0"), ("-1", "0"), ("1", "20"))
        ]
        writer.send("WAIT", "1", "0")
        while other.call("CLIENT", "UNBLOCK", number).value != 1:
            pass
        replies.append(writer.read())
        replies += [writer.call("MULTI"), writer.call("WAIT", "1", "0"), writer.call("EXEC")]
        return [reply.raw for reply in replies]

    on_both(compat, scene)
