"""SUBSCRIBE and its kin, PUBLISH, SPUBLISH, PUBSUB."""

from collections.abc import Callable
from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.commands.table import Command, KeySpec
from gossamer.engine.client import GATE_SUBSCRIBED, Client
from gossamer.resp.errors import not_subscribed, wrong_shape


def confirm(client: Client, kind: bytes, name: bytes | None, count: i64) -> None:
    """The message that confirms one subscription or its end."""
    reply = client.reply
    mark: i64 = len(reply.out)
    reply.push(3)
    reply.bulk(kind)
    reply.bulk_or_null(name)
    reply.integer(count)
    client.spare_push(mark, False)


def check_subscribed(client: Client, name: bytes) -> None:
    """Valkey 8 refuses to unsubscribe a client that subscribes to nothing."""
    if client.limits.compat >= 80 and not client.gate & GATE_SUBSCRIBED:
        raise CommandError(not_subscribed(name))


def subscribe(client: Client, argv: list[bytes]) -> None:
    for channel in argv[1:]:
        client.engine.pubsub.subscribe(client, channel)
        confirm(client, b"subscribe", channel, client.subscription_count())


def psubscribe(client: Client, argv: list[bytes]) -> None:
    for pattern in argv[1:]:
        client.engine.pubsub.subscribe_pattern(client, pattern)
        confirm(client, b"psubscribe", pattern, client.subscription_count())


def ssubscribe(client: Client, argv: list[bytes]) -> None:
    for channel in argv[1:]:
        client.engine.pubsub.subscribe_shard(client, channel)
        confirm(client, b"ssubscribe", channel, i64(len(client.shard_channels)))


def unsubscribe(client: Client, argv: list[bytes]) -> None:
    give_up(client, b"unsubscribe", argv, client.channels, client.engine.pubsub.unsubscribe)


def punsubscribe(client: Client, argv: list[bytes]) -> None:
    give_up(client, b"punsubscribe", argv, client.patterns, client.engine.pubsub.unsubscribe_pattern)


def sunsubscribe(client: Client, argv: list[bytes]) -> None:
    give_up(client, b"sunsubscribe", argv, client.shard_channels, client.engine.pubsub.unsubscribe_shard)


def give_up(
    client: Client,
    kind: bytes,
    argv: list[bytes],
    held: dict[bytes, None],
    end: Callable[[Client, bytes], object],
) -> None:
    """End the subscriptions that argv names, or all of a kind; each is confirmed, and so is that there were none."""
    check_subscribed(client, kind)
    is_shard = kind == b"sunsubscribe"
    names = argv[1:] if len(argv) > 1 else list(held)
    for name in names:
        end(client, name)
        confirm(client, kind, name, i64(len(held)) if is_shard else client.subscription_count())
    if not names:
        confirm(client, kind, None, 0 if is_shard else client.subscription_count())


def publish(client: Client, argv: list[bytes]) -> None:
    receivers = client.engine.pubsub.publish(argv[1], argv[2])
    client.engine.add_message(client.db.index, argv)
    client.reply.integer(receivers)


def spublish(client: Client, argv: list[bytes]) -> None:
    receivers = client.engine.pubsub.publish_shard(argv[1], argv[2])
    client.engine.add_message(client.db.index, argv)
    client.reply.integer(receivers)


def matching(names: list[bytes], argv: list[bytes]) -> list[bytes]:
    """The names that the optional pattern in argv[2] matches."""
    if len(argv) == 2:
        return names
    if len(argv) > 3:
        raise CommandError(wrong_shape(argv[1], b"PUBSUB"))
    return [name for name in names if match(argv[2], name, False)]


def pubsub_channels(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk_array(matching(list(client.engine.pubsub.channels), argv))


def pubsub_shardchannels(client: Client, argv: list[bytes]) -> None:
    client.reply.bulk_array(matching(list(client.engine.pubsub.shard_channels), argv))


def write_subscriber_counts(
    client: Client, table: dict[bytes, dict[Client, None]], names: list[bytes]
) -> None:
    client.reply.array(2 * i64(len(names)))
    for name in names:
        subscribers = table.get(name)
        client.reply.bulk(name)
        client.reply.integer(0 if subscribers is None else i64(len(subscribers)))


def pubsub_numsub(client: Client, argv: list[bytes]) -> None:
    write_subscriber_counts(client, client.engine.pubsub.channels, argv[2:])


def pubsub_shardnumsub(client: Client, argv: list[bytes]) -> None:
    write_subscriber_counts(client, client.engine.pubsub.shard_channels, argv[2:])


def pubsub_numpat(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(i64(len(client.engine.pubsub.patterns)))


PUBSUB_HELP: Final = (
    b"PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CHANNELS [<pattern>]",
    b"    Which channels have subscribers; all, or those that match.",
    b"NUMPAT",
    b"    How many patterns are subscribed to.",
    b"NUMSUB [<channel> ...]",
    b"    How many clients listen to each channel, patterns aside.",
    b"SHARDCHANNELS [<pattern>]",
    b"    Which shard channels have subscribers.",
    b"SHARDNUMSUB [<shardchannel> ...]",
    b"    How many clients listen to each shard channel.",
    b"HELP",
    b"    This text.",
)


def pubsub_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(PUBSUB_HELP)


_SUBSCRIBE: Final = "pubsub noscript loading stale"
_SHARD_CHANNELS: Final = (KeySpec("not_key", index=1, last=-1),)
_SUB: Final = "pubsub loading stale"

COMMANDS: Final = (
    Command(b"subscribe", subscribe, -2, _SUBSCRIBE, ""),
    Command(b"unsubscribe", unsubscribe, -1, _SUBSCRIBE, ""),
    Command(b"psubscribe", psubscribe, -2, _SUBSCRIBE, ""),
    Command(b"punsubscribe", punsubscribe, -1, _SUBSCRIBE, ""),
    Command(b"ssubscribe", ssubscribe, -2, _SUBSCRIBE, "", _SHARD_CHANNELS),
    Command(b"sunsubscribe", sunsubscribe, -1, _SUBSCRIBE, "", _SHARD_CHANNELS),
    Command(b"publish", publish, 3, "pubsub loading stale fast may_replicate", ""),
    Command(b"spublish", spublish, 3, "pubsub loading stale fast may_replicate", "", (KeySpec("not_key", index=1),)),
    Command(
        b"pubsub", None, -2, "", "slow",
        subcommands=(
            Command(b"channels", pubsub_channels, -2, _SUB, ""),
            Command(b"numsub", pubsub_numsub, -2, _SUB, ""),
            Command(b"numpat", pubsub_numpat, 2, _SUB, ""),
            Command(b"shardchannels", pubsub_shardchannels, -2, _SUB, ""),
            Command(b"shardnumsub", pubsub_shardnumsub, -2, _SUB, ""),
            Command(b"help", pubsub_help, 2, "loading stale", ""),
        ),
    ),
)  # fmt: skip
