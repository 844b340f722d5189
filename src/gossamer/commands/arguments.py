"""Numbers in the arguments of commands, with Redis's error replies for what is none."""

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, to_int64
from gossamer.resp.errors import NOT_INTEGER


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
