"""HyperLogLog in Redis's own bytes: 16384 registers of six bits, dense or as runs.

Owns the format, the hash, the estimate (Ertl, "New cardinality estimation algorithms for HyperLogLog sketches",
2017) and the change from the sparse to the dense form. It knows strings of bytes; no keys, no replies.

    header, 16 bytes    "HYLL"  encoding  0 0 0  cached cardinality (8 bytes, little-endian; its top bit: stale)
    dense (encoding 0)  12288 bytes, register r in the bits 6r to 6r + 5, low bits first
    sparse (encoding 1) runs of registers:
        00nnnnnn             n + 1 registers are zero
        01nnnnnn nnnnnnnn    n + 1 registers are zero
        1vvvvvnn             n + 1 registers (up to 4) are v + 1 (up to 32)

An empty one is 7f ff behind the header: a run of 16384 zeros.

Invariants: the sparse form never shrinks into fewer runs than Redis would leave, so that equal PFADDs give equal
bytes; a string whose runs do not add up to 16384 registers is refused where that is noticed, and never read beyond
its end.
"""

import math
from typing import Final

from librt.strings import BytesWriter, read_i64_le, write_i64_le
from librt.vecs import vec
from mypy_extensions import i64, u8

from gossamer.base.errors import GossamerError
from gossamer.base.numbers import INT64_MIN

REGISTERS: Final = 16384
HEADER_BYTES: Final = 16
DENSE_BYTES: Final = HEADER_BYTES + REGISTERS * 6 // 8
ENCODING_AT: Final = 4
CARDINALITY_AT: Final = 8
STALE_AT: Final = 15
STALE: Final = 0x80
IS_DENSE: Final = 0
IS_SPARSE: Final = 1
EMPTY: Final = b"HYLL\x01" + bytes(11) + b"\x7f\xff"

_HIGHEST_RANK: Final = 51  # of a hash whose 50 remaining bits are all zero
_SPARSE_HIGHEST: Final = 32
_SHORT_RUN: Final = 64  # zeros that one byte can tell
_VALUE_RUN: Final = 4
_MERGE_STEPS: Final = 5
_REST_MASK: Final = (1 << 50) - 1
_REST_MARK: Final = 1 << 50
_MASK32: Final = 0xFFFFFFFF
_SIGN32: Final = 1 << 31
_TWO32: Final = 1 << 32
# The multiplier c6a4a793 5bd1e995 of MurmurHash64A in halves; the upper one less 2**32, so that products fit an i64.
_MULTIPLIER_LOW: Final = 0x5BD1E995
_MULTIPLIER_HIGH: Final = 0xC6A4A793 - (1 << 32)
_SEED: Final = 0xADC83B19
_TOO_LARGE: Final = 9223372036854775808.0
_ALPHA_INFINITY: Final = 0.721347520444481703680


class CorruptedHyperLogLog(GossamerError):
    """The runs of a sparse HyperLogLog do not make 16384 registers."""


# -- hashing ------------------------------------------------------------------------------------------------


def multiplied(value: i64) -> i64:
    """The low 64 bits of the product with the hash's multiplier, as a signed number."""
    low: i64 = value & _MASK32
    high: i64 = (value >> 32) & _MASK32
    product: i64 = low * _MULTIPLIER_LOW
    upper: i64 = ((high * _MULTIPLIER_LOW) & _MASK32) + ((low * _MULTIPLIER_HIGH) & _MASK32)
    upper = (upper + (product >> 32)) & _MASK32
    if upper >= _SIGN32:
        upper -= _TWO32
    return (upper << 32) | (product & _MASK32)


