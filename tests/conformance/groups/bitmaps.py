"""Strings as bits and as fields of bits."""

from hypothesis import strategies as st

from conformance.arguments import (
    INTEGER_EDGES,
    NOT_INTEGERS,
    Group,
    about_one_key,
    command,
    either,
    integer,
    key,
    many,
    number,
    optional,
    options,
    snippet,
    value,
    weighted,
)

# Far offsets make long strings: only those are drawn that are refused, or that the command does not write to.
near = number(0, 1, 5, 7, 8, 9, 15, 16, 63, 64, 100, 1000, 20_000)
REFUSED = [edge for edge in INTEGER_EDGES if not 0 <= int(edge) < 1 << 32]
WRITABLE = [b"0", b"1", b"7", b"8", b"9", b"31", b"64", b"100", b"1000", b"20000"]
write_offset = weighted(
    (12, st.sampled_from(WRITABLE)), (1, st.sampled_from(REFUSED + NOT_INTEGERS + [b"4294967296"]))
)
bit = weighted((8, either("0", "1")), (1, either("2", "-1", "x", "", "4294967296")))
bit_index = number(0, 1, 2, 3, 7, 8, 9, 15, 30, -1, -2, -3, -8, -9, -30, 100, -100, 10_000)
unit = weighted((8, either("BYTE", "BIT", "bit")), (1, either("BITS", "", "x")))
bits = weighted(
    (3, either(b"\xff\xff\xff", b"\x00\x00", b"\x00\x10\xff", b"\xff\xfe", b"")),
    (1, st.sampled_from([b"\xff" * 20, b"\x00" * 33, b"\xf0" * 9 + b"\x01" * 9, b"\xff" * 4000])),
    (1, value),
)
WIDTHS = [
    "i1",
    "u1",
    "i2",
    "u3",
    "i5",
    "u7",
    "i8",
    "u8",
    "u9",
    "i16",
    "u16",
    "i31",
    "u32",
    "i63",
    "u63",
    "i64",
]
BAD_WIDTHS = [
    "u64",
    "i65",
    "u0",
    "i0",
    "8",
    "",
    "i",
    "u",
    "U8",
    "I8",
    "u08",
    "i-1",
    "u8 ",
    "x8",
    "i9223372036854775808",
]
width = weighted((12, either(*WIDTHS)), (1, either(*BAD_WIDTHS)))
HASHED = [b"#0", b"#1", b"#2", b"#3", b"#10", b"#100"]
BAD_HASHED = [
    b"#",
    b"#-1",
    b"##1",
    b"# 1",
    b"#x",
    b"#4294967296",
    b"#9223372036854775807",
    b"#01",
    b"#2305843009213693952",
    b"#1152921504606846977",
]
field_offset = weighted((6, write_offset), (6, st.sampled_from(HASHED)), (1, st.sampled_from(BAD_HASHED)))
far_offset = weighted(
    (6, field_offset), (1, either("4294967295", "4294967290", "#67108863", "2147483648", "#268435456"))
)
field_value = weighted(
    (4, number(0, 1, -1, 7, 100, 127, -128, 255, 256)), (1, st.sampled_from(INTEGER_EDGES)), (1, integer)
)
overflow = weighted((8, either("WRAP", "SAT", "sat", "FAIL")), (1, either("", "x", "FAILS")))
writes = many(
    st.one_of(
        options(("GET", width, field_offset), maximum=1),
        options(("SET", width, field_offset, field_value), maximum=1),
        options(("INCRBY", width, field_offset, field_value), maximum=2),
        options(("OVERFLOW", weighted((8, either("WRAP", "SAT")), (1, either("x")))), maximum=1),
    ),
    1,
    4,
)
reads = many(options(("GET", width, far_offset), maximum=2), 0, 3)
operation = weighted((10, either("AND", "OR", "XOR", "not", "NOT")), (1, either("NAND", "", "x")))

COMMANDS = [
    command("SET", key, bits, weight=6),
    command("SETBIT", key, write_offset, bit, weight=6),
    command("GETBIT", key, weighted((6, near), (1, integer), (1, either("4294967295")))),
    command("BITCOUNT", key),
    command("BITCOUNT", key, bit_index),
    command("BITCOUNT", key, bit_index, bit_index, weight=3),
    command("BITCOUNT", key, bit_index, bit_index, unit, weight=4),
    command("BITPOS", key, bit, weight=2),
    command("BITPOS", key, bit, bit_index, optional(bit_index), weight=3),
    command("BITPOS", key, bit, bit_index, bit_index, unit, weight=4),
    command("BITOP", operation, key, many(key, 1, 4), weight=6),
    command("BITOP", "NOT", key, key, weight=2),
    command("BITFIELD", key, writes, weight=8),
    command("BITFIELD", key, reads, weight=2),
    command("BITFIELD_RO", key, reads, weight=3),
    command("BITFIELD_RO", key, writes, weight=1),
    # A refused write must stay within the string: the real servers lengthen it and tell nobody.
    about_one_key(
        ("SET", key, b"\x7f" * 40),
        (
            "BITFIELD",
            key,
            "OVERFLOW",
            "FAIL",
            "SET",
            either("u4", "i8", "u8"),
            either("0", "100"),
            either("7", "-129", "300"),
        ),
        (
            "BITFIELD",
            key,
            "OVERFLOW",
            "FAIL",
            "INCRBY",
            either("i8", "u8"),
            either("0", "8"),
            either("1", "200", "-200"),
        ),
        (
            "BITFIELD",
            key,
            "OVERFLOW",
            overflow,
            "INCRBY",
            either("i64", "u63"),
            either("0", "3", "64"),
            field_value,
        ),
        weight=2,
    ),
    snippet(
        ("APPEND", key, b"\x55" * 3000),
        ("SETBIT", key, write_offset, bit),
        ("SETBIT", key, near, bit),
        weight=2,
    ),
    command("STRLEN", key),
    command("GET", key),
    command("OBJECT ENCODING", key),
    command("DUMP", key, weight=1),
]
GROUP = Group("bitmaps", COMMANDS)
