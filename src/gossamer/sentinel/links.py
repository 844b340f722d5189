"""The connections to an instance: made, authenticated, used, given up.

Owns when an attempt is made and what is said first on a connection. Must not know what replies mean.

Invariants: a link is not `disconnected` exactly while every connection that it needs was opened and none is known to
be lost; `pending_commands` counts what was sent on the present commands connection and not answered.
"""

from __future__ import annotations

from typing import Final

from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_DEBUG
from gossamer.sentinel.instances import (
    COMMANDS,
    HELLO_CHANNEL,
    MESSAGES,
    REQUEST_IGNORED,
    REQUEST_PING,
    SENTINEL,
    Connection,
    Instance,
    Link,
    Request,
)

_PURPOSES: Final = (b"cmd", b"pubsub")


def mapped(instance: Instance, command: bytes) -> bytes:
    """The name under which a server knows a command (rename-command); other Sentinels rename nothing."""
    if instance.flags & SENTINEL:
        return command
    renamed = (instance.primary or instance).renamed_commands
    return renamed.get(command, command) if renamed else command


def send(core: SentinelCore, instance: Instance, argv: list[bytes], kind: int) -> bool:
    """Send a command over the commands connection; whether it went."""
    link = instance.link
    connection = link.commands
    if connection is None or not core.door.send(connection, argv, Request(kind, instance)):
        return False
    link.pending_commands += 1
    return True


def send_ping(core: SentinelCore, instance: Instance) -> bool:
    if not send(core, instance, [mapped(instance, b"PING")], REQUEST_PING):
        return False
    link = instance.link
    link.last_ping_ms = core.now_ms
    if link.oldest_ping_ms == 0:
        link.oldest_ping_ms = core.now_ms
    return True


def reconnect(core: SentinelCore, instance: Instance) -> None:
    """Open what is missing, at most once in a ping period."""
    link = instance.link
    if not link.disconnected or instance.address.port == 0:
        return
    now = core.now_ms
    if 0 <= now - link.last_reconnect_ms < core.state.timings.ping_period:
        return
    link.last_reconnect_ms = now
    refresh_address(core, instance)
    if link.commands is None:
        open_commands(core, instance)
    if not instance.flags & SENTINEL and link.messages is None:
        open_messages(core, instance)
    if link.commands is not None and (instance.flags & SENTINEL or link.messages is not None):
        link.disconnected = False


def refresh_address(core: SentinelCore, instance: Instance) -> None:
    """A name may have moved since it was resolved."""
    address = instance.address
    if core.state.resolve_hostnames and address.hostname != address.ip:
        ip = core.door.resolve(address.hostname, True)
        if ip is not None:
            address.ip = ip


def open_connection(core: SentinelCore, instance: Instance, purpose: int) -> Connection | None:
    connection = Connection(instance.link, instance, purpose, core.now_ms)
    try:
        core.door.open(connection)
    except OSError as error:
        text = (error.strerror or str(error)).encode()
        core.event(LOG_DEBUG, b"-%s-link-reconnection" % _PURPOSES[purpose], instance, b" #" + text)
        return None
    return connection


def open_commands(core: SentinelCore, instance: Instance) -> None:
    connection = open_connection(core, instance, COMMANDS)
    if connection is None:
        return
    link = instance.link
    link.commands = connection
    link.pending_commands = 0
    for argv in greeting(core, instance, COMMANDS):
        send(core, instance, argv, REQUEST_IGNORED)
    send_ping(core, instance)


def open_messages(core: SentinelCore, instance: Instance) -> None:
    connection = open_connection(core, instance, MESSAGES)
    if connection is None:
        return
    link = instance.link
    link.messages = connection
    link.last_message_ms = core.now_ms
    argvs = greeting(core, instance, MESSAGES)
    argvs.append([mapped(instance, b"SUBSCRIBE"), HELLO_CHANNEL])
    connection.greetings = len(argvs)
    for argv in argvs:
        if not core.door.send(connection, argv, Request(REQUEST_IGNORED, instance)):
            close(core, connection)
            return


def greeting(core: SentinelCore, instance: Instance, purpose: int) -> list[list[bytes]]:
    """AUTH where there is a password, and the name of the connection."""
    state = core.state
    if instance.flags & SENTINEL:
        user, password = state.sentinel_user, state.sentinel_password
    else:
        primary = instance.primary or instance
        user, password = primary.auth_user, primary.auth_password
    argvs: list[list[bytes]] = []
    if password:
        argvs.append(
            [mapped(instance, b"AUTH"), user, password] if user else [mapped(instance, b"AUTH"), password]
        )
    name = b"sentinel-%s-%s" % (state.my_id[:8], _PURPOSES[purpose])
    argvs.append([mapped(instance, b"CLIENT"), b"SETNAME", name])
    return argvs


def forget(connection: Connection) -> bool:
    """The connection is no more; False if it was none of its link's."""
    link = connection.link
    if link.commands is connection:
        link.commands = None
        link.pending_commands = 0
    elif link.messages is connection:
        link.messages = None
    else:
        return False
    link.disconnected = True
    return True


def close(core: SentinelCore, connection: Connection | None) -> None:
    if connection is not None and forget(connection):
        core.door.close(connection)


def close_link(core: SentinelCore, link: Link) -> None:
    close(core, link.commands)
    close(core, link.messages)


def release(core: SentinelCore, instance: Instance) -> None:
    """An instance is no longer watched; its link goes with the last that shares it."""
    instance.removed = True
    link = instance.link
    if instance in link.users:
        link.users.remove(instance)
    if not link.users:
        close_link(core, link)
    for other in [*instance.replicas.values(), *instance.sentinels.values()]:
        release(core, other)
