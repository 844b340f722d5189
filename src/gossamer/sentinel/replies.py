"""Replies that several commands share: an instance as SENTINEL MASTER shows it, the help text.

Owns the fields, their order and when each is there.
"""

from __future__ import annotations

from typing import Final

from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel.core import SAVE_FAILED, SentinelCore
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FORCE_FAILOVER,
    OBJECTIVELY_DOWN,
    PRIMARY,
    PRIMARY_DOWN,
    PRIMARY_REBOOT,
    PROMOTED,
    RECONF_DONE,
    RECONF_IN_PROGRESS,
    RECONF_SENT,
    REPLICA,
    SCRIPT_KILL_SENT,
    SENTINEL,
    SUBJECTIVELY_DOWN,
    Instance,
)

NO_SUCH_PRIMARY: Final = b"ERR No such master with that name"

FLAG_NAMES: Final = (
    (SUBJECTIVELY_DOWN, b"s_down"), (OBJECTIVELY_DOWN, b"o_down"), (PRIMARY, b"master"), (REPLICA, b"slave"),
    (SENTINEL, b"sentinel"), (0, b"disconnected"), (PRIMARY_DOWN, b"master_down"),
    (FAILOVER_IN_PROGRESS, b"failover_in_progress"), (PROMOTED, b"promoted"), (RECONF_SENT, b"reconf_sent"),
    (RECONF_IN_PROGRESS, b"reconf_inprog"), (RECONF_DONE, b"reconf_done"), (FORCE_FAILOVER, b"force_failover"),
    (SCRIPT_KILL_SENT, b"script_kill_sent"), (PRIMARY_REBOOT, b"master_reboot"),
)  # fmt: skip

FAILOVER_STATE_NAMES: Final = (
    b"none", b"wait_start", b"select_slave", b"send_slaveof_noone", b"wait_promotion", b"reconf_slaves",
    b"update_config",
)  # fmt: skip

Field = tuple[bytes, bytes]


def named_primary(core: SentinelCore, name: bytes, reply: ReplyWriter) -> Instance | None:
    """The primary of that name; where there is none the client is told."""
    primary = core.state.primaries.get(name)
    if primary is None:
        reply.error(NO_SUCH_PRIMARY)
    return primary


def save_and_reply(core: SentinelCore, reply: ReplyWriter) -> None:
    if core.save():
        reply.ok()
    else:
        reply.error(SAVE_FAILED)


def flags_text(instance: Instance) -> bytes:
    names = []
    for bit, name in FLAG_NAMES:
        if instance.flags & bit or (bit == 0 and instance.link.disconnected):
            names.append(name)
    return b",".join(names)


def fields_of(core: SentinelCore, instance: Instance) -> list[Field]:
    """Everything that is shown of an instance."""
    link = instance.link

    def age(since_ms: int) -> bytes:
        return b"%d" % (core.now_ms - since_ms)

    fields: list[Field] = [
        (b"name", instance.name),
        (b"ip", core.state.announced(instance.address)),
        (b"port", b"%d" % instance.address.port),
        (b"runid", instance.run_id),
        (b"flags", flags_text(instance)),
        (b"link-pending-commands", b"%d" % link.pending_commands),
        (b"link-refcount", b"%d" % len(link.users)),
    ]
    if instance.flags & FAILOVER_IN_PROGRESS:
        fields.append((b"failover-state", FAILOVER_STATE_NAMES[instance.failover_state]))
    fields += [
        (b"last-ping-sent", age(link.oldest_ping_ms) if link.oldest_ping_ms else b"0"),
        (b"last-ok-ping-reply", age(link.last_available_ms)),
        (b"last-ping-reply", age(link.last_pong_ms)),
    ]
    if instance.flags & SUBJECTIVELY_DOWN:
        fields.append((b"s-down-time", age(instance.subjectively_down_since_ms)))
    if instance.flags & OBJECTIVELY_DOWN:
        fields.append((b"o-down-time", age(instance.objectively_down_since_ms)))
    fields.append((b"down-after-milliseconds", b"%d" % instance.down_after_ms))
    if instance.flags & SENTINEL:
        return fields + sentinel_fields(core, instance)
    fields += [
        (b"info-refresh", age(instance.info_refreshed_ms) if instance.info_refreshed_ms else b"0"),
        (b"role-reported", instance.role_reported),
        (b"role-reported-time", age(instance.role_reported_ms)),
    ]
    return fields + (primary_fields(instance) if instance.flags & PRIMARY else replica_fields(instance))


