"""Requests: bytes from a client, split anywhere, become argument lists.

Owns the request side of RESP (Redis: "Serialization protocol specification", inline commands included) and its
limits. It keeps what is incomplete and never looks at a byte twice; a declared length allocates nothing: a long
argument is collected in the pieces in which it arrives.

    *2\\r\\n$4\\r\\nLLEN\\r\\n$1\\r\\nx\\r\\n   ->  [b"LLEN", b"x"]
    LLEN "x"\\r\\n                        ->  [b"LLEN", b"x"]

Invariants: bytes before `position` are consumed; `argv` holds the arguments complete so far and `remaining` how
many are to come (0: between requests); while `missing > 0` the argument being read lies in `pieces`.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import ProtocolError
from gossamer.base.limits import Limits
from gossamer.base.numbers import is_int64, to_int64
from gossamer.base.quoting import split_arguments

INLINE_MAX_BYTES: Final = 64 * 1024
LARGE_ARGUMENT_BYTES: Final = 32 * 1024
MAX_ARGUMENTS: Final = 0x7FFFFFFF
UNAUTHENTICATED_MAX_ARGUMENTS: Final = 10
UNAUTHENTICATED_MAX_BULK_BYTES: Final = 16384

_INCOMPLETE: Final = -(1 << 60)
_MALFORMED: Final = _INCOMPLETE - 1


def read_length(data: bytes, start: i64) -> tuple[i64, i64]:
    """The number at `start` up to CR LF, and the position behind it; or _INCOMPLETE or _MALFORMED."""
    size: i64 = len(data)
    value: i64 = 0
    i: i64 = start
    while i < size:
        c: i64 = i64(data[i])
        if 48 <= c <= 57 and i - start < 18:
            value = value * 10 + (c - 48)
            i += 1
            continue
        if c == 13 and i > start and (data[start] != 48 or i == start + 1):
            if i + 1 >= size:
                return _INCOMPLETE, start
            return value, i + 2
        return read_odd_length(data, start)
    return _INCOMPLETE, start


def read_odd_length(data: bytes, start: i64) -> tuple[i64, i64]:
    """As read_length, for what is negative, malformed or very long."""
    end: i64 = find_line_end(data, b"\r", start)
    if end < 0 or end + 1 >= i64(len(data)):
        return _INCOMPLETE, start
    text = data[start:end]
    if not is_int64(text):
        return _MALFORMED, start
    return to_int64(text), end + 2


def find_line_end(data: bytes, end_mark: bytes, start: i64) -> i64:
    """Where the line ends, or -1. Redis sees no line's end behind a NUL."""
    end: i64 = data.find(end_mark, start)
    if end >= 0 and data.find(b"\x00", start, end) >= 0:
        return -1
    return end


def line_bytes(data: bytes, start: i64) -> i64:
    """How many bytes of a count line had come before it could be read: up to its CR, or all there are."""
    end: i64 = find_line_end(data, b"\r", start)
    return i64(len(data)) - start if end < 0 else end + 1 - start


