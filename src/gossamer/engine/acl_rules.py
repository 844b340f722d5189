"""The language of access rules: what one selector allows, how words change it, and its canonical text.

Owns: Selector (commands, key patterns, channel patterns), the words that change a selector, and the text by which
ACL LIST and GETUSER show it. Must not know: users, passwords, clients.

    ~app:* %R~shared:* resetchannels &news -@all +@read -keys +config|get +select|0

Invariants: `all_keys` means that `patterns` is empty, `all_channels` that `channels` is; no word holds a blank, so a
text can be read back. Redis 7.0 derives the text of commands from the set of those allowed, 7.2 and Valkey remember
the words: `words` is kept in every version and shown from 7.2 on.
"""

from __future__ import annotations

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import GossamerError
from gossamer.base.glob import match
from gossamer.commands.key_positions import KeyReference
from gossamer.commands.table import CATEGORY_ORDER, Command, implicit_categories

READ: Final = 1
WRITE: Final = 2
READ_WRITE: Final = READ | WRITE

SYNTAX: Final = b"Syntax error"
NO_SUCH_COMMAND: Final = b"Unknown command or category name in ACL"
FIRST_ARGUMENT_OF_SUBCOMMAND: Final = b"Allowing first-arg of a subcommand is not supported"
AFTER_ALL_KEYS: Final = (
    b"Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. "
    b"Try 'resetkeys' to start with an empty list of patterns"
)
AFTER_ALL_CHANNELS: Final = (
    b"Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. "
    b"Try 'resetchannels' to start with an empty list of channels"
)
_WRITING_FLAGS: Final = ("insert", "delete", "update")


