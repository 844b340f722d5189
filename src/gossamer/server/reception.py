"""Who comes in: the limits and the rules by which accepted connections become clients, and stay.

Owns: maxclients, protected mode, TLS for those who connect, keepalive, the limits of replies that nobody reads.
Must not know: what a server serves; it is the same for one that keeps data and for a Sentinel.
"""

import socket
from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import ConfigError
from gossamer.engine.client import GATE_AUTHENTICATION, GATE_SUBSCRIBED, Client
from gossamer.engine.config import NORMAL, PUBSUB, Config
from gossamer.engine.engine import Engine
from gossamer.server.connection import EARLY_FLUSH_BYTES, FREE_REPLY_BYTES, TlsError, Transport
from gossamer.server.log import Log
from gossamer.server.loop import Loop
from gossamer.server.process import grant_descriptors

DESCRIPTORS_RESERVED: Final = 32
UNAUTHENTICATED_OUTPUT_BYTES: Final = 17 * 1024  # unread, as the real servers since 2025
TLS_DIRECTIVES: Final = (
    "tls-port", "tls-cert-file", "tls-key-file", "tls-key-file-pass", "tls-dh-params-file", "tls-ca-cert-file",
    "tls-ca-cert-dir", "tls-auth-clients", "tls-cluster", "tls-replication", "tls-protocols", "tls-ciphers",
    "tls-ciphersuites", "tls-prefer-server-ciphers", "tls-session-caching",
)  # fmt: skip
DENIED: Final = (
    b"-DENIED Redis is running in protected mode because protected mode is enabled and no password is set for the "
    b"default user. In this mode connections are only accepted from the loopback interface. If you want to connect "
    b"from external computers to Redis you may adopt one of the following solutions: 1) Just disable protected mode "
    b"sending the command 'CONFIG SET protected-mode no' from the loopback interface by connecting to Redis from the "
    b"same host the server is running, however MAKE SURE Redis is not publicly accessible from internet if you do "
    b"so. Use CONFIG REWRITE to make this change permanent. 2) Alternatively you can just disable the protected mode "
    b"by editing the Redis configuration file, and setting the protected mode option to 'no', and then restarting "
    b"the server. 3) If you started the server manually just for testing, restart it with the '--protected-mode no' "
    b"option. 4) Setup a an authentication password for the default user. NOTE: You only need to do one of the above "
    b"things in order for the server to start accepting connections from the outside.\r\n"
)


