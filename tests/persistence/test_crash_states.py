"""Crash states by the hundred; `make crash` tries them by the hundred thousand."""

import pytest

from support.crash_campaign import SCENARIOS, campaign

STATES = 400


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_crash_leaves_what_was_promised(name: str) -> None:
    tally = campaign(STATES, 1, names=(name,))[name]
    assert not tally.violations, tally.violations[0]
    assert len(tally.states) >= STATES
