"""The configuration of one server: the value of every directive, how it changes, and who hears of it.

Owns: the values, CONFIG GET and CONFIG SET as plain calls, the listeners, the fields of Limits that follow
directives. Directives and their kinds stand in config_directives.py and config_kinds.py, files in
config_file.py. Must not know: sockets, the engine; the file system only through a ConfigDoor.

Invariants: every directive of the version always has a value of its kind; a SET that fails, in parsing or
in a listener, leaves every value as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mypy_extensions import mypyc_attr

from gossamer.base.errors import ConfigError
from gossamer.base.glob import match
from gossamer.base.limits import Limits
from gossamer.engine.config_directives import DIRECTIVES, directives_of
from gossamer.engine.config_kinds import (
    DENY_LOADING,
    HIDDEN,
    IMMUTABLE,
    LONG_MAX,
    MULTIPLE,
    PROTECTED,
    SENSITIVE,
    VOLATILE,
    Choice,
    Directive,
    Directory,
)
from gossamer.resp.errors import LOADING, SYNTAX, quoted

Listener = Callable[[], None]

NORMAL: Final = 0  # the classes of client-output-buffer-limit
REPLICA: Final = 1
PUBSUB: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class ConfigDoor:
    """What the configuration asks of the file system: this one knows no files, the server's does."""

    def current_directory(self) -> bytes:
        return b"/"

    def change_directory(self, path: bytes) -> None:
        """Raises OSError."""

    def read_file(self, path: bytes) -> bytes:
        """The whole content; raises OSError."""
        raise FileNotFoundError(2, "No such file or directory")

    def read_standard_input(self) -> bytes:
        return b""

    def expand(self, pattern: bytes) -> list[bytes]:
        """The paths that match a shell pattern, sorted; a path without wildcards is returned as it is."""
        return [pattern]

    def check_log_file(self, path: bytes) -> None:
        """Raises OSError unless the file can be appended to."""

    def replace_file(self, path: bytes, content: bytes) -> None:
        """Replace the content durably: a crash leaves the old or the new content. Raises OSError."""
        raise OSError(30, "Read-only file system")


@mypyc_attr(allow_interpreted_subclasses=True)
class SentinelLines:
    """The `sentinel` lines of a configuration file, which somebody above understands."""

    def take(self, number: int, line: bytes, words: list[bytes]) -> None:
        """A line while a file is read; raises ConfigError."""
        raise NotImplementedError

    def key(self, words: list[bytes]) -> bytes:
        """What a line of an old file is about: rows of the same key take its place."""
        raise NotImplementedError

    def rows(self) -> list[tuple[bytes, bytes]]:
        """Key and line of everything that a rewritten file is to say, in order."""
        raise NotImplementedError


class SetError(ConfigError):
    """CONFIG SET refuses; `reply` is the whole error without the leading '-'."""

    def __init__(self, reply: bytes) -> None:
        super().__init__(reply.decode("utf-8", "replace"))
        self.reply: bytes = reply


