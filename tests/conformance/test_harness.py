"""The differential harness itself: it is silent about equal servers and speaks up about different ones."""

from __future__ import annotations

import pytest

from conformance.arguments import Group, Snippet, Step
from conformance.differential import ProcessTarget, TargetFailed, assert_same
from support.servers import ServerAbsent, ServerPool

pytestmark = pytest.mark.peers


def target(servers: ServerPool, compat: str, number: int = 0) -> ProcessTarget:
    try:
        return ProcessTarget(servers.get("peer", compat, number), f"{compat} number {number}")
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


def sequence(*lines: str, client: int = 0) -> list[Snippet]:
    return [Snippet((Step(tuple(word.encode() for word in line.split()), client),)) for line in lines]


@pytest.mark.parametrize("clients", [1, 2])
@pytest.mark.parametrize("protocol", [2, 3])
def test_two_equal_servers_answer_alike(servers: ServerPool, protocol: int, clients: int) -> None:
    steps = sequence(
        "SADD s a b c d", "SMEMBERS s", "EXPIRE s 100", "TTL s", "NOSUCH", "SET k v PX 5000", "QUIT"
    )
    one, two = target(servers, "redis:7.0"), target(servers, "redis:7.0", 1)
    assert_same(one, two, Group("harness", [], clients=clients), steps, protocol)


@pytest.mark.parametrize(
    "line, shows",
    [
        ("ZRANK z m WITHSCORE", "replies differ at step 0"),
        ("CLIENT NO-TOUCH ON", "unknown subcommand"),
        ("RPUSH l a", "the content differs"),
    ],
)
def test_different_servers_are_told_apart(servers: ServerPool, line: str, shows: str) -> None:
    redis, valkey = target(servers, "redis:7.0"), target(servers, "valkey:8.0")
    with pytest.raises(AssertionError, match=shows):
        assert_same(redis, valkey, Group("harness", []), sequence(line), 2)


def test_a_different_push_of_another_client_is_seen(servers: ServerPool) -> None:
    redis, valkey = target(servers, "redis:7.0"), target(servers, "valkey:8.0")
    steps = [
        *sequence("SUBSCRIBE c", client=1),
        *sequence("PUBLISH c x", "SPUBLISH c x", "LPOP nothing", "RPUSH l a"),
    ]
    with pytest.raises(AssertionError, match="the content differs"):
        assert_same(redis, valkey, Group("harness", [], clients=2), steps, 3)
    assert_same(redis, redis, Group("harness", [], clients=2), steps, 3)


def test_a_broken_law_is_told(servers: ServerPool) -> None:
    def never(_replies: object) -> None:
        raise AssertionError("never holds")

    redis = target(servers, "redis:7.0")
    lawful = [Snippet((Step((b"PING",)),), never)]
    with pytest.raises(AssertionError, match="never holds"):
        assert_same(redis, redis, Group("harness", []), lawful, 2)


def test_a_server_that_ends_is_reported(servers: ServerPool) -> None:
    redis = target(servers, "redis:7.0")
    victim = target(servers, "redis:7.0", 2)
    with pytest.raises(TargetFailed):
        assert_same(victim, redis, Group("harness", []), sequence("SHUTDOWN NOSAVE"), 2)
