"""COMMAND DOCS states the same facts as the real server; only the prose is our own."""

from __future__ import annotations

from typing import Any

import pytest

from gossamer.engine.command_docs import DOCS, write_docs
from gossamer.resp.writer import ReplyWriter
from gossamer.server.command_table import all_commands
from support.servers import ServerAbsent, ServerPool
from support.wire import Reply, parse_one

pytestmark = pytest.mark.peers

COMPATS = {"redis:7.0": 70, "valkey:8.0": 80}


def facts(reply: Reply) -> dict[str, Any]:
    """The documentation without its prose: summary, cost and the wording of the history."""
    items = reply.items()
    found: dict[str, Any] = {}
    for position in range(0, len(items), 2):
        name, value = items[position].plain().decode(), items[position + 1]
        if name in ("summary", "complexity"):
            found[name] = bool(value.plain())
        elif name == "history":
            found[name] = (value.kind, [entry.plain()[0] for entry in value.items()])
        elif name != "subcommands":
            found[name] = value.raw
    return found


def documented(reply: Reply) -> dict[str, Reply]:
    """Full name -> documentation, subcommands included."""
    found: dict[str, Reply] = {}
    items = reply.items()
    for position in range(0, len(items), 2):
        name, docs = items[position].plain().decode(), items[position + 1]
        found[name] = docs
        fields = docs.items()
        for field in range(0, len(fields), 2):
            if fields[field].value == b"subcommands":
                found.update(documented(fields[field + 1]))
    return found


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("compat", COMPATS)
def test_the_documentation_states_the_real_facts(compat: str, protocol: int, servers: ServerPool) -> None:
    try:
        server = servers.get("peer", compat)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server.client(protocol) as client:
        real = documented(client.call("COMMAND", "DOCS"))
    wrong = {}
    for name, docs in real.items():
        writer = ReplyWriter()
        writer.protocol = protocol
        write_docs(writer, name.encode(), [], COMPATS[compat])
        ours = facts(parse_one(writer.out.getvalue()))
        if ours != facts(docs):
            wrong[name] = (ours, facts(docs))
    assert not wrong


@pytest.mark.parametrize("compat", COMPATS)
def test_no_summary_is_the_real_servers_sentence(compat: str, servers: ServerPool) -> None:
    try:
        server = servers.get("peer", compat)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server.client(3) as client:
        real = documented(client.call("COMMAND", "DOCS"))
    same = []
    for name, docs in real.items():
        writer = ReplyWriter()
        write_docs(writer, name.encode(), [], COMPATS[compat])
        ours = parse_one(writer.out.getvalue()).plain()
        if ours[1].rstrip(b".").lower() == docs.plain()[1].rstrip(b".").lower():
            same.append(name)
    assert not same


@pytest.mark.parametrize(
    "container",
    [
        "CLIENT",
        "COMMAND",
        "CONFIG",
        "DEBUG",
        "LATENCY",
        "MEMORY",
        "OBJECT",
        "PUBSUB",
        "SLOWLOG",
        "XGROUP",
        "XINFO",
    ],
)
def test_no_help_text_is_the_real_servers_prose(container: str, servers: ServerPool) -> None:
    try:
        real, ours = servers.get("peer", "redis:7.0"), servers.get("gossamer", "redis:7.0")
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with real.client() as peer, ours.client() as client:
        theirs = peer.call(container, "HELP").plain()
        mine = client.call(container, "HELP").plain()
    assert mine[0] == theirs[0]
    assert not [line for line in mine[1:] if line.startswith(b"    ") and line in theirs]


def test_every_command_that_no_installed_server_has_is_documented() -> None:
    for command in all_commands():
        if command.newer:
            record = DOCS.record(command.name, 72)
            assert record["summary"] and (command.subcommands or record["arguments"]), command.name
            assert tuple(int(part) for part in record["since"].split(".")) > (7, 2, 99), command.name
