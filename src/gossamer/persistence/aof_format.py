"""The bytes of the append only file: commands and annotations, check sums, and where a complete prefix ends.

A file is a row of items: commands, as a client sends them, and annotations, lines that begin with "#".

    *3\\r\\n$3\\r\\nSET\\r\\n$1\\r\\nk\\r\\n$1\\r\\nv\\r\\n        a command
    #TS:1700000000\\r\\n                             the time from here on, in seconds
    #CRC64:00000000000001f4:9a3d5c0e8b7f6a21\\r\\n   a check sum line: its own offset in the file, and the CRC-64 of
                                                 the bytes since the end of the last such line (or the beginning)

Other annotations are passed over, as Redis does; so does Redis with the check sum lines.

What is damage and what is a tear. A crash leaves a prefix of what was written. So an item that is incomplete at the
end of the file is a tear: cut off there, the file is the longest complete prefix. Everything else that is wrong is
damage, which is refused with its offset. In a file with check sums a flipped bit must not pass for a tear, and cannot:

1.  Bytes in front of a check sum line that was read are summed, and the line says where it stands; a wrong sum or a
    wrong place is damage of the bytes since the last line. So are bytes that are missing or stand twice.
2.  Damage to a length can make a command swallow what follows, check sum lines included, up to the end of the file
    and further: it looks like a tear. But then a line that states its own place stands where no line was read. Such
    a line behind the last one that was read, at the file's end or in the item that is incomplete, is damage.
3.  A check sum line that is damaged itself is one that begins as one but is wrong; or, should its first bytes be
    damaged, an annotation of its length that has most of its shape. The last line, and the only one, too are found so.
    What is left of a torn line must be a prefix of the very line that belongs there.
4.  Commands behind the last line are accepted when they are complete: a torn batch, or the work of a server that
    writes no check sums (the next line then covers them).

So each single bit that flips in a file that ends with a check sum line is found. The price: a value that spells a
check sum line for exactly the place where it stands in the file, and is torn by a crash behind that line, is taken
for damage; `check-aof --fix` cuts it off.

In files without check sums a tear is what Redis takes for one. Stricter than Redis: lengths are plain digits, every
line and argument ends with CR LF. As in Redis an annotation has at most 1,023 bytes. Unlike Redis, a torn annotation
is cut off too: what is appended behind it would become part of it.

Nothing here knows files or the keyspace. A declared length takes no memory; a long argument is collected in the
pieces in which it arrives.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CorruptError
from gossamer.base.numbers import format_int
from gossamer.rdb.crc64 import crc64

# What AofScanner.next answers.
NEED_MORE: Final = 0
COMMAND: Final = 1
TIMESTAMP: Final = 2
CHECKSUM: Final = 3
OTHER_ANNOTATION: Final = 4

CHECKSUM_LINE_BYTES: Final = 42
ANNOTATION_MAX_BYTES: Final = 1023
MAX_ARGUMENTS: Final = 0x7FFFFFFF

CHECKSUM_MARK: Final = b"#CRC64:"
_CHECKSUM_SHAPE: Final = b"#CRC64:hhhhhhhhhhhhhhhh:hhhhhhhhhhhhhhhh\r\n"
DAMAGED_MAX_BYTES: Final = 8  # so many bytes may differ from the shape in what was a check sum line once
_TIMESTAMP_MARK: Final = b"#TS:"
_INCOMPLETE: Final = -1
_DIGITS_MAX: Final = 18

_SMALL: Final = 1024
_COUNT_HEADS: Final = [b"*%d" % n for n in range(_SMALL)]
_ARGUMENT_HEADS: Final = [b"\r\n$%d\r\n" % n for n in range(_SMALL)]


def write_command(out: BytesWriter, argv: list[bytes]) -> None:
    """Append a command."""
    count: i64 = len(argv)
    if count < _SMALL:
        out.write(_COUNT_HEADS[count])
    else:
        out.append(42)
        out.write(format_int(count))
    i: i64 = 0
    while i < count:
        argument = argv[i]
        size: i64 = len(argument)
        if size < _SMALL:
            out.write(_ARGUMENT_HEADS[size])
        else:
            out.write(b"\r\n$")
            out.write(format_int(size))
            out.write(b"\r\n")
        out.write(argument)
        i += 1
    out.write(b"\r\n")


def write_timestamp(out: BytesWriter, now_s: i64) -> None:
    """Append the annotation that says when what follows was written, in seconds since the epoch."""
    out.write(_TIMESTAMP_MARK)
    out.write(format_int(now_s))
    out.write(b"\r\n")


@final
class ChecksumState:
    """The running sum of a file: `checksum` covers the bytes from `covered_from` to `offset`."""

    def __init__(self, offset: i64 = 0, checksum: int = 0) -> None:
        self.offset: i64 = offset
        self.covered_from: i64 = offset
        self.checksum: int = checksum

    def add(self, data: bytes) -> None:
        """So many bytes more stand in the file."""
        self.checksum = crc64(data, self.checksum)
        self.offset += i64(len(data))

    def pending_bytes(self) -> i64:
        """How many bytes no check sum line covers yet."""
        return self.offset - self.covered_from

    def expected_line(self) -> bytes:
        """The line that belongs here."""
        return b"#CRC64:%016x:%016x\r\n" % (int(self.offset), self.checksum)

    def line(self) -> bytes:
        """The line that belongs here; the sum begins anew behind it."""
        text = self.expected_line()
        self.offset += CHECKSUM_LINE_BYTES
        self.covered_from = self.offset
        self.checksum = 0
        return text

    def copy(self) -> "ChecksumState":
        other = ChecksumState(self.offset, self.checksum)
        other.covered_from = self.covered_from
        return other


@final
class AofScanner:
    """Feed it a file's bytes and call next() until it answers NEED_MORE; at the file's end call finish() too.

    `offset` and `end_offset` say where the item that next() answered stands; after NEED_MORE `offset` is where the
    item begins that is not complete yet. `complete_end` is where the longest complete prefix ends, which holds no
    MULTI without its EXEC. `total_bytes` is the size of the file, where it is known: what can never become complete
    is then not kept in memory.
    """

    def __init__(self, start_offset: i64 = 0, total_bytes: i64 = -1) -> None:
        self.total_bytes: i64 = total_bytes
        self.buffer: bytes = b""
        self.origin: i64 = start_offset  # where the buffer begins in the file
        self.position: i64 = 0  # of the next byte to read, in the buffer
        self.waiting: list[bytes] = []  # fed, and not joined to the buffer yet
        self.waiting_bytes: i64 = 0
        self.needed: i64 = 0  # no use to go on before the file has been fed up to here
        self.after: i64 = 0  # where the number ends that was read last
        # The item
        self.offset: i64 = start_offset
        self.end_offset: i64 = start_offset
        self.argv: list[bytes] = []
        self.remaining: i64 = 0  # arguments to come
        self.length: i64 = -1  # of the argument that is being read
        self.timestamp_s: i64 = 0
        # The prefix
        self.complete_end: i64 = start_offset
        self.unit_start: i64 = -1  # of a MULTI without its EXEC
        self.unit_sums: ChecksumState | None = None
        # Check sums
        self.sums: ChecksumState = ChecksumState(start_offset)
        self.item_sums: ChecksumState | None = None  # at the item's begin, once `sums` went past it
        self.checksum_lines: i64 = 0
        self.hopeless: bool = False  # the item ends behind the file's end
        self.line_behind: i64 = -1  # where a check sum line stands that was not read

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the file."""
        if self.hopeless:
            self._look_behind(data)
            return
        self.waiting.append(data)
        self.waiting_bytes += i64(len(data))

    def fed_bytes(self) -> i64:
        """Up to where the file has been fed."""
        return self.origin + i64(len(self.buffer)) + self.waiting_bytes

    def is_torn(self) -> bool:
        """Whether the file, if it ends here, ends inside an item or a unit."""
        return self.complete_end < self.fed_bytes()

    def next(self) -> i64:
        """The kind of the next item. Raises CorruptError."""
        if self.waiting:
            if self.needed > self.origin + i64(len(self.buffer)) + self.waiting_bytes:
                return NEED_MORE
            self._take_waiting()
        if self.hopeless:
            return NEED_MORE
        if self.remaining == 0:
            position: i64 = self.position
            self.offset = self.origin + position
            self.item_sums = None
            if position >= i64(len(self.buffer)):
                return NEED_MORE
            mark: i64 = self.buffer[position]
            if mark == 35:
                return self._read_annotation()
            if mark != 42:
                raise self._fail("Expected '*' or '#'", position)
            count: i64 = self._read_number(position + 1)
            if count < 0:
                return NEED_MORE
            if count == 0 or count > MAX_ARGUMENTS:
                raise self._fail("Invalid number of arguments", position)
            self.argv = []
            self.remaining = count
            self.length = -1
            self.position = self.after
        if not self._read_arguments():
            return NEED_MORE
        self.end_offset = self.origin + self.position
        if len(self.argv) == 1:
            self._note_unit(self.argv[0])
        if self.unit_start < 0:
            self.complete_end = self.end_offset
        return COMMAND

    def finish(self) -> None:
        """The file ends here. Raises CorruptError where that, or an item that is incomplete, shows damage."""
        if not self.hopeless:
            if self.waiting:
                self._take_waiting()
                if self.remaining > 0:
                    self._read_arguments()  # for what is wrong in the part of an argument that is there
            start: i64 = self.sums.covered_from - self.origin
            self._look_for_line(self.buffer, self.origin, start if start > 0 else 0)
            self._check_torn_annotation()
        if self.line_behind >= 0:
            reason = (
                f"Check sum line at offset {self.line_behind} stands inside an item: damage since offset "
            )
            raise CorruptError(f"{reason}{self.sums.covered_from}, in the item", int(self.offset))

    def complete_sums(self) -> ChecksumState:
        """The check sum of the file if it is cut at `complete_end`: what goes on behind it."""
        if self.unit_sums is not None:
            return self.unit_sums.copy()
        return self._sums_at_item()

    # -- reading ------------------------------------------------------------------------------------------

    def _fail(self, reason: str, position: i64) -> CorruptError:
        return CorruptError(reason, int(self.origin + position))

    def _read_number(self, start: i64) -> i64:
        """The number between `start` and CR LF, or _INCOMPLETE; `after` is then the position behind it."""
        buffer = self.buffer
        size: i64 = len(buffer)
        value: i64 = 0
        i: i64 = start
        while i < size:
            code: i64 = buffer[i]
            if code < 48 or code > 57:
                break
            value = value * 10 + (code - 48)
            i += 1
            if i - start > _DIGITS_MAX:
                raise self._fail("Number is too long", start)
        if i > start + 1 and buffer[start] == 48:
            raise self._fail("Number begins with a zero", start)
        if i >= size:
            return _INCOMPLETE
        if i == start or buffer[i] != 13:
            raise self._fail("Expected a number that ends with CR LF", i)
        if i + 1 >= size:
            return _INCOMPLETE
        if buffer[i + 1] != 10:
            raise self._fail("Expected a number that ends with CR LF", i + 1)
        self.after = i + 2
        return value

    def _read_arguments(self) -> bool:
        """Read the arguments of the command under way; False where they are not all there."""
        buffer = self.buffer
        size: i64 = len(buffer)
        position: i64 = self.position
        length: i64 = self.length
        remaining: i64 = self.remaining
        argv = self.argv
        while remaining > 0:
            if length < 0:
                if position >= size:
                    break
                if buffer[position] != 36:
                    raise self._fail("Expected '$'", position)
                length = self._read_number(position + 1)
                if length < 0:
                    break
                position = self.after
            end: i64 = position + length
            if end + 2 > size:
                if end < size and buffer[end] != 13:
                    raise self._fail("Expected CR LF behind an argument", end)
                self._need(self.origin + end + 2)
                break
            if buffer[end] != 13 or buffer[end + 1] != 10:
                raise self._fail("Expected CR LF behind an argument", end)
            argv.append(buffer[position:end])
            position = end + 2
            length = -1
            remaining -= 1
        self.position = position
        self.length = length
        self.remaining = remaining
        return remaining == 0

    def _note_unit(self, name: bytes) -> None:
        """A command of one word: it may be MULTI or EXEC."""
        size: i64 = len(name)
        if size == 5 and self.unit_start < 0 and name.lower() == b"multi":
            self.unit_start = self.offset
            self.unit_sums = self._sums_at_item()
        elif size == 4 and self.unit_start >= 0 and name.lower() == b"exec":
            self.unit_start = -1
            self.unit_sums = None

    def _read_annotation(self) -> i64:
        start: i64 = self.position
        end: i64 = self.buffer.find(b"\n", start, start + ANNOTATION_MAX_BYTES)
        if end < 0:
            if i64(len(self.buffer)) - start >= ANNOTATION_MAX_BYTES:
                raise self._fail("Annotation is too long", start)
            return NEED_MORE
        line = self.buffer[start : end + 1]
        self.end_offset = self.origin + end + 1
        kind: i64 = OTHER_ANNOTATION
        if line.startswith(CHECKSUM_MARK):
            self._check_sum(line)
            kind = CHECKSUM
        elif line.startswith(_TIMESTAMP_MARK) and is_timestamp(line):
            self.timestamp_s = int(line[4:-2])
            kind = TIMESTAMP
        elif has_checksum_shape(line, DAMAGED_MAX_BYTES):
            raise self._fail("Check sum line is damaged", start)
        self.position = end + 1
        if self.unit_start < 0:
            self.complete_end = self.end_offset
        return kind

    # -- check sums ---------------------------------------------------------------------------------------

    def _check_sum(self, line: bytes) -> None:
        """Hold a check sum line against what belongs there."""
        if not has_checksum_shape(line, 0):
            raise self._fail("Check sum line is damaged", self.position)
        sums = self.sums
        self._sum_up_to(self.offset)
        covered_from = sums.covered_from
        expected = sums.expected_line()
        if line != expected:
            span = f"bytes {covered_from} to {self.offset}"
            if line[:24] != expected[:24]:
                stated = int(line[7:23], 16)
                raise self._fail(
                    f"Check sum line belongs at offset {stated}: {span} are damaged", self.position
                )
            raise CorruptError(f"Check sum is wrong: {span} are damaged", int(covered_from))
        sums.line()
        self.checksum_lines += 1

    def _sum_up_to(self, offset: i64) -> None:
        sums = self.sums
        start: i64 = sums.offset - self.origin
        end: i64 = offset - self.origin
        if start < end:
            sums.add(self.buffer[start:end])

    def _sums_at_item(self) -> ChecksumState:
        """The sum of what stands in front of the item."""
        if self.item_sums is not None:
            return self.item_sums.copy()
        sums = self.sums.copy()
        start: i64 = sums.offset - self.origin
        end: i64 = self.offset - self.origin
        if start < end:
            sums.add(self.buffer[start:end])
        return sums

    def _check_torn_annotation(self) -> None:
        """What is left of a check sum line must be the beginning of the one that belongs there."""
        if self.remaining > 0 or self.position >= i64(len(self.buffer)) or self.buffer[self.position] != 35:
            return
        rest = self.buffer[self.position :]
        if has_checksum_shape(rest[:CHECKSUM_LINE_BYTES], DAMAGED_MAX_BYTES):
            raise self._fail("Check sum line is damaged", self.position)
        if rest.startswith(CHECKSUM_MARK) and not self._sums_at_item().expected_line().startswith(rest):
            raise self._fail("Torn check sum line does not belong here", self.position)

    def _look_for_line(self, data: bytes, origin: i64, start: i64) -> None:
        """Look for a check sum line that states its own place; `origin` is where `data` begins in the file."""
        at: i64 = data.find(CHECKSUM_MARK, start)
        while at >= 0 and self.line_behind < 0:
            line = data[at : at + CHECKSUM_LINE_BYTES]
            if has_checksum_shape(line, 0) and line[7:23] == b"%016x" % int(origin + at):
                self.line_behind = origin + at
            at = data.find(CHECKSUM_MARK, at + 1)

    # -- memory -------------------------------------------------------------------------------------------

    def _need(self, end: i64) -> None:
        """An argument, CR LF included, goes up to there. Where it cannot, what is left is only looked at."""
        self.needed = end
        if 0 <= self.total_bytes <= end - 2:
            self.hopeless = True
            self._sum_item_begin()
            self._look_behind(b"")

    def _look_behind(self, data: bytes) -> None:
        """Look for check sum lines in what cannot be read, and keep no more of it than may begin one."""
        whole = self.buffer + data
        start: i64 = self.sums.covered_from - self.origin
        self._look_for_line(whole, self.origin, start if start > 0 else 0)
        keep: i64 = len(whole) - (CHECKSUM_LINE_BYTES - 1)
        if keep > 0:
            self.origin += keep
            whole = whole[keep:]
        self.buffer = whole
        self.position = i64(len(whole))

    def _sum_item_begin(self) -> None:
        """Remember the sum in front of the command under way, before its bytes are forgotten."""
        if self.item_sums is None:
            self._sum_up_to(self.offset)
            self.item_sums = self.sums.copy()

    def _take_waiting(self) -> None:
        """Join what was fed to what is not read yet, and to so much before it as a check sum line has."""
        if self.remaining > 0:
            self._sum_item_begin()
        self._sum_up_to(self.origin + self.position)
        keep: i64 = self.position
        last: i64 = i64(len(self.buffer)) - CHECKSUM_LINE_BYTES
        if keep > last:
            keep = last if last > 0 else 0
        self.waiting.insert(0, self.buffer[keep:])
        self.buffer = b"".join(self.waiting)
        self.origin += keep
        self.position -= keep
        self.waiting = []
        self.waiting_bytes = 0


def is_timestamp(line: bytes) -> bool:
    """Whether an annotation that begins as one is a time stamp."""
    size: i64 = len(line)
    if size < 7 or size > 4 + _DIGITS_MAX + 2 or line[size - 2] != 13:
        return False
    i: i64 = 4
    while i < size - 2:
        if line[i] < 48 or line[i] > 57:
            return False
        i += 1
    return True


def has_checksum_shape(line: bytes, differing_max: i64) -> bool:
    """Whether a line has the length of a check sum line and its form, but for so many bytes."""
    if len(line) != CHECKSUM_LINE_BYTES:
        return False
    differing: i64 = 0
    i: i64 = 0
    while i < CHECKSUM_LINE_BYTES:
        code: i64 = line[i]
        shape: i64 = _CHECKSUM_SHAPE[i]
        if shape == 104:
            if not (48 <= code <= 57 or 97 <= code <= 102):
                differing += 1
        elif code != shape:
            differing += 1
        i += 1
    return differing <= differing_max
