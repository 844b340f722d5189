"""One client as a line of CLIENT LIST and CLIENT INFO."""

from mypy_extensions import i64

from gossamer.engine.client import Client
from gossamer.engine.client_memory import client_bytes, request_bytes


def client_type(client: Client) -> bytes:
    """`normal`, `master`, `slave` or `pubsub`, as the filters of CLIENT LIST and KILL name it."""
    if client.is_replica:
        return b"slave"
    if client.brings_own_data:
        return b"master"
    return b"pubsub" if client.is_subscribed() else b"normal"


def client_flags(client: Client) -> bytes:
    flags = b""
    if client.monitor:
        flags += b"O"
    if client.is_replica:
        flags += b"S"
    if client.brings_own_data:
        flags += b"M"
    if client.is_subscribed():
        flags += b"P"
    if client.queued is not None:
        flags += b"x"
    if client.blocked_command is not None:
        flags += b"b"
    if client.tracking is not None:
        flags += b"t"
        if client.tracking.is_broken:
            flags += b"R"
        if client.tracking.broadcasting:
            flags += b"B"
    if client.watch_dirty:
        flags += b"d"
    if client.close_after_reply:
        flags += b"c"
    if client.over_unix_socket:
        flags += b"U"
    if client.no_evict:
        flags += b"e"
    return flags or b"N"


def client_line(client: Client, now_us: i64) -> bytes:
    """The fields of one client, in the order of the version that is answered as."""
    compat = client.limits.compat
    command = b"NULL" if client.last_command is None else client.last_command.full_name
    queued = client.queued
    pending: i64 = len(client.reply.out)
    unsent: i64 = client.door.unsent_bytes()
    buffered: i64 = client.door.input_bytes()
    fields: list[tuple[bytes, bytes | int]] = [
        (b"id", client.client_id),
        (b"addr", client.address),
        (b"laddr", client.local_address),
        (b"fd", client.descriptor),
        (b"name", client.name),
        (b"age", (now_us - client.created_us) // 1_000_000),
        (b"idle", (now_us - client.last_interaction_us) // 1_000_000),
        (b"flags", client_flags(client)),
    ]
    fields += [
        (b"db", client.db.index),
        (b"sub", len(client.channels)),
        (b"psub", len(client.patterns)),
        (b"ssub", len(client.shard_channels)),
        (b"multi", -1 if queued is None else len(queued)),
    ]
    if compat >= 72:
        fields.append((b"watch", len(client.watches)))
    fields += [
        (b"qbuf", buffered),
        (b"qbuf-free", max(0, 16384 - int(buffered))),
        (b"argv-mem", 0 if client.blocked_argv is None else request_bytes(client.blocked_argv)),
        (b"multi-mem", client.queued_bytes),
        (b"rbs", 16384),
        (b"rbp", pending),
        (b"obl", pending),
        (b"oll", 1 if unsent else 0),
        (b"omem", unsent),
        (b"tot-mem", client_bytes(client)),
        (b"events", b"rw" if unsent else b"r"),
        (b"cmd", command),
        (b"user", client.user.name),
        (b"redir", -1 if client.tracking is None else client.tracking.redirect),
        (b"resp", client.reply.protocol),
    ]
    if compat >= 72:
        fields += [(b"lib-name", client.library_name), (b"lib-ver", client.library_version)]
    if compat >= 80:
        fields += [
            (b"tot-net-in", client.input_total_bytes),
            (b"tot-net-out", client.output_total_bytes),
            (b"tot-cmds", client.commands_processed),
        ]
    words = [name + b"=" + (value if isinstance(value, bytes) else b"%d" % value) for name, value in fields]
    return b" ".join(words) + b"\n"
