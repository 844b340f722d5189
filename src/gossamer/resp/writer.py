"""Replies: RESP2 and RESP3 bytes, appended to one buffer per connection.

It owns the shapes of replies and nothing else: which protocol version a client speaks is the only state beside
the buffer. A command calls one method per reply element; the same calls give both protocols.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64, u8

from gossamer.base.numbers import format_double, format_int, write_decimal

_SMALL: Final = 1024
_INTEGERS: Final = [b":%d\r\n" % n for n in range(_SMALL)]
_BULK_HEADS: Final = [b"$%d\r\n" % n for n in range(_SMALL)]
_LATER_BULK_HEADS: Final = [b"\r\n$%d\r\n" % n for n in range(_SMALL)]  # behind another bulk string
_ARRAY_HEADS: Final = [b"*%d\r\n" % n for n in range(_SMALL)]


@final
class ReplyWriter:
    """Appends replies to `out`; `protocol` is 2 or 3, `compat` chooses how doubles are spelled."""

    def __init__(self, compat: i64 = 72) -> None:
        self.out: BytesWriter = BytesWriter()
        self.protocol: i64 = 2
        self.compat: i64 = compat

    def renew(self) -> None:
        """Give the memory of a large reply back."""
        self.out = BytesWriter()

    def raw(self, data: bytes) -> None:
        """Append bytes that are a reply already."""
        self.out.write(data)

    def ok(self) -> None:
        self.out.write(b"+OK\r\n")

    def simple(self, text: bytes) -> None:
        out = self.out
        out.append(43)
        out.write(text)
        out.write(b"\r\n")

    def error(self, message: bytes) -> None:
        """An error reply; line breaks in the message become blanks."""
        out = self.out
        if b"\n" in message or b"\r" in message:
            message = message.replace(b"\r", b" ").replace(b"\n", b" ")
        out.append(45)
        out.write(message)
        out.write(b"\r\n")

    def integer(self, value: i64) -> None:
        if 0 <= value < _SMALL:
            self.out.write(_INTEGERS[value])
            return
        out = self.out
        out.append(58)
        write_decimal(out, value)
        out.write(b"\r\n")

    def integer_text(self, text: bytes) -> None:
        """An integer whose decimal text is at hand."""
        out = self.out
        out.append(58)
        out.write(text)
        out.write(b"\r\n")

    def head(self, mark: i64, length: i64) -> None:
        """A type byte, a length and CRLF."""
        out = self.out
        out.append(u8(mark & 0xFF))
        out.write(format_int(length))
        out.write(b"\r\n")

    def bulk(self, value: bytes) -> None:
        out = self.out
        n: i64 = len(value)
        if n < _SMALL:
            out.write(_BULK_HEADS[n])
        else:
            self.head(36, n)
        out.write(value)
        out.write(b"\r\n")

    def bulk_or_null(self, value: bytes | None) -> None:
        if value is None:
            self.null()
        else:
            self.bulk(value)

    def bulk_integer(self, value: i64) -> None:
        """An integer as a bulk string."""
        self.bulk(format_int(value))

    def null(self) -> None:
        self.out.write(b"$-1\r\n" if self.protocol == 2 else b"_\r\n")

    def null_array(self) -> None:
        self.out.write(b"*-1\r\n" if self.protocol == 2 else b"_\r\n")

    def array(self, length: i64) -> None:
        if length < _SMALL:
            self.out.write(_ARRAY_HEADS[length])
        else:
            self.head(42, length)

    def map(self, pairs: i64) -> None:
        if self.protocol == 2:
            self.array(2 * pairs)
        else:
            self.head(37, pairs)

    def set(self, length: i64) -> None:
        if self.protocol == 2:
            self.array(length)
        else:
            self.head(126, length)

    def push(self, length: i64) -> None:
        if self.protocol == 2:
            self.array(length)
        else:
            self.head(62, length)

    def double(self, value: float) -> None:
        text = format_double(value, self.compat)
        if self.protocol == 2:
            self.bulk(text)
            return
        out = self.out
        out.append(44)
        out.write(text)
        out.write(b"\r\n")

    def boolean(self, value: bool) -> None:
        if self.protocol == 2:
            self.integer(1 if value else 0)
        else:
            self.out.write(b"#t\r\n" if value else b"#f\r\n")

    def verbatim(self, kind: bytes, text: bytes) -> None:
        """Text with a three-letter kind (`txt`, `mkd`)."""
        if self.protocol == 2:
            self.bulk(text)
            return
        self.head(61, i64(len(text)) + 4)
        out = self.out
        out.write(kind)
        out.append(58)
        out.write(text)
        out.write(b"\r\n")

    def big_number(self, digits: bytes) -> None:
        """An integer of any size, by its decimal digits."""
        if self.protocol == 2:
            self.bulk(digits)
            return
        self.out.append(40)
        self.out.write(digits)
        self.out.write(b"\r\n")

    def bulks(self, values: list[bytes]) -> None:
        """Bulk strings one after another, without a head."""
        out = self.out
        follows: bool = False
        for value in values:
            n: i64 = len(value)
            if follows and n < _SMALL:
                out.write(_LATER_BULK_HEADS[n])  # one call for two
            else:
                if follows:
                    out.write(b"\r\n")
                self.head(36, n)
                follows = True
            out.write(value)
        if follows:
            out.write(b"\r\n")

    def bulk_array(self, values: list[bytes]) -> None:
        self.array(len(values))
        self.bulks(values)

    def simple_array(self, lines: tuple[bytes, ...]) -> None:
        """An array of simple strings (HELP)."""
        self.array(len(lines))
        for line in lines:
            self.simple(line)

    def simple_set(self, values: list[bytes]) -> None:
        """A set of simple strings (flags of COMMAND and ACL)."""
        self.set(len(values))
        for value in values:
            self.simple(value)
