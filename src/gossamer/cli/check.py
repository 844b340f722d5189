"""`gossamer check-rdb` and `gossamer check-aof`: their arguments. What they do is in `ops/`."""

import argparse
import sys
from collections.abc import Callable
from typing import Final, NoReturn

INTERRUPTED: Final = 130  # as shells have it


class UsageError(Exception):
    """The command line cannot be understood."""


class ArgumentParser(argparse.ArgumentParser):
    """Leaves the end of the process, and the exit status, to who asked."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def arguments_of(parser: ArgumentParser, words: list[str]) -> argparse.Namespace | int:
    """The arguments, or the exit status where there is nothing more to do."""
    if "--help" in words or "-h" in words:
        print(parser.format_help().rstrip())
        return 0
    try:
        return parser.parse_args(words)
    except UsageError as error:
        print(f"{parser.prog}: {error}\n\n{parser.format_usage().rstrip()}", file=sys.stderr)
        return 1


def interruptible(tool: Callable[[], int]) -> int:
    """Run a tool; Ctrl-C ends it without a traceback."""
    try:
        return tool()
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return INTERRUPTED


def add_progress(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--progress",
        action=argparse.BooleanOptionalAction,
        help="show how far it is, on standard error; by default on a terminal only",
    )


def check_rdb(words: list[str]) -> int:
    """Run `gossamer check-rdb`; the exit status."""
    parser = ArgumentParser(
        prog="gossamer check-rdb",
        description="Says what an RDB file of Redis, Valkey or Gossamer holds; of a damaged one what is wrong, where, "
        "and how many keys stand before the damage. Changes nothing.",
        epilog="exit status: 0 all files are sound; 1 one is not, or cannot be read",
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="an RDB file")
    parser.add_argument(
        "--salvage",
        metavar="NEW",
        default="",
        help="write the complete keys that stand before the damage to a new file, which a server loads",
    )
    add_progress(parser)
    arguments = arguments_of(parser, words)
    if isinstance(arguments, int):
        return arguments
    if arguments.salvage and len(arguments.files) > 1:
        print("gossamer check-rdb: --salvage takes one file", file=sys.stderr)
        return 1
    from gossamer.ops import check_rdb as tool

    return interruptible(lambda: tool.run(arguments.files, arguments.salvage, arguments.progress))


def seconds(text: str) -> int:
    """The value of --truncate-to-timestamp."""
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) == 0:
        raise argparse.ArgumentTypeError(f"not a time in seconds since the epoch: {text}")
    return int(text)


def check_aof(words: list[str]) -> int:
    """Run `gossamer check-aof`; the exit status."""
    parser = ArgumentParser(
        prog="gossamer check-aof",
        description="Says what an append only file of Redis, Valkey or Gossamer holds; of a damaged one what is "
        "wrong, in which file, where, and what survives. Changes nothing unless told to, and asks before.",
        epilog="exit status: 0 it is sound, or was made so; 1 it is not, or cannot be read",
        allow_abbrev=False,
    )
    parser.add_argument(
        "path",
        metavar="PATH",
        help="a file, a manifest, or a directory with a manifest (or the server's own)",
    )
    change = parser.add_mutually_exclusive_group()
    change.add_argument(
        "--fix",
        action="store_true",
        help="cut a torn or damaged end off: of the last file only, after asking",
    )
    change.add_argument(
        "--truncate-to-timestamp",
        type=seconds,
        default=-1,
        metavar="SECONDS",
        help="cut off what was written after that time, as the annotations #TS: tell it",
    )
    parser.add_argument(
        "--keep-unverified",
        action="store_true",
        help="with --fix: keep what can be read although a check sum puts it in doubt",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--no-backup", action="store_true", help="keep no copy (FILE.before-fix) of the file that is cut"
    )
    add_progress(parser)
    arguments = arguments_of(parser, words)
    if isinstance(arguments, int):
        return arguments
    from gossamer.ops import check_aof as tool

    options = tool.Options(
        arguments.fix,
        arguments.truncate_to_timestamp,
        arguments.yes,
        not arguments.no_backup,
        arguments.keep_unverified,
    )
    return interruptible(lambda: tool.run(arguments.path, options, arguments.progress))
