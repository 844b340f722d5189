"""What a Sentinel knows: the primaries that it watches, the replicas and the other Sentinels of each, the links.

Owns the data and its vocabulary (flags, states, defaults), and how an instance comes into being. Must not know when
anything changes: that is monitoring's, hello's, voting's and failover's part; nor how it is written down (config.py).

Invariants: a replica stands in `primary.replicas` under its announced `ip:port`, a Sentinel in `primary.sentinels`
under its run id, a primary in `SentinelState.primaries` under its name. Sentinels with one run id share one Link.
Times are milliseconds of the clock that the machine is driven with; 0 means never.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gossamer.sentinel.doors import SentinelDoor

# Kinds and conditions: Instance.flags. The order is the one in which SENTINEL MASTER prints their names.
SUBJECTIVELY_DOWN: Final = 1 << 0
OBJECTIVELY_DOWN: Final = 1 << 1
PRIMARY: Final = 1 << 2
REPLICA: Final = 1 << 3
SENTINEL: Final = 1 << 4
# "disconnected" is printed here; it is the link's state and no flag
PRIMARY_DOWN: Final = 1 << 5  # of a Sentinel: it says that the primary is down
FAILOVER_IN_PROGRESS: Final = 1 << 6
PROMOTED: Final = 1 << 7
RECONF_SENT: Final = 1 << 8
RECONF_IN_PROGRESS: Final = 1 << 9
RECONF_DONE: Final = 1 << 10
FORCE_FAILOVER: Final = 1 << 11
SCRIPT_KILL_SENT: Final = 1 << 12
PRIMARY_REBOOT: Final = 1 << 13  # it came back with another run id and has not answered a PING since

# Instance.failover_state
FAILOVER_NONE: Final = 0
FAILOVER_WAIT_START: Final = 1
FAILOVER_SELECT_SLAVE: Final = 2
FAILOVER_SEND_SLAVEOF_NOONE: Final = 3
FAILOVER_WAIT_PROMOTION: Final = 4
FAILOVER_RECONF_SLAVES: Final = 5
FAILOVER_UPDATE_CONFIG: Final = 6

# Connection.purpose
COMMANDS: Final = 0
MESSAGES: Final = 1

ROLE_PRIMARY: Final = b"master"
ROLE_REPLICA: Final = b"slave"

PING_PERIOD_MS: Final = 1000
INFO_PERIOD_MS: Final = 10_000
ASK_PERIOD_MS: Final = 1000
PUBLISH_PERIOD_MS: Final = 2000
DEFAULT_DOWN_AFTER_MS: Final = 30_000
DEFAULT_FAILOVER_TIMEOUT_MS: Final = 180_000
DEFAULT_PARALLEL_SYNCS: Final = 1
DEFAULT_REPLICA_PRIORITY: Final = 100
TILT_TRIGGER_MS: Final = 2000
TILT_PERIOD_MS: Final = 30_000
MIN_LINK_RECONNECT_MS: Final = 15_000
RECONF_TIMEOUT_MS: Final = 10_000
ELECTION_TIMEOUT_MS: Final = 10_000
MAX_DESYNC_MS: Final = 1000
MAX_PENDING_COMMANDS: Final = 100
HELLO_CHANNEL: Final = b"__sentinel__:hello"
EPOCH_MAX: Final = 1 << 62  # no number of failovers gets there; what is greater is no epoch

# The timings that SENTINEL DEBUG can change, under the names that it takes.
DEBUG_TIMINGS: Final = (
    b"info-period", b"ping-period", b"ask-period", b"publish-period", b"default-down-after",
    b"default-failover-timeout", b"tilt-trigger", b"tilt-period", b"slave-reconf-timeout",
    b"min-link-reconnect-period", b"election-timeout", b"script-max-runtime", b"script-retry-delay",
)  # fmt: skip


class Timings:
    """Periods and limits in ms that are constants in production; SENTINEL DEBUG changes them for tests."""

    def __init__(self) -> None:
        self.info_period: int = INFO_PERIOD_MS
        self.ping_period: int = PING_PERIOD_MS
        self.ask_period: int = ASK_PERIOD_MS
        self.publish_period: int = PUBLISH_PERIOD_MS
        self.default_down_after: int = DEFAULT_DOWN_AFTER_MS
        self.default_failover_timeout: int = DEFAULT_FAILOVER_TIMEOUT_MS
        self.tilt_trigger: int = TILT_TRIGGER_MS
        self.tilt_period: int = TILT_PERIOD_MS
        self.slave_reconf_timeout: int = RECONF_TIMEOUT_MS
        self.min_link_reconnect_period: int = MIN_LINK_RECONNECT_MS
        self.election_timeout: int = ELECTION_TIMEOUT_MS
        self.script_max_runtime: int = 60_000
        self.script_retry_delay: int = 30_000


class Address:
    """Where something listens: the name that was given (or the address itself), and what it resolved to."""

    def __init__(self, hostname: bytes, ip: bytes, port: int) -> None:
        self.hostname: bytes = hostname
        self.ip: bytes = ip
        self.port: int = port

    def same_as(self, other: Address) -> bool:
        """The same port of the same machine, whatever it was called."""
        return self.port == other.port and self.ip.lower() == other.ip.lower()


class Request:
    """A command that was sent and waits for its reply: the token that SentinelDoor.send carries.

    `kind` is one of the REQUEST_ constants; the machine alone looks inside.
    """

    def __init__(self, kind: int, instance: Instance) -> None:
        self.kind: int = kind
        self.instance: Instance = instance
        self.address: Address = (
            instance.primary or instance
        ).address  # of the primary, at the time of asking


REQUEST_IGNORED: Final = 0
REQUEST_PING: Final = 1
REQUEST_INFO: Final = 2
REQUEST_PUBLISH: Final = 3
REQUEST_IS_DOWN: Final = 4


class Connection:
    """One attempt at one TCP connection. The machine makes a new object for each attempt.

    The driver may hang what it needs on `handle`. `instance` tells host and port (`instance.address.ip`, `.port`) at
    the time of opening; a link that is shared keeps the instance that opened it.
    """

    def __init__(self, link: Link, instance: Instance, purpose: int, opened_ms: int) -> None:
        self.link: Link = link
        self.instance: Instance = instance
        self.purpose: int = purpose
        self.opened_ms: int = opened_ms
        self.greetings: int = 0  # on the messages connection: answers that come before what was published
        self.handle: object | None = None


class Link:
    """The two connections to one instance: commands, and for servers also messages (a subscription to hello).

    `disconnected` is true until all that are needed were opened, and from the loss of one of them on.
    """

    def __init__(self, now_ms: int) -> None:
        self.users: list[Instance] = []  # the instances that share it
        self.disconnected: bool = True
        self.commands: Connection | None = None
        self.messages: Connection | None = None
        self.pending_commands: int = 0  # sent and not answered
        self.last_reconnect_ms: int = 0
        self.last_message_ms: int = 0  # anything that arrived on `messages`
        self.last_available_ms: int = now_ms  # the last good answer to a PING
        self.oldest_ping_ms: int = now_ms  # when the oldest PING without a good answer was sent; 0: none
        self.last_ping_ms: int = 0
        self.last_pong_ms: int = now_ms  # the last answer to a PING of any kind


class Instance:
    """A watched primary, a replica of one, or another Sentinel of one."""

    def __init__(
        self, kind: int, name: bytes, address: Address, primary: Instance | None, now_ms: int
    ) -> None:
        self.flags: int = kind
        self.name: bytes = name
        self.run_id: bytes = b""  # empty: not known yet
        self.address: Address = address
        self.primary: Instance | None = primary  # None for a primary
        self.link: Link = Link(now_ms)
        self.link.users.append(self)
        self.removed: bool = False  # no longer part of the state: answers to it are dropped
        self.down_after_ms: int = DEFAULT_DOWN_AFTER_MS
        self.config_epoch: int = 0
        # times
        self.last_publish_ms: int = now_ms
        self.last_hello_ms: int = now_ms  # of a Sentinel
        self.last_primary_down_reply_ms: int = now_ms  # of a Sentinel
        self.subjectively_down_since_ms: int = 0
        self.objectively_down_since_ms: int = 0
        self.info_refreshed_ms: int = 0
        # what INFO told
        self.info: bytes = b""
        self.role_reported: bytes = ROLE_REPLICA if kind & REPLICA else ROLE_PRIMARY
        self.role_reported_ms: int = now_ms
        self.replica_configuration_changed_ms: int = now_ms
        self.primary_link_down_ms: int = 0  # for how long it has had no link to its primary
        self.replica_priority: int = DEFAULT_REPLICA_PRIORITY
        self.replica_announced: bool = True
        self.replica_reconf_sent_ms: int = 0
        self.replica_primary_host: bytes = b""  # empty: not known
        self.replica_primary_port: int = 0
        self.replica_primary_link_up: bool = False
        self.replica_offset: int = 0
        self.primary_reboot_since_ms: int = 0
        # of a primary: its directives
        self.quorum: int = 0
        self.parallel_syncs: int = DEFAULT_PARALLEL_SYNCS
        self.failover_timeout_ms: int = DEFAULT_FAILOVER_TIMEOUT_MS
        self.primary_reboot_down_after_ms: int = 0
        self.auth_user: bytes = b""
        self.auth_password: bytes = b""
        self.notification_script: bytes = b""
        self.client_reconfig_script: bytes = b""
        self.renamed_commands: dict[bytes, bytes] = {}  # by upper-case name
        # of a primary: who else is there
        self.replicas: dict[bytes, Instance] = {}
        self.sentinels: dict[bytes, Instance] = {}
        # votes: a primary's own (mine for it); of another Sentinel: whom it said that it voted for
        self.leader: bytes = b""  # a run id; empty: nobody
        self.leader_epoch: int = 0
        # the failover of a primary
        self.failover_epoch: int = 0
        self.failover_state: int = FAILOVER_NONE
        self.failover_state_changed_ms: int = 0
        self.failover_start_ms: int = 0
        self.failover_delay_logged_ms: int = 0
        self.promoted_replica: Instance | None = None


def current_address(primary: Instance) -> Address:
    """Where the primary is by the newest configuration: from the promotion on, the promoted replica."""
    promoted = primary.promoted_replica
    if (
        promoted is not None
        and primary.flags & FAILOVER_IN_PROGRESS
        and primary.failover_state >= FAILOVER_RECONF_SLAVES
    ):
        return promoted.address
    return primary.address


class SentinelState:
    """Everything that one Sentinel knows and is configured with, save sockets: what sentinel.conf is read into.

    The part that must survive a crash: my_id, current_epoch, the settings, and of each primary its directives,
    config_epoch, leader_epoch, and the addresses of its replicas and Sentinels.
    """

    def __init__(self) -> None:
        self.my_id: bytes = b""  # 40 hexadecimal digits; empty: to be made at the start
        self.current_epoch: int = 0
        self.primaries: dict[bytes, Instance] = {}
        self.timings: Timings = Timings()
        # settings
        self.announce_ip: bytes = b""
        self.announce_port: int = 0
        self.resolve_hostnames: bool = False
        self.announce_hostnames: bool = False
        self.deny_scripts_reconfig: bool = True
        self.sentinel_user: bytes = b""
        self.sentinel_password: bytes = b""
        # where it listens; the process fills it in
        self.port: int = 26379
        # tilt
        self.tilt: bool = False
        self.tilt_start_ms: int = 0
        self.previous_tick_ms: int = 0
        # SENTINEL SIMULATE-FAILURE
        self.crash_after_election: bool = False
        self.crash_after_promotion: bool = False

    def announced(self, address: Address) -> bytes:
        """The host as events, replies, hello messages and the file spell it."""
        return address.hostname if self.announce_hostnames else address.ip

    def key_of(self, address: Address) -> bytes:
        """host:port, the name of a replica; an IPv6 address stands in brackets."""
        host = self.announced(address)
        return b"[%s]:%d" % (host, address.port) if b":" in host else b"%s:%d" % (host, address.port)


class InstanceError(Exception):
    """An instance that cannot be added. `reason` is one of the texts below, in words that configuration errors use."""

    def __init__(self, reason: bytes) -> None:
        super().__init__(reason.decode())
        self.reason: bytes = reason


BAD_HOST: Final = b"Can't resolve instance hostname."
BAD_PORT: Final = b"Invalid port number."
DUPLICATE_PRIMARY: Final = b"Duplicate master name."
DUPLICATE_REPLICA: Final = b"Duplicate hostname and port for replica."
DUPLICATE_SENTINEL: Final = b"Duplicate runid for sentinel."
BAD_QUORUM: Final = b"Quorum must be 1 or greater."


def resolve_address(
    state: SentinelState, door: SentinelDoor, host: bytes, port: int, accept_unresolved: bool
) -> Address:
    """The address of a host, which must be an IP address unless resolve-hostnames; InstanceError otherwise."""
    if not 0 <= port <= 65535:
        raise InstanceError(BAD_PORT)
    ip = door.resolve(host, state.resolve_hostnames)
    if ip is None:
        if not (state.resolve_hostnames and accept_unresolved):
            raise InstanceError(BAD_HOST)
        ip = host
    return Address(host, ip, port)


def add_primary(
    state: SentinelState, door: SentinelDoor, name: bytes, host: bytes, port: int, quorum: int, now_ms: int
) -> Instance:
    """Watch a primary (no event, nothing saved); InstanceError where that cannot be."""
    if quorum <= 0:
        raise InstanceError(BAD_QUORUM)
    if name in state.primaries:
        raise InstanceError(DUPLICATE_PRIMARY)
    address = resolve_address(state, door, host, port, True)
    primary = Instance(PRIMARY, name, address, None, now_ms)
    primary.quorum = quorum
    primary.down_after_ms = state.timings.default_down_after
    primary.failover_timeout_ms = state.timings.default_failover_timeout
    state.primaries[name] = primary
    return primary


def add_replica(
    state: SentinelState, door: SentinelDoor, primary: Instance, host: bytes, port: int, now_ms: int
) -> Instance:
    """Note a replica of a primary; InstanceError where it is there already or has no address."""
    address = resolve_address(state, door, host, port, True)
    key = state.key_of(address)
    if key in primary.replicas:
        raise InstanceError(DUPLICATE_REPLICA)
    replica = Instance(REPLICA, key, address, primary, now_ms)
    replica.down_after_ms = primary.down_after_ms
    primary.replicas[key] = replica
    return replica


def add_sentinel(
    state: SentinelState,
    door: SentinelDoor,
    primary: Instance,
    host: bytes,
    port: int,
    run_id: bytes,
    now_ms: int,
) -> Instance:
    """Note another Sentinel of a primary; it shares the link that another primary's entry of it has."""
    if run_id in primary.sentinels:
        raise InstanceError(DUPLICATE_SENTINEL)
    address = resolve_address(state, door, host, port, True)
    sentinel = Instance(SENTINEL, run_id, address, primary, now_ms)
    sentinel.run_id = run_id
    sentinel.down_after_ms = primary.down_after_ms
    primary.sentinels[run_id] = sentinel
    share_link(state, sentinel)
    return sentinel


def share_link(state: SentinelState, sentinel: Instance) -> None:
    """Use the link of the same Sentinel under another primary, where there is one."""
    for primary in state.primaries.values():
        twin = primary.sentinels.get(sentinel.run_id)
        if twin is not None and twin is not sentinel and primary is not sentinel.primary:
            sentinel.link.users.remove(sentinel)
            sentinel.link = twin.link
            sentinel.link.users.append(sentinel)
            return
