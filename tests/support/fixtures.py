"""Fixtures for every test that talks to server processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.servers import ServerPool, server_pool


@pytest.fixture(scope="session")
def servers() -> Iterator[ServerPool]:
    """Real servers and Gossamer as processes, started on first use, stopped at the end of the session."""
    with server_pool() as pool:
        yield pool
