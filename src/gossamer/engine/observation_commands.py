"""LATENCY and MEMORY: what an operator asks a slow or fat server."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.value import Value
from gossamer.engine.client import Client
from gossamer.engine.info import command_lines_wanted
from gossamer.engine.latency import LatencySeries
from gossamer.engine.statistics import histogram_of, slot_value_us
from gossamer.resp.errors import SYNTAX

STRING_OVERHEAD_BYTES: Final = 40
GRAPH_COLUMNS: Final = 80
GRAPH_ROWS: Final = 4
GRAPH_LEVELS: Final = "_-`"


# -- LATENCY ----------------------------------------------------------------------------------------------


def latency_latest(client: Client, argv: list[bytes]) -> None:
    reply = client.reply
    monitor = client.engine.latency
    reply.array(len(monitor.series))
    for event, series in monitor.series.items():
        reply.array(4)
        reply.bulk(event)
        reply.integer(series.times_s[-1])
        reply.integer(series.latencies_ms[-1])
        reply.integer(series.all_time_max_ms)


def latency_history(client: Client, argv: list[bytes]) -> None:
    series = client.engine.latency.series.get(argv[2])
    reply = client.reply
    if series is None:
        reply.array(0)
        return
    reply.array(len(series.times_s))
    for i in range(len(series.times_s)):
        reply.array(2)
        reply.integer(series.times_s[i])
        reply.integer(series.latencies_ms[i])


def latency_reset(client: Client, argv: list[bytes]) -> None:
    monitor = client.engine.latency
    reset: i64 = 0
    for event in argv[2:] or list(monitor.series):
        if monitor.series.pop(event, None) is not None:
            reset += 1
    client.reply.integer(reset)


def age_text(seconds: int) -> str:
    """How long ago, in at most three characters."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(0, seconds)}s"


