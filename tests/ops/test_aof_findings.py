"""What is found in one append only file: where it can be cut, what that leaves, and what stands behind damage."""

import io
import random

import pytest

from gossamer.ops.aof_findings import (
    DAMAGED,
    READ_BYTES,
    SNAPSHOT_DAMAGED,
    TORN,
    AofFindings,
    AofScan,
    find_checksum_line,
    find_commands,
    find_item,
)
from gossamer.ops.progress import Progress
from gossamer.persistence.aof_format import ChecksumState
from persistence.aof_content import Recording, command, commands_of, some_command, timestamp
from rdb.content import Collector, write_all

QUIET = Progress(io.StringIO(), False)
SET = command(b"SET", b"k", b"v")


def findings_of(data: bytes, until_s: int = -1) -> AofFindings:
    return AofScan(io.BytesIO(data), "appendonly.aof", len(data), QUIET).run(0, until_s)


def recorded(checksums: bool, units: int = 40, seed: int = 3) -> Recording:
    """A file of so many units, some of them MULTI ... EXEC, in batches."""
    chance = random.Random(seed)
    recording = Recording(checksums)
    for number in range(units):
        if number % 10 == 0:
            recording.put(timestamp(1_700_000_000 + number))
        size = 1 if chance.randrange(4) else 3
        recording.unit(*[some_command(chance) for _ in range(size)])
        if number % 4 == 3:
            recording.end_batch()
    return recording


def complete_commands(data: bytes) -> int:
    return sum(1 for _ in commands_of(data))


def test_a_sound_file_is_counted():
    recording = recorded(True)
    findings = findings_of(recording.data())
    assert findings.fault is None
    assert findings.commands == recording.commands
    assert findings.units == recording.data().count(b"EXEC")
    assert findings.checksum_lines == 10
    assert findings.verified_bytes == findings.size_bytes
    assert (findings.first_timestamp_s, findings.last_timestamp_s) == (1_700_000_000, 1_700_000_030)


def test_an_empty_file_is_sound():
    assert findings_of(b"").fault is None


@pytest.mark.parametrize("checksums", [False, True])
def test_every_cut_is_kept_up_to_its_longest_complete_prefix(checksums: bool):
    recording = recorded(checksums)
    data = recording.data()
    for size in range(len(data)):
        findings = findings_of(data[:size])
        kept = max(end for end in recording.ends if end <= size)
        if kept == size:
            assert findings.fault is None
            continue
        fault = findings.fault
        assert fault is not None and fault.kind == TORN
        assert fault.keep_bytes == kept
        assert fault.keep_commands == complete_commands(data[:kept])
        assert fault.lost_commands - fault.found_commands == findings.commands - fault.keep_commands


def test_every_flipped_bit_of_a_file_with_check_sums_is_found_and_never_kept():
    data = recorded(True, 16).data()
    for index in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[index] ^= 1 << bit
            fault = findings_of(bytes(damaged)).fault
            assert fault is not None
            assert fault.kind == DAMAGED
            assert fault.keep_bytes <= index
            assert findings_of(data[: fault.keep_bytes]).fault is None


def test_a_wrong_check_sum_costs_its_batch_and_what_follows():
    sums = ChecksumState()
    pieces: list[bytes] = []
    for number in range(3):
        batch = SET * (number + 1)
        sums.add(batch)
        pieces += [batch, sums.line()]
    data = b"".join(pieces)
    second = len(pieces[0]) + len(pieces[1])
    damaged = bytearray(data)
    damaged[data.index(b"k", second)] ^= 1
    fault = findings_of(bytes(damaged)).fault
    assert fault is not None
    assert fault.reason == f"Check sum is wrong: bytes {second} to {second + len(pieces[2])} are damaged"
    assert (fault.keep_bytes, fault.keep_commands) == (second, 1)
    assert (fault.found_commands, fault.found_offset) == (3, second + len(pieces[2]) + 42)
    assert fault.lost_commands == 5


def test_damage_without_check_sums_is_cut_behind_the_last_complete_unit():
    unit = command(b"MULTI") + SET + SET + command(b"EXEC")
    for before, kept, commands in ((SET * 3, 3 * len(SET), 3), (SET + unit, len(SET + unit), 5)):
        damaged = bytearray(before + SET + SET)
        damaged[len(before)] = ord("+")
        fault = findings_of(bytes(damaged)).fault
        assert fault is not None and fault.kind == DAMAGED
        assert (fault.keep_bytes, fault.keep_commands) == (kept, commands)
        assert fault.found_commands == fault.lost_commands == 1


def test_damage_inside_a_unit_costs_the_whole_unit():
    data = SET + command(b"MULTI") + SET + b"junk" + SET
    fault = findings_of(data).fault
    assert fault is not None
    assert (fault.keep_bytes, fault.keep_commands, fault.lost_commands) == (len(SET), 1, 2)
    assert fault.doing == f"in the transaction that begins at offset {len(SET)}"


