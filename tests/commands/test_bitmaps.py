"""Commands on bits without a server: what they say to events, AOF and replicas, and the operations of Redis 8.2."""

import pytest

from gossamer.commands import bitmaps, strings
from support.caller import Caller

# After these commands: the events, what is propagated (None: the command as it came), by how much dirty moves.
EFFECTS = [
    ("SETBIT a 5 1", "new a, setbit a", None, 1),
    ("SETBIT a 5 1", "", None, 0),
    ("SETBIT a 50 0", "setbit a", None, 1),
    ("BITFIELD a GET u8 0", "", None, 0),
    ("BITFIELD b SET u8 0 1", "new b, setbit b", None, 1),
    ("BITFIELD b SET u8 0 1", "", None, 0),
    ("BITFIELD b SET u8 0 7 SET u8 8 9 INCRBY u8 0 0", "setbit b", None, 2),
    ("BITFIELD b OVERFLOW FAIL SET u8 0 256", "", None, 0),
    ("BITFIELD b OVERFLOW FAIL SET u8 100 256", "setbit b", None, 1),
    ("BITOP AND d a b", "new d, set d", None, 1),
    ("BITOP OR d x y", "keymiss x, keymiss y, del d", None, 1),
    ("BITOP OR d x y", "keymiss x, keymiss y", None, 0),
    ("BITOP DIFF d a b", "new d, set d", "SET d", 1),
    ("BITOP ONE d x y", "keymiss x, keymiss y, del d", "DEL d", 1),
    ("BITCOUNT nothing", "keymiss nothing", None, 0),
]


def test_each_command_says_what_it_did() -> None:
    caller = Caller((bitmaps.COMMANDS, strings.COMMANDS), 70)
    caller.state.notify_mask |= 1 << 11  # misses
    for line, events, propagated, changes in EFFECTS:
        dirty = caller.state.dirty
        caller.line(line)
        said = ", ".join(f"{event.decode()} {key.decode()}" for event, key in caller.events)
        assert (line, said) == (line, events)
        sent = None if caller.propagated is None else b" ".join(caller.propagated[0][:2]).decode()
        assert (line, sent, caller.state.dirty - dirty) == (line, propagated, changes)


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("DIFF", 0b11110000_00000000 & ~0b11001100_11110000 & ~0b10101010_00000000),
        ("DIFF1", (0b11001100_11110000 | 0b10101010_00000000) & ~0b11110000_00000000),
        ("ANDOR", 0b11110000_00000000 & (0b11001100_11110000 | 0b10101010_00000000)),
        ("ONE", 0b00010110_11110000),
    ],
)
@pytest.mark.parametrize("compat", [70, 72, 80])
def test_bitop_knows_the_operations_of_redis_8_2(operation: str, expected: int, compat: int) -> None:
    caller = Caller((bitmaps.COMMANDS, strings.COMMANDS), compat)
    caller.call("SET", "x", b"\xf0")
    caller.call("SET", "y", b"\xcc\xf0")
    caller.call("SET", "z", b"\xaa")
    if operation == "ONE":  # set in exactly one of the three
        bits = [f"{n:016b}" for n in (0xF000, 0xCCF0, 0xAA00)]
        expected = int(
            "".join("1" if column.count("1") == 1 else "0" for column in zip(*bits, strict=True)), 2
        )
    assert caller.call("BITOP", operation, "d", "x", "y", "z") == 2
    assert caller.call("GET", "d") == expected.to_bytes(2, "big")
    assert caller.propagated is None


@pytest.mark.parametrize("operation", ["DIFF", "diff1", "ANDOR"])
def test_an_operation_between_keys_needs_two(operation: str) -> None:
    caller = Caller((bitmaps.COMMANDS,))
    with pytest.raises(Exception, match="must be called with at least two source keys"):
        caller.line(f"BITOP {operation} d x")


def test_a_long_string_is_changed_in_place() -> None:
    caller = Caller((bitmaps.COMMANDS, strings.COMMANDS))
    db = caller.session.db
    caller.call("SET", "k", bytes(100_000))
    caller.call("SETBIT", "k", "799999", "1")
    db.find(b"k")
    buffer = db.found_buffer()
    for bit in range(1000):
        assert caller.call("SETBIT", "k", str(bit * 7), "1") == 0
        assert caller.call("GETBIT", "k", str(bit * 7)) == 1
    caller.line("BITFIELD k SET u32 #20 4294967295")
    db.find(b"k")
    assert db.found_buffer() is buffer
    assert caller.call("BITCOUNT", "k", "640", "671", "BIT") == 32
    assert caller.call("BITPOS", "k", "1", "-100") == 799_999
    assert caller.call("BITPOS", "k", "0", "80", "83") == -1


def test_no_bit_is_set_beyond_the_limit() -> None:
    caller = Caller((bitmaps.COMMANDS, strings.COMMANDS))
    caller.limits.proto_max_bulk_len_bytes = 1000
    assert caller.line("SETBIT k 7999 1") == 0
    for line in ("SETBIT k 8000 1", "GETBIT k 8000", "BITFIELD k GET u8 8000", "BITFIELD k SET u8 #1000 1"):
        with pytest.raises(Exception, match="bit offset is not an integer or out of range"):
            caller.line(line)
    assert caller.call("STRLEN", "k") == 1000


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        ("i5", -(2**63), 15),
        ("i5", -(2**63) + 15, 15),
        ("i5", -(2**63) + 16, -16),
        ("i63", -(2**63) + 2**62 - 1, 2**62 - 1),
        ("i63", -(2**63) + 2**62, -(2**62)),
        ("i1", -(2**63), 0),
        ("i64", -(2**63), -(2**63)),
    ],
)
def test_what_lies_too_far_below_a_field_is_saturated_as_the_real_servers_do(
    kind: str, value: int, held: int
) -> None:
    caller = Caller((bitmaps.COMMANDS,), 70)
    caller.line(f"BITFIELD k OVERFLOW SAT SET {kind} 0 {value}")
    assert caller.line(f"BITFIELD k GET {kind} 0") == [held]
