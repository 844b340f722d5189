"""What is forgotten about a primary, and what is kept: RESET, and the switch to another address.

Invariant: `leader_epoch`, `config_epoch` and the directives outlive everything here, so no vote is ever given twice.
"""

from __future__ import annotations

from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE, LOG_WARNING
from gossamer.sentinel.instances import (
    FAILOVER_NONE,
    PRIMARY,
    PRIMARY_DOWN,
    ROLE_PRIMARY,
    Address,
    Instance,
    InstanceError,
    add_replica,
)
from gossamer.sentinel.links import close_link, release


def reset_primary(core: SentinelCore, primary: Instance, with_sentinels: bool, tell: bool) -> None:
    """Forget the replicas, a failover, what INFO told, and on request the other Sentinels."""
    now = core.now_ms
    for replica in primary.replicas.values():
        release(core, replica)
    primary.replicas = {}
    if with_sentinels:
        for sentinel in primary.sentinels.values():
            release(core, sentinel)
        primary.sentinels = {}
    for (
        sentinel
    ) in primary.sentinels.values():  # what they said was about another server, or before the reset
        sentinel.flags &= ~PRIMARY_DOWN
        sentinel.leader = b""
    close_link(core, primary.link)
    primary.flags &= PRIMARY
    primary.leader = b""
    primary.failover_state = FAILOVER_NONE
    primary.failover_state_changed_ms = 0
    primary.failover_start_ms = 0
    primary.promoted_replica = None
    primary.run_id = b""
    primary.info_refreshed_ms = 0
    primary.replica_primary_host = b""
    primary.link.oldest_ping_ms = now
    primary.link.last_ping_ms = 0
    primary.link.last_available_ms = now
    primary.link.last_pong_ms = now
    primary.role_reported_ms = now
    primary.role_reported = ROLE_PRIMARY
    if tell:
        core.event(LOG_WARNING, b"+reset-master", primary)


def change_address(core: SentinelCore, primary: Instance, address: Address) -> None:
    """The primary is now another server: the old one counts as its replica, the known replicas stay known."""
    old = primary.address
    kept = [
        Address(replica.address.hostname, replica.address.ip, replica.address.port)
        for replica in primary.replicas.values()
        if not replica.address.same_as(address)
    ]
    if not old.same_as(address):
        kept.append(old)
    reset_primary(core, primary, False, False)
    primary.address = Address(address.hostname, address.ip, address.port)
    primary.objectively_down_since_ms = 0
    primary.subjectively_down_since_ms = 0
    for known in kept:
        try:
            replica = add_replica(core.state, core.door, primary, known.hostname, known.port, core.now_ms)
        except InstanceError:
            continue
        core.event(LOG_NOTICE, b"+slave", replica)
    core.save()


def drop_connections(core: SentinelCore, primary: Instance) -> None:
    """Have the primary and its replicas greeted anew: what they are greeted with has changed."""
    for instance in [primary, *primary.replicas.values()]:
        close_link(core, instance.link)
