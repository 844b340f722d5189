"""CLIENT PAUSE: which requests wait. What waits, and its end, is the engine's (end_pause).

Under WRITE a request waits that writes or may: what is told to replicas counts, and a script counts unless it says
`no-writes` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.table import WRITE, Command
from gossamer.engine.scripting import COMPATIBLE, NO_WRITES, read_first_line

if TYPE_CHECKING:
    from gossamer.engine.client import Client
    from gossamer.engine.engine import Engine

MAY_REPLICATE: Final = frozenset((b"publish", b"spublish", b"pfcount", b"eval", b"evalsha", b"fcall"))


def must_pause(engine: Engine, client: Client, command: Command, argv: list[bytes]) -> bool:
    """Whether a request has to wait for the end of the pause."""
    if client.is_replica or client.brings_own_data:
        return False
    is_paused: bool = engine.paused_until_ms > engine.state.now_ms
    if is_paused and not engine.pause_writes_only:
        return True
    if not is_paused and not engine.writes_held:
        return False
    if command.name == b"exec" and client.queued is not None:
        for request in client.queued:
            queued = engine.find_command(request)
            if queued is not None and writes(engine, queued, request):
                return True
    return writes(engine, command, argv)


def writes(engine: Engine, command: Command, argv: list[bytes]) -> bool:
    """Whether a request writes, or may."""
    if command.flags & WRITE:
        return True
    return command.name in MAY_REPLICATE and not says_no_writes(engine, command, argv)


def says_no_writes(engine: Engine, command: Command, argv: list[bytes]) -> bool:
    """Whether a request runs a script that promises not to write."""
    flags: i64 = COMPATIBLE
    if command.name == b"fcall":
        function = engine.functions.functions.get(argv[1].lower())
        if function is not None:
            flags = function.flags
    elif command.name == b"evalsha":
        script = engine.scripts.known.get(argv[1].lower())
        if script is not None:
            flags = script.flags
    elif command.name == b"eval":
        try:
            flags = read_first_line(argv[1])[0]
        except CommandError:
            return False  # it will say so when it runs
    return flags & NO_WRITES != 0
