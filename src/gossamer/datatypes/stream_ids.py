"""Ids of stream entries: what they are, how they are spelled, which comes next.

An id is 16 bytes, milliseconds then sequence, each big-endian and unsigned, so that ids order as bytes do. On the
data path the two numbers are plain `int`s: unboxed by the compiler as long as they are below 2^62.
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_be, write_i64_be
from mypy_extensions import i64

from gossamer.base.errors import GossamerError
from gossamer.base.numbers import format_int, write_decimal

ID_BYTES: Final = 16
ID_MIN: Final = b"\x00" * 16
ID_MAX: Final = b"\xff" * 16
NUMBER_MAX: Final = (1 << 64) - 1
LONGEST_TEXT_BYTES: Final = 127

_TWO_TO_63: Final = 1 << 63
_TWO_TO_64: Final = 1 << 64
_UNBOXED_MAX: Final = (1 << 62) - 1
_BLANKS: Final = b" \t\n\v\f\r"


class NotAnId(GossamerError):
    """The text spells no id."""


def signed64(value: int) -> i64:
    """An unsigned 64-bit number as the signed one of the same bits."""
    return i64(value if value < _TWO_TO_63 else value - _TWO_TO_64)


def unsigned64(value: i64) -> int:
    """A signed 64-bit number as the unsigned one of the same bits."""
    return int(value) if value >= 0 else int(value) + _TWO_TO_64


def make_id(milliseconds: int, sequence: int) -> bytes:
    """The id of two unsigned 64-bit numbers."""
    writer = BytesWriter()
    if milliseconds <= _UNBOXED_MAX and sequence <= _UNBOXED_MAX:
        write_i64_be(writer, i64(milliseconds))
        write_i64_be(writer, i64(sequence))
    else:
        write_i64_be(writer, signed64(milliseconds))
        write_i64_be(writer, signed64(sequence))
    return writer.getvalue()


def id_milliseconds(stream_id: bytes) -> int:
    value: i64 = read_i64_be(stream_id, 0)
    return int(value) if value >= 0 else int(value) + _TWO_TO_64


def id_sequence(stream_id: bytes) -> int:
    value: i64 = read_i64_be(stream_id, 8)
    return int(value) if value >= 0 else int(value) + _TWO_TO_64


def format_number(value: int) -> bytes:
    """The decimal text of an unsigned 64-bit number."""
    if value <= _UNBOXED_MAX:
        return format_int(i64(value))
    return str(value).encode()


def format_id(stream_id: bytes) -> bytes:
    """`milliseconds-sequence`, as replies show an id."""
    milliseconds = id_milliseconds(stream_id)
    sequence = id_sequence(stream_id)
    if milliseconds > _UNBOXED_MAX or sequence > _UNBOXED_MAX:
        return format_number(milliseconds) + b"-" + format_number(sequence)
    writer = BytesWriter()
    write_decimal(writer, i64(milliseconds))
    writer.append(45)
    write_decimal(writer, i64(sequence))
    return writer.getvalue()


def next_id(stream_id: bytes) -> bytes:
    """The least id above this one, which is not ID_MAX."""
    milliseconds = id_milliseconds(stream_id)
    sequence = id_sequence(stream_id)
    if sequence < NUMBER_MAX:
        return make_id(milliseconds, sequence + 1)
    return make_id(milliseconds + 1, 0)


def previous_id(stream_id: bytes) -> bytes:
    """The greatest id below this one, which is not ID_MIN."""
    milliseconds = id_milliseconds(stream_id)
    sequence = id_sequence(stream_id)
    if sequence > 0:
        return make_id(milliseconds, sequence - 1)
    return make_id(milliseconds - 1, NUMBER_MAX)


def parse_number(text: bytes) -> int:
    """An unsigned 64-bit number as strtoull takes it, but for negative integers; raises NotAnId.

    Blanks, a sign and zeros may lead, as Redis has it; a minus before what is no canonical integer wraps.
    """
    size: i64 = len(text)
    if 0 < size <= 17:
        value: i64 = 0
        at: i64 = 0
        while at < size:
            digit: i64 = text[at]
            if digit < 48 or digit > 57:
                break
            value = value * 10 + digit - 48
            at += 1
        else:
            return int(value)
    return _parse_unusual(text)


def _parse_unusual(text: bytes) -> int:
    rest = text.lstrip(_BLANKS)
    negative = rest[:1] == b"-"
    if rest[:1] in (b"-", b"+"):
        rest = rest[1:]
    if not rest or not rest.isdigit():
        raise NotAnId
    if len(rest) > 20 and len(rest.lstrip(b"0")) > 20:
        raise NotAnId
    value = int(rest)
    if value > NUMBER_MAX:
        raise NotAnId
    if not negative or value == 0:
        return value
    if text[:1] == b"-" and rest[:1] != b"0" and value <= _TWO_TO_63:
        raise NotAnId
    return _TWO_TO_64 - value


def parse_id(text: bytes, missing_sequence: int, strict: bool) -> bytes:
    """The id that a text spells: `ms-seq`, `ms` with the sequence that is missing, and `-` and `+` unless strict.

    Raises NotAnId.
    """
    if len(text) > LONGEST_TEXT_BYTES:
        raise NotAnId
    if not strict:
        if text == b"-" or text[:2] == b"-\x00":
            return ID_MIN
        if text == b"+" or text[:2] == b"+\x00":
            return ID_MAX
    text, dash, rest = split_id(text)
    milliseconds = parse_number(text)
    return make_id(milliseconds, parse_number(rest) if dash else missing_sequence)


def split_id(text: bytes) -> tuple[bytes, bool, bytes]:
    """What stands before the first dash, whether there is one, what stands behind it; a NUL ends a text."""
    if b"\x00" in text:
        text = text[: text.index(b"\x00")]
    at: i64 = text.find(b"-")
    if at < 0:
        return text, False, b""
    return text[:at], True, text[at + 1 :]
