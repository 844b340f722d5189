"""The commands of a Sentinel: its own, and those of a server's that it answers too.

Owns which they are (what `COMMAND LIST` of the real ones says), and INFO's choice of sections. What the machine's own
commands do stands in sentinel/commands.py.
"""

from collections.abc import Callable
from typing import Final, final

from gossamer.commands.table import Command
from gossamer.engine import (
    acl_commands,
    client_commands,
    connection_commands,
    introspection,
    pubsub_commands,
    server_commands,
)
from gossamer.engine.client import Client
from gossamer.engine.engine import Engine
from gossamer.engine.info import section_lines
from gossamer.sentinel import commands as machine_commands
from gossamer.sentinel import settings
from gossamer.sentinel.facts import sentinel_lines
from gossamer.sentinel.machine import Sentinel

SECTIONS: Final = (b"server", b"clients", b"stats", b"cpu", b"sentinel")
ALL_SECTIONS: Final = (b"default", b"all", b"everything")
CLIENT_SUBCOMMANDS: Final = frozenset(
    (
        b"caching", b"getname", b"getredir", b"help", b"id", b"info", b"kill", b"list", b"no-evict", b"pause",
        b"reply", b"setinfo", b"setname", b"tracking", b"trackinginfo", b"unblock", b"unpause",
    )
)  # fmt: skip
# What Valkey 8 calls subcommands too.
PRIMARY_NAMES: Final = {
    b"primary": b"master",
    b"primaries": b"masters",
    b"get-primary-addr-by-name": b"get-master-addr-by-name",
    b"is-primary-down-by-addr": b"is-master-down-by-addr",
}


@final
class MachineHandler:
    """A handler of the machine as a command of the engine."""

    def __init__(
        self, machine: Sentinel, now_ms: Callable[[], int], handler: machine_commands.Handler
    ) -> None:
        self.machine: Sentinel = machine
        self.now_ms: Callable[[], int] = now_ms
        self.handler: machine_commands.Handler = handler

    def run(self, client: Client, argv: list[bytes]) -> None:
        self.machine.now_ms = self.now_ms()
        self.handler(self.machine, argv, client.reply)


@final
class SentinelInfo:
    """INFO."""

    def __init__(self, engine: Engine, machine: Sentinel, now_ms: Callable[[], int]) -> None:
        self.engine: Engine = engine
        self.machine: Sentinel = machine
        self.now_ms: Callable[[], int] = now_ms

    def run(self, client: Client, argv: list[bytes]) -> None:
        client.reply.verbatim(b"txt", self.text(argv[1:]))

    def text(self, words: list[bytes]) -> bytes:
        """The sections that are asked for, in order; unknown ones mean nothing."""
        wanted = [word.lower() for word in words]
        if not wanted or any([word in ALL_SECTIONS for word in wanted]):
            wanted = list(SECTIONS)
        facts: dict[bytes, bytes | int] = {}
        for source in self.engine.info_sources:
            source.add_facts(facts)
        parts: list[bytes] = []
        for name in SECTIONS:
            if name not in wanted:
                continue
            if name == b"sentinel":
                lines = sentinel_lines(self.machine, self.now_ms())
            else:
                lines = section_lines(self.engine, name, facts)
            title = b"CPU" if name == b"cpu" else name.capitalize()
            parts.append(b"# " + title + b"\r\n" + b"".join([line + b"\r\n" for line in lines]))
        return b"\r\n".join(parts)


def sentinel_commands(engine: Engine, machine: Sentinel, now_ms: Callable[[], int]) -> tuple[Command, ...]:
    """Every command of a Sentinel, its handlers bound to the machine."""
    info = SentinelInfo(engine, machine, now_ms)
    return (
        sentinel_command(machine, now_ms),
        Command(
            b"publish", MachineHandler(machine, now_ms, machine_commands.publish).run, 3,
            "pubsub loading stale fast", "",
        ),
        Command(
            b"role", MachineHandler(machine, now_ms, machine_commands.role).run, 1,
            "noscript loading stale fast", "admin dangerous",
        ),
        Command(
            b"info", info.run, -1, "loading stale", "slow dangerous",
            tips=(b"nondeterministic_output", b"request_policy:all_shards", b"response_policy:special"),
        ),
        client_command(),
        *named(connection_commands.COMMANDS, b"ping", b"auth", b"hello"),
        *named(pubsub_commands.COMMANDS, b"subscribe", b"unsubscribe", b"psubscribe", b"punsubscribe"),
        *named(server_commands.COMMANDS, b"shutdown"),
        *acl_commands.COMMANDS,
        *introspection.COMMANDS,
    )  # fmt: skip


def sentinel_command(machine: Sentinel, now_ms: Callable[[], int]) -> Command:
    """SENTINEL with its subcommands."""
    known = machine_commands.SUBCOMMANDS
    rows = [(name, name, 70) for name in known] + [(new, old, 80) for new, old in PRIMARY_NAMES.items()]
    subcommands: list[Command] = []
    for name, old, since in rows:
        handler = MachineHandler(machine, now_ms, known[old].handler)
        flags = "loading stale" if name == b"help" else "admin"
        until = 70 if name == b"config" else 99
        arity = known[old].arity
        subcommands.append(Command(name, handler.run, arity, flags, "", min_compat=since, max_compat=until))
    several = MachineHandler(machine, now_ms, settings.config_several)
    subcommands.append(Command(b"config", several.run, -4, "admin", "", min_compat=72))
    return Command(b"sentinel", None, -2, "admin", "", subcommands=tuple(subcommands))


def client_command() -> Command:
    """CLIENT without what a Sentinel's does not know."""
    whole = named(client_commands.COMMANDS, b"client")[0]
    kept = [each for each in whole.declared_subcommands if each.name in CLIENT_SUBCOMMANDS]
    return Command(b"client", None, -2, "", "", subcommands=tuple(kept))


def named(group: tuple[Command, ...], *names: bytes) -> list[Command]:
    return [command for command in group if command.name in names]
