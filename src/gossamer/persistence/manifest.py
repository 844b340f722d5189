"""The manifest of the append only file: which files count, in which order, and the names of the next ones.

Owns the text and the rules by which it is read, which are Redis 7's. One line per file:

    file appendonly.aof.2.base.rdb seq 2 type b        b: the base, at most one
    file appendonly.aof.1.incr.aof seq 1 type h        h: history, named until it is removed
    file appendonly.aof.2.incr.aof seq 2 type i        i: an increment; sequence numbers rise

A line may hold further pairs of words, which are passed over and not kept. Lines that begin with "#" are comments.
Names are within the directory of the manifest; a name that needs it stands in double quotes.

Invariants: `increments` is in the order in which the files are loaded; `history` begins with what was retired last.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import GossamerError
from gossamer.base.quoting import quote, split_arguments
from gossamer.persistence.doors import Disk
from gossamer.persistence.durable import replace_file

BASE: Final = "b"
HISTORY: Final = "h"
INCREMENT: Final = "i"

LINE_MAX_BYTES: Final = 1024  # its end included
_READ_BYTES: Final = 1 << 16
_SEQUENCE_MAX: Final = (1 << 63) - 1

_EMPTY: Final = "Found an empty AOF manifest"
_TOO_LONG: Final = "The AOF manifest file contains too long line"
_INVALID: Final = "Invalid AOF manifest file format"
_PATH: Final = "File can't be a path, just a filename"
_DUPLICATE_BASE: Final = "Found duplicate base file information"
_NOT_MONOTONIC: Final = "Found a non-monotonic sequence number"
_UNKNOWN_TYPE: Final = "Unknown AOF file type"


class ManifestError(GossamerError):
    """A manifest that cannot be followed. `line_number` counts from 1 and is 0 where no line is to blame."""

    def __init__(self, reason: str, line_number: int = 0, line: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.line_number = line_number
        self.line = line

    def explain(self) -> list[str]:
        """The lines of the log."""
        lines = ["*** FATAL AOF MANIFEST FILE ERROR ***"]
        if self.line_number > 0:
            lines.append(f"Reading the manifest file, at line {self.line_number}")
            lines.append(f">>> '{self.line.decode('utf-8', 'backslashreplace')}'")
        lines.append(self.reason)
        return lines


@final
class AofFile:
    """One file that a manifest names; `kind` is BASE, HISTORY or INCREMENT. It does not change."""

    def __init__(self, name: str, sequence: int, kind: str) -> None:
        self.name: str = name
        self.sequence: int = sequence
        self.kind: str = kind

    def line(self) -> bytes:
        name = encode_name(self.name)
        if _needs_quotes(name):
            name = quote(name)
        return b"file %s seq %d type %s\n" % (name, self.sequence, self.kind.encode())


@final
class Manifest:
    """A list of files. Changing it touches no disk: store_manifest() makes it count."""

    def __init__(self) -> None:
        self.base: AofFile | None = None
        self.increments: list[AofFile] = []
        self.history: list[AofFile] = []
        self.base_sequence: int = 0
        self.increment_sequence: int = 0

    @staticmethod
    def parse(text: bytes) -> "Manifest":
        """Raises ManifestError."""
        manifest = Manifest()
        if not text:
            raise ManifestError(_EMPTY)
        start = 0
        number = 0
        while start < len(text):
            number += 1
            piece = text[start : start + LINE_MAX_BYTES]
            end = piece.find(b"\n")
            if end >= 0:
                piece = piece[: end + 1]
            start += len(piece)
            if piece.startswith(b"#"):
                continue
            if end < 0:
                raise ManifestError(_TOO_LONG)
            line = piece.strip(b" \t\r\n")
            reason = manifest._read_line(line)
            if reason:
                raise ManifestError(reason, number, line)
        return manifest

    def _read_line(self, line: bytes) -> str:
        """Take over what a line says; why that cannot be, or nothing."""
        words = split_arguments(line)
        if words is None or len(words) < 6 or len(words) % 2:
            return _INVALID
        name = b""
        kind = ""
        sequence = 0
        for i in range(0, len(words), 2):
            field = words[i].lower()
            value = words[i + 1]
            if field == b"file":
                name = value
                if b"/" in name or b"\\" in name:
                    return _PATH
            elif field == b"seq":
                sequence = _leading_number(value)
            elif field == b"type":
                kind = chr(value[0]) if value else ""
        if not name or not sequence or not kind:
            return _INVALID
        return self._add(AofFile(decode_name(name), sequence, kind))

    def _add(self, file: AofFile) -> str:
        if file.kind == BASE:
            if self.base is not None:
                return _DUPLICATE_BASE
            self.base = file
            self.base_sequence = file.sequence
        elif file.kind == HISTORY:
            self.history.append(file)
        elif file.kind == INCREMENT:
            if file.sequence <= self.increment_sequence:
                return _NOT_MONOTONIC
            self.increments.append(file)
            self.increment_sequence = file.sequence
        else:
            return _UNKNOWN_TYPE
        return ""

    def render(self) -> bytes:
        """The text of the file, in the order in which Redis writes it."""
        lines: list[bytes] = []
        if self.base is not None:
            lines.append(self.base.line())
        for file in self.history:
            lines.append(file.line())
        for file in self.increments:
            lines.append(file.line())
        return b"".join(lines)

    def copy(self) -> "Manifest":
        """Another list of the same files."""
        other = Manifest()
        other.base = self.base
        other.increments = self.increments.copy()
        other.history = self.history.copy()
        other.base_sequence = self.base_sequence
        other.increment_sequence = self.increment_sequence
        return other

    def files(self) -> list[AofFile]:
        """What is loaded, in order."""
        base = self.base
        return self.increments.copy() if base is None else [base, *self.increments]

    def add_base(self, prefix: str, as_rdb: bool) -> str:
        """Name a new base; the one there was becomes history."""
        old = self.base
        if old is not None:
            self.history.insert(0, AofFile(old.name, old.sequence, HISTORY))
        self.base_sequence += 1
        name = f"{prefix}.{self.base_sequence}.base.{'rdb' if as_rdb else 'aof'}"
        self.base = AofFile(name, self.base_sequence, BASE)
        return name

    def add_increment(self, prefix: str) -> str:
        """Name a new last increment."""
        self.increment_sequence += 1
        name = f"{prefix}.{self.increment_sequence}.incr.aof"
        self.increments.append(AofFile(name, self.increment_sequence, INCREMENT))
        return name

    def retire_increments(self) -> None:
        """All increments but the last become history: a new base holds what they say."""
        while len(self.increments) > 1:
            file = self.increments.pop(len(self.increments) - 2)
            self.history.insert(0, AofFile(file.name, file.sequence, HISTORY))


def encode_name(name: str) -> bytes:
    """A file's name as bytes; any bytes survive both ways."""
    return name.encode("utf-8", "surrogateescape")


