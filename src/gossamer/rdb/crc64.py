"""The CRC64 of RDB files and DUMP payloads: Jones's polynomial, reflected, from zero, no final xor."""

from typing import Any, Final

import anycrc

# The library's model object; its method `calc(data, start)` continues a sum.
_MODEL: Final[Any] = anycrc.Model("CRC64-REDIS")


def crc64(data: bytes, start: int = 0) -> int:
    """The sum over `data` as a continuation of `start`: crc64(b, crc64(a)) == crc64(a + b)."""
    return int(_MODEL.calc(data, start))
