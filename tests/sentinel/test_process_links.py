"""A Sentinel's sockets: replies meet what was asked, whatever the other side does is heard once and bounded."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.config import Config
from gossamer.engine.engine import Engine
from gossamer.resp.reply_reader import ErrorReply
from gossamer.sentinel.instances import (
    COMMANDS,
    MESSAGES,
    PRIMARY,
    REQUEST_IGNORED,
    Address,
    Connection,
    Instance,
    Request,
    SentinelState,
)
from gossamer.sentinel.machine import Sentinel
from gossamer.server.clock import SystemClock
from gossamer.server.log import Log
from gossamer.server.loop import Loop, LoopHooks
from gossamer.server.poller import new_poller
from gossamer.server.sentinel_door import SystemSentinelDoor
from gossamer.server.sentinel_links import UNSENT_MAX_BYTES, SentinelLinks
from gossamer.server.sentinel_scripts import SentinelScripts


class Recorder(Sentinel):
    """A machine that only listens."""

    def __init__(self, state: SentinelState, door: SystemSentinelDoor) -> None:
        super().__init__(state, door)
        self.heard: list[tuple[object, ...]] = []
        self.when_heard: Callable[[], None] = lambda: None

    def on_reply(self, connection: Connection, request: Request, reply: object, now_ms: int) -> None:
        self.heard.append((request, reply))
        self.when_heard()

    def on_message(self, connection: Connection, value: object, now_ms: int) -> None:
        self.heard.append(("message", value))

    def on_lost(self, connection: Connection, reason: str, now_ms: int) -> None:
        self.heard.append(("lost", reason))


class Stage:
    """A loop, links, and the other side of one connection."""

    def __init__(self) -> None:
        self.engine = Engine(SystemClock(), Limits(), Random64(1), 1)
        self.loop = Loop(self.engine, new_poller(), LoopHooks())
        log = Log()
        log.level = 4
        self.links = SentinelLinks(self.loop, Config(), log, lambda: 5)
        state = SentinelState()
        scripts = SentinelScripts(state.timings, lambda *event: None, lambda: 5)
        self.machine = Recorder(state, SystemSentinelDoor(self.engine, self.links, scripts, log))
        self.links.machine = self.machine
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.instance = Instance(PRIMARY, b"m", Address(b"127.0.0.1", b"127.0.0.1", self.port), None, 0)

    def open(self, purpose: int = COMMANDS) -> tuple[Connection, socket.socket]:
        connection = Connection(self.instance.link, self.instance, purpose, 0)
        self.links.open(connection)
        peer, _ = self.listener.accept()
        peer.settimeout(5.0)
        return connection, peer

    def turn_until(self, condition: Callable[[], bool]) -> None:
        self.loop.add_timer(1, lambda: 1)
        deadline = time.monotonic() + 5.0
        while not condition():
            assert time.monotonic() < deadline, self.machine.heard
            self.loop.turn()

    def close(self) -> None:
        self.links.close_all()
        self.listener.close()
        self.loop.poller.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage()
    yield made
    made.close()


def request(stage: Stage) -> Request:
    return Request(REQUEST_IGNORED, stage.instance)


def test_commands_wait_for_the_connection_and_replies_meet_them_in_order(stage: Stage) -> None:
    connection = Connection(stage.instance.link, stage.instance, COMMANDS, 0)
    stage.links.open(connection)
    asked = [request(stage) for _ in range(3)]
    for number, each in enumerate(asked):
        assert stage.links.send(connection, [b"ECHO", b"%d" % number], each)
    peer, _ = stage.listener.accept()
    stage.turn_until(lambda: stage.links.local_host(connection) == b"127.0.0.1")
    wire = b"".join(b"*2\r\n$4\r\nECHO\r\n$1\r\n%d\r\n" % number for number in range(3))
    received = b""
    while len(received) < len(wire):
        stage.loop.add_timer(1, lambda: -1)
        stage.loop.turn()
        received += peer.recv(1000)
    assert received == wire
    peer.sendall(b"+a\r\n-ERR b\r\n*1\r\n:")
    peer.sendall(b"7\r\n")
    stage.turn_until(lambda: len(stage.machine.heard) == 3)
    assert stage.machine.heard == [(asked[0], b"a"), (asked[1], ErrorReply(b"ERR b")), (asked[2], [7])]
    peer.close()


def test_messages_are_told_as_they_come(stage: Stage) -> None:
    connection, peer = stage.open(MESSAGES)
    assert stage.links.send(connection, [b"SUBSCRIBE", b"c"], request(stage))
    peer.sendall(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n")
    stage.turn_until(lambda: len(stage.machine.heard) == 2)
    assert stage.machine.heard[1] == ("message", [b"message", b"c", b"hi"])
    peer.close()


@pytest.mark.parametrize("said", [b"", b"rubbish\r\n", b"+nobody asked\r\n", b"$99999999999\r\n"])
def test_a_connection_is_lost_once(stage: Stage, said: bytes) -> None:
    connection, peer = stage.open()
    peer.sendall(said)
    peer.close()
    stage.turn_until(lambda: bool(stage.machine.heard))
    for _ in range(3):
        stage.loop.turn()
    assert [kind for kind, _ in stage.machine.heard] == ["lost"]
    assert not stage.links.send(connection, [b"PING"], request(stage))
    assert stage.links.local_host(connection) == b""


def test_nobody_there_is_a_loss_too(stage: Stage) -> None:
    stage.listener.close()
    connection = Connection(stage.instance.link, stage.instance, COMMANDS, 0)
    stage.links.open(connection)
    assert stage.links.send(connection, [b"PING"], request(stage))
    stage.turn_until(lambda: bool(stage.machine.heard))
    assert stage.machine.heard == [("lost", "Connection refused")]


def test_nothing_is_heard_of_a_connection_that_was_closed_amid_its_replies(stage: Stage) -> None:
    connection, peer = stage.open()
    for _ in range(3):
        stage.links.send(connection, [b"PING"], request(stage))
    stage.machine.when_heard = lambda: stage.links.close(connection)
    peer.sendall(b"+1\r\n+2\r\n+3\r\n")
    stage.turn_until(lambda: bool(stage.machine.heard))
    for _ in range(3):
        stage.loop.turn()
    assert [reply for _, reply in stage.machine.heard] == [b"1"]
    peer.close()


def test_a_bug_behind_a_reply_costs_the_connection_and_no_more(stage: Stage) -> None:
    connection, peer = stage.open()
    stage.links.send(connection, [b"PING"], request(stage))

    def bug() -> None:
        raise ZeroDivisionError

    stage.machine.when_heard = bug
    peer.sendall(b"+1\r\n")
    stage.turn_until(lambda: len(stage.machine.heard) == 2)
    assert stage.machine.heard[1] == ("lost", "the reply could not be taken")
    peer.close()


def test_one_that_takes_nothing_is_asked_no_more(stage: Stage) -> None:
    connection, peer = stage.open()
    stage.turn_until(lambda: stage.links.local_host(connection) != b"")
    sent = 0
    while stage.links.send(connection, [b"ECHO", b"x" * 100_000], request(stage)):
        sent += 100_000
        assert sent < 64 * UNSENT_MAX_BYTES
    peer.close()
