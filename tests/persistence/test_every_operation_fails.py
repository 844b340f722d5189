"""Each file operation of a scenario fails in turn; `make crash` tries all of them in every way."""

import pytest

from support.fault_campaign import SCENARIOS, try_all

EVERY = 7  # of the operations; a full campaign takes each


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_fault_makes_a_wrong_ok(name: str) -> None:
    outcome = try_all(SCENARIOS[name](), EVERY)
    assert not outcome.wrong, outcome.wrong[0]
    assert outcome.tried >= 5