@final
class Reception:
    """The door of one server. `follow_config()` once, before anybody is welcome."""

    def __init__(self, engine: Engine, loop: Loop, config: Config, log: Log) -> None:
        self.engine: Engine = engine
        self.loop: Loop = loop
        self.config: Config = config
        self.log: Log = log
        self.maxclients: i64 = config.number("maxclients")
        self.tcp_keepalive_s: int = 0
        self.tls_context: object = None
        self.protected: bool = True
        self.output_limits: list[tuple[int, int, int]] = []

    # -- configuration ------------------------------------------------------------------------------------

    def follow_config(self) -> None:
        """Take every directive that has an effect at run time, now and whenever it changes."""
        config = self.config
        for names, listener in (
            (("protected-mode",), self.apply_access),
            (("maxclients",), self.apply_maxclients),
            (("client-output-buffer-limit",), self.apply_output_limits),
            (("tcp-keepalive",), self.apply_keepalive),
            (TLS_DIRECTIVES, self.apply_tls),
        ):
            for name in names:
                config.on_change(name, listener)
            listener()

    def apply_access(self) -> None:
        self.protected = self.config.flag("protected-mode")

    def apply_maxclients(self) -> None:
        wanted = self.config.number("maxclients")
        granted = grant_descriptors(wanted + DESCRIPTORS_RESERVED) - DESCRIPTORS_RESERVED
        if granted < wanted and wanted > self.maxclients:
            raise ConfigError(
                "The operating system is not able to handle the specified number of clients, "
                f"try with {granted}"
            )
        self.maxclients = wanted

    def apply_output_limits(self) -> None:
        self.output_limits = [self.config.output_buffer_limit(i) for i in range(3)]
        limits = [limit for hard, soft, _ in self.output_limits for limit in (hard, soft) if limit]
        self.loop.reply_watch_bytes = max(FREE_REPLY_BYTES, min([EARLY_FLUSH_BYTES, *limits]))

    def apply_keepalive(self) -> None:
        self.tcp_keepalive_s = self.config.number("tcp-keepalive")

    def raise_descriptor_limit(self) -> None:
        """Make room for maxclients descriptors, or lower maxclients to what the system grants."""
        granted = grant_descriptors(int(self.maxclients) + DESCRIPTORS_RESERVED) - DESCRIPTORS_RESERVED
        if granted < self.maxclients:
            self.maxclients = max(1, granted)
            self.config.put("maxclients", int(self.maxclients))
            self.log.warning(
                f"maxclients has been reduced to {self.maxclients} to fit the limit of open files."
            )

    # -- sockets ------------------------------------------------------------------------------------------

    def welcome(self, sock: socket.socket, peer: bytes, local: bytes, over_tls: bool) -> None:
        """Make a client of an accepted socket, or refuse it."""
        statistics = self.engine.statistics
        is_unix = sock.family == socket.AF_UNIX
        if i64(len(self.engine.clients)) >= self.maxclients:
            statistics.connections_rejected += 1
            refuse(sock, b"-ERR max number of clients reached\r\n")
            return
        if (
            self.protected
            and self.engine.acl.default.needs_no_password
            and not is_unix
            and not is_loopback(peer)
        ):
            statistics.connections_rejected += 1
            refuse(sock, DENIED)
            return
        statistics.connections_received += 1
        if not is_unix:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.tcp_keepalive_s:
                set_keepalive(sock, self.tcp_keepalive_s)
        connection = self.loop.adopt(sock, peer, local)
        if over_tls:
            connection.tls = self.new_transport()
        connection.client.over_unix_socket = is_unix

    def new_transport(self) -> Transport:
        """TLS for one more connection, by the settings of now."""
        from gossamer.server import tls

        if self.tls_context is None:
            self.tls_context = tls.server_context(self.config)
        return tls.new_transport(self.tls_context)

    def apply_tls(self) -> None:
        """The certificates or their settings changed: build the context again, at once if it is in use."""
        self.tls_context = None
        if self.config.number("tls-port"):
            from gossamer.server import tls

            try:
                self.tls_context = tls.server_context(self.config)
            except TlsError as error:
                self.log.warning(str(error))
                raise ConfigError("Unable to update TLS configuration. Check server logs.") from error

    def output_limit_reached(self, client: Client, pending_bytes: i64) -> bool:
        """Whether a client must be closed for the replies that it does not read (client-output-buffer-limit).

        One that has not logged in where it must gets no more than UNAUTHENTICATED_OUTPUT_BYTES.
        """
        if client.is_replica:
            return False  # server/replication.py judges by what is left of the stream
        if client.gate & GATE_AUTHENTICATION and pending_bytes > UNAUTHENTICATED_OUTPUT_BYTES:
            return True
        hard, soft, seconds = self.output_limits[PUBSUB if client.gate & GATE_SUBSCRIBED else NORMAL]
        if hard and pending_bytes >= hard:
            return True
        if not soft or pending_bytes < soft:
            client.soft_limit_since_us = 0
            return False
        now_us: i64 = self.engine.now_us
        if client.soft_limit_since_us == 0:
            client.soft_limit_since_us = now_us
        return now_us - client.soft_limit_since_us > seconds * 1_000_000


def refuse(sock: socket.socket, message: bytes) -> None:
    """Say why, as far as the kernel takes it at once, and close."""
    try:
        sock.setblocking(False)
        sock.send(message)
    except OSError:
        pass
    sock.close()


def is_loopback(peer: bytes) -> bool:
    return peer.startswith((b"127.", b"[::1]", b"[::ffff:127."))


def set_keepalive(sock: socket.socket, interval_s: int) -> None:
    """First probe after interval_s, then three more at a third of it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_KEEPIDLE"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, interval_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, interval_s // 3))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
