"""What counts as a change of a watched key whose time was over when it was watched."""

from __future__ import annotations

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.engine import Engine
from gossamer.server.command_table import all_commands

PONG = b"+OK\r\n+QUEUED\r\n*1\r\n+PONG\r\n"
ABORTED = b"+OK\r\n+QUEUED\r\n*-1\r\n"


@pytest.fixture
def engine() -> Engine:
    engine = Engine(ManualClock(), Limits(), Random64(1), 2)
    engine.add_commands(all_commands())
    return engine


def call(engine: Engine, client: Client, *words: str) -> bytes:
    engine.execute(client, [word.encode() for word in words])
    answer = client.reply.out.getvalue()
    client.reply.out.truncate(0)
    return answer


def stale(engine: Engine, client: Client, key: str) -> None:
    """Leave a key whose time is over, which nobody has removed yet."""
    call(engine, client, "SET", key, "value", "PX", "1")
    clock = engine.clock
    assert isinstance(clock, ManualClock)
    clock.advance_ms(5)
    engine.begin_iteration()


def transaction(engine: Engine, client: Client) -> bytes:
    return b"".join([call(engine, client, *words) for words in (("MULTI",), ("PING",), ("EXEC",))])


def test_emptying_a_database_does_not_touch_a_key_that_was_due_already(engine: Engine) -> None:
    client = engine.new_client()
    stale(engine, client, "k")
    call(engine, client, "WATCH", "k")
    call(engine, client, "FLUSHDB")
    assert transaction(engine, client) == PONG


@pytest.mark.parametrize("arriving", [False, True])
def test_exchanging_databases_does_not_touch_a_due_key_for_none_or_another_due_one(
    engine: Engine, arriving: bool
) -> None:
    client = engine.new_client()
    if arriving:
        call(engine, client, "SELECT", "1")
        call(engine, client, "SET", "k", "other", "PX", "1")
        call(engine, client, "SELECT", "0")
    stale(engine, client, "k")
    call(engine, client, "WATCH", "k")
    call(engine, client, "SWAPDB", "0", "1")
    assert transaction(engine, client) == PONG


def test_a_due_key_that_arrives_in_place_of_none_changes_nothing(engine: Engine) -> None:
    client = engine.new_client()
    stale(engine, client, "k")
    call(engine, client, "SELECT", "1")
    call(engine, client, "WATCH", "k")
    call(engine, client, "SWAPDB", "0", "1")
    assert transaction(engine, client) == PONG


def test_a_key_that_lives_and_goes_or_comes_is_a_change(engine: Engine) -> None:
    client = engine.new_client()
    call(engine, client, "SET", "k", "value")
    call(engine, client, "WATCH", "k")
    call(engine, client, "FLUSHALL")
    assert transaction(engine, client) == ABORTED
    stale(engine, client, "k")
    call(engine, client, "SELECT", "1")
    call(engine, client, "SET", "k", "value")
    call(engine, client, "SELECT", "0")
    call(engine, client, "WATCH", "k")
    call(engine, client, "SWAPDB", "0", "1")
    assert transaction(engine, client) == ABORTED
