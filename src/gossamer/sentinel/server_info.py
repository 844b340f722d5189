"""What INFO tells of a watched server, read into its Instance, and what follows at once: replicas found, a reboot.

Owns the reading. What a role means, and what is done about it, is roles.py's.

    role:master                                   role:slave
    slave0:ip=10.0.0.2,port=6379,state=online,..  master_host:10.0.0.1    master_port:6379
    run_id:<40 hexadecimal digits>                master_link_status:up   slave_repl_offset:1234 ...
"""

from __future__ import annotations

from typing import Final

from gossamer.base.numbers import leading_integer
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE, LOG_VERBOSE
from gossamer.sentinel.instances import (
    PRIMARY,
    PRIMARY_REBOOT,
    ROLE_PRIMARY,
    ROLE_REPLICA,
    Instance,
    InstanceError,
    add_replica,
    resolve_address,
)

RUN_ID_BYTES: Final = 40


def refresh(core: SentinelCore, instance: Instance, info: bytes) -> bytes:
    """Take an INFO in; the role that it reports, or the one that was known if it reports none."""
    instance.info = info
    instance.primary_link_down_ms = 0
    role = b""
    for line in info.split(b"\r\n"):
        field, _, value = line.partition(b":")
        if field == b"role":
            role = value
        elif field == b"run_id":
            take_run_id(core, instance, value)
        elif field == b"master_link_down_since_seconds":
            instance.primary_link_down_ms = leading_integer(value) * 1000
        elif role == ROLE_REPLICA:
            take_replica_field(core, instance, field, value)
        elif field[:5] == b"slave" and field[5:].isdigit() and instance.flags & PRIMARY:
            take_replica_of_primary(core, instance, value)
    instance.info_refreshed_ms = core.now_ms
    if role not in (ROLE_PRIMARY, ROLE_REPLICA):
        return instance.role_reported
    note_role(core, instance, role)
    return role


def note_role(core: SentinelCore, instance: Instance, role: bytes) -> None:
    if role == instance.role_reported:
        return
    instance.role_reported = role
    instance.role_reported_ms = core.now_ms
    if role == ROLE_REPLICA:
        instance.replica_configuration_changed_ms = core.now_ms
    expected = bool(instance.flags & PRIMARY) == (role == ROLE_PRIMARY)
    kind = b"+role-change" if expected else b"-role-change"
    core.event(LOG_VERBOSE, kind, instance, b" new reported role is " + role)


def take_run_id(core: SentinelCore, instance: Instance, run_id: bytes) -> None:
    run_id = run_id[:RUN_ID_BYTES]
    if len(run_id) < RUN_ID_BYTES or run_id == instance.run_id:
        return
    if instance.run_id:
        core.event(LOG_NOTICE, b"+reboot", instance)
        if instance.flags & PRIMARY and instance.primary_reboot_down_after_ms:
            instance.flags |= PRIMARY_REBOOT
            instance.primary_reboot_since_ms = core.now_ms
    instance.run_id = run_id


def take_replica_field(core: SentinelCore, instance: Instance, field: bytes, value: bytes) -> None:
    """A line below role:slave."""
    if field == b"master_host":
        if value.lower() != instance.replica_primary_host.lower():
            instance.replica_primary_host = value
            instance.replica_configuration_changed_ms = core.now_ms
    elif field == b"master_port":
        port = leading_integer(value)
        if port != instance.replica_primary_port:
            instance.replica_primary_port = port
            instance.replica_configuration_changed_ms = core.now_ms
    elif field == b"master_link_status":
        instance.replica_primary_link_up = value.lower() == b"up"
    elif field == b"slave_priority":
        instance.replica_priority = leading_integer(value)
    elif field == b"slave_repl_offset":
        instance.replica_offset = leading_integer(value)
    elif field == b"replica_announced":
        instance.replica_announced = leading_integer(value) != 0


def take_replica_of_primary(core: SentinelCore, primary: Instance, value: bytes) -> None:
    """slave0:ip=..,port=.., or as servers before 2.8 wrote it: slave0:<ip>,<port>,<state>."""
    parts = value.split(b",")
    named = dict(part.split(b"=", 1) for part in parts if b"=" in part)
    if b"ip" in named and b"port" in named:
        host, port = named[b"ip"], leading_integer(named[b"port"])
    elif not named and len(parts) >= 2:
        host, port = parts[0], leading_integer(parts[1])
    else:
        return
    if not host or not 0 < port <= 65535 or is_known(primary, host, port):
        return
    try:
        address = resolve_address(core.state, core.door, host, port, True)
        if any(each.address.same_as(address) for each in primary.replicas.values()):
            return  # under another name
        replica = add_replica(core.state, core.door, primary, host, port, core.now_ms)
    except InstanceError:
        return
    core.event(LOG_NOTICE, b"+slave", replica)
    core.save()


def is_known(primary: Instance, host: bytes, port: int) -> bool:
    """Whether a replica is known by this very name."""
    return any(
        each.address.port == port and host in (each.address.ip, each.address.hostname)
        for each in primary.replicas.values()
    )
