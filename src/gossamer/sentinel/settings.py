"""Settings at run time: SENTINEL SET of a primary, SENTINEL CONFIG of the Sentinel, SENTINEL DEBUG of its timings.

Owns the options, their checks and texts. Invariants: options are taken in order, so those before a wrong one hold;
what was changed is in the file before the reply.
"""

from __future__ import annotations

from typing import Final

from gossamer.base.glob import match
from gossamer.base.numbers import parse_int64
from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_WARNING
from gossamer.sentinel.instances import DEBUG_TIMINGS, Instance
from gossamer.sentinel.links import close_link
from gossamer.sentinel.replies import named_primary, save_and_reply
from gossamer.sentinel.resetting import drop_connections

SCRIPTS_DENIED: Final = (
    b"ERR Reconfiguration of scripts path is denied for security reasons. Check the deny-scripts-reconfig "
    b"configuration directive in your Sentinel configuration"
)
NO_NOTIFICATION_SCRIPT: Final = b"ERR Notification script seems non existing or non executable"
NO_RECONFIG_SCRIPT: Final = b"ERR Client reconfiguration script seems non existing or non executable"
CONFIG_FORMS_SEVERAL: Final = (
    b"ERR Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are "
    b"supported."
)
LOG_LEVELS: Final = (b"debug", b"verbose", b"notice", b"warning", b"nothing")
CONFIG_FORMS: Final = b"ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported."
HIDDEN: Final = b"******"

_NUMBERS: Final = (
    b"down-after-milliseconds",
    b"failover-timeout",
    b"parallel-syncs",
    b"quorum",
    b"master-reboot-down-after-period",
)
_NEWER_NAMES: Final = {b"primary-reboot-down-after-period": b"master-reboot-down-after-period"}
_TEXTS: Final = (b"notification-script", b"client-reconfig-script", b"auth-pass", b"auth-user")

# -- SENTINEL SET -----------------------------------------------------------------------------------------------


