"""A Sentinel's connections to what it watches: bytes to the machine's replies, its commands to bytes.

Owns sockets, TLS, the matching of replies with what was asked. Must not know what is said.

Invariants: replies on a commands connection meet their requests in order; a connection that is closed, by either side,
is heard of no more. What a server sends is bounded (REPLY_MAX_BYTES, UNSENT_MAX_BYTES): one that goes beyond is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, final

from gossamer.base.errors import ProtocolError
from gossamer.engine.config import Config
from gossamer.resp.reply_reader import NOTHING, ReplyReader
from gossamer.sentinel.doors import Reply
from gossamer.sentinel.instances import MESSAGES, Connection, Request
from gossamer.sentinel.machine import Sentinel
from gossamer.server.connection import TlsError
from gossamer.server.log import Log
from gossamer.server.loop import Loop
from gossamer.server.outgoing import OutgoingConnection, OutgoingHandler

REPLY_MAX_BYTES: Final = 32 * 1024 * 1024  # an INFO of a primary with thousands of replicas has less
UNSENT_MAX_BYTES: Final = 1024 * 1024


def request_bytes(argv: list[bytes]) -> bytes:
    """A command as it is sent."""
    parts = [b"*%d\r\n" % len(argv)]
    for word in argv:
        parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(parts)


@final
class SentinelConnection(OutgoingHandler):
    """One socket, the handle of one Connection of the machine."""

    def __init__(self, links: SentinelLinks, connection: Connection) -> None:
        self.links: SentinelLinks = links
        self.connection: Connection = connection
        self.outgoing: OutgoingConnection = OutgoingConnection(links.loop, self)
        self.reader: ReplyReader = ReplyReader(REPLY_MAX_BYTES)
        self.requests: deque[Request] = deque()
        self.is_open: bool = True

    def on_data(self, data: bytes) -> None:
        self.reader.feed(data)
        while self.is_open:
            try:
                value = self.reader.next()
            except ProtocolError as error:
                self.lose("Protocol error: " + error.reason.decode("latin-1"))
                return
            if value is NOTHING:
                return
            try:
                self.take(value)
            except Exception as bug:  # ours: it costs one connection, not the Sentinel
                self.links.log.warning(f"A bug in what follows a reply: {bug!r}")
                self.lose("the reply could not be taken")

    def take(self, reply: Reply) -> None:
        """One reply or message."""
        links = self.links
        machine = links.machine
        assert machine is not None
        if self.connection.purpose == MESSAGES:
            machine.on_message(self.connection, reply, links.now_ms())
        elif self.requests:
            machine.on_reply(self.connection, self.requests.popleft(), reply, links.now_ms())
        else:
            self.lose("a reply to nothing")

    def on_lost(self, reason: str) -> None:
        if not self.is_open:
            return
        links = self.links
        self.forget()
        machine = links.machine
        assert machine is not None
        machine.on_lost(self.connection, reason, links.now_ms())

    def lose(self, reason: str) -> None:
        """Give it up from this side, and say so."""
        self.outgoing.close()
        self.on_lost(reason)

    def forget(self) -> None:
        self.is_open = False
        self.requests.clear()
        self.connection.handle = None
        self.links.connections.discard(self)


class SentinelLinks:
    """All connections of a Sentinel. `machine` is set before the first of them."""

    def __init__(self, loop: Loop, config: Config, log: Log, now_ms: Callable[[], int]) -> None:
        self.loop: Loop = loop
        self.log: Log = log
        self.config: Config = config
        self.now_ms: Callable[[], int] = now_ms
        self.machine: Sentinel | None = None
        self.connections: set[SentinelConnection] = set()

    def open(self, connection: Connection) -> None:
        """Begin to connect; raises OSError where that is plain at once."""
        made = SentinelConnection(self, connection)
        address = connection.instance.address
        made.outgoing.connect(address.ip, address.port, self.tls_context(), self.source())
        connection.handle = made
        self.connections.add(made)

    def tls_context(self) -> object | None:
        """TLS by the settings of now, where `tls-replication` asks for it."""
        if not self.config.flag("tls-replication"):
            return None
        from gossamer.server import tls

        try:
            return tls.client_context(self.config)
        except TlsError as error:
            raise OSError(0, str(error)) from None

    def source(self) -> bytes:
        """The address to come from: `bind-source-addr`, else whatever the system takes."""
        return self.config.text("bind-source-addr")

    def close(self, connection: Connection) -> None:
        made = handle_of(connection)
        if made is not None:
            made.forget()
            made.outgoing.close()

    def send(self, connection: Connection, argv: list[bytes], request: Request) -> bool:
        """Send a command now or when the connection is made; False where it is gone or takes nothing any more."""
        made = handle_of(connection)
        if made is None or made.outgoing.unsent_bytes > UNSENT_MAX_BYTES:
            return False
        if connection.purpose != MESSAGES:
            made.requests.append(request)
        made.outgoing.send(request_bytes(argv))
        return True

    def local_host(self, connection: Connection) -> bytes:
        made = handle_of(connection)
        return made.outgoing.local_host() if made is not None else b""

    def close_all(self) -> None:
        for made in list(self.connections):
            self.close(made.connection)


def handle_of(connection: Connection) -> SentinelConnection | None:
    """The socket behind a connection; None once it is gone."""
    made = connection.handle
    return made if isinstance(made, SentinelConnection) else None
