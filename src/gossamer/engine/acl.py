"""Access control: the users of one server, what each may do, and the lines that declare them.

Owns: users with their passwords and selectors, the decision about a request, ACL files as text. Must not know:
clients, sockets, files. The language of a single selector stands in acl_rules.py, the log of denials in acl_log.py,
what follows for connected clients in acl_access.py.

Invariants: the user `default` always exists, as one and the same object; a change that fails in any rule changes
nothing; passwords exist only as SHA-256 and are compared in a time that tells nothing of them.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import GossamerError
from gossamer.commands.key_positions import KeyReference, find_keys, has_keys
from gossamer.commands.table import NO_AUTH, Command
from gossamer.engine.acl_log import AclLog
from gossamer.engine.acl_rules import NO_SUCH_COMMAND, Catalogue, RuleError, Selector, has_blanks

DENIED_COMMAND: Final = 1
DENIED_KEY: Final = 2
DENIED_AUTHENTICATION: Final = 3
DENIED_CHANNEL: Final = 4

SANITIZE_UNSAID: Final = 0
SANITIZE: Final = 1
SKIP_SANITIZE: Final = 2

DEFAULT_USER: Final = b"default"
NO_SUCH_PASSWORD: Final = b"The password you are trying to remove from the user does not exist"
BAD_HASH: Final = (
    b"The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"
)
NOTHING_CHANGED: Final = (
    b"WARNING: ACL errors detected, no change to the previously active ACL rules was performed"
)

# Commands that name channels: the position of the first, whether all that follow are channels, whether patterns.
CHANNEL_COMMANDS: Final = {
    b"publish": (1, False, False),
    b"spublish": (1, False, False),
    b"subscribe": (1, True, False),
    b"ssubscribe": (1, True, False),
    b"psubscribe": (1, True, True),
}


@final
class Denial:
    """Why a request is refused: a DENIED_ number, and the argument at fault (0 for the command itself)."""

    def __init__(self, reason: i64, position: i64) -> None:
        self.reason: i64 = reason
        self.position: i64 = position


@final
class OpenParenthesis(GossamerError):
    """A selector is not closed; `word` is where it opens."""

    def __init__(self, word: bytes) -> None:
        super().__init__("unmatched parenthesis")
        self.word: bytes = word


@final
class WordRefused(GossamerError):
    """One rule of several cannot be applied."""

    def __init__(self, word: bytes, reason: bytes) -> None:
        super().__init__(reason.decode("latin-1"))
        self.word: bytes = word
        self.reason: bytes = reason


@final
class User:
    """One user; clients hold the object itself, so a change is seen by all of them at once."""

    def __init__(self, name: bytes, catalogue: Catalogue, all_channels: bool) -> None:
        self.name: bytes = name
        self.catalogue: Catalogue = catalogue
        self.all_channels_at_first: bool = all_channels  # acl-pubsub-default
        self.enabled: bool = False
        self.needs_no_password: bool = False
        self.sanitize: i64 = SANITIZE if catalogue.remembers_words else SANITIZE_UNSAID
        self.passwords: list[bytes] = []  # SHA-256 in hexadecimal digits
        self.root: Selector = Selector(catalogue, all_channels)
        self.selectors: list[Selector] = []
        self.unrestricted: bool = False  # may do everything: requests need no look at the rules

    def take(self, other: User) -> None:
        """Become what another user is, save for the name."""
        self.enabled = other.enabled
        self.needs_no_password = other.needs_no_password
        self.sanitize = other.sanitize
        self.passwords = list(other.passwords)
        self.root = other.root.copy()
        self.selectors = [selector.copy() for selector in other.selectors]
        self.settle()

    def settle(self) -> None:
        """Draw the conclusions from rules that have changed."""
        self.unrestricted = self.root.is_unrestricted()
        for selector in self.selectors:
            self.unrestricted = self.unrestricted or selector.is_unrestricted()

    def all_selectors(self) -> list[Selector]:
        return [self.root, *self.selectors]

    # -- words --------------------------------------------------------------------------------------------

    def apply(self, rule: bytes) -> None:
        """Apply one rule; raises RuleError. An empty one does nothing."""
        word = rule.lower()
        if not word:
            return
        if word == b"on":
            self.enabled = True
        elif word == b"off":
            self.enabled = False
        elif word == b"nopass":
            self.needs_no_password = True
            self.passwords = []
        elif word == b"resetpass":
            self.needs_no_password = False
            self.passwords = []
        elif word == b"sanitize-payload":
            self.sanitize = SANITIZE
        elif word == b"skip-sanitize-payload":
            self.sanitize = SKIP_SANITIZE
        elif word == b"clearselectors":
            self.selectors = []
        elif word == b"reset":
            self.reset()
        elif word.startswith((b">", b"#")):
            self.add_password(hash_of(rule))
        elif word.startswith((b"<", b"!")):
            digest = hash_of(rule)
            if digest not in self.passwords:
                raise RuleError(NO_SUCH_PASSWORD)
            self.passwords.remove(digest)
        elif word.startswith(b"(") and word.endswith(b")"):
            self.add_selector(rule[1:-1])
        else:
            self.root.apply(rule)
        self.settle()

    def reset(self) -> None:
        """Back to a user that may do nothing."""
        self.enabled = False
        self.needs_no_password = False
        self.passwords = []
        self.sanitize = SANITIZE
        self.root = Selector(self.catalogue, self.all_channels_at_first)
        self.selectors = []

    def add_password(self, digest: bytes) -> None:
        if digest not in self.passwords:
            self.passwords.append(digest)
        self.needs_no_password = False

    def add_selector(self, text: bytes) -> None:
        selector = Selector(self.catalogue, self.all_channels_at_first)
        for word in text.split():
            selector.apply(word)
        self.selectors.append(selector)

    # -- decisions ----------------------------------------------------------------------------------------

    def accepts(self, password: bytes) -> bool:
        """Whether a password opens this user."""
        digest = hashed(password)
        found = False
        for known in self.passwords:
            if hmac.compare_digest(known, digest):
                found = True
        return self.enabled and (found or self.needs_no_password)

    def check(self, command: Command, argv: list[bytes]) -> Denial | None:
        """Why the user may not run a request; None where it may.

        A request needs one selector that allows all of it. Of several refusals the one that got furthest is told.
        """
        if self.unrestricted:
            return None
        keys: list[KeyReference] | None = find_keys(command, argv) if has_keys(command) else None
        worst = refusal(self.root, command, argv, keys)
        if worst is None:
            return None
        for selector in self.selectors:
            denial = refusal(selector, command, argv, keys)
            if denial is None:
                return None
            if (denial.reason, denial.position) > (worst.reason, worst.position):
                worst = denial
        return worst

    def reads_every_key(self, command: Command, argv: list[bytes]) -> bool:
        """Whether a selector that allows the request lets read keys that are not among its arguments."""
        if self.unrestricted:
            return True
        keys: list[KeyReference] | None = find_keys(command, argv) if has_keys(command) else None
        for selector in self.all_selectors():
            if selector.reads_every_key() and refusal(selector, command, argv, keys) is None:
                return True
        return False

    def allows_subscription(self, channel: bytes, is_pattern: bool) -> bool:
        """Whether a client of this user may go on to listen to a channel or pattern."""
        for selector in self.all_selectors():
            if selector.allows_channel(channel, is_pattern):
                return True
        return False

    # -- text ---------------------------------------------------------------------------------------------

    def flags(self) -> list[bytes]:
        words = [b"on" if self.enabled else b"off"]
        if self.needs_no_password:
            words.append(b"nopass")
        if self.sanitize == SKIP_SANITIZE:
            words.append(b"skip-sanitize-payload")
        elif self.sanitize == SANITIZE:
            words.append(b"sanitize-payload")
        return words

    def text(self) -> bytes:
        """The rules that make this user anew, without its name."""
        words = self.flags()
        words += [b"#" + digest for digest in self.passwords]
        words.append(self.root.text())
        words += [b"(" + selector.text() + b")" for selector in self.selectors]
        return b" ".join(words)


def refusal(
    selector: Selector, command: Command, argv: list[bytes], keys: list[KeyReference] | None
) -> Denial | None:
    """Why one selector does not allow a request; None where it does."""
    if not command.flags & NO_AUTH and not selector.allows_command(command, argv):
        return Denial(DENIED_COMMAND, 0)
    if keys is not None and not selector.all_keys:
        position = selector.first_denied_key(argv, keys)
        if position >= 0:
            return Denial(DENIED_KEY, position)
    if not selector.all_channels:
        position = first_denied_channel(selector, command, argv)
        if position >= 0:
            return Denial(DENIED_CHANNEL, position)
    return None


def first_denied_channel(selector: Selector, command: Command, argv: list[bytes]) -> i64:
    """The position of the first channel that is out of bounds; -1 where none is."""
    places = CHANNEL_COMMANDS.get(command.full_name)
    if places is None:
        return -1
    first, all_that_follow, are_patterns = places
    for position in range(first, len(argv) if all_that_follow else first + 1):
        if not selector.allows_channel(argv[position], are_patterns):
            return position
    return -1


def hashed(password: bytes) -> bytes:
    return hashlib.sha256(password).hexdigest().encode()


def hash_of(rule: bytes) -> bytes:
    """The hash in a rule about a password: `>` and `<` spell the password, `#` and `!` its hash."""
    if rule[:1] in (b">", b"<"):
        return hashed(rule[1:])
    digest = rule[1:]
    if len(digest) != 64:
        raise RuleError(BAD_HASH)
    for byte in digest:
        if not (48 <= byte <= 57 or 97 <= byte <= 102):
            raise RuleError(BAD_HASH)
    return digest


def merged_selectors(words: list[bytes], merges_open_ones: bool) -> list[bytes]:
    """The rules of a list of words, in which a selector in parentheses may span several.

    Raises OpenParenthesis. In 7.0 a word that opens a selector begins it anew.
    """
    rules: list[bytes] = []
    opened = b""
    is_open = False
    for word in words:
        opens = word.startswith(b"(") and not word.endswith(b")")
        if opens and not (is_open and merges_open_ones):
            opened = word
            rule = word
            is_open = True
        elif is_open:
            rule = rule + b" " + word
            if word.endswith(b")"):
                is_open = False
                rules.append(rule)
        else:
            rules.append(word)
    if is_open:
        raise OpenParenthesis(opened)
    return rules


@final
class Acl:
    """The users of one server."""

    def __init__(self, compat: int) -> None:
        self.compat: int = compat
        self.catalogue: Catalogue = Catalogue(compat)
        self.all_channels_at_first: bool = False
        self.default: User = self.open_user()
        self.users: dict[bytes, User] = {DEFAULT_USER: self.default}
        self.log: AclLog = AclLog()

    def open_user(self) -> User:
        """The default user as it is at first: no password, everything allowed."""
        user = User(DEFAULT_USER, self.catalogue, self.all_channels_at_first)
        for rule in (b"+@all", b"~*", b"&*", b"on", b"nopass"):
            user.apply(rule)
        return user

    def add_commands(self, commands: dict[bytes, Command]) -> None:
        """Let rules name the commands of a table; what was +@all allows them."""
        self.catalogue.add(commands)
        for user in self.users.values():
            for selector in user.all_selectors():
                if selector.all_commands:
                    selector.apply(b"+@all")

    def default_needs_login(self) -> bool:
        """Whether a client that has not said who it is must do so first."""
        return not self.default.needs_no_password or not self.default.enabled

    def set_default_password(self, password: bytes) -> None:
        """requirepass: the one password of the default user, or none at all."""
        self.default.apply(b"resetpass")
        self.default.apply(b">" + password if password else b"nopass")

    def login(self, name: bytes, password: bytes) -> User | None:
        """The user that a name and a password open."""
        user = self.users.get(name)
        return user if user is not None and user.accepts(password) else None

    def new_user(self, name: bytes) -> User:
        return User(name, self.catalogue, self.all_channels_at_first)

    def changed(self, name: bytes, rules: list[bytes]) -> User:
        """What a user, old or new, would be after the rules; raises OpenParenthesis or WordRefused."""
        draft = self.new_user(name)
        known = self.users.get(name)
        if known is not None:
            draft.take(known)
        for rule in merged_selectors(rules, self.catalogue.merges_open_selectors):
            try:
                draft.apply(rule)
            except RuleError as error:
                raise WordRefused(rule, error.reason) from None
        return draft

    def sorted_users(self) -> list[User]:
        return [self.users[name] for name in sorted(self.users)]

    def lines(self) -> list[bytes]:
        """Every user as a line of an ACL file, or of a configuration file."""
        return [b"user " + user.name + b" " + user.text() for user in self.sorted_users()]

    # -- ACL files ----------------------------------------------------------------------------------------

    def parsed(self, path: bytes, content: bytes) -> tuple[dict[bytes, User], bytes]:
        """The users that an ACL file declares, and all of its errors in one text (empty: none)."""
        users: dict[bytes, User] = {}
        errors: list[bytes] = []
        for number, raw in enumerate(content.partition(b"\0")[0].split(b"\n"), 1):
            line = raw.strip(b" \t\r\n")
            if not line:
                continue
            place = path + b":%d" % number
            words = line.split(b" ")
            if words[0] != b"user" or len(words) < 2:
                errors.append(place + b" should start with user keyword followed by the username. ")
            elif has_blanks(words[1]):
                errors.append(b"'" + place + b": username '" + words[1] + b"' contains invalid characters. ")
            elif words[1] in users:
                errors.append(b"WARNING: Duplicate user '%s' found on line %d. " % (words[1], number))
            else:
                users[words[1]] = self.declared(words[1], words[2:], place, errors)
        if errors:
            errors.append(NOTHING_CHANGED)
        if DEFAULT_USER not in users:
            users[DEFAULT_USER] = self.open_user()
        return users, b"".join(errors)

    def declared(self, name: bytes, words: list[bytes], place: bytes, errors: list[bytes]) -> User:
        """The user of one line; what is wrong with it is added to errors."""
        user = self.new_user(name)
        try:
            rules = merged_selectors(words, self.catalogue.merges_open_selectors)
        except OpenParenthesis:
            errors.append(place + b": Unmatched parenthesis in selector definition.")
            return user
        told = False
        for rule in rules:
            try:
                user.apply(rule.strip(b"\t\r\n"))
            except RuleError as error:
                if is_missing(error):
                    errors.append(
                        place + b": Error in applying operation '" + rule + b"': " + error.reason + b". "
                    )
                elif not told:
                    # The rest may be wrong because of the first, and may show a password.
                    errors.append(place + b": " + error.reason + b". ")
                    told = True
        return user


def is_missing(error: RuleError) -> bool:
    """Whether a rule names a command or category that does not exist."""
    return error.reason == NO_SUCH_COMMAND


def check_declaration(catalogue: Catalogue, rules: list[bytes]) -> bytes:
    """What is wrong with the words of a `user` line, commands that do not exist aside; empty where nothing is."""
    user = User(b"", catalogue, False)
    for rule in merged_selectors(rules, catalogue.merges_open_selectors):
        try:
            user.apply(rule)
        except RuleError as error:
            if not is_missing(error):
                return error.reason
    return b""
