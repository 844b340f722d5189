"""COMMAND: what the server tells clients about its own commands.

Owns: the reply shapes of COMMAND and its subcommands. Everything in them follows from the declarations in the
command table; the documentation behind COMMAND DOCS stands in command_docs.
Must not know: what any command does.
"""

from typing import Final

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.commands.key_positions import (
    KEY_FLAG_ORDER,
    KeyReference,
    find_keys,
    has_keys,
    has_movable_keys,
    legacy_range,
)
from gossamer.commands.table import FLAG_NAMES, Command, KeySpec, implicit_categories
from gossamer.engine.client import Client
from gossamer.engine.command_docs import write_docs
from gossamer.resp.errors import SYNTAX
from gossamer.resp.writer import ReplyWriter

# Flags that the server keeps to itself.
HIDDEN_FLAGS: Final = frozenset(
    ("may_replicate", "touches_arbitrary_keys", "protected", "sentinel", "only_sentinel")
)


def command(client: Client, argv: list[bytes]) -> None:
    """COMMAND: every command."""
    table = client.engine.commands
    client.reply.array(len(table))
    for entry in table.values():
        write_command(client.reply, entry)


def command_count(client: Client, argv: list[bytes]) -> None:
    """COMMAND COUNT: containers count once."""
    client.reply.integer(len(client.engine.commands))


def command_info(client: Client, argv: list[bytes]) -> None:
    """COMMAND INFO [name ...]: in the order asked for, a null for what does not exist."""
    if len(argv) == 2:
        command(client, argv)
        return
    client.reply.array(len(argv) - 2)
    for name in argv[2:]:
        entry = command_by_full_name(client.engine.commands, name)
        if entry is None:
            client.reply.null()
        else:
            write_command(client.reply, entry)


def command_docs(client: Client, argv: list[bytes]) -> None:
    """COMMAND DOCS [name ...]: what does not exist is left out."""
    table = client.engine.commands
    if len(argv) == 2:
        entries = list(table.values())
    else:
        asked = [command_by_full_name(table, name) for name in argv[2:]]
        entries = [entry for entry in asked if entry is not None]
    client.reply.map(len(entries))
    for entry in entries:
        client.reply.bulk(entry.full_name)
        subs = [sub.full_name for sub in entry.subcommands.values()]
        write_docs(client.reply, entry.full_name, subs, int(client.limits.compat))


def command_list(client: Client, argv: list[bytes]) -> None:
    """COMMAND LIST [FILTERBY MODULE name | ACLCAT category | PATTERN glob]: names, subcommands included."""
    names: list[bytes] = []
    everything = all_commands(client.engine.commands)
    if len(argv) == 2:
        names = [entry.full_name for entry in everything]
    elif len(argv) == 5 and argv[2].lower() == b"filterby":
        kind = argv[3].lower()
        wanted = argv[4]
        if kind == b"aclcat":
            category = wanted.decode("latin-1").lower()
            names = [entry.full_name for entry in everything if category in implicit_categories(entry)]
        elif kind == b"pattern":
            names = [entry.full_name for entry in everything if match(wanted, entry.full_name, True)]
        elif kind != b"module":
            raise CommandError(SYNTAX)
    else:
        raise CommandError(SYNTAX)
    client.reply.bulk_array(names)


def command_getkeys(client: Client, argv: list[bytes]) -> None:
    """COMMAND GETKEYS command [argument ...]: the keys of that request."""
    found = keys_of_request(client, argv[2:])
    client.reply.array(len(found))
    for reference in found:
        client.reply.bulk(argv[2 + reference.position])


def command_getkeysandflags(client: Client, argv: list[bytes]) -> None:
    """COMMAND GETKEYSANDFLAGS command [argument ...]: each key with what the command does with it."""
    found = keys_of_request(client, argv[2:])
    client.reply.array(len(found))
    for reference in found:
        client.reply.array(2)
        client.reply.bulk(argv[2 + reference.position])
        write_names(client.reply, ordered(reference.flags, KEY_FLAG_ORDER))


def command_help(client: Client, argv: list[bytes]) -> None:
    """COMMAND HELP."""
    client.reply.simple_array(HELP)


def keys_of_request(client: Client, request: list[bytes]) -> list[KeyReference]:
    entry = client.engine.find_command(request)
    if entry is None:
        raise CommandError(b"ERR Invalid command specified")
    if not has_keys(entry):
        raise CommandError(b"ERR The command has no key arguments")
    if len(request) != entry.arity if entry.arity > 0 else len(request) < -entry.arity:
        raise CommandError(b"ERR Invalid number of arguments specified for command")
    found = find_keys(entry, request)
    if not found and "no_mandatory_keys" not in entry.flag_names:
        raise CommandError(b"ERR Invalid arguments specified for command")
    return found


def command_by_full_name(table: dict[bytes, Command], name: bytes) -> Command | None:
    """A command by `name` or `container|subcommand`, in any case of letters."""
    head, bar, tail = name.lower().partition(b"|")
    entry = table.get(head)
    if entry is None or not bar:
        return entry
    return entry.subcommands.get(tail)


