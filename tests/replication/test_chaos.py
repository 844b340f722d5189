"""A short mixed run: a tree of servers of several makes under load and faults is one data set in the end."""

from __future__ import annotations

import pytest

from support.chaos import Plan, present_kinds, replay_command, run
from support.tree_nodes import GOSSAMER, REDIS, VALKEY, Broken

pytestmark = pytest.mark.peers

SECONDS = 4.0


def test_a_tree_under_faults_holds_one_data_set_in_the_end() -> None:
    kinds = present_kinds((GOSSAMER, REDIS, VALKEY))
    absent = {REDIS, VALKEY} - set(kinds)
    if absent:
        pytest.skip(f"{', '.join(sorted(absent))} is absent")
    plan = Plan(seed=20, seconds=SECONDS, kinds=kinds)
    try:
        counts = run(plan)
    except Broken as broken:
        pytest.fail(f"{broken}\nreplay: {replay_command(plan)}")
    assert counts["comparisons"] > 0 and counts["commands"] > 0
