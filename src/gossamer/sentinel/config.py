"""The `sentinel` lines of sentinel.conf: read into a SentinelState, and written from it.

Owns: the directives, the order in which they take effect, the texts of refusals (redis-sentinel's), the rows of a
rewritten file. Must not know: the file (engine/config_file.py keeps the user's lines, order and comments), nor when
it is written.

    sentinel monitor <name> <host> <port> <quorum>        first: the others name a primary
    sentinel known-replica <name> <host> <port>           state: written as it is learned

Invariants: what rows() writes, load() reads into an equal state. A row takes the place of a line that says the same
thing of the same primary, so that comments stay with what they are about. A word with blanks or quotes is quoted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gossamer.base.errors import ConfigError
from gossamer.base.quoting import quote, split_arguments
from gossamer.engine.config import SentinelLines
from gossamer.engine.config_file import FileError
from gossamer.sentinel.doors import SentinelDoor
from gossamer.sentinel.instances import (
    DEFAULT_DOWN_AFTER_MS,
    DEFAULT_FAILOVER_TIMEOUT_MS,
    DEFAULT_PARALLEL_SYNCS,
    DUPLICATE_REPLICA,
    DUPLICATE_SENTINEL,
    Instance,
    InstanceError,
    SentinelState,
    add_primary,
    add_replica,
    add_sentinel,
    current_address,
)

UNKNOWN: Final = "Unrecognized sentinel configuration statement."
NO_PRIMARY: Final = "No such master with specified name."
BAD_TIME: Final = "negative or zero time parameter."
IDENTITY_DIGITS: Final = 40

# How many words follow the directive, and when it is read: 0 before, 1 with, 2 behind `monitor`.
_SHAPES: Final[dict[bytes, tuple[tuple[int, ...], int]]] = {
    b"announce-ip": ((1,), 0),
    b"announce-port": ((1,), 0),
    b"deny-scripts-reconfig": ((1,), 0),
    b"sentinel-user": ((1,), 0),
    b"sentinel-pass": ((1,), 0),
    b"current-epoch": ((1,), 0),
    b"myid": ((1,), 0),
    b"resolve-hostnames": ((1,), 0),
    b"announce-hostnames": ((1,), 0),
    b"monitor": ((4,), 1),
    b"down-after-milliseconds": ((2,), 2),
    b"failover-timeout": ((2,), 2),
    b"parallel-syncs": ((2,), 2),
    b"notification-script": ((2,), 2),
    b"client-reconfig-script": ((2,), 2),
    b"auth-pass": ((2,), 2),
    b"auth-user": ((2,), 2),
    b"config-epoch": ((2,), 2),
    b"leader-epoch": ((2,), 2),
    b"known-replica": ((3,), 2),
    b"known-sentinel": ((3, 4), 2),
    b"rename-command": ((3,), 2),
    b"master-reboot-down-after-period": ((2,), 2),
}
_ALIASES: Final = {
    b"known-slave": b"known-replica",
    b"primary-reboot-down-after-period": b"master-reboot-down-after-period",
}
_PLAIN: Final = frozenset(
    b"!#$%&()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"
)
_LOOSE_INTEGER_DIGITS: Final = 18


class SentinelConfig(SentinelLines):
    """Collects the lines while the file is read; `load` makes them the state, `rows` says it again."""

    def __init__(self, state: SentinelState) -> None:
        self.state: SentinelState = state
        self.queues: list[list[tuple[int, bytes, list[bytes]]]] = [[], [], []]

    # -- reading ------------------------------------------------------------------------------------------

    def take(self, number: int, line: bytes, words: list[bytes]) -> None:
        """Keep a line until everything is read; one that is no directive is found by load()."""
        shape = _SHAPES.get(name_of(words))
        self.queues[shape[1] if shape is not None else 2].append((number, line, words))

    def load(
        self, door: SentinelDoor, is_executable: Callable[[bytes], bool], now_ms: int, compat: int = 72
    ) -> None:
        """Read what was collected into the state; raises FileError, in the name of the version `compat`."""
        reader = Reader(self.state, door, is_executable, now_ms)
        for queue in self.queues:
            for number, line, words in queue:
                try:
                    reader.read(name_of(words), words[2:])
                except ConfigError as error:
                    raise FileError(number, line, str(error), compat) from None
                except InstanceError as refusal:
                    raise FileError(number, line, text_of(refusal), compat) from None
        self.queues = [[], [], []]

    # -- writing ------------------------------------------------------------------------------------------

    def key(self, words: list[bytes]) -> bytes:
        """The directive, and the primary that it names."""
        name = name_of(words)
        shape = _SHAPES.get(name)
        if shape is None or shape[1] == 0 or len(words) < 3:
            return b"sentinel " + name
        return key_of(name, words[2])

    def rows(self) -> list[tuple[bytes, bytes]]:
        state = self.state
        page = Rows()
        page.put(b"myid", state.my_id)
        if not state.deny_scripts_reconfig:
            page.put(b"deny-scripts-reconfig", b"no")
        if state.resolve_hostnames:
            page.put(b"resolve-hostnames", b"yes")
        if state.announce_hostnames:
            page.put(b"announce-hostnames", b"yes")
        for primary in state.primaries.values():
            add_primary_rows(page, state, primary)
        page.put(b"current-epoch", b"%d" % state.current_epoch)
        if state.announce_ip:
            page.put(b"announce-ip", quote(state.announce_ip), True)
        if state.announce_port:
            page.put(b"announce-port", b"%d" % state.announce_port)
        if state.sentinel_user:
            page.put(b"sentinel-user", state.sentinel_user)
        if state.sentinel_password:
            page.put(b"sentinel-pass", state.sentinel_password)
        return page.rows


def name_of(words: list[bytes]) -> bytes:
    """The directive that a line names, under its present name."""
    name = words[1].lower()
    return _ALIASES.get(name, name)


def key_of(directive: bytes, primary: bytes) -> bytes:
    return b"sentinel " + directive + b" " + primary


def text_of(refusal: InstanceError) -> str:
    """The file's word for an instance that cannot be: an address that does not fit is an invalid port number."""
    text = refusal.reason.decode()
    return text if text.endswith(".") else text + "."


