"""The `gossamer` command: finds the subcommand and hands it the rest of the line.

Owns: the list of subcommands, --version, --help.
Must not know: what a subcommand does. It imports nothing heavy, and of the subcommands only the one that
runs: a server is to be up in a moment.
"""

import sys
from collections.abc import Callable
from typing import Final

SERVE_HELP: Final = "start a server; takes what redis-server takes: [file.conf] [--directive value ...] [-]"

SENTINEL_HELP: Final = (
    "start a Sentinel; takes what redis-sentinel takes: sentinel.conf [--directive value ...]"
)

CHECK_RDB_HELP: Final = "say what an RDB file holds, or what is wrong with it, where, and what is left"
CHECK_AOF_HELP: Final = "the same for an append only file, its manifest or its directory; repair a torn end"

SUBCOMMANDS: Final = (
    ("serve", SERVE_HELP),
    ("sentinel", SENTINEL_HELP),
    ("check-rdb", CHECK_RDB_HELP),
    ("check-aof", CHECK_AOF_HELP),
)


def main(argv: list[str] | None = None) -> int:
    """Run the command line and answer the exit status."""
    words = sys.argv[1:] if argv is None else argv
    first = words[0] if words else "--help"
    if first in ("--version", "-v"):
        print(version_text())
        return 0
    if first in ("--help", "-h", "help"):
        print(help_text())
        return 0
    if first == "serve" and "--sentinel" in words:
        first = "sentinel"
    subcommand = find(first)
    if subcommand is None:
        kind = "option" if first.startswith("-") else "subcommand"
        print(f"gossamer: no such {kind}: {first}\n\n{help_text()}", file=sys.stderr)
        return 2
    return subcommand(words[1:])


def find(name: str) -> Callable[[list[str]], int] | None:
    """The function behind a subcommand."""
    if name == "serve":
        from gossamer.server.main import run

        return run
    if name == "sentinel":
        from gossamer.server.sentinel_main import run as run_sentinel

        return run_sentinel
    if name == "check-rdb":
        from gossamer.cli.check import check_rdb

        return check_rdb
    if name == "check-aof":
        from gossamer.cli.check import check_aof

        return check_aof
    return None


def version_text() -> str:
    """Version, build mode and what of it is compiled."""
    from gossamer import __version__
    from gossamer.base import build

    lines = [f"gossamer {__version__}"]
    if build.compiled():
        lines += ["compiled: yes", *(f"  {name}" for name in build.HOT_MODULES)]
    else:
        lines.append("compiled: no (interpreted)")
    lines.append(f"python {sys.version.split()[0]}")
    return "\n".join(lines)


def help_text() -> str:
    width = max(len(name) for name, _ in SUBCOMMANDS)
    listed = "\n".join(f"  {name:{width}}  {text}" for name, text in SUBCOMMANDS)
    return (
        "Usage: gossamer <subcommand> [arguments]\n\n"
        f"Subcommands:\n{listed}\n\n"
        "  gossamer <subcommand> --help  what a subcommand takes\n"
        "  gossamer --version            version and build mode\n"
        "  gossamer --help               this text"
    )
