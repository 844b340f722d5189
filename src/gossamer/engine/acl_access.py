"""What access rules mean for connected clients: who is logged in as whom, whose request is refused, who must go.

Owns: the texts of refusals, the entries of ACL LOG, and what follows for clients when a user changes or goes. Must
not know: the language of rules (acl_rules.py), ACL's own replies (acl_commands.py).

Invariant: a client has GATE_ACL exactly while its user may not do everything, so nobody else pays for the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gossamer.base.errors import ConfigError
from gossamer.commands.table import Command
from gossamer.engine.acl import (
    DEFAULT_USER,
    DENIED_AUTHENTICATION,
    DENIED_COMMAND,
    DENIED_KEY,
    Denial,
    OpenParenthesis,
    User,
    WordRefused,
    check_declaration,
)
from gossamer.engine.acl_log import AclLogEntry
from gossamer.engine.acl_rules import has_blanks
from gossamer.engine.client import GATE_ACL, Client
from gossamer.engine.client_text import client_line
from gossamer.engine.config import Config
from gossamer.engine.config_file import FileError

if TYPE_CHECKING:
    from gossamer.engine.engine import Engine

TOPLEVEL: Final = b"toplevel"
IN_MULTI: Final = b"multi"
IN_SCRIPT: Final = b"lua"

RULES_CHANGED: Final = (
    b"NOPERM ACLs rules changed between the moment the transaction was accumulated and the EXEC call. This command "
    b"is no longer allowed for the following reason: "
)
USERS_AND_FILE: Final = (
    "Configuring Redis with users defined in redis.conf and at the same setting an ACL file path is invalid. This "
    "setup is very likely to lead to configuration errors and security holes, please define either an ACL file or "
    "declare users directly in your redis.conf, but not both."
)
REDACTED: Final = b"(redacted)"


class UsersRefused(ConfigError):
    """The server cannot start with the users that it was given; the message is for the log, line by line."""


# -- refusals ------------------------------------------------------------------------------------------------


def refusal_text(engine: Engine, client: Client, command: Command, argv: list[bytes]) -> bytes | None:
    """The error where the client's user may not run a request, which is logged; None where it may."""
    denial = client.user.check(command, argv)
    if denial is None:
        return None
    client.last_command = command
    context = TOPLEVEL if client.queued is None else IN_MULTI
    note_denial(engine, client, command, argv, denial, context)
    return b"NOPERM " + short_text(engine, client.user, command, denial)


def refusal_at_exec(engine: Engine, client: Client, command: Command, argv: list[bytes]) -> bytes | None:
    """As refusal_text(), for a command that was queued when the rules allowed it."""
    denial = client.user.check(command, argv)
    if denial is None:
        return None
    note_denial(engine, client, command, argv, denial, IN_MULTI)
    if denial.reason == DENIED_COMMAND:
        return RULES_CHANGED + b"no permission to execute the command or subcommand"
    if denial.reason == DENIED_KEY:
        return RULES_CHANGED + b"no permission to touch the specified keys"
    return RULES_CHANGED + b"no permission to access one of the channels used as arguments"


def refusal_in_script(
    engine: Engine, caller: Client, command: Command, argv: list[bytes], logs: bool
) -> bytes | None:
    """As refusal_text(), for a command of a script that `caller` runs."""
    if not caller.gate & GATE_ACL:
        return None
    denial = caller.user.check(command, argv)
    if denial is None:
        return None
    if logs:
        note_denial(engine, caller, command, argv, denial, IN_SCRIPT)
    if engine.limits.compat >= 72:
        return b"ERR ACL failure in script: " + short_text(engine, caller.user, command, denial)
    who = b"ERR The user executing the script can't "
    if denial.reason == DENIED_COMMAND:
        return who + b"run this command or subcommand"
    if denial.reason == DENIED_KEY:
        return who + b"access at least one of the keys mentioned in the command arguments"
    return who + b"publish to the channel mentioned in the command"


