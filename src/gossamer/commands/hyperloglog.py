"""Commands on HyperLogLogs, which are strings: PFADD, PFCOUNT, PFMERGE, and two for the server's developers.

PFCOUNT of one key keeps the cardinality in the string. That is a change without a keyspace event, which AOF and
replicas are told as the command itself, as the real servers do it.
"""

from typing import Final

from librt.strings import read_i64_le
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.hyperloglog import (
    CARDINALITY_AT,
    DENSE_BYTES,
    EMPTY,
    HEADER_BYTES,
    REGISTERS,
    STALE,
    STALE_AT,
    CorruptedHyperLogLog,
    cardinality_bytes,
    dense_of,
    dense_raise,
    describe_runs,
    estimate,
    is_dense,
    is_hyperloglog,
    larger_registers,
    marked_stale,
    place_of,
    registers_of,
    sparse_raise,
)
from gossamer.datatypes.value import KIND_STRING_RAW
from gossamer.keyspace.database import KEEP_EXPIRE, NO_EXPIRE, Database
from gossamer.keyspace.events import NOTIFY_STRING

_NOT_ONE: Final = b"WRONGTYPE Key is not a valid HyperLogLog string value."
_CORRUPTED: Final = b"INVALIDOBJ Corrupted HLL object detected"
_NO_SUCH_KEY: Final = b"ERR The specified key does not exist"
_NOT_SPARSE: Final = b"ERR HLL encoding is not sparse"
_DENSE_HEAD: Final = b"HYLL\x00"
_NO_REGISTERS: Final = bytes(REGISTERS)
_SELF_TEST_ELEMENTS: Final = 5000


def check_found(db: Database) -> bytes:
    """The header of the HyperLogLog found last; raises CommandError where it is none."""
    size: i64 = db.found_string_length()
    head = db.found_string_cut(0, HEADER_BYTES if size > HEADER_BYTES else size)
    if not is_hyperloglog(head, size):
        raise CommandError(_NOT_ONE)
    return head


def holds_dense(db: Database) -> bool:
    """Whether the string found last is a dense HyperLogLog in a buffer: the quick answer, where it is yes."""
    if db.found_plain_string() is not None:
        return False
    buffer = db.found_buffer()
    return buffer.length() == DENSE_BYTES and buffer.data.startswith(_DENSE_HEAD)


def found_whole(db: Database) -> bytes:
    """The whole of the string found last."""
    plain = db.found_plain_string()
    return plain if plain is not None else db.found_buffer().value()


def found_registers(db: Database) -> bytes:
    try:
        return registers_of(found_whole(db))
    except CorruptedHyperLogLog:
        raise CommandError(_CORRUPTED) from None


# -- adding ---------------------------------------------------------------------------------------------------


def pfadd(session: Session, argv: list[bytes]) -> None:
    """PFADD key [element ...]"""
    db = session.db
    key = argv[1]
    raised: i64 = 0
    if not db.find_write(key):
        data, raised = added_to_sparse(session, EMPTY, argv)
        raised += 1
        db.insert_string(key, KIND_STRING_RAW, marked_stale(data), NO_EXPIRE)
    elif holds_dense(db) or is_dense(check_found(db)):
        buffer = db.buffer_found(key)
        raised = add_to_dense(buffer.data, argv, 2)
        if raised > 0:
            buffer.data[STALE_AT] |= STALE
    else:
        db.make_found_raw(key)
        data, raised = added_to_sparse(session, found_whole(db), argv)
        if raised > 0:
            db.replace_found_string(key, KIND_STRING_RAW, marked_stale(data), KEEP_EXPIRE)
    if raised > 0:
        session.state.dirty += raised - 1
        session.changed(key, NOTIFY_STRING, b"pfadd")
    session.reply.integer(1 if raised > 0 else 0)


def add_to_dense(data: bytearray, argv: list[bytes], first: i64) -> i64:
    """Add the elements from argv[first] on in place; answer how many raised a register."""
    raised: i64 = 0
    size: i64 = len(argv)
    i: i64 = first
    while i < size:
        place: i64 = place_of(argv[i])
        if dense_raise(data, place >> 6, place & 63):
            raised += 1
        i += 1
    return raised


def added_to_sparse(session: Session, data: bytes, argv: list[bytes]) -> tuple[bytes, i64]:
    """A sparse string with the elements from argv[2] on, and how many of them raised a register.

    It may come out dense. Raises CommandError; then nothing of the command is kept.
    """
    limit: i64 = session.limits.hll_sparse_max_bytes
    raised: i64 = 0
    size: i64 = len(argv)
    i: i64 = 2
    while i < size:
        place: i64 = place_of(argv[i])
        i += 1
        try:
            new = sparse_raise(data, place >> 6, place & 63, limit)
        except CorruptedHyperLogLog:
            raise CommandError(_CORRUPTED) from None
        if new is data:
            continue
        raised += 1
        data = new
        if is_dense(data):
            dense = bytearray(data)
            raised += add_to_dense(dense, argv, i)
            return bytes(dense), raised
    return data, raised


# -- counting and merging -------------------------------------------------------------------------------------


def pfcount(session: Session, argv: list[bytes]) -> None:
    """PFCOUNT key [key ...]"""
    db = session.db
    if len(argv) > 2:
        session.reply.integer(estimate(merged_registers(session, argv, 1)))
        return
    key = argv[1]
    if not db.find_read(key):
        session.reply.integer(0)
        return
    cached: i64 = read_i64_le(check_found(db), CARDINALITY_AT)
    db.make_found_raw(key)
    if cached >= 0:
        session.reply.integer(cached)
        return
    cardinality: i64 = estimate(found_registers(db))
    db.overwrite_found(key, CARDINALITY_AT, cardinality_bytes(cardinality))
    session.changed(key, 0, b"")
    session.reply.integer(cardinality)


