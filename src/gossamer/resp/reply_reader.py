"""Replies: bytes from a server, split anywhere, become values. The client's side of the protocol.

Owns the reply side of RESP2 and RESP3 (Redis: "Serialization protocol specification") and the limits of what a server
may make us keep. Must not know what was asked.

    +OK  $2 hi     -> b"OK", b"hi"            :7        -> 7            $-1 *-1 _  -> None
    *2 ...         -> [value, value]          %1 k v    -> [k, v]       ~1 v       -> [v]
    -ERR no        -> ErrorReply(b"ERR no")   #t        -> True         ,1.5       -> 1.5
    >3 ...         -> PushReply([...])        =7 txt:abc -> b"abc"      |1 k v     -> nothing: what follows counts

Invariants: bytes before `position` are consumed; `frames` holds the aggregates that are not complete, the outermost
first; bytes that cannot complete what is being read are not looked at again before it can be complete. One reply never
takes more than `limit_bytes` of input: a declared length alone allocates nothing.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import ProtocolError
from gossamer.base.numbers import NotANumber, is_int64, parse_double, to_int64

__all__: Final = ["NOTHING", "ErrorReply", "Nothing", "PushReply", "ReplyReader"]

REPLY_LIMIT_BYTES: Final = 64 * 1024 * 1024
LINE_MAX_BYTES: Final = 64 * 1024
DEPTH_MAX: Final = 32
BIG_NUMBER_MAX_DIGITS: Final = 4000

_ERROR: Final = 45  # -
_ATTRIBUTE: Final = 124  # |
_PUSH: Final = 62  # >
_MAP: Final = 37  # %


@final
class Nothing:
    """What `next()` answers while no reply is complete; there is one, NOTHING."""


@final
class ErrorReply:
    """An error that the server answered: the text without the leading '-'."""

    def __init__(self, message: bytes) -> None:
        self.message: bytes = message

    def code(self) -> bytes:
        """The first word: ERR, BUSY, NOAUTH."""
        return self.message.partition(b" ")[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ErrorReply) and other.message == self.message

    def __hash__(self) -> int:
        return hash(self.message)

    def __repr__(self) -> str:
        return f"ErrorReply({self.message!r})"


@final
class PushReply:
    """What a server says without being asked (RESP3)."""

    def __init__(self, items: list[object]) -> None:
        self.items: list[object] = items

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PushReply) and other.items == self.items

    def __hash__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"PushReply({self.items!r})"


NOTHING: Final = Nothing()
_OPENED: Final = Nothing()  # an aggregate began, or an attribute ended: there is no value yet


@final
class Frame:
    """An aggregate whose elements are still to come."""

    def __init__(self, kind: i64, remaining: i64) -> None:
        self.kind: i64 = kind
        self.remaining: i64 = remaining
        self.items: list[object] = []


@final
class ReplyReader:
    """Feed it bytes, then call next() until it answers NOTHING. After a ProtocolError it is of no more use."""

    def __init__(self, limit_bytes: i64 = REPLY_LIMIT_BYTES) -> None:
        self.limit_bytes: i64 = limit_bytes
        self.buffer: bytes = b""
        self.position: i64 = 0
        self.waiting: list[bytes] = []  # arrived behind `buffer`, joined to it when enough is there
        self.waiting_bytes: i64 = 0
        self.needed: i64 = 0  # so many bytes behind `position` complete what is being read
        self.taken: i64 = 0  # bytes of the reply under way that are consumed
        self.frames: list[Frame] = []

    def feed(self, data: bytes) -> None:
        """Take what has arrived."""
        if self.position == i64(len(self.buffer)) and not self.waiting:
            self.buffer = data
            self.position = 0
        else:
            self.waiting.append(data)
            self.waiting_bytes += i64(len(data))

    def buffered_bytes(self) -> i64:
        """What is kept and no reply yet, the values of an incomplete aggregate aside."""
        return i64(len(self.buffer)) - self.position + self.waiting_bytes

    def next(self) -> object:
        """The next complete reply, or NOTHING until more bytes are fed. Raises ProtocolError."""
        if self.waiting and self.buffered_bytes() >= self.needed:
            self.waiting.insert(0, self.buffer[self.position :])
            self.buffer = b"".join(self.waiting)
            self.position = 0
            self.waiting = []
            self.waiting_bytes = 0
        while True:
            start: i64 = self.position
            value = self.read_one()
            if value is NOTHING:
                return NOTHING
            self.needed = 0
            self.taken += self.position - start
            value = self.settle(value)
            if value is not _OPENED:
                self.taken = 0
                return value

    def settle(self, value: object) -> object:
        """Put a value where it belongs; the whole reply if that completes it, else _OPENED."""
        while value is not _OPENED and self.frames:
            frame = self.frames[len(self.frames) - 1]
            frame.items.append(value)
            frame.remaining -= 1
            if frame.remaining > 0:
                return _OPENED
            self.frames.pop()
            value = finished(frame)
        return value

    def read_one(self) -> object:
        """The scalar or the head of an aggregate at `position`; NOTHING where it is incomplete."""
        buffer = self.buffer
        size: i64 = len(buffer)
        start: i64 = self.position
        if start >= size:
            return NOTHING
        end: i64 = buffer.find(b"\n", start, start + LINE_MAX_BYTES + 2)
        if end < 0:
            if size - start > LINE_MAX_BYTES:
                raise ProtocolError(b"too long a line")
            self.needed = 0
            return NOTHING
        if end < start + 2 or buffer[end - 1] != 13:
            raise ProtocolError(b"a line that does not end in CR LF")
        kind: i64 = i64(buffer[start])
        line = buffer[start + 1 : end - 1]
        if kind == 36 or kind == 61 or kind == 33:  # $ = !
            return self.read_bulk(kind, line, end + 1)
        if self.taken + (end + 1 - start) > self.limit_bytes:
            raise ProtocolError(b"too large a reply")
        if kind == 42 or kind == _MAP or kind == 126 or kind == _PUSH or kind == _ATTRIBUTE:  # * % ~ > |
            opened = self.open_aggregate(kind, line)
            self.position = end + 1
            return opened
        value = scalar(kind, line)
        self.position = end + 1
        return value

    def read_bulk(self, kind: i64, line: bytes, start: i64) -> object:
        """A string of a declared length, whose bytes begin at `start`."""
        length: i64 = length_of(line)
        if length < 0:
            if kind != 36:
                raise ProtocolError(b"a length below zero")
            self.position = start
            return None
        if length > self.limit_bytes or self.taken + length > self.limit_bytes:
            raise ProtocolError(b"too large a reply")
        end: i64 = start + length
        buffer = self.buffer
        if end + 2 > i64(len(buffer)):
            self.needed = end + 2 - self.position
            return NOTHING
        if buffer[end] != 13 or buffer[end + 1] != 10:
            raise ProtocolError(b"a string that does not end where it said")
        self.position = end + 2
        if kind == 33:
            return ErrorReply(buffer[start:end])
        if kind == 61:
            if length < 4 or buffer[start + 3] != 58:
                raise ProtocolError(b"a verbatim string without its kind")
            return buffer[start + 4 : end]
        return buffer[start:end]

    def open_aggregate(self, kind: i64, line: bytes) -> object:
        """Begin an aggregate; one without elements is complete at once."""
        count: i64 = length_of(line)
        if count < 0:
            if kind != 42:
                raise ProtocolError(b"a count below zero")
            return None
        if count > self.limit_bytes:
            raise ProtocolError(b"too large a reply")
        if kind == _MAP or kind == _ATTRIBUTE:
            count *= 2
        frame = Frame(kind, count)
        if count == 0:
            return finished(frame)
        if len(self.frames) >= DEPTH_MAX:
            raise ProtocolError(b"too deep a reply")
        self.frames.append(frame)
        return _OPENED


def finished(frame: Frame) -> object:
    """The value of a complete aggregate."""
    if frame.kind == _ATTRIBUTE:
        return _OPENED
    if frame.kind == _PUSH:
        return PushReply(frame.items)
    return frame.items


def length_of(line: bytes) -> i64:
    """A declared length: -1 or a number that is not negative. Raises ProtocolError."""
    if not is_int64(line):
        raise ProtocolError(b"a length that is no number")
    length: i64 = to_int64(line)
    if length < -1:
        raise ProtocolError(b"a length below zero")
    return length


def scalar(kind: i64, line: bytes) -> object:
    """The value of a reply that is one line. Raises ProtocolError."""
    if kind == 43:  # +
        return line
    if kind == _ERROR:
        return ErrorReply(line)
    if kind == 58:  # :
        if not is_int64(line):
            raise ProtocolError(b"an integer that is none")
        return int(to_int64(line))
    if kind == 95:  # _
        if line:
            raise ProtocolError(b"a null with a value")
        return None
    if kind == 35:  # #
        if line != b"t" and line != b"f":
            raise ProtocolError(b"a truth that is neither t nor f")
        return line == b"t"
    if kind == 44:  # ,
        return double_of(line)
    if kind == 40:  # (
        return big_number_of(line)
    raise ProtocolError(b"an unknown kind of reply")


def double_of(line: bytes) -> float:
    if line == b"nan" or line == b"-nan":
        return float("nan")
    try:
        return parse_double(line)
    except NotANumber:
        raise ProtocolError(b"a double that is none") from None


def big_number_of(line: bytes) -> int:
    digits = line[1:] if line[:1] == b"-" else line
    if not digits.isdigit() or len(digits) > BIG_NUMBER_MAX_DIGITS:
        raise ProtocolError(b"a big number that is none")
    return int(line)
