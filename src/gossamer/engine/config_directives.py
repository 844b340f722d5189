"""Every configuration directive of Redis 7.0, Redis 7.2 and Valkey 8.0, and our own two, one line each.

Owns: names, aliases, kinds, bounds, defaults, flags, and the checks of single values.
Must not know: where values are kept or who uses them.
Invariants: no two directives that one version knows share a name or an alias; `limit` names a field of
Limits.

Directives without meaning here (jemalloc-bg-thread, disable-thp ...) are accepted, kept and reported all
the same.
"""

from typing import Final

from gossamer.base.errors import ConfigError
from gossamer.base.limits import POLICIES, POLICY_NOEVICTION, SANITIZE_NOBODY
from gossamer.engine.config_kinds import (
    DENY_LOADING,
    HIDDEN,
    IMMUTABLE,
    INT_MAX,
    INT_MIN,
    LONG_MAX,
    LONG_MIN,
    MULTIPLE,
    PROTECTED,
    SENSITIVE,
    UINT_MAX,
    ULONG_MAX,
    VOLATILE,
    ActiveDefragmentation,
    Addresses,
    BufferLimits,
    Check,
    Choice,
    Directive,
    Directory,
    EventClasses,
    Memory,
    MemoryOrPercent,
    Number,
    Octal,
    OomScoreValues,
    Percentiles,
    PrimaryAddress,
    SavePoints,
    ShutdownOptions,
    Text,
    YesNo,
)

KB: Final = 1 << 10
MB: Final = 1 << 20
GB: Final = 1 << 30


def numbered(words: str) -> tuple[tuple[bytes, int], ...]:
    """Choices whose numbers are their places."""
    return tuple([(word.encode(), number) for number, word in enumerate(words.split())])


_PROTECTED_ACTION: Final = numbered("no yes local")
_OOM: Final = ((b"no", 0), (b"yes", 1), (b"relative", 1), (b"absolute", 2))
_SHUTDOWN: Final = ((b"default", 0), (b"save", 1), (b"nosave", 2), (b"now", 4), (b"force", 8))
COMPAT_CHOICES: Final = ((b"redis:7.0", 70), (b"redis:7.2", 72), (b"valkey:8.0", 80))
_FACILITIES: Final = numbered("user local0 local1 local2 local3 local4 local5 local6 local7")


# Checks of values.


def check_file_name(name: str, may_be_empty_before: int = 0) -> Check:
    """No path, just the name of a file in `dir`; empty only in versions before the given one."""

    def check(word: bytes, compat: int) -> None:
        if not word and compat >= may_be_empty_before:
            raise ConfigError(f"{name} can't be empty")
        if b"/" in word:
            raise ConfigError(f"{name} can't be a path, just a {'dirname' if 'dir' in name else 'filename'}")

    return check


def check_directory(word: bytes, compat: int) -> None:
    if not word and compat >= 80:
        raise ConfigError("dir can't be empty")


def check_cluster_file(word: bytes, compat: int) -> None:
    if not word and compat >= 80:
        raise ConfigError("cluster-config-file can't be empty")


def check_host_name(word: bytes, compat: int) -> None:
    """cluster-announce-hostname: fits the bus packet and the CLUSTER NODES line."""
    if len(word) >= 256:
        raise ConfigError("Hostnames must be less than 256 characters")
    for code in word:
        if not (48 <= code <= 57 or 65 <= code <= 90 or 97 <= code <= 122 or code in (45, 46)):
            raise ConfigError("Hostnames may only contain alphanumeric characters, hyphens or dots")


def check_node_name(word: bytes, compat: int) -> None:
    """cluster-announce-human-nodename: nothing that the format of nodes.conf gives a meaning."""
    for code in word:
        if code in b"!#$%&()*+;<>?@[]^{|}~":
            raise ConfigError("Announced human node name contained invalid character")


def check_ipv4(word: bytes, compat: int) -> None:
    from ipaddress import AddressValueError, IPv4Address

    try:
        IPv4Address(word.decode("latin-1") or "0.0.0.0")
    except AddressValueError:
        raise ConfigError("Invalid IPv4 address") from None


