"""A raw client of the Redis protocol: requests in, replies out as bytes and as parsed form.

Owns: the smallest honest reader of RESP2 and RESP3. It keeps the exact bytes of every reply, so that two
servers can be compared to the byte, and gives the parsed form for laws and normalizers.
Must not know: Gossamer's own parser (a bug there must not hide here), which server it talks to.
Invariants: a reply's `raw` is exactly what the server sent for it; nothing is decoded, rounded or reordered.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Iterable, Sequence
from typing import Any

Argument = bytes | str | int | float

AGGREGATES = b"*~>%|"
LINES = b"+-:,#(_"
BULKS = b"$=!"


def encode(argv: Sequence[Argument]) -> bytes:
    """One request as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(argv)]
    for argument in argv:
        value = argument if isinstance(argument, bytes) else str(argument).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(value), value))
    return b"".join(parts)


class Reply:
    """One reply. `kind` is its first byte (`b"+"`, `b"$"`, `b"%"` ...), `raw` its exact bytes.

    `value` is bytes for lines and bulks, int for `:`, a list of Reply for aggregates (a map alternates key
    and value), None for each kind of null.
    """

    __slots__ = ("kind", "raw", "value")

    def __init__(self, kind: bytes, value: bytes | int | list[Reply] | None, raw: bytes) -> None:
        self.kind = kind
        self.value = value
        self.raw = raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reply) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        text = repr(self.raw)[2:-1]
        return text if len(text) <= 400 else f"{text[:300]}...({len(self.raw)} bytes)...{text[-60:]}"

    @property
    def is_error(self) -> bool:
        return self.kind in (b"-", b"!")

    @property
    def is_push(self) -> bool:
        return self.kind == b">"

    @property
    def is_null(self) -> bool:
        return self.value is None

    def items(self) -> list[Reply]:
        """The elements of an aggregate; empty for a null and for anything else."""
        return self.value if isinstance(self.value, list) else []

    def plain(self) -> Any:
        """bytes, int, None, and lists of them (a map is a flat list); what laws reason about."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        return self.value


class ProtocolViolation(Exception):
    """The server sent something that is no RESP."""


class _Incomplete(Exception):
    pass


def _line_end(data: bytes | bytearray, position: int) -> int:
    end = data.find(b"\r\n", position)
    if end < 0:
        raise _Incomplete
    return end


def _parse(data: bytes | bytearray, start: int) -> tuple[Reply, int]:
    if start >= len(data):
        raise _Incomplete
    kind = bytes(data[start : start + 1])
    end = _line_end(data, start)
    line = bytes(data[start + 1 : end])
    position = end + 2
    if kind in LINES:
        value: bytes | int | list[Reply] | None = line
        if kind == b":":
            value = int(line)
        elif kind == b"_":
            value = None
        return Reply(kind, value, bytes(data[start:position])), position
    if kind in BULKS:
        length = int(line)
        if length < 0:
            return Reply(kind, None, bytes(data[start:position])), position
        if len(data) < position + length + 2:
            raise _Incomplete
        body = bytes(data[position : position + length])
        if data[position + length : position + length + 2] != b"\r\n":
            raise ProtocolViolation(f"bulk without CRLF: {bytes(data[start : start + 80])!r}")
        position += length + 2
        return Reply(kind, body, bytes(data[start:position])), position
    if kind in AGGREGATES:
        count = int(line)
        if count < 0:
            return Reply(kind, None, bytes(data[start:position])), position
        items: list[Reply] = []
        for _ in range(count * 2 if kind in b"%|" else count):
            item, position = _parse(data, position)
            items.append(item)
        if kind == b"|":  # an attribute precedes the reply it belongs to
            reply, position = _parse(data, position)
            return Reply(reply.kind, reply.value, bytes(data[start:position])), position
        return Reply(kind, items, bytes(data[start:position])), position
    raise ProtocolViolation(f"no RESP type: {bytes(data[start : start + 80])!r}")


def parse_one(data: bytes) -> Reply:
    """The single reply that `data` holds."""
    reply, end = _parse(data, 0)
    if end != len(data):
        raise ProtocolViolation(f"{len(data) - end} bytes after the reply")
    return reply


def take_replies(buffer: bytearray) -> list[Reply]:
    """Remove and return all whole replies at the front of `buffer`."""
    replies: list[Reply] = []
    position = 0
    while position < len(buffer):
        try:
            reply, position = _parse(buffer, position)
        except _Incomplete:
            break
        replies.append(reply)
    del buffer[:position]
    return replies


class WireClient:
    """A blocking connection to a server, with a deadline on every wait."""

    def __init__(
        self,
        port: int,
        host: str = "127.0.0.1",
        protocol: int = 2,
        timeout_s: float = 10.0,
        unix_path: str | None = None,
    ) -> None:
        if unix_path is not None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout_s)
            connection.connect(unix_path)
        else:
            connection = socket.create_connection((host, port), timeout=timeout_s)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.start(connection, timeout_s)
        if protocol == 3:
            reply = self.call("HELLO", "3")
            if reply.is_error:
                raise ProtocolViolation(f"HELLO 3: {reply!r}")

    def start(self, connection: socket.socket, timeout_s: float) -> None:
        """Begin with a socket that is connected."""
        self.socket = connection
        self.timeout_s = timeout_s
        self.closed_by_server = False
        self._buffer = bytearray()
        self._ready: list[Reply] = []

    def __enter__(self) -> WireClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def send_raw(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self.closed_by_server = True

    def send(self, *argv: Argument) -> None:
        self.send_raw(encode(argv))

    def _fill(self, timeout_s: float) -> bool:
        """Read once; False when nothing came within the time or the server closed."""
        if self.closed_by_server:
            return False
        readable, _, _ = select.select([self.socket], [], [], timeout_s)
        if not readable:
            return False
        data = b""
        for _ in range(2):  # a reset may come before the last bytes that were sent
            try:
                data = self.socket.recv(1 << 20)
                break
            except ConnectionResetError:
                continue
        if not data:
            self.closed_by_server = True
            return False
        self._buffer += data
        self._ready += take_replies(self._buffer)
        return True

    def read(self, timeout_s: float | None = None) -> Reply:
        """The next reply, pushes included. ConnectionError when the server closed, TimeoutError when it is
        silent."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not self._ready:
            remaining = deadline - time.monotonic()
            if not self._fill(max(remaining, 0.0)):
                if self.closed_by_server:
                    raise ConnectionError("the server closed the connection")
                if remaining <= 0:
                    raise TimeoutError("no reply")
        return self._ready.pop(0)

    def call(self, *argv: Argument) -> Reply:
        """Send one command and return its reply, skipping pushes."""
        self.send(*argv)
        reply = self.read()
        while reply.is_push:
            reply = self.read()
        return reply

    def pipeline(self, commands: Iterable[Sequence[Argument]]) -> list[Reply]:
        """Send all, then read one reply for each (pushes skipped)."""
        requests = [encode(argv) for argv in commands]
        self.send_raw(b"".join(requests))
        replies: list[Reply] = []
        while len(replies) < len(requests):
            reply = self.read()
            if not reply.is_push:
                replies.append(reply)
        return replies

    def available(self) -> list[Reply]:
        """All replies that have arrived, without waiting."""
        while self._fill(0.0):
            pass
        replies, self._ready = self._ready, []
        return replies

    def read_to_end(self, timeout_s: float | None = None) -> list[Reply]:
        """All replies until the server closes. TimeoutError when it does not."""
        deadline = time.monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not self.closed_by_server:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError("the server did not close the connection")
            self._fill(remaining)
        replies, self._ready = self._ready, []
        return replies
