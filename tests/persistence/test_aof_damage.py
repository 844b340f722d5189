"""Every cut of an append only file loads the longest complete prefix, and every flipped bit under check sums is found.

With GOSSAMER_EXAMPLES in the environment each cut and each flip is loaded for real; without, some of them are, and
the rest are judged by the scanner, which alone decides what is complete and what is damaged.
"""

import bisect
import os

import pytest

from gossamer.base.errors import CorruptError
from gossamer.persistence.aof_format import CHECKSUM_LINE_BYTES, COMMAND, NEED_MORE, AofScanner
from gossamer.persistence.aof_loading import AofLoadError
from persistence.aof_content import (
    INCREMENT,
    Loader,
    Recording,
    command,
    digest,
    new_engine,
    record,
    scan,
)

CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ
LOADED_CUTS_STRIDE = 1 if CAMPAIGN else 701
FRESH_CUTS_STRIDE = 1 if CAMPAIGN else 509
LOADED_FLIPS_STRIDE = 1 if CAMPAIGN else 149

FILE_BYTES = 65_536
COMMANDS = 2_000


def tell(capsys: pytest.CaptureFixture[str], text: str) -> None:
    with capsys.disabled():
        print(f"\n{text}", end="")


def complete_end(recording: Recording, cut: int) -> int:
    """Where the longest complete prefix of a file that was cut ends, by the record of what was written."""
    return recording.ends[bisect.bisect_right(recording.ends, cut) - 1]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "checksums"])
def recording(request: pytest.FixtureRequest) -> Recording:
    # Check sum lines need room too: the same number of commands does not fit beside them.
    return record(FILE_BYTES, 1_850 if request.param else COMMANDS, checksums=request.param)


