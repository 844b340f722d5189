"""The two targets of a differential test, chosen by the environment."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from conformance.differential import ProcessTarget
from support.servers import ServerAbsent, ServerPool

Pair = Callable[[str], tuple[ProcessTarget, ProcessTarget]]


def subject_of(pool: ServerPool, compat: str) -> ProcessTarget:
    """Gossamer that answers as `compat`, or a second real server for proving the harness itself."""
    chosen = os.environ.get("GOSSAMER_SUBJECT", "gossamer")
    if chosen == "gossamer":
        return ProcessTarget(pool.get("gossamer", compat), f"gossamer as {compat}")
    return ProcessTarget(pool.get("peer", chosen, 1), f"second {chosen}")


@pytest.fixture(scope="session")
def targets(servers: ServerPool) -> Pair:
    """compat -> (the subject, the real server)."""
    known: dict[str, tuple[ProcessTarget, ProcessTarget]] = {}

    def pair(compat: str) -> tuple[ProcessTarget, ProcessTarget]:
        alive = compat in known and all(target.server.process.poll() is None for target in known[compat])  # type: ignore[union-attr]
        if not alive:
            try:
                reference = ProcessTarget(servers.get("peer", compat), compat)
                known[compat] = (subject_of(servers, compat), reference)
            except ServerAbsent as absent:
                pytest.skip(f"{absent} is absent")
        return known[compat]

    return pair