def all_commands(table: dict[bytes, Command]) -> list[Command]:
    """Commands and subcommands."""
    everything: list[Command] = []
    for entry in table.values():
        everything.append(entry)
        everything.extend(entry.subcommands.values())
    return everything


def flags_of(entry: Command) -> tuple[str, ...]:
    """The flags as COMMAND prints them."""
    shown = [flag for flag in entry.flag_names if flag not in HIDDEN_FLAGS]
    if "movablekeys" not in shown and has_movable_keys(entry):
        shown.append("movablekeys")
    return ordered(tuple(shown), FLAG_NAMES)


def ordered(names: tuple[str, ...], order: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in order if name in names)


def write_names(reply: ReplyWriter, names: tuple[str, ...]) -> None:
    reply.simple_set([name.encode() for name in names])


def write_command(reply: ReplyWriter, entry: Command) -> None:
    """The ten elements that describe a command."""
    reply.array(10)
    reply.bulk(entry.full_name)
    reply.integer(entry.arity)
    write_names(reply, flags_of(entry))
    for number in legacy_range(entry):
        reply.integer(number)
    reply.simple_set([b"@" + name.encode() for name in implicit_categories(entry)])
    reply.set(len(entry.tips))
    reply.bulks(list(entry.tips))
    reply.set(len(entry.keys))
    for spec in entry.keys:
        write_key_spec(reply, spec)
    reply.set(len(entry.subcommands))
    for sub in entry.subcommands.values():
        write_command(reply, sub)


def write_key_spec(reply: ReplyWriter, spec: KeySpec) -> None:
    """A key specification: flags, where the search begins, how the keys are found."""
    reply.map(4 if spec.notes else 3)
    if spec.notes:
        reply.bulk(b"notes")
        reply.bulk(spec.notes)
    reply.bulk(b"flags")
    write_names(reply, ordered(spec.flags, KEY_FLAG_ORDER))
    if spec.unknown_begin:
        write_search(reply, b"begin_search", b"unknown", ())
    elif spec.keyword:
        begin = ((b"keyword", spec.keyword), (b"startfrom", b"%d" % spec.start_from))
        write_search(reply, b"begin_search", b"keyword", begin)
    else:
        write_search(reply, b"begin_search", b"index", ((b"index", b"%d" % spec.index),))
    if spec.unknown_find:
        write_search(reply, b"find_keys", b"unknown", ())
    elif spec.count_at >= 0:
        count = ((b"keynumidx", b"%d" % spec.count_at), (b"firstkey", b"%d" % spec.first))
        write_search(reply, b"find_keys", b"keynum", (*count, (b"keystep", b"%d" % spec.step)))
    else:
        keys = ((b"lastkey", b"%d" % spec.last), (b"keystep", b"%d" % spec.step))
        write_search(reply, b"find_keys", b"range", (*keys, (b"limit", b"%d" % spec.limit)))


def write_search(
    reply: ReplyWriter, name: bytes, kind: bytes, fields: tuple[tuple[bytes, bytes], ...]
) -> None:
    """One half of a specification: its type and its numbers (only `keyword` has a text)."""
    reply.bulk(name)
    reply.map(2)
    reply.bulk(b"type")
    reply.bulk(kind)
    reply.bulk(b"spec")
    reply.map(len(fields))
    for field, value in fields:
        reply.bulk(field)
        if field == b"keyword":
            reply.bulk(value)
        else:
            reply.integer(int(value))


HELP: Final = (
    b"COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"(no subcommand)",
    b"    Describe every command.",
    b"COUNT",
    b"    How many commands there are.",
    b"LIST [FILTERBY MODULE <name> | ACLCAT <category> | PATTERN <glob>]",
    b"    The names of all commands, or of those that match.",
    b"INFO [<command-name> ...]",
    b"    Describe the named commands, or all.",
    b"DOCS [<command-name> ...]",
    b"    Documentation of the named commands, or of all.",
    b"GETKEYS <full-command>",
    b"    Which of the arguments of a command are keys.",
    b"GETKEYSANDFLAGS <full-command>",
    b"    The same, each with what the command does with the key.",
    b"HELP",
    b"    This text.",
)

_READS: Final = "loading stale"

COMMANDS: Final = (
    Command(
        b"command", command, -1, _READS, "connection",
        tips=(b"nondeterministic_output_order",),
        subcommands=(
            Command(b"count", command_count, 2, _READS, "connection"),
            Command(
                b"docs", command_docs, -2, _READS, "connection", tips=(b"nondeterministic_output_order",)
            ),
            Command(b"getkeys", command_getkeys, -4, _READS, "connection", max_compat=70),
            Command(b"getkeys", command_getkeys, -3, _READS, "connection", min_compat=72),
            Command(b"getkeysandflags", command_getkeysandflags, -4, _READS, "connection", max_compat=70),
            Command(b"getkeysandflags", command_getkeysandflags, -3, _READS, "connection", min_compat=72),
            Command(b"help", command_help, 2, _READS, "connection"),
            Command(
                b"info", command_info, -2, _READS, "connection", tips=(b"nondeterministic_output_order",)
            ),
            Command(
                b"list", command_list, -2, _READS, "connection", tips=(b"nondeterministic_output_order",)
            ),
        ),
    ),
)  # fmt: skip
