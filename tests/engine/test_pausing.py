"""CLIENT PAUSE: what stands still meanwhile."""

from __future__ import annotations

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.doors import WriteFeed
from gossamer.engine.engine import Engine
from gossamer.engine.info import EngineFacts
from gossamer.server.command_table import all_commands


def call(client: Client, *words: str) -> bytes:
    client.engine.begin_iteration()
    client.engine.execute(client, [word.encode() for word in words])
    answer = client.reply.out.getvalue()
    client.reply.out.truncate(0)
    return answer


def test_nothing_expires_in_a_pause_and_what_is_due_is_hidden() -> None:
    clock = ManualClock()
    engine = Engine(clock, Limits(), Random64(1), 1)
    engine.add_commands(all_commands())
    client = engine.new_client()
    call(client, "SET", "k", "v", "PX", "10")
    call(client, "CLIENT", "PAUSE", "100000", "WRITE")
    clock.advance_ms(50)
    assert call(client, "GET", "k") == b"$-1\r\n"
    assert call(client, "DBSIZE") == b":1\r\n"
    call(client, "CLIENT", "UNPAUSE")
    assert call(client, "GET", "k") == b"$-1\r\n"
    assert call(client, "DBSIZE") == b":0\r\n"


def test_who_waits_for_the_end_of_a_pause_counts_as_blocked() -> None:
    engine = Engine(ManualClock(), Limits(), Random64(1), 1)
    engine.add_commands(all_commands())
    client, other = engine.new_client(), engine.new_client()
    call(client, "CLIENT", "PAUSE", "100000", "WRITE")
    assert call(other, "SET", "k", "v") == b""
    facts: dict[bytes, bytes | int] = {}
    EngineFacts(engine).add_facts(facts)
    assert facts[b"blocked_clients"] == 1
    call(client, "CLIENT", "UNPAUSE")
    assert other.reply.out.getvalue() == b"+OK\r\n"


def test_a_transaction_of_scripts_that_promise_not_to_write_does_not_wait() -> None:
    engine = Engine(ManualClock(), Limits(), Random64(1), 1)
    engine.add_commands(all_commands())
    client = engine.new_client()
    call(client, "CLIENT", "PAUSE", "100000", "WRITE")
    call(client, "MULTI")
    assert call(client, "EVAL", "#!lua flags=no-writes\nreturn 12", "0") == b"+QUEUED\r\n"
    assert call(client, "EXEC") == b"*1\r\n:12\r\n"


class Told(WriteFeed):
    def __init__(self) -> None:
        self.told: list[bytes] = []

    def begin(self) -> None:
        self.told.append(b"MULTI")

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.told.append(b" ".join(argv))

    def end(self) -> None:
        self.told.append(b"EXEC")


@pytest.mark.parametrize("in_transaction", [False, True])
def test_who_ends_a_pause_did_not_write_what_waited_for_it(in_transaction: bool) -> None:
    engine = Engine(ManualClock(), Limits(), Random64(1), 1)
    engine.add_commands(all_commands())
    feed = Told()
    engine.feeds.append(feed)
    client, other = engine.new_client(), engine.new_client()
    call(client, "CLIENT", "PAUSE", "10000", "WRITE")
    assert call(other, "SET", "x", "1") == b""
    if in_transaction:
        call(client, "MULTI")
        call(client, "CLIENT", "UNPAUSE")
        call(client, "EXEC")
    else:
        call(client, "CLIENT", "UNPAUSE")
    call(client, "SET", "y", "2")
    assert feed.told == [b"SET x 1", b"SET y 2"]
