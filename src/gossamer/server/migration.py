"""Connections for MIGRATE: one per target, kept for those that follow.

Owns the sockets and how long they are kept; what is said on them is `engine/migrate_commands.py`'s.

Invariants: at most TARGETS_MAX are kept, none longer than IDLE_S after its last use; a call blocks the server, and
returns or raises within the timeout that it was given.
"""

import errno
import select
import socket
import time
from typing import Any, Final, final

from mypy_extensions import i64

from gossamer.base.numbers import leading_integer
from gossamer.base.rng import Random64
from gossamer.engine.config import Config
from gossamer.engine.doors import InfoSource
from gossamer.engine.migration_door import MigrationTarget, MigrationTargets, TargetLost
from gossamer.server.connection import TlsError
from gossamer.server.cron import CronTask

TARGETS_MAX: Final = 64
IDLE_S: Final = 10
LINE_MAX_BYTES: Final = 64 * 1024
READ_BYTES: Final = 16 * 1024
LONGEST_TIMEOUT_MS: Final = (1 << 31) - 1


@final
class SocketTarget(MigrationTarget):
    """A blocking socket, of TLS where the cluster speaks it."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.socket: socket.socket = sock
        self.received: bytes = b""
        self.used_ms: i64 = 0

    def send(self, data: bytes, timeout_ms: i64) -> None:
        try:
            self.socket.settimeout(seconds(timeout_ms))
            self.socket.sendall(data)
        except TimeoutError:
            raise TargetLost(True) from None
        except OSError:
            raise TargetLost(False) from None

    def read_line(self, timeout_ms: i64) -> bytes:
        until = time.monotonic() + seconds(timeout_ms)
        end = self.received.find(b"\n")
        while end < 0:
            if len(self.received) > LINE_MAX_BYTES:
                raise TargetLost(False)
            self.receive(until)
            end = self.received.find(b"\n")
        line = self.received[:end]
        self.received = self.received[end + 1 :]
        return line.removesuffix(b"\r")

    def receive(self, until: float) -> None:
        """What has arrived, or arrives next."""
        left = until - time.monotonic()
        if left <= 0:
            raise TargetLost(True)
        try:
            self.socket.settimeout(left)
            data = self.socket.recv(READ_BYTES)
        except TimeoutError:
            raise TargetLost(True) from None
        except OSError:
            raise TargetLost(False) from None
        if not data:
            raise TargetLost(False)
        self.received += data


def seconds(timeout_ms: i64) -> float:
    return int(min(timeout_ms, LONGEST_TIMEOUT_MS)) / 1000


@final
class SocketTargets(MigrationTargets):
    """The connections that are kept, by host and port."""

    def __init__(self, config: Config, rng: Random64) -> None:
        self.config: Config = config
        self.rng: Random64 = rng
        self.kept: dict[bytes, SocketTarget] = {}

    def connect(self, host: bytes, port: bytes, timeout_ms: i64) -> MigrationTarget | None:
        name = host + b":" + port
        target = self.kept.get(name)
        if target is None:
            if len(self.kept) >= TARGETS_MAX:
                self.close(list(self.kept)[self.rng.below(len(self.kept))])
            try:
                target = SocketTarget(self.open(host, port, seconds(timeout_ms)))
            except (OSError, TlsError, UnicodeError):
                return None
            self.kept[name] = target
        target.used_ms = now_ms()
        return target

    def open(self, host: bytes, port: bytes, timeout_s: float) -> socket.socket:
        """A connected socket; raises OSError, and TlsError where the settings of TLS are wrong."""
        until = time.monotonic() + timeout_s
        service = b"%d" % leading_integer(port)
        text = host.partition(b"\0")[0]
        failure: OSError = OSError("no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(text, service, type=socket.SOCK_STREAM):
            sock = socket.socket(family, kind, protocol)
            try:
                connect(sock, address, max(0.0, until - time.monotonic()))
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(max(0.001, until - time.monotonic()))
                return self.over_tls(sock) if self.config.flag("tls-cluster") else sock
            except (OSError, TlsError) as problem:
                sock.close()
                if isinstance(problem, TlsError):
                    raise
                failure = problem
        raise failure

    def over_tls(self, sock: socket.socket) -> socket.socket:
        from gossamer.server import tls

        return tls.client_context(self.config).wrap_socket(sock)

    def forget(self, host: bytes, port: bytes) -> None:
        self.close(host + b":" + port)

    def close(self, name: bytes) -> None:
        target = self.kept.pop(name, None)
        if target is not None:
            target.socket.close()

    def close_idle(self) -> None:
        """Give up those that nobody used for IDLE_S."""
        oldest_ms: i64 = now_ms() - IDLE_S * 1000
        for name in list(self.kept):
            if self.kept[name].used_ms < oldest_ms:
                self.close(name)

    def close_all(self) -> None:
        for name in list(self.kept):
            self.close(name)


def connect(sock: socket.socket, address: Any, timeout_s: float) -> None:
    """Connect, or raise OSError. As on the real servers, one that refuses is found out by the first write."""
    sock.setblocking(False)
    error = sock.connect_ex(address)
    if error == errno.EINPROGRESS:
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        if not poller.poll(timeout_s * 1000):
            raise TimeoutError
    elif error != 0:
        raise OSError(error, "connect")


def now_ms() -> i64:
    return int(time.monotonic() * 1000)


@final
class MigrationTask(CronTask):
    """Closes connections that are no longer used."""

    def __init__(self, targets: SocketTargets) -> None:
        self.targets: SocketTargets = targets

    def on_cron(self, now_ms: i64) -> None:
        if self.targets.kept:
            self.targets.close_idle()


@final
class MigrationFacts(InfoSource):
    """What INFO tells of them."""

    def __init__(self, targets: SocketTargets) -> None:
        self.targets: SocketTargets = targets

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        facts[b"migrate_cached_sockets"] = len(self.targets.kept)
