"""What the role that a server reports leads to: a promotion that has happened, a replica that must be put right.

Owns the orders that are given to servers (REPLICAOF in a transaction) and when one is given outside a failover.

Invariants: during a failover of this Sentinel the failover alone gives orders (redis-sentinel turns replicas to the old
primary then, should that come back). Outside one an order is given only while the primary looks sane from here, and
after a wait that is longer than the newest configuration takes to get around: who has an old one must not undo it.
"""

from __future__ import annotations

from typing import Final

from gossamer.sentinel import hello
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE, LOG_WARNING
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FAILOVER_RECONF_SLAVES,
    FAILOVER_WAIT_PROMOTION,
    OBJECTIVELY_DOWN,
    PROMOTED,
    RECONF_DONE,
    RECONF_IN_PROGRESS,
    RECONF_SENT,
    REPLICA,
    REQUEST_IGNORED,
    ROLE_PRIMARY,
    ROLE_REPLICA,
    SUBJECTIVELY_DOWN,
    Address,
    Instance,
)
from gossamer.sentinel.links import mapped, send

CRASH_TEXT: Final = b"Sentinel CRASH because of SENTINEL simulate-failure"


def order_replication(core: SentinelCore, instance: Instance, address: Address | None) -> bool:
    """Make a server a replica of an address, or a primary (None); whether the order was sent.

    All or nothing: its role, its file, and its clients cut off, so that none goes on writing to what is no primary.
    """
    target = [core.state.announced(address), b"%d" % address.port] if address is not None else [b"NO", b"ONE"]
    client = mapped(instance, b"CLIENT")
    orders = [
        [mapped(instance, b"MULTI")],
        [mapped(instance, b"SLAVEOF"), *target],
        [mapped(instance, b"CONFIG"), b"REWRITE"],
        [client, b"KILL", b"TYPE", b"normal"],
        [client, b"KILL", b"TYPE", b"pubsub"],
        [mapped(instance, b"EXEC")],
    ]
    return all(send(core, instance, argv, REQUEST_IGNORED) for argv in orders)


def primary_looks_sane(core: SentinelCore, primary: Instance) -> bool:
    return (
        primary.role_reported == ROLE_PRIMARY
        and not primary.flags & (SUBJECTIVELY_DOWN | OBJECTIVELY_DOWN)
        and primary.info_refreshed_ms != 0
        and core.now_ms - primary.info_refreshed_ms < core.state.timings.info_period * 2
    )


def was_up_for(core: SentinelCore, instance: Instance, wait_ms: int) -> bool:
    latest = max(instance.subjectively_down_since_ms, instance.objectively_down_since_ms)
    return latest == 0 or core.now_ms - latest > wait_ms


def react(core: SentinelCore, instance: Instance, role: bytes) -> None:
    """An INFO was read. In TILT nothing is done about it."""
    primary = instance.primary
    if core.state.tilt or primary is None or not instance.flags & REPLICA:
        return  # a primary that says that it is a replica counts as down after a while (monitoring.py)
    if role == ROLE_PRIMARY:
        if is_awaited_promotion(primary, instance):
            complete_promotion(core, primary, instance)
        elif not primary.flags & FAILOVER_IN_PROGRESS:
            put_back(core, primary, instance)
    elif primary.flags & FAILOVER_IN_PROGRESS:
        follow_reconfiguration(core, primary, instance)
    else:
        put_right(core, primary, instance)


def is_awaited_promotion(primary: Instance, replica: Instance) -> bool:
    return bool(
        replica.flags & PROMOTED
        and primary.flags & FAILOVER_IN_PROGRESS
        and primary.failover_state == FAILOVER_WAIT_PROMOTION
    )


def complete_promotion(core: SentinelCore, primary: Instance, replica: Instance) -> None:
    """The chosen replica is a primary: from here on the configuration has this failover's epoch.

    It is durable before anybody is told. If it cannot be, the next INFO tries again, until the failover times out.
    """
    before = primary.config_epoch
    primary.config_epoch = primary.failover_epoch
    primary.failover_state = FAILOVER_RECONF_SLAVES  # the file names the promoted replica from this state on
    if not (core.may_save() and core.save()):
        primary.config_epoch = before
        primary.failover_state = FAILOVER_WAIT_PROMOTION
        return
    primary.failover_state_changed_ms = core.now_ms
    core.event(LOG_WARNING, b"+promoted-slave", replica)
    if core.state.crash_after_promotion:
        core.door.exit(CRASH_TEXT)
        return
    core.event(LOG_WARNING, b"+failover-state-reconf-slaves", primary)
    core.tell_reconfiguration(primary, b"leader", primary.address, replica.address)
    hello.hurry(core, primary)


def put_back(core: SentinelCore, primary: Instance, replica: Instance) -> None:
    """A replica says that it is a primary: the old one that came back, or one that somebody promoted by hand."""
    wait_ms = core.state.timings.publish_period * 4
    if (
        not replica.flags & PROMOTED
        and primary_looks_sane(core, primary)
        and was_up_for(core, replica, wait_ms)
        and core.now_ms - replica.role_reported_ms > wait_ms
        and order_replication(core, replica, primary.address)
    ):
        core.event(LOG_NOTICE, b"+convert-to-slave", replica)


def follows(core: SentinelCore, replica: Instance, other: Instance) -> bool:
    """Whether a replica says that it replicates another instance."""
    return core.is_at(other, replica.replica_primary_host, replica.replica_primary_port)


def put_right(core: SentinelCore, primary: Instance, replica: Instance) -> None:
    """A replica of somebody else."""
    if follows(core, replica, primary):
        return
    wait_ms = primary.failover_timeout_ms
    if (
        primary_looks_sane(core, primary)
        and was_up_for(core, replica, wait_ms)
        and core.now_ms - replica.replica_configuration_changed_ms > wait_ms
        and order_replication(core, replica, primary.address)
    ):
        core.event(LOG_NOTICE, b"+fix-slave-config", replica)


def follow_reconfiguration(core: SentinelCore, primary: Instance, replica: Instance) -> None:
    """A replica on its way to the promoted one: it follows it, then its link is up."""
    promoted = primary.promoted_replica
    if replica.role_reported != ROLE_REPLICA or promoted is None:
        return
    if replica.flags & RECONF_SENT and follows(core, replica, promoted):
        replica.flags = replica.flags & ~RECONF_SENT | RECONF_IN_PROGRESS
        core.event(LOG_NOTICE, b"+slave-reconf-inprog", replica)
    if replica.flags & RECONF_IN_PROGRESS and replica.replica_primary_link_up:
        replica.flags = replica.flags & ~RECONF_IN_PROGRESS | RECONF_DONE
        core.event(LOG_NOTICE, b"+slave-reconf-done", replica)
