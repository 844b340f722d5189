"""The stream of effects that AOF and replicas rest on is the one that a real server writes into its AOF."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from conformance.arguments import Group, Snippet
from conformance.propagation import Effect, Listening
from conformance.propagation_groups import DATA_GROUPS, FORMS_GROUP, SERVED_GROUP
from conformance.test_differential import load
from support.servers import ServerAbsent, wait_until

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "12"))
CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ

pytestmark = pytest.mark.peers


@pytest.fixture(scope="module", params=["redis:7.0", "valkey:8.0"])
def listening(request: pytest.FixtureRequest) -> Iterator[Listening]:
    try:
        both = Listening(request.param)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    yield both
    both.close()


def check(listening: Listening, group: Group) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not CAMPAIGN,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=True,
    )
    @given(group.sequences())
    def run(snippets: list[Snippet]) -> None:
        listening.assert_same_streams(group, snippets)

    run()


@pytest.mark.parametrize("name", DATA_GROUPS)
def test_random_sequences_are_told_as_the_real_server_tells_them(listening: Listening, name: str) -> None:
    check(listening, load(name))


@pytest.mark.parametrize("group", [FORMS_GROUP, SERVED_GROUP], ids=lambda group: str(group.name))
def test_what_a_server_does_on_its_own_is_told_as_the_real_server_tells_it(
    listening: Listening, group: Group
) -> None:
    check(listening, group)


KEYS = [b"key:%d" % number for number in range(5)]


def removals(
    listening: Listening, commands: Sequence[Sequence[str | bytes]]
) -> tuple[list[Effect], list[Effect]]:
    """What both tell once these commands made them remove KEYS from databases 0 and 1, in an order of names."""
    told: tuple[list[Effect], list[Effect]] = ([], [])
    for target in (listening.ours, listening.theirs):
        target.control().pipeline([("FLUSHALL",), ("SELECT", "0")])
    listening.our_feed.take()
    listening.their_aof.take()
    for target in (listening.ours, listening.theirs):
        target.control().pipeline(commands)

    def complete() -> bool:
        listening.ours.server.cron.expire()  # no timers run in process
        listening.ours.settle()
        told[0].extend(listening.our_feed.take())
        told[1].extend(listening.their_aof.take())
        return all(sum(is_removal(effect) for effect in stream) >= 2 * len(KEYS) for stream in told)

    wait_until(complete, what="every key to be removed")
    ours, theirs = (
        sorted((effect for effect in stream if is_removal(effect)), key=lambda e: (e.database, e.argv))
        for stream in told
    )
    assert all(len(effect.argv) > 1 for stream in told for effect in stream), (
        "each stands alone, without MULTI"
    )
    return ours, theirs


def is_removal(effect: Effect) -> bool:
    return effect.argv[0] in (b"DEL", b"UNLINK")


@pytest.mark.parametrize("lazily", ["yes", "no"])
def test_keys_that_expire_unasked_are_told_alone(listening: Listening, lazily: str) -> None:
    commands: list[Sequence[str | bytes]] = [("CONFIG", "SET", "lazyfree-lazy-expire", lazily)]
    for database in ("1", "0"):
        commands += [("SELECT", database), *(("SET", key, b"value", "PX", "1") for key in KEYS)]
    commands.append(("DEBUG", "SET-ACTIVE-EXPIRE", "1"))
    try:
        ours, theirs = removals(listening, commands)
    finally:
        for target in (listening.ours, listening.theirs):
            target.control().call("DEBUG", "SET-ACTIVE-EXPIRE", "0")
    assert ours == theirs


@pytest.mark.parametrize("lazily", ["yes", "no"])
def test_keys_that_are_evicted_are_told_alone(listening: Listening, lazily: str) -> None:
    commands: list[Sequence[str | bytes]] = [("CONFIG", "SET", "lazyfree-lazy-eviction", lazily)]
    for database in ("1", "0"):
        commands += [("SELECT", database), *(("SET", key, b"value") for key in KEYS)]
    commands += [("CONFIG", "SET", "maxmemory-policy", "allkeys-random"), ("CONFIG", "SET", "maxmemory", "1")]
    commands += [("SET", "refused", "value")] * 3
    try:
        ours, theirs = removals(listening, commands)
    finally:
        for target in (listening.ours, listening.theirs):
            target.control().call("CONFIG", "SET", "maxmemory", "0")
    assert ours == theirs
