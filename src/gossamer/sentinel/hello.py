"""Hello messages: how Sentinels find one another, and how the newest configuration reaches all of them.

    ip,port,runid,current_epoch,name,master_ip,master_port,config_epoch

Published on __sentinel__:hello of every watched server, and sent straight to other Sentinels as PUBLISH.
Owns the text and what a received one changes.

Invariants: one Sentinel, known by its run id, stands once under each primary; no two stand under one address. A
configuration is taken over only from a greater config epoch, so all end at the greatest.
"""

from __future__ import annotations

from gossamer.base.numbers import is_int64, to_int64
from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.doors import LOG_NOTICE, LOG_WARNING
from gossamer.sentinel.instances import (
    EPOCH_MAX,
    FAILOVER_IN_PROGRESS,
    HELLO_CHANNEL,
    REQUEST_PUBLISH,
    Address,
    Instance,
    InstanceError,
    add_sentinel,
    current_address,
    resolve_address,
)
from gossamer.sentinel.links import close_link, mapped, release, send
from gossamer.sentinel.resetting import change_address


class Hello:
    """A message, taken apart."""

    def __init__(self, fields: list[bytes]) -> None:
        self.ip: bytes = fields[0]
        self.port: int = number(fields[1])
        self.run_id: bytes = fields[2]
        self.current_epoch: int = number(fields[3])
        self.primary_name: bytes = fields[4]
        self.primary_host: bytes = fields[5]
        self.primary_port: int = number(fields[6])
        self.config_epoch: int = number(fields[7])


def number(text: bytes) -> int:
    """A decimal that is not negative, or -1."""
    return int(to_int64(text)) if is_int64(text) else -1


def parse(message: bytes) -> Hello | None:
    """None for what is no hello message."""
    fields = message.split(b",")
    if len(fields) != 8:
        return None
    hello = Hello(fields)
    if min(hello.port, hello.current_epoch, hello.primary_port, hello.config_epoch) < 0:
        return None
    if hello.port > 65535 or hello.primary_port > 65535 or not hello.run_id:
        return None
    if max(hello.current_epoch, hello.config_epoch) > EPOCH_MAX:
        return None
    return hello


# -- sending ----------------------------------------------------------------------------------------------


def send_hello(core: SentinelCore, instance: Instance) -> bool:
    """Publish where this Sentinel is and what it holds for true; whether it was sent."""
    connection = instance.link.commands
    if connection is None:
        return False
    state = core.state
    host = state.announce_ip or core.door.local_host(connection)
    if not host:
        return False
    primary = instance.primary or instance
    address = current_address(primary)
    message = b"%s,%d,%s,%d,%s,%s,%d,%d" % (
        host,
        state.announce_port or state.port,
        state.my_id,
        state.current_epoch,
        primary.name,
        state.announced(address),
        address.port,
        primary.config_epoch,
    )
    if not send(core, instance, [mapped(instance, b"PUBLISH"), HELLO_CHANNEL, message], REQUEST_PUBLISH):
        return False
    instance.last_publish_ms = core.now_ms
    return True


def hurry(core: SentinelCore, primary: Instance) -> None:
    """Have everybody told at the next tick: the configuration has changed."""
    period = core.state.timings.publish_period + 1
    for each in [primary, *primary.sentinels.values(), *primary.replicas.values()]:
        if each.last_publish_ms >= period:
            each.last_publish_ms -= period


# -- receiving --------------------------------------------------------------------------------------------


def receive(core: SentinelCore, message: bytes) -> None:
    """Take a hello message in, whichever way it came. What this Sentinel said itself changes nothing."""
    hello = parse(message)
    if hello is None or hello.run_id == core.state.my_id:
        return
    primary = core.state.primaries.get(hello.primary_name)
    if primary is None:
        return
    sentinel = known_sentinel(core, primary, hello)
    if sentinel is None:
        sentinel = meet(core, primary, hello)
    take_current_epoch(core, primary, hello.current_epoch)
    if sentinel is None:
        return
    take_configuration(core, primary, sentinel, hello)
    sentinel.last_hello_ms = core.now_ms


def known_sentinel(core: SentinelCore, primary: Instance, hello: Hello) -> Instance | None:
    sentinel = primary.sentinels.get(hello.run_id)
    return sentinel if sentinel is not None and core.is_at(sentinel, hello.ip, hello.port) else None


