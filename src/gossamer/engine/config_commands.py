"""CONFIG GET, SET, REWRITE, RESETSTAT and HELP, and what the engine itself takes from the configuration.

Must not know: how directives are parsed or files written (config.py, config_file.py).
"""

from typing import Final

from librt.vecs import vec
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.limits import POLICY_LFU
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.engine.command_log import NEVER
from gossamer.engine.config import Config, SetError, pairs_of
from gossamer.engine.config_file import FileError, rewrite
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_ASYNC_LOADING, GATE_LOADING, GATE_MEMORY
from gossamer.keyspace.state import ACCESS_LFU, ACCESS_LRU

HELP: Final = (
    b"CONFIG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"GET <pattern> [<pattern> ...]",
    b"    The directives that match, each with its value.",
    b"SET <directive> <value> [<directive> <value> ...]",
    b"    Change directives: all of them, or none if one is refused.",
    b"RESETSTAT",
    b"    Start the counters that INFO shows from zero.",
    b"REWRITE",
    b"    Write the values in use into the configuration file.",
    b"HELP",
    b"    This text.",
)

REDACTED: Final = b"(redacted)"


def config_get(client: Client, argv: list[bytes]) -> None:
    found = client.engine.config.get(argv[2:])
    client.reply.map(len(found))
    for name, value in found:
        client.reply.bulk(name)
        client.reply.bulk(value)


