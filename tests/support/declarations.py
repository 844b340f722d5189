"""A real server's COMMAND output, read back as the declaration that would produce it.

Owns: the way from a COMMAND INFO entry to the text of a `Command(...)` record, for failure messages and for
whoever writes a new command:

    PYTHONPATH=src:tests python -m support.declarations redis-server zadd "config|get"
"""

from __future__ import annotations

import sys
from typing import Any

from support.servers import ServerProcess

FROM_FLAGS = {"write": "@write", "readonly": "@read", "pubsub": "@pubsub", "blocking": "@blocking"}


def fields(flat: list[Any]) -> dict[str, Any]:
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def declared_categories(flags: list[str], categories: list[str]) -> list[str]:
    """The categories that do not follow from the flags."""
    implied = {"@fast", "@slow"} | {category for flag, category in FROM_FLAGS.items() if flag in flags}
    if "admin" in flags:
        implied |= {"@admin", "@dangerous"}
    return [category.removeprefix("@") for category in categories if category not in implied]


def key_spec(entry: list[Any]) -> str:
    spec = fields(entry)
    begin, find = fields(spec["begin_search"]), fields(spec["find_keys"])
    start, keys = fields(begin["spec"]), fields(find["spec"])
    parts = [repr(" ".join(flag.decode() for flag in spec["flags"])).replace("'", '"')]
    if begin["type"] == b"index":
        parts.append(f"index={start['index']}")
    elif begin["type"] == b"keyword":
        parts += [f'keyword=b"{start["keyword"].decode()}"', f"start_from={start['startfrom']}"]
    else:
        parts.append("unknown_begin=True")
    if find["type"] == b"keynum":
        parts += [f"count_at={keys['keynumidx']}", f"first={keys['firstkey']}"]
        parts += [f"step={keys['keystep']}"] if keys["keystep"] != 1 else []
    elif find["type"] == b"range":
        defaults = {"lastkey": ("last", 0), "keystep": ("step", 1), "limit": ("limit", 0)}
        parts += [f"{name}={keys[k]}" for k, (name, default) in defaults.items() if keys[k] != default]
    else:
        parts.append("unknown_find=True")
    if "notes" in spec:
        parts.append('notes=b"(say why in our own words)"')
    return f"KeySpec({', '.join(parts)})"


def declaration(entry: list[Any], indent: str = "") -> str:
    """The text of the Command record for one entry of COMMAND INFO."""
    name = entry[0].decode().rpartition("|")[2]
    flags = [flag.decode() for flag in entry[2] if flag != b"movablekeys"]
    categories = declared_categories(flags, [category.decode() for category in entry[6]])
    function = entry[0].decode().replace("|", "_").replace("-", "_")
    parts = [f'b"{name}"', function, str(entry[1]), f'"{" ".join(flags)}"', f'"{" ".join(categories)}"']
    if entry[8]:
        parts.append("keys=(" + ", ".join(key_spec(spec) for spec in entry[8]) + ",)")
    if entry[7]:
        parts.append("tips=(" + ", ".join(f'b"{tip.decode()}"' for tip in entry[7]) + ",)")
    text = f"{indent}Command({', '.join(parts)}"
    if entry[9]:
        subs = ",\n".join(
            declaration(sub, indent + "    ") for sub in sorted(entry[9], key=lambda sub: sub[0])
        )
        text += f", subcommands=(\n{subs},\n{indent})"
    return text + ")"


def main() -> None:
    with ServerProcess(sys.argv[1]) as server, server.client() as client:
        for entry in client.call("COMMAND", "INFO", *sys.argv[2:]).plain():
            print(declaration(entry) if entry else "no such command")


if __name__ == "__main__":
    main()
