"""INFO: what every part of the server states of itself, in Redis's sections and order."""

from typing import Final

from gossamer.commands.table import Command
from gossamer.engine.acl import DENIED_AUTHENTICATION, DENIED_CHANNEL, DENIED_COMMAND, DENIED_KEY
from gossamer.engine.client import Client
from gossamer.engine.doors import InfoSource
from gossamer.engine.engine import Engine
from gossamer.engine.info_fields import DEFAULT, NOT_IN_ALL, SECTIONS, fields_of
from gossamer.engine.statistics import histogram_of, percentile_us

Facts = dict[bytes, bytes | int]


def human_bytes(amount: int) -> bytes:
    """A size as INFO writes it for people: 1.50M."""
    if amount < 1024:
        return b"%dB" % amount
    value = float(amount)
    for unit in "KMGTP":
        value /= 1024
        if value < 1024 or unit == "P":
            return f"{value:.2f}{unit}".encode()
    raise AssertionError("unreachable")


def ratio(part: float, whole: float) -> bytes:
    return f"{part / whole:.2f}".encode() if whole else b"0.00"


class EngineFacts(InfoSource):
    """What the engine itself knows."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def add_scripting(self, facts: Facts) -> None:
        """Scripts and functions: how many, the runtimes in which they live, and what is kept of their sources."""
        scripts, functions = self.engine.scripts, self.engine.functions
        eval_bytes = scripts.memory_bytes()
        functions_bytes = functions.memory_bytes()
        sources_bytes = int(scripts.cached_bytes)
        library_bytes = sum([len(code) for code in functions.codes])
        facts[b"used_memory_lua"] = facts[b"used_memory_vm_eval"] = eval_bytes
        facts[b"used_memory_lua_human"] = human_bytes(eval_bytes)
        facts[b"used_memory_scripts_eval"] = sources_bytes
        facts[b"number_of_cached_scripts"] = len(scripts.known)
        facts[b"number_of_functions"] = len(functions.functions)
        facts[b"number_of_libraries"] = len(functions.libraries)
        facts[b"used_memory_vm_functions"] = functions_bytes
        facts[b"used_memory_vm_total"] = eval_bytes + functions_bytes
        facts[b"used_memory_vm_total_human"] = human_bytes(eval_bytes + functions_bytes)
        facts[b"used_memory_functions"] = library_bytes
        facts[b"used_memory_scripts"] = sources_bytes + library_bytes
        facts[b"used_memory_scripts_human"] = human_bytes(sources_bytes + library_bytes)

    def add_facts(self, facts: Facts) -> None:
        engine = self.engine
        state = engine.state
        statistics = engine.statistics
        personality = engine.personality
        uptime_s = (engine.now_us - statistics.started_us) // 1_000_000
        facts[b"redis_mode"] = facts[b"server_mode"] = engine.mode
        facts[b"redis_version"] = b"7.2.4" if personality.is_valkey else personality.version
        facts[b"server_name"] = personality.server
        facts[b"valkey_version"] = personality.version
        facts[b"server_time_usec"] = engine.now_us
        facts[b"uptime_in_seconds"] = uptime_s
        facts[b"uptime_in_days"] = uptime_s // 86400
        facts[b"lru_clock"] = (engine.now_us // 1_000_000) & 0xFFFFFF
        facts[b"hz"] = facts[b"configured_hz"] = engine.config.number("hz")
        facts[b"maxclients"] = engine.config.number("maxclients")
        self.add_scripting(facts)
        facts[b"config_file"] = engine.config.config_file
        if engine.limits.compat >= 80:
            facts[b"availability_zone"] = engine.config.text("availability-zone")
        facts[b"eventloop_cycles"] = statistics.loop_cycles
        facts[b"connected_clients"] = len(engine.clients) - engine.replication.count()
        facts[b"blocked_clients"] = len(engine.blocking.clients) + len(engine.paused_clients)
        facts[b"client_recent_max_input_buffer"] = max(
            [int(statistics.input_buffer_peak), *statistics.input_buffer_peaks]
        )
        facts[b"client_recent_max_output_buffer"] = max(
            [int(statistics.output_buffer_peak), *statistics.output_buffer_peaks]
        )
        facts[b"clients_in_timeout_table"] = sum(
            [1 for client in engine.blocking.clients.values() if client.blocked_until_ms]
        )
        facts[b"pubsub_clients"] = sum([1 for client in engine.clients.values() if client.is_subscribed()])
        facts[b"watching_clients"] = sum([1 for client in engine.clients.values() if client.watches])
        facts[b"total_watched_keys"] = sum([len(room) for room in engine.watches.rooms])
        facts[b"total_blocking_keys"] = engine.blocking.waiting_keys
        facts[b"rdb_changes_since_last_save"] = state.dirty
        facts[b"total_connections_received"] = statistics.connections_received
        facts[b"total_commands_processed"] = statistics.commands_processed
        facts[b"instantaneous_ops_per_sec"] = statistics.operations.rate()
        facts[b"total_net_input_bytes"] = statistics.input_bytes
        facts[b"total_net_output_bytes"] = statistics.output_bytes
        facts[b"instantaneous_input_kbps"] = ratio(statistics.input.rate(), 1024)
        facts[b"instantaneous_output_kbps"] = ratio(statistics.output.rate(), 1024)
        facts[b"rejected_connections"] = statistics.connections_rejected
        facts[b"expired_keys"] = state.expired_keys
        facts[b"slave_expires_tracked_keys"] = engine.own_expiring.count()
        if state.expired_fields > 0:
            name = b"expired_fields" if engine.personality.is_valkey else b"expired_subkeys"
            facts[name] = state.expired_fields
        facts[b"expired_stale_perc"] = f"{state.expired_stale_percent:.2f}".encode()
        facts[b"expired_time_cap_reached_count"] = state.expired_time_cap_reached
        facts[b"evicted_keys"] = state.evicted_keys
        facts[b"dump_payload_sanitizations"] = state.payloads_sanitized
        facts[b"evicted_clients"] = statistics.evicted_clients
        facts[b"total_forks"] = statistics.forks
        facts[b"latest_fork_usec"] = statistics.latest_fork_us
        facts[b"lazyfree_pending_objects"] = state.lazyfree.pending()
        facts[b"lazyfreed_objects"] = state.lazyfree.freed_objects
        facts[b"keyspace_hits"] = state.hits
        facts[b"keyspace_misses"] = state.misses
        facts[b"pubsub_channels"] = len(engine.pubsub.channels)
        facts[b"pubsub_patterns"] = len(engine.pubsub.patterns)
        facts[b"pubsubshard_channels"] = len(engine.pubsub.shard_channels)
        tracking = engine.tracking
        facts[b"tracking_clients"] = tracking.clients
        facts[b"tracking_total_keys"] = len(tracking.table)
        facts[b"tracking_total_items"] = tracking.items
        facts[b"tracking_total_prefixes"] = len(tracking.prefixes)
        denials = engine.acl.log.denials
        facts[b"acl_access_denied_cmd"] = denials[DENIED_COMMAND]
        facts[b"acl_access_denied_key"] = denials[DENIED_KEY]
        facts[b"acl_access_denied_auth"] = denials[DENIED_AUTHENTICATION]
        facts[b"acl_access_denied_channel"] = denials[DENIED_CHANNEL]
        facts[b"total_error_replies"] = statistics.error_replies
        facts[b"total_reads_processed"] = statistics.reads_processed
        facts[b"total_writes_processed"] = statistics.writes_processed
        facts[b"client_query_buffer_limit_disconnections"] = statistics.query_buffer_limit_disconnections
        facts[b"unexpected_error_replies"] = statistics.unexpected_error_replies
        facts[b"client_output_buffer_limit_disconnections"] = statistics.output_buffer_limit_disconnections
        facts[b"repl_backlog_size"] = engine.config.number("repl-backlog-size")
        maxmemory = engine.config.number("maxmemory")
        facts[b"maxmemory"] = maxmemory
        facts[b"maxmemory_human"] = human_bytes(maxmemory)
        facts[b"maxmemory_policy"] = engine.config.choice("maxmemory-policy")


def command_lines(commands: dict[bytes, Command]) -> list[bytes]:
    """The section commandstats."""
    lines: list[bytes] = []
    for command in called_commands(commands):
        each = f"{int(command.total_us) / int(command.calls):.2f}" if command.calls else "0.00"
        text = (
            f"calls={command.calls},usec={command.total_us},usec_per_call={each},"
            f"rejected_calls={command.rejected_calls},failed_calls={command.failed_calls}"
        )
        lines.append(b"cmdstat_" + command.full_name + b":" + text.encode())
    return lines


def called_commands(commands: dict[bytes, Command]) -> list[Command]:
    """Commands and subcommands that were called or refused at least once."""
    found: list[Command] = []
    for command in commands.values():
        for each in (command, *command.subcommands.values()):
            if each.calls or each.rejected_calls or each.failed_calls:
                found.append(each)
    return found


def command_lines_wanted(commands: dict[bytes, Command], names: list[bytes]) -> list[Command]:
    """The called commands that `names` name (a container stands for its subcommands); all where it is empty."""
    found = [command for command in called_commands(commands) if len(command.histogram) > 0]
    if not names:
        return found
    return [each for each in found if each.full_name in names or each.full_name.split(b"|")[0] in names]


def latency_lines(commands: dict[bytes, Command], percentiles: list[float]) -> list[bytes]:
    """The section latencystats."""
    lines: list[bytes] = []
    for command in called_commands(commands):
        histogram = histogram_of(command)
        if not histogram:
            continue
        parts = [
            f"p{percentile:g}={float(percentile_us(histogram, percentile)):.3f}" for percentile in percentiles
        ]
        lines.append(b"latency_percentiles_usec_" + command.full_name + b":" + ",".join(parts).encode())
    return lines


def keyspace_lines(engine: Engine) -> list[bytes]:
    """The section keyspace: databases that have keys."""
    lines: list[bytes] = []
    for database in engine.keyspace.databases:
        if database.size() > 0:
            expires = database.table.expires_count
            text = f"db{database.index}:keys={database.size()},expires={expires},avg_ttl={database.average_ttl_ms()}"
            hashes = database.field_expiry.count()
            if hashes > 0:  # as Redis says since 7.4; the versions that are answered as know no such hashes
                text += f",subexpiry={hashes}"
            lines.append(text.encode())
    return lines


def section_lines(engine: Engine, section: bytes, facts: Facts) -> list[bytes]:
    """The lines of one section, without its headline."""
    if section == b"commandstats":
        return command_lines(engine.commands)
    if section == b"latencystats":
        return latency_lines(engine.commands, engine.config.percentiles())
    if section == b"errorstats":
        return [
            b"errorstat_%s:count=%d" % (word, count)
            for word, count in sorted(engine.statistics.errors.items())
        ]
    if section == b"keyspace":
        return keyspace_lines(engine)
    lines: list[bytes] = []
    for field in fields_of(section, int(engine.limits.compat)):
        if field.name == b"slave*":
            lines += replica_lines(facts)
            continue
        value = facts.get(field.name, field.default)
        if value is not None:
            lines.append(field.name + b":" + (value if isinstance(value, bytes) else b"%d" % value))
    return lines


def replica_lines(facts: Facts) -> list[bytes]:
    """slave0, slave1 and so on, as many as there are."""
    lines: list[bytes] = []
    while True:
        name = b"slave%d" % len(lines)
        text = facts.get(name)
        if not isinstance(text, bytes):
            return lines
        lines.append(name + b":" + text)


def wanted_sections(words: list[bytes]) -> list[bytes]:
    """The sections that the arguments of INFO name, in INFO's order; unknown names mean nothing."""
    wanted: set[bytes] = set()
    for word in words or [b"default"]:
        lower = word.lower()
        if lower == b"default":
            wanted.update(DEFAULT)
        elif lower == b"all":
            wanted.update([name for name in SECTIONS if name not in NOT_IN_ALL])
        elif lower == b"everything":
            wanted.update(SECTIONS)
        else:
            wanted.add(lower)
    return [name for name in SECTIONS if name in wanted]


def info_text(engine: Engine, words: list[bytes]) -> bytes:
    """The whole answer of INFO."""
    facts: Facts = {}
    for source in engine.info_sources:
        source.add_facts(facts)
    parts: list[bytes] = []
    for section in wanted_sections(words):
        lines = section_lines(engine, section, facts)
        title = b"CPU" if section == b"cpu" else section.capitalize()
        parts.append(b"# " + title + b"\r\n" + b"".join([line + b"\r\n" for line in lines]))
    return b"\r\n".join(parts)


def info(client: Client, argv: list[bytes]) -> None:
    client.reply.verbatim(b"txt", info_text(client.engine, argv[1:]))


COMMANDS: Final = (
    Command(
        b"info", info, -1, "loading stale", "slow dangerous",
        tips=(b"nondeterministic_output", b"request_policy:all_shards", b"response_policy:special"),
    ),
)  # fmt: skip
