"""Crash states by the hundred; `make crash` tries them by the hundred thousand."""

import pytest

from support.broken_servers import VARIANTS, convict
from support.crash_histories import SCENARIOS, campaign
from support.crash_machine import MachineDisk

STATES = 300


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_crash_leaves_what_was_promised(name: str) -> None:
    tally = campaign(STATES, 1, (name,), 6, 1)[name]
    assert not tally.violations, tally.violations[0]
    assert len(tally.states) >= STATES


@pytest.mark.parametrize("name, scenario, disk_type", VARIANTS, ids=[variant[0] for variant in VARIANTS])
def test_a_broken_server_is_found_out(name: str, scenario: str, disk_type: type[MachineDisk]) -> None:
    assert convict(name, scenario, disk_type, 1, 6).violations