def decode_name(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


def _needs_quotes(name: bytes) -> bool:
    size: i64 = len(name)
    i: i64 = 0
    while i < size:
        code: i64 = name[i]
        if code <= 32 or code >= 127 or code == 34 or code == 92 or code == 39:
            return True
        i += 1
    return False


def _leading_number(text: bytes) -> int:
    """The number with which a text begins, as C reads it: blanks, a sign, digits; 0 without any."""
    text = text.lstrip(b" \t\n\v\f\r")
    sign = -1 if text.startswith(b"-") else 1
    if text[:1] in (b"-", b"+"):
        text = text[1:]
    value = 0
    for code in text[:20]:
        if code < 48 or code > 57:
            break
        value = value * 10 + (code - 48)
    return sign * min(value, _SEQUENCE_MAX)


def manifest_name(prefix: str) -> str:
    """`prefix` is the directive appendfilename."""
    return f"{prefix}.manifest"


def load_manifest(disk: Disk, directory: str, prefix: str) -> Manifest | None:
    """None where there is no manifest. Raises ManifestError and OSError."""
    file = disk.open(f"{directory}/{manifest_name(prefix)}")
    if file is None:
        return None
    pieces: list[bytes] = []
    try:
        while True:
            piece = file.read(_READ_BYTES)
            if not piece:
                break
            pieces.append(piece)
    finally:
        file.close()
    return Manifest.parse(b"".join(pieces))


def store_manifest(disk: Disk, directory: str, prefix: str, manifest: Manifest) -> None:
    """Make a list of files the one that counts, durably. Raises OSError."""
    name = manifest_name(prefix)
    replace_file(disk, f"{directory}/{name}", f"{directory}/temp-{name}", manifest.render())