def primary_fields(primary: Instance) -> list[Field]:
    fields = [
        (b"config-epoch", b"%d" % primary.config_epoch),
        (b"num-slaves", b"%d" % len(primary.replicas)),
        (b"num-other-sentinels", b"%d" % len(primary.sentinels)),
        (b"quorum", b"%d" % primary.quorum),
        (b"failover-timeout", b"%d" % primary.failover_timeout_ms),
        (b"parallel-syncs", b"%d" % primary.parallel_syncs),
    ]
    if primary.notification_script:
        fields.append((b"notification-script", primary.notification_script))
    if primary.client_reconfig_script:
        fields.append((b"client-reconfig-script", primary.client_reconfig_script))
    return fields


def replica_fields(replica: Instance) -> list[Field]:
    return [
        (b"master-link-down-time", b"%d" % replica.primary_link_down_ms),
        (b"master-link-status", b"ok" if replica.replica_primary_link_up else b"err"),
        (b"master-host", replica.replica_primary_host or b"?"),
        (b"master-port", b"%d" % replica.replica_primary_port),
        (b"slave-priority", b"%d" % replica.replica_priority),
        (b"slave-repl-offset", b"%d" % replica.replica_offset),
        (b"replica-announced", b"%d" % replica.replica_announced),
    ]


def sentinel_fields(core: SentinelCore, sentinel: Instance) -> list[Field]:
    return [
        (b"last-hello-message", b"%d" % (core.now_ms - sentinel.last_hello_ms)),
        (b"voted-leader", sentinel.leader or b"?"),
        (b"voted-leader-epoch", b"%d" % sentinel.leader_epoch),
    ]


HELP: Final = (
    b"SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CKQUORUM <master-name>",
    b"    Whether enough Sentinels are reachable to agree on a failover and to authorize one.",
    b"CONFIG SET <param> <value>",
    b"    Change a setting of this Sentinel.",
    b"CONFIG GET <param>",
    b"    The settings of this Sentinel whose names match.",
    b"DEBUG [<param> <value> ...]",
    b"    The periods and limits in milliseconds, or change some of them.",
    b"GET-MASTER-ADDR-BY-NAME <master-name>",
    b"    Where the primary of that name is now.",
    b"FAILOVER <master-name>",
    b"    Promote a replica although the primary works, without asking the other Sentinels.",
    b"FLUSHCONFIG",
    b"    Write the configuration file now, with everything that was learned.",
    b"INFO-CACHE <master-name>",
    b"    The last INFO of the primary and of its replicas.",
    b"IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    b"    Whether this Sentinel holds the primary for down; a run id asks for its vote.",
    b"MASTER <master-name>",
    b"    Everything about one watched primary.",
    b"MASTERS",
    b"    Everything about all watched primaries.",
    b"MONITOR <name> <ip> <port> <quorum>",
    b"    Watch a primary.",
    b"MYID",
    b"    The id of this Sentinel.",
    b"PENDING-SCRIPTS",
    b"    The scripts that run or wait.",
    b"REMOVE <master-name>",
    b"    Watch a primary no longer.",
    b"REPLICAS <master-name>",
    b"    Everything about the replicas of a primary.",
    b"RESET <pattern>",
    b"    Forget what was learned about the primaries whose names match.",
    b"SENTINELS <master-name>",
    b"    Everything about the other Sentinels of a primary.",
    b"SET <master-name> <option> <value> [<option> <value> ...]",
    b"    Change how a primary is watched.",
    b"SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
    b"    End this process at a bad moment of the next failover.",
    b"HELP",
    b"    This text.",
)
