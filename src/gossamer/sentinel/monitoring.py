"""Watching: what is sent to every instance when, what its answers to PING say, and when it counts as down.

Owns the periods, restarts of links that have gone quiet, and "subjectively down". Must not know about votes.
"""

from __future__ import annotations

from gossamer.resp.reply_reader import ErrorReply
from gossamer.sentinel import hello
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_WARNING, Reply
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    MAX_PENDING_COMMANDS,
    OBJECTIVELY_DOWN,
    PRIMARY,
    PRIMARY_REBOOT,
    REPLICA,
    REQUEST_IGNORED,
    REQUEST_INFO,
    ROLE_REPLICA,
    SCRIPT_KILL_SENT,
    SENTINEL,
    SUBJECTIVELY_DOWN,
    Instance,
)
from gossamer.sentinel.links import close, mapped, send, send_ping

FAST_INFO_PERIOD_MS = 1000


def info_period_ms(core: SentinelCore, instance: Instance) -> int:
    """Replicas are asked often while their primary fails: each might be promoted, or follow the wrong one.

    That begins with the first suspicion, so that what decides about a promotion is known when it comes to that.
    """
    primary = instance.primary
    if primary is not None and instance.flags & REPLICA:
        if (
            primary.flags & (SUBJECTIVELY_DOWN | OBJECTIVELY_DOWN | FAILOVER_IN_PROGRESS)
            or instance.primary_link_down_ms != 0
        ):
            return FAST_INFO_PERIOD_MS
    return core.state.timings.info_period


def send_periodic(core: SentinelCore, instance: Instance) -> None:
    link = instance.link
    if link.disconnected or link.pending_commands >= MAX_PENDING_COMMANDS * len(link.users):
        return
    now = core.now_ms
    timings = core.state.timings
    # A time that lies ahead is from before the clock was put back: what it says is due.
    if not instance.flags & SENTINEL and (
        abs(now - instance.info_refreshed_ms) > info_period_ms(core, instance)
    ):
        send(core, instance, [mapped(instance, b"INFO")], REQUEST_INFO)
    ping_period = min(instance.down_after_ms, timings.ping_period)
    if abs(now - link.last_pong_ms) > ping_period and abs(now - link.last_ping_ms) > ping_period // 2:
        send_ping(core, instance)
    if abs(now - instance.last_publish_ms) > timings.publish_period:
        hello.send_hello(core, instance)


def on_ping_reply(core: SentinelCore, instance: Instance, reply: Reply) -> None:
    link = instance.link
    text = reply.message if isinstance(reply, ErrorReply) else reply
    if not isinstance(text, bytes):
        return
    if text == b"PONG" or text.startswith((b"LOADING", b"MASTERDOWN")):
        link.last_available_ms = core.now_ms
        link.oldest_ping_ms = 0
        if text == b"PONG":
            instance.flags &= ~PRIMARY_REBOOT
    elif (
        text.startswith(b"BUSY")
        and instance.flags & SUBJECTIVELY_DOWN
        and not instance.flags & SCRIPT_KILL_SENT
        and send(core, instance, [mapped(instance, b"SCRIPT"), b"KILL"], REQUEST_IGNORED)
    ):
        instance.flags |= SCRIPT_KILL_SENT
    link.last_pong_ms = core.now_ms


def restart_quiet_links(core: SentinelCore, instance: Instance) -> None:
    """A connection may be dead without anybody having said so: try another before the instance counts as down."""
    link = instance.link
    now = core.now_ms
    timings = core.state.timings
    commands = link.commands
    if (
        commands is not None
        and now - commands.opened_ms > timings.min_link_reconnect_period
        and link.oldest_ping_ms != 0
        and now - link.oldest_ping_ms > instance.down_after_ms // 2
        and now - link.last_pong_ms > instance.down_after_ms // 2
    ):
        close(core, commands)
    messages = link.messages
    if (
        messages is not None
        and now - messages.opened_ms > timings.min_link_reconnect_period
        and now - link.last_message_ms > timings.publish_period * 3
    ):
        close(core, messages)


def silent_ms(core: SentinelCore, instance: Instance) -> int:
    """For how long it has owed an answer."""
    link = instance.link
    if link.oldest_ping_ms:
        return core.now_ms - link.oldest_ping_ms
    return core.now_ms - link.last_available_ms if link.disconnected else 0


def looks_down(core: SentinelCore, instance: Instance) -> bool:
    now = core.now_ms
    if silent_ms(core, instance) > instance.down_after_ms:
        return True
    flags = instance.flags
    if not flags & PRIMARY:
        return False
    if (
        instance.role_reported == ROLE_REPLICA
        and now - instance.role_reported_ms > instance.down_after_ms + core.state.timings.info_period * 2
    ):
        return True
    return (
        bool(flags & PRIMARY_REBOOT)
        and now - instance.primary_reboot_since_ms > instance.primary_reboot_down_after_ms
    )


def check_subjectively_down(core: SentinelCore, instance: Instance) -> None:
    restart_quiet_links(core, instance)
    if looks_down(core, instance):
        if not instance.flags & SUBJECTIVELY_DOWN:
            core.event(LOG_WARNING, b"+sdown", instance)
            instance.subjectively_down_since_ms = core.now_ms
            instance.flags |= SUBJECTIVELY_DOWN
    elif instance.flags & SUBJECTIVELY_DOWN:
        core.event(LOG_WARNING, b"-sdown", instance)
        instance.flags &= ~(SUBJECTIVELY_DOWN | SCRIPT_KILL_SENT)
