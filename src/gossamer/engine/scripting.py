"""Scripts: which are known, which one runs, and how it reaches the server.

Owns the cache of EVAL's scripts, the client through which a script's commands run, and the watch over a script that
takes too long. `lua.py` owns the runtime; `script_commands.py` has the commands.

Invariants: one script at a time; time stands still while it runs; its effects are one unit (a transaction); a
script that has written cannot be killed; whatever ends a script, the world is as before for the next one.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.quoting import split_arguments
from gossamer.commands.arguments import integer_argument
from gossamer.commands.table import DENYOOM, NOSCRIPT, STALE, WRITE, Command
from gossamer.engine.acl_access import refusal_in_script
from gossamer.engine.client import GATE_ACL, GATE_TRACKING, Client
from gossamer.engine.lua import (
    FUNCTION_KILLED,
    KILLED,
    LARGE_BYTES,
    LOAD_TIMEOUT,
    NO_ROOM,
    LuaHost,
    LuaWorld,
    ScriptError,
)
from gossamer.resp.errors import OUT_OF_MEMORY, PRIMARY_DOWN, READ_ONLY_REPLICA, TOO_FEW_REPLICAS, quoted

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine

# Flags of a script, from its first line.
NO_WRITES: Final = 1 << 0
ALLOW_OOM: Final = 1 << 1
ALLOW_STALE: Final = 1 << 2
NO_CLUSTER: Final = 1 << 3
ALLOW_CROSS_SLOT_KEYS: Final = 1 << 4
COMPATIBLE: Final = 1 << 5  # a script without a first line: rules are those of each command
FLAG_NAMES: Final = {
    b"no-writes": NO_WRITES,
    b"allow-oom": ALLOW_OOM,
    b"allow-stale": ALLOW_STALE,
    b"no-cluster": NO_CLUSTER,
    b"allow-cross-slot-keys": ALLOW_CROSS_SLOT_KEYS,
}

REPLICATE_ALL: Final = 3  # HEARS_AOF | HEARS_REPLICAS of doors.py
CACHED_BY_EVAL_MAX: Final = 500  # since Valkey 8: of scripts that EVAL brought, the oldest go

# What a reply of RESP begins with.
BULK_MARK: Final = 36
INTEGER_MARK: Final = 58
STATUS_MARK: Final = 43
LINE_END: Final = 13

NO_COMMAND: Final = b"-ERR Please specify at least one argument for this redis lib call\r\n"
BAD_ARGUMENTS: Final = b"-ERR Lua redis lib command arguments must be strings or integers\r\n"
UNKNOWN_COMMAND: Final = b"-ERR Unknown Redis command called from script\r\n"
WRONG_ARITY: Final = b"-ERR Wrong number of args calling Redis command from script\r\n"
NOT_ALLOWED: Final = b"-ERR This Redis command is not allowed from script\r\n"
VALKEY_TEXTS: Final = {
    NO_COMMAND: b"-ERR Please specify at least one argument for this call\r\n",
    BAD_ARGUMENTS: b"-ERR Command arguments must be strings or integers\r\n",
    UNKNOWN_COMMAND: b"-ERR Unknown command called from script\r\n",
    WRONG_ARITY: b"-ERR Wrong number of args calling command from script\r\n",
}
READ_ONLY_SCRIPT: Final = b"READONLY You can not run script with write flag on readonly replica."
STALE_IN_SCRIPT: Final = b"ERR Can not execute the command on a stale replica"
READ_ONLY: Final = b"-ERR Write commands are not allowed from read-only scripts.\r\n"
REPLICATED_READS: Final = frozenset((b"publish", b"spublish", b"pfcount"))  # replicas may hear of them
NOT_RUNNING: Final = b"NOTBUSY No scripts in execution right now."
UNKILLABLE: Final = (
    b"UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the "
    b"script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command."
)
WRITES_IN_RO: Final = b"ERR Can not execute a script with write flag using *_ro command."
OOM_SCRIPT: Final = (
    b"OOM allow-oom flag is not set on the script, can not run it when used memory > 'maxmemory'"
)
BUSY_SCRIPT: Final = b"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."
BUSY_FUNCTION: Final = (
    b"BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE."
)


@final
class Script:
    """A script that was compiled."""

    def __init__(self, body: bytes, digest: bytes, function: Any, flags: i64, from_eval: bool) -> None:
        self.body: bytes = body
        self.digest: bytes = digest  # SHA-1 in lower case
        self.function: Any = function
        self.flags: i64 = flags
        self.from_eval: bool = from_eval


@final
class ScriptRun:
    """The script that runs now."""

    def __init__(
        self,
        caller: Client,
        command: list[bytes],
        name: bytes,
        flags: i64,
        started_us: i64,
        is_function: bool,
    ) -> None:
        self.caller: Client = caller
        self.command: list[bytes] = command  # with which the client called it
        self.name: bytes = name  # of the function, or the SHA-1
        self.flags: i64 = flags
        self.started_us: i64 = started_us
        self.is_function: bool = is_function
        self.wrote: bool = False
        self.killed: bool = False
        self.is_slow: bool = False  # past busy-reply-threshold
        self.out_of_memory: bool = False  # memory was over the limit when it began
        self.replication: i64 = REPLICATE_ALL


class Registrar:
    """Takes the functions that a library registers; this one, for scripts, takes none."""

    def register(self, name: bytes, callback: object, description: object, flags: bytes) -> bytes | None:
        return b"redis.register_function can only be called on FUNCTION LOAD command"


class EngineLuaHost(LuaHost):
    """The server, as scripts reach it."""

    def __init__(self, scripts: Scripts, registrar: Registrar) -> None:
        self.scripts: Scripts = scripts
        self.registrar: Registrar = registrar
        self.world: LuaWorld | None = None  # that the host serves

    def register(self, name: bytes, callback: object, description: object, flags: bytes) -> bytes | None:
        return self.registrar.register(name, callback, description, flags)

    def call(self, *arguments: object) -> object:
        try:
            reply = self.scripts.call(arguments)
            if len(reply) > LARGE_BYTES and self.world is not None and not self.world.has_room(len(reply)):
                return NO_ROOM, False
            return plain_value(reply)
        except Exception as bug:
            self.scripts.engine.hooks.log_bug("redis.call", bug)
            return b"-ERR internal error in a command called from script\r\n", False

    def check_acl(self, *arguments: object) -> bytes:
        try:
            return self.scripts.check_acl(arguments)
        except Exception as bug:
            self.scripts.engine.hooks.log_bug("redis.acl_check_cmd", bug)
            return b":0\r\n"

    def log(self, level: int, text: bytes) -> None:
        try:
            self.scripts.engine.hooks.log_script(int(level), text.decode("utf-8", "replace"))
        except Exception as bug:
            self.scripts.engine.hooks.log_bug("redis.log", bug)

    def sha1(self, text: bytes) -> bytes:
        return sha1_of(text)

    def tick(self) -> int:
        try:
            return int(self.scripts.tick())
        except Exception as bug:
            self.scripts.engine.hooks.log_bug("a script's watch", bug)
            return 0

    def set_protocol(self, version: int) -> None:
        self.scripts.client.reply.protocol = int(version)

    def protocol(self) -> int:
        return int(self.scripts.client.reply.protocol)

    def set_replication(self, flags: int) -> None:
        running = self.scripts.running
        if running is not None:
            running.replication = int(flags)


def sha1_of(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()


@final
class Scripts:
    """All of scripting of one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self.known: dict[bytes, Script] = {}  # by SHA-1 in lower case, the oldest first
        self.by_body: dict[bytes, Script] = {}  # the same
        self.from_eval: i64 = 0  # how many of them EVAL brought
        self.cached_bytes: i64 = 0
        self.evicted: i64 = 0
        self.running: ScriptRun | None = None
        self.made: LuaWorld | None = None
        self.load_until_us: i64 = 0  # while a library is loaded: when that has taken too long
        self.client: Client = engine.new_hidden_client()
        self.client.deny_blocking = True

    def world(self) -> LuaWorld:
        """The runtime, made when the first script arrives."""
        world = self.made
        if world is None:
            host = EngineLuaHost(self, Registrar())
            world = LuaWorld(host, self.engine.personality.lua_constants())
            host.world = world
            self.made = world
        return world

    def memory_bytes(self) -> int:
        """Of the Lua runtime."""
        return 0 if self.made is None else self.made.memory_bytes()

    # -- the cache ----------------------------------------------------------------------------------------

    def load(self, body: bytes, from_eval: bool) -> Script:
        """Compile a script and keep it. Raises CommandError."""
        script = self.by_body.get(body)
        if script is not None:
            if script.from_eval and not from_eval:
                script.from_eval = False  # SCRIPT LOAD keeps it for good
                self.from_eval -= 1
            return script
        flags, text = read_first_line(body)
        try:
            function = self.world().compile(text)
        except ScriptError as error:
            message = f"ERR Error compiling script (new function): {error}"
            raise CommandError(message.encode("utf-8", "replace")) from None
        if from_eval and self.engine.limits.compat >= 80:
            self.make_room()
        script = Script(body, sha1_of(body), function, flags, from_eval)
        self.by_body[body] = script
        self.known[script.digest] = script
        self.cached_bytes += len(body)
        if from_eval:
            self.from_eval += 1
        return script

    def make_room(self) -> None:
        """Forget the oldest script that EVAL brought, where there are many."""
        if self.from_eval < CACHED_BY_EVAL_MAX:
            return
        for digest, script in self.known.items():
            if script.from_eval:
                self.cached_bytes -= len(script.body)
                self.from_eval -= 1
                self.evicted += 1
                del self.known[digest]
                del self.by_body[script.body]
                return

    def flush(self) -> None:
        """SCRIPT FLUSH: forget every script, and the runtime with what they left in it."""
        self.known = {}
        self.by_body = {}
        self.from_eval = 0
        self.cached_bytes = 0

    # -- running ------------------------------------------------------------------------------------------

    def run(
        self,
        caller: Client,
        argv: list[bytes],
        keys_count: i64,
        script: Script,
        read_only: bool,
    ) -> None:
        """Run a script for a client and write its reply. argv: the command, whose keys begin at argv[3]."""
        if read_only and script.flags & (COMPATIBLE | NO_WRITES) == 0:
            raise CommandError(WRITES_IN_RO)
        flags = script.flags | NO_WRITES if read_only else script.flags
        self.begin(caller, argv, script.digest, flags, False)
        try:
            self.world().run(script.function, script.digest, keys_count, argv, caller.reply)
        finally:
            if self.end():
                self.world().watch_again()

    def begin(self, caller: Client, argv: list[bytes], name: bytes, flags: i64, is_function: bool) -> None:
        """Make everything ready; raises CommandError where the script may not run now."""
        engine = self.engine
        running = ScriptRun(caller, argv, name, flags, engine.now_us, is_function)
        if engine.is_over_memory_limit():
            if flags & (COMPATIBLE | ALLOW_OOM | NO_WRITES) == 0:
                raise CommandError(OOM_SCRIPT)
            running.out_of_memory = flags & ALLOW_OOM == 0
        if engine.is_stale() and flags & (COMPATIBLE | ALLOW_STALE) == 0:
            raise CommandError(PRIMARY_DOWN)
        if flags & (COMPATIBLE | NO_WRITES) == 0:
            if engine.is_read_only_for(caller):
                raise CommandError(READ_ONLY_SCRIPT)
            refusal = engine.hooks.disk_error()
            if refusal is not None:
                raise CommandError(refusal)
            if engine.lacks_replicas():
                raise CommandError(TOO_FEW_REPLICAS)
        client = self.client
        client.db = caller.db
        client.user = caller.user
        client.set_gate(GATE_ACL, caller.gate & GATE_ACL != 0)
        client.set_gate(GATE_TRACKING, caller.gate & GATE_TRACKING != 0)
        client.reply.protocol = 2
        self.running = running
        engine.call_depth += 1

    def end(self) -> bool:
        """The script is over; whether it was killed."""
        running = self.running
        assert running is not None
        engine = self.engine
        self.running = None
        engine.call_depth -= 1
        engine.set_busy(False)
        running.caller.propagate_nothing()
        return running.killed

    def call(self, arguments: tuple[object, ...]) -> bytes:
        """A command of the script that runs; its reply."""
        if not arguments:
            return self.spelled(NO_COMMAND)
        argv: list[bytes] = []
        for argument in arguments:
            if isinstance(argument, bytes):
                argv.append(argument)
            elif isinstance(argument, int) and not isinstance(argument, bool):
                plain = -(10**17) < argument < 10**17 or self.engine.limits.compat >= 72
                argv.append(b"%d" % argument if plain else b"%.17g" % argument)
            elif isinstance(argument, float):
                argv.append(b"%.17g" % argument)
            else:
                return self.spelled(BAD_ARGUMENTS)
        running = self.running
        if running is None:
            return NOT_ALLOWED
        engine = self.engine
        command = engine.name_cache.get(argv[0])
        if command is None:
            command = engine.find_command(argv)
        if command is None or command.function is None:
            return self.spelled(UNKNOWN_COMMAND)
        refusal = self.refusal_of(running, command, argv)
        if refusal:
            command.rejected_calls += 1
            return refusal
        client = self.client
        flags: i64 = command.flags
        if flags & WRITE:
            running.wrote = True
        if running.replication == REPLICATE_ALL:
            engine.call(client, command, argv)
        else:
            engine.call_for(client, command, argv, running.replication)
        out = client.reply.out
        reply = out.getvalue()
        out.truncate(0)
        return reply

    def refusal_of(self, running: ScriptRun, command: Command, argv: list[bytes]) -> bytes:
        """The error reply to a command that a script may not call now; nothing where it may."""
        engine = self.engine
        arity: i64 = command.arity
        n: i64 = len(argv)
        if n != arity and (arity > 0 or n < -arity):
            return self.spelled(WRONG_ARITY)
        flags: i64 = command.flags
        if flags & NOSCRIPT and not engine.debug.noscript_lifted:
            return NOT_ALLOWED
        if running.flags & NO_WRITES and (flags & WRITE or command.name in REPLICATED_READS):
            return READ_ONLY
        if engine.is_stale() and flags & STALE == 0:
            return b"-" + STALE_IN_SCRIPT + b"\r\n"
        if flags & WRITE:
            if engine.is_read_only_for(running.caller):
                return b"-" + READ_ONLY_REPLICA + b"\r\n"
            refusal = engine.hooks.disk_error()
            if refusal is not None:
                return b"-" + refusal + b"\r\n"
            if engine.lacks_replicas() and not running.wrote:
                return b"-" + TOO_FEW_REPLICAS + b"\r\n"
        if running.out_of_memory and flags & DENYOOM and not running.wrote:
            return b"-" + OUT_OF_MEMORY + b"\r\n"
        denied = refusal_in_script(engine, running.caller, command, argv, True)
        if denied is not None:
            return b"-" + denied + b"\r\n"
        return b""

    def spelled(self, message: bytes) -> bytes:
        """An error text in the words of the server that we answer as."""
        if self.engine.personality.is_valkey:
            return VALKEY_TEXTS.get(message, message)
        return message

    def check_acl(self, arguments: tuple[object, ...]) -> bytes:
        """redis.acl_check_cmd: whether the caller's user may run the command."""
        argv = [
            word if isinstance(word, bytes) else str(word).encode()
            for word in arguments
            if isinstance(word, bytes | int | float)
        ]
        command = self.engine.find_command(argv) if argv else None
        if command is None or len(argv) != len(arguments):
            return b"-ERR Invalid command passed to redis.acl_check_cmd()\r\n"
        running = self.running
        assert running is not None
        denied = refusal_in_script(self.engine, running.caller, command, argv, False)
        return b":1\r\n" if denied is None else b":0\r\n"

    # -- scripts that take too long -----------------------------------------------------------------------

    def tick(self) -> i64:
        """Called while a script runs: serve others when it is slow; 0, or which of VERDICTS ends it."""
        running = self.running
        engine = self.engine
        if running is None:
            if self.load_until_us and engine.clock.now_us() > self.load_until_us:
                return LOAD_TIMEOUT
            return 0
        if not running.is_slow:
            elapsed_us: i64 = engine.clock.now_us() - running.started_us
            if elapsed_us < engine.config.number("busy-reply-threshold") * 1000:
                return 0
            running.is_slow = True
            engine.set_busy(True)
            engine.hooks.log_notice(
                f"Slow script detected: still in execution after {elapsed_us // 1000} milliseconds. "
                "You can try killing the script using the SCRIPT KILL command."
            )
        if not engine.hooks.serve_others():
            running.killed = True
        if not running.killed:
            return 0
        return FUNCTION_KILLED if running.is_function else KILLED

    def busy_error(self) -> bytes:
        """What others hear while a slow script runs."""
        running = self.running
        return BUSY_FUNCTION if running is not None and running.is_function else BUSY_SCRIPT

    def kill(self, is_function: bool) -> None:
        """SCRIPT KILL, FUNCTION KILL; raises CommandError."""
        running = self.running
        if running is None:
            raise CommandError(NOT_RUNNING)
        if running.is_function != is_function:
            raise CommandError(BUSY_FUNCTION if running.is_function else BUSY_SCRIPT)
        if running.wrote:
            raise CommandError(UNKILLABLE)
        running.killed = True