def hash64(element: bytes) -> i64:
    """MurmurHash64A with Redis's seed, as a signed number."""
    size: i64 = len(element)
    hashed: i64 = multiplied(size) ^ _SEED
    position: i64 = 0
    word: i64
    while size - position >= 8:
        word = multiplied(read_i64_le(element, position))
        word ^= (word >> 47) & 0x1FFFF
        hashed = multiplied(hashed ^ multiplied(word))
        position += 8
    if position < size:
        word = 0
        i: i64 = size - 1
        while i >= position:
            word = (word << 8) | i64(element[i])
            i -= 1
        hashed = multiplied(hashed ^ word)
    hashed ^= (hashed >> 47) & 0x1FFFF
    hashed = multiplied(hashed)
    return hashed ^ ((hashed >> 47) & 0x1FFFF)


def place_of(element: bytes) -> i64:
    """Which register an element belongs to, and the rank it puts there: register << 6 | rank."""
    hashed = hash64(element)
    register: i64 = hashed & (REGISTERS - 1)
    rest: i64 = ((hashed >> 14) & _REST_MASK) | _REST_MARK
    rank: i64 = 1
    while rest & 1 == 0:
        rest >>= 1
        rank += 1
    return (register << 6) | rank


# -- the whole string -----------------------------------------------------------------------------------------


def is_hyperloglog(head: bytes, size: i64) -> bool:
    """Whether a string of that size with these first 16 bytes claims to be one."""
    if size < HEADER_BYTES or head[:4] != b"HYLL":
        return False
    encoding: i64 = head[ENCODING_AT]
    return encoding == IS_SPARSE or (encoding == IS_DENSE and size == DENSE_BYTES)


def is_dense(head: bytes) -> bool:
    return i64(head[ENCODING_AT]) == IS_DENSE


def marked_stale(data: bytes) -> bytes:
    """With a cached cardinality that no longer counts."""
    if i64(data[STALE_AT]) & STALE:
        return data
    out = BytesWriter()
    out.write(data[:STALE_AT])
    out.append(u8(i64(data[STALE_AT]) | STALE))
    out.write(data[HEADER_BYTES:])
    return out.getvalue()


def cardinality_bytes(cardinality: i64) -> bytes:
    """The field of the header that holds a cardinality."""
    out = BytesWriter()
    write_i64_le(out, cardinality)
    return out.getvalue()


def registers_of(data: bytes) -> bytes:
    """One byte for each register; raises CorruptedHyperLogLog."""
    out = BytesWriter()
    if is_dense(data):
        position: i64 = HEADER_BYTES
        while position < DENSE_BYTES:
            word: i64 = i64(data[position]) | (i64(data[position + 1]) << 8) | (i64(data[position + 2]) << 16)
            out.append(u8(word & 63))
            out.append(u8((word >> 6) & 63))
            out.append(u8((word >> 12) & 63))
            out.append(u8((word >> 18) & 63))
            position += 3
        return out.getvalue()
    position = HEADER_BYTES
    size: i64 = len(data)
    while position < size:
        run: i64 = run_length(data, position)
        if len(out) + run > REGISTERS:
            raise CorruptedHyperLogLog
        first: i64 = data[position]
        value: i64 = 0
        if first & 0x80:
            value = ((first >> 2) & 31) + 1
            while run > 0:
                out.append(u8(value & 63))
                run -= 1
        else:
            out.write(bytes(run))
        position += 2 if first & 0xC0 == 0x40 else 1
    if len(out) != REGISTERS:
        raise CorruptedHyperLogLog
    return out.getvalue()


def dense_of(header: bytes, registers: bytes) -> bytes:
    """The dense form of these registers; all but the encoding is taken from `header`."""
    out = BytesWriter()
    out.write(header[:ENCODING_AT])
    out.append(IS_DENSE)
    out.write(header[ENCODING_AT + 1 : HEADER_BYTES])
    i: i64 = 0
    while i < REGISTERS:
        word: i64 = i64(registers[i]) | (i64(registers[i + 1]) << 6)
        word |= (i64(registers[i + 2]) << 12) | (i64(registers[i + 3]) << 18)
        out.append(u8(word & 0xFF))
        out.append(u8((word >> 8) & 0xFF))
        out.append(u8((word >> 16) & 0xFF))
        i += 4
    return out.getvalue()


