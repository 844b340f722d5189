"""Commands on strings as bits: SETBIT, GETBIT, BITCOUNT, BITPOS, BITOP, and BITFIELD with its read-only twin.

A command that only lengthens a string by zero bytes (BITFIELD whose OVERFLOW FAIL refused the write) says so like
any other change: the real servers keep silent there, and their replicas differ from them afterwards.

BITOP's DIFF, DIFF1, ANDOR and ONE are Redis 8.2's. They are there under every `compat`, and AOF and replicas see
their result as SET, which every version understands.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import INT64_MAX, NotANumber, to_int64
from gossamer.commands.arguments import integer_argument, integer_argument_or
from gossamer.commands.key_positions import bitfield_keys
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.bitmaps import (
    BITOP_AND,
    BITOP_AND_NOT,
    BITOP_OR,
    BITOP_XOR,
    NOT_FOUND,
    combine,
    count_bits,
    field_in,
    find_bit,
    fitted,
    invert,
    piece_with_field,
)
from gossamer.datatypes.value import Value
from gossamer.keyspace.database import NO_EXPIRE, Database
from gossamer.keyspace.events import NOTIFY_GENERIC, NOTIFY_STRING
from gossamer.resp.errors import SYNTAX, WRONGTYPE

_NO_BIT_OFFSET: Final = b"ERR bit offset is not an integer or out of range"
_NO_BIT: Final = b"ERR bit is not an integer or out of range"
_NOT_ONE_OR_ZERO: Final = b"ERR The bit argument must be 1 or 0."
_NOT_OF_ONE_KEY: Final = b"ERR BITOP NOT must be called with a single source key."
_NO_FIELD_TYPE: Final = (
    b"ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is."
)
_NO_OVERFLOW_TYPE: Final = b"ERR Invalid OVERFLOW type specified"
_ONLY_GET: Final = b"ERR BITFIELD_RO only supports the GET subcommand"
_SURE_FIELDS: Final = 1 << 56  # so many fields of 64 bits and more may pass what an i64 counts
_CHUNK_BYTES: Final = 1 << 16  # of a long string at a time
_BYTE: Final = [bytes([byte]) for byte in range(256)]


def bit_offset(session: Session, argument: bytes, bits: i64) -> i64:
    """The position of a bit; `#n` stands for the n-th field of so many bits. Raises CommandError."""
    text = argument
    if bits > 0 and len(text) > 0 and text[0] == 35:
        text = text[1:]
    else:
        bits = 1
    try:
        offset: i64 = to_int64(text)
    except NotANumber:
        raise CommandError(_NO_BIT_OFFSET) from None
    if offset > _SURE_FIELDS:
        offset = wrapped_product(offset, bits)
    else:
        offset *= bits
    if offset < 0 or (offset >> 3) >= session.limits.proto_max_bulk_len_bytes:
        raise CommandError(_NO_BIT_OFFSET)
    return offset


def wrapped_product(offset: i64, bits: i64) -> i64:
    """The low 64 bits of the product, with a sign: the real servers take no notice of an overflow."""
    product = int(offset) * int(bits) & 0xFFFFFFFFFFFFFFFF
    return i64(product - (1 << 64) if product >> 63 else product)


# -- single bits ----------------------------------------------------------------------------------------------


def setbit(session: Session, argv: list[bytes]) -> None:
    """SETBIT key offset value"""
    key = argv[1]
    offset: i64 = bit_offset(session, argv[2], 0)
    bit: i64 = integer_argument_or(argv[3], _NO_BIT)
    if bit != 0 and bit != 1:
        raise CommandError(_NO_BIT)
    db = session.db
    at: i64 = offset >> 3
    shift: i64 = 7 - (offset & 7)
    if not db.find_write(key):
        db.set_string(key, b"", NO_EXPIRE, True)
        db.find(key)
        db.overwrite_found(key, at, _BYTE[bit << shift])
        session.changed(key, NOTIFY_STRING, b"setbit")
        session.reply.integer(0)
        return
    db.make_found_raw(key)
    byte: i64 = 0
    longer: bool = at >= db.found_string_length()
    if not longer:
        byte = byte_found(db, at)
    old: i64 = (byte >> shift) & 1
    if longer or old != bit:
        db.overwrite_found(key, at, _BYTE[(byte & ~(i64(1) << shift)) | (bit << shift)])
        session.changed(key, NOTIFY_STRING, b"setbit")
    session.reply.integer(old)


def getbit(session: Session, argv: list[bytes]) -> None:
    """GETBIT key offset"""
    offset: i64 = bit_offset(session, argv[2], 0)
    db = session.db
    at: i64 = offset >> 3
    bit: i64 = 0
    if db.find_read(argv[1]) and at < db.found_string_length():
        byte: i64 = db.found_string_cut(at, at + 1)[0]
        bit = (byte >> (7 - (offset & 7))) & 1
    session.reply.integer(bit)


# -- counting and searching -----------------------------------------------------------------------------------


@final
class BitRange:
    """The arguments `[start [end [BYTE | BIT]]]` and, once the length is known, what they mean.

    From cut() on `start` to `end` are bytes, both included (none if start > end); `first_mask` and `last_mask`
    have the bits of the first and the last byte that are outside.
    """

    def __init__(self) -> None:
        self.start: i64 = 0
        self.end: i64 = -1
        self.has_end: bool = False
        self.in_bits: bool = False
        self.first_mask: i64 = 0
        self.last_mask: i64 = 0

    def parse_numbers(self, argv: list[bytes], at: i64) -> None:
        size: i64 = len(argv)
        if size > at:
            self.start = integer_argument(argv[at])
        if size > at + 1:
            self.end = integer_argument(argv[at + 1])
            self.has_end = True

    def parse_unit(self, argv: list[bytes], at: i64) -> None:
        if len(argv) > at:
            unit = argv[at].upper()
            if unit == b"BIT":
                self.in_bits = True
            elif unit != b"BYTE":
                raise CommandError(SYNTAX)

    def cut(self, length: i64) -> None:
        """Fit the range to a string of that many bytes."""
        total: i64 = 8 * length if self.in_bits else length
        if self.start < 0:
            self.start += total
            if self.start < 0:
                self.start = 0
        if self.end < 0:
            self.end += total
            if self.end < 0:
                self.end = 0
        if self.end >= total:
            self.end = total - 1
        if self.in_bits and self.start <= self.end:
            self.first_mask = (i64(0xFF00) >> (self.start & 7)) & 0xFF
            self.last_mask = i64(0x7F) >> (self.end & 7)
            self.start >>= 3
            self.end >>= 3


def bitcount(session: Session, argv: list[bytes]) -> None:
    """BITCOUNT key [start [end [BYTE | BIT]]]; the end may be left out since Valkey 8"""
    size: i64 = len(argv)
    compat: i64 = session.limits.compat
    db = session.db
    wanted = BitRange()
    if compat >= 72:
        if size > 5 or (size == 3 and compat < 80):
            raise CommandError(SYNTAX)
        wanted.parse_numbers(argv, 2)
        wanted.parse_unit(argv, 4)
    if not db.find_read(argv[1]):
        session.reply.integer(0)
        return
    length: i64 = db.found_string_length()
    if compat < 72:
        if size > 5 or size == 3:
            raise CommandError(SYNTAX)
        wanted.parse_numbers(argv, 2)
    if wanted.start < 0 and wanted.end < 0 and wanted.start > wanted.end:
        session.reply.integer(0)
        return
    if compat < 72:
        wanted.parse_unit(argv, 4)
    wanted.cut(length)
    if wanted.start > wanted.end:
        session.reply.integer(0)
        return
    total: i64 = count_found(db, wanted.start, wanted.end + 1)
    if wanted.first_mask:
        total -= count_bits(_BYTE[byte_found(db, wanted.start) & wanted.first_mask], 0, 1)
    if wanted.last_mask:
        total -= count_bits(_BYTE[byte_found(db, wanted.end) & wanted.last_mask], 0, 1)
    session.reply.integer(total)


def byte_found(db: Database, at: i64) -> i64:
    """One byte of the string found last."""
    return i64(db.found_string_cut(at, at + 1)[0])


def count_found(db: Database, start: i64, stop: i64) -> i64:
    """The set bits in a part of the string found last."""
    plain = db.found_plain_string()
    if plain is not None:
        return count_bits(plain, start, stop)
    total: i64 = 0
    while start < stop:
        until: i64 = start + _CHUNK_BYTES if start + _CHUNK_BYTES < stop else stop
        total += count_bits(db.found_string_cut(start, until), 0, until - start)
        start = until
    return total


def find_found(db: Database, start: i64, stop: i64, bit: i64) -> i64:
    """The first bit of that value in a part of the string found last."""
    plain = db.found_plain_string()
    if plain is not None:
        return find_bit(plain, start, stop, bit)
    while start < stop:
        until: i64 = start + _CHUNK_BYTES if start + _CHUNK_BYTES < stop else stop
        at: i64 = find_bit(db.found_string_cut(start, until), 0, until - start, bit)
        if at != NOT_FOUND:
            return 8 * start + at
        start = until
    return NOT_FOUND


def bitpos(session: Session, argv: list[bytes]) -> None:
    """BITPOS key bit [start [end [BYTE | BIT]]]"""
    compat: i64 = session.limits.compat
    db = session.db
    bit: i64 = integer_argument(argv[2])
    if bit != 0 and bit != 1:
        raise CommandError(_NOT_ONE_OR_ZERO)
    wanted = BitRange()
    if compat >= 72:
        parse_bitpos_range(wanted, argv)
    if not db.find_read(argv[1]):
        session.reply.integer(-1 if bit else 0)
        return
    length: i64 = db.found_string_length()
    if compat < 72:
        parse_bitpos_range(wanted, argv)
    wanted.cut(length)
    if wanted.start > wanted.end:
        session.reply.integer(-1)
        return
    found: i64 = find_in_range(db, wanted, bit)
    if found == NOT_FOUND and bit == 0 and not wanted.has_end:
        found = 8 * length  # behind the string stand zeros
    session.reply.integer(found)


def parse_bitpos_range(wanted: BitRange, argv: list[bytes]) -> None:
    if len(argv) > 6:
        raise CommandError(SYNTAX)
    if len(argv) > 3:
        wanted.start = integer_argument(argv[3])
    wanted.parse_unit(argv, 5)
    wanted.parse_numbers(argv, 3)


def find_in_range(db: Database, wanted: BitRange, bit: i64) -> i64:
    """The first bit of that value in the range, first and last byte with the bits outside masked."""
    start: i64 = wanted.start
    end: i64 = wanted.end
    byte: i64
    if wanted.first_mask and start < end:
        byte = masked(byte_found(db, start), wanted.first_mask, bit)
        at: i64 = find_bit(_BYTE[byte], 0, 1, bit)
        if at != NOT_FOUND:
            return 8 * start + at
        start += 1
        wanted.first_mask = 0
    outside: i64 = wanted.first_mask | wanted.last_mask
    at = find_found(db, start, end if outside else end + 1, bit)
    if at == NOT_FOUND and outside:
        byte = masked(byte_found(db, end), outside, bit)
        at = find_bit(_BYTE[byte], 0, 1, bit)
        if at != NOT_FOUND:
            at += 8 * end
    return at


def masked(byte: i64, outside: i64, bit: i64) -> i64:
    """The byte with the bits outside a range so that they are not found."""
    return byte & ~outside if bit else byte | outside


# -- combining ------------------------------------------------------------------------------------------------


def bitop(session: Session, argv: list[bytes]) -> None:
    """BITOP AND | OR | XOR | NOT | DIFF | DIFF1 | ANDOR | ONE destkey key [key ...]"""
    operation = argv[1].upper()
    newer: bool = operation in (b"DIFF", b"DIFF1", b"ANDOR", b"ONE")
    if not newer and operation not in (b"AND", b"OR", b"XOR", b"NOT"):
        raise CommandError(SYNTAX)
    if operation == b"NOT" and len(argv) != 4:
        raise CommandError(_NOT_OF_ONE_KEY)
    if newer and operation != b"ONE" and len(argv) < 5:
        raise CommandError(b"ERR BITOP " + operation + b" must be called with at least two source keys.")
    sources: list[bytes] = []
    for key in argv[3:]:
        value = session.db.lookup_read(key)
        if isinstance(value, Value):
            raise CommandError(WRONGTYPE)
        sources.append(value if value is not None else b"")
    result = combined(operation, sources)
    target = argv[2]
    if len(result) > 0:
        session.db.set_string(target, result, NO_EXPIRE, True)
        session.changed(target, NOTIFY_STRING, b"set")
        if newer:
            session.propagate([b"SET", target, result])
    elif session.db.delete_any(target):
        session.changed(target, NOTIFY_GENERIC, b"del")
        if newer:
            session.propagate([b"DEL", target])
    session.reply.integer(len(result))


def combined(operation: bytes, sources: list[bytes]) -> bytes:
    """The result of a BITOP, as long as its longest source."""
    first = sources[0]
    if operation == b"NOT":
        return invert(first)
    if operation == b"AND":
        return folded(BITOP_AND, sources)
    if operation == b"OR":
        return folded(BITOP_OR, sources)
    if operation == b"XOR":
        return folded(BITOP_XOR, sources)
    if operation == b"DIFF":
        return combine(BITOP_AND_NOT, first, folded(BITOP_OR, sources[1:]))
    if operation == b"DIFF1":
        return combine(BITOP_AND_NOT, folded(BITOP_OR, sources[1:]), first)
    if operation == b"ANDOR":
        return combine(BITOP_AND, first, folded(BITOP_OR, sources[1:]))
    some = first
    several = b""
    for source in sources[1:]:
        several = combine(BITOP_OR, several, combine(BITOP_AND, some, source))
        some = combine(BITOP_OR, some, source)
    return combine(BITOP_AND_NOT, some, several)


def folded(operation: i64, sources: list[bytes]) -> bytes:
    result = sources[0]
    i: i64 = 1
    while i < len(sources):
        result = combine(operation, result, sources[i])
        i += 1
    return result


# -- fields ---------------------------------------------------------------------------------------------------

_GET: Final = 0
_SET: Final = 1
_INCREMENT: Final = 2

_WRAP: Final = 0
_SATURATE: Final = 1
_FAIL: Final = 2


@final
class FieldOperation:
    """One GET, SET or INCRBY of a BITFIELD."""

    def __init__(self, kind: i64, bits: i64, signed: bool, offset: i64, value: i64, overflow: i64) -> None:
        self.kind: i64 = kind
        self.bits: i64 = bits
        self.signed: bool = signed
        self.offset: i64 = offset
        self.value: i64 = value
        self.overflow: i64 = overflow

    def last_byte(self) -> i64:
        return (self.offset + self.bits - 1) >> 3

    def first_byte(self) -> i64:
        return self.offset >> 3


def field_bits(argument: bytes) -> i64:
    """The width in a type such as i16 or u8; raises CommandError."""
    sign: bytes = argument[:1]
    if sign != b"i" and sign != b"u":
        raise CommandError(_NO_FIELD_TYPE)
    try:
        bits: i64 = to_int64(argument[1:])
    except NotANumber:
        raise CommandError(_NO_FIELD_TYPE) from None
    if bits < 1 or bits > (64 if sign == b"i" else 63):
        raise CommandError(_NO_FIELD_TYPE)
    return bits


def overflow_kind(argument: bytes) -> i64:
    word = argument.upper()
    if word == b"WRAP":
        return _WRAP
    if word == b"SAT":
        return _SATURATE
    if word == b"FAIL":
        return _FAIL
    raise CommandError(_NO_OVERFLOW_TYPE)


def field_operations(session: Session, argv: list[bytes], only_get: bool) -> list[FieldOperation]:
    """The operations of a BITFIELD; raises CommandError."""
    operations: list[FieldOperation] = []
    overflow: i64 = _WRAP
    refused: bool = False
    size: i64 = len(argv)
    i: i64 = 2
    while i < size:
        word = argv[i].upper()
        following: i64 = size - i - 1
        if word == b"OVERFLOW" and following >= 1:
            overflow = overflow_kind(argv[i + 1])
            i += 2
            continue
        if word == b"GET" and following >= 2:
            kind: i64 = _GET
        elif word == b"SET" and following >= 3:
            kind = _SET
        elif word == b"INCRBY" and following >= 3:
            kind = _INCREMENT
        else:
            raise CommandError(SYNTAX)
        bits: i64 = field_bits(argv[i + 1])
        signed: bool = argv[i + 1][0] == 105
        offset: i64 = bit_offset(session, argv[i + 2], bits)
        value: i64 = 0
        if kind != _GET:
            refused = only_get
            value = integer_argument(argv[i + 3])
            i += 1
        i += 3
        operations.append(FieldOperation(kind, bits, signed, offset, value, overflow))
    if refused:
        raise CommandError(_ONLY_GET)
    return operations


def bitfield(session: Session, argv: list[bytes]) -> None:
    """BITFIELD key [GET type offset | OVERFLOW how | SET type offset value | INCRBY type offset by ...]"""
    run_field_operations(session, argv[1], field_operations(session, argv, False))


def bitfield_ro(session: Session, argv: list[bytes]) -> None:
    """BITFIELD_RO key [GET type offset ...]"""
    run_field_operations(session, argv[1], field_operations(session, argv, True))


def run_field_operations(session: Session, key: bytes, operations: list[FieldOperation]) -> None:
    db = session.db
    needed: i64 = 0  # bytes that the string must have to take all writes
    for operation in operations:
        if operation.kind != _GET and operation.last_byte() >= needed:
            needed = operation.last_byte() + 1
    changes: i64 = 0
    length: i64 = 0
    if needed == 0:
        if db.find_read(key):
            length = db.found_string_length()
    else:
        if db.find_write(key):
            length = db.found_string_length()
            db.make_found_raw(key)
        else:
            db.set_string(key, b"", NO_EXPIRE, True)
        if length < needed:
            db.find(key)
            length = db.overwrite_found(key, needed - 1, b"\x00")
            changes = 1
    reply = session.reply
    reply.array(len(operations))
    grew: bool = changes > 0
    changes = 0
    for operation in operations:
        old: int = field_at(db, key, length, operation)
        if operation.kind == _GET:
            reply.integer(i64(old))
            continue
        wanted: int = int(operation.value)
        if operation.kind == _INCREMENT:
            wanted += old
        elif not operation.signed and wanted < 0:
            wanted += 1 << 64  # unsigned, so it is too large
        elif operation.signed and operation.bits < 64 and wanted < 0:
            wanted += beyond_distance(wanted, operation.bits)
        new = fitted(wanted, operation.bits, operation.signed, operation.overflow == _SATURATE)
        if new != wanted and operation.overflow == _FAIL:
            reply.null()
            continue
        if new != old:
            write_field(db, key, operation, new)
            changes += 1
        reply.integer(i64(new if operation.kind == _INCREMENT else old))
    if changes > 0 or grew:
        if changes > 1:
            session.state.dirty += changes - 1
        session.changed(key, NOTIFY_STRING, b"setbit")


def beyond_distance(value: int, bits: i64) -> int:
    """2^64 for a value that lies more than 63 bits below the top of its field, else 0.

    The real servers measure that distance in 64 bits: such a value counts as too large, and SAT takes the top.
    """
    top = (1 << int(bits - 1)) - 1
    return 1 << 64 if value < top - INT64_MAX else 0


def field_at(db: Database, key: bytes, length: i64, operation: FieldOperation) -> int:
    """The present value of a field; what lies behind the string counts as zeros."""
    first: i64 = operation.first_byte()
    stop: i64 = operation.last_byte() + 1
    if first >= length:
        return 0
    db.find(key)
    piece = db.found_string_cut(first, stop if stop < length else length)
    if stop > length:
        piece += bytes(stop - length)
    return field_in(piece, operation.offset & 7, operation.bits, operation.signed)


def write_field(db: Database, key: bytes, operation: FieldOperation, value: int) -> None:
    first: i64 = operation.first_byte()
    db.find(key)
    piece = db.found_string_cut(first, operation.last_byte() + 1)
    db.overwrite_found(key, first, piece_with_field(piece, operation.offset & 7, operation.bits, value))


_READ: Final = (KeySpec("RO access", index=1),)
_FIELD_NOTE: Final = b"Reads and changes the key; with GET alone it only reads"

COMMANDS: Final = (
    Command(b"setbit", setbit, 4, "write denyoom", "bitmap", (KeySpec("RW access update", index=1),)),
    Command(b"getbit", getbit, 3, "readonly fast", "bitmap", _READ),
    Command(b"bitcount", bitcount, -2, "readonly", "bitmap", _READ),
    Command(b"bitpos", bitpos, -3, "readonly", "bitmap", _READ),
    Command(
        b"bitop",
        bitop,
        -4,
        "write denyoom",
        "bitmap",
        (KeySpec("OW update", index=2), KeySpec("RO access", index=3, last=-1)),
    ),
    Command(
        b"bitfield",
        bitfield,
        -2,
        "write denyoom",
        "bitmap",
        (KeySpec("RW access update variable_flags", index=1, notes=_FIELD_NOTE),),
        key_finder=bitfield_keys,
    ),
    Command(b"bitfield_ro", bitfield_ro, -2, "readonly fast", "bitmap", _READ),
)
