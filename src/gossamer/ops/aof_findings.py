"""What stands in one append only file, where it breaks off, and what a cut there would cost.

Owns the counts, the place up to which a file can be kept, and the search for commands behind damage. Must not know
manifests, nor how findings are shown. The bytes are `persistence/aof_format.py`'s to judge, so that what is sound
here is what a server loads; MULTI within a unit and EXEC without MULTI, which a server logs, are damage here as they
are to redis-check-aof.

Where a file is to be cut:

    torn                behind the last complete unit, as a server does when it loads the file
    damage that a       behind the last check sum line that held: any of the bytes from there on may be wrong
    check sum covers
    other damage        behind the last complete unit before it

Invariants: `keep_bytes` never stands inside an item or a unit; bytes that a check sum proves wrong are not kept.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from gossamer.base.errors import CorruptError
from gossamer.ops.progress import Progress
from gossamer.ops.rdb_findings import RdbFindings, scan_rdb, shown
from gossamer.persistence.aof_format import (
    CHECKSUM,
    CHECKSUM_LINE_BYTES,
    CHECKSUM_MARK,
    COMMAND,
    DAMAGED_MAX_BYTES,
    NEED_MORE,
    TIMESTAMP,
    AofScanner,
    has_checksum_shape,
)
from gossamer.rdb.format import MAGIC_REDIS, MAGIC_VALKEY

READ_BYTES: Final = 1 << 18
# The search behind damage reads no more than so many times the bytes there are: hostile bytes could ask for more.
SEARCH_PASSES: Final = 4

TORN: Final = "torn"
DAMAGED: Final = "damaged"
SNAPSHOT_DAMAGED: Final = "snapshot damaged"

_ITEM: Final = re.compile(rb"(?<=\n)(?:\*[1-9][0-9]{0,9}\r\n\$[0-9]|#TS:|#CRC64:)")
_ITEM_BYTES: Final = (
    16  # so many bytes at the most, the line end before included, show that an item may begin
)
_CHECKSUM_LINE: Final = re.compile(rb"#CRC64:[0-9a-f]{16}:[0-9a-f]{16}\r\n")
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9._|-]*\Z")


@dataclass
class Fault:
    """What is wrong. Keeping `keep_bytes` leaves `keep_commands`; `lost_commands` complete ones go.

    Up to `readable_bytes` all can be read, which is more than is kept where a check sum puts it in doubt. Of what
    goes, `found_commands` stand behind the place of damage, from `found_offset` on: at least so many, since the
    search passes over what it cannot read.
    """

    kind: str
    reason: str
    offset: int
    doing: str
    keep_bytes: int
    keep_commands: int
    lost_commands: int
    readable_bytes: int = 0
    readable_commands: int = 0
    found_commands: int = 0
    found_offset: int = -1


@dataclass
class TimestampCut:
    """Where a file is to be cut so that nothing younger than a time remains."""

    keep_bytes: int
    keep_commands: int
    timestamp_s: int  # of the first annotation behind
    lost_commands: int = 0


@dataclass
class AofFindings:
    """What a file holds."""

    name: str
    size_bytes: int
    snapshot: RdbFindings | None = None  # that it begins with
    snapshot_bytes: int = 0
    commands: int = 0
    units: int = 0  # complete MULTI ... EXEC
    checksum_lines: int = 0
    verified_bytes: int = 0  # up to where a check sum line vouches
    first_timestamp_s: int = -1
    last_timestamp_s: int = -1
    fault: Fault | None = None
    cut: TimestampCut | None = None


class AofScan:
    """One pass over a file."""

    def __init__(self, file: BinaryIO, name: str, size_bytes: int, progress: Progress) -> None:
        self.file = file
        self.progress = progress
        self.findings = AofFindings(name, size_bytes)
        self.scanner = AofScanner(0, size_bytes)
        self.in_unit = False
        # The longest prefix that is complete, and the longest that a check sum line vouches for.
        self.complete_end = 0
        self.complete_commands = 0
        self.verified_end = 0
        self.verified_commands = 0

    def run(self, now_ms: int, until_s: int = -1) -> AofFindings:
        """Read it all; with `until_s`, note where what is younger begins. Raises OSError."""
        findings = self.findings
        head = self.file.read(len(MAGIC_VALKEY))
        self.file.seek(0)
        if head.startswith(MAGIC_REDIS) or head.startswith(MAGIC_VALKEY):
            scan = scan_rdb(self.file, findings.name, findings.size_bytes, now_ms, self.progress)
            findings.snapshot = scan.findings
            damage = scan.findings.damage
            if damage is not None:
                findings.fault = Fault(SNAPSHOT_DAMAGED, damage.reason, damage.offset, damage.doing, 0, 0, 0)
                return findings
            findings.snapshot_bytes = scan.end_offset
            findings.verified_bytes = scan.end_offset
            self.complete_end = self.verified_end = scan.end_offset
            self.scanner = AofScanner(scan.end_offset, findings.size_bytes)
            self.scanner.feed(scan.rest)
        try:
            self.read_commands(until_s)
        except CorruptError as error:
            findings.fault = self.damage(error)
        else:
            if self.scanner.is_torn():
                findings.fault = self.tear()
        cut = findings.cut
        if cut is not None:
            cut.lost_commands = findings.commands - cut.keep_commands
        return findings

    def read_commands(self, until_s: int) -> None:
        scanner = self.scanner
        while True:
            kind = scanner.next()
            if kind == NEED_MORE:
                data = self.file.read(READ_BYTES)
                if not data:
                    scanner.finish()
                    return
                self.progress.advance(len(data))
                scanner.feed(data)
            elif kind == COMMAND:
                self.take_command()
            else:
                self.take_annotation(int(kind), until_s)

    def take_command(self) -> None:
        findings = self.findings
        scanner = self.scanner
        if len(scanner.argv) == 1:
            name = scanner.argv[0].lower()
            if name == b"multi":
                if self.in_unit:
                    raise CorruptError("MULTI within a transaction", int(scanner.offset))
                self.in_unit = True
            elif name == b"exec":
                if not self.in_unit:
                    raise CorruptError("EXEC without MULTI", int(scanner.offset))
                self.in_unit = False
                findings.units += 1
        findings.commands += 1
        self.note_prefix()

    def take_annotation(self, kind: int, until_s: int) -> None:
        findings = self.findings
        scanner = self.scanner
        if kind == TIMESTAMP:
            now_s = int(scanner.timestamp_s)
            if 0 <= until_s < now_s and findings.cut is None:
                findings.cut = TimestampCut(self.complete_end, self.complete_commands, now_s)
            if findings.first_timestamp_s < 0:
                findings.first_timestamp_s = now_s
            findings.last_timestamp_s = now_s
        self.note_prefix()
        if kind == CHECKSUM:
            findings.checksum_lines += 1
            findings.verified_bytes = int(scanner.end_offset)
            self.verified_end = self.complete_end
            self.verified_commands = self.complete_commands

    def note_prefix(self) -> None:
        if not self.in_unit:
            self.complete_end = int(self.scanner.complete_end)
            self.complete_commands = self.findings.commands

    # -- what is wrong ------------------------------------------------------------------------------------

    def damage(self, error: CorruptError) -> Fault:
        findings = self.findings
        doing = self.doing()
        keep_bytes, keep_commands = self.complete_end, self.complete_commands
        if self.in_doubt():
            keep_bytes, keep_commands = self.verified_end, self.verified_commands
        found = find_commands(self.file, int(self.scanner.offset) + 1, findings.size_bytes)
        return Fault(
            DAMAGED,
            error.reason,
            error.offset,
            doing,
            keep_bytes,
            keep_commands,
            findings.commands - keep_commands + found.commands,
            self.complete_end,
            self.complete_commands,
            found.commands,
            found.offset,
        )

    def in_doubt(self) -> bool:
        """Whether a check sum covers the damage: then any byte since the last line that held may be wrong."""
        scanner = self.scanner
        if scanner.line_behind >= 0:
            return True
        if scanner.remaining == 0:
            self.file.seek(int(scanner.offset))
            line = self.file.read(CHECKSUM_LINE_BYTES)
            if line.startswith(CHECKSUM_MARK) or has_checksum_shape(line, DAMAGED_MAX_BYTES):
                return True
        return find_checksum_line(self.file, int(scanner.offset) + 1) >= 0

    def tear(self) -> Fault:
        """The file ends inside an item or a unit."""
        findings = self.findings
        scanner = self.scanner
        complete_item_end = int(scanner.offset)
        lost = findings.commands - self.complete_commands
        keep_bytes, keep_commands = self.complete_end, self.complete_commands
        fault = Fault(
            TORN,
            "",
            complete_item_end,
            self.doing(),
            keep_bytes,
            keep_commands,
            lost,
            keep_bytes,
            keep_commands,
        )
        if complete_item_end == findings.size_bytes:
            fault.reason = "The file ends inside a transaction: MULTI without EXEC"
            fault.offset = int(scanner.unit_start)
            return fault
        fault.reason = "The file ends inside a command"
        if scanner.remaining == 0:
            self.file.seek(complete_item_end)
            if self.file.read(1) == b"#":
                fault.reason = "The file ends inside an annotation"
        found = find_commands(self.file, complete_item_end + 1, findings.size_bytes)
        fault.found_commands = found.commands
        fault.found_offset = found.offset
        fault.lost_commands += found.commands
        return fault

    def doing(self) -> str:
        """What was being read where the file breaks off."""
        scanner = self.scanner
        text = ""
        if scanner.remaining > 0:
            count = len(scanner.argv) + int(scanner.remaining)
            text = f"in the command at offset {scanner.offset}, argument {len(scanner.argv) + 1} of {count}"
            if scanner.argv:
                text += f": {' '.join([shown(argument) for argument in scanner.argv[:2]])}"
        if self.in_unit:
            unit = f"in the transaction that begins at offset {scanner.unit_start}"
            text = f"{text}, {unit}" if text else unit
        return text


# -- behind the damage --------------------------------------------------------------------------------------


@dataclass
class Found:
    """Commands that can be read behind a place, and where the first one stands."""

    commands: int = 0
    offset: int = -1


def find_commands(file: BinaryIO, start: int, size_bytes: int) -> Found:
    """Look for commands from an offset on, past whatever cannot be read."""
    found = Found()
    budget_bytes = SEARCH_PASSES * (size_bytes - start)
    place = find_item(file, start)
    while place >= 0 and budget_bytes > 0:
        file.seek(place)
        scanner = AofScanner(place, size_bytes)
        try:
            while not scanner.hopeless:
                kind = scanner.next()
                if kind == COMMAND:
                    if _NAME.match(scanner.argv[0]):
                        found.commands += 1
                        if found.offset < 0:
                            found.offset = int(scanner.offset)
                elif kind == NEED_MORE and not scanner.hopeless:
                    data = file.read(READ_BYTES)
                    if not data:
                        break
                    budget_bytes -= len(data)
                    scanner.feed(data)
        except CorruptError:
            pass
        if scanner.offset == size_bytes:
            break
        place = find_item(file, int(scanner.offset) + 1)
    return found


def find_item(file: BinaryIO, start: int) -> int:
    """Where the next line begins, from `start` (above 0) on, that looks like an item; -1 where none does."""
    for offset, _ in matches(file, start - 1, _ITEM, _ITEM_BYTES):
        return offset
    return -1


def find_checksum_line(file: BinaryIO, start: int) -> int:
    """Where the next check sum line stands that states its own place; -1 where none does."""
    for offset, line in matches(file, start, _CHECKSUM_LINE, CHECKSUM_LINE_BYTES):
        if int(line[len(CHECKSUM_MARK) : len(CHECKSUM_MARK) + 16], 16) == offset:
            return offset
    return -1


def matches(
    file: BinaryIO, start: int, pattern: re.Pattern[bytes], most_bytes: int
) -> Iterator[tuple[int, bytes]]:
    """Matches of a pattern of at most so many bytes, with their offsets, from an offset on."""
    file.seek(start)
    data = b""
    searched = 0
    while True:
        more = file.read(READ_BYTES)
        if not more:
            return
        data += more
        for match in pattern.finditer(data, searched):
            yield start + match.start(), match.group()
            searched = match.end()
        passed = max(len(data) - most_bytes, searched - 1, 0)
        searched = max(searched - passed, 0)
        start += passed
        data = data[passed:]