class RuleError(GossamerError):
    """A rule cannot be applied; `reason` is the text that follows the rule in the server's reply."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason.decode("latin-1"))
        self.reason: bytes = reason


@final
class Catalogue:
    """The commands that rules can name, under the names that they were declared with (rename-command aside)."""

    def __init__(self, compat: int) -> None:
        self.remembers_words: bool = compat >= 72
        self.merges_open_selectors: bool = compat >= 72
        self.commands: dict[bytes, Command] = {}
        self.categories: dict[bytes, list[Command]] = {name.encode(): [] for name in CATEGORY_ORDER}

    def add(self, commands: dict[bytes, Command]) -> None:
        """Learn the commands of a table that are new."""
        for command in commands.values():
            if command.name in self.commands:
                continue
            self.commands[command.name] = command
            self.file(command)
            for subcommand in command.subcommands.values():
                self.file(subcommand)

    def file(self, command: Command) -> None:
        for category in implicit_categories(command):
            self.categories[category.encode()].append(command)

    def find(self, name: bytes) -> Command | None:
        """A command by `name` or `container|subcommand`, in any case of letters."""
        words = name.lower().split(b"|")
        command = self.commands.get(words[0])
        if command is None or len(words) == 1:
            return command
        return command.subcommands.get(words[1]) if len(words) == 2 else None


@final
class KeyPattern:
    """A glob of keys, and whether it lets read, write or both."""

    def __init__(self, glob: bytes, permission: i64) -> None:
        self.glob: bytes = glob
        self.permission: i64 = permission

    def text(self) -> bytes:
        if self.permission == READ_WRITE:
            return b"~" + self.glob
        return (b"%R~" if self.permission == READ else b"%W~") + self.glob


@final
class Selector:
    """One set of permissions; a request is allowed if one of its user's selectors allows all of it."""

    def __init__(self, catalogue: Catalogue, all_channels: bool) -> None:
        self.catalogue: Catalogue = catalogue
        self.all_commands: bool = False  # nothing was taken away since +@all
        self.future_commands: bool = False  # +@all came last of +@all and -@all
        self.allowed: set[Command] = set()
        self.first_arguments: dict[Command, list[bytes]] = {}
        self.words: list[bytes] = []  # since the last +@all or -@all, for the text
        self.all_keys: bool = False
        self.patterns: list[KeyPattern] = []
        self.all_channels: bool = all_channels
        self.channels: list[bytes] = []

    def copy(self) -> Selector:
        twin = Selector(self.catalogue, self.all_channels)
        twin.all_commands = self.all_commands
        twin.future_commands = self.future_commands
        twin.allowed = set(self.allowed)
        for command, arguments in self.first_arguments.items():
            twin.first_arguments[command] = list(arguments)
        twin.words = list(self.words)
        twin.all_keys = self.all_keys
        twin.patterns = [KeyPattern(pattern.glob, pattern.permission) for pattern in self.patterns]
        twin.channels = list(self.channels)
        return twin

    def is_unrestricted(self) -> bool:
        return self.all_commands and self.all_keys and self.all_channels

    # -- what is allowed ----------------------------------------------------------------------------------

    def allows_command(self, command: Command, argv: list[bytes]) -> bool:
        """Whether the command may run, be it only for its first argument."""
        if self.all_commands or command in self.allowed:
            return True
        arguments = self.first_arguments.get(command)
        position = 2 if command.in_container else 1
        return arguments is not None and len(argv) > position and argv[position].lower() in arguments

    def allows_key(self, key: bytes, flags: tuple[str, ...]) -> bool:
        """Whether a command may do to a key what the flags of its key specification say."""
        if self.all_keys:
            return True
        needed = needed_permission(flags)
        for pattern in self.patterns:
            if pattern.permission & needed == needed and match(pattern.glob, key, False):
                return True
        return False

    def allows_channel(self, channel: bytes, is_pattern: bool) -> bool:
        """Whether a channel may be used; a pattern of PSUBSCRIBE must stand in the rules to the letter."""
        if self.all_channels:
            return True
        for allowed in self.channels:
            if allowed == channel if is_pattern else match(allowed, channel, False):
                return True
        return False

    def reads_every_key(self) -> bool:
        """Whether a command may look at keys that are not among its arguments (SORT BY, GET)."""
        if self.all_keys:
            return True
        for pattern in self.patterns:
            if pattern.glob == b"*" and pattern.permission & READ:
                return True
        return False

    def first_denied_key(self, argv: list[bytes], keys: list[KeyReference]) -> i64:
        """The position of the first key that is out of bounds; -1 where none is."""
        for reference in keys:
            if not self.allows_key(argv[reference.position], reference.flags):
                return reference.position
        return -1

    # -- words that change it -----------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Apply one word; raises RuleError."""
        word = rule.lower()
        if word in (b"allcommands", b"+@all"):
            self.all_commands = True
            self.future_commands = True
            self.allowed = everything(self.catalogue)
            self.first_arguments = {}
            self.words = []
        elif word in (b"nocommands", b"-@all"):
            self.all_commands = False
            self.future_commands = False
            self.allowed = set()
            self.first_arguments = {}
            self.words = []
        elif word in (b"allkeys", b"~*"):
            self.all_keys = True
            self.patterns = []
        elif word == b"resetkeys":
            self.all_keys = False
            self.patterns = []
        elif word in (b"allchannels", b"&*"):
            self.all_channels = True
            self.channels = []
        elif word == b"resetchannels":
            self.all_channels = False
            self.channels = []
        elif word.startswith((b"+@", b"-@")):
            self.apply_category(word[2:].partition(b"\0")[0], word.startswith(b"+"))
        elif word.startswith(b"+"):
            self.apply_allowed(word[1:].partition(b"\0")[0])
        elif word.startswith(b"-"):
            self.apply_denied(word[1:].partition(b"\0")[0])
        elif word.startswith((b"~", b"%")):
            self.apply_pattern(rule)
        elif word.startswith(b"&"):
            self.apply_channel(rule[1:])
        else:
            raise RuleError(SYNTAX)

    def apply_category(self, name: bytes, allow: bool) -> None:
        members = self.catalogue.categories.get(name)
        if members is None:
            raise RuleError(NO_SUCH_COMMAND)
        self.set_category(members, allow)
        self.remember(b"@" + name, allow)

    def set_category(self, members: list[Command], allow: bool) -> None:
        for command in members:
            self.set_command(command, allow)

    def apply_allowed(self, name: bytes) -> None:
        """`+command`, `+container|subcommand` or `+command|first-argument`."""
        base, bar, last = name.rpartition(b"|")
        if not bar:
            base = name
        command = self.catalogue.find(base)
        if command is None:
            raise RuleError(NO_SUCH_COMMAND)
        if not bar:
            self.set_command(command, True)
        elif command.in_container:
            raise RuleError(FIRST_ARGUMENT_OF_SUBCOMMAND)
        elif not last or has_blanks(last):
            raise RuleError(SYNTAX)
        elif command.subcommands:
            subcommand = command.subcommands.get(last)
            if subcommand is None:
                raise RuleError(NO_SUCH_COMMAND)
            self.set_command(subcommand, True)
        elif last not in self.first_arguments.setdefault(command, []):
            self.first_arguments[command].append(last)
        self.remember(name, True)

    def apply_denied(self, name: bytes) -> None:
        command = self.catalogue.find(name)
        if command is None:
            raise RuleError(NO_SUCH_COMMAND)
        self.set_command(command, False)
        self.remember(name, False)

    def set_command(self, command: Command, allow: bool) -> None:
        """Allow or deny a command, and with a container all that it contains."""
        if allow:
            self.allowed.add(command)
        else:
            self.allowed.discard(command)
            self.all_commands = False
        self.first_arguments.pop(command, None)
        for subcommand in command.subcommands.values():
            self.set_command(subcommand, allow)

    def remember(self, name: bytes, allow: bool) -> None:
        """The last word on a command or category stands; one on a container replaces those on its subcommands."""
        prefix = name + b"|"
        self.words = [word for word in self.words if word[1:] != name and not word[1:].startswith(prefix)]
        self.words.append((b"+" if allow else b"-") + name)

    def apply_pattern(self, rule: bytes) -> None:
        if self.all_keys:
            raise RuleError(AFTER_ALL_KEYS)
        permission: i64 = READ_WRITE
        glob = rule[1:]
        if rule.startswith(b"%"):
            letters, _, glob = rule[1:].partition(b"~")
            permission = permission_of(letters)
        if has_blanks(glob):
            raise RuleError(SYNTAX)
        for pattern in self.patterns:
            if pattern.glob == glob:
                pattern.permission |= permission
                return
        self.patterns.append(KeyPattern(glob, permission))

    def apply_channel(self, glob: bytes) -> None:
        if self.all_channels:
            raise RuleError(AFTER_ALL_CHANNELS)
        if has_blanks(glob):
            raise RuleError(SYNTAX)
        if glob not in self.channels:
            self.channels.append(glob)

    # -- its text -----------------------------------------------------------------------------------------

    def commands_text(self) -> bytes:
        """`+@all` or `-@all`, and what leads from there to the allowed commands."""
        base = b"+@all" if self.future_commands else b"-@all"
        words = self.words if self.catalogue.remembers_words else compacted(self)
        return b" ".join([base, *words])

    def keys_text(self) -> bytes:
        if self.all_keys:
            return b"~*"
        return b" ".join([pattern.text() for pattern in self.patterns])

    def channels_text(self) -> bytes:
        if self.all_channels:
            return b"&*"
        return b" ".join([b"&" + channel for channel in self.channels])

    def text(self) -> bytes:
        """All of it, as rules that make it from an empty selector."""
        parts: list[bytes] = []
        keys = self.keys_text()
        if keys:
            parts.append(keys)
        if not self.all_channels:
            parts.append(b"resetchannels")
        channels = self.channels_text()
        if channels:
            parts.append(channels)
        parts.append(self.commands_text())
        return b" ".join(parts)


