"""`gossamer check-rdb`: says what an RDB file holds, or what is wrong with it, where, and what is left of it.

Owns the words, the exit status and the salvage: the part before the damage, as a whole file of its own. Files are
never changed.
"""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import BinaryIO, Final

from gossamer.ops.console import complain, say
from gossamer.ops.progress import Progress, size_text
from gossamer.ops.rdb_findings import FORMS, RdbFindings, RdbScan, scan_rdb, shown
from gossamer.rdb.crc64 import crc64
from gossamer.rdb.format import MAGIC_REDIS, MAGIC_VALKEY, OPCODE_EOF, TYPE_MODULE_2, VERSION_WITH_CHECKSUM

COPY_BYTES: Final = 1 << 20
INDENT: Final = "  "
NUMBER_DIGITS: Final = 18


class CheckError(Exception):
    """The check cannot be made, or what was asked cannot be done; the text is for the user."""


def open_file(path: str) -> tuple[BinaryIO, int]:
    """A regular file, unbuffered, and its size. Raises CheckError."""
    try:
        file: BinaryIO = open(path, "rb", buffering=0)
    except OSError as error:
        raise CheckError(f"cannot read {path}: {error.strerror}") from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise CheckError(f"cannot read {path}: not a regular file")
    return file, status.st_size


def time_text(seconds: int) -> str:
    """A time as people read it; nothing where there is no such time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, ValueError, OSError):
        return "no time"


def number_of(count: int, one: str, many: str = "") -> str:
    """`1 key`, `2 keys`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


# -- the words ----------------------------------------------------------------------------------------------


def content_lines(findings: RdbFindings) -> list[str]:
    """What stands in the file, or stood before the damage."""
    magic = MAGIC_VALKEY if findings.is_valkey else MAGIC_REDIS
    lines = [f"format       {magic.decode()} version {findings.version}"]
    lines += [
        f"aux          {name.decode('latin-1')} = {aux_text(name, value)}" for name, value in findings.aux
    ]
    keys = f"keys         {findings.keys:,}"
    if findings.expires:
        keys += f", {findings.expires:,} of them with an expiry ({findings.expired:,} expired already)"
    lines.append(keys)
    for index in sorted(findings.databases):
        database = findings.databases[index]
        expiring = f", {database.expires:,} with an expiry" if database.expires else ""
        lines.append(f"database {index:<4}{number_of(database.keys, 'key')}{expiring}")
    for value_type in sorted(findings.forms, key=form_order):
        kind, encoding = FORMS.get(value_type, ("type", str(value_type)))
        name = kind if kind == encoding else f"{kind}, {encoding}"
        lines.append(f"type {value_type:<8}{name}: {number_of(findings.forms[value_type], 'key')}")
    if findings.hashes_with_expiring_fields:
        counted = number_of(findings.hashes_with_expiring_fields, "hash", "hashes")
        lines.append(f"note         {counted} with expiring fields")
    if findings.functions:
        counted = number_of(len(findings.functions), "library", "libraries")
        lines.append(f"functions    {counted}, {sum(map(len, findings.functions)):,} bytes of code")
    if findings.module_types:
        names = ", ".join(sorted({name.decode("latin-1") for name in findings.module_types}))
        refused = "; a server without them refuses the keys" if TYPE_MODULE_2 in findings.forms else ""
        lines.append(f"modules      data of {names}, not looked into{refused}")
    return lines


def form_order(value_type: int) -> tuple[str, int]:
    return FORMS.get(value_type, ("~", ""))[0], value_type


def aux_text(name: bytes, value: bytes) -> str:
    text = shown(value)
    if value.isdigit() and len(value) <= NUMBER_DIGITS:
        if name == b"ctime":
            text += f" ({time_text(int(value))})"
        elif name == b"used-mem":
            text += f" ({size_text(int(value))})"
    return text


def checksum_text(findings: RdbFindings) -> str:
    if findings.version < VERSION_WITH_CHECKSUM:
        return f"none: version {findings.version} has no check sum"
    if findings.checksum == 0:
        return "none: the writer kept no check sum (rdbchecksum no)"
    return f"right (CRC-64 {findings.checksum:016x})"


def damage_lines(findings: RdbFindings) -> list[str]:
    """What is wrong, where, and what is left."""
    damage = findings.damage
    assert damage is not None
    lines = [f"{damage.reason}, at offset {damage.offset:,} of {findings.size_bytes:,} bytes", damage.doing]
    if findings.keys:
        lines.append(
            f"{number_of(findings.keys, 'key')} complete before that; the last is {shown(findings.last_key)}, "
            f"offset {findings.last_offset:,} to {findings.end_offset:,}"
        )
    elif findings.version:
        lines.append("no key is complete before that")
    if damage.ends_early:
        lines.append(
            "the file ends too early: it was not written or copied to its end, or a length is damaged"
        )
    elif damage.at_checksum:
        lines.append(
            "every key can be read, but some byte of the file has changed, and which one nobody can tell"
        )
    return lines


