"""`gossamer check-aof`: says what an append only data set holds, or what is wrong with it, and cuts a torn end off.

Owns what a path stands for (a file, a manifest, a directory), what the manifest demands, the words, and the exit
status. What one file holds is found in `aof_findings.py`, what changes a file is in `aof_repair.py`.

Invariant: only the last file of a data set is ever cut: what follows a cut would apply to another data set.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from gossamer.ops.aof_findings import DAMAGED, SNAPSHOT_DAMAGED, AofFindings, AofScan
from gossamer.ops.aof_repair import CutRequest, cut_file
from gossamer.ops.check_rdb import CheckError, checksum_text, damage_lines, number_of, open_file, time_text
from gossamer.ops.console import ask, complain, say
from gossamer.ops.progress import Progress
from gossamer.persistence.manifest import BASE, AofFile, Manifest, ManifestError

MANIFEST_SUFFIX: Final = ".manifest"
DEFAULT_DIRECTORY: Final = "appendonlydir"
MANIFEST_MAX_BYTES: Final = 1 << 24
INDENT: Final = "  "
_OURS: Final = re.compile(r"\.\d+\.(base\.(rdb|aof)|incr\.aof)\Z")


@dataclass
class Member:
    """One file of a data set."""

    role: str  # "base", "incr", or "" for a file by itself
    path: str
    findings: AofFindings | None = None
    missing: str = ""  # why it cannot be read


@dataclass
class DataSet:
    """The files that a path stands for, in the order in which they are loaded."""

    manifest_path: str = ""
    members: list[Member] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    unlisted: list[str] = field(default_factory=list)  # names that look like parts, and are in no list


@dataclass
class Options:
    fix: bool = False
    until_s: int = -1  # --truncate-to-timestamp
    yes: bool = False
    backup: bool = True
    keep_unverified: bool = False


# -- what a path stands for ---------------------------------------------------------------------------------


def find_data_set(path: str) -> DataSet:
    """Raises CheckError and ManifestError."""
    if os.path.isdir(path):
        return read_data_set(manifest_in(path))
    file, _ = open_file(path)
    with file:
        head = file.read(1 << 16)
    if is_manifest(head):
        return read_data_set(path)
    if path.endswith(MANIFEST_SUFFIX) and not head:
        raise ManifestError("Found an empty AOF manifest")
    return DataSet(members=[Member("", path)])


def is_manifest(head: bytes) -> bool:
    """Whether a file that begins so is a manifest: its first line that is no comment begins with `file`."""
    for line in head.split(b"\n"):
        if not line.startswith(b"#"):
            return line.startswith(b"file ")
    return False


def manifest_in(directory: str) -> str:
    """The one manifest of a directory, or of `appendonlydir` in it. Raises CheckError."""
    places = [directory, os.path.join(directory, DEFAULT_DIRECTORY)]
    for place in places:
        try:
            names = sorted(os.listdir(place))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise CheckError(f"cannot read {place}: {error.strerror}") from error
        found = [name for name in names if name.endswith(MANIFEST_SUFFIX) and not name.startswith("temp-")]
        if len(found) > 1:
            raise CheckError(f"{place} holds {len(found)} manifests, name one of them: {', '.join(found)}")
        if found:
            return os.path.join(place, found[0])
    raise CheckError(f"{directory} holds no manifest of an append only file")


def read_data_set(manifest_path: str) -> DataSet:
    file, size_bytes = open_file(manifest_path)
    with file:
        if size_bytes > MANIFEST_MAX_BYTES:
            raise CheckError(f"cannot read {manifest_path}: too large for a manifest")
        text = file.read(MANIFEST_MAX_BYTES)
    manifest = Manifest.parse(text)
    directory = os.path.dirname(manifest_path)
    members = [member_of(entry, directory) for entry in manifest.files()]
    return DataSet(
        manifest_path,
        members,
        [entry.name for entry in manifest.history],
        unlisted_files(manifest_path, manifest),
    )


def member_of(entry: AofFile, directory: str) -> Member:
    return Member("base" if entry.kind == BASE else "incr", os.path.join(directory, entry.name))


def unlisted_files(manifest_path: str, manifest: Manifest) -> list[str]:
    """What lies beside a manifest, is named like a part of its data set, and stands in no line of it."""
    prefix = os.path.basename(manifest_path).removesuffix(MANIFEST_SUFFIX)
    listed = {entry.name for entry in [*manifest.files(), *manifest.history]}
    found = []
    for name in sorted(os.listdir(os.path.dirname(manifest_path) or ".")):
        plain = name.removeprefix("temp-")
        is_part = plain.startswith(prefix) and _OURS.fullmatch(plain[len(prefix) :])
        is_temporary = name.startswith(("temp-rewriteaof-", "temp-" + prefix))
        if name not in listed and (is_part or is_temporary):
            found.append(name)
    return found


# -- the check ----------------------------------------------------------------------------------------------


def check(
    path: str,
    options: Options,
    progress: Progress,
    say: Callable[[str], None],
    ask: Callable[[str], str],
    now_ms: int = -1,
) -> bool:
    """Check a data set, and cut it if that is wanted and agreed to; whether it is sound then.

    Raises CheckError, ManifestError and OSError.
    """
    data_set = find_data_set(path)
    if data_set.manifest_path:
        say(f"{data_set.manifest_path}: manifest, {number_of(len(data_set.members), 'file')}")
    now_ms = int(time.time() * 1000) if now_ms < 0 else now_ms
    for member in data_set.members:
        examine(member, now_ms, options.until_s, progress)
        for line in member_lines(member):
            say(line)
    for line in directory_lines(data_set):
        say(line)
    if options.until_s >= 0:
        return truncate_to_timestamp(data_set, options, say, ask)
    faulty = [member for member in data_set.members if is_faulty(member)]
    if not faulty:
        say("sound: everything can be loaded")
        return True
    if options.fix:
        return fix(data_set, faulty, options, say, ask)
    say(advice(data_set, faulty))
    return False


def examine(member: Member, now_ms: int, until_s: int, progress: Progress) -> None:
    try:
        file, size_bytes = open_file(member.path)
    except CheckError as error:
        member.missing = str(error)
        return
    with file:
        progress.begin(os.path.basename(member.path), size_bytes)
        try:
            member.findings = AofScan(file, member.path, size_bytes, progress).run(now_ms, until_s)
        finally:
            progress.end()


def is_faulty(member: Member) -> bool:
    return member.findings is None or member.findings.fault is not None


def is_last(data_set: DataSet, member: Member) -> bool:
    """Whether nothing is loaded after it: it is the last one, or those behind it are empty."""
    behind = data_set.members[data_set.members.index(member) + 1 :]
    return all(other.findings is not None and other.findings.size_bytes == 0 for other in behind)


def advice(data_set: DataSet, faulty: list[Member]) -> str:
    """What to do about it, in one line."""
    reason = reason_not_to_fix(data_set, faulty)
    return (
        f"cannot be repaired by --fix: {reason}" if reason else "--fix cuts the damaged end off, after asking"
    )


# -- the words ----------------------------------------------------------------------------------------------


def member_lines(member: Member) -> list[str]:
    """What a file holds, or what is wrong with it."""
    if member.findings is None:
        return [f"{member.path}: MISSING", f"{INDENT}{member.missing}"]
    findings = member.findings
    fault = findings.fault
    kind = f"{member.role}, " if member.role else ""
    state = "sound" if fault is None else ("DAMAGED" if fault.kind != "torn" else "TORN")
    lines = [f"{member.path}: {kind}{state}, {number_of(findings.size_bytes, 'byte')}"]
    if fault is not None:
        lines += [INDENT + line for line in fault_lines(findings)]
    if fault is None or fault.kind != SNAPSHOT_DAMAGED:
        lines += [INDENT + line for line in content_lines(findings)]
    return lines


def content_lines(findings: AofFindings) -> list[str]:
    lines = []
    snapshot = findings.snapshot
    if findings.size_bytes == 0:
        return ["empty"]
    if snapshot is not None:
        lines.append(
            f"snapshot     RDB version {snapshot.version}, {number_of(findings.snapshot_bytes, 'byte')}, "
            f"{number_of(snapshot.keys, 'key')}; check sum {checksum_text(snapshot)}"
        )
    if findings.commands or snapshot is None:
        text = f"commands     {findings.commands:,}"
        if findings.units:
            text += f" ({number_of(findings.units, 'transaction')} among them)"
        lines.append(text)
    if findings.checksum_lines:
        text = f"check sums   {number_of(findings.checksum_lines, 'line')}"
        rest = findings.size_bytes - findings.verified_bytes
        if rest == 0:
            text += ", all bytes verified"
        else:
            text += f" hold, up to offset {findings.verified_bytes:,}; {number_of(rest, 'byte')} behind not verified"
        lines.append(text)
    if findings.first_timestamp_s >= 0:
        lines.append(
            f"time stamps  {findings.first_timestamp_s} ({time_text(findings.first_timestamp_s)}) to "
            f"{findings.last_timestamp_s} ({time_text(findings.last_timestamp_s)})"
        )
    return lines


def fault_lines(findings: AofFindings) -> list[str]:
    """What is wrong, where, what is left and what a cut would cost."""
    fault = findings.fault
    assert fault is not None
    if fault.kind == SNAPSHOT_DAMAGED:
        assert findings.snapshot is not None
        return [
            "in the snapshot with which the file begins:",
            *damage_lines(findings.snapshot),
            "a cut does not help: no server loads a part of a snapshot; gossamer check-rdb --salvage may save its keys",
        ]
    lines = [f"{fault.reason}, at offset {fault.offset:,}"]
    if fault.doing:
        lines.append(fault.doing)
    keys = ""
    if findings.snapshot is not None:
        keys = f"{number_of(findings.snapshot.keys, 'key')} of the snapshot and "
    lines.append(
        f"survives a cut: {keys}{number_of(fault.keep_commands, 'command')}, up to offset {fault.keep_bytes:,}"
    )
    lost_bytes = findings.size_bytes - fault.keep_bytes
    lost = number_of(lost_bytes, "byte")
    lost += f" with {number_of(fault.lost_commands, 'complete command')}" if fault.lost_commands else ""
    lines.append(f"lost by a cut: {lost}")
    if fault.readable_bytes > fault.keep_bytes:
        lines.append(
            f"of that {number_of(fault.readable_commands - fault.keep_commands, 'command')}, up to offset "
            f"{fault.readable_bytes:,}, can be read, but a check sum says that something is wrong there or near: "
            "--keep-unverified keeps them"
        )
    if fault.found_commands:
        lines.append(
            f"{number_of(fault.found_commands, 'command')} can be read behind the damage, from offset "
            f"{fault.found_offset:,} on"
        )
    if fault.found_commands and fault.kind != DAMAGED:
        lines.append("this may be a damaged length, not a torn end: look before you cut")
    return lines


def directory_lines(data_set: DataSet) -> list[str]:
    """Notes on what lies beside the files that count."""
    lines = []
    if data_set.history:
        lines.append(f"note: history, removed at the next start: {', '.join(data_set.history)}")
    if data_set.unlisted:
        lines.append(f"note: not in the manifest, so never loaded: {', '.join(data_set.unlisted)}")
    return lines


# -- cutting ------------------------------------------------------------------------------------------------


def reason_not_to_fix(data_set: DataSet, faulty: list[Member]) -> str:
    """Why no cut makes the data set sound, or nothing."""
    for member in faulty:
        name = os.path.basename(member.path)
        if member.findings is None:
            return f"{name} is missing"
        fault = member.findings.fault
        assert fault is not None
        if fault.kind == SNAPSHOT_DAMAGED:
            return f"the damage is in the snapshot of {name}"
        if not is_last(data_set, member):
            return (
                f"{name} is not the last file. If you can do without the files behind it, remove their lines from "
                "the manifest (keep a copy), then run --fix again"
            )
    return ""


def fix(
    data_set: DataSet,
    faulty: list[Member],
    options: Options,
    say: Callable[[str], None],
    ask: Callable[[str], str],
) -> bool:
    reason = reason_not_to_fix(data_set, faulty)
    if reason:
        raise CheckError(f"cannot be repaired: {reason}")
    findings = faulty[0].findings
    assert findings is not None and findings.fault is not None
    fault = findings.fault
    # A torn end costs what no server would load. More than that is given up only on a whole word.
    careful = fault.kind == DAMAGED or fault.found_commands > 0
    keep_bytes = fault.readable_bytes if options.keep_unverified else fault.keep_bytes
    request = CutRequest(faulty[0].path, findings.size_bytes, keep_bytes, options.backup, careful)
    return agree_and_cut(data_set, faulty[0], request, options, say, ask)


def truncate_to_timestamp(
    data_set: DataSet, options: Options, say: Callable[[str], None], ask: Callable[[str], str]
) -> bool:
    """Cut off what is younger than a time: only in the last file, and only where no damage stands before it."""
    for member in data_set.members:
        findings = member.findings
        name = os.path.basename(member.path)
        if findings is None:
            raise CheckError(f"{name} is missing")
        cut = findings.cut
        if cut is None:
            if findings.fault is not None:
                raise CheckError(
                    f"{name} is damaged before anything younger than {options.until_s}: see --fix"
                )
            continue
        if not is_last(data_set, member):
            raise CheckError(
                f"cannot truncate to {options.until_s}: {name}, offset {cut.keep_bytes:,}, is younger and is not the "
                "last file. If you insist, remove the lines of the files behind it from the manifest (keep a copy)"
            )
        if cut.keep_bytes == 0:
            raise CheckError(f"{name} has nothing before timestamp {options.until_s}")
        say(
            f"{name}: {number_of(cut.keep_commands, 'command')} up to {options.until_s} "
            f"({time_text(options.until_s)}) stay, up to offset {cut.keep_bytes:,}; "
            f"{number_of(findings.size_bytes - cut.keep_bytes, 'byte')} with "
            f"{number_of(cut.lost_commands, 'complete command')} go"
        )
        request = CutRequest(member.path, findings.size_bytes, cut.keep_bytes, options.backup, False)
        return agree_and_cut(data_set, member, request, options, say, ask)
    stamped = any(m.findings is not None and m.findings.first_timestamp_s >= 0 for m in data_set.members)
    say(
        f"nothing to cut: nothing is younger than {options.until_s}"
        if stamped
        else "nothing to cut: there are no time stamps (aof-timestamp-enabled was off)"
    )
    return True


def agree_and_cut(
    data_set: DataSet,
    member: Member,
    request: CutRequest,
    options: Options,
    say: Callable[[str], None],
    ask: Callable[[str], str],
) -> bool:
    """Ask, cut, and check the file again; whether the data set is sound then."""
    lost_bytes = request.size_bytes - request.keep_bytes
    say(
        f"This will shrink {request.path} from {request.size_bytes} bytes, with {lost_bytes} bytes, to "
        f"{request.keep_bytes} bytes. No server may be running on it."
    )
    if not options.yes:
        answer = ask("Type yes to give that up: " if request.careful else "Continue? [y/N]: ").strip().lower()
        if answer != "yes" and (request.careful or answer != "y"):
            say("Aborted, nothing was changed")
            return False
    kept = cut_file(request)
    say(f"Cut to {request.keep_bytes} bytes" + (f"; the file as it was is {kept}" if kept else ""))
    examine(member, 0, -1, Progress(sys.stderr, False))
    faulty = [other for other in data_set.members if is_faulty(other)]
    say("sound now" if not faulty else f"still not sound: {os.path.basename(faulty[0].path)}")
    return not faulty


# -- the command --------------------------------------------------------------------------------------------


def run(path: str, options: Options, show_progress: bool | None = None) -> int:
    """0 where the data set is sound, or was made so; 1 otherwise."""
    try:
        return 0 if check(path, options, Progress(sys.stderr, show_progress), say, ask) else 1
    except ManifestError as fault:
        place = f", line {fault.line_number}" if fault.line_number else ""
        say(f"{path}: manifest DAMAGED{place}: {fault.reason}")
        if fault.line:
            say(f"{INDENT}{fault.line.decode('utf-8', 'backslashreplace')}")
    except CheckError as error:
        complain(f"gossamer check-aof: {error}")
    except OSError as failure:
        complain(f"gossamer check-aof: {failure.filename or path}: {failure.strerror}")
    return 1
