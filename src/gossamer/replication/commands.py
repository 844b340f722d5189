"""REPLICAOF, ROLE, and what replicas say to their primary: PSYNC, SYNC, REPLCONF."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.arguments import integer_argument
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.engine.client_text import client_line
from gossamer.replication.failover import NOTHING
from gossamer.replication.primary import ONLINE, WITHOUT_DATA, WITHOUT_FUNCTIONS, Primary
from gossamer.replication.primary_link import CONNECTED, NO_PRIMARY, STATE_NAMES, PrimaryLink
from gossamer.resp.errors import NOT_INTEGER, SYNTAX

PENDING_OUTPUT: Final = b"ERR SYNC and PSYNC are invalid with pending output"


def primary_of(client: Client) -> Primary:
    """This server as a primary."""
    primary = client.engine.replication
    if not isinstance(primary, Primary):
        raise CommandError(b"ERR this server has no replication")
    return primary


def link_of(client: Client) -> PrimaryLink:
    """This server as a replica."""
    link = primary_of(client).link
    if link is None:
        raise CommandError(b"ERR this server has no replication")
    return link


def failover(client: Client, argv: list[bytes]) -> None:
    """FAILOVER [TO host port [FORCE]] [ABORT] [TIMEOUT milliseconds]"""
    control = primary_of(client).failover
    if len(argv) == 2 and argv[1].lower() == b"abort":
        if control.state == NOTHING:
            raise CommandError(b"ERR No failover in progress.")
        control.abort("Failover manually aborted")
        client.reply.ok()
        return
    host = b""
    port: i64 = 0
    timeout_ms: i64 = 0
    forced = False
    i = 1
    while i < len(argv):
        word = argv[i].lower()
        if word == b"timeout" and i + 1 < len(argv) and timeout_ms == 0:
            timeout_ms = integer_argument(argv[i + 1])
            if timeout_ms <= 0:
                raise CommandError(b"ERR FAILOVER timeout must be greater than 0")
            i += 2
        elif word == b"to" and i + 2 < len(argv) and not host:
            host = argv[i + 1]
            port = integer_argument(argv[i + 2])
            i += 3
        elif word == b"force" and not forced:
            forced = True
            i += 1
        else:
            raise CommandError(SYNTAX)
    control.begin(host, port, forced, timeout_ms)
    client.reply.ok()


def replicaof(client: Client, argv: list[bytes]) -> None:
    """REPLICAOF host port | NO ONE"""
    link = link_of(client)
    engine = client.engine
    if primary_of(client).failover.state != NOTHING:
        raise CommandError(b"ERR REPLICAOF not allowed while failing over.")
    if argv[1].lower() == b"no" and argv[2].lower() == b"one":
        primary_of(client).safe_start.decide()
        if link.state != NO_PRIMARY:
            engine.config.put("replicaof", ())
            link.follow_nobody()
            link.door.log(f"MASTER MODE enabled (user request from '{describe(client)}')")
        client.reply.ok()
        return
    if client.is_replica:
        raise CommandError(b"ERR Command is not valid when client is a replica.")
    invalid = b"ERR Invalid primary port" if engine.limits.compat >= 80 else b"ERR Invalid master port"
    if not is_int64(argv[2]) or not 0 <= to_int64(argv[2]) <= 65535:
        raise CommandError(invalid)
    host = argv[1]
    port: i64 = to_int64(argv[2])
    if link.state != NO_PRIMARY and link.host.lower() == host.lower() and link.port == port:
        link.door.log(
            "REPLICAOF would result into synchronization with the master we are already connected with."
        )
        client.reply.simple(b"OK Already connected to specified master")
        return
    engine.config.put("replicaof", (host, int(port)))
    link.follow(host, port)
    link.door.log(f"REPLICAOF {link.label()} enabled (user request from '{describe(client)}')")
    client.reply.ok()


def describe(client: Client) -> str:
    return client_line(client, client.engine.now_us).decode("utf-8", "replace").strip()


def psync(client: Client, argv: list[bytes]) -> None:
    """PSYNC replicationid offset"""
    primary = primary_of(client)
    if len(argv) > 4 or (len(argv) == 4 and argv[3].lower() != b"failover"):
        raise CommandError(SYNTAX)
    if len(argv) == 4:
        primary.take_over(client, argv[1])
    if len(client.reply.out) > 0 or client.door.unsent_bytes() > 0:
        raise CommandError(PENDING_OUTPUT)
    if not is_int64(argv[2]):
        name = primary.replica_of(client).label()
        primary.door.log(f"Replica {name} asks for synchronization but with a wrong offset")
        raise CommandError(NOT_INTEGER)
    offset: i64 = to_int64(argv[2])
    replication_id = argv[1] if offset >= 0 else b"?"
    primary.synchronize(client, replication_id, offset, True)


def sync(client: Client, argv: list[bytes]) -> None:
    """SYNC"""
    primary = primary_of(client)
    if len(client.reply.out) > 0 or client.door.unsent_bytes() > 0:
        raise CommandError(PENDING_OUTPUT)
    primary.synchronize(client, b"?", -1, False)


def replconf(client: Client, argv: list[bytes]) -> None:
    """REPLCONF option value [option value ...]"""
    primary = primary_of(client)
    n: i64 = len(argv)
    if n % 2 == 0:
        raise CommandError(SYNTAX)
    for i in range(1, n, 2):
        name = argv[i].lower()
        value = argv[i + 1]
        if name == b"ack":
            acknowledge(primary, client, argv, i)
            return
        if name == b"getack":
            link = primary.link
            if link is not None and client is link.incoming.client:
                link.acknowledge()
            return
        configure(primary, client, name, value)
    client.reply.ok()


def acknowledge(primary: Primary, client: Client, argv: list[bytes], at: i64) -> None:
    """ACK offset [FACK offset]: it has no reply, and nothing that is wrong with it has one."""
    if not is_int64(argv[at + 1]):
        return
    durable: i64 = -1
    if i64(len(argv)) > at + 3 and argv[at + 2].lower() == b"fack" and is_int64(argv[at + 3]):
        durable = to_int64(argv[at + 3])
    primary.acknowledge(client, to_int64(argv[at + 1]), durable)


def configure(primary: Primary, client: Client, name: bytes, value: bytes) -> None:
    """One thing that a replica says of itself before it asks for the stream."""
    if name == b"listening-port":
        if not is_int64(value):
            raise CommandError(NOT_INTEGER)
        primary.replica_of(client).port = to_int64(value)
    elif name == b"ip-address":
        if len(value) > 255:
            raise CommandError(
                b"ERR REPLCONF ip-address provided by replica instance is too long: %d bytes" % len(value)
            )
        primary.replica_of(client).address = value
    elif name == b"capa":
        replica = primary.replica_of(client)
        if value.lower() == b"eof":
            replica.knows_eof = True
        elif value.lower() == b"psync2":
            replica.knows_psync2 = True
    elif name == b"rdb-only":
        if not is_int64(value):
            raise CommandError(NOT_INTEGER)
        if not 0 <= to_int64(value) <= 1:
            raise CommandError(b"ERR value is out of range, value must between 0 and 1")
        primary.replica_of(client).rdb_only = to_int64(value) == 1
    elif name == b"rdb-filter-only":
        primary.replica_of(client).filter = parse_filter(value)
    elif name == b"version":
        parts = value.split(b".")
        primary.replica_of(client).says_valkey = True
        if client.limits.compat < 80:  # as Redis answers; a replica does not mind
            raise CommandError(b"ERR Unrecognized REPLCONF option: " + name)
        if len(parts) != 3 or not all([part.isdigit() for part in parts]):
            raise CommandError(b"ERR Unrecognized version format: " + value)
    else:
        raise CommandError(b"ERR Unrecognized REPLCONF option: " + name)


def parse_filter(value: bytes) -> i64:
    """What is left out where only the named parts are wanted."""
    left_out: i64 = WITHOUT_DATA | WITHOUT_FUNCTIONS
    for word in value.split():
        if word.lower() != b"functions":
            raise CommandError(b"ERR Unsupported rdb-filter-only option: " + word)
        left_out &= ~WITHOUT_FUNCTIONS
    return left_out


def role(client: Client, argv: list[bytes]) -> None:
    """ROLE"""
    reply = client.reply
    door = client.engine.replication
    link = door.link if isinstance(door, Primary) else None
    if link is not None and link.state != NO_PRIMARY:
        reply.array(5)
        reply.bulk(b"slave")
        reply.bulk(link.host)
        reply.integer(link.port)
        reply.bulk(STATE_NAMES[link.state])
        reply.integer(door.offset() if link.state == CONNECTED else -1)
        return
    online = [r for r in door.attached() if r.state == ONLINE] if isinstance(door, Primary) else []
    reply.array(3)
    reply.bulk(b"master")
    reply.integer(door.offset())
    reply.array(len(online))
    for replica in online:
        reply.bulk_array([replica.host(), b"%d" % replica.port, b"%d" % replica.acknowledged])


_CHANGES_ROLE: Final = "admin noscript stale no_async_loading"
_REPLICA_FLAGS: Final = "admin noscript no_async_loading no_multi"

COMMANDS: Final = (
    Command(b"psync", psync, -3, _REPLICA_FLAGS, ""),
    Command(b"sync", sync, 1, _REPLICA_FLAGS, ""),
    Command(b"replconf", replconf, -1, "admin noscript loading stale allow_busy", ""),
    Command(b"replicaof", replicaof, 3, _CHANGES_ROLE, ""),
    Command(b"slaveof", replicaof, 3, _CHANGES_ROLE, ""),
    Command(b"failover", failover, -1, "admin noscript stale", ""),
    Command(b"role", role, 1, "noscript loading stale fast", "admin dangerous"),
)
