"""Connections that this process opens and the loop looks after: to a primary, to what a Sentinel watches.

Owns the socket, the handshake of TLS and what could not be sent yet. Must not know what is said: an OutgoingHandler
hears of the connection, of the bytes and of the loss.

Invariants: after `connect()` the handler hears `on_connected` at most once and before any data, and `on_lost` at most
once and nothing after it; after `close()` it hears nothing. A name is resolved while everybody waits, as in Redis.
"""

import os
import socket
from typing import Final, final

from mypy_extensions import i64

from gossamer.server.connection import Endpoint, TlsError, Transport
from gossamer.server.listener import printable_address
from gossamer.server.loop import Loop
from gossamer.server.poller import READ, WRITE

OUTGOING_READ_BYTES: Final = 64 * 1024
IN_PROGRESS: Final = (0, 115, 36, 11)  # EINPROGRESS of Linux and of the BSDs, EAGAIN of a unix socket


class OutgoingHandler:
    """Who wanted the connection."""

    def on_connected(self) -> None:
        """The other side has taken the connection, and TLS stands where there is any."""

    def on_data(self, data: bytes) -> None:
        """Bytes arrived; never none."""

    def on_lost(self, reason: str) -> None:
        """It could not be made, or it is gone."""


@final
class OutgoingConnection(Endpoint):
    """One attempt to reach one address; for the next attempt take another."""

    def __init__(self, loop: Loop, handler: OutgoingHandler) -> None:
        self.loop: Loop = loop
        self.handler: OutgoingHandler | None = handler
        self.socket: socket.socket | None = None
        self.descriptor: int = -1
        self.connected: bool = False
        self.tls: Transport | None = None
        self.established: bool = False
        self.unsent: list[bytes] = []
        self.unsent_bytes: i64 = 0
        self.watches_write: bool = False
        self.held: bool = False

    def connect(self, host: bytes, port: int, tls_context: object | None = None, source: bytes = b"") -> None:
        """Begin; `source` is the address to come from. Raises OSError where that is plain at once."""
        text = os.fsdecode(host)
        try:
            found = socket.getaddrinfo(text, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise OSError(22, "Invalid host name") from None
        problem: OSError = OSError("no address")
        for family, kind, protocol, _, address in found:
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:
                problem = error
                continue
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if source:
                    sock.bind((os.fsdecode(source), 0))
                error_number = sock.connect_ex(address)
                if error_number not in IN_PROGRESS:
                    raise OSError(error_number, os.strerror(error_number))
            except OSError as error:
                sock.close()
                problem = error
                continue
            self.begin(sock, tls_context)
            return
        raise problem

    def begin(self, sock: socket.socket, tls_context: object | None) -> None:
        self.socket = sock
        self.descriptor = sock.fileno()
        self.loop.add(self.descriptor, self)
        self.watch_write(True)
        if tls_context is not None:
            from gossamer.server import tls

            transport = tls.new_outgoing_transport(tls_context)
            self.tls = transport
            self.unsent.append(transport.start())

    def local_host(self) -> bytes:
        """The address that the other side sees, or nothing."""
        try:
            return os.fsencode(self.socket.getsockname()[0]) if self.socket is not None else b""
        except OSError:
            return b""

    def peer(self) -> bytes:
        """host:port of the other side as CLIENT LIST writes it, or nothing."""
        return name_of(self.socket, True)

    def local(self) -> bytes:
        """host:port of this side."""
        return name_of(self.socket, False)

    def is_closed(self) -> bool:
        """Lost or given up; the loop may call once more in the turn in which that happens."""
        return self.socket is None

    # -- the loop's calls ---------------------------------------------------------------------------------

    def on_writable(self) -> None:
        if self.is_closed() or (not self.connected and not self.complete_connect()):
            return
        while self.unsent:
            data = self.unsent[0]
            try:
                sent = os.write(self.descriptor, data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                self.lose(error.strerror or str(error))
                return
            self.unsent_bytes -= sent
            if sent < len(data):
                self.unsent[0] = data[sent:]
                return
            self.unsent.pop(0)
        self.watch_write(False)

    def complete_connect(self) -> bool:
        """The kernel has made the connection, or given up."""
        sock = self.socket
        assert sock is not None
        error_number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error_number:
            self.lose(os.strerror(error_number))
            return False
        self.connected = True
        if self.tls is None:
            self.establish()
        return self.socket is not None

    def establish(self) -> None:
        self.established = True
        if self.handler is not None:
            self.handler.on_connected()

    def on_readable(self) -> None:
        if self.is_closed() or (not self.connected and not self.complete_connect()):
            return
        try:
            data = os.read(self.descriptor, OUTGOING_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.lose(error.strerror or str(error))
            return
        if not data:
            self.lose("the connection was closed by the other side")
            return
        transport = self.tls
        if transport is not None:
            try:
                data = transport.receive(data)
            except TlsError as refusal:
                self.lose(f"TLS error: {refusal}")
                return
            self.put(transport.output())
            if not self.established and transport.is_established():
                self.establish()
            if transport.ended and not data:
                self.lose("the connection was closed by the other side")
                return
        if data and self.handler is not None:
            self.handler.on_data(data)

    # -- sending ------------------------------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """Give bytes to the kernel, now or as soon as it takes them."""
        self.put(self.tls.send(data) if self.tls is not None else data)

    def put(self, data: bytes) -> None:
        if not data or self.socket is None:
            return
        if self.connected and not self.unsent:
            try:
                sent = os.write(self.descriptor, data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                sent = len(data)  # reading says what happened
            if sent == len(data):
                return
            data = data[sent:]
        self.unsent.append(data)
        self.unsent_bytes += len(data)
        self.watch_write(True)

    def watch_write(self, on: bool) -> None:
        if on != self.watches_write:
            self.watches_write = on
            if not self.held:
                self.loop.poller.set(self.descriptor, READ | WRITE if on else READ, True)

    def hold(self, on: bool) -> None:
        """Read and send nothing for now, or go on."""
        if on == self.held or self.socket is None:
            return
        self.held = on
        if on:
            self.loop.remove(self.descriptor)
        else:
            self.loop.add(self.descriptor, self)
            if self.watches_write:
                self.loop.poller.set(self.descriptor, READ | WRITE, True)

    # -- the end ------------------------------------------------------------------------------------------

    def lose(self, reason: str) -> None:
        handler = self.handler
        self.close()
        if handler is not None:
            handler.on_lost(reason)

    def close(self) -> None:
        """Give the connection up; the handler hears no more."""
        self.handler = None
        sock = self.socket
        if sock is not None:
            self.socket = None
            if not self.held:
                self.loop.remove(self.descriptor)
            sock.close()
        self.unsent = []
        self.unsent_bytes = 0


def name_of(sock: socket.socket | None, of_peer: bool) -> bytes:
    """An end of a socket, as CLIENT LIST writes addresses."""
    if sock is None:
        return b""
    try:
        address = sock.getpeername() if of_peer else sock.getsockname()
    except OSError:
        return b""
    return printable_address(sock.family, address, None)
