"""WAIT and WAITAOF: when is what I wrote safe?"""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.commands.table import Command
from gossamer.commands.timeouts import parse_integer_timeout_ms
from gossamer.engine.acknowledgements import NO_APPEND_ONLY_FILE
from gossamer.engine.client import Client
from gossamer.resp.errors import NOT_INTEGER

MUST_BE_POSITIVE: Final = b"ERR value is out of range, must be positive"


WAIT_ON_REPLICA: Final = (
    b"ERR WAIT cannot be used with replica instances. Please also note that since Redis 4.0 if a replica is configured "
    b"to be writable (which is not the default) writes to replicas are just local and are not propagated."
)
WAITAOF_ON_REPLICA: Final = (
    b"ERR WAITAOF cannot be used with replica instances. Please also note that writes to replicas are just local and "
    b"are not propagated."
)


def wait(client: Client, argv: list[bytes]) -> None:
    if client.engine.is_replica:
        raise CommandError(WAIT_ON_REPLICA)
    if not is_int64(argv[1]):
        raise CommandError(NOT_INTEGER)
    timeout_ms: i64 = parse_integer_timeout_ms(argv[2], client.limits.compat, client.state.now_ms)
    acknowledgements = client.engine.acknowledgements
    if acknowledgements.replicas(client) >= to_int64(argv[1]) or client.deny_blocking:
        client.reply.integer(acknowledgements.replicas(client))
    else:
        client.block([], timeout_ms)
        acknowledgements.begin_waiting(client)


def waitaof(client: Client, argv: list[bytes]) -> None:
    if not is_int64(argv[1]):
        raise CommandError(NOT_INTEGER)
    local: i64 = to_int64(argv[1])
    if not 0 <= local <= 1:
        raise CommandError(b"ERR value is out of range, value must between 0 and 1")
    if not is_int64(argv[2]) or to_int64(argv[2]) < 0:
        raise CommandError(MUST_BE_POSITIVE)
    replicas: i64 = to_int64(argv[2])
    if client.engine.is_replica:
        raise CommandError(WAITAOF_ON_REPLICA)
    timeout_ms: i64 = parse_integer_timeout_ms(argv[3], client.limits.compat, client.state.now_ms)
    acknowledgements = client.engine.acknowledgements
    if local > 0 and not acknowledgements.door.is_on():
        raise CommandError(NO_APPEND_ONLY_FILE)
    met: bool = (
        acknowledgements.local(client) >= local and acknowledgements.durable_replicas(client) >= replicas
    )
    if met or client.deny_blocking:
        client.reply.array(2)
        client.reply.integer(acknowledgements.local(client))
        client.reply.integer(acknowledgements.durable_replicas(client))
    else:
        client.block([], timeout_ms)
        acknowledgements.begin_waiting(client)


_SHARDS: Final = (b"request_policy:all_shards", b"response_policy:agg_min")

COMMANDS: Final = (
    Command(b"wait", wait, 3, "noscript", "connection", tips=_SHARDS, max_compat=70),
    Command(b"wait", wait, 3, "blocking", "connection", tips=_SHARDS, min_compat=72),
    Command(b"waitaof", waitaof, 4, "blocking", "connection", tips=_SHARDS, min_compat=72),
)
