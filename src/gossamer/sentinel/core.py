"""What all parts of the Sentinel lean on: the state, the door, the time of the call that runs, events, saving.

Owns how an event reads, who hears of it, and what is known about the file being up to date.
Must not know what the events mean.

Invariants: `now_ms` is the time given to the outermost call. `save()` says whether the file holds the state now; what
must not be promised without that is taken back by the caller. A save that failed is repeated by the machine's tick.
"""

from __future__ import annotations

from typing import Final

from gossamer.sentinel.doors import LOG_DEBUG, LOG_NOTICE, LOG_WARNING, SentinelDoor
from gossamer.sentinel.instances import PRIMARY, REPLICA, Address, Instance, SentinelState

SAVE_RETRY_MS: Final = 1000
SAVE_FAILED: Final = b"ERR Failed to save config file. Check server logs."


class SentinelCore:
    """Handed to every function of this package."""

    def __init__(self, state: SentinelState, door: SentinelDoor) -> None:
        self.state: SentinelState = state
        self.door: SentinelDoor = door
        self.now_ms: int = 0
        self.unsaved: bool = False  # the last save failed
        self.save_failed_ms: int = 0

    # -- events -------------------------------------------------------------------------------------------

    def describe(self, instance: Instance) -> bytes:
        """An instance as events name it: kind, name, host, port, and for others than primaries whose it is."""
        host = self.state.announced(instance.address)
        primary = instance.primary
        if primary is None:
            return b"master %s %s %d" % (instance.name, host, instance.address.port)
        return b"%s %s %s %d @ %s %s %d" % (
            kind_name(instance),
            instance.name,
            host,
            instance.address.port,
            primary.name,
            self.state.announced(primary.address),
            primary.address.port,
        )

    def event(self, level: int, kind: bytes, instance: Instance, more: bytes = b"") -> None:
        """Something happened to an instance; `more` follows its description."""
        self.announce(level, kind, self.describe(instance) + more, instance)

    def announce(self, level: int, kind: bytes, text: bytes, instance: Instance | None) -> None:
        """Something happened: log it, tell subscribers, and, if it is a warning, the notification script."""
        door = self.door
        door.log(level, kind + b" " + text)
        if level != LOG_DEBUG:
            door.publish(kind, text)
        if level == LOG_WARNING and instance is not None:
            primary = instance.primary or instance
            if primary.notification_script:
                door.run_script([primary.notification_script, kind, text])

    def tell_reconfiguration(self, primary: Instance, role: bytes, old: Address, new: Address) -> None:
        """Have the client-reconfig-script hear of a new address; role is leader or observer."""
        if primary.client_reconfig_script:
            hosts = [self.state.announced(old), self.state.announced(new)]
            self.door.run_script(
                [primary.client_reconfig_script, primary.name, role, b"start"]
                + [hosts[0], b"%d" % old.port, hosts[1], b"%d" % new.port]
            )

    # -- the file -----------------------------------------------------------------------------------------

    def save(self) -> bool:
        """Write the state; whether it is durable."""
        try:
            self.door.save()
        except OSError as error:
            self.unsaved = True
            self.save_failed_ms = self.now_ms
            text = (error.strerror or str(error)).encode()
            self.door.log(
                LOG_WARNING,
                b"WARNING: Sentinel was not able to save the new configuration on disk!!!: " + text,
            )
            return False
        self.unsaved = False
        self.door.log(LOG_NOTICE, b"Sentinel new configuration saved on disk")
        return True

    def may_save(self) -> bool:
        """False for a moment after a failure, so that what needs a save does not try at every tick."""
        return not self.unsaved or self.now_ms - self.save_failed_ms >= SAVE_RETRY_MS

    # -- addresses ----------------------------------------------------------------------------------------

    def is_host(self, address: Address, host: bytes) -> bool:
        """Whether a host that somebody named is the one of this address."""
        if host == address.ip or host == address.hostname:
            return True
        lowered = host.lower()
        if lowered in (address.ip.lower(), address.hostname.lower()):
            return True
        return self.state.resolve_hostnames and self.door.resolve(host, True) == address.ip

    def is_at(self, instance: Instance, host: bytes, port: int) -> bool:
        return instance.address.port == port and self.is_host(instance.address, host)

    def primary_at(self, host: bytes, port: int) -> Instance | None:
        """The watched primary at an address."""
        candidates = [each for each in self.state.primaries.values() if each.address.port == port]
        for primary in candidates:
            if host in (primary.address.ip, primary.address.hostname):
                return primary
        ip = self.door.resolve(host, self.state.resolve_hostnames) if candidates else None
        for primary in candidates:
            if ip == primary.address.ip:
                return primary
        return None


def kind_name(instance: Instance) -> bytes:
    if instance.flags & PRIMARY:
        return b"master"
    return b"slave" if instance.flags & REPLICA else b"sentinel"