def short_text(engine: Engine, user: User, command: Command, denial: Denial) -> bytes:
    """Why, without the name of the key or channel."""
    if engine.limits.compat < 72:
        who = b"this user has no permissions to "
        if denial.reason == DENIED_COMMAND:
            return who + b"run the '" + command.full_name + b"' command"
        what = b"keys" if denial.reason == DENIED_KEY else b"channels"
        return who + b"access one of the " + what + b" used as arguments"
    if denial.reason == DENIED_COMMAND:
        return b"User " + user.name + b" has no permissions to run the '" + command.full_name + b"' command"
    return b"No permissions to access a " + (b"key" if denial.reason == DENIED_KEY else b"channel")


def long_text(engine: Engine, user: User, command: Command, argv: list[bytes], denial: Denial) -> bytes:
    """Why, as ACL DRYRUN tells it."""
    who = b"User " + user.name if engine.limits.compat >= 72 else b"This user"
    if denial.reason == DENIED_COMMAND:
        return who + b" has no permissions to run the '" + command.full_name + b"' command"
    what = b"key" if denial.reason == DENIED_KEY else b"channel"
    return who + b" has no permissions to access the '" + argv[denial.position] + b"' " + what


def note_denial(
    engine: Engine, client: Client, command: Command, argv: list[bytes], denial: Denial, context: bytes
) -> None:
    denied = command.full_name if denial.reason == DENIED_COMMAND else argv[denial.position]
    now_ms = engine.now_us // 1000
    line = client_line(client, engine.now_us)[:-1]
    engine.acl.log.add(AclLogEntry(denial.reason, context, denied, client.user.name, now_ms, line))


# -- logging in ----------------------------------------------------------------------------------------------


def log_in(client: Client, argv: list[bytes], name: bytes, password: bytes) -> bool:
    """Make the client act as a user from now on; a failure is logged. argv: of AUTH or HELLO."""
    engine = client.engine
    user = engine.acl.login(name, password)
    if user is not None:
        client.act_as(user, True)
        return True
    now_ms = engine.now_us // 1000
    context = TOPLEVEL if client.queued is None and engine.call_depth == 0 else IN_MULTI
    line = client_line(client, engine.now_us)[:-1]
    engine.acl.log.add(AclLogEntry(DENIED_AUTHENTICATION, context, argv[0], name, now_ms, line))
    return False


def act_as_default(client: Client) -> None:
    """A client that has not said who it is."""
    acl = client.engine.acl
    client.act_as(acl.default, not acl.default_needs_login())


def without_secrets(command: Command, argv: list[bytes], compat: int) -> list[bytes]:
    """A request as the slow log and monitors may show it."""
    name = command.full_name
    if name == b"auth":
        return [argv[0], *[REDACTED] * (len(argv) - 1)]
    if name == b"acl|setuser" or (name in (b"acl|getuser", b"acl|deluser") and compat >= 72):
        return [*argv[:2], *[REDACTED] * (len(argv) - 2)]
    if name == b"hello" or name == b"migrate":
        return without_options(argv, 2 if name == b"hello" else 6)
    return argv


def without_options(argv: list[bytes], start: int) -> list[bytes]:
    """The same with the values of AUTH and AUTH2 hidden."""
    shown = list(argv)
    for position in range(start, len(argv)):
        word = argv[position].lower()
        if word == b"keys":
            break
        if word not in (b"auth", b"auth2"):
            continue
        values = 1 if word == b"auth" and start == 6 else 2
        for hidden in range(position + 1, min(position + 1 + values, len(argv))):
            shown[hidden] = REDACTED
    return shown


# -- users that change ---------------------------------------------------------------------------------------


def change_user(engine: Engine, draft: User) -> None:
    """Put what a user is to be into force: for its clients too, some of whom may have to go."""
    user = engine.acl.users.get(draft.name)
    if user is None:
        engine.acl.users[draft.name] = draft
        return
    user.take(draft)
    for client in list(engine.clients.values()):
        if client.user is user:
            client.act_as(user, client.authenticated)
            if not may_keep_subscriptions(client):
                dismiss(engine, client)


def remove_user(engine: Engine, name: bytes) -> bool:
    """Forget a user and close its connections; False where there is none."""
    user = engine.acl.users.pop(name, None)
    if user is None:
        return False
    for client in list(engine.clients.values()):
        if client.user is user:
            client.act_as(engine.acl.default, False)
            dismiss(engine, client)
    return True


