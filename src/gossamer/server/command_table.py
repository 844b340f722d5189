"""The command table, built from explicit groups."""

from gossamer.commands import (
    dump,
    expiry,
    hashes,
    keys,
    list_moves,
    lists,
    object,
    scan,
    sets,
    sort,
    strings,
    zset_combine,
    zset_pops,
    zset_ranges,
    zsets,
)
from gossamer.commands.table import Command
from gossamer.engine import (
    client_commands,
    config_commands,
    connection_commands,
    debug_commands,
    info,
    introspection,
    observation_commands,
    pubsub_commands,
    script_commands,
    server_commands,
    transactions,
)
from gossamer.persistence import commands as persistence_commands


def all_commands() -> tuple[Command, ...]:
    """Every command of a stand-alone server, group by group."""
    return (
        *strings.COMMANDS,
        *hashes.COMMANDS,
        *lists.COMMANDS,
        *list_moves.COMMANDS,
        *sets.COMMANDS,
        *zsets.COMMANDS,
        *zset_ranges.COMMANDS,
        *zset_pops.COMMANDS,
        *zset_combine.COMMANDS,
        *keys.COMMANDS,
        *expiry.COMMANDS,
        *scan.COMMANDS,
        *sort.COMMANDS,
        *object.COMMANDS,
        *connection_commands.COMMANDS,
        *transactions.COMMANDS,
        *introspection.COMMANDS,
        *info.COMMANDS,
        *observation_commands.COMMANDS,
        *debug_commands.COMMANDS,
        *server_commands.COMMANDS,
        *persistence_commands.COMMANDS,
        *dump.COMMANDS,
        *client_commands.COMMANDS,
        *config_commands.COMMANDS,
        *pubsub_commands.COMMANDS,
        *script_commands.COMMANDS,
    )