def larger_registers(left: bytes, right: bytes) -> bytes:
    """The larger one of each two registers: the union of what both counted."""
    out = BytesWriter()
    i: i64 = 0
    while i < REGISTERS:
        a: i64 = left[i]
        b: i64 = right[i]
        out.append(u8(a if a > b else b))
        i += 1
    return out.getvalue()


def dense_raise(data: bytearray, register: i64, rank: i64) -> bool:
    """Raise a register of a dense string to `rank` in place; False where it is as high already."""
    position: i64 = HEADER_BYTES + (register * 6 >> 3)
    shift: i64 = (register * 6) & 7
    if shift <= 2:
        byte: i64 = data[position]
        if (byte >> shift) & 63 >= rank:
            return False
        mask: i64 = 63
        data[position] = (byte & ~(mask << shift)) | (rank << shift)
        return True
    word: i64 = i64(data[position]) | (i64(data[position + 1]) << 8)
    if (word >> shift) & 63 >= rank:
        return False
    mask = 63
    word = (word & ~(mask << shift)) | (rank << shift)
    data[position] = word & 0xFF
    data[position + 1] = word >> 8
    return True


# -- the sparse form ------------------------------------------------------------------------------------------


def run_length(data: bytes, position: i64) -> i64:
    """How many registers the run at `position` tells; raises CorruptedHyperLogLog where it is cut off."""
    first: i64 = data[position]
    if first & 0x80:
        return (first & 3) + 1
    if first & 0x40:
        if position + 1 >= len(data):
            raise CorruptedHyperLogLog
        return (((first & 63) << 8) | i64(data[position + 1])) + 1
    return (first & 63) + 1


def write_zeros(out: BytesWriter, run: i64) -> None:
    run -= 1
    if run >= _SHORT_RUN:
        out.append(u8(0x40 | (run >> 8)))
        out.append(u8(run & 0xFF))
    else:
        out.append(u8(run & 0xFF))


def write_value(out: BytesWriter, value: i64, run: i64) -> None:
    out.append(u8(0x80 | ((value - 1) << 2) | (run - 1)))


def sparse_raise(data: bytes, register: i64, rank: i64, limit_bytes: i64) -> bytes:
    """The string with a register raised to `rank`, `data` itself where it is as high already.

    The result is dense where a run cannot tell the rank, or where it would be longer than limit_bytes. Raises
    CorruptedHyperLogLog.
    """
    if rank > _SPARSE_HIGHEST:
        return promoted(data, register, rank)
    size: i64 = len(data)
    position: i64 = HEADER_BYTES
    before: i64 = HEADER_BYTES  # the run in front of the one that is changed
    first: i64 = 0  # its first register
    run: i64 = 0
    code: i64 = 0
    old_bytes: i64 = 0
    while position < size:
        code = data[position]
        old_bytes = 1
        if code & 0x80:
            run = (code & 3) + 1
        elif code & 0x40:
            run = run_length(data, position)
            old_bytes = 2
        else:
            run = code + 1
        first += run
        if register < first:
            break
        before = position
        position += old_bytes
    if position >= size:
        raise CorruptedHyperLogLog
    first -= run
    value: i64 = 0
    if code & 0x80:
        value = ((code >> 2) & 31) + 1
        if value >= rank:
            return data
    runs = BytesWriter()
    left: i64 = register - first
    right: i64 = first + run - 1 - register
    if left > 0:
        write_run(runs, value, left)
    write_value(runs, rank, 1)
    if right > 0:
        write_run(runs, value, right)
    new_bytes: i64 = len(runs)
    if new_bytes > old_bytes and size + new_bytes - old_bytes > limit_bytes:
        return promoted(data, register, rank)
    out = BytesWriter()
    out.write(data[:STALE_AT])
    out.append(u8(i64(data[STALE_AT]) | STALE))
    out.write(data[HEADER_BYTES:position])
    out.write(runs.getvalue())
    out.write(data[position + old_bytes :])
    return merged(out.getvalue(), before)


