"""The bytes of the append only file: writing, reading in any pieces, what is refused, and what takes memory."""

import random

import pytest

from gossamer.base.errors import CorruptError
from gossamer.persistence.aof_format import (
    CHECKSUM,
    CHECKSUM_LINE_BYTES,
    COMMAND,
    NEED_MORE,
    OTHER_ANNOTATION,
    TIMESTAMP,
    AofScanner,
    ChecksumState,
)
from gossamer.rdb.crc64 import crc64
from persistence.aof_content import command, commands_of, record, scan, timestamp

PING = b"*1\r\n$4\r\nPING\r\n"


def items(data: bytes, step: int) -> list[tuple[int, list[bytes], int, int]]:
    scanner = AofScanner()
    found = []
    for start in range(0, len(data), step):
        scanner.feed(data[start : start + step])
        while (kind := scanner.next()) != NEED_MORE:
            found.append((kind, scanner.argv if kind == COMMAND else [], scanner.offset, scanner.end_offset))
    scanner.finish()
    return found


@pytest.mark.parametrize("size", [0, 1, 9, 10, 1023, 1024, 100_000])
def test_a_command_is_written_as_a_client_sends_it(size: int) -> None:
    assert command(b"SET", b"k", b"v" * size) == b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$%d\r\n%s\r\n" % (
        size,
        b"v" * size,
    )


def test_a_command_of_many_arguments() -> None:
    argv = [b"DEL", *(b"%d" % n for n in range(3000))]
    data = command(*argv)
    assert data.startswith(b"*3001\r\n$3\r\nDEL\r\n$1\r\n0\r\n")
    assert list(commands_of(data)) == [argv]


def test_annotations_are_lines() -> None:
    assert timestamp(1_700_000_000) == b"#TS:1700000000\r\n"
    sums = ChecksumState()
    sums.add(PING)
    assert sums.pending_bytes() == 14
    assert sums.line() == b"#CRC64:%016x:%016x\r\n" % (14, crc64(PING))
    assert (sums.offset, sums.pending_bytes()) == (14 + CHECKSUM_LINE_BYTES, 0)
    sums.add(PING)
    assert sums.line() == b"#CRC64:%016x:%016x\r\n" % (14 + 42 + 14, crc64(PING))


def test_the_items_of_a_file_are_told_with_their_places() -> None:
    sums = ChecksumState()
    data = timestamp(1_700_000_000) + PING
    sums.add(data)
    last = command(b"SET", b"", b"a\r\n*1\r\n")
    data += sums.line() + b"#note\r\n#\n" + last
    kinds = [TIMESTAMP, COMMAND, CHECKSUM, OTHER_ANNOTATION, OTHER_ANNOTATION, COMMAND]
    places = [0, 16, 30, 72, 79, 81, 81 + len(last)]
    for step in (1, 5, 1000):
        found = items(data, step)
        assert [item[0] for item in found] == kinds
        assert [item[2] for item in found] == places[:-1]
        assert [item[3] for item in found] == places[1:]
        assert found[-1][1] == [b"SET", b"", b"a\r\n*1\r\n"]


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_in_which_pieces_a_file_arrives(seed: int) -> None:
    chance = random.Random(seed)
    data = record(8192, 150, checksums=True, seed=seed).data()
    whole = items(data, len(data))
    assert items(data, chance.randrange(1, 60)) == whole
    assert items(data, chance.randrange(60, 3000)) == whole


