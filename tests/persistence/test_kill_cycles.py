"""A few of the kills that `make kill` does by the hundred."""

import pytest

from support.kill_cycles import run
from support.servers import ServerAbsent


@pytest.mark.peers
@pytest.mark.parametrize("kind", ["gossamer", "redis-server"])
def test_a_kill_loses_no_acknowledged_write(kind: str) -> None:
    """The real server proves that the load itself tells the truth."""
    try:
        killing = run(kind, 5 if kind == "gossamer" else 3, 7)
    except ServerAbsent as absent:
        pytest.skip(str(absent))
    assert killing.missing == 0
    assert killing.acknowledged > 100
