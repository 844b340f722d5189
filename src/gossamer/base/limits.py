"""The settings that data structures and commands read on the data path, as one typed record.

Owned by the configuration, which writes the fields; everyone else only reads. Names and defaults are Redis's.
"""

from typing import final

from mypy_extensions import i64


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
        self.stream_node_max_bytes: i64 = 4096
        self.stream_node_max_entries: i64 = 100
        self.hll_sparse_max_bytes: i64 = 3000
        self.proto_max_bulk_len_bytes: i64 = 512 * 1024 * 1024
        self.client_query_buffer_limit_bytes: i64 = 1024 * 1024 * 1024
        self.lfu_log_factor: i64 = 10
        self.lfu_decay_time_minutes: i64 = 1