class Config:
    """The values of all directives that the version `compat` (70, 72, 80) knows.

    `config_file` is the absolute path that CONFIG REWRITE writes, empty without one. `users`,
    `renamed_commands` and `modules` hold the words of the directives that are lists of their own, with the
    line they stand in.
    """

    def __init__(self, compat: int = 72, door: ConfigDoor | None = None) -> None:
        self.compat: int = compat
        self.door: ConfigDoor = door if door is not None else ConfigDoor()
        self.config_file: bytes = b""
        self.directives: list[Directive] = directives_of(compat)
        self.names: dict[str, Directive] = {}
        self.values: dict[str, object] = {}
        self.listeners: dict[str, list[Listener]] = {}
        self.limits: Limits | None = None
        self.users: list[tuple[int, bytes, list[bytes]]] = []
        self.renamed_commands: list[tuple[int, bytes, list[bytes]]] = []
        self.modules: list[tuple[int, bytes, list[bytes]]] = []
        self.user_lines: Callable[[], list[bytes]] | None = None  # the ACL's users, for CONFIG REWRITE
        self.sentinel_lines: SentinelLines | None = None  # of a Sentinel only
        for directive in self.directives:
            self.values[directive.name] = directive.default_for(compat)
            self.names[directive.name] = directive
            if directive.alias and compat >= directive.alias_since:
                self.names[directive.alias] = directive
        self.values["compat"] = compat
        self.values["dir"] = self.door.current_directory()

    # -- reading ------------------------------------------------------------------------------------------

    def find(self, name: bytes) -> Directive | None:
        """The directive of a name or an alias in any case of letters."""
        return self.names.get(name.decode("latin-1").lower())

    def value(self, name: str) -> object:
        """The value of a directive by its name or alias."""
        return self.values[self.names[name].name]

    def flag(self, name: str) -> bool:
        """A yes-or-no directive."""
        value = self.value(name)
        assert isinstance(value, bool)
        return value

    def number(self, name: str) -> int:
        """An integer, a size in bytes, a permission, a mask of keyspace events or of shutdown options.

        maxmemory-clients is negative for a share of maxmemory in percent.
        """
        value = self.value(name)
        assert isinstance(value, int)
        return value

    def text(self, name: str) -> bytes:
        value = self.value(name)
        assert isinstance(value, bytes)
        return value

    def choice(self, name: str) -> bytes:
        """The word that was chosen."""
        return self.names[name].spell(self.value(name))

    def save_points(self) -> list[tuple[int, int]]:
        """(seconds, changes) of each save point."""
        value = self.value("save")
        assert isinstance(value, tuple)
        return [(int(point[0]), int(point[1])) for point in value]

    def output_buffer_limit(self, client_class: int) -> tuple[int, int, int]:
        """Hard limit in bytes, soft limit in bytes, soft limit in seconds of NORMAL, REPLICA or PUBSUB."""
        value = self.value("client-output-buffer-limit")
        assert isinstance(value, tuple)
        at = client_class * 3
        return int(value[at]), int(value[at + 1]), int(value[at + 2])

    def addresses(self) -> list[bytes]:
        """The addresses of `bind`; one that begins with '-' may be unavailable."""
        value = self.value("bind")
        assert isinstance(value, tuple)
        return [bytes(address) for address in value]

    def percentiles(self) -> list[float]:
        """latency-tracking-info-percentiles."""
        value = self.value("latency-tracking-info-percentiles")
        assert isinstance(value, tuple)
        return [float(percentile) for percentile in value]

    def primary(self) -> tuple[bytes, int] | None:
        """Host and port of `replicaof`."""
        value = self.value("replicaof")
        assert isinstance(value, tuple)
        return (bytes(value[0]), int(value[1])) if value else None

    def get(self, patterns: list[bytes]) -> list[tuple[bytes, bytes]]:
        """Names and values for CONFIG GET: each directive once, whatever number of patterns matches it.

        A name without wildcards is answered as it was spelled, hidden directives included.
        """
        found: list[tuple[bytes, bytes]] = []
        seen: set[str] = set()
        for pattern in patterns:
            if is_glob(pattern):
                names = [name for name in self.names if match(pattern, name.encode(), True)]
                names = [name for name in names if not self.names[name].flags & HIDDEN]
            else:
                name = pattern.decode("latin-1").lower()
                names = [name] if name in self.names else []
            for name in names:
                if name in seen:
                    continue
                seen.add(name)
                directive = self.names[name]
                shown = name.encode() if is_glob(pattern) else pattern
                found.append((shown, directive.spell(self.values[directive.name])))
        return found

    # -- changing -----------------------------------------------------------------------------------------

    def attach(self, limits: Limits) -> None:
        """Let the fields of `limits` follow the directives from now on."""
        self.limits = limits
        limits.compat = self.compat
        for directive in self.directives:
            self.write_limit(directive)

    def on_change(self, name: str, listener: Listener) -> None:
        """Call `listener` after CONFIG SET changed the directive; it may raise ConfigError to refuse the
        change.

        One listener of several directives that change together is called once.
        """
        self.listeners.setdefault(self.names[name].name, []).append(listener)

    def put(self, name: str, value: object) -> None:
        """Take a value from inside the server (REPLICAOF, a port that was chosen); no listener is called."""
        directive = self.names[name]
        self.values[directive.name] = value
        self.write_limit(directive)

    def set(self, pairs: list[tuple[bytes, bytes]], protected: bool = True, loading: bool = False) -> None:
        """CONFIG SET: all of the changes or, with SetError, none.

        `protected`: whether this client may change protected directives. `loading`: the data set is being
        loaded.
        """
        directives = self.check_set(pairs, protected, loading)
        before: list[tuple[Directive, object]] = []
        changed: list[tuple[str, Directive]] = []
        for directive, (name, word) in zip(directives, pairs, strict=True):
            current = self.values[directive.name]
            words = split_words(word) if directive.flags & MULTIPLE else [word]
            shown = name.decode("latin-1").lower()
            try:
                value = directive.parse(words, current, self.compat)
                if value == current and not directive.flags & VOLATILE:
                    continue
                before.append((directive, current))
                self.store(directive, value)
            except ConfigError as error:
                self.restore(before)
                raise set_error(shown, str(error)) from None
            changed.append((shown, directive))
        self.tell(changed, before)

    def check_set(self, pairs: list[tuple[bytes, bytes]], protected: bool, loading: bool) -> list[Directive]:
        """The directives of the pairs, if all of them may be set."""
        directives: list[Directive] = []
        seen: set[str] = set()
        for name, _ in pairs:
            directive = self.find(name)
            if directive is None:
                raise SetError(
                    b"ERR Unknown option or number of arguments for CONFIG SET - '" + quoted(name) + b"'"
                )
            shown = name.decode("latin-1").lower()
            if directive.flags & IMMUTABLE:
                raise set_error(shown, "can't set immutable config")
            if directive.flags & PROTECTED and not protected:
                raise set_error(shown, "can't set protected config")
            if directive.flags & DENY_LOADING and loading:
                raise SetError(LOADING)
            if shown in seen:
                raise set_error(name.decode("latin-1"), "duplicate parameter")
            seen.add(shown)
            directives.append(directive)
        return directives

    def tell(self, changed: list[tuple[str, Directive]], before: list[tuple[Directive, object]]) -> None:
        """Call the listeners of what changed; one that refuses undoes everything."""
        called: list[Listener] = []
        for shown, directive in changed:
            for listener in self.listeners.get(directive.name, []):
                if listener in called:
                    continue
                called.append(listener)
                try:
                    listener()
                except ConfigError as error:
                    self.restore(before)
                    self.tell_again(called)
                    raise set_error(shown, str(error)) from None

    def tell_again(self, listeners: list[Listener]) -> None:
        """Take back what listeners made of values that did not last."""
        for listener in listeners:
            try:
                listener()
            except ConfigError:
                continue  # it refused the new values, and now it cannot take the old ones either

    def store(self, directive: Directive, value: object) -> None:
        """Give a directive its value; only `dir` can fail here (ConfigError)."""
        if isinstance(directive, Directory):
            assert isinstance(value, bytes)
            try:
                self.door.change_directory(value)
            except OSError as error:
                raise ConfigError(error.strerror or str(error)) from None
            value = self.door.current_directory()
        self.values[directive.name] = value
        self.write_limit(directive)

    def restore(self, before: list[tuple[Directive, object]]) -> None:
        """Undo changes, the last first."""
        for directive, value in reversed(before):
            if self.values[directive.name] != value:
                self.store(directive, value)

    def write_limit(self, directive: Directive) -> None:
        if self.limits is not None and directive.limit:
            value = self.values[directive.name]
            assert isinstance(value, int)
            setattr(self.limits, directive.limit, min(value, LONG_MAX))

    # -- what the commands need ---------------------------------------------------------------------------

    def sensitive_positions(self, argv: list[bytes]) -> list[int]:
        """Which arguments of a CONFIG SET the slow log and MONITOR must not show."""
        positions: list[int] = []
        for index in range(2, len(argv) - 1, 2):
            directive = self.find(argv[index])
            if directive is not None and directive.flags & SENSITIVE:
                positions.append(index + 1)
        return positions

    def allows(self, name: str, is_local: bool) -> bool:
        """Whether a protected action (enable-debug-command ...) is open to this client."""
        word = self.choice(name)
        return word == b"yes" or (word == b"local" and is_local)


