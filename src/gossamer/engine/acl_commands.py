"""The ACL family: users, categories, the log of denials, and the ACL file.

Must not know: what rules mean (acl_rules.py, acl.py) or what follows for clients (acl_access.py).
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command
from gossamer.engine.acl import (
    DEFAULT_USER,
    DENIED_AUTHENTICATION,
    DENIED_CHANNEL,
    DENIED_COMMAND,
    DENIED_KEY,
    OpenParenthesis,
    WordRefused,
)
from gossamer.engine.acl_access import change_user, load_file, long_text, remove_user, save_file
from gossamer.engine.acl_log import AclLogEntry
from gossamer.engine.acl_rules import Selector, has_blanks
from gossamer.engine.client import Client
from gossamer.resp.errors import NOT_INTEGER, quoted, wrong_arity, wrong_shape

PASSWORD_BITS: Final = 256
PASSWORD_MAX_BITS: Final = 4096
LOG_ENTRIES: Final = 10
REASONS: Final = {
    DENIED_COMMAND: b"command",
    DENIED_KEY: b"key",
    DENIED_AUTHENTICATION: b"auth",
    DENIED_CHANNEL: b"channel",
}
BAD_BITS: Final = (
    b"ERR ACL GENPASS argument must be the number of bits for the output password, "
    b"a positive number up to 4096"
)
NO_ACL_FILE_REDIS: Final = (
    b"ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    b"command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store "
    b"users in the Redis configuration."
)
NO_ACL_FILE_VALKEY: Final = (
    b"ERR This instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER "
    b"command and then issue a CONFIG REWRITE (assuming you have a configuration file set) in order to store users "
    b"in the configuration."
)


def acl_whoami(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk(client.user.name)


def acl_users(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk_array([user.name for user in client.engine.acl.sorted_users()])


def acl_list(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk_array(client.engine.acl.lines())


def acl_cat(client: Client, argv: list[bytes]) -> None:
    categories = client.engine.acl.catalogue.categories
    if len(argv) == 2:
        client.reply.bulk_array(list(categories))
        return
    if len(argv) > 3:
        raise CommandError(wrong_shape(argv[1], b"ACL"))
    members = categories.get(argv[2].lower())
    if members is None:
        raise CommandError(b"ERR Unknown category '" + argv[2].partition(b"\0")[0][:128] + b"'")
    client.reply.bulk_array([command.full_name for command in members])


def acl_getuser(client: Client, argv: list[bytes]) -> None:
    reply = client.reply
    user = client.engine.acl.users.get(argv[2])
    if user is None:
        reply.null()
        return
    reply.map(6)
    reply.bulk(b"flags")
    flags = user.flags()
    reply.set(len(flags))
    reply.bulks(flags)
    reply.bulk(b"passwords")
    reply.bulk_array(user.passwords)
    write_selector(client, user.root)
    reply.bulk(b"selectors")
    reply.array(len(user.selectors))
    for selector in user.selectors:
        reply.map(3)
        write_selector(client, selector)


def write_selector(client: Client, selector: Selector) -> None:
    """Three fields of a map: what a selector allows."""
    reply = client.reply
    reply.bulk(b"commands")
    reply.bulk(selector.commands_text())
    reply.bulk(b"keys")
    reply.bulk(selector.keys_text())
    reply.bulk(b"channels")
    reply.bulk(selector.channels_text())


def acl_setuser(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    if has_blanks(argv[2]):
        raise CommandError(b"ERR Usernames can't contain spaces or null characters")
    try:
        draft = engine.acl.changed(argv[2], argv[3:])
    except OpenParenthesis as error:
        raise CommandError(
            b"ERR Unmatched parenthesis in acl selector starting at '" + error.word + b"'."
        ) from None
    except WordRefused as refused:
        word = refused.word.partition(b"\0")[0].replace(b"\r", b" ").replace(b"\n", b" ")
        raise CommandError(b"ERR Error in ACL SETUSER modifier '" + word + b"': " + refused.reason) from None
    change_user(engine, draft)
    client.reply.ok()


def acl_deluser(client: Client, argv: list[bytes]) -> None:
    deleted: i64 = 0
    for name in argv[2:]:
        if name == DEFAULT_USER:
            raise CommandError(b"ERR The 'default' user cannot be removed")
        if remove_user(client.engine, name):
            deleted += 1
    client.reply.integer(deleted)


def acl_genpass(client: Client, argv: list[bytes]) -> None:
    """Random hexadecimal digits: so many bits, rounded up to whole digits."""
    if len(argv) > 3:
        raise CommandError(wrong_shape(argv[1], b"ACL"))
    bits: i64 = PASSWORD_BITS
    if len(argv) == 3:
        if not is_int64(argv[2]):
            raise CommandError(NOT_INTEGER)
        bits = to_int64(argv[2])
        if bits <= 0 or bits > PASSWORD_MAX_BITS:
            raise CommandError(BAD_BITS)
    digits = (bits + 3) // 4
    client.reply.bulk(client.engine.hooks.random_bytes(int(digits + 1) // 2).hex().encode()[:digits])


def acl_dryrun(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    user = engine.acl.users.get(argv[2])
    if user is None:
        raise CommandError(b"ERR User '" + quoted(argv[2]) + b"' not found")
    request = argv[3:]
    command = engine.find_command(request)
    if command is None:
        raise CommandError(b"ERR Command '" + quoted(request[0]) + b"' not found")
    n: i64 = len(request)
    if n != command.arity and (command.arity > 0 or n < -command.arity):
        raise CommandError(wrong_arity(command.full_name))
    denial = user.check(command, request)
    if denial is None:
        client.reply.ok()
    else:
        client.reply.bulk(long_text(engine, user, command, request, denial))


def acl_log(client: Client, argv: list[bytes]) -> None:
    log = client.engine.acl.log
    if len(argv) > 3:
        raise CommandError(wrong_shape(argv[1], b"ACL"))
    count: i64 = LOG_ENTRIES
    if len(argv) == 3:
        if argv[2].lower() == b"reset":
            log.entries = []
            client.reply.ok()
            return
        if not is_int64(argv[2]):
            raise CommandError(NOT_INTEGER)
        count = max(0, to_int64(argv[2]))
    shown = log.entries[:count]
    client.reply.array(len(shown))
    for entry in shown:
        write_log_entry(client, entry)


def write_log_entry(client: Client, entry: AclLogEntry) -> None:
    reply = client.reply
    is_recent = client.limits.compat >= 72
    reply.map(10 if is_recent else 7)
    reply.bulk(b"count")
    reply.integer(entry.count)
    reply.bulk(b"reason")
    reply.bulk(REASONS[int(entry.reason)])
    reply.bulk(b"context")
    reply.bulk(entry.context)
    reply.bulk(b"object")
    reply.bulk(entry.denied)
    reply.bulk(b"username")
    reply.bulk(entry.user)
    reply.bulk(b"age-seconds")
    reply.double(float(client.engine.now_us // 1000 - entry.updated_ms) / 1000.0)
    reply.bulk(b"client-info")
    reply.bulk(entry.client)
    if is_recent:
        reply.bulk(b"entry-id")
        reply.integer(entry.number)
        reply.bulk(b"timestamp-created")
        reply.integer(entry.created_ms)
        reply.bulk(b"timestamp-last-updated")
        reply.integer(entry.updated_ms)


def acl_file_of(client: Client) -> bytes:
    """The path of the ACL file; CommandError where none is configured."""
    path = client.engine.config.text("aclfile")
    if not path:
        raise CommandError(NO_ACL_FILE_VALKEY if client.limits.compat >= 80 else NO_ACL_FILE_REDIS)
    return path


def acl_load(client: Client, argv: list[bytes]) -> None:
    errors = load_file(client.engine, acl_file_of(client))
    if errors:
        raise CommandError(b"ERR " + errors.replace(b"\r", b" ").replace(b"\n", b" "))
    client.reply.ok()


def acl_save(client: Client, argv: list[bytes]) -> None:
    if not save_file(client.engine, acl_file_of(client)):
        raise CommandError(
            b"ERR There was an error trying to save the ACLs. Please check the server logs for more information"
        )
    client.reply.ok()


HELP: Final = (
    b"ACL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CAT [<category>]",
    b"    The categories of commands, or the commands of one of them.",
    b"DELUSER <username> [<username> ...]",
    b"    Remove users and close their connections.",
    b"DRYRUN <username> <command> [<arg> ...]",
    b"    Whether the user may run a command, which is not run.",
    b"GENPASS [<bits>]",
    b"    A password that nobody can guess, of 256 bits unless told.",
    b"GETUSER <username>",
    b"    The rules of a user.",
    b"LIST",
    b"    All users, each as a line of an ACL file.",
    b"LOAD",
    b"    Take all users from the ACL file, or none if it has an error.",
    b"LOG [<count> | RESET]",
    b"    The latest requests and logins that were denied; RESET forgets them.",
    b"SAVE",
    b"    Write all users into the ACL file.",
    b"SETUSER <username> <rule> [<rule> ...]",
    b"    Make a user, or change one.",
    b"USERS",
    b"    The names of all users.",
    b"WHOAMI",
    b"    The user of this connection.",
    b"HELP",
    b"    This text.",
)


def acl_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(HELP)


_ADMIN: Final = "admin noscript loading stale"
_PLAIN: Final = "noscript loading stale"
_EVERYWHERE: Final = (b"request_policy:all_nodes", b"response_policy:all_succeeded")

COMMANDS: Final = (
    Command(
        b"acl", None, -2, "", "",
        subcommands=(
            Command(b"cat", acl_cat, -2, _PLAIN, ""),
            Command(b"deluser", acl_deluser, -3, _ADMIN, "", max_compat=70),
            Command(b"deluser", acl_deluser, -3, _ADMIN, "", tips=_EVERYWHERE, min_compat=72),
            Command(b"dryrun", acl_dryrun, -4, _ADMIN, ""),
            Command(b"genpass", acl_genpass, -2, _PLAIN, ""),
            Command(b"getuser", acl_getuser, 3, _ADMIN, ""),
            Command(b"help", acl_help, 2, "loading stale", ""),
            Command(b"list", acl_list, 2, _ADMIN, ""),
            Command(b"load", acl_load, 2, _ADMIN, ""),
            Command(b"log", acl_log, -2, _ADMIN, ""),
            Command(b"save", acl_save, 2, _ADMIN, "", max_compat=70),
            Command(b"save", acl_save, 2, _ADMIN, "", tips=_EVERYWHERE, min_compat=72),
            Command(b"setuser", acl_setuser, -3, _ADMIN, "", max_compat=70),
            Command(b"setuser", acl_setuser, -3, _ADMIN, "", tips=_EVERYWHERE, min_compat=72),
            Command(b"users", acl_users, 2, _ADMIN, ""),
            Command(b"whoami", acl_whoami, 2, _PLAIN, ""),
        ),
    ),
)  # fmt: skip
