"""The Lua runtime in which scripts run: made once, sealed, and reached by four calls.

Owns lupa and the Lua sources beside it (lua/sandbox.lua says what a script sees). Must not know what a script's
commands do: they go to a LuaHost.

Invariants: no Python object is reachable from a script (the host's functions live in upvalues of the sandbox, answer
bytes, and never raise; attribute access is denied to all of Lua); memory of the runtime has a limit, and whatever the
host puts on Lua's stack fits into a reserve beyond it, because there an error of Lua's would end the process; byte code
comes from nobody but `without_tail_calls`.
"""

import pkgutil
from typing import Any, Final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import GossamerError
from gossamer.base.numbers import INT64_MIN
from gossamer.resp.errors import quoted
from gossamer.resp.writer import ReplyWriter

MEMORY_MAX_BYTES: Final = 1 << 30  # of a runtime: a script beyond it ends with an error
RESERVE_BYTES: Final = 64 << 20  # beyond it, for what the host hands over
LARGE_BYTES: Final = 1 << 20  # a reply this long is handed over only where it has room
FIRST_WORD: Final = 3  # of a command that runs a script: where keys and arguments begin
FEW: Final = 2  # keys and arguments together, for which there is a quicker way
WORDS_MAX: Final = 4000  # keys and arguments beyond are handed over as a table: Lua's stack for C holds 8000
NO_ROOM: Final = b"-ERR not enough memory\r\n"
WATCH_EVERY: Final = 20_000  # instructions between two looks at the clock
LIBRARIES: Final = ("bit", "cjson", "cmsgpack", "math", "struct")

# Of Lua 5.1's byte code: the header up to the first function, and the two calls.
_HEADER_BYTES: Final = 12
_OPERATION_MASK: Final = 0x3F
_OP_CALL: Final = 28
_OP_TAIL_CALL: Final = 29


# What LuaHost.tick answers: 0, or the number of one of the texts that end a script.
KILLED: Final = 1
FUNCTION_KILLED: Final = 2
LOAD_TIMEOUT: Final = 3
VERDICTS: Final = (
    b"Script killed by user with SCRIPT KILL.",
    b"Script killed by user with FUNCTION KILL.",
    b"FUNCTION LOAD timeout",
)


class ScriptError(GossamerError):
    """A script cannot be compiled; the text is Lua's."""


@mypyc_attr(allow_interpreted_subclasses=True)
class LuaHost:
    """What scripts ask of the server. Every method answers RESP bytes, errors included, and raises nothing."""

    def call(self, *arguments: object) -> object:
        """A command; the commonest replies as what the script sees, alone.

        Else a tuple: the text of a status and True, or RESP in the protocol that the script chose and False.
        """
        raise NotImplementedError

    def call_many(self, arguments: Any) -> object:
        """call() with the arguments in a table of Lua's."""
        return self.call(*[arguments[i] for i in range(1, len(arguments) + 1)])

    def check_acl(self, *arguments: object) -> bytes:
        """:1 where the user may run the command, :0 where not."""
        raise NotImplementedError

    def log(self, level: int, text: bytes) -> None:
        raise NotImplementedError

    def sha1(self, text: bytes) -> bytes:
        raise NotImplementedError

    def tick(self) -> int:
        """Called every WATCH_EVERY instructions: 0, or which of VERDICTS ends the script now."""
        raise NotImplementedError

    def set_protocol(self, version: int) -> None:
        """redis.setresp"""
        raise NotImplementedError

    def protocol(self) -> int:
        """What redis.setresp chose; 2 at the start of a script."""
        raise NotImplementedError

    def set_replication(self, flags: int) -> None:
        """redis.set_repl"""
        raise NotImplementedError

    def register(self, name: bytes, callback: object, description: object, flags: bytes) -> bytes | None:
        """redis.register_function while a library is loaded: what is wrong with it, or None."""
        raise NotImplementedError


def deny_attributes(value: object, name: object, is_setting: bool) -> str:
    raise AttributeError("no attribute of the host is open to scripts")