class Reader:
    """Reads directives into a state, one by one."""

    def __init__(
        self, state: SentinelState, door: SentinelDoor, is_executable: Callable[[bytes], bool], now_ms: int
    ) -> None:
        self.state: SentinelState = state
        self.door: SentinelDoor = door
        self.is_executable: Callable[[bytes], bool] = is_executable
        self.now_ms: int = now_ms

    def read(self, name: bytes, words: list[bytes]) -> None:
        """One directive; raises ConfigError or InstanceError."""
        shape = _SHAPES.get(name)
        if shape is None or len(words) not in shape[0]:
            raise ConfigError(UNKNOWN)
        if shape[1] == 0:
            self.read_setting(name, words[0])
        elif shape[1] == 1:
            add_primary(
                self.state, self.door, words[0], words[1], loose_integer(words[2]), loose_integer(words[3]),
                self.now_ms,
            )  # fmt: skip
        else:
            primary = self.state.primaries.get(words[0])
            if primary is None:
                raise ConfigError(NO_PRIMARY)
            if name in (b"known-replica", b"known-sentinel", b"rename-command"):
                self.read_list(primary, name, words)
            else:
                self.read_directive(primary, name, words[1])

    def read_setting(self, name: bytes, word: bytes) -> None:
        state = self.state
        if name == b"announce-ip":
            state.announce_ip = word
        elif name == b"announce-port":
            state.announce_port = loose_integer(word)
        elif name == b"deny-scripts-reconfig":
            state.deny_scripts_reconfig = yes_or_no(word, "deny-scripts-reconfig options")
        elif name == b"resolve-hostnames":
            state.resolve_hostnames = yes_or_no(word, "resolve-hostnames option")
        elif name == b"announce-hostnames":
            state.announce_hostnames = yes_or_no(word, "announce-hostnames option")
        elif name == b"sentinel-user":
            state.sentinel_user = word
        elif name == b"sentinel-pass":
            state.sentinel_password = word
        elif name == b"current-epoch":
            state.current_epoch = max(state.current_epoch, loose_integer(word))
        elif len(word) != IDENTITY_DIGITS:
            raise ConfigError("Malformed Sentinel id in myid option.")
        else:
            state.my_id = word

    def read_directive(self, primary: Instance, name: bytes, word: bytes) -> None:
        """A directive of a primary with one value."""
        if name == b"down-after-milliseconds":
            primary.down_after_ms = positive(word)
            for other in (*primary.replicas.values(), *primary.sentinels.values()):
                other.down_after_ms = primary.down_after_ms
        elif name == b"failover-timeout":
            primary.failover_timeout_ms = positive(word)
        elif name == b"parallel-syncs":
            primary.parallel_syncs = loose_integer(word)
        elif name == b"notification-script":
            primary.notification_script = self.script(word, "Notification")
        elif name == b"client-reconfig-script":
            primary.client_reconfig_script = self.script(word, "Client reconfiguration")
        elif name == b"auth-pass":
            primary.auth_password = word
        elif name == b"auth-user":
            primary.auth_user = word
        elif name == b"config-epoch":
            primary.config_epoch = loose_integer(word)
            # An epoch that was seen has begun, whatever the line of the current one says.
            self.state.current_epoch = max(self.state.current_epoch, primary.config_epoch)
        elif name == b"leader-epoch":
            primary.leader_epoch = loose_integer(word)
            self.state.current_epoch = max(self.state.current_epoch, primary.leader_epoch)
        else:
            period_ms = loose_integer(word)
            if period_ms < 0:
                raise ConfigError("negative time parameter.")
            primary.primary_reboot_down_after_ms = period_ms

    def read_list(self, primary: Instance, name: bytes, words: list[bytes]) -> None:
        """A directive that may stand many times; what is known already is no mistake."""
        if name == b"rename-command":
            old = words[1].upper()
            if old in primary.renamed_commands:
                raise ConfigError("Same command renamed multiple times with rename-command.")
            primary.renamed_commands[old] = words[2]
            return
        port = loose_integer(words[2])
        try:
            if name == b"known-replica":
                add_replica(self.state, self.door, primary, words[1], port, self.now_ms)
            elif len(words) == 4:
                add_sentinel(self.state, self.door, primary, words[1], port, words[3], self.now_ms)
        except InstanceError as refusal:
            if refusal.reason not in (DUPLICATE_REPLICA, DUPLICATE_SENTINEL):
                raise

    def script(self, path: bytes, kind: str) -> bytes:
        if not self.is_executable(path):
            raise ConfigError(f"{kind} script seems non existing or non executable.")
        return path


