"""INFO has the fields of the real server, section by section and in its order."""

from __future__ import annotations

import pytest

from support.servers import ServerAbsent, ServerPool
from support.wire import WireClient

pytestmark = pytest.mark.peers

SECTIONS = [
    "server", "clients", "memory", "persistence", "stats", "replication", "cpu", "cluster", "keyspace",
    "errorstats", "modules",
]  # fmt: skip
REQUESTS = [[section] for section in SECTIONS] + [
    [],
    ["default"],
    ["nosuch"],
    ["server", "nosuch", "cpu"],
    ["SERVER"],
]


def field_names(client: WireClient, sections: list[str]) -> list[str]:
    """Headings and names of fields; those that only Gossamer has are left out."""
    text = client.call("INFO", *sections).plain().decode()
    return [name for line in text.split("\r\n") if not (name := line.split(":")[0]).startswith("gossamer_")]


@pytest.mark.parametrize("sections", REQUESTS, ids=lambda sections: "+".join(sections) or "none")
@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
def test_a_section_has_the_real_servers_fields(compat: str, sections: list[str], servers: ServerPool) -> None:
    try:
        ours, theirs = servers.get("gossamer", compat), servers.get("peer", compat)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with ours.client() as client, theirs.client() as peer:
        for each in (client, peer):
            each.pipeline(
                [("CONFIG", "RESETSTAT"), ("FLUSHALL",), ("SET", "k", "v", "EX", "100"), ("LPUSH", "k", "x")]
            )
        assert field_names(client, sections) == field_names(peer, sections)