class LuaWorld:
    """One runtime, for scripts or for functions.

    `constants` are further fields of the server's table, as `NAME=value` words.
    """

    def __init__(self, host: LuaHost, constants: bytes, for_functions: bool = False) -> None:
        from lupa.lua51 import LuaError, LuaRuntime

        self.error_type: Any = LuaError
        self.host: LuaHost = host
        self.runtime: Any = LuaRuntime(
            encoding=None,
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=deny_attributes,
            max_memory=MEMORY_MAX_BYTES + RESERVE_BYTES,
        )
        self.used_bytes: Any = self.runtime.get_memory_used
        replies = self.runtime.execute(source_of("replies"), name=b"@gossamer")
        patterns = self.runtime.execute(source_of("patterns"), name=b"@gossamer")
        bounds = self.runtime.execute(source_of("bounds"), *patterns, name=b"@gossamer")
        made = self.runtime.execute(
            source_of("sandbox"),
            *replies,
            bounds,
            MEMORY_MAX_BYTES,
            self.runtime.table_from(VERDICTS),
            host.call,
            host.call_many,
            host.log,
            host.sha1,
            host.tick,
            host.check_acl,
            host.set_protocol,
            host.protocol,
            host.set_replication,
            host.register,
            constants,
            for_functions,
            name=b"@gossamer",
        )
        self.run_script: Any = made[0]
        self.run_few: Any = made[1]
        self.run_function: Any = made[2]
        self.compile_script: Any = made[3]
        self.load_code: Any = made[4]
        self.begin_watch: Any = made[5]
        add_library, seal = made[6], made[7]
        for name in LIBRARIES:
            add_library(name.encode(), self.runtime.compile(source_of(name), name=b"@gossamer"))
        seal()
        self.begin_watch(WATCH_EVERY)

    def compile(self, body: bytes) -> Any:
        """The function of a script; raises ScriptError with Lua's text."""
        if not self.has_room(len(body)):
            raise ScriptError("not enough memory")
        try:
            made = self.compile_script(body, self.straightened)
        except self.error_type as error:
            raise ScriptError(str(error)) from None
        if isinstance(made, tuple):
            raise ScriptError(made[1].decode("utf-8", "replace"))
        return made

    def straightened(self, code: bytes) -> bytes | None:
        """The byte code of a script without tail calls; None where there is no memory for it."""
        return without_tail_calls(code) if self.has_room(len(code)) else None

    def has_room(self, wanted_bytes: i64) -> bool:
        """Whether the host may put that much on Lua's stack; garbage makes way for it."""
        if self.memory_bytes() + wanted_bytes <= MEMORY_MAX_BYTES:
            return True
        self.runtime.gccollect()
        return self.memory_bytes() + wanted_bytes <= MEMORY_MAX_BYTES

    def load_library(self, body: bytes) -> None:
        """Run the code of a library, which registers functions with the host. Raises ScriptError."""
        if not self.has_room(len(body)):
            raise ScriptError("Error compiling function: not enough memory")
        try:
            problem = self.load_code(body)
        except self.error_type as error:
            raise ScriptError(f"Error registering functions: {error}") from None
        if problem is not None:
            text = problem[1].decode("utf-8", "replace")
            if problem[0] == b"compile":
                raise ScriptError(f"Error compiling function: {text}")
            raise ScriptError(f"Error registering functions: {text}")

    def run(self, script: Any, name: bytes, keys_count: i64, argv: list[bytes], reply: ReplyWriter) -> None:
        """Run a compiled script and write its result, or its error. Keys and arguments begin at argv[3]."""
        runner = self.run_few if len(argv) <= FIRST_WORD + FEW else self.run_script
        self.guarded_run(runner, script, name, keys_count, argv, reply)

    def run_registered(
        self, function: Any, name: bytes, keys_count: i64, argv: list[bytes], reply: ReplyWriter
    ) -> None:
        """Run a function of a library, as run() does a script."""
        self.guarded_run(self.run_function, function, name, keys_count, argv, reply)

    def guarded_run(
        self, runner: Any, function: Any, name: bytes, keys_count: i64, argv: list[bytes], reply: ReplyWriter
    ) -> None:
        wanted: i64 = 0
        for word in argv:
            wanted += len(word) + 64
        if not self.has_room(wanted):
            reply.raw(NO_ROOM)
            return
        size: i64 = len(argv)
        count: i64 = size - FIRST_WORD
        protocol: int = int(reply.protocol)
        result: Any
        try:
            if count == 0:
                result = runner(function, protocol, int(keys_count))
            elif count == 1:
                result = runner(function, protocol, int(keys_count), argv[3])
            elif count == 2:
                result = runner(function, protocol, int(keys_count), argv[3], argv[4])
            elif count <= WORDS_MAX:
                result = runner(function, protocol, int(keys_count), *argv[FIRST_WORD:])
            else:
                listed = self.runtime.table_from(argv[FIRST_WORD:])
                result = runner(function, protocol, int(-1 - keys_count), listed)
        except self.error_type as error:  # not of the script: memory, or the C stack
            text = str(error) or "not enough memory"
            reply.error(b"ERR " + text.encode("utf-8", "replace"))
            return
        if isinstance(result, bytes):
            reply.bulk(result)
        elif isinstance(result, tuple):
            if len(result) == 2:
                reply.raw(result[1])
            else:
                reply.error(error_text(name, result[0], result[1], result[2]))
        elif result is None:
            reply.null()
        else:
            reply.integer(integer_of(result))

    def watch_again(self) -> None:
        """After a script that was ended: look at the clock as before."""
        self.begin_watch(WATCH_EVERY)

    def memory_bytes(self) -> i64:
        used: int = self.used_bytes()
        return i64(used)


def error_text(name: bytes, text: bytes, source: Any, line: Any) -> bytes:
    """An error of a script with the place in it, where that is known."""
    text = quoted(text)
    if source is False or not line:
        return text
    return b"%b script: %b, on %b:%d." % (text, name, source, int(line))


def integer_of(number: Any) -> i64:
    """A number of Lua's as an integer reply has it: cut off, and the lowest where it is none or does not fit."""
    if isinstance(number, float):
        if not -9223372036854775808.0 <= number < 9223372036854775808.0:  # not a number, too
            return INT64_MIN
        return i64(int(number))
    whole: int = number
    if -(1 << 63) <= whole < 1 << 63:
        return i64(whole)
    return INT64_MIN


def source_of(name: str) -> bytes:
    """The text of one of the Lua sources of this package."""
    data = pkgutil.get_data("gossamer.engine", f"lua/{name}.lua")
    assert data is not None, "part of the package"
    return data


def without_tail_calls(code: bytes) -> bytes:
    """Byte code of one function whose own tail calls are plain calls; functions inside it keep theirs.

    In Lua 5.1 both instructions have the same operands. A dump is: header, source (size_t and bytes), first and last
    line (int), four bytes of counts, the number of instructions (int), the instructions (four bytes each).
    """
    at = _HEADER_BYTES
    at += 8 + int.from_bytes(code[at : at + 8], "little")
    at += 4 + 4 + 4
    count = int.from_bytes(code[at : at + 4], "little")
    at += 4
    changed = bytearray(code)
    for place in range(at, at + 4 * count, 4):
        if changed[place] & _OPERATION_MASK == _OP_TAIL_CALL:
            changed[place] = (changed[place] & ~_OPERATION_MASK) | _OP_CALL
    return bytes(changed)
