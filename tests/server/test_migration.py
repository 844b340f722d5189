"""Connections for MIGRATE: how many are kept, and for how long."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from gossamer.base.rng import Random64
from gossamer.engine.config import Config
from gossamer.engine.migration_door import TargetLost
from gossamer.server.migration import IDLE_S, TARGETS_MAX, SocketTarget, SocketTargets


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=TARGETS_MAX + 10) as listening:
        yield listening


@pytest.fixture
def targets() -> Iterator[SocketTargets]:
    kept = SocketTargets(Config(72), Random64(1))
    yield kept
    kept.close_all()


def spelled(listening: socket.socket, number: int = 0) -> bytes:
    """Its port; each number gives a spelling of its own, and so a target of its own."""
    return b"%d" % listening.getsockname()[1] + b" " * number


def connected(targets: SocketTargets, port: bytes) -> SocketTarget:
    target = targets.connect(b"127.0.0.1", port, 1000)
    assert isinstance(target, SocketTarget)
    return target


def test_a_connection_is_used_again(targets: SocketTargets, listener: socket.socket) -> None:
    assert connected(targets, spelled(listener)) is connected(targets, spelled(listener))
    targets.forget(b"127.0.0.1", spelled(listener))
    assert not targets.kept


def test_no_more_than_the_most_are_kept(targets: SocketTargets, listener: socket.socket) -> None:
    made = [connected(targets, spelled(listener, number)) for number in range(TARGETS_MAX + 3)]
    assert len(targets.kept) == TARGETS_MAX
    assert sum(target.socket.fileno() == -1 for target in made) == 3


def test_what_nobody_uses_is_closed(targets: SocketTargets, listener: socket.socket) -> None:
    idle, busy = connected(targets, spelled(listener)), connected(targets, spelled(listener, 1))
    idle.used_ms -= IDLE_S * 1000 + 1
    targets.close_idle()
    assert list(targets.kept.values()) == [busy] and idle.socket.fileno() == -1


def test_a_line_may_come_in_pieces_and_two_at_once(targets: SocketTargets, listener: socket.socket) -> None:
    target = connected(targets, spelled(listener))
    peer, _ = listener.accept()
    with peer:
        peer.sendall(b"+O")
        with pytest.raises(TargetLost) as slow:
            target.read_line(20)
        assert slow.value.timed_out
        peer.sendall(b"K\r\n-ERR x\r\n")
        assert [target.read_line(1000), target.read_line(1000)] == [b"+OK", b"-ERR x"]
        peer.sendall(b"x" * 200_000)
        with pytest.raises(TargetLost):
            target.read_line(1000)
    with pytest.raises(TargetLost) as gone:
        while True:
            target.receive(time.monotonic() + 5)
    assert not gone.value.timed_out


def test_nobody_there_is_found_out_at_the_first_write_or_before(targets: SocketTargets) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = spelled(closed)
    target = targets.connect(b"127.0.0.1", port, 1000)
    if target is not None:
        with pytest.raises(TargetLost):
            target.send(b"PING\r\n", 1000)
    assert targets.connect(b"no such host", port, 1000) is None
