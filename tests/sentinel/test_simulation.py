"""A small campaign: the machine in worlds where things go wrong, and a few broken machines that must be convicted.

The full size is `make sentinels`.
"""

from __future__ import annotations

import pytest

from support.sentinel_broken import VARIANTS, convict
from support.sentinel_campaign import REPLAY
from support.sentinel_run import Run

SEEDS = 150
QUICKLY_CONVICTED = (
    "votes twice per epoch",
    "tells of a vote before it is saved",
    "leads with quorum votes (ignores the majority)",
    "alone decides that the primary is down",
    "publishes the old address with the new epoch",
    "takes an order for done",
)


def test_no_world_breaks_a_rule() -> None:
    elections = 0
    for seed in range(SEEDS):
        run = Run(seed)
        elections += run.rules.elections
        assert run.violations == [], f"{REPLAY} {seed}"
    assert elections > SEEDS  # worlds in which nothing is decided would prove nothing


def test_a_seed_is_one_history() -> None:
    assert Run(7).story() == Run(7).story()


@pytest.mark.parametrize("name", QUICKLY_CONVICTED)
def test_a_broken_sentinel_is_convicted(name: str) -> None:
    assert convict(name, range(60)).seed >= 0


def test_there_are_enough_broken_sentinels() -> None:
    assert len(VARIANTS) >= 15
