"""Strings as arrays of bits and of small integers: what BITCOUNT, BITPOS, BITOP and BITFIELD compute.

Owns the arithmetic only; it knows bytes, no keys and no replies. Bit 0 is the highest bit of the first byte.
Long strings are taken eight bytes at a time.

A field of BITFIELD is `bits` wide (1 to 64 with a sign, 1 to 63 without) and begins at any bit:

    bit      0       8       16
    bytes    ........ ....XXXX XXXXX...      9 bits at offset 12
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from mypy_extensions import i64, u8

__all__: Final = [
    "BITOP_AND",
    "BITOP_AND_NOT",
    "BITOP_OR",
    "BITOP_XOR",
    "NOT_FOUND",
    "combine",
    "count_bits",
    "field_in",
    "find_bit",
    "fitted",
    "invert",
    "piece_with_field",
]

BITOP_AND: Final = 0
BITOP_OR: Final = 1
BITOP_XOR: Final = 2
BITOP_AND_NOT: Final = 3  # the bits of the left that the right has not

NOT_FOUND: Final = -1

# Population counts of bit pairs, of groups of four, of bytes.
_PAIRS: Final = 0x5555555555555555
_FOURS: Final = 0x3333333333333333
_BYTES: Final = 0x0F0F0F0F0F0F0F0F
_SHORTS: Final = 0x00FF00FF00FF00FF
_SUM_WORDS: Final = 15  # so many words add up to at most 120 in each byte
_CHUNK_BYTES: Final = 1 << 15  # of a result at a time: what is written stays in the cache

_COUNTS: Final = bytes([bin(byte).count("1") for byte in range(256)])
_FIRST_ONE: Final = bytes([8 - byte.bit_length() for byte in range(256)])  # 8: none


def count_bits(data: bytes, start: i64, stop: i64) -> i64:
    """How many bits are set in the bytes from start to before stop."""
    # Local, because a literal of more than 62 bits is an object to compiled code.
    pairs: i64 = _PAIRS
    fours: i64 = _FOURS
    total: i64 = 0
    position: i64 = start
    while stop - position >= 8:
        words: i64 = (stop - position) >> 3
        if words > _SUM_WORDS:
            words = _SUM_WORDS
        sums: i64 = 0
        while words > 0:
            word: i64 = read_i64_le(data, position)
            word -= (word >> 1) & pairs
            word = (word & fours) + ((word >> 2) & fours)
            sums += (word + (word >> 4)) & _BYTES
            position += 8
            words -= 1
        sums = (sums & _SHORTS) + ((sums >> 8) & _SHORTS)
        sums += sums >> 32
        total += (sums & 0xFFFF) + ((sums >> 16) & 0xFFFF)
    while position < stop:
        total += i64(_COUNTS[i64(data[position])])
        position += 1
    return total


def find_bit(data: bytes, start: i64, stop: i64, bit: i64) -> i64:
    """The first bit of that value in the bytes from start to before stop, counted from the first byte of `data`."""
    skipped: i64 = 0 if bit == 1 else -1
    position: i64 = start
    while stop - position >= 8 and read_i64_le(data, position) == skipped:
        position += 8
    byte: i64 = skipped & 0xFF
    while position < stop and i64(data[position]) == byte:
        position += 1
    if position >= stop:
        return NOT_FOUND
    return 8 * position + i64(_FIRST_ONE[i64(data[position]) ^ byte])


def combine(operation: i64, left: bytes, right: bytes) -> bytes:
    """Two strings bit by bit; the shorter one counts as continued by zero bytes."""
    size: i64 = len(left)
    other: i64 = len(right)
    common: i64 = size if size < other else other
    out = BytesWriter()
    pieces: list[bytes] = []
    start: i64 = 0
    while start < common:
        stop: i64 = start + _CHUNK_BYTES if start + _CHUNK_BYTES < common else common
        out.truncate(0)
        combine_part(out, operation, left, right, start, stop)
        pieces.append(out.getvalue())
        start = stop
    if size > common:
        pieces.append(bytes(size - common) if operation == BITOP_AND else left[common:])
    elif other > common:
        keeps: bool = operation == BITOP_OR or operation == BITOP_XOR
        pieces.append(right[common:] if keeps else bytes(other - common))
    return b"".join(pieces)


def combine_part(out: BytesWriter, operation: i64, left: bytes, right: bytes, start: i64, stop: i64) -> None:
    """Append what the bytes from start to before stop give, which both strings have."""
    words_end: i64 = stop - ((stop - start) & 7)
    i: i64 = start
    if operation == BITOP_AND:
        while i < words_end:
            write_i64_le(out, read_i64_le(left, i) & read_i64_le(right, i))
            i += 8
    elif operation == BITOP_OR:
        while i < words_end:
            write_i64_le(out, read_i64_le(left, i) | read_i64_le(right, i))
            i += 8
    elif operation == BITOP_XOR:
        while i < words_end:
            write_i64_le(out, read_i64_le(left, i) ^ read_i64_le(right, i))
            i += 8
    else:
        while i < words_end:
            write_i64_le(out, read_i64_le(left, i) & ~read_i64_le(right, i))
            i += 8
    while i < stop:
        out.append(u8(combined_byte(operation, i64(left[i]), i64(right[i])) & 0xFF))
        i += 1


def combined_byte(operation: i64, left: i64, right: i64) -> i64:
    if operation == BITOP_AND:
        return left & right
    if operation == BITOP_OR:
        return left | right
    if operation == BITOP_XOR:
        return left ^ right
    return left & ~right


def invert(data: bytes) -> bytes:
    """Every bit the other way."""
    size: i64 = len(data)
    out = BytesWriter()
    pieces: list[bytes] = []
    i: i64 = 0
    while i < size:
        stop: i64 = i + _CHUNK_BYTES if i + _CHUNK_BYTES < size else size
        out.truncate(0)
        while stop - i >= 8:
            write_i64_le(out, ~read_i64_le(data, i))
            i += 8
        while i < stop:
            out.append(u8(i64(data[i]) ^ 0xFF))
            i += 1
        pieces.append(out.getvalue())
    return b"".join(pieces)


# -- fields: values go up to 64 bits, so they are plain ints ------------------------------------------------


def field_in(piece: bytes, offset: i64, bits: i64, signed: bool) -> int:
    """The field at bit `offset` of `piece`, which ends with the byte in which the field ends."""
    after: i64 = 8 * len(piece) - offset - bits
    value = (int.from_bytes(piece, "big") >> int(after)) & ((1 << int(bits)) - 1)
    if signed and value >> int(bits - 1):
        value -= 1 << int(bits)
    return value


def piece_with_field(piece: bytes, offset: i64, bits: i64, value: int) -> bytes:
    """`piece`, as field_in takes it, with the low `bits` of `value` in the field."""
    after = int(8 * len(piece) - offset - bits)
    mask = (1 << int(bits)) - 1
    whole = int.from_bytes(piece, "big")
    whole = whole & ~(mask << after) | (value & mask) << after
    return whole.to_bytes(len(piece), "big")


def fitted(value: int, bits: i64, signed: bool, saturates: bool) -> int:
    """`value` if a field can hold it; else the nearest it can hold, or what is left of it when it wraps around."""
    high = (1 << int(bits - 1 if signed else bits)) - 1
    low = -high - 1 if signed else 0
    if low <= value <= high:
        return value
    if saturates:
        return high if value > high else low
    value &= (1 << int(bits)) - 1
    return value - (1 << int(bits)) if signed and value > high else value
