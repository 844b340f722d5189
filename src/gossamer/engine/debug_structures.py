"""The subcommands of DEBUG that look into values, tables and buffers: OBJECT, SDSLEN, LISTPACK, QUICKLIST, HTSTATS ...

Where Gossamer has no such structure, they tell what stands in its place.
"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.object import references
from gossamer.datatypes import listpack
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.packed_table import PackedTable
from gossamer.datatypes.sets import Set
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.engine.client import Client
from gossamer.keyspace.access import lfu_decayed, lru_idle_seconds
from gossamer.rdb.payload import dump
from gossamer.resp.errors import NO_SUCH_KEY

PAYLOAD_ENVELOPE_BYTES: Final = 11  # type byte, version and check sum of a DUMP payload
STRING_HEADER_BYTES: Final = 33  # what CPython puts around the bytes of a string
FIRST_POOL_BYTES: Final = 1 << 15
LAST_POOL_BYTES: Final = 1 << 32


def value_of(client: Client, key: bytes) -> bytes | Value:
    value = client.db.peek(key)
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    return value


def debug_object(client: Client, argv: list[bytes]) -> None:
    """DEBUG OBJECT key; `fast`, since Valkey 8.0, leaves out what takes time. A key that is due is shown as it is."""
    state = client.state
    before = (state.expires_now, state.hides_expired, state.expiry_paused)
    state.expires_now = state.hides_expired = state.expiry_paused = False
    try:
        describe_object(client, argv)
    finally:
        state.expires_now, state.hides_expired, state.expiry_paused = before


def describe_object(client: Client, argv: list[bytes]) -> None:
    key = argv[2]
    value = value_of(client, key)
    encoding = client.db.encoding(key)
    assert encoding is not None
    field = client.db.access_field(key)
    words = [f"Value at:0x{id(value):x} refcount:{references(client, key)} encoding:{encoding.decode()}"]
    fast = len(argv) > 3 and argv[3].lower() == b"fast"
    if not fast:
        words.append(f"serializedlength:{len(dump(value, 10)) - PAYLOAD_ENVELOPE_BYTES}")
    words.append(f"lru:{field} lru_seconds_idle:{lru_idle_seconds(field, client.state.now_ms)}")
    if client.limits.compat >= 80:
        counter = lfu_decayed(field, client.state.now_ms // 60000, client.limits)
        words.append(f"lfu_freq:{counter} lfu_access_time_minutes:{field >> 8}")
    if encoding == b"quicklist" and isinstance(value, List):
        words.append(quicklist_words(value, fast))
    client.reply.simple(" ".join(words).encode())


def quicklist_words(value: List, fast: bool) -> str:
    """The nodes of a list."""
    quick = value.quick
    if quick is None:
        nodes, size = 1, len(value.lp)
    else:
        nodes, size = int(quick.node_count()), 0
        for node in quick.nodes[quick.first :]:
            size += int(node.size)
    limits = value.limits
    text = f"ql_nodes:{nodes} ql_avg_node:{int(value.length()) / max(1, nodes):.2f} "
    text += f"ql_listpack_max:{limits.list_max_listpack_size} ql_compressed:{int(limits.list_compress_depth != 0)}"
    return text if fast else f"{text} ql_uncompressed_size:{size}"


def debug_sdslen(client: Client, argv: list[bytes]) -> None:
    value = value_of(client, argv[2])
    if not isinstance(value, bytes) or client.db.encoding(argv[2]) == b"int":
        raise CommandError(b"ERR Not an sds encoded string.")
    key_bytes, value_bytes = len(argv[2]), len(value)
    text = (
        f"key_sds_len:{key_bytes}, key_sds_avail:0, key_zmalloc: {key_bytes + STRING_HEADER_BYTES}, "
        f"val_sds_len:{value_bytes}, val_sds_avail:0, val_zmalloc: {value_bytes + STRING_HEADER_BYTES}"
    )
    client.reply.simple(text.encode())


def debug_listpack(client: Client, argv: list[bytes]) -> None:
    value = value_of(client, argv[2])
    packed = value.packed() if isinstance(value, Value) else None
    if packed is None or client.db.encoding(argv[2]) != b"listpack":
        raise CommandError(b"ERR Not a listpack encoded object.")
    client.engine.hooks.log_notice(f"listpack of {argv[2]!r}: {listpack.entries(packed)!r}")
    client.reply.simple(b"Listpack structure printed on stdout")


def debug_quicklist(client: Client, argv: list[bytes]) -> None:
    value = value_of(client, argv[2])
    if not isinstance(value, List) or client.db.encoding(argv[2]) != b"quicklist":
        raise CommandError(b"ERR Not a quicklist encoded object.")
    client.engine.hooks.log_notice(f"quicklist of {argv[2]!r}: {quicklist_words(value, False)}")
    client.reply.simple(b"Quicklist structure printed on stdout")


def table_text(table: PackedTable, number: int, full: bool) -> str:
    """How full the buckets of a table are."""
    if table.count == 0:
        return f"Hash table {number} stats (main hash table):\nNo stats available for empty dictionaries\n"
    lines = [f"Hash table {number} stats (main hash table):", f" table size: {len(table.buckets)}"]
    lines.append(f" number of elements: {table.count}")
    if full:
        lines.append(f" different slots: {sum([1 for bucket in table.buckets if bucket])}")
        lines.append(f" mean entries per bucket: {int(table.count) / len(table.buckets):.2f}")
        lines.append(f" largest bucket: {max([len(bucket) for bucket in table.buckets])} bytes")
    return "\n".join(lines) + "\n"


def wants_full(client: Client, argv: list[bytes]) -> bool:
    """Valkey is brief unless asked; Redis 7.0 never is."""
    return client.limits.compat < 72 or (len(argv) > 3 and argv[3].lower() == b"full")


def debug_htstats(client: Client, argv: list[bytes]) -> None:
    index = integer_argument(argv[2])
    if not 0 <= index < i64(len(client.keyspace.databases)):
        raise CommandError(b"ERR Out of range database")
    table = client.keyspace.databases[index].table
    text = f"[Dictionary HT]\n{table_text(table, 0, wants_full(client, argv))}[Expires HT]\n"
    if table.expires_count:
        text += f" number of elements: {table.expires_count}\n"
    client.reply.verbatim(b"txt", text.encode())


def debug_htstats_key(client: Client, argv: list[bytes]) -> None:
    value = value_of(client, argv[2])
    table = value.table if isinstance(value, (Hash, Set, ZSet)) else None
    if table is None or client.db.encoding(argv[2]) not in (b"hashtable", b"skiplist"):
        raise CommandError(
            b"ERR The value stored at the specified key is not represented using an hash table"
        )
    client.reply.verbatim(b"txt", table_text(table, 0, wants_full(client, argv)).encode())


def debug_structsize(client: Client, argv: list[bytes]) -> None:
    empty = STRING_HEADER_BYTES
    client.reply.bulk(b"bits:64 string:%d client:%d table:%d " % (empty, 2200, PackedTable(0).bytes_used))


def debug_client_eviction(client: Client, argv: list[bytes]) -> None:
    """The clients that `maxmemory-clients` may close, by the size of their buffers."""
    engine = client.engine
    if engine.client_memory.limit_bytes == 0:
        raise CommandError(b"ERR maxmemory-clients is disabled.")
    lines: list[str] = []
    low, high = 0, FIRST_POOL_BYTES
    while low < LAST_POOL_BYTES:
        lines.append(pool_line(client, low, high))
        low, high = high, high * 2
    lines.append(pool_line(client, low, 1 << 62))
    client.reply.verbatim(b"txt", "".join(lines).encode())


def pool_line(client: Client, low: int, high: int) -> str:
    total = count = 0
    for other in client.engine.clients.values():
        if low <= other.accounted_bytes < high and other.accounted_bytes > 0:
            total += int(other.accounted_bytes)
            count += 1
    bounds = f"{low:>10} - {high - 1:>10}" if high < 1 << 62 else f"{low:>10}+            "
    return f"bucket {bounds}: tot-mem: {total:>10}, clients: {count}\n"