def check_ipv6(word: bytes, compat: int) -> None:
    from ipaddress import AddressValueError, IPv6Address

    try:
        IPv6Address(word.decode("latin-1").replace("%", "x") or "::")
    except AddressValueError:
        raise ConfigError("Invalid IPv6 address") from None


def check_title_template(word: bytes, compat: int) -> None:
    """Known variables only, braces closed ({{ is a brace), and not empty when optional ones are."""
    empty = (b"title", b"server-mode", b"unixsocket", b"config-file")
    full = (b"listen-addr", b"port", b"tls-port")
    refused = ConfigError("template format is invalid or contains unknown variables")
    shown = False
    at = 0
    while at < len(word):
        if word[at : at + 1] != b"{":
            shown = shown or word[at : at + 1] != b" "
            at += 1
        elif word[at : at + 2] == b"{{":
            shown = True
            at += 2
        else:
            end = word.find(b"}", at)
            variable = word[at + 1 : end] if end > 0 else b""
            if end < 0 or (variable not in empty and variable not in full):
                raise refused
            shown = shown or variable in full
            at = end + 1
    if not shown:
        raise refused


# Words for the table.


def yes_no(name: str, default: bool, flags: int = 0) -> YesNo:
    return YesNo(name, default, flags)


def integer(name: str, default: int, low: int, high: int, flags: int = 0, limit: str = "") -> Number:
    directive = Number(name, default, low, high, flags)
    directive.limit = limit
    return directive


def memory(name: str, default: int, low: int = 0, high: int = LONG_MAX, limit: str = "") -> Memory:
    directive = Memory(name, default, low, high)
    directive.limit = limit
    return directive


def choice(name: str, default: int, choices: tuple[tuple[bytes, int], ...], flags: int = 0) -> Choice:
    return Choice(name, default, choices, flags)


def text(name: str, default: bytes = b"", flags: int = 0, check: Check | None = None) -> Text:
    return Text(name, default, flags, check)


def limited(directive: Directive, limit: str) -> Directive:
    """The field of Limits that follows it."""
    directive.limit = limit
    return directive


def clamped(directive: Number, low: int, high: int) -> Number:
    """Values that are accepted but taken as the nearest sensible one."""
    directive.clamp_low = low
    directive.clamp_high = high
    return directive


def bound(directive: Number, compat: int, high: int) -> Number:
    """Another upper bound in one version."""
    directive.highs[compat] = high
    return directive


def also(directive: Directive, alias: str) -> Directive:
    """The older name."""
    directive.alias = alias
    return directive


def only(directive: Directive, since: int = 70, until: int = 99) -> Directive:
    """The versions that know it."""
    directive.since = since
    directive.until = until
    return directive


def valkey(directive: Directive, default: object) -> Directive:
    """Another default in Valkey 8.0."""
    directive.defaults[80] = default
    return directive


def log_levels() -> Choice:
    directive = choice("loglevel", 2, numbered("debug verbose notice warning nothing"))
    directive.since_of[b"nothing"] = 72
    return directive


