"""Function libraries: code that stays, with the functions that it registered.

Owns the libraries and their functions by name, and the runtime in which they live (apart from that of scripts).
How a function runs is `scripting.py`'s.

Invariants: a name belongs to one function of one library; a load that fails changes nothing; `codes` holds the code
of every library, in the order in which a snapshot writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError, CorruptError
from gossamer.base.quoting import split_arguments
from gossamer.engine.lua import LuaWorld, ScriptError
from gossamer.engine.scripting import FLAG_NAMES, NO_WRITES, WRITES_IN_RO, EngineLuaHost, Registrar, Scripts
from gossamer.rdb.functions import dump_functions, restore_functions
from gossamer.rdb.payload import is_sound
from gossamer.resp.errors import quoted

if TYPE_CHECKING:
    from gossamer.engine.client import Client
    from gossamer.engine.engine import Engine

LOAD_TIMEOUT_US: Final = 500_000
BAD_NAME: Final = (
    b"Library names can only contain letters, numbers, or underscores(_) "
    b"and must be at least one character long"
)


@final
class Function:
    """One function of a library."""

    def __init__(self, name: bytes, callback: Any, description: bytes | None, flags: list[bytes]) -> None:
        self.name: bytes = name
        self.callback: Any = callback
        self.description: bytes | None = description
        self.flag_names: list[bytes] = flags
        self.flags: i64 = 0
        for flag in flags:
            self.flags |= FLAG_NAMES[flag]


@final
class Library:
    """The code that was loaded under a name."""

    def __init__(self, name: bytes, code: bytes) -> None:
        self.name: bytes = name
        self.code: bytes = code
        self.functions: dict[bytes, Function] = {}


class LibraryRegistrar(Registrar):
    """Gives the functions that register themselves to the library that is being loaded."""

    def __init__(self) -> None:
        self.library: Library | None = None

    def register(self, name: bytes, callback: object, description: object, flags: bytes) -> bytes | None:
        library = self.library
        if library is None:
            return b"redis.register_function can only be called on FUNCTION LOAD command"
        if not is_name(name):
            return BAD_NAME
        if name in library.functions:
            return b"Function already exists in the library"
        names = [flag for flag in flags.split(b",") if flag]
        for flag in names:
            if flag not in FLAG_NAMES:
                return b"unknown flag given"
        told = description if isinstance(description, bytes) else None
        library.functions[name] = Function(name, callback, told, names)
        return None


def is_name(name: bytes) -> bool:
    """Letters, digits and underscores, at least one."""
    if not name:
        return False
    for code in name:
        if not (48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122 or code == 95):
            return False
    return True


def lowered(library: Library) -> set[bytes]:
    """The names of a library's functions, as they are told apart from those of others."""
    return {name.lower() for name in library.functions}


def read_metadata(code: bytes) -> tuple[bytes, bytes]:
    """Name of the library and what Lua is to compile, from `#!lua name=...`; raises CommandError."""
    if not code.startswith(b"#!"):
        raise CommandError(b"ERR Missing library metadata")
    end = quoted(code).find(b"\n")
    if end == -1:
        raise CommandError(b"ERR Invalid library metadata")
    words = split_arguments(code[:end])
    if not words:
        raise CommandError(b"ERR Invalid library metadata")
    engine = words[0][2:]
    name: bytes | None = None
    for word in words[1:]:
        if not word.lower().startswith(b"name="):
            raise CommandError(b"ERR Invalid metadata value given: " + word)
        if name is not None:
            raise CommandError(b"ERR Invalid metadata value, name argument was given multiple times")
        name = word[5:]
    if name is None:
        raise CommandError(b"ERR Library name was not given")
    if not is_name(name):
        raise CommandError(b"ERR " + BAD_NAME)
    if engine.lower() != b"lua":
        raise CommandError(b"ERR Engine '" + engine + b"' not found")
    return name, code[end:]


