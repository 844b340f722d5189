"""The settings that data structures and commands read on the data path, as one typed record.

Owned by the configuration, which writes the fields; everyone else only reads. Names and defaults are Redis's.
"""

from typing import Final, final

from mypy_extensions import i64

# maxmemory-policy: bits of what is chosen from and how.
POLICY_VOLATILE: Final = 1 << 0  # only keys with an expire time
POLICY_LRU: Final = 1 << 1
POLICY_LFU: Final = 1 << 2
POLICY_RANDOM: Final = 1 << 3
POLICY_TTL: Final = 1 << 4
POLICY_NOEVICTION: Final = 0
POLICIES: Final[dict[bytes, int]] = {
    b"volatile-lru": POLICY_VOLATILE | POLICY_LRU,
    b"volatile-lfu": POLICY_VOLATILE | POLICY_LFU,
    b"volatile-random": POLICY_VOLATILE | POLICY_RANDOM,
    b"volatile-ttl": POLICY_VOLATILE | POLICY_TTL,
    b"allkeys-lru": POLICY_LRU,
    b"allkeys-lfu": POLICY_LFU,
    b"allkeys-random": POLICY_RANDOM,
    b"noeviction": POLICY_NOEVICTION,
}

# Whom `sanitize-dump-payload` does not trust.
SANITIZE_NOBODY: Final = 0
SANITIZE_ALWAYS: Final = 1
SANITIZE_CLIENTS: Final = 2


@final
class Limits:
    """Encoding thresholds and limits; a size of listpack lists is negative for a class of bytes (-1: 4 KiB ...)."""

    def __init__(self) -> None:
        self.compat: i64 = 72
        self.hash_max_listpack_entries: i64 = 128
        self.hash_max_listpack_value: i64 = 64
        self.set_max_intset_entries: i64 = 512
        self.set_max_listpack_entries: i64 = 128
        self.set_max_listpack_value: i64 = 64
        self.zset_max_listpack_entries: i64 = 128
        self.zset_max_listpack_value: i64 = 64
        self.list_max_listpack_size: i64 = -2
        self.list_compress_depth: i64 = 0
        self.list_packed_threshold_bytes: i64 = 0  # DEBUG's; 0: no element is large but by the size of a node
        self.stream_node_max_bytes: i64 = 4096
        self.stream_node_max_entries: i64 = 100
        self.hll_sparse_max_bytes: i64 = 3000
        self.proto_max_bulk_len_bytes: i64 = 512 * 1024 * 1024
        self.client_query_buffer_limit_bytes: i64 = 1024 * 1024 * 1024
        self.rdb_compression: i64 = 1
        self.sanitize_dump_payload: i64 = SANITIZE_ALWAYS
        self.rdb_key_save_delay_us: i64 = 0
        self.key_load_delay_us: i64 = 0
        self.skip_checksum_validation: i64 = 0  # DEBUG's, of RESTORE
        # Whether replicas hear UNLINK or DEL; nothing here waits for memory.
        self.lazyfree_lazy_eviction: i64 = 0
        self.lazyfree_lazy_expire: i64 = 0
        self.lazyfree_lazy_server_del: i64 = 0
        self.lfu_log_factor: i64 = 10
        self.lfu_decay_time_minutes: i64 = 1
        self.active_expire_effort: i64 = 1
        self.maxmemory_bytes: i64 = 0
        self.maxmemory_policy: i64 = POLICY_NOEVICTION
        self.maxmemory_samples: i64 = 5
        self.maxmemory_eviction_tenacity: i64 = 10
