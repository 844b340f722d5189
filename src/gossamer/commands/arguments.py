"""Numbers in the arguments of commands, with Redis's error replies for what is none."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import INT64_MAX, NotANumber, to_int64
from gossamer.resp.errors import NOT_INTEGER

BELOW_NEGATABLE: Final = (
    b"ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807"
)


def integer_argument(argument: bytes) -> i64:
    """A signed 64-bit integer; raises CommandError."""
    try:
        return to_int64(argument)
    except NotANumber:
        raise CommandError(NOT_INTEGER) from None


def integer_argument_or(argument: bytes, message: bytes) -> i64:
    """A signed 64-bit integer; raises CommandError with that message."""
    try:
        return to_int64(argument)
    except NotANumber:
        raise CommandError(message) from None


def int32_argument(argument: bytes) -> i64:
    """A signed 32-bit integer; raises CommandError."""
    value = integer_argument(argument)
    if not -(1 << 31) <= value < 1 << 31:
        raise CommandError(b"ERR value is out of range, value must between -2147483648 and 2147483647")
    return value


def negatable_argument(argument: bytes) -> i64:
    """A 64-bit integer whose negative is one, too; raises CommandError."""
    value = integer_argument(argument)
    if value < -INT64_MAX:
        raise CommandError(BELOW_NEGATABLE)
    return value
