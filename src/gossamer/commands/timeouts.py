"""The timeout argument of commands that wait or let wait."""

import math
from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, is_int64, parse_double, to_int64
from gossamer.resp.errors import TIMEOUT_NEGATIVE, TIMEOUT_NOT_FLOAT, TIMEOUT_NOT_INTEGER

_TIMEOUT_TOO_LARGE: Final = b"ERR timeout is out of range"
_INT64_MAX: Final = 0x7FFFFFFFFFFFFFFF


def parse_timeout_ms(argument: bytes, compat: i64, now_ms: i64) -> i64:
    """Seconds with a fraction, in ms rounded up; 0 waits for ever. Raises CommandError.

    Redis 7.0 lets a timeout beyond 64 bits turn negative, later ones name the fault.
    """
    try:
        seconds = parse_double(argument)
    except NotANumber:
        raise CommandError(TIMEOUT_NOT_FLOAT) from None
    timeout_ms = seconds * 1000.0
    too_large = timeout_ms >= 9.223372036854775807e18
    if too_large and compat >= 72:
        raise CommandError(_TIMEOUT_TOO_LARGE)
    if too_large or timeout_ms <= -1.0:
        raise CommandError(TIMEOUT_NEGATIVE)
    rounded: i64 = i64(math.ceil(timeout_ms))
    if rounded > _INT64_MAX - now_ms:
        raise CommandError(_TIMEOUT_TOO_LARGE if compat >= 72 else TIMEOUT_NEGATIVE)
    return rounded


def parse_integer_timeout_ms(argument: bytes, compat: i64, now_ms: i64) -> i64:
    """Whole milliseconds; raises CommandError. For Redis 7.0 what ends beyond 64 bits ends where they do."""
    if not is_int64(argument):
        raise CommandError(TIMEOUT_NOT_INTEGER)
    timeout_ms: i64 = to_int64(argument)
    if timeout_ms < 0:
        raise CommandError(TIMEOUT_NEGATIVE)
    if timeout_ms > _INT64_MAX - now_ms:
        if compat >= 72:
            raise CommandError(_TIMEOUT_TOO_LARGE)
        return _INT64_MAX - now_ms
    return timeout_ms
