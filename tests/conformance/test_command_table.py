"""The declared command table says of every command what the real server's COMMAND says."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import pytest

import gossamer
from gossamer.commands.table import Command, build_table
from gossamer.engine.introspection import write_command
from gossamer.resp.writer import ReplyWriter
from support.declarations import declaration, fields
from support.servers import ServerAbsent, ServerPool
from support.wire import parse_one

pytestmark = pytest.mark.peers

COMPATS = {"redis:7.0": 70, "valkey:8.0": 80}
ELEMENTS = (
    "name",
    "arity",
    "flags",
    "first key",
    "last key",
    "step",
    "ACL categories",
    "tips",
    "key specifications",
)


def declared_groups() -> Iterator[tuple[Command, ...]]:
    """Every COMMANDS tuple of the package."""
    for module in pkgutil.walk_packages(gossamer.__path__, "gossamer."):
        if module.name.split(".")[1] in (
            "commands",
            "engine",
            "persistence",
            "replication",
            "cluster",
            "sentinel",
        ):
            entries = getattr(importlib.import_module(module.name), "COMMANDS", None)
            if isinstance(entries, tuple):
                yield entries


def entry_of(command: Command, protocol: int) -> Any:
    writer = ReplyWriter()
    writer.protocol = protocol
    write_command(writer, command)
    return parse_one(writer.out.getvalue()).plain()


def real_entries(servers: ServerPool, compat: str) -> dict[str, Any]:
    try:
        server = servers.get("peer", compat)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    with server.client() as client:
        return {entry[0].decode(): entry for entry in client.call("COMMAND").plain()}


def without_notes(specs: list[Any]) -> list[Any]:
    """Notes are prose: that there is one counts, not how it is worded."""
    return [
        ["noted" if name == "notes" else (name, value) for name, value in fields(spec).items()]
        for spec in specs
    ]


def differences(ours: Any, theirs: Any) -> list[str]:
    found = []
    for position, element in enumerate(ELEMENTS):
        mine, other = ours[position], theirs[position]
        if element == "key specifications":
            mine, other = without_notes(mine), without_notes(other)
        if mine != other:
            found.append(f"{element}: {mine!r}, but the real one has {other!r}")
    our_subs = {sub[0]: sub for sub in ours[9]}
    their_subs = {sub[0]: sub for sub in theirs[9]}
    for name in sorted(our_subs.keys() | their_subs.keys()):
        if name not in our_subs:
            continue  # not there yet: what is declared is what is compared
        if name not in their_subs:
            found.append(f"{name.decode()} does not exist there")
        else:
            found += [f"{name.decode()}: {what}" for what in differences(our_subs[name], their_subs[name])]
    return found


@pytest.mark.parametrize("compat", COMPATS)
def test_each_declared_command_is_the_real_servers(compat: str, servers: ServerPool) -> None:
    real = real_entries(servers, compat)
    table = build_table(tuple(declared_groups()), COMPATS[compat])
    assert table, "no command is declared anywhere"
    wrong = []
    for name, command in table.items():
        theirs = real.get(name.decode())
        if theirs is None:
            wrong += [] if command.newer else [f"{name.decode()}: does not exist in {compat}"]
            continue
        assert not command.newer, f"{name.decode()} exists in {compat}"
        found = differences(entry_of(command, 2), theirs)
        if found:
            wrong.append("\n  ".join([f"{name.decode()}:", *found, f"declare: {declaration(theirs)}"]))
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("compat", COMPATS)
def test_a_running_server_knows_every_declared_command(compat: str, servers: ServerPool) -> None:
    try:
        server = servers.get("gossamer", compat)
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")
    table = build_table(tuple(declared_groups()), COMPATS[compat])
    with server.client() as client:
        known = {entry[0]: entry for entry in client.call("COMMAND").plain()}
        assert client.call("COMMAND", "COUNT").value == len(known)
    assert known.keys() == table.keys()
    assert all(differences(known[name], entry_of(command, 2)) == [] for name, command in table.items())


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("compat", COMPATS)
def test_the_shape_of_a_description_is_the_real_servers(
    compat: str, protocol: int, servers: ServerPool
) -> None:
    real_entries(servers, compat)
    table = build_table(tuple(declared_groups()), COMPATS[compat])
    with servers.get("peer", compat).client(protocol) as client:
        for name, command in table.items():
            reply = client.call("COMMAND", "INFO", name).items()[0]
            if reply.is_null or command.subcommands or any(spec.notes for spec in command.keys):
                continue
            if differences(entry_of(command, 2), reply.plain()):
                continue  # another test's complaint
            writer = ReplyWriter()
            writer.protocol = protocol
            write_command(writer, command)
            assert writer.out.getvalue() == reply.raw