def plain_value(reply: bytes) -> object:
    """A bulk string, an integer, a null or a status as LuaHost.call says; any other reply with False."""
    mark: i64 = reply[0]
    if mark == BULK_MARK:
        begin: i64 = 2
        while i64(reply[begin]) != LINE_END:
            begin += 1
        if begin + 2 == len(reply):
            return False
        return reply[begin + 2 : -2]
    if mark == INTEGER_MARK:
        return int(reply[1:-2])
    if mark == STATUS_MARK:
        return reply[1:-2], True
    return reply, False


def keys_of(argv: list[bytes]) -> i64:
    """The number of keys, which stands at argv[2] before them; raises CommandError."""
    count: i64 = integer_argument(argv[2])
    if count > len(argv) - 3:
        raise CommandError(b"ERR Number of keys can't be greater than number of args")
    if count < 0:
        raise CommandError(b"ERR Number of keys can't be negative")
    return count


def read_first_line(body: bytes) -> tuple[i64, bytes]:
    """Flags by the line `#!lua flags=...`, and what Lua is to compile: the line's end stays, so lines count."""
    if not body.startswith(b"#!"):
        return COMPATIBLE, body
    end = quoted(body).find(b"\n")
    if end == -1:
        raise CommandError(b"ERR Invalid script shebang")
    words = split_arguments(body[:end])
    if not words:
        raise CommandError(b"ERR Invalid engine in script shebang")
    if words[0] != b"#!lua":
        raise CommandError(b"ERR Unexpected engine in script shebang: " + words[0])
    flags: i64 = 0
    for word in words[1:]:
        if not word.startswith(b"flags="):
            raise CommandError(b"ERR Unknown lua shebang option: " + word)
        for name in word.removeprefix(b"flags=").split(b","):
            if not name:
                continue
            flag = FLAG_NAMES.get(name)
            if flag is None:
                raise CommandError(b"ERR Unexpected flag in script shebang: " + name)
            flags |= flag
    return flags, body[end:]
