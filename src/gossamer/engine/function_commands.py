"""FUNCTION, FCALL, FCALL_RO."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.commands.arguments import integer_argument_or
from gossamer.commands.table import Command, KeySpec
from gossamer.engine.client import Client
from gossamer.engine.functions import Function, Library
from gossamer.resp.errors import wrong_shape

POLICIES: Final = (b"flush", b"append", b"replace")


def call_function(client: Client, argv: list[bytes], read_only: bool) -> None:
    functions = client.engine.functions
    if argv[1].lower() not in functions.functions:
        raise CommandError(b"ERR Function not found")
    count: i64 = integer_argument_or(argv[2], b"ERR Bad number of keys provided")
    if count > len(argv) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    functions.call(client, argv, count, read_only)


def fcall(client: Client, argv: list[bytes]) -> None:
    """FCALL function numkeys [key ...] [arg ...]"""
    call_function(client, argv, False)


def fcall_ro(client: Client, argv: list[bytes]) -> None:
    """FCALL_RO function numkeys [key ...] [arg ...]"""
    call_function(client, argv, True)


def function_load(client: Client, argv: list[bytes]) -> None:
    """FUNCTION LOAD [REPLACE] code"""
    for option in argv[2:-1]:
        if option.lower() != b"replace":
            raise CommandError(b"ERR Unknown option given: " + option.partition(b"\0")[0])
    name = client.engine.functions.load(argv[-1], len(argv) > 3)
    client.state.dirty += 1
    client.reply.bulk(name)


def function_delete(client: Client, argv: list[bytes]) -> None:
    client.engine.functions.remove(argv[2])
    client.state.dirty += 1
    client.reply.ok()


def function_flush(client: Client, argv: list[bytes]) -> None:
    if len(argv) > 3:
        raise CommandError(wrong_shape(argv[1], b"FUNCTION"))
    if len(argv) == 3 and argv[2].lower() not in (b"sync", b"async"):
        raise CommandError(b"ERR FUNCTION FLUSH only supports SYNC|ASYNC option")
    client.engine.functions.clear()
    client.state.dirty += 1
    client.reply.ok()


def function_dump(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk(client.engine.functions.dump())


def function_restore(client: Client, argv: list[bytes]) -> None:
    """FUNCTION RESTORE payload [FLUSH|APPEND|REPLACE]"""
    policy = argv[3].lower() if len(argv) > 3 else b"append"
    if len(argv) > 4:
        raise CommandError(wrong_shape(argv[1], b"FUNCTION"))
    if policy not in POLICIES:
        raise CommandError(
            b"ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE."
        )
    client.engine.functions.restore(argv[2], policy)
    client.state.dirty += 1
    client.reply.ok()


def function_kill(client: Client, argv: list[bytes]) -> None:
    client.engine.scripts.kill(True)
    client.reply.ok()


def function_list(client: Client, argv: list[bytes]) -> None:
    """FUNCTION LIST [LIBRARYNAME pattern] [WITHCODE]"""
    pattern: bytes | None = None
    with_code = False
    at = 2
    while at < len(argv):
        option = argv[at].lower()
        if option == b"withcode" and not with_code:
            with_code = True
        elif option == b"libraryname" and pattern is None:
            at += 1
            if at >= len(argv):
                raise CommandError(b"ERR library name argument was not given")
            pattern = argv[at]
        else:
            raise CommandError(b"ERR Unknown argument " + argv[at].partition(b"\0")[0])
        at += 1
    libraries = [
        library
        for library in client.engine.functions.libraries.values()
        if pattern is None or match(pattern, library.name, True)
    ]
    client.reply.array(i64(len(libraries)))
    for library in libraries:
        describe_library(client, library, with_code)


def describe_library(client: Client, library: Library, with_code: bool) -> None:
    reply = client.reply
    reply.map(4 if with_code else 3)
    reply.bulk(b"library_name")
    reply.bulk(library.name)
    reply.bulk(b"engine")
    reply.bulk(b"LUA")
    reply.bulk(b"functions")
    reply.array(i64(len(library.functions)))
    for function in library.functions.values():
        describe_function(client, function)
    if with_code:
        reply.bulk(b"library_code")
        reply.bulk(library.code)


def describe_function(client: Client, function: Function) -> None:
    reply = client.reply
    reply.map(3)
    reply.bulk(b"name")
    reply.bulk(function.name)
    reply.bulk(b"description")
    if function.description is None:
        reply.null()
    else:
        reply.bulk(function.description)
    reply.bulk(b"flags")
    reply.set(i64(len(function.flag_names)))
    for name in function.flag_names:
        reply.simple(name)


def function_stats(client: Client, argv: list[bytes]) -> None:
    reply = client.reply
    engine = client.engine
    running = engine.scripts.running
    reply.map(2)
    reply.bulk(b"running_script")
    if running is None or not running.is_function:
        reply.null()
    else:
        reply.map(3)
        reply.bulk(b"name")
        reply.bulk(running.name)
        reply.bulk(b"command")
        words = running.command
        reply.array(i64(len(words)))
        for word in words:
            reply.bulk(word)
        reply.bulk(b"duration_ms")
        reply.integer((engine.clock.now_us() - running.started_us) // 1000)
    reply.bulk(b"engines")
    reply.map(1)
    reply.bulk(b"LUA")
    reply.map(2)
    reply.bulk(b"libraries_count")
    reply.integer(i64(len(engine.functions.libraries)))
    reply.bulk(b"functions_count")
    reply.integer(i64(len(engine.functions.functions)))


HELP: Final = (
    b"FUNCTION <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"LOAD [REPLACE] <FUNCTION CODE>",
    b"    Create a new library with the given library name and code.",
    b"DELETE <LIBRARY NAME>",
    b"    Delete the given library.",
    b"LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    b"    Return general information on all the libraries:",
    b"    * Library name",
    b"    * The engine used to run the Library",
    b"    * Library description",
    b"    * Functions list",
    b"    * Library code (if WITHCODE is given)",
    b"    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
    b"STATS",
    b"    Return information about the current function running:",
    b"    * Function name",
    b"    * Command used to run the function",
    b"    * Duration in MS that the function is running",
    b"    If no function is running, return nil",
    b"    In addition, returns a list of available engines.",
    b"KILL",
    b"    Kill the current running function.",
    b"FLUSH [ASYNC|SYNC]",
    b"    Delete all the libraries.",
    b"    When called without the optional mode argument, the behavior is determined by the",
    b"    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    b"    * ASYNC: Asynchronously flush the libraries.",
    b"    * SYNC: Synchronously flush the libraries.",
    b"DUMP",
    b"    Return a serialized payload representing the current libraries, "
    b"can be restored using FUNCTION RESTORE command",
    b"RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    b"    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
    b"    control how to handle existing libraries (default APPEND):",
    b"    * FLUSH: delete all existing libraries.",
    b"    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
    b"    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
    b"      libraries with the new libraries (notice that even on this option there is a chance of failure",
    b"      in case of functions name collision with another library).",
    b"HELP",
)


def function_help(client: Client, argv: list[bytes]) -> None:
    compat = client.limits.compat
    lines = [line for line in HELP if compat < 80 or line != b"    * Library description"]
    lines.append(b"    Prints this help." if compat < 72 else b"    Print this help.")
    client.reply.simple_array(tuple(lines))


_CALL: Final = "noscript stale skip_monitor no_mandatory_keys movablekeys"
_SCRIPTING: Final = "scripting"
_WRITES: Final = "write denyoom noscript"
_ALL_SHARDS: Final = (b"request_policy:all_shards", b"response_policy:all_succeeded")
_NOTE_WRITES: Final = b"We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
_NOTE_READS: Final = b"We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"

COMMANDS: Final = (
    Command(
        b"fcall",
        fcall,
        -3,
        _CALL,
        _SCRIPTING,
        (KeySpec("RW access update", index=2, count_at=0, first=1, notes=_NOTE_WRITES),),
    ),
    Command(
        b"fcall_ro",
        fcall_ro,
        -3,
        "readonly " + _CALL,
        _SCRIPTING,
        (KeySpec("RO access", index=2, count_at=0, first=1, notes=_NOTE_READS),),
    ),
    Command(
        b"function",
        None,
        -2,
        "",
        "",
        subcommands=(
            Command(b"dump", function_dump, 2, "noscript", _SCRIPTING),
            Command(b"restore", function_restore, -3, _WRITES, _SCRIPTING, tips=_ALL_SHARDS),
            Command(b"delete", function_delete, 3, "write noscript", _SCRIPTING, tips=_ALL_SHARDS),
            Command(b"load", function_load, -3, _WRITES, _SCRIPTING, tips=_ALL_SHARDS),
            Command(b"flush", function_flush, -2, "write noscript", _SCRIPTING, tips=_ALL_SHARDS),
            Command(
                b"kill",
                function_kill,
                2,
                "noscript allow_busy",
                _SCRIPTING,
                tips=(b"request_policy:all_shards", b"response_policy:one_succeeded"),
            ),
            Command(b"help", function_help, 2, "loading stale", _SCRIPTING),
            Command(
                b"stats",
                function_stats,
                2,
                "noscript allow_busy",
                _SCRIPTING,
                tips=(b"nondeterministic_output", b"request_policy:all_shards", b"response_policy:special"),
            ),
            Command(
                b"list",
                function_list,
                -2,
                "noscript",
                _SCRIPTING,
                tips=(b"nondeterministic_output_order",),
            ),
        ),
    ),
)
