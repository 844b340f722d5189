"""One connection: bytes in, requests to the engine, replies out.

Owns the socket, the request parser and what could not be sent yet. Replies gather in the client's writer and
leave once per loop iteration, for all connections together, after what must be durable is durable.

Invariants: `unsent` is empty unless the kernel refused bytes, and then the poller watches for WRITE; a closed
connection never touches its socket again.
"""

import os
import socket
from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import GossamerError, ProtocolError
from gossamer.engine.client import GATE_AUTHENTICATION, GATE_LARGE_REQUEST, Client, ClientDoor
from gossamer.engine.engine import Engine
from gossamer.resp.parser import RequestParser
from gossamer.server.poller import READ, WRITE

if TYPE_CHECKING:
    from gossamer.server.loop import Loop


class TlsError(GossamerError):
    """The peer broke the TLS protocol or was refused; or TLS settings cannot be used."""


@mypyc_attr(allow_interpreted_subclasses=True)
class Transport:
    """What TLS does to a connection's bytes; server/tls.py has the real one (and imports ssl only when asked)."""

    ended: bool

    def start(self) -> bytes:
        """The first bytes of the side that connects."""
        raise NotImplementedError

    def is_established(self) -> bool:
        """Whether the handshake is over."""
        raise NotImplementedError

    def receive(self, ciphertext: bytes) -> bytes:
        """Plaintext of what arrived; raises TlsError."""
        raise NotImplementedError

    def send(self, plaintext: bytes) -> bytes:
        """Ciphertext to send."""
        raise NotImplementedError

    def output(self) -> bytes:
        """What the protocol itself has to send now."""
        raise NotImplementedError

    def close(self) -> bytes:
        """The bytes that say goodbye."""
        raise NotImplementedError


EARLY_FLUSH_BYTES: Final = 1 << 20
READ_BYTES: Final = 16384
FREE_REPLY_BYTES: Final = 16384  # never too much at once: the real servers keep it within the client
SMALL_READ_BYTES: Final = 980
SMALL_READS: Final = 8  # in a row, before reads become small
# Bound once: looking a name up in a module costs as much as a short request.
_read: Final = os.read
_write: Final = os.write


class Endpoint:
    """Something with a descriptor that the loop calls when it is ready."""

    def on_readable(self) -> None:
        raise NotImplementedError

    def on_writable(self) -> None:
        """The kernel takes bytes again."""


def is_blocked(client: Client) -> bool:
    """Whether a command of the client waits. A question of its own: running a command changes the answer, and a
    comparison with None in place would be taken as settled by the compiler."""
    return client.blocked_command is not None


@final
class ConnectionDoor(ClientDoor):
    """The engine's way to a connection."""

    def __init__(self, connection: "Connection") -> None:
        self.connection: Connection = connection

    def close(self) -> None:
        self.connection.close()

    def flush(self) -> None:
        self.connection.flush()

    def resume(self) -> None:
        self.connection.resume()

    def unsent_bytes(self) -> i64:
        return self.connection.unsent_size

    def input_bytes(self) -> i64:
        connection = self.connection
        taken: i64 = connection.parser.position if connection.processing else 0
        return connection.parser.buffered_bytes() + taken

    def is_over_output_limit(self) -> bool:
        return self.connection.is_over_output_limit()