def test_every_cut_ends_at_the_longest_complete_prefix(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    """One scanner that is fed byte by byte and told each time that the file ends there."""
    data = recording.data()
    scanner = AofScanner()
    for cut in range(1, len(data) + 1):
        scanner.feed(data[cut - 1 : cut])
        while scanner.next() != NEED_MORE:
            pass
        scanner.finish()
        expected = complete_end(recording, cut)
        assert (scanner.complete_end, scanner.is_torn()) == (expected, expected < cut)
    fresh = range(0, len(data) + 1, FRESH_CUTS_STRIDE)
    for cut in fresh:
        assert scan(data[:cut]).complete_end == complete_end(recording, cut)
    kind = "with check sums" if recording.checksums else "without check sums"
    tell(
        capsys,
        f"AOF {kind}, {recording.commands} commands: {len(data)} of {len(data)} cuts judged right, "
        f"{len(fresh)} of them by a scanner of their own",
    )


def contents(data: bytes, ends: set[int]) -> dict[int, bytes]:
    """The digest of the keyspace after each of these prefixes, as clients would have made it."""
    engine = new_engine()
    client = engine.new_client()
    found = {0: digest(engine)}
    scanner = AofScanner()
    scanner.feed(data)
    while (kind := scanner.next()) != NEED_MORE:
        if kind == COMMAND:
            engine.execute(client, scanner.argv)
        if scanner.end_offset in ends:
            found[int(scanner.end_offset)] = digest(engine)
    return found


def test_every_cut_loads_to_the_longest_complete_prefix(
    recording: Recording, capsys: pytest.CaptureFixture[str]
) -> None:
    """Content and file: equal to those of the prefix; MULTI whole or absent."""
    data = recording.data()
    loader = Loader()
    cuts = sorted({*range(0, len(data) + 1, LOADED_CUTS_STRIDE), *range(len(data) - 50, len(data) + 1)})
    content = contents(data, {complete_end(recording, cut) for cut in cuts})
    for cut in cuts:
        end = complete_end(recording, cut)
        loader.load_increment(data[:cut])
        assert digest(loader.engine) == content[end]
        assert len(loader.disk.files[INCREMENT]) == end
    assert len(set(content.values())) > len(content) * 2 // 3
    tell(capsys, f"{len(cuts)} cuts of {len(data)} loaded, {len(content)} different ends")


def flipped(data: bytes, bit: int) -> bytes:
    return data[: bit >> 3] + bytes([data[bit >> 3] ^ (1 << (bit & 7))]) + data[(bit >> 3) + 1 :]


def four_kilobytes() -> Recording:
    """A little of everything: units, several databases, time stamps, batches of one command, a long value."""
    recording = record(4096, 50, checksums=True, seed=3, batch=4)
    assert len(recording.data()) == 4096
    return recording


def test_every_flipped_bit_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    data = four_kilobytes().data()
    bits = 8 * len(data)
    lines = scan(data).checksum_lines
    assert lines >= 9
    for bit in range(bits):
        with pytest.raises(CorruptError) as caught:
            scan(flipped(data, bit))
        assert 0 <= caught.value.offset < len(data), bit
    tell(capsys, f"AOF with {lines} check sum lines: {bits} of {bits} flipped bits found")


def test_every_flipped_bit_keeps_the_file_from_loading(capsys: pytest.CaptureFixture[str]) -> None:
    data = four_kilobytes().data()
    loader = Loader()
    bits = range(0, 8 * len(data), LOADED_FLIPS_STRIDE)
    for bit in bits:
        damaged = flipped(data, bit)
        with pytest.raises(AofLoadError, match=r"appendonly\.aof\.1\.incr\.aof.* at offset \d+"):
            loader.load_increment(damaged)
        assert loader.disk.files[INCREMENT] == damaged
    tell(capsys, f"{len(bits)} of {8 * len(data)} files with a flipped bit refused on loading")


def test_every_flipped_bit_of_a_file_with_one_line_is_found() -> None:
    """Nothing before its only line tells that the file has check sums."""
    recording = Recording(checksums=True)
    recording.unit(command(b"SET", b"key", b"value"))
    recording.unit(command(b"RPUSH", b"list", b"1"), command(b"LPOP", b"list"))
    recording.end_batch()
    data = recording.data()
    assert scan(data).checksum_lines == 1
    for bit in range(8 * len(data)):
        with pytest.raises(CorruptError):
            scan(flipped(data, bit))


@pytest.mark.parametrize(("value_bytes", "further_batches"), [(13, 0), (100, 1), (100, 3)])
@pytest.mark.parametrize("beyond", [0, 1, 2, 500])
def test_a_command_that_swallows_all_check_sum_lines_is_no_tear(
    value_bytes: int, further_batches: int, beyond: int
) -> None:
    """A length that grew: the value goes up to the very end of the file, or beyond."""
    recording = Recording(checksums=True)
    recording.unit(command(b"SET", b"k", b"v" * value_bytes))
    begin = recording.size() - value_bytes - 2
    recording.end_batch()
    for _ in range(further_batches):
        recording.unit(command(b"SET", b"0123456789", b"x" * 8))
        recording.end_batch()
    data = recording.data()
    length = b"%d" % min(len(data) - begin - 2 + beyond, 10 ** len(str(value_bytes)) - 1)
    damaged = data.replace(b"$%d\r\n" % value_bytes, b"$" + length + b"\r\n")
    assert len(damaged) == len(data)
    for step in (1, 50, 100_000):
        for known_size in (False, True):
            with pytest.raises(CorruptError):
                scan(damaged, step, known_size)


def test_zeros_at_the_end_are_damage() -> None:
    """What some file systems leave of a file that was growing when the power went."""
    data = four_kilobytes().data()
    for cut in range(0, len(data), 37):
        with pytest.raises(CorruptError):
            scan(data[:cut] + bytes(4096))


@pytest.mark.parametrize("length", range(8, CHECKSUM_LINE_BYTES))
def test_a_torn_line_must_be_the_beginning_of_the_right_one(length: int) -> None:
    data = four_kilobytes().data()
    torn = data[: len(data) - CHECKSUM_LINE_BYTES + length]
    assert scan(torn).complete_end == len(data) - CHECKSUM_LINE_BYTES
    with pytest.raises(CorruptError):
        scan(flipped(torn, 8 * len(torn) - 8))