@final
class RequestParser:
    """Feed it bytes, then call next() until it answers None."""

    def __init__(self, limits: Limits) -> None:
        self.limits: Limits = limits
        self.authenticated: bool = True  # an unauthenticated client gets the tighter limits
        self.buffer: bytes = b""
        self.position: i64 = 0
        self.argv: list[bytes] = []
        self.remaining: i64 = 0
        self.bulk_bytes: i64 = -1
        self.pieces: list[bytes] = []
        self.missing: i64 = 0
        self.pieces_bytes: i64 = 0
        self.argv_bytes: i64 = 0
        self.waiting: list[bytes] = []  # arrived behind `buffer`, joined to it when it is next looked at
        self.waiting_bytes: i64 = 0

    def buffered_bytes(self) -> i64:
        """Bytes held for requests that are not complete or not taken yet (client-query-buffer-limit)."""
        size: i64 = i64(len(self.buffer)) - self.position + self.waiting_bytes
        return size + self.pieces_bytes + self.argv_bytes

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.missing > 0:
            size: i64 = len(data)
            if size < self.missing:
                self.pieces.append(data)
                self.pieces_bytes += size
                self.missing -= size
                return
            self.pieces.append(data[: self.missing])
            data = data[self.missing :]
            self.finish_large_argument()
        if self.position == i64(len(self.buffer)) and not self.waiting:
            self.buffer = data
            self.position = 0
        else:
            self.waiting.append(data)
            self.waiting_bytes += i64(len(data))

    def take_waiting(self) -> None:
        """Join what has arrived behind an incomplete request to it."""
        self.waiting.insert(0, self.buffer[self.position :])
        self.buffer = b"".join(self.waiting)
        self.position = 0
        self.waiting = []
        self.waiting_bytes = 0

    def wanted_bytes(self) -> i64:
        """How much the next read should ask for where a long argument is under way, else 0."""
        return min(self.missing, 1 << 20) if self.missing > LARGE_ARGUMENT_BYTES else 0

    def next(self) -> list[bytes] | None:
        """The next complete request, never empty; None until more bytes are fed. Raises ProtocolError."""
        if self.waiting:
            self.take_waiting()
        while self.missing == 0:
            if self.remaining == 0 and not self.argv:
                if self.position >= i64(len(self.buffer)):
                    return None
                if self.buffer[self.position] != 42:
                    argv = self.next_inline()
                    if argv is None or argv:
                        return argv
                    continue
                if not self.start_request():
                    return None
                if self.remaining <= 0:
                    self.remaining = 0
                    continue
            if not self.read_arguments():
                return None
            argv = self.argv
            self.argv = []
            self.argv_bytes = 0
            return argv
        return None

    def start_request(self) -> bool:
        """Read `*<count>`; False where it is incomplete."""
        count, after = read_length(self.buffer, self.position + 1)
        if count == _INCOMPLETE or count == _MALFORMED:
            if line_bytes(self.buffer, self.position) > INLINE_MAX_BYTES:
                raise ProtocolError(b"too big mbulk count string")
            if count == _INCOMPLETE:
                return False
        if count == _MALFORMED or count > MAX_ARGUMENTS:
            raise ProtocolError(b"invalid multibulk length")
        if not self.authenticated and count > UNAUTHENTICATED_MAX_ARGUMENTS:
            raise ProtocolError(b"unauthenticated multibulk length")
        self.position = after
        self.remaining = count
        return True

    def read_arguments(self) -> bool:
        """Read the arguments of the request under way; False where they are not all there."""
        buffer = self.buffer
        size: i64 = len(buffer)
        position: i64 = self.position
        argv = self.argv
        while self.remaining > 0:
            length: i64 = self.bulk_bytes
            if length < 0:
                if position >= size:
                    break
                if buffer[position] != 36:
                    end_of_line: i64 = find_line_end(buffer, b"\r", position)
                    if line_bytes(buffer, position) > INLINE_MAX_BYTES:
                        raise ProtocolError(b"too big bulk count string")
                    if end_of_line < 0 or end_of_line + 1 >= size:
                        break
                    raise ProtocolError(b"expected '$', got '" + buffer[position : position + 1] + b"'")
                length, after = read_length(buffer, position + 1)
                if length < 0 or length > UNAUTHENTICATED_MAX_BULK_BYTES:
                    if length == _INCOMPLETE or length == _MALFORMED:
                        if line_bytes(buffer, position) > INLINE_MAX_BYTES:
                            raise ProtocolError(b"too big bulk count string")
                        if length == _INCOMPLETE:
                            break
                    self.check_bulk_length(length)
                position = after
                self.bulk_bytes = length
            end: i64 = position + length
            if end + 2 > size:
                if length > LARGE_ARGUMENT_BYTES:
                    position = self.start_large_argument(position, length)
                break
            argv.append(buffer[position:end])
            self.argv_bytes += length
            position = end + 2
            self.bulk_bytes = -1
            self.remaining -= 1
        self.position = position
        return self.remaining == 0

    def check_bulk_length(self, length: i64) -> None:
        if length < 0 or length > self.limits.proto_max_bulk_len_bytes:
            raise ProtocolError(b"invalid bulk length")
        if not self.authenticated:
            raise ProtocolError(b"unauthenticated bulk length")

    def start_large_argument(self, position: i64, length: i64) -> i64:
        """Move what has arrived of a long argument (and its CR LF) aside, to be collected in pieces."""
        piece = self.buffer[position:]
        self.pieces = [piece]
        self.pieces_bytes = len(piece)
        self.missing = length + 2 - self.pieces_bytes
        return i64(len(self.buffer))

    def finish_large_argument(self) -> None:
        length: i64 = self.bulk_bytes
        whole = b"".join(self.pieces)
        self.argv.append(whole[:length])
        self.argv_bytes += length
        self.pieces = []
        self.pieces_bytes = 0
        self.missing = 0
        self.bulk_bytes = -1
        self.remaining -= 1

    def next_inline(self) -> list[bytes] | None:
        """A request typed as a line: its words; an empty list for a blank line; None where it is incomplete."""
        buffer = self.buffer
        size: i64 = len(buffer)
        start: i64 = self.position
        end: i64 = start
        quoted: bool = False
        blank: bool = False
        while end < size:
            c: i64 = i64(buffer[end])
            if c == 10:
                break
            if c <= 32:
                if c == 0:  # Redis sees no line's end behind a NUL
                    end = size
                    break
                blank = blank or c != 13 or (end + 1 < size and buffer[end + 1] != 10)
            elif c == 34 or c == 39:
                quoted = True
            end += 1
        if end == size or end - start > INLINE_MAX_BYTES:
            # A line that came at once is judged as if it had come byte by byte.
            if size - start > INLINE_MAX_BYTES:
                raise ProtocolError(b"too big inline request")
            return None
        self.position = end + 1
        stop: i64 = end
        if stop > start and buffer[stop - 1] == 13:
            stop -= 1
        line = buffer[start:stop]
        if not quoted:
            return line.split() if blank or not line else [line]
        argv = split_arguments(line)
        if argv is None:
            raise ProtocolError(b"unbalanced quotes in request")
        return argv
