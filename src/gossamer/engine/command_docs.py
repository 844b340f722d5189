"""What COMMAND DOCS says: summary, age, group, cost, history and the tree of arguments of every command.

Owns: the reading of command_docs.json, at the first question and not before, and the shape of the reply.
Must not know: the command table; it is asked about one command by its full name.

A record of the file, by full name (`config|get`); all but the first three are optional:

    {"summary": ..., "since": "2.6.12", "group": "string", "complexity": ..., "doc_flags": ["deprecated"],
     "deprecated_since": ..., "replaced_by": ..., "history": [[version, change], ...],
     "arguments": [{"name", "type", "display_text", "key_spec_index", "token", "since", "deprecated_since",
                    "flags", "arguments"}, ...],
     "variants": {"70": {field: value or null}, "80": ...}}

It describes 7.2; what is younger than the server's version is left out, and a variant replaces the fields in
which another version differs. `display_text` stands only where it is not the argument's name.
"""

import json
import pkgutil
from collections.abc import Sequence
from typing import Any, Final

from gossamer.resp.writer import ReplyWriter

VERSIONS: Final = {70: (7, 0, 15), 72: (7, 2, 99), 80: (8, 0, 99)}
TEXT_FIELDS: Final = ("summary", "since", "group", "complexity")
DEPRECATION_FIELDS: Final = ("deprecated_since", "replaced_by")
ARGUMENT_FIELDS: Final = ("token", "since", "deprecated_since")
BRANCHES: Final = frozenset(("oneof", "block"))


class CommandDocs:
    """The file's records, loaded when first needed."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, Any]] | None = None

    def record(self, full_name: bytes, compat: int) -> dict[str, Any]:
        """A command's record as the version `compat` has it; empty for a command without documentation."""
        if self.records is None:
            data = pkgutil.get_data("gossamer.engine", "command_docs.json")
            assert data is not None
            self.records = json.loads(data)
        record = self.records.get(full_name.decode("latin-1"), {})
        variant = record.get("variants", {}).get(str(compat))
        return record if variant is None else {**record, **variant}


DOCS: Final = CommandDocs()


def is_known_to(version: str, compat: int) -> bool:
    """Whether what came with `version` is there in the server that `compat` names."""
    return tuple(int(part) for part in version.split(".")) <= VERSIONS[compat]


def write_docs(reply: ReplyWriter, full_name: bytes, subcommands: list[bytes], compat: int) -> None:
    """The map that documents a command; `subcommands` are full names."""
    record = DOCS.record(full_name, compat)
    history = [entry for entry in record.get("history") or [] if is_known_to(entry[0], compat)]
    arguments = known_arguments(record.get("arguments") or [], compat)
    texts = [field for field in TEXT_FIELDS if record.get(field) is not None]
    flags = record.get("doc_flags") or []
    deprecation = [field for field in DEPRECATION_FIELDS if record.get(field) is not None]
    parts = (flags, history, arguments, subcommands)
    reply.map(len(texts) + len(deprecation) + sum(1 for part in parts if part))
    write_texts(reply, record, texts)
    if flags:
        reply.bulk(b"doc_flags")
        reply.simple_set([flag.encode() for flag in flags])
    write_texts(reply, record, deprecation)
    if history:
        reply.bulk(b"history")
        reply.set(len(history))
        for version, change in history:
            reply.bulk_array([version.encode(), change.encode()])
    if arguments:
        write_arguments(reply, arguments, compat)
    if subcommands:
        reply.bulk(b"subcommands")
        reply.map(len(subcommands))
        for name in subcommands:
            reply.bulk(name)
            write_docs(reply, name, [], compat)


def known_arguments(arguments: list[dict[str, Any]], compat: int) -> list[dict[str, Any]]:
    """The arguments that the version has."""
    return [entry for entry in arguments if "since" not in entry or is_known_to(entry["since"], compat)]


def write_texts(reply: ReplyWriter, record: dict[str, Any], fields: Sequence[str]) -> None:
    for field in fields:
        reply.bulk(field.encode())
        reply.bulk(record[field].encode())


def write_arguments(reply: ReplyWriter, arguments: list[dict[str, Any]], compat: int) -> None:
    reply.bulk(b"arguments")
    reply.array(len(arguments))
    for argument in arguments:
        write_argument(reply, argument, compat)


def write_argument(reply: ReplyWriter, argument: dict[str, Any], compat: int) -> None:
    """One argument, with those inside it."""
    inner = known_arguments(argument.get("arguments", []), compat)
    texts = [field for field in ARGUMENT_FIELDS if field in argument]
    shows_text = compat >= 72 and argument["type"] not in BRANCHES
    has_key = "key_spec_index" in argument
    flags = argument.get("flags", [])
    optional = (shows_text, has_key, bool(flags), bool(inner))
    reply.map(2 + len(texts) + sum(optional))
    write_texts(reply, argument, ["name", "type"])
    if shows_text:
        reply.bulk(b"display_text")
        reply.bulk(argument.get("display_text", argument["name"]).encode())
    if has_key:
        reply.bulk(b"key_spec_index")
        reply.integer(argument["key_spec_index"])
    write_texts(reply, argument, texts)
    if flags:
        reply.bulk(b"flags")
        reply.simple_set([flag.encode() for flag in flags])
    if inner:
        write_arguments(reply, inner, compat)