def meet(core: SentinelCore, primary: Instance, hello: Hello) -> Instance | None:
    """A Sentinel that is new, or at a new address."""
    try:
        resolve_address(core.state, core.door, hello.ip, hello.port, True)
    except InstanceError:
        return None
    moved = forget_sentinel(core, primary, hello.run_id)
    if moved:
        text = b" ip %s port %d for %s" % (hello.ip, hello.port, hello.run_id)
        core.event(LOG_NOTICE, b"+sentinel-address-switch", primary, text)
    else:
        forget_others_at(core, primary, hello)
    try:
        sentinel = add_sentinel(
            core.state, core.door, primary, hello.ip, hello.port, hello.run_id, core.now_ms
        )
    except InstanceError:
        return None
    if moved:
        move_everywhere(core, sentinel)
    else:
        core.event(LOG_NOTICE, b"+sentinel", sentinel)
    core.save()
    return sentinel


def forget_sentinel(core: SentinelCore, primary: Instance, run_id: bytes) -> bool:
    sentinel = primary.sentinels.pop(run_id, None)
    if sentinel is None:
        return False
    release(core, sentinel)
    return True


def forget_others_at(core: SentinelCore, primary: Instance, hello: Hello) -> None:
    """Somebody else was there before: it has another run id now, or another address that it will tell."""
    for other in list(primary.sentinels.values()):
        if core.is_at(other, hello.ip, hello.port):
            core.event(LOG_NOTICE, b"+sentinel-invalid-addr", other)
            for each in core.state.primaries.values():
                forget_sentinel(core, each, other.run_id)
            return


def move_everywhere(core: SentinelCore, sentinel: Instance) -> None:
    """The other primaries' entries of the same Sentinel move with it, and its link is made anew."""
    address = sentinel.address
    moved = 0
    for primary in core.state.primaries.values():
        twin = primary.sentinels.get(sentinel.run_id)
        if twin is not None and twin is not sentinel:
            twin.address = Address(address.hostname, address.ip, address.port)
            moved += 1
    if moved:
        close_link(core, sentinel.link)
        text = b" %d additional matching instances" % moved
        core.event(LOG_NOTICE, b"+sentinel-address-update", sentinel, text)


def take_current_epoch(core: SentinelCore, primary: Instance, epoch: int) -> None:
    if epoch > core.state.current_epoch:
        core.state.current_epoch = epoch
        core.save()
        core.announce(LOG_WARNING, b"+new-epoch", b"%d" % epoch, primary)


def take_configuration(core: SentinelCore, primary: Instance, sentinel: Instance, hello: Hello) -> None:
    """A newer configuration counts, whatever this Sentinel is about to do.

    Also one that names the address which it watches while it turns the replicas to a promoted one: its own failover
    is over then. (redis-sentinel goes on, under the newer epoch: two addresses of one epoch, for ever.)
    """
    if hello.config_epoch <= primary.config_epoch:
        return
    if core.is_at(primary, hello.primary_host, hello.primary_port) and not is_overtaken(primary, hello):
        primary.config_epoch = hello.config_epoch
        core.save()
        return
    try:
        address = resolve_address(core.state, core.door, hello.primary_host, hello.primary_port, True)
    except InstanceError:
        return
    old = current_address(primary)
    primary.config_epoch = hello.config_epoch
    core.event(LOG_WARNING, b"+config-update-from", sentinel)
    moves = not old.same_as(address)
    if moves:
        announce_switch(core, primary, old, address)
    change_address(core, primary, address)
    if moves:
        core.tell_reconfiguration(primary, b"observer", old, primary.address)


def is_overtaken(primary: Instance, hello: Hello) -> bool:
    """Whether a failover of this Sentinel is older than the configuration that it hears of."""
    return bool(primary.flags & FAILOVER_IN_PROGRESS) and primary.failover_epoch <= hello.config_epoch


def announce_switch(core: SentinelCore, primary: Instance, old: Address, address: Address) -> None:
    """+switch-master: what clients wait for."""
    state = core.state
    text = b"%s %s %d %s %d" % (
        primary.name,
        state.announced(old),
        old.port,
        state.announced(address),
        address.port,
    )
    core.announce(LOG_WARNING, b"+switch-master", text, primary)
