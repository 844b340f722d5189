"""The logs of slow commands, large requests and large replies, without a server."""

from __future__ import annotations

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import GATE_LARGE_REQUEST, Client
from gossamer.engine.command_log import CommandLog, wire_bytes
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands
from support.wire import encode


@pytest.fixture
def engine() -> Engine:
    engine = Engine(ManualClock(), Limits(), Random64(1), 2)
    engine.add_commands(all_commands())
    return engine


def call(engine: Engine, client: Client, *words: bytes) -> bytes:
    engine.execute(client, list(words))
    answer = client.reply.out.getvalue()
    client.reply.out.truncate(0)
    return answer


def arrived(engine: Engine, client: Client, *words: bytes) -> bytes:
    """Run a request as if its bytes had been seen to be many."""
    client.gate |= GATE_LARGE_REQUEST
    try:
        return call(engine, client, *words)
    finally:
        client.gate &= ~GATE_LARGE_REQUEST


def shown(log: CommandLog) -> list[bytes]:
    return [entry.argv[0] for entry in log.entries]


@pytest.mark.parametrize(
    "words", [[b"PING"], [b"SET", b"k", b"v" * 1000], [b"MGET", *[b"k"] * 120], [b"ECHO", b""]]
)
def test_the_size_of_a_request_is_what_was_sent(words: list[bytes]) -> None:
    assert wire_bytes(words) == len(encode(words))


def test_a_large_request_is_logged_once_also_within_a_transaction(engine: Engine) -> None:
    client = engine.new_client()
    engine.large_requests.configure(100, 128)
    arrived(engine, client, b"SET", b"k", b"v" * 50)
    assert shown(engine.large_requests) == []
    arrived(engine, client, b"SET", b"k", b"v" * 200)
    call(engine, client, b"MULTI")
    arrived(engine, client, b"APPEND", b"k", b"v" * 200)
    arrived(engine, client, b"EXEC")
    assert shown(engine.large_requests) == [b"APPEND", b"SET"]
    assert engine.large_requests.entries[1].cost == wire_bytes([b"SET", b"k", b"v" * 200])


def test_a_large_reply_is_logged_with_its_size(engine: Engine) -> None:
    client = engine.new_client()
    call(engine, client, b"SET", b"k", b"v" * 200)
    engine.large_replies.configure(200, 128)
    reply = call(engine, client, b"GET", b"k")
    call(engine, client, b"STRLEN", b"k")
    assert [(entry.argv[0], entry.cost) for entry in engine.large_replies.entries] == [(b"GET", len(reply))]


def test_a_log_keeps_its_length_and_can_be_off(engine: Engine) -> None:
    log = CommandLog(0)
    log.configure(0, 2)
    for number in range(5):
        log.note([b"%d" % number], 1, 0, b"", b"")
    assert [entry.number for entry in log.entries] == [4, 3]
    log.configure(0, 1)
    assert [entry.number for entry in log.entries] == [4]
    log.configure(-1, 128)
    log.note([b"PING"], 1 << 40, 0, b"", b"")
    assert [entry.number for entry in log.entries] == [4]
    assert log.watch_above > 1 << 60


def test_long_arguments_are_shortened() -> None:
    log = CommandLog(0)
    log.note([b"MSET", b"x" * 200, *[b"k"] * 40], 1, 0, b"", b"")
    argv = log.entries[0].argv
    assert argv[1] == b"x" * 128 + b"... (72 more bytes)"
    assert len(argv) == 32 and argv[-1] == b"... (11 more arguments)"