def graph_lines(series: LatencySeries, now_s: int) -> list[str]:
    """The spikes as columns of characters over the age of each, written downwards."""
    values = series.latencies_ms[-GRAPH_COLUMNS:]
    ages = [age_text(now_s - at_s) for at_s in series.times_s[-GRAPH_COLUMNS:]]
    low, high = min(values), max(values)
    steps = GRAPH_ROWS * len(GRAPH_LEVELS)
    heights = [(value - low) * (steps - 1) // (high - low) if high > low else 0 for value in values]
    lines: list[str] = []
    for row in range(GRAPH_ROWS - 1, -1, -1):
        line = ""
        for height in heights:
            level = height - row * len(GRAPH_LEVELS)
            line += " " if level < 0 else "#" if level >= len(GRAPH_LEVELS) else GRAPH_LEVELS[level]
        lines.append(line)
    for depth in range(3):
        line = "".join([age[depth] if depth < len(age) else " " for age in ages])
        if line.strip():
            lines.append(line)
    return lines


def latency_graph(client: Client, argv: list[bytes]) -> None:
    series = client.engine.latency.series.get(argv[2])
    if series is None:
        raise CommandError(b"ERR No samples available for event '" + argv[2].partition(b"\x00")[0] + b"'")
    high, low = max(series.latencies_ms), min(series.latencies_ms)
    head = f"{argv[2].decode('latin-1')} - high {high} ms, low {low} ms (all time high {series.all_time_max_ms} ms)"
    lines = [head, "-" * GRAPH_COLUMNS, *graph_lines(series, client.engine.now_us // 1_000_000)]
    client.reply.verbatim(b"txt", ("\n".join(lines) + "\n").encode("latin-1"))


def latency_histogram(client: Client, argv: list[bytes]) -> None:
    commands = command_lines_wanted(client.engine.commands, [])
    if len(argv) > 2:
        commands = [each for word in argv[2:] for each in named(commands, word.lower())]
    reply = client.reply
    reply.map(len(commands))
    for command in commands:
        reply.bulk(command.full_name)
        reply.map(2)
        reply.bulk(b"calls")
        reply.integer(command.calls)
        reply.bulk(b"histogram_usec")
        bounds, counts = cumulative_powers(histogram_of(command))
        reply.map(len(bounds))
        for i in range(len(bounds)):
            reply.integer(bounds[i])
            reply.integer(counts[i])


def named(commands: list[Command], name: bytes) -> list[Command]:
    """Those of a name; a container's is that of all its subcommands."""
    return [each for each in commands if name in (each.full_name, each.full_name.partition(b"|")[0])]


def bound_us(power: int) -> int:
    """The most us in the bucket of a power of two, as the real servers' histograms have it: 1.024 us, two digits."""
    return (power * 1024 + power * 1024 // 128 - 1) // 1000


def cumulative_powers(histogram: list[int]) -> tuple[list[int], list[int]]:
    """Calls up to each power of two in us, as far as each differs from the one before."""
    bounds: list[int] = []
    counts: list[int] = []
    bound = 1
    seen = 0
    for slot in range(len(histogram)):
        if not histogram[slot]:
            continue
        value = slot_value_us(slot)
        while value > bound_us(bound):
            bound *= 2
        seen += histogram[slot]
        if bounds and bounds[-1] == bound_us(bound):
            counts[-1] = seen
        else:
            bounds.append(bound_us(bound))
            counts.append(seen)
    return bounds, counts


def latency_doctor(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    if engine.latency.threshold_ms == 0:
        text = (
            'Latency monitoring is off. Switch it on with "CONFIG SET latency-monitor-threshold <milliseconds>" '
            "and ask again when there was time for spikes to be seen.\n"
        )
    elif not engine.latency.series:
        text = "No latency spike was seen since the monitor was switched on or reset. All is well.\n"
    else:
        lines = ["Latency spikes seen, by event:"]
        for event, series in engine.latency.series.items():
            count = len(series.latencies_ms)
            mean = sum(series.latencies_ms) // count
            lines.append(
                f"- {event.decode('latin-1')}: {count} spikes, mean {mean} ms, worst {series.all_time_max_ms} ms."
            )
        if b"command" in engine.latency.series:
            lines.append("Slow commands: look at SLOWLOG GET for what they were.")
        if b"fork" in engine.latency.series:
            lines.append("Slow forks: the memory of the process is large, or huge pages are on.")
        text = "\n".join(lines) + "\n"
    client.reply.verbatim(b"txt", text.encode())


LATENCY_HELP: Final = (
    b"LATENCY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"DOCTOR",
    b"    What the spikes seen so far mean, in words.",
    b"GRAPH <event>",
    b"    The spikes of an event, drawn with letters.",
    b"HISTORY <event>",
    b"    The spikes of an event, each with its time.",
    b"LATEST",
    b"    Of every event the last spike and the worst.",
    b"RESET [<event> ...]",
    b"    Forget the spikes of these events, or of all.",
    b"HISTOGRAM [COMMAND ...]",
    b"    How long calls of these commands, or of all, have taken: how many stayed below",
    b"    each power of two of microseconds.",
    b"HELP",
    b"    This text.",
)


def latency_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(LATENCY_HELP)


# -- MEMORY -----------------------------------------------------------------------------------------------


def key_bytes(key: bytes, value: bytes | Value) -> i64:
    """Resident bytes of a key with its value, by account."""
    if isinstance(value, bytes):
        return STRING_OVERHEAD_BYTES + i64(len(key)) + i64(len(value))
    return STRING_OVERHEAD_BYTES + i64(len(key)) + value.memory_bytes()


def memory_usage(client: Client, argv: list[bytes]) -> None:
    n: i64 = len(argv)
    i: i64 = 3
    while i < n:
        if argv[i].lower() != b"samples" or i + 1 >= n:
            raise CommandError(SYNTAX)
        if not is_int64(argv[i + 1]):
            raise CommandError(b"ERR value is not an integer or out of range")
        if to_int64(argv[i + 1]) < 0:
            raise CommandError(SYNTAX)
        i += 2
    value = client.db.peek(argv[2])
    if value is None:
        client.reply.null()
    else:
        client.reply.integer(key_bytes(argv[2], value))


def memory_stats(client: Client, argv: list[bytes]) -> None:
    engine = client.engine
    facts: dict[bytes, bytes | int] = {}
    for source in engine.info_sources:
        source.add_facts(facts)
    keys = int(engine.keyspace.size())
    used = number(facts, b"used_memory")
    startup = number(facts, b"used_memory_startup")
    dataset = number(facts, b"used_memory_dataset")
    databases = [database for database in engine.keyspace.databases if database.size() > 0]
    rows: list[tuple[bytes, int]] = [
        (b"peak.allocated", number(facts, b"used_memory_peak")),
        (b"total.allocated", used),
        (b"startup.allocated", startup),
        (b"replication.backlog", 0),
        (b"clients.slaves", 0),
        (b"clients.normal", number(facts, b"mem_clients_normal")),
        (b"cluster.links", 0),
        (b"aof.buffer", 0),
        (b"lua.caches", 0),
        (b"functions.caches", 0),
    ]
    reply = client.reply
    reply.map(len(rows) + len(databases) + 9)
    for name, amount in rows:
        reply.bulk(name)
        reply.integer(amount)
    for database in databases:
        reply.bulk(b"db.%d" % database.index)
        reply.map(2)
        reply.bulk(b"overhead.hashtable.main")
        reply.integer(database.table.bytes_used)
        reply.bulk(b"overhead.hashtable.expires")
        reply.integer(8 * i64(len(database.table.earliest)))
    for name, amount in (
        (b"overhead.total", number(facts, b"used_memory_overhead")),
        (b"keys.count", keys),
        (b"keys.bytes-per-key", (used - startup) // keys if keys else 0),
        (b"dataset.bytes", dataset),
    ):
        reply.bulk(name)
        reply.integer(amount)
    for name, share in (
        (b"dataset.percentage", 100.0 * dataset / max(1, used - startup)),
        (b"peak.percentage", 100.0 * used / max(1, number(facts, b"used_memory_peak"))),
        (b"allocator-fragmentation.ratio", 1.0),
        (b"allocator-rss.ratio", 1.0),
        (b"fragmentation", number(facts, b"used_memory_rss") / max(1, used)),
    ):
        reply.bulk(name)
        reply.double(share)


def number(facts: dict[bytes, bytes | int], name: bytes) -> int:
    value = facts.get(name, 0)
    return value if isinstance(value, int) else 0


def memory_doctor(client: Client, argv: list[bytes]) -> None:
    facts: dict[bytes, bytes | int] = {}
    for source in client.engine.info_sources:
        source.add_facts(facts)
    used = number(facts, b"used_memory")
    resident = number(facts, b"used_memory_rss")
    findings: list[str] = []
    if used and resident / used > 1.4 and resident - used > 10 << 20:
        findings.append(
            f"Resident memory is {resident / used:.2f} times what is in use: memory was freed recently."
        )
    if used and number(facts, b"used_memory_peak") / used > 1.5:
        findings.append("The peak was more than half above what is in use now.")
    text = "\n".join(findings) if findings else "Nothing about the use of memory stands out."
    client.reply.verbatim(b"txt", text.encode() + b"\n")


def memory_malloc_stats(client: Client, argv: list[bytes]) -> None:
    client.reply.verbatim(b"txt", b"Stats not supported for the current allocator")


def memory_purge(client: Client, argv: list[bytes]) -> None:
    client.reply.ok()


MEMORY_HELP: Final = (
    b"MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"DOCTOR",
    b"    What is wrong with the use of memory, in words.",
    b"MALLOC-STATS",
    b"    What the allocator says of itself.",
    b"PURGE",
    b"    Ask the allocator to give pages back.",
    b"STATS",
    b"    Where memory goes, in figures.",
    b"USAGE <key> [SAMPLES <count>]",
    b"    The bytes that a key and its value take. Of a large value so many elements are",
    b"    looked at (5 unless told, 0 for all).",
    b"HELP",
    b"    This text.",
)


def memory_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(MEMORY_HELP)


_SPIKES: Final = "admin noscript loading stale"
_SPIKE_TIPS: Final = (b"nondeterministic_output", b"request_policy:all_nodes", b"response_policy:special")
_MEMORY_TIPS: Final = (b"nondeterministic_output", b"request_policy:all_shards", b"response_policy:special")

COMMANDS: Final = (
    Command(
        b"latency", None, -2, "", "slow",
        subcommands=(
            Command(b"latest", latency_latest, 2, _SPIKES, "", tips=_SPIKE_TIPS),
            Command(b"history", latency_history, 3, _SPIKES, "", tips=_SPIKE_TIPS),
            Command(b"graph", latency_graph, 3, _SPIKES, "", tips=_SPIKE_TIPS),
            Command(b"doctor", latency_doctor, 2, _SPIKES, "", tips=_SPIKE_TIPS),
            Command(b"histogram", latency_histogram, -2, _SPIKES, "", tips=_SPIKE_TIPS),
            Command(
                b"reset", latency_reset, -2, _SPIKES, "", max_compat=70,
                tips=(b"request_policy:all_nodes", b"response_policy:all_succeeded"),
            ),
            Command(
                b"reset", latency_reset, -2, _SPIKES, "", min_compat=72,
                tips=(b"request_policy:all_nodes", b"response_policy:agg_sum"),
            ),
            Command(b"help", latency_help, 2, "loading stale", ""),
        ),
    ),
    Command(
        b"memory", None, -2, "", "slow",
        subcommands=(
            Command(b"usage", memory_usage, -3, "readonly", "", (KeySpec("RO", index=2),)),
            Command(b"stats", memory_stats, 2, "", "", tips=_MEMORY_TIPS),
            Command(b"doctor", memory_doctor, 2, "", "", tips=_MEMORY_TIPS),
            Command(b"malloc-stats", memory_malloc_stats, 2, "", "", tips=_MEMORY_TIPS),
            Command(
                b"purge", memory_purge, 2, "", "",
                tips=(b"request_policy:all_shards", b"response_policy:all_succeeded"),
            ),
            Command(b"help", memory_help, 2, "loading stale", ""),
        ),
    ),
)  # fmt: skip