@pytest.mark.parametrize(
    ("bad", "offset"),
    [
        (b"x", 0),
        (b"\r\n", 0),
        (b"*\r\n", 1),
        (b"*0\r\n", 0),
        (b"*-1\r\n", 1),
        (b"*+1\r\n", 1),
        (b"* 1\r\n", 1),
        (b"*01\r\n", 1),
        (b"*1x", 2),
        (b"*1\n", 2),
        (b"*1\rx", 3),
        (b"*2147483648\r\n", 0),
        (b"*1\r\n:", 4),
        (b"*1\r\n$-1\r\n", 5),
        (b"*1\r\n$1_0\r\n", 6),
        (b"*1\r\n$1234567890123456789\r\n", 5),
        (b"*1\r\n$4\r\nPINGx", 12),
        (b"*1\r\n$4\r\nPING\rx", 12),
        (b"*2\r\n$4\r\nPING\r\n*", 14),
        (b"#" + b"x" * 1023, 0),
        (b"#CRC64:\r\n", 0),
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_is_no_format_is_refused_at_its_place(bad: bytes, offset: int, step: int) -> None:
    for front in (b"", PING * 3):
        with pytest.raises(CorruptError) as caught:
            scan(front + bad, step)
        assert caught.value.offset == len(front) + offset


def test_a_length_takes_no_memory_before_its_bytes_are_there() -> None:
    scanner = AofScanner()
    scanner.feed(b"*2000000000\r\n$100000000000000000\r\nabc")
    assert scanner.next() == NEED_MORE
    assert len(scanner.buffer) < 100
    assert len(scanner.argv) == 0


def test_what_can_never_be_complete_is_not_kept() -> None:
    scanner = AofScanner(0, 50 << 20)
    scanner.feed(PING + b"*1\r\n$99999999\r\n")
    for _ in range(50):
        assert scanner.next() in (COMMAND, NEED_MORE)
        scanner.feed(bytes(1 << 20))
    scanner.finish()
    assert len(scanner.buffer) < 100 and not scanner.waiting
    assert (scanner.complete_end, scanner.is_torn()) == (14, True)


def test_a_long_argument_is_joined_once() -> None:
    value = b"0123456789abcdef" * (1 << 16)
    data = command(b"SET", b"k", value)
    scanner = AofScanner()
    for start in range(0, len(data), 4096):
        scanner.feed(data[start : start + 4096])
        kind = scanner.next()
        assert kind == COMMAND or len(scanner.buffer) < 5000
    assert scanner.argv == [b"SET", b"k", value]


def test_a_unit_is_complete_with_its_exec_only() -> None:
    unit = command(b"multi") + PING + command(b"EXEC")
    for end in range(len(unit)):
        scanner = scan(PING + unit[:end])
        assert scanner.complete_end == 14
        assert scanner.is_torn() == (end > 0)
    assert not scan(PING + unit).is_torn()


def test_an_exec_alone_is_a_command_like_others() -> None:
    assert not scan(command(b"EXEC")).is_torn()


def test_commands_without_lines_are_covered_by_the_next_line() -> None:
    """As when a server without check sums has written on."""
    sums = ChecksumState()
    sums.add(PING)
    data = PING + sums.line() + PING + PING
    assert scan(data).checksum_lines == 1
    sums.add(PING + PING)
    data += sums.line()
    assert scan(data).checksum_lines == 2
    with pytest.raises(CorruptError, match=r"Check sum is wrong: bytes 56 to 84 are damaged") as caught:
        scan(data[:60] + b"$4\r\nPONG" + data[68:])
    assert caught.value.offset == 56


def test_a_piece_that_is_missing_or_stands_twice_is_damage() -> None:
    data = record(8192, 150, checksums=True).data()
    ends = [end for kind, _, _, end in items(data, 9000) if kind == CHECKSUM]
    first, second = ends[0], ends[1]
    with pytest.raises(CorruptError, match="Check sum line belongs at offset"):
        scan(data[:first] + data[second:])
    with pytest.raises(CorruptError, match="Check sum line belongs at offset"):
        scan(data[:second] + data[first:])


def test_a_value_that_looks_like_a_check_sum_line_is_a_value() -> None:
    sums = ChecksumState()
    for value in (sums.expected_line(), ChecksumState(27).expected_line(), b"#CRC64:" * 10):
        data = command(b"SET", b"k", value) + PING
        sums = ChecksumState()
        sums.add(data)
        assert scan(data + sums.line()).checksum_lines == 1


@pytest.mark.parametrize("step", [1, 17, 100_000])
def test_the_sum_that_goes_on_is_that_of_the_complete_prefix(step: int) -> None:
    recording = record(8192, 150, checksums=True)
    data = recording.data()
    for end in range(0, len(data), 61):
        scanner = scan(data[:end], step)
        complete = int(scanner.complete_end)
        state = scanner.complete_sums()
        assert state.offset == complete
        covered = int(state.covered_from)
        assert state.checksum == crc64(data[covered:complete])
        assert covered == 0 or data[covered - 42 : covered].startswith(b"#CRC64:")


def test_a_scanner_may_begin_behind_a_preamble() -> None:
    scanner = AofScanner(1000, 1028)
    scanner.feed(PING + PING)
    assert (scanner.next(), scanner.offset, scanner.end_offset) == (COMMAND, 1000, 1014)
    assert (scanner.next(), scanner.next()) == (COMMAND, NEED_MORE)
    assert (scanner.complete_end, scanner.is_torn()) == (1028, False)