def write_run(out: BytesWriter, value: i64, run: i64) -> None:
    """A run of zeros or, with a value, of that value."""
    if value == 0:
        write_zeros(out, run)
    else:
        write_value(out, value, run)


def merged(data: bytes, position: i64) -> bytes:
    """With equal neighbours joined, among the next few runs from `position` on."""
    steps: i64 = _MERGE_STEPS
    while steps > 0 and position < len(data):
        steps -= 1
        code: i64 = data[position]
        if code & 0xC0 == 0x40:
            position += 2
            continue
        if code & 0x80 and position + 1 < len(data):
            following: i64 = data[position + 1]
            run: i64 = (code & 3) + (following & 3) + 2
            if following & 0x80 and (code ^ following) & 0x7C == 0 and run <= _VALUE_RUN:
                joined = BytesWriter()
                joined.write(data[:position])
                joined.append(u8((code & 0xFC) | (run - 1)))
                joined.write(data[position + 2 :])
                data = joined.getvalue()
                continue
        position += 1
    return data


def promoted(data: bytes, register: i64, rank: i64) -> bytes:
    """The dense form of a sparse string with a register raised."""
    dense = bytearray(dense_of(data, registers_of(data)))
    if dense_raise(dense, register, rank):
        dense[STALE_AT] |= STALE
    return bytes(dense)


def describe_runs(data: bytes) -> bytes:
    """The runs of a sparse string in words: z:n and Z:n zeros (told by one byte, by two), v:value,n."""
    words: list[bytes] = []
    size: i64 = len(data)
    position: i64 = HEADER_BYTES
    while position < size:
        code: i64 = data[position]
        run: i64 = run_length(data, position)
        if code & 0x80:
            words.append(b"v:%d,%d" % (((code >> 2) & 31) + 1, run))
        elif code & 0x40:
            words.append(b"Z:%d" % run)
            position += 1
        else:
            words.append(b"z:%d" % run)
        position += 1
    return b" ".join(words)


# -- the estimate ---------------------------------------------------------------------------------------------


def histogram_of(registers: bytes) -> list[int]:
    """How many registers hold each value from 0 to 63."""
    counts: vec[i64] = vec[i64]([0] * 64)
    i: i64 = 0
    while i < REGISTERS:
        value: i64 = registers[i]
        counts[value] += 1
        i += 1
    return [int(counts[value]) for value in range(64)]


def estimate(registers: bytes) -> i64:
    """The cardinality that the registers tell; INT64_MIN where hostile ones tell one beyond 64 bits."""
    histogram = histogram_of(registers)
    count: float = float(REGISTERS)
    total: float = count * tau((count - float(histogram[_HIGHEST_RANK])) / count)
    rank: i64 = _HIGHEST_RANK - 1
    while rank >= 1:
        total += float(histogram[rank])
        total *= 0.5
        rank -= 1
    total += count * sigma(float(histogram[0]) / count)
    if total == 0.0:
        return INT64_MIN
    value: float = _ALPHA_INFINITY * count * count / total
    if not value < _TOO_LARGE:
        return INT64_MIN
    whole: i64 = i64(int(value))
    return whole + 1 if value - float(whole) >= 0.5 else whole


def tau(x: float) -> float:
    if x == 0.0 or x == 1.0:
        return 0.0
    weight: float = 1.0
    total: float = 1.0 - x
    while True:
        x = math.sqrt(x)
        before: float = total
        weight *= 0.5
        total -= (1.0 - x) * (1.0 - x) * weight
        if before == total:
            return total / 3.0


def sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    weight: float = 1.0
    total: float = x
    while True:
        x *= x
        before: float = total
        total += x * weight
        weight += weight
        if before == total:
            return total