def everything(catalogue: Catalogue) -> set[Command]:
    """Every command and subcommand."""
    found: set[Command] = set()
    for command in catalogue.commands.values():
        found.add(command)
        found.update(command.subcommands.values())
    return found


def needed_permission(flags: tuple[str, ...]) -> i64:
    """What a key pattern must allow for the flags of a key specification."""
    needed: i64 = 0
    for flag in flags:
        if flag == "access":
            needed |= READ
        elif flag in _WRITING_FLAGS:
            needed |= WRITE
    return needed


def permission_of(letters: bytes) -> i64:
    """The permission between `%` and `~`: R, W, or both in any order; raises RuleError.

    Without any letter it would be a pattern that allows nothing and has no text (CVE-2024-51741).
    """
    permission: i64 = 0
    for letter in letters.upper():
        bit: i64 = READ if letter == 82 else WRITE if letter == 87 else 0
        if bit == 0 or permission & bit:
            raise RuleError(SYNTAX)
        permission |= bit
    if permission == 0:
        raise RuleError(SYNTAX)
    return permission


def has_blanks(text: bytes) -> bool:
    """Whether a name or pattern has a byte that the text form cannot carry."""
    for byte in text:
        if byte == 0 or byte == 32 or 9 <= byte <= 13:
            return True
    return False


# -- the text of Redis 7.0 -------------------------------------------------------------------------------------


def compacted(selector: Selector) -> list[bytes]:
    """Categories and commands that make the allowed set of a selector, the fewest first differences first.

    In each round the category that agrees most with what is left is taken; single commands mend the rest. The
    result depends on the set alone, not on how it was made.
    """
    adds = not selector.future_commands
    categories = selector.catalogue.categories
    words: list[bytes] = []
    made = Selector(selector.catalogue, False)
    made.apply(b"-@all" if adds else b"+@all")
    left = Selector(selector.catalogue, False)
    left.allowed = set(selector.allowed)
    while True:
        best = b""
        best_different: i64 = 1 << 30
        best_same: i64 = 0
        for name, members in categories.items():
            on: i64 = 0
            for command in members:
                if command in left.allowed:
                    on += 1
            off: i64 = len(members) - on
            same: i64 = on if adds else off
            different: i64 = off if adds else on
            if same > different and (
                different < best_different or (different == best_different and same > best_same)
            ):
                best = name
                best_different = different
                best_same = same
        if not best:
            break
        made.set_category(categories[best], adds)
        left.set_category(categories[best], not adds)
        words.append((b"+@" if adds else b"-@") + best)
    for command in selector.catalogue.commands.values():
        mend(selector, made, command, words)
        for subcommand in command.subcommands.values():
            mend(selector, made, subcommand, words)
    return words


def mend(selector: Selector, made: Selector, command: Command, words: list[bytes]) -> None:
    """Add the word for a command on which two selectors differ, and its first arguments."""
    allow = command in selector.allowed
    if allow != (command in made.allowed):
        words.append((b"+" if allow else b"-") + command.full_name)
        made.set_command(command, allow)
    if not allow:
        for argument in selector.first_arguments.get(command, []):
            words.append(b"+" + command.full_name + b"|" + argument)