DIRECTIVES: Final[tuple[Directive, ...]] = (
    # Ours.
    choice("compat", 72, COMPAT_CHOICES, IMMUTABLE),
    integer("rdb-version", 10, 9, 12),
    yes_no("aof-checksum-enabled", False),
    # Network.
    Addresses("bind", (b"*", b"-::*"), MULTIPLE),
    text("bind-source-addr"),
    yes_no("protected-mode", True),
    choice("enable-protected-configs", 0, _PROTECTED_ACTION, IMMUTABLE),
    choice("enable-debug-command", 0, _PROTECTED_ACTION, IMMUTABLE),
    choice("enable-module-command", 0, _PROTECTED_ACTION, IMMUTABLE),
    integer("port", 6379, 0, 65535),
    integer("tcp-backlog", 511, 0, INT_MAX, IMMUTABLE),
    text("unixsocket", b"", IMMUTABLE),
    Octal("unixsocketperm", 0, 0, 0o777, IMMUTABLE),
    only(text("unixsocketgroup", b"", IMMUTABLE), since=80),
    integer("timeout", 0, 0, INT_MAX),
    integer("tcp-keepalive", 300, 0, INT_MAX),
    integer("socket-mark-id", 0, 0, UINT_MAX, IMMUTABLE),
    integer("maxclients", 10000, 1, UINT_MAX),
    only(integer("max-new-connections-per-cycle", 10, 1, 1000), since=72),
    only(integer("max-new-tls-connections-per-cycle", 1, 1, 1000), since=72),
    # TLS.
    integer("tls-port", 0, 0, 65535),
    text("tls-cert-file", b"", VOLATILE),
    text("tls-key-file", b"", VOLATILE),
    text("tls-key-file-pass", b"", SENSITIVE),
    text("tls-client-cert-file", b"", VOLATILE),
    text("tls-client-key-file", b"", VOLATILE),
    text("tls-client-key-file-pass", b"", SENSITIVE),
    text("tls-dh-params-file", b"", VOLATILE),
    text("tls-ca-cert-file", b"", VOLATILE),
    text("tls-ca-cert-dir", b"", VOLATILE),
    choice("tls-auth-clients", 1, numbered("no yes optional")),
    yes_no("tls-replication", False),
    yes_no("tls-cluster", False),
    text("tls-protocols"),
    text("tls-ciphers"),
    text("tls-ciphersuites"),
    yes_no("tls-prefer-server-ciphers", False),
    yes_no("tls-session-caching", True),
    integer("tls-session-cache-size", 20480, 0, INT_MAX),
    integer("tls-session-cache-timeout", 300, 0, INT_MAX),
    # General.
    yes_no("daemonize", False, IMMUTABLE),
    choice("supervised", 3, numbered("upstart systemd auto no"), IMMUTABLE),
    text("pidfile", b"", IMMUTABLE),
    log_levels(),
    text("logfile", b"", IMMUTABLE),
    yes_no("syslog-enabled", False, IMMUTABLE),
    valkey(text("syslog-ident", b"redis", IMMUTABLE), b"valkey"),
    choice("syslog-facility", 1, _FACILITIES, IMMUTABLE),
    yes_no("crash-log-enabled", True),
    yes_no("crash-memcheck-enabled", True),
    yes_no("use-exit-on-panic", False, HIDDEN),
    integer("databases", 16, 1, INT_MAX, IMMUTABLE),
    yes_no("always-show-logo", False, IMMUTABLE),
    valkey(only(yes_no("hide-user-data-from-log", False), since=72), True),
    yes_no("set-proc-title", True, IMMUTABLE),
    text("proc-title-template", b"{title} {listen-addr} {server-mode}", 0, check_title_template),
    only(text("locale-collate"), since=72),
    text("ignore-warnings"),
    only(yes_no("extended-redis-compatibility", False), since=80),
    only(text("availability-zone"), since=80),
    only(yes_no("enable-debug-assert", False, IMMUTABLE | HIDDEN), since=72),
    only(text("debug-context", b"", HIDDEN), since=80),
    clamped(integer("watchdog-period", 0, 0, INT_MAX, HIDDEN), 0, INT_MAX),
    # Snapshots.
    SavePoints("save", ((3600, 1), (300, 100), (60, 10000)), MULTIPLE),
    yes_no("stop-writes-on-bgsave-error", True),
    limited(yes_no("rdbcompression", True), "rdb_compression"),
    yes_no("rdbchecksum", True, IMMUTABLE),
    limited(
        choice("sanitize-dump-payload", SANITIZE_NOBODY, numbered("no yes clients")), "sanitize_dump_payload"
    ),
    text("dbfilename", b"dump.rdb", PROTECTED, check_file_name("dbfilename", 80)),
    yes_no("rdb-del-sync-files", False),
    Directory("dir", b"", PROTECTED | DENY_LOADING, check_directory),
    yes_no("rdb-save-incremental-fsync", True),
    integer("rdb-key-save-delay", 0, INT_MIN, INT_MAX, HIDDEN, "rdb_key_save_delay_us"),
    integer("key-load-delay", 0, INT_MIN, INT_MAX, HIDDEN, "key_load_delay_us"),
    integer("loading-process-events-interval-bytes", 2 * MB, 1024, INT_MAX, HIDDEN),
    # Replication.
    also(PrimaryAddress("replicaof", (), IMMUTABLE | MULTIPLE), "slaveof"),
    only(text("masterauth", b"", SENSITIVE), until=72),
    only(text("masteruser", b"", SENSITIVE), until=72),
    only(also(text("primaryauth", b"", SENSITIVE), "masterauth"), since=80),
    only(also(text("primaryuser", b"", SENSITIVE), "masteruser"), since=80),
    also(yes_no("replica-serve-stale-data", True), "slave-serve-stale-data"),
    also(yes_no("replica-read-only", True), "slave-read-only"),
    yes_no("repl-diskless-sync", True),
    integer("repl-diskless-sync-delay", 5, 0, INT_MAX),
    integer("repl-diskless-sync-max-replicas", 0, 0, INT_MAX),
    choice("repl-diskless-load", 0, numbered("disabled on-empty-db swapdb")),
    only(yes_no("dual-channel-replication-enabled", False), since=80),
    also(integer("repl-ping-replica-period", 10, 1, INT_MAX), "repl-ping-slave-period"),
    integer("repl-timeout", 60, 1, INT_MAX),
    yes_no("repl-disable-tcp-nodelay", False),
    valkey(clamped(memory("repl-backlog-size", MB, 1), 16 * KB, LONG_MAX), 10 * MB),
    integer("repl-backlog-ttl", 3600, 0, LONG_MAX),
    also(integer("replica-priority", 100, 0, INT_MAX), "slave-priority"),
    yes_no("replica-announced", True),
    yes_no("safe-start-guard", False),
    choice("propagation-error-behavior", 0, numbered("ignore panic panic-on-replicas")),
    yes_no("replica-ignore-disk-write-errors", False),
    also(integer("min-replicas-to-write", 0, 0, INT_MAX), "min-slaves-to-write"),
    also(integer("min-replicas-max-lag", 10, 0, INT_MAX), "min-slaves-max-lag"),
    also(text("replica-announce-ip"), "slave-announce-ip"),
    also(integer("replica-announce-port", 0, 0, 65535), "slave-announce-port"),
    integer("tracking-table-max-keys", 1000000, 0, LONG_MAX),
    # Security.
    integer("acllog-max-len", 128, 0, LONG_MAX),
    text("aclfile", b"", IMMUTABLE),
    text("requirepass", b"", SENSITIVE),
    choice("acl-pubsub-default", 1, numbered("allchannels resetchannels")),
    # Memory.
    memory("maxmemory", 0, 0, ULONG_MAX, "maxmemory_bytes"),
    limited(choice("maxmemory-policy", POLICY_NOEVICTION, tuple(POLICIES.items())), "maxmemory_policy"),
    bound(integer("maxmemory-samples", 5, 1, INT_MAX, 0, "maxmemory_samples"), 80, 64),
    integer("maxmemory-eviction-tenacity", 10, 0, 100, 0, "maxmemory_eviction_tenacity"),
    also(yes_no("replica-ignore-maxmemory", True), "slave-ignore-maxmemory"),
    integer("active-expire-effort", 1, 1, 10, 0, "active_expire_effort"),
    MemoryOrPercent("maxmemory-clients", 0, 0, LONG_MAX),
    # Lazy freeing and threads.
    limited(valkey(yes_no("lazyfree-lazy-eviction", False), True), "lazyfree_lazy_eviction"),
    limited(valkey(yes_no("lazyfree-lazy-expire", False), True), "lazyfree_lazy_expire"),
    limited(valkey(yes_no("lazyfree-lazy-server-del", False), True), "lazyfree_lazy_server_del"),
    valkey(also(yes_no("replica-lazy-flush", False), "slave-lazy-flush"), True),
    valkey(yes_no("lazyfree-lazy-user-del", False), True),
    valkey(yes_no("lazyfree-lazy-user-flush", False), True),
    integer("io-threads", 1, 1, 128, IMMUTABLE),
    valkey(yes_no("io-threads-do-reads", False, IMMUTABLE), True),
    only(integer("events-per-io-thread", 2, 0, INT_MAX), since=80),
    only(integer("prefetch-batch-max-size", 16, 0, 128), since=80),
    only(text("server_cpulist", b"", IMMUTABLE), until=70),
    only(also(text("server-cpulist", b"", IMMUTABLE), "server_cpulist"), since=72),
    only(text("bio_cpulist", b"", IMMUTABLE), until=70),
    only(also(text("bio-cpulist", b"", IMMUTABLE), "bio_cpulist"), since=72),
    only(text("aof_rewrite_cpulist", b"", IMMUTABLE), until=70),
    only(also(text("aof-rewrite-cpulist", b"", IMMUTABLE), "aof_rewrite_cpulist"), since=72),
    only(text("bgsave_cpulist", b"", IMMUTABLE), until=70),
    only(also(text("bgsave-cpulist", b"", IMMUTABLE), "bgsave_cpulist"), since=72),
    choice("oom-score-adj", 0, _OOM),
    OomScoreValues("oom-score-adj-values", (0, 200, 800), MULTIPLE),
    yes_no("disable-thp", True, IMMUTABLE),
    yes_no("jemalloc-bg-thread", True),
    # Append only file.
    yes_no("appendonly", False, DENY_LOADING),
    text("appendfilename", b"appendonly.aof", IMMUTABLE, check_file_name("appendfilename")),
    text("appenddirname", b"appendonlydir", IMMUTABLE, check_file_name("appenddirname")),
    choice("appendfsync", 0, numbered("everysec always no")),
    yes_no("no-appendfsync-on-rewrite", False),
    integer("auto-aof-rewrite-percentage", 100, 0, INT_MAX),
    memory("auto-aof-rewrite-min-size", 64 * MB),
    yes_no("aof-load-truncated", True),
    yes_no("aof-use-rdb-preamble", True),
    yes_no("aof-timestamp-enabled", False),
    yes_no("aof-rewrite-incremental-fsync", True),
    only(yes_no("aof-disable-auto-gc", False), until=70),
    only(yes_no("aof-disable-auto-gc", False, HIDDEN), since=72),
    # Shutdown.
    integer("shutdown-timeout", 10, 0, INT_MAX),
    ShutdownOptions("shutdown-on-sigint", 0, _SHUTDOWN, MULTIPLE),
    ShutdownOptions("shutdown-on-sigterm", 0, _SHUTDOWN, MULTIPLE),
    # Scripts.
    also(integer("busy-reply-threshold", 5000, 0, LONG_MAX), "lua-time-limit"),
    only(yes_no("lua-enable-deprecated-api", False, IMMUTABLE | HIDDEN), until=72),
    # Cluster.
    yes_no("cluster-enabled", False, IMMUTABLE),
    text("cluster-config-file", b"nodes.conf", IMMUTABLE, check_cluster_file),
    integer("cluster-node-timeout", 15000, 0, LONG_MAX),
    only(integer("cluster-ping-interval", 0, 0, LONG_MAX, HIDDEN), since=80),
    integer("cluster-port", 0, 0, 65535, IMMUTABLE),
    also(integer("cluster-replica-validity-factor", 10, 0, INT_MAX), "cluster-slave-validity-factor"),
    integer("cluster-migration-barrier", 1, 0, INT_MAX),
    yes_no("cluster-allow-replica-migration", True),
    yes_no("cluster-require-full-coverage", True),
    also(yes_no("cluster-replica-no-failover", False), "cluster-slave-no-failover"),
    yes_no("cluster-allow-reads-when-down", False),
    yes_no("cluster-allow-pubsubshard-when-down", True),
    memory("cluster-link-sendbuf-limit", 0, 0, ULONG_MAX),
    text("cluster-announce-ip"),
    text("cluster-announce-hostname", b"", 0, check_host_name),
    only(text("cluster-announce-human-nodename", b"", 0, check_node_name), since=72),
    only(text("cluster-announce-client-ipv4", b"", 0, check_ipv4), since=80),
    only(text("cluster-announce-client-ipv6", b"", 0, check_ipv6), since=80),
    integer("cluster-announce-port", 0, 0, 65535),
    integer("cluster-announce-bus-port", 0, 0, 65535),
    integer("cluster-announce-tls-port", 0, 0, 65535),
    choice("cluster-preferred-endpoint-type", 0, numbered("ip hostname unknown-endpoint")),
    only(integer("cluster-blacklist-ttl", 60, LONG_MIN, LONG_MAX), since=80),
    only(yes_no("cluster-slot-stats-enabled", False), since=80),
    # Slow log, latency, events.
    also(integer("slowlog-log-slower-than", 10000, -1, LONG_MAX), "commandlog-execution-slower-than"),
    also(integer("slowlog-max-len", 128, 0, LONG_MAX), "commandlog-slow-execution-max-len"),
    integer("commandlog-request-larger-than", 1 << 20, -1, LONG_MAX),
    integer("commandlog-large-request-max-len", 128, 0, LONG_MAX),
    integer("commandlog-reply-larger-than", 1 << 20, -1, LONG_MAX),
    integer("commandlog-large-reply-max-len", 128, 0, LONG_MAX),
    integer("latency-monitor-threshold", 0, 0, LONG_MAX),
    yes_no("latency-tracking", True),
    Percentiles("latency-tracking-info-percentiles", (50.0, 99.0, 99.9), MULTIPLE),
    EventClasses("notify-keyspace-events", 0),
    # Encodings.
    also(
        integer("hash-max-listpack-entries", 512, 0, LONG_MAX, 0, "hash_max_listpack_entries"),
        "hash-max-ziplist-entries",
    ),
    also(
        memory("hash-max-listpack-value", 64, 0, LONG_MAX, "hash_max_listpack_value"),
        "hash-max-ziplist-value",
    ),
    also(
        integer("list-max-listpack-size", -2, INT_MIN, INT_MAX, 0, "list_max_listpack_size"),
        "list-max-ziplist-size",
    ),
    integer("list-compress-depth", 0, 0, INT_MAX, 0, "list_compress_depth"),
    integer("set-max-intset-entries", 512, 0, LONG_MAX, 0, "set_max_intset_entries"),
    only(integer("set-max-listpack-entries", 128, 0, LONG_MAX, 0, "set_max_listpack_entries"), since=72),
    only(integer("set-max-listpack-value", 64, 0, LONG_MAX, 0, "set_max_listpack_value"), since=72),
    also(
        integer("zset-max-listpack-entries", 128, 0, LONG_MAX, 0, "zset_max_listpack_entries"),
        "zset-max-ziplist-entries",
    ),
    also(
        memory("zset-max-listpack-value", 64, 0, LONG_MAX, "zset_max_listpack_value"),
        "zset-max-ziplist-value",
    ),
    memory("hll-sparse-max-bytes", 3000, 0, LONG_MAX, "hll_sparse_max_bytes"),
    memory("stream-node-max-bytes", 4096, 0, LONG_MAX, "stream_node_max_bytes"),
    integer("stream-node-max-entries", 100, 0, LONG_MAX, 0, "stream_node_max_entries"),
    # Limits of requests and replies, and the cron.
    memory("client-query-buffer-limit", GB, MB, LONG_MAX, "client_query_buffer_limit_bytes"),
    BufferLimits(
        "client-output-buffer-limit", (0, 0, 0, 256 * MB, 64 * MB, 60, 32 * MB, 8 * MB, 60), MULTIPLE
    ),
    memory("proto-max-bulk-len", 512 * MB, MB, LONG_MAX, "proto_max_bulk_len_bytes"),
    clamped(integer("hz", 10, 0, INT_MAX), 1, 500),
    yes_no("dynamic-hz", True),
    yes_no("activerehashing", True),
    integer("lfu-log-factor", 10, 0, INT_MAX, 0, "lfu_log_factor"),
    integer("lfu-decay-time", 1, 0, INT_MAX, 0, "lfu_decay_time_minutes"),
    ActiveDefragmentation("activedefrag", False),
    memory("active-defrag-ignore-bytes", 100 * MB, 1),
    integer("active-defrag-threshold-lower", 10, 0, 1000),
    integer("active-defrag-threshold-upper", 100, 0, 1000),
    integer("active-defrag-cycle-min", 1, 1, 99),
    integer("active-defrag-cycle-max", 25, 1, 99),
    integer("active-defrag-max-scan-fields", 1000, 1, LONG_MAX),
)


def directives_of(compat: int) -> list[Directive]:
    """What one version knows, in the order of the table."""
    return [directive for directive in DIRECTIVES if directive.since <= compat <= directive.until]
