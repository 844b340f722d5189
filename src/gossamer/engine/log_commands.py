"""SLOWLOG, and COMMANDLOG with its three logs: slow, large-request, large-reply."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.engine.command_log import CommandLog
from gossamer.resp.errors import NOT_INTEGER

DEFAULT_SLOW_ENTRIES: Final = 10
COUNT_TOO_SMALL: Final = b"ERR count should be greater than or equal to -1"


def write_entries(client: Client, log: CommandLog, count: i64) -> None:
    """The newest entries, all of them for -1."""
    entries = log.entries if count == -1 else log.entries[:count]
    reply = client.reply
    reply.array(len(entries))
    for entry in entries:
        reply.array(6)
        reply.integer(entry.number)
        reply.integer(entry.at_s)
        reply.integer(entry.cost)
        reply.bulk_array(entry.argv)
        reply.bulk(entry.peer)
        reply.bulk(entry.name)


def slowlog_get(client: Client, argv: list[bytes]) -> None:
    count: i64 = DEFAULT_SLOW_ENTRIES
    if len(argv) == 3:
        count = to_int64(argv[2]) if is_int64(argv[2]) else -2
        if count < -1:
            raise CommandError(COUNT_TOO_SMALL)
    elif len(argv) > 3:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '" + argv[1] + b"'. Try SLOWLOG HELP."
        )
    write_entries(client, client.engine.slowlog, count)


def slowlog_len(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(len(client.engine.slowlog.entries))


def slowlog_reset(client: Client, argv: list[bytes]) -> None:
    client.engine.slowlog.entries = []
    client.reply.ok()


SLOWLOG_HELP: Final = (
    b"SLOWLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"GET [<count>]",
    b"    The newest entries: 10 of them, so many, or all with -1. An entry has its id, the",
    b"    time, how long it took in microseconds, the arguments, the client and its name.",
    b"LEN",
    b"    How many entries there are.",
    b"RESET",
    b"    Forget them.",
    b"HELP",
    b"    This text.",
)


def slowlog_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(SLOWLOG_HELP)


def log_of(client: Client, word: bytes) -> CommandLog:
    """The log of a type; raises CommandError."""
    kind = word.lower()
    if kind == b"slow":
        return client.engine.slowlog
    if kind == b"large-request":
        return client.engine.large_requests
    if kind == b"large-reply":
        return client.engine.large_replies
    raise CommandError(b"ERR type should be one of the following: slow, large-request, large-reply")


def commandlog_get(client: Client, argv: list[bytes]) -> None:
    if not is_int64(argv[2]):
        raise CommandError(NOT_INTEGER)
    if to_int64(argv[2]) < -1:
        raise CommandError(COUNT_TOO_SMALL)
    write_entries(client, log_of(client, argv[3]), to_int64(argv[2]))


def commandlog_len(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(len(log_of(client, argv[2]).entries))


def commandlog_reset(client: Client, argv: list[bytes]) -> None:
    log_of(client, argv[2]).entries = []
    client.reply.ok()


COMMANDLOG_HELP: Final = (
    b"COMMANDLOG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"GET <count> <type>",
    b"    The newest entries of a log, all with -1. An entry has its id, the time, what it cost",
    b"    (microseconds, or bytes), the arguments, the client and its name.",
    b"    The types: slow, large-request, large-reply.",
    b"LEN <type>",
    b"    How many entries there are.",
    b"RESET <type>",
    b"    Forget them.",
    b"HELP",
    b"    This text.",
)


def commandlog_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(COMMANDLOG_HELP)


_LOG: Final = "admin loading stale"
_GET_TIPS: Final = (b"request_policy:all_nodes", b"nondeterministic_output")
_LEN_TIPS: Final = (b"request_policy:all_nodes", b"response_policy:agg_sum", b"nondeterministic_output")
_RESET_TIPS: Final = (b"request_policy:all_nodes", b"response_policy:all_succeeded")

COMMANDS: Final = (
    Command(
        b"slowlog", None, -2, "", "slow",
        subcommands=(
            Command(b"get", slowlog_get, -2, _LOG, "", tips=_GET_TIPS),
            Command(b"len", slowlog_len, 2, _LOG, "", tips=_LEN_TIPS),
            Command(b"reset", slowlog_reset, 2, _LOG, "", tips=_RESET_TIPS),
            Command(b"help", slowlog_help, 2, "loading stale", ""),
        ),
    ),
    Command(
        b"commandlog", None, -2, "", "slow", newer=True,
        subcommands=(
            Command(b"get", commandlog_get, 4, _LOG, "", tips=_GET_TIPS),
            Command(b"len", commandlog_len, 3, _LOG, "", tips=_LEN_TIPS),
            Command(b"reset", commandlog_reset, 3, _LOG, "", tips=_RESET_TIPS),
            Command(b"help", commandlog_help, 2, "loading stale", ""),
        ),
    ),
)  # fmt: skip
