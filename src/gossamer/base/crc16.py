"""The hash slot of a key: CRC16 (XMODEM: polynomial 0x1021, start 0) of its hash tag, modulo 16384.

A hash tag is what stands between the first `{` and the first `}` after it, unless that is empty; keys with
equal tags share a slot. A key without a tag counts as a whole.
"""

from binascii import crc_hqx
from typing import Final

from mypy_extensions import i64

__all__: Final = ["SLOT_COUNT", "hash_tag", "key_slot"]

SLOT_COUNT: Final = 16384
_SLOT_MASK: Final = SLOT_COUNT - 1
_BRACE_OPEN: Final = 123
_BRACE_CLOSE: Final = 125


def hash_tag(key: bytes) -> bytes:
    """The part of `key` that decides its slot: its hash tag, or all of it."""
    size: i64 = len(key)
    start: i64 = 0
    while start < size and key[start] != _BRACE_OPEN:
        start += 1
    if start == size:
        return key
    start += 1
    end: i64 = start
    while end < size and key[end] != _BRACE_CLOSE:
        end += 1
    if end == size or end == start:
        return key
    return key[start:end]


def key_slot(key: bytes) -> i64:
    """The hash slot of `key`, 0 to 16383."""
    return i64(crc_hqx(hash_tag(key), 0)) & _SLOT_MASK