def test_a_tear_says_where_it_is_and_what_of():
    fault = findings_of(SET + SET[:-4]).fault
    assert fault is not None
    assert fault.reason == "The file ends inside a command"
    assert fault.offset == len(SET)
    assert fault.doing == f'in the command at offset {len(SET)}, argument 3 of 3: "SET" "k"'
    fault = findings_of(SET + command(b"MULTI") + SET).fault
    assert fault is not None
    assert fault.reason == "The file ends inside a transaction: MULTI without EXEC"
    assert fault.offset == len(SET)
    fault = findings_of(SET + timestamp(1_700_000_000)[:-3]).fault
    assert fault is not None
    assert fault.reason == "The file ends inside an annotation"


def test_a_damaged_length_that_looks_like_a_tear_is_told_by_the_commands_behind_it():
    damaged = bytearray(SET * 20)
    damaged[len(SET) + 14 : len(SET) + 15] = b"99999"
    fault = findings_of(bytes(damaged)).fault
    assert fault is not None and fault.kind == TORN
    assert fault.keep_commands == 1
    assert fault.found_commands == 18
    assert fault.found_offset == 2 * len(SET) + 4


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (command(b"MULTI") + SET + command(b"multi"), "MULTI within a transaction"),
        (SET + command(b"EXEC"), "EXEC without MULTI"),
    ],
)
def test_units_that_do_not_fit_are_damage(data: bytes, reason: str):
    fault = findings_of(data + SET).fault
    assert fault is not None and fault.kind == DAMAGED
    assert fault.reason == reason
    assert fault.keep_bytes in (0, len(SET))
    assert fault.found_commands == 1


def snapshot(keys: int) -> bytes:
    collector = Collector()
    collector.databases = {0: {b"key-%d" % number: b"v" for number in range(keys)}}
    return write_all(collector)


def test_a_file_may_begin_with_a_snapshot():
    data = snapshot(3) + SET
    findings = findings_of(data)
    assert findings.fault is None and findings.snapshot is not None
    assert (findings.snapshot.keys, findings.commands) == (3, 1)
    fault = findings_of(data[:-1]).fault
    assert fault is not None
    assert (fault.keep_bytes, fault.keep_commands) == (len(snapshot(3)), 0)


def test_damage_of_the_snapshot_cannot_be_cut_away():
    for data in (snapshot(3)[:-3], snapshot(3).replace(b"\x05key-1", b"\x55key-1") + SET):
        fault = findings_of(data).fault
        assert fault is not None and fault.kind == SNAPSHOT_DAMAGED


def test_check_sums_behind_a_snapshot_hold_and_a_wrong_one_cuts_back_to_it():
    base = snapshot(2)
    sums = ChecksumState(len(base))
    sums.add(SET)
    data = base + SET + sums.line()
    assert findings_of(data).fault is None
    damaged = bytearray(data)
    damaged[len(base) + 12] ^= 2
    fault = findings_of(bytes(damaged)).fault
    assert fault is not None and fault.keep_bytes == len(base)


def test_a_time_is_cut_at_the_first_annotation_behind_it():
    first, second, third = (timestamp(1000 + number) for number in range(3))
    data = first + SET + second + SET + SET + third + SET
    for until_s, items in ((1000, first + SET), (1001, first + SET + second + SET + SET), (999, b"")):
        cut = findings_of(data, until_s).cut
        assert cut is not None
        assert cut.keep_bytes == len(items)
        assert cut.keep_commands == complete_commands(items)
        assert cut.lost_commands == 4 - cut.keep_commands
    assert findings_of(data, 1002).cut is None


def test_a_time_within_a_unit_cuts_in_front_of_the_unit():
    data = SET + command(b"MULTI") + SET + timestamp(1000) + SET + command(b"EXEC")
    cut = findings_of(data, 999).cut
    assert cut is not None
    assert (cut.keep_bytes, cut.keep_commands) == (len(SET), 1)


@pytest.mark.parametrize("shift", range(-20, 60, 4))
def test_the_search_finds_what_lies_across_two_pieces_of_the_file(shift: int):
    place = READ_BYTES + shift
    line = b"#CRC64:%016x:%016x\r\n" % (place + len(SET), 5)
    data = b"x" * (place - 1) + b"\n" + SET + line
    assert find_item(io.BytesIO(data), 1) == place
    assert find_checksum_line(io.BytesIO(data), 1) == place + len(SET)
    assert find_checksum_line(io.BytesIO(b"x" + data), 1) == -1


def test_the_search_behind_damage_is_bounded_for_hostile_bytes():
    """Each line claims a value that goes to the end of the file."""
    data = b"\n" + b"*2\r\n$3\r\nSET\r\n$100000\r\n" * 20_000
    passed = 0

    class File(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal passed
            piece = super().read(size)
            passed += len(piece)
            return piece

    find_commands(File(data), 1, len(data))
    assert passed < 200 * len(data)
