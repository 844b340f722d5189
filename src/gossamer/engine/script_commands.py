"""EVAL, EVALSHA, their read-only forms, SCRIPT."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.table import Command, KeySpec
from gossamer.engine.client import Client
from gossamer.engine.scripting import keys_of

NO_SCRIPT: Final = b"NOSCRIPT No matching script. Please use EVAL."
SHA1_LENGTH: Final = 40


def evaluate(client: Client, argv: list[bytes], read_only: bool) -> None:
    keys_count = keys_of(argv)
    scripts = client.engine.scripts
    scripts.run(client, argv, keys_count, scripts.load(argv[1], True), read_only)


def evaluate_sha(client: Client, argv: list[bytes], read_only: bool) -> None:
    scripts = client.engine.scripts
    digest = argv[1].lower()
    script = scripts.known.get(digest) if len(digest) == SHA1_LENGTH else None
    if script is None:
        if len(digest) == SHA1_LENGTH:
            keys_of(argv)
        is_valkey = client.engine.personality.is_valkey
        raise CommandError(b"NOSCRIPT No matching script." if is_valkey else NO_SCRIPT)
    scripts.run(client, argv, keys_of(argv), script, read_only)


def eval_command(client: Client, argv: list[bytes]) -> None:
    """EVAL script numkeys [key ...] [arg ...]"""
    evaluate(client, argv, False)


def eval_ro(client: Client, argv: list[bytes]) -> None:
    """EVAL_RO script numkeys [key ...] [arg ...]"""
    evaluate(client, argv, True)


def evalsha(client: Client, argv: list[bytes]) -> None:
    """EVALSHA sha1 numkeys [key ...] [arg ...]"""
    evaluate_sha(client, argv, False)


def evalsha_ro(client: Client, argv: list[bytes]) -> None:
    """EVALSHA_RO sha1 numkeys [key ...] [arg ...]"""
    evaluate_sha(client, argv, True)


def script_load(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk(client.engine.scripts.load(argv[2], False).digest)


def script_exists(client: Client, argv: list[bytes]) -> None:
    known = client.engine.scripts.known
    client.reply.array(i64(len(argv) - 2))
    for digest in argv[2:]:
        client.reply.integer(1 if digest.lower() in known else 0)


def script_flush(client: Client, argv: list[bytes]) -> None:
    if len(argv) > 3 or (len(argv) == 3 and argv[2].lower() not in (b"sync", b"async")):
        raise CommandError(b"ERR SCRIPT FLUSH only support SYNC|ASYNC option")
    client.engine.scripts.flush()
    client.reply.ok()


def script_kill(client: Client, argv: list[bytes]) -> None:
    client.engine.scripts.kill(False)
    client.reply.ok()


def script_show(client: Client, argv: list[bytes]) -> None:
    """SCRIPT SHOW sha1: the body of a script (Valkey 8)."""
    script = client.engine.scripts.known.get(argv[2].lower()) if len(argv[2]) == SHA1_LENGTH else None
    if script is None:
        raise CommandError(b"NOSCRIPT No matching script.")
    client.reply.bulk(script.body)


def script_debug(client: Client, argv: list[bytes]) -> None:
    """SCRIPT DEBUG YES|SYNC|NO: there is no debugger here; NO says so without an error."""
    mode = argv[2].lower()
    if mode not in (b"no", b"yes", b"sync"):
        raise CommandError(b"ERR Use SCRIPT DEBUG YES/SYNC/NO")
    if mode != b"no":
        raise CommandError(b"ERR the Lua debugger is not available in this server")
    client.reply.ok()


HELP: Final = (
    b"SCRIPT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"DEBUG (YES|SYNC|NO)",
    b"    Set the debug mode for subsequent scripts executed.",
    b"EXISTS <sha1> [<sha1> ...]",
    b"    Return information about the existence of the scripts in the script cache.",
    b"FLUSH [ASYNC|SYNC]",
    b"    Flush the Lua scripts cache. Very dangerous on replicas.",
    b"    When called without the optional mode argument, the behavior is determined by the",
    b"    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    b"    * ASYNC: Asynchronously flush the scripts cache.",
    b"    * SYNC: Synchronously flush the scripts cache.",
    b"KILL",
    b"    Kill the currently executing Lua script.",
    b"LOAD <script>",
    b"    Load a script into the scripts cache without executing it.",
)

_HELP_SHOW: Final = (b"SHOW <sha1>", b"    Show a script from the scripts cache.")
_FLUSH_VALKEY: Final = (
    b"    When called without the optional mode argument, the behavior is determined",
    b"     by the lazyfree-lazy-user-flush configuration directive. Valid modes are:",
)


def script_help(client: Client, argv: list[bytes]) -> None:
    lines = list(HELP)
    if client.limits.compat >= 80:
        lines[7:9] = _FLUSH_VALKEY
        lines += _HELP_SHOW
    lines += [b"HELP", b"    Prints this help." if client.limits.compat < 72 else b"    Print this help."]
    client.reply.simple_array(tuple(lines))


_UNKNOWN_WRITES: Final = b"We cannot tell how the keys will be used so we assume the worst, RW and UPDATE"
_UNKNOWN_READS: Final = b"We cannot tell how the keys will be used so we assume the worst, RO and ACCESS"


def _keys(flags: str, notes: bytes = b"") -> tuple[KeySpec, ...]:
    return (KeySpec(flags, index=2, count_at=0, first=1, notes=notes),)


_WRITES: Final = "noscript stale skip_monitor no_mandatory_keys movablekeys"
_READS: Final = "readonly " + _WRITES
_ALL_NODES: Final = (b"request_policy:all_nodes", b"response_policy:all_succeeded")
_SCRIPTING: Final = "scripting"

COMMANDS: Final = (
    Command(b"eval", eval_command, -3, _WRITES, _SCRIPTING, _keys("RW access update", _UNKNOWN_WRITES)),
    Command(b"evalsha", evalsha, -3, _WRITES, _SCRIPTING, _keys("RW access update")),
    Command(b"eval_ro", eval_ro, -3, _READS, _SCRIPTING, _keys("RO access", _UNKNOWN_READS)),
    Command(b"evalsha_ro", evalsha_ro, -3, _READS, _SCRIPTING, _keys("RO access")),
    Command(
        b"script",
        None,
        -2,
        "",
        "",
        subcommands=(
            Command(
                b"kill",
                script_kill,
                2,
                "noscript allow_busy",
                _SCRIPTING,
                tips=(b"request_policy:all_shards", b"response_policy:one_succeeded"),
            ),
            Command(b"help", script_help, 2, "loading stale", _SCRIPTING),
            Command(b"load", script_load, 3, "noscript stale", _SCRIPTING, tips=_ALL_NODES),
            Command(b"debug", script_debug, 3, "noscript", _SCRIPTING),
            Command(
                b"exists",
                script_exists,
                -3,
                "noscript",
                _SCRIPTING,
                tips=(b"request_policy:all_shards", b"response_policy:agg_logical_and"),
            ),
            Command(b"flush", script_flush, -2, "noscript", _SCRIPTING, tips=_ALL_NODES),
            Command(b"show", script_show, 3, "noscript", _SCRIPTING, min_compat=80),
        ),
    ),
)