def config_set(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    config = engine.config
    hidden = config.sensitive_positions(argv)
    try:
        pairs = pairs_of(argv)
        allowed = config.allows("enable-protected-configs", is_local(client))
        config.set(pairs, allowed, engine.gate & (GATE_LOADING | GATE_ASYNC_LOADING) != 0)
    except SetError as error:
        raise CommandError(error.reply) from None
    finally:
        for position in hidden:
            argv[position] = REDACTED  # the slow log sees argv after the call
    client.reply.ok()


def is_local(client: Client) -> bool:
    """Whether the client is on this machine, as far as protected actions are concerned."""
    return client.over_unix_socket or client.address.startswith((b"127.", b"[::1]"))


def config_rewrite(client: Client, argv: list[bytes]) -> None:
    config = client.engine.config
    if not config.config_file:
        raise CommandError(b"ERR The server is running without a config file")
    try:
        rewrite(config)
    except OSError as error:
        raise CommandError(f"ERR Rewriting config file: {error.strerror}".encode()) from None
    client.reply.ok()


def config_resetstat(client: Client, argv: list[bytes]) -> None:
    reset_statistics(client.engine)
    client.reply.ok()


def reset_statistics(engine: Engine) -> None:
    """Start every counter of INFO's stats, commandstats, errorstats and latencystats from zero."""
    engine.statistics.reset()
    state = engine.state
    state.hits = 0
    state.misses = 0
    state.expired_keys = 0
    state.expired_fields = 0
    state.expired_stale_percent = 0.0
    state.expired_time_cap_reached = 0
    state.evicted_keys = 0
    state.lazyfree.freed_objects = 0
    for command in engine.commands.values():
        reset_command(command)
        for subcommand in command.subcommands.values():
            reset_command(subcommand)


def reset_command(command: Command) -> None:
    command.calls = 0
    command.rejected_calls = 0
    command.failed_calls = 0
    command.total_us = 0
    command.histogram = vec[i64]()


def config_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(HELP)


LOG_DIRECTIVES: Final = (
    "slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold", "commandlog-request-larger-than",
    "commandlog-large-request-max-len", "commandlog-reply-larger-than", "commandlog-large-reply-max-len",
)  # fmt: skip


class EngineSettings:
    """Hands the directives that the engine works by to it, now and whenever they change."""

    def __init__(self, engine: Engine, config: Config) -> None:
        self.engine: Engine = engine
        self.config: Config = config

    def connect(self) -> None:
        """Take over all values and listen for changes."""
        config = self.config
        self.engine.config = config
        config.attach(self.engine.limits)
        for name in LOG_DIRECTIVES:
            config.on_change(name, self.take_thresholds)
        config.on_change("notify-keyspace-events", self.take_events)
        config.on_change("latency-tracking", self.take_latency_tracking)
        config.on_change("maxmemory-policy", self.take_policy)
        config.on_change("maxmemory", self.take_memory_limit)
        config.on_change("maxmemory-clients", self.take_memory_limit)
        config.on_change("requirepass", self.take_password)
        config.on_change("acllog-max-len", self.take_acl)
        config.on_change("acl-pubsub-default", self.take_acl)
        config.on_change("tracking-table-max-keys", self.engine.tracking.limit)
        self.take_thresholds()
        self.take_events()
        self.take_latency_tracking()
        self.take_policy()
        self.take_memory_limit()
        self.take_password()
        self.take_acl()

    def take_thresholds(self) -> None:
        config = self.config
        latency_ms = config.number("latency-monitor-threshold")
        engine = self.engine
        engine.slowlog.configure(
            config.number("slowlog-log-slower-than"),
            config.number("slowlog-max-len"),
            latency_ms * 1000 if latency_ms > 0 else NEVER,
        )
        engine.large_requests.configure(
            config.number("commandlog-request-larger-than"), config.number("commandlog-large-request-max-len")
        )
        engine.large_replies.configure(
            config.number("commandlog-reply-larger-than"), config.number("commandlog-large-reply-max-len")
        )
        engine.latency.threshold_ms = latency_ms
        engine.state.stopwatch = engine.clock if latency_ms > 0 else None

    def take_events(self) -> None:
        self.engine.state.notify_mask = self.config.number("notify-keyspace-events")

    def take_latency_tracking(self) -> None:
        self.engine.tracks_latency = self.config.flag("latency-tracking")

    def take_policy(self) -> None:
        state = self.engine.state
        state.access_mode = ACCESS_LFU if self.engine.limits.maxmemory_policy & POLICY_LFU else ACCESS_LRU
        state.set_time(state.now_ms)

    def take_memory_limit(self) -> None:
        self.engine.set_gate(GATE_MEMORY, self.config.number("maxmemory") != 0)
        self.engine.client_memory.configure(
            self.config.number("maxmemory-clients"), self.config.number("maxmemory")
        )

    def take_password(self) -> None:
        self.engine.acl.set_default_password(self.config.text("requirepass"))

    def take_acl(self) -> None:
        acl = self.engine.acl
        acl.log.set_max_len(self.config.number("acllog-max-len"))
        acl.all_channels_at_first = self.config.choice("acl-pubsub-default") == b"allchannels"
        acl.default.all_channels_at_first = acl.all_channels_at_first


def connect_config(engine: Engine, config: Config) -> None:
    """Let the engine work by `config` from now on."""
    EngineSettings(engine, config).connect()


def rename_commands(engine: Engine, config: Config) -> None:
    """Give commands the names that `rename-command` says, an empty one takes a command away; raises FileError."""
    for number, line, words in config.renamed_commands:
        command = engine.commands.get(words[1].lower())
        if command is None:
            raise FileError(number, line, "No such command in rename-command", config.compat)
        del engine.commands[words[1].lower()]
        name = words[2].lower()
        if name:
            if name in engine.commands:
                raise FileError(number, line, "Target command name already exists", config.compat)
            engine.commands[name] = command


_ADMIN: Final = "admin noscript loading stale"
_EVERYWHERE: Final = (b"request_policy:all_nodes", b"response_policy:all_succeeded")

COMMANDS: Final = (
    Command(
        b"config", None, -2, "", "",
        subcommands=(
            Command(b"get", config_get, -3, _ADMIN, ""),
            Command(b"set", config_set, -4, _ADMIN, "", tips=_EVERYWHERE),
            Command(b"rewrite", config_rewrite, 2, _ADMIN, "", max_compat=70),
            Command(b"rewrite", config_rewrite, 2, _ADMIN, "", tips=_EVERYWHERE, min_compat=72),
            Command(b"resetstat", config_resetstat, 2, _ADMIN, "", max_compat=70),
            Command(b"resetstat", config_resetstat, 2, _ADMIN, "", tips=_EVERYWHERE, min_compat=72),
            Command(b"help", config_help, 2, "loading stale", ""),
        ),
    ),
)  # fmt: skip
