"""Every command group: random sequences answer as the real server does, in both protocols."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from conformance.arguments import Group, Snippet
from conformance.conftest import Pair
from conformance.differential import assert_same

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "12"))
CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ
GROUPS = sorted(path.stem for path in (Path(__file__).parent / "groups").glob("*.py") if path.stem[0] != "_")

pytestmark = pytest.mark.peers


def load(name: str) -> Group:
    group: Group = importlib.import_module(f"conformance.groups.{name}").GROUP
    return group


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", GROUPS)
def test_random_sequences_answer_as_the_real_server_does(
    name: str, protocol: int, compat: str, targets: Pair
) -> None:
    group = load(name)
    targets(compat)

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
        ours, theirs = targets(compat)
        assert_same(ours, theirs, group, snippets, protocol, with_digest=compat == "redis:7.0")

    run()
