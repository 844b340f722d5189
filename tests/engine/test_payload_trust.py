"""`sanitize-dump-payload`: whose packed values are searched for members that stand twice."""

from __future__ import annotations

import random

import pytest

from gossamer.base.limits import SANITIZE_ALWAYS, SANITIZE_CLIENTS, SANITIZE_NOBODY
from support.engines import EngineClient, new_engine
from support.payload_fuzz import doubled_bodies, sealed

DOUBLED = next(body for body in doubled_bodies(random.Random(5)) if body[0] == 20 and b"x" * 70 not in body)


def restored(client: EngineClient) -> bool:
    reply = client.call("RESTORE", "k", "0", sealed(DOUBLED, 11), "REPLACE")
    assert reply.raw in (b"+OK\r\n", b"-ERR Bad data format\r\n")
    return not reply.is_error


@pytest.mark.parametrize(
    ("mode", "words", "own_data", "taken"),
    [
        (SANITIZE_NOBODY, [], False, True),
        (SANITIZE_ALWAYS, ["skip-sanitize-payload"], True, False),
        (SANITIZE_CLIENTS, [], False, False),
        (SANITIZE_CLIENTS, ["skip-sanitize-payload"], False, True),
        (SANITIZE_CLIENTS, ["skip-sanitize-payload", "sanitize-payload"], False, False),
        (SANITIZE_CLIENTS, [], True, True),
    ],
)
def test_the_setting_and_the_user_decide(mode: int, words: list[str], own_data: bool, taken: bool) -> None:
    client = EngineClient(new_engine())
    client.engine.limits.sanitize_dump_payload = mode
    client.call("ACL", "SETUSER", "bob", "on", "nopass", "+@all", "~*", *words)
    client.call("AUTH", "bob", "x")
    client.client.brings_own_data = own_data
    assert restored(client) == taken


def test_a_script_is_trusted_no_more_than_anybody() -> None:
    client = EngineClient(new_engine())
    client.engine.limits.sanitize_dump_payload = SANITIZE_CLIENTS
    script = "return redis.call('RESTORE', 'k', '0', ARGV[1])"
    assert b"Bad data format" in client.call("EVAL", script, "0", sealed(DOUBLED, 11)).raw


def test_what_was_searched_is_counted() -> None:
    client = EngineClient(new_engine())
    client.call("SADD", "s", "a", "b")
    payload = client.call("DUMP", "s").plain()
    client.call("RESTORE", "t", "0", payload)
    client.engine.limits.sanitize_dump_payload = SANITIZE_NOBODY
    client.call("RESTORE", "u", "0", payload)
    assert client.engine.state.payloads_sanitized == 1