def set_error(name: str, reason: str) -> SetError:
    text = f"ERR CONFIG SET failed (possibly related to argument '{name}')"
    return SetError((f"{text} - {reason}" if reason else text).encode())


def pairs_of(argv: list[bytes]) -> list[tuple[bytes, bytes]]:
    """The pairs of a CONFIG SET."""
    if len(argv) % 2:
        raise SetError(SYNTAX)
    return [(argv[index], argv[index + 1]) for index in range(2, len(argv), 2)]


def split_words(word: bytes) -> list[bytes]:
    """The words of a value in one string: split at single blanks, so that two of them make an empty word."""
    return word.split(b" ") if word else []


def is_glob(pattern: bytes) -> bool:
    return b"*" in pattern or b"?" in pattern or b"[" in pattern


def find_in_any_version(name: bytes) -> Directive | None:
    """A directive of another version than the one in use: a file may name it, and then nothing happens."""
    lower = name.decode("latin-1").lower()
    for directive in DIRECTIVES:
        if lower in (directive.name, directive.alias):
            return directive
    return None


def compat_number(word: bytes) -> int:
    """70, 72 or 80 from a value of `compat`; raises ConfigError."""
    directive = find_in_any_version(b"compat")
    assert isinstance(directive, Choice)
    value = directive.parse([word], 0, 80)
    assert isinstance(value, int)
    return value