def replace_users(engine: Engine, users: dict[bytes, User]) -> None:
    """Put the users of an ACL file into force.

    Clients of users that are there no more must go; in 7.0 all but those of the default user.
    """
    acl = engine.acl
    acl.default.take(users[DEFAULT_USER])
    users[DEFAULT_USER] = acl.default
    acl.users = users
    for client in list(engine.clients.values()):
        user = users.get(client.user.name)
        if user is None or (user is not acl.default and engine.limits.compat < 72):
            client.act_as(acl.default, False)
            dismiss(engine, client)
            continue
        client.act_as(user, client.authenticated)
        if not may_keep_subscriptions(client):
            dismiss(engine, client)


def may_keep_subscriptions(client: Client) -> bool:
    """Whether a client's user still allows everything that the client listens to."""
    user = client.user
    if user.unrestricted:
        return True
    for pattern in client.patterns:
        if not user.allows_subscription(pattern, True):
            return False
    for channel in [*client.channels, *client.shard_channels]:
        if not user.allows_subscription(channel, False):
            return False
    return True


def dismiss(engine: Engine, client: Client) -> None:
    """Close a connection; the one whose command runs gets its reply first."""
    if engine.running is client:
        client.close_soon()
    else:
        client.door.close()


# -- the start -----------------------------------------------------------------------------------------------


def check_user_lines(engine: Engine, config: Config) -> None:
    """Refuse `user` lines whose rules can never be right; raises FileError."""
    for number, line, words in config.users:
        reason = b""
        try:
            reason = check_declaration(engine.acl.catalogue, words[2:])
        except OpenParenthesis:
            reason = b"Unmatched parenthesis in selector definition."
        if reason:
            name = words[1].decode("utf-8", "replace")
            text = f"Error in user declaration '{name}': {reason.decode('latin-1')}"
            raise FileError(number, line, text, config.compat)


def start_users(engine: Engine, config: Config) -> None:
    """Take the users of the configuration or of its ACL file; raises FileError or UsersRefused."""
    check_user_lines(engine, config)
    path = config.text("aclfile")
    if config.users and path:
        raise UsersRefused(spelled(USERS_AND_FILE, config.compat))
    for _, _, words in config.users:
        declare_user(engine, words[1], words[2:])
    if path:
        errors = load_file(engine, path)
        if errors:
            server = "Valkey" if config.compat >= 80 else "Redis"
            text = errors.decode("utf-8", "replace")
            raise UsersRefused(f"Aborting {server} startup because of ACL errors: {text}")
    config.user_lines = lambda: [] if path else engine.acl.lines()


def spelled(text: str, compat: int) -> str:
    """A text with the names of the server that we answer as."""
    return text.replace("redis.conf", "valkey.conf").replace("Redis", "Valkey") if compat >= 80 else text


def declare_user(engine: Engine, name: bytes, rules: list[bytes]) -> None:
    acl = engine.acl
    if has_blanks(name):
        raise UsersRefused("Spaces not allowed in ACL usernames\nCritical error while loading ACLs. Exiting.")
    if name == DEFAULT_USER:
        acl.default.apply(b"reset")
    try:
        draft = acl.changed(name, rules)
    except WordRefused as error:
        rule = error.word.decode("utf-8", "replace")
        user = name.decode("utf-8", "replace")
        raise UsersRefused(
            f"Error loading ACL rule '{rule}' for the user named '{user}': {error.reason.decode('latin-1')}\n"
            "Critical error while loading ACLs. Exiting."
        ) from None
    change_user(engine, draft)


def load_file(engine: Engine, path: bytes) -> bytes:
    """Put the users of an ACL file into force, or none of them: the errors in one text, empty where it went well."""
    try:
        content = engine.config.door.read_file(path)
    except OSError as error:
        reason = (error.strerror or str(error)).encode()
        return b"Error loading ACLs, opening file '" + path + b"': " + reason
    users, errors = engine.acl.parsed(path, content)
    if not errors:
        replace_users(engine, users)
    return errors


def save_file(engine: Engine, path: bytes) -> bool:
    """Write all users into an ACL file, durably; False where that failed, which is logged."""
    try:
        engine.config.door.replace_file(path, b"".join([line + b"\n" for line in engine.acl.lines()]))
    except OSError as error:
        name = path.decode("utf-8", "replace")
        engine.hooks.log_notice(f"Writing the ACL file '{name}' for ACL SAVE: {error.strerror or error}")
        return False
    return True