def set_options(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL SET name option value [option value ...]"""
    primary = named_primary(core, argv[2], reply)
    if primary is None:
        return
    changed = False
    at = 3
    while at < len(argv):
        word = argv[at]
        option = _NEWER_NAMES.get(word.lower(), word.lower())
        values = 2 if option == b"rename-command" else 1
        arguments = argv[at + 1 : at + 1 + values]
        if len(arguments) < values or option not in (*_NUMBERS, *_TEXTS, b"rename-command"):
            problem = b"ERR Unknown option or number of arguments for SENTINEL SET '%s'" % word
        else:
            problem = set_option(core, primary, word, option, arguments)
        if problem:
            if changed:
                core.save()
            reply.error(problem)
            return
        changed = True
        shown = HIDDEN if option == b"auth-pass" else b" ".join(arguments)
        core.event(LOG_WARNING, b"+set", primary, b" %s %s" % (word, shown))
        at += 1 + values
    save_and_reply(core, reply)


def set_option(
    core: SentinelCore, primary: Instance, word: bytes, option: bytes, arguments: list[bytes]
) -> bytes:
    """Take one option; what is wrong with it, or nothing."""
    value = arguments[0]
    if option in _NUMBERS:
        is_number, number = parse_int64(value)
        least = 0 if option == b"master-reboot-down-after-period" else 1
        if not is_number or number < least:
            return b"ERR Invalid argument '%s' for SENTINEL SET '%s'" % (value, word)
        set_number(primary, option, int(number))
    elif option in (b"notification-script", b"client-reconfig-script"):
        return set_script(core, primary, option, value)
    elif option == b"rename-command":
        if not arguments[0] or not arguments[1]:
            wrong = arguments[1] if arguments[0] else arguments[0]
            return b"ERR Invalid argument '%s' for SENTINEL SET '%s'" % (wrong, word)
        primary.renamed_commands.pop(arguments[0].upper(), None)
        if arguments[0].lower() != arguments[1].lower():
            primary.renamed_commands[arguments[0].upper()] = arguments[1]
    else:
        if option == b"auth-pass":
            primary.auth_password = value
        else:
            primary.auth_user = value
        drop_connections(core, primary)
    return b""


def set_number(primary: Instance, option: bytes, number: int) -> None:
    if option == b"down-after-milliseconds":
        for each in [primary, *primary.replicas.values(), *primary.sentinels.values()]:
            each.down_after_ms = number
    elif option == b"failover-timeout":
        primary.failover_timeout_ms = number
    elif option == b"parallel-syncs":
        primary.parallel_syncs = number
    elif option == b"quorum":
        primary.quorum = number
    else:
        primary.primary_reboot_down_after_ms = number


def set_script(core: SentinelCore, primary: Instance, option: bytes, path: bytes) -> bytes:
    """An empty path takes the script away."""
    if core.state.deny_scripts_reconfig:
        return SCRIPTS_DENIED
    notifies = option == b"notification-script"
    if path and not core.door.is_executable(path):
        return NO_NOTIFICATION_SCRIPT if notifies else NO_RECONFIG_SCRIPT
    if notifies:
        primary.notification_script = path
    else:
        primary.client_reconfig_script = path
    return b""


# -- SENTINEL CONFIG --------------------------------------------------------------------------------------------


def config(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL CONFIG GET pattern, SENTINEL CONFIG SET option value"""
    word = argv[2].lower()
    if word == b"get" and len(argv) == 4:
        config_get(core, [argv[3]], reply, False)
    elif word == b"set" and len(argv) == 5:
        config_set(core, argv[3], argv[4], reply)
    else:
        reply.error(CONFIG_FORMS)


def config_several(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL CONFIG GET pattern [pattern ...], SENTINEL CONFIG SET option value [option value ...]: since 7.2."""
    word = argv[2].lower()
    if word == b"get":
        config_get(core, argv[3:], reply)
    elif word == b"set" and len(argv) >= 5:
        config_set_several(core, argv[3:], reply)
    else:
        reply.error(CONFIG_FORMS_SEVERAL)


def config_values(core: SentinelCore) -> dict[bytes, bytes]:
    state = core.state
    return {
        b"resolve-hostnames": yes_no(state.resolve_hostnames),
        b"announce-hostnames": yes_no(state.announce_hostnames),
        b"announce-ip": state.announce_ip,
        b"announce-port": b"%d" % state.announce_port,
        b"sentinel-user": state.sentinel_user,
        b"sentinel-pass": state.sentinel_password,
    }


def config_get(
    core: SentinelCore, patterns: list[bytes], reply: ReplyWriter, knows_loglevel: bool = True
) -> None:
    values = config_values(core)
    if knows_loglevel:
        values[b"loglevel"] = core.door.loglevel()
    found: dict[bytes, bytes] = {}
    for pattern in patterns:
        for name, value in values.items():
            if match(pattern, name, True):
                found[name] = value
    reply.map(len(found))
    for name, value in found.items():
        reply.bulk(name)
        reply.bulk(value)


def yes_no(value: bool) -> bytes:
    return b"yes" if value else b"no"


def config_set(core: SentinelCore, word: bytes, value: bytes, reply: ReplyWriter) -> None:
    option = word.lower()
    problem = b"" if option in config_values(core) else unknown_setting(word)
    problem = problem or setting_problem(option, word, value)
    if problem:
        reply.error(problem)
        return
    take_setting(core, option, value)
    save_and_reply(core, reply)


def config_set_several(core: SentinelCore, words: list[bytes], reply: ReplyWriter) -> None:
    """All of them or none."""
    settings: dict[bytes, bytes] = {}
    for at in range(0, len(words), 2):
        word = words[at]
        option = word.lower()
        if option not in config_values(core) and option != b"loglevel":
            problem = unknown_setting(word)
        elif option in settings:
            problem = b"ERR Duplicate argument '%s' to SENTINEL CONFIG SET" % word
        elif at + 1 == len(words):
            problem = b"ERR Missing argument '%s' value" % word
        else:
            problem = setting_problem(option, word, words[at + 1])
        if problem:
            reply.error(problem)
            return
        settings[option] = words[at + 1]
    for option, value in settings.items():
        take_setting(core, option, value)
    save_and_reply(core, reply)


def unknown_setting(word: bytes) -> bytes:
    return b"ERR Invalid argument '%s' to SENTINEL CONFIG SET" % word


def setting_problem(option: bytes, word: bytes, value: bytes) -> bytes:
    """What is wrong with a value, or nothing."""
    fits = True
    if option in (b"resolve-hostnames", b"announce-hostnames"):
        fits = value.lower() in (b"yes", b"no")
    elif option == b"announce-port":
        is_number, port = parse_int64(value)
        fits = is_number and 0 <= port <= 65535
    elif option == b"loglevel":
        fits = value.lower() in LOG_LEVELS
    return b"" if fits else b"ERR Invalid value '%s' to SENTINEL CONFIG SET '%s'" % (value, word)


def take_setting(core: SentinelCore, option: bytes, value: bytes) -> None:
    """A value that fits."""
    state = core.state
    if option == b"resolve-hostnames":
        state.resolve_hostnames = value.lower() == b"yes"
    elif option == b"announce-hostnames":
        state.announce_hostnames = value.lower() == b"yes"
    elif option == b"announce-ip":
        state.announce_ip = value
    elif option == b"announce-port":
        state.announce_port = int(parse_int64(value)[1])
    elif option == b"loglevel":
        core.door.set_loglevel(value.lower())
    else:
        if option == b"sentinel-user":
            state.sentinel_user = value
        else:
            state.sentinel_password = value
        for primary in state.primaries.values():
            for each in primary.sentinels.values():
                close_link(core, each.link)


# -- SENTINEL DEBUG ---------------------------------------------------------------------------------------------


def debug(core: SentinelCore, argv: list[bytes], reply: ReplyWriter) -> None:
    """SENTINEL DEBUG [name ms ...]"""
    timings = core.state.timings
    values = vars_of(timings)
    if len(argv) == 2:
        reply.map(len(DEBUG_TIMINGS))
        for name in DEBUG_TIMINGS:
            reply.bulk(name.upper())
            reply.bulk_integer(values[name])
        return
    for at in range(2, len(argv), 2):
        option = argv[at].lower()
        if option not in values or at + 1 >= len(argv):
            reply.error(b"ERR Unknown option or number of arguments for SENTINEL DEBUG '%s'" % argv[at])
            return
        is_number, number = parse_int64(argv[at + 1])
        if not is_number or number <= 0:
            reply.error(b"ERR Invalid argument '%s' for SENTINEL DEBUG '%s'" % (argv[at + 1], argv[at]))
            return
        setattr(timings, attribute_of(option), int(number))
    reply.ok()


def attribute_of(option: bytes) -> str:
    return option.decode().replace("-", "_")


def vars_of(timings: object) -> dict[bytes, int]:
    return {name: int(getattr(timings, attribute_of(name))) for name in DEBUG_TIMINGS}