def positive(word: bytes) -> int:
    value = loose_integer(word)
    if value <= 0:
        raise ConfigError(BAD_TIME)
    return value


def yes_or_no(word: bytes, what: str) -> bool:
    lower = word.lower()
    if lower not in (b"yes", b"no"):
        raise ConfigError(f"Please specify yes or no for the {what}.")
    return lower == b"yes"


def loose_integer(word: bytes) -> int:
    """The number at the beginning of a word, 0 where there is none: the file of redis-sentinel is read so."""
    sign = word[:1] if word[:1] in (b"-", b"+") else b""
    digits = word[len(sign) :]
    size = len(digits) - len(digits.lstrip(b"0123456789"))
    number = int(digits[: min(size, _LOOSE_INTEGER_DIGITS)] or b"0")
    return -number if sign == b"-" else number


def word_of(value: bytes) -> bytes:
    """A word as a line holds it: as it is wherever it would be read so again."""
    if value and _PLAIN.issuperset(value) and split_arguments(value) == [value]:
        return value
    return quote(value)


class Rows:
    """The rows that a rewritten file gets."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes, bytes]] = []

    def put(self, name: bytes, word: bytes, is_quoted: bool = False) -> None:
        """A setting of the Sentinel itself."""
        text = word if is_quoted else word_of(word)
        self.rows.append((b"sentinel " + name, b"sentinel " + name + b" " + text))

    def put_of(self, primary: Instance, name: bytes, *words: bytes) -> None:
        """A directive of a primary."""
        texts = [word_of(word) for word in (primary.name, *words)]
        self.rows.append((key_of(name, primary.name), b" ".join([b"sentinel", name, *texts])))


def add_primary_rows(page: Rows, state: SentinelState, primary: Instance) -> None:
    """Everything about one primary; what is at its default has no row."""
    address = current_address(primary)
    page.put_of(primary, b"monitor", state.announced(address), b"%d" % address.port, b"%d" % primary.quorum)
    if primary.down_after_ms != DEFAULT_DOWN_AFTER_MS:
        page.put_of(primary, b"down-after-milliseconds", b"%d" % primary.down_after_ms)
    if primary.failover_timeout_ms != DEFAULT_FAILOVER_TIMEOUT_MS:
        page.put_of(primary, b"failover-timeout", b"%d" % primary.failover_timeout_ms)
    if primary.parallel_syncs != DEFAULT_PARALLEL_SYNCS:
        page.put_of(primary, b"parallel-syncs", b"%d" % primary.parallel_syncs)
    for name, word in (
        (b"notification-script", primary.notification_script),
        (b"client-reconfig-script", primary.client_reconfig_script),
        (b"auth-pass", primary.auth_password),
        (b"auth-user", primary.auth_user),
    ):
        if word:
            page.put_of(primary, name, word)
    if primary.primary_reboot_down_after_ms:
        period = b"%d" % primary.primary_reboot_down_after_ms
        page.put_of(primary, b"master-reboot-down-after-period", period)
    page.put_of(primary, b"config-epoch", b"%d" % primary.config_epoch)
    page.put_of(primary, b"leader-epoch", b"%d" % primary.leader_epoch)
    for replica in primary.replicas.values():
        known = replica.address
        if known.same_as(address):
            known = primary.address  # the old primary will be a replica of the new one
        page.put_of(primary, b"known-replica", state.announced(known), b"%d" % known.port)
    for sentinel in primary.sentinels.values():
        if sentinel.run_id:
            host, port = state.announced(sentinel.address), b"%d" % sentinel.address.port
            page.put_of(primary, b"known-sentinel", host, port, sentinel.run_id)
    for old, new in primary.renamed_commands.items():
        page.put_of(primary, b"rename-command", old, new)
