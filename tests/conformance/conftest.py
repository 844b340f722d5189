"""The two targets of a differential test, chosen by the environment."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from conformance.differential import ProcessTarget, Target
from support.servers import ServerAbsent, ServerPool

Pair = Callable[[str], tuple[Target, Target]]


def subject_of(pool: ServerPool, compat: str) -> Target:
    """Gossamer that answers as `compat`, or a second real server for proving the harness itself."""
    chosen = os.environ.get("GOSSAMER_SUBJECT", "gossamer")
    if chosen == "in-process":
        from conformance.in_process import InProcessTarget

        return InProcessTarget(compat)
    if chosen == "gossamer":
        return ProcessTarget(pool.get("gossamer", compat), f"gossamer as {compat}")
    return ProcessTarget(pool.get("peer", chosen, 1), f"second {chosen}")


@pytest.fixture(scope="session")
def targets(servers: ServerPool) -> Pair:
    """compat -> (the subject, the real server); a server that has ended is started again."""
    known: dict[str, tuple[Target, Target]] = {}

    def pair(compat: str) -> tuple[Target, Target]:
        if compat not in known or not all(target.alive() for target in known[compat]):
            try:
                reference = ProcessTarget(servers.get("peer", compat), compat)
                known[compat] = (subject_of(servers, compat), reference)
            except ServerAbsent as absent:
                pytest.skip(f"{absent} is absent")
        return known[compat]

    return pair