@final
class Connection(Endpoint):
    """A client's socket."""

    def __init__(self, loop: "Loop", engine: Engine, sock: socket.socket, client: Client) -> None:
        self.loop: Loop = loop
        self.engine: Engine = engine
        self.socket: socket.socket = sock
        self.descriptor: int = sock.fileno()
        self.client: Client = client
        self.parser: RequestParser = RequestParser(engine.limits)
        self.unsent: list[bytes] = []
        self.unsent_size: i64 = 0
        self.tls: Transport | None = None
        self.closed: bool = False
        self.read_bytes: i64 = READ_BYTES
        self.small_reads: i64 = 0
        self.processing: bool = False
        client.door = ConnectionDoor(self)

    def on_readable(self) -> None:
        asked: i64 = self.parser.wanted_bytes()
        if asked == 0:
            asked = self.read_bytes
        try:
            data = _read(self.descriptor, asked)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self.close()
            return
        if not data:
            self.close()
            return
        if self.tls is not None:
            data = self.receive_tls(self.tls, data)
            if not data:
                return
        engine = self.engine
        client = self.client
        client.last_interaction_us = engine.now_us
        size: i64 = len(data)
        self.adapt_reads(size)
        client.input_total_bytes += size
        engine.statistics.input_bytes += size
        engine.statistics.reads_processed += 1
        self.parser.feed(data)
        buffered: i64 = self.parser.buffered_bytes()
        if buffered > engine.statistics.input_buffer_peak:
            engine.statistics.input_buffer_peak = buffered
        if buffered >= engine.large_requests.watch_above:
            client.gate |= GATE_LARGE_REQUEST
        elif client.gate & GATE_LARGE_REQUEST:
            client.gate &= ~GATE_LARGE_REQUEST
        if engine.client_memory.limit_bytes:
            engine.client_memory.note(client)
            engine.client_memory.evict()
            if self.closed:
                return
        self.process_input()

    def adapt_reads(self, size: i64) -> None:
        """Ask for little while requests are short: the allocator is much faster with small pieces."""
        if size > SMALL_READ_BYTES or size == self.read_bytes:
            self.read_bytes = READ_BYTES
            self.small_reads = 0
        elif self.small_reads < SMALL_READS:
            self.small_reads += 1
            if self.small_reads == SMALL_READS:
                self.read_bytes = SMALL_READ_BYTES

    def process_input(self) -> None:
        """Run the requests that are complete, until the client is blocked, paused or closing."""
        client = self.client
        if self.processing or is_blocked(client) or client.close_after_reply:
            return
        self.processing = True
        engine = self.engine
        parser = self.parser
        parser.authenticated = client.authenticated
        reply = client.reply
        try:
            while True:
                argv = parser.next()
                if argv is None:
                    break
                engine.execute(client, argv)
                engine.statistics.commands_processed += 1
                client.commands_processed += 1
                if client.gate != 0 or is_blocked(client) or self.closed:
                    if self.closed or client.close_after_reply or is_blocked(client):
                        break
                if not parser.authenticated:
                    parser.authenticated = client.authenticated
                if i64(len(reply.out)) > self.loop.reply_watch_bytes:
                    if self.is_over_output_limit():
                        break
                    if i64(len(reply.out)) > EARLY_FLUSH_BYTES:
                        self.loop.hooks.before_flush()  # no reply leaves before what it promises is durable
                        self.flush()
                    if self.closed:
                        break
        except ProtocolError as error:
            reply.error(b"ERR Protocol error: " + error.reason)
            client.close_soon()
        self.processing = False
        if self.closed:
            return
        if not client.pending:
            client.pending = True
            engine.pending.append(client)

    def check_input_limit(self) -> None:
        buffered: i64 = self.parser.buffered_bytes()
        if not self.closed and buffered > self.engine.limits.client_query_buffer_limit_bytes:
            self.engine.statistics.query_buffer_limit_disconnections += 1
            self.loop.note_closing(self.client, "Closing client that reached max query buffer length")
            self.close()

    def resume(self) -> None:
        """Go on after a block or a pause, at the next turn of the loop."""
        self.loop.resumable.append(self)

    def flush(self) -> None:
        """Send what the client's writer holds."""
        if self.closed:
            return
        client = self.client
        out = client.reply.out
        size: i64 = len(out)
        if size > self.loop.reply_watch_bytes and self.is_over_output_limit():
            self.loop.close_over_limit(self)
            return
        if size > 0:
            if size > self.engine.statistics.output_buffer_peak:
                self.engine.statistics.output_buffer_peak = size
            data = out.getvalue()
            out.truncate(0)
            if size > 4 * EARLY_FLUSH_BYTES:
                client.reply.renew()
            client.output_total_bytes += size
            self.engine.statistics.output_bytes += size
            if self.tls is not None:
                data = self.tls.send(data)
            self.send(data)
        if client.close_after_reply and not self.unsent:
            self.close()

    def is_over_output_limit(self) -> bool:
        """Whether the replies gathered now are too many: then the next flush() closes the connection instead.

        Replies to a client that has not logged in count only once the kernel refuses them.
        """
        pending: i64 = i64(len(self.client.reply.out))
        if pending <= FREE_REPLY_BYTES or self.client.gate & GATE_AUTHENTICATION:
            return False
        return self.loop.hooks.output_limit_reached(self.client, pending + self.unsent_size)

    def send(self, data: bytes) -> None:
        """Give bytes to the kernel, or keep what it does not take."""
        if self.unsent:
            self.unsent.append(data)
            self.unsent_size += i64(len(data))
            self.loop.check_output_limit(self)
            return
        try:
            sent: i64 = _write(self.descriptor, data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        self.engine.statistics.writes_processed += 1
        size: i64 = len(data)
        if sent < size:
            self.unsent.append(data[sent:] if sent else data)
            self.unsent_size = size - sent
            self.loop.poller.set(self.descriptor, READ | WRITE, True)
            self.loop.check_output_limit(self)

    def on_writable(self) -> None:
        while self.unsent:
            data = self.unsent[0]
            try:
                sent: i64 = _write(self.descriptor, data)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.close()
                return
            self.unsent_size -= sent
            if self.engine.client_memory.limit_bytes:
                self.engine.client_memory.note(self.client)
            self.client.last_interaction_us = self.engine.now_us
            if sent < i64(len(data)):
                self.unsent[0] = data[sent:]
                return
            self.unsent.pop(0)
        self.loop.poller.set(self.descriptor, READ, True)
        if self.client.close_after_reply:
            self.close()

    def receive_tls(self, tls: Transport, data: bytes) -> bytes:
        """Plaintext of what arrived; sends what the handshake asks to be sent."""
        try:
            plaintext = tls.receive(data)
        except TlsError as error:
            self.loop.note_closing(self.client, f"TLS error: {error}")
            self.send(tls.output())  # the alert that tells the peer why
            self.close()
            return b""
        answer = tls.output()
        if answer:
            self.send(answer)
        if tls.ended and not plaintext:
            self.close()
        return plaintext

    def close(self) -> None:
        """Close the socket and forget the client."""
        if self.closed:
            return
        if self.tls is not None and not self.unsent:
            try:
                _write(self.descriptor, self.tls.close())
            except OSError:
                pass  # the peer is gone, or its window is full: nobody needs the goodbye then
        self.closed = True
        self.loop.forget(self)
        self.engine.free_client(self.client)
        self.unsent = []
        self.unsent_size = 0
        self.client.door = ClientDoor()  # no cycle may stay: the collector is off
        self.socket.close()
