"""Configuration, measures and other commands on the server itself."""

from conformance.arguments import Group, command, either, integer, key, many, options, pair, value

parameter = either(
    "maxmemory", "maxmemory-policy", "maxmemory-samples", "timeout", "appendfsync", "notify-keyspace-events",
    "hash-max-listpack-entries", "hash-max-ziplist-value", "list-max-listpack-size", "lfu-log-factor", "hz",
    "slowlog-log-slower-than", "slowlog-max-len", "latency-monitor-threshold", "databases", "nosuch",
    "lazyfree-lazy-eviction", "proto-max-bulk-len", "client-query-buffer-limit", "tcp-keepalive",
)  # fmt: skip
setting = either(
    "0", "1", "100", "-1", "1mb", "1k", "1gb", "2x", "yes", "no", "maybe", "", "allkeys-lru", "noeviction",
    "always", "everysec", "KEA", "Kx", "q", "1048576", "4096",
)  # fmt: skip
glob = either(
    "maxmemory*", "hash-max-*", "*ziplist*", "nosuch*", "appendfsync", "tcp-[k]*", "databases", "MAXMEMORY"
)

COMMANDS = [
    command("CONFIG GET", glob, weight=5),
    command("CONFIG GET", many(glob, 1, 3)),
    command("CONFIG SET", parameter, setting, weight=8, mangle=False),
    command("CONFIG SET", many(pair(parameter, setting), 1, 3), weight=2),
    command("CONFIG RESETSTAT", weight=1),
    command("CONFIG NOSUCH", weight=1),
    command("TIME"),
    command("LASTSAVE"),
    command("DBSIZE"),
    command("FLUSHALL", options("SYNC", "ASYNC", maximum=1), weight=1),
    command("SLOWLOG GET", options("0", maximum=1), weight=1),
    command("SLOWLOG RESET", weight=1),
    command("SLOWLOG LEN", weight=1),
    command("SLOWLOG NOSUCH", weight=1),
    command("LATENCY RESET", many(value, 0, 1)),
    command("LATENCY HISTORY", value),
    command("LATENCY LATEST", weight=1),
    command("LATENCY GRAPH", value, weight=1),
    command("LATENCY HISTOGRAM", either("nosuch"), weight=1),
    command("MEMORY USAGE", key, options(("SAMPLES", integer), maximum=1)),
    command("MEMORY NOSUCH", weight=1),
    command("LOLWUT", weight=1, mangle=False),
    command("DEBUG SET-ACTIVE-EXPIRE", either("1"), weight=1),
    command("SWAPDB", either("0", "1"), either("1", "x"), weight=1),
    command("SAVE", weight=1, mangle=False),
    command("SHUTDOWN", either("MAYBE"), weight=1, mangle=False),
]

# What a sequence may have changed, as redis.conf's defaults have it.
DEFAULTS = {
    "maxmemory": "0", "maxmemory-policy": "noeviction", "maxmemory-samples": "5", "timeout": "0",
    "appendfsync": "everysec", "notify-keyspace-events": "", "hash-max-listpack-entries": "128",
    "hash-max-listpack-value": "64", "list-max-listpack-size": "-2", "lfu-log-factor": "10", "hz": "10",
    "slowlog-log-slower-than": "10000", "slowlog-max-len": "128", "latency-monitor-threshold": "0",
    "lazyfree-lazy-eviction": "no", "proto-max-bulk-len": "512mb", "client-query-buffer-limit": "1gb",
    "tcp-keepalive": "300",
}  # fmt: skip

GROUP = Group("server", COMMANDS, config=DEFAULTS)