@final
class Functions:
    """All libraries of one engine."""

    def __init__(self, engine: Engine, scripts: Scripts) -> None:
        self.engine: Engine = engine
        self.scripts: Scripts = scripts
        self.libraries: dict[bytes, Library] = {}
        self.functions: dict[bytes, Function] = {}  # by name in lower case
        self.codes: list[bytes] = []
        self.registrar: LibraryRegistrar = LibraryRegistrar()
        self.made: LuaWorld | None = None

    def world(self) -> LuaWorld:
        world = self.made
        if world is None:
            host = EngineLuaHost(self.scripts, self.registrar)
            world = LuaWorld(host, self.engine.personality.lua_constants(), True)
            host.world = world
            self.made = world
        return world

    def memory_bytes(self) -> int:
        """Of the Lua runtime."""
        return 0 if self.made is None else self.made.memory_bytes()

    # -- libraries ----------------------------------------------------------------------------------------

    def load(self, code: bytes, replace: bool) -> bytes:
        """Load a library; its name. Raises CommandError."""
        name, body = read_metadata(code)
        old = self.libraries.get(name)
        if old is not None and not replace:
            raise CommandError(b"ERR Library '" + name + b"' already exists")
        library = self.compile(name, code, body)
        replaced = lowered(old) if old is not None else set()
        for function in library.functions:
            if function.lower() in self.functions and function.lower() not in replaced:
                raise CommandError(b"ERR Function " + function + b" already exists")
        self.put(library)
        return name

    def compile(self, name: bytes, code: bytes, body: bytes) -> Library:
        """Run the code of a library and collect its functions; raises CommandError."""
        library = Library(name, code)
        scripts = self.scripts
        world = self.world()
        self.registrar.library = library
        scripts.load_until_us = self.engine.clock.now_us() + LOAD_TIMEOUT_US
        try:
            world.load_library(body)
        except ScriptError as error:
            scripts.load_until_us = 0
            world.watch_again()
            raise CommandError(b"ERR " + str(error).encode("utf-8", "replace")) from None
        finally:
            scripts.load_until_us = 0
            self.registrar.library = None
        if not library.functions:
            raise CommandError(b"ERR No functions registered")
        return library

    def put(self, library: Library) -> None:
        """Make a library known, in place of one of its name."""
        if library.name in self.libraries:
            self.remove(library.name)
        self.libraries[library.name] = library
        for function in library.functions.values():
            self.functions.setdefault(function.name.lower(), function)
        self.codes.append(library.code)

    def remove(self, name: bytes) -> None:
        library = self.libraries.pop(name, None)
        if library is None:
            raise CommandError(b"ERR Library not found")
        for function in lowered(library):
            del self.functions[function]
        self.codes.remove(library.code)

    def clear(self) -> None:
        """Forget every library, and the runtime with what they left in it."""
        self.libraries = {}
        self.functions = {}
        self.codes.clear()
        self.made = None

    def load_all(self, codes: list[bytes]) -> None:
        """The libraries of a snapshot, in place of those here; raises CommandError."""
        self.clear()
        for code in codes:
            self.load(code, False)

    # -- payloads -----------------------------------------------------------------------------------------

    def dump(self) -> bytes:
        """Every library as FUNCTION DUMP answers it, in the version of the server that is answered as."""
        return dump_functions(self.codes, 10 if self.engine.limits.compat == 70 else 11)

    def restore(self, payload: bytes, policy: bytes) -> None:
        """FUNCTION RESTORE; `policy` is flush, append or replace. All or nothing. Raises CommandError."""
        if not is_sound(payload):
            raise CommandError(b"ERR DUMP payload version or checksum are wrong")
        try:
            codes = restore_functions(payload)
        except CorruptError:
            raise CommandError(b"ERR given type is not a function") from None
        arriving: dict[bytes, Library] = {}
        names: set[bytes] = set()
        for code in codes:
            name, body = read_metadata(code)
            if name in arriving or (policy == b"append" and name in self.libraries):
                raise CommandError(b"ERR Library " + name + b" already exists")
            arriving[name] = self.compile(name, code, body)
            for function in arriving[name].functions:
                if function.lower() in names:
                    raise CommandError(b"ERR Function " + function + b" already exists")
            names |= lowered(arriving[name])
        if policy != b"flush":
            for library in self.libraries.values():
                if library.name not in arriving:
                    for function in library.functions:
                        if function.lower() in names:
                            raise CommandError(b"ERR Function " + function + b" already exists")
        else:
            for name in list(self.libraries):
                self.remove(name)
        for library in arriving.values():
            self.put(library)

    # -- running ------------------------------------------------------------------------------------------

    def call(self, caller: Client, argv: list[bytes], keys_count: i64, read_only: bool) -> None:
        """Run a function for a client and write its reply; argv: FCALL, its name, number of keys, keys, arguments."""
        function = self.functions[argv[1].lower()]
        name = function.name
        if read_only and function.flags & NO_WRITES == 0:
            raise CommandError(WRITES_IN_RO)
        scripts = self.scripts
        scripts.begin(caller, argv, name, function.flags, True)
        try:
            self.world().run_registered(function.callback, name, keys_count, argv, caller.reply)
        finally:
            if scripts.end():
                self.world().watch_again()
