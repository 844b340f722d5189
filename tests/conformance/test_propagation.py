"""The stream of effects that AOF and replicas rest on is the one that a real server writes into its AOF."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from conformance.arguments import Group, Snippet
from conformance.propagation import Listening
from conformance.propagation_groups import FORMS_GROUP, SERVED_GROUP
from conformance.test_differential import load
from support.servers import ServerAbsent

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "12"))
CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ
GROUPS = (
    *("strings", "lists", "lists_waiting", "lists_by_bytes", "hashes", "sets", "sort", "zsets", "keys", "scan"),
    *("dump", "events", "transactions", "pubsub"),
)

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


@pytest.mark.parametrize("name", GROUPS)
def test_random_sequences_are_told_as_the_real_server_tells_them(listening: Listening, name: str) -> None:
    check(listening, load(name))


@pytest.mark.parametrize("group", [FORMS_GROUP, SERVED_GROUP], ids=lambda group: str(group.name))
def test_what_a_server_does_on_its_own_is_told_as_the_real_server_tells_it(
    listening: Listening, group: Group
) -> None:
    check(listening, group)