def not_rdb_hint(head: bytes) -> list[str]:
    """What a file without the magic may be."""
    if head[:1] in (b"*", b"#"):
        return ["it looks like an append only file: see gossamer check-aof"]
    if head.startswith(b"file "):
        return ["it looks like the manifest of an append only file: see gossamer check-aof"]
    return []


# -- one file -----------------------------------------------------------------------------------------------


def check_rdb(
    path: str, progress: Progress, say: Callable[[str], None], salvage: str = "", now_ms: int = -1
) -> bool:
    """Check a file and say what it is; whether it is sound. Raises CheckError and OSError."""
    file, size_bytes = open_file(path)
    with file:
        progress.begin(os.path.basename(path), size_bytes)
        try:
            scan = scan_rdb(
                file, path, size_bytes, int(time.time() * 1000) if now_ms < 0 else now_ms, progress
            )
        finally:
            progress.end()
        file.seek(0)
        head = file.read(16)
        trailing = size_bytes - scan.end_offset if scan.findings.complete else 0
        sound = scan.findings.damage is None and not trailing
        for line in report_lines(scan, head, trailing):
            say(line)
        if salvage and sound:
            say(f"{INDENT}nothing to salvage: the file is sound")
        elif salvage:
            save_rest(file, scan.findings, salvage, say)
        return sound


def report_lines(scan: RdbScan, head: bytes, trailing: int) -> Iterable[str]:
    findings = scan.findings
    damage = findings.damage
    if damage is None and not trailing:
        yield f"{findings.name}: sound, {findings.size_bytes:,} bytes"
        yield f"{INDENT}check sum    {checksum_text(findings)}"
    else:
        yield f"{findings.name}: DAMAGED"
        if damage is not None:
            yield from (INDENT + line for line in damage_lines(findings))
            if findings.version == 0:
                yield from (INDENT + line for line in not_rdb_hint(head))
        else:
            yield f"{INDENT}{number_of(trailing, 'byte')} behind the end of the snapshot, at offset {scan.end_offset:,}"
            if scan.rest[:1] in (b"*", b"#"):
                yield f"{INDENT}commands follow it: it is an append only file; see gossamer check-aof"
        if findings.version:
            yield f"{INDENT}a server refuses the whole file; --salvage FILE writes the complete keys to another one"
            yield f"{INDENT}before the damage:" if damage is not None else f"{INDENT}in the snapshot:"
    if findings.version:
        yield from (INDENT + line for line in content_lines(findings))


# -- salvage ------------------------------------------------------------------------------------------------


def save_rest(file: BinaryIO, findings: RdbFindings, target: str, say: Callable[[str], None]) -> None:
    """Write what stands before the damage as a whole file. Raises CheckError and OSError."""
    if findings.version == 0:
        raise CheckError("nothing can be salvaged: the header is damaged")
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CheckError(f"cannot create {target}: {error.strerror}") from error
    with open(descriptor, "wb", buffering=0) as output:
        checksum = 0
        remaining = findings.end_offset
        file.seek(0)
        while remaining > 0:
            data = file.read(min(COPY_BYTES, remaining))
            if not data:
                raise CheckError(f"{findings.name} became shorter while it was read")
            checksum = crc64(data, checksum)
            write_whole(output, data)
            remaining -= len(data)
        end = bytes([OPCODE_EOF])
        write_whole(output, end)
        if findings.version >= VERSION_WITH_CHECKSUM:
            write_whole(output, crc64(end, checksum).to_bytes(8, "little"))
        os.fsync(output.fileno())
    sync_directory(target)
    say(f"{INDENT}{number_of(findings.keys, 'key')} salvaged to {target}")


def write_whole(output: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[output.write(rest) :]


def sync_directory(path: str) -> None:
    """What was created beside `path` stays there."""
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def run(paths: list[str], salvage: str = "", show_progress: bool | None = None) -> int:
    """Check files one after the other; 0 where all are sound, 1 otherwise."""
    progress = Progress(sys.stderr, show_progress)
    status = 0
    for path in paths:
        try:
            if not check_rdb(path, progress, say, salvage):
                status = 1
        except CheckError as error:
            complain(f"gossamer check-rdb: {error}")
            status = 1
        except OSError as failure:
            name = failure.filename or path
            complain(f"gossamer check-rdb: {name}: {failure.strerror}")
            status = 1
    return status