def merged_registers(session: Session, argv: list[bytes], first: i64) -> bytes:
    """The union of the keys from argv[first] on; raises CommandError."""
    db = session.db
    union = _NO_REGISTERS
    size: i64 = len(argv)
    i: i64 = first
    while i < size:
        if db.find_read(argv[i]):
            check_found(db)
            union = larger_registers(union, found_registers(db))
        i += 1
    return union


def pfmerge(session: Session, argv: list[bytes]) -> None:
    """PFMERGE destkey [sourcekey ...]"""
    db = session.db
    dense: bool = False
    union = _NO_REGISTERS
    size: i64 = len(argv)
    i: i64 = 1
    while i < size:
        if db.find_read(argv[i]):
            if is_dense(check_found(db)):
                dense = True
            union = larger_registers(union, found_registers(db))
        i += 1
    key = argv[1]
    found: bool = db.find_write(key)
    old = found_whole(db) if found else EMPTY
    data = marked_stale(dense_of(old, union) if dense else raised_to(session, old, union))
    if found:
        db.replace_found_string(key, KIND_STRING_RAW, data, KEEP_EXPIRE)
    else:
        db.insert_string(key, KIND_STRING_RAW, data, NO_EXPIRE)
    session.changed(key, NOTIFY_STRING, b"pfadd")
    session.reply.ok()


def raised_to(session: Session, data: bytes, union: bytes) -> bytes:
    """A sparse string with every register raised to that of `union`, which is nowhere below it."""
    limit: i64 = session.limits.hll_sparse_max_bytes
    register: i64 = 0
    while register < REGISTERS:
        rank: i64 = union[register]
        if rank > 0:
            data = sparse_raise(data, register, rank, limit)
            if is_dense(data):
                return dense_of(data, union)
        register += 1
    return data


# -- for developers -------------------------------------------------------------------------------------------


def pfdebug(session: Session, argv: list[bytes]) -> None:
    """PFDEBUG GETREG | DECODE | ENCODING | TODENSE key"""
    db = session.db
    reply = session.reply
    key = argv[2]
    if not db.find_write(key):
        raise CommandError(_NO_SUCH_KEY)
    dense: bool = is_dense(check_found(db))
    db.make_found_raw(key)
    word = argv[1].upper()
    if word == b"GETREG":
        registers = found_registers(db)
        if not dense:
            make_dense(session, key, registers)
        reply.array(REGISTERS)
        i: i64 = 0
        while i < REGISTERS:
            reply.integer(i64(registers[i]))
            i += 1
    elif word == b"DECODE":
        if dense:
            raise CommandError(_NOT_SPARSE)
        reply.bulk(decoded(found_whole(db)))
    elif word == b"ENCODING":
        reply.simple(b"dense" if dense else b"sparse")
    elif word == b"TODENSE":
        if not dense:
            make_dense(session, key, found_registers(db))
        reply.integer(0 if dense else 1)
    else:
        raise CommandError(b"ERR Unknown PFDEBUG subcommand '" + argv[1].partition(b"\0")[0] + b"'")


def decoded(data: bytes) -> bytes:
    try:
        return describe_runs(data)
    except CorruptedHyperLogLog:
        raise CommandError(_CORRUPTED) from None


def make_dense(session: Session, key: bytes, registers: bytes) -> None:
    """Give the sparse HyperLogLog found last its dense form."""
    data = dense_of(found_whole(session.db), registers)
    session.db.replace_found_string(key, KIND_STRING_RAW, data, KEEP_EXPIRE)
    session.changed(key, 0, b"")


def pfselftest(session: Session, argv: list[bytes]) -> None:
    """PFSELFTEST"""
    dense = bytearray(dense_of(EMPTY, _NO_REGISTERS))
    sparse = EMPTY
    expected = bytearray(REGISTERS)
    number: i64 = 0
    while number < _SELF_TEST_ELEMENTS:
        place: i64 = place_of(b"element:%d" % number)
        number += 1
        register: i64 = place >> 6
        if place & 63 > i64(expected[register]):
            expected[register] = place & 63
        dense_raise(dense, register, place & 63)
        sparse = sparse_raise(sparse, register, place & 63, 2 * DENSE_BYTES)
        if number % 1000 == 0 and not self_test_holds(number, bytes(expected), bytes(dense), sparse):
            raise CommandError(b"TESTFAILED after %d elements" % number)
    session.reply.ok()


def self_test_holds(number: i64, expected: bytes, dense: bytes, sparse: bytes) -> bool:
    """Both forms hold the expected registers, and the estimate is within five standard errors."""
    if registers_of(dense) != expected or registers_of(sparse) != expected:
        return False
    error: i64 = estimate(expected) - number
    return -number * 4 // 100 <= error <= number * 4 // 100 + 1


_COUNT_NOTE: Final = b"RW: it may keep the cardinality in the key and tell replicas so"

COMMANDS: Final = (
    Command(b"pfadd", pfadd, -2, "write denyoom fast", "hyperloglog", (KeySpec("RW insert", index=1),)),
    Command(
        b"pfcount",
        pfcount,
        -2,
        "readonly",
        "hyperloglog",
        (KeySpec("RW access", index=1, last=-1, notes=_COUNT_NOTE),),
    ),
    Command(
        b"pfmerge",
        pfmerge,
        -2,
        "write denyoom",
        "hyperloglog",
        (KeySpec("RW access insert", index=1), KeySpec("RO access", index=2, last=-1)),
    ),
    Command(b"pfdebug", pfdebug, 3, "write denyoom admin", "hyperloglog", (KeySpec("RW access", index=2),)),
    Command(b"pfselftest", pfselftest, 1, "admin", "hyperloglog"),
)
