"""A disk that knows what a loss of power leaves: what was synced, and of the rest whatever the rules allow.

    what the program does                 it waits in                 until
    ----------------------------------    ------------------------    ------------------------
    write, truncate (and create over      the file's list             sync() of that file
      a file that is there: cut to 0)
    create, rename, remove,               the list of each            sync_directory() of that
      make_directory                      directory that it names     directory

      journal   W a0  W a1  S a  W a2  W a3 | crash
      durable   a0 a1 ............
      may be    a0 a1 | a0 a1 + part of a2 | a0 a1 a2 | a0 a1 a2 + part of a3 | a0 a1 a2 a3

What a crash leaves, by the rules of this model (POSIX as a careful reader takes it, ext4 and XFS as they are):

- Of each file: what was synced and any prefix of the operations that wait, the last write of them torn at any byte;
  each file for itself, whatever the order between files was.
- Of each directory: what was synced and any prefix of the operations that wait; each directory for itself. A file whose
  name is durable may be without content, and a file that was synced may have no name.
- A rename is one operation, also between two directories: both see it or none does. Syncing one of them makes it
  durable in both, and with it what waits before it in the other.
- A sync covers what was written when it began. `covers` puts the beginning back for a sync that another thread makes.
- With `holes`, the file system may also have lengthened a file before it wrote a block of it: the bytes of any block
  of the tail may be zeros, whatever follows it.

The disk writes a journal; `Replay` follows a journal and knows at every point what waits. Contents are immutable bytes
that states share, so a state costs a dictionary. Marks in the journal (`mark`) tell what the program had promised.

Faults: `fault` breaks the operation with its number, once or from there on. A failed write may have left a part.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from typing import Final

from mypy_extensions import i64

from gossamer.persistence.doors import Disk, InputFile, OutputFile

ROOT: Final = 0
BLOCK_BYTES: Final = 64  # of a file system with holes; small, so that short files have several blocks

WRITE, TRUNCATE, SYNC, ENTRIES, SYNC_DIRECTORY = range(5)

EIO: Final = 5
ENOSPC: Final = 28
MESSAGES: Final = {EIO: "Input/output error", ENOSPC: "No space left on device"}


class Operation:
    """One line of the journal.

    `inode` is the file or directory; `upto` the place in the journal that a sync covers; `entries` are the
    changes (directory, name, inode or None) that happen at once.
    """

    __slots__ = ("data", "entries", "inode", "kind", "place", "position", "upto")

    def __init__(self, kind: int, place: int, inode: int = ROOT) -> None:
        self.kind = kind
        self.place = place
        self.inode = inode
        self.position = 0
        self.data = b""
        self.upto = 0
        self.entries: tuple[tuple[int, str, int | None], ...] = ()

    def describe(self) -> str:
        """For a person."""
        if self.kind == ENTRIES:
            return "names " + ", ".join(f"{name}: {inode}" for _, name, inode in self.entries)
        word = ("write", "truncate", "sync", "", "sync directory")[self.kind]
        return f"{word} {self.inode} at {self.position} ({len(self.data)} bytes)"


def applied(content: bytes, operation: Operation, size: int | None = None) -> bytes:
    """A file after a write (its first `size` bytes only) or a truncation."""
    position = operation.position
    if len(content) < position:
        content += bytes(position - len(content))
    if operation.kind == TRUNCATE:
        return content[:position]
    data = operation.data if size is None else operation.data[:size]
    return content[:position] + data + content[position + len(data) :]


class Image:
    """What is on a disk when the power is back: contents by path, and the directories."""

    __slots__ = ("directories", "files")

    def __init__(self, files: dict[str, bytes] | None = None, directories: tuple[str, ...] = ()) -> None:
        self.files = files if files is not None else {}
        self.directories = directories

    def key(self) -> int:
        """Equal for equal images, also in another run."""
        digest = hashlib.blake2b(digest_size=8)
        for path in sorted(self.files):
            content = self.files[path]
            digest.update(b"%s %d " % (path.encode(), len(content)))
            digest.update(content)
        digest.update(" ".join(sorted(self.directories)).encode())
        return int.from_bytes(digest.digest(), "little")

    def __repr__(self) -> str:
        files = ", ".join(f"{name} ({len(self.files[name])} bytes)" for name in sorted(self.files))
        return f"Image({files or 'no files'}; directories {list(self.directories)})"


class Fault:
    """Breaks the operations numbered from `first` to `last` (counted from 1) with an error; writes leave `part`."""

    def __init__(self, first: int, last: int, error: int, part: float = 0.0) -> None:
        self.first = first
        self.last = last
        self.error = error
        self.part = part  # of the bytes of a write that failed
        self.struck: list[str] = []  # what it broke


class ModelDisk(Disk):
    """The disk of one run. `journal` tells what happened; `operations` names what a fault can break."""

    def __init__(self, image: Image | None = None) -> None:
        self.image = image if image is not None else Image()  # what is durable at the beginning
        self.contents: dict[int, bytes] = {}
        self.entries: dict[int, dict[str, int]] = {ROOT: {}}
        self.next_inode = 1
        self.journal: list[Operation] = []
        self.covers: int | None = None
        self.fault: Fault | None = None
        self.operations: list[str] = []
        self.limits_reads = True  # faults break reads, too
        for name in sorted(self.image.directories):
            directory, last = self.locate(name)
            self.entries[directory][last] = self.new_inode(True)
        for name, content in self.image.files.items():
            directory, last = self.locate(name)
            inode = self.new_inode(False)
            self.contents[inode] = content
            self.entries[directory][last] = inode

    # -- names --------------------------------------------------------------------------------------------

    def new_inode(self, is_directory: bool) -> int:
        inode = self.next_inode
        self.next_inode += 1
        if is_directory:
            self.entries[inode] = {}
        else:
            self.contents[inode] = b""
        return inode

    def locate(self, name: str) -> tuple[int, str]:
        """The directory that holds a name, and the last part of it."""
        *parents, last = [part for part in name.split("/") if part not in ("", ".")] or ["."]
        directory = ROOT
        for parent in parents:
            found = self.entries[directory].get(parent)
            if found is None or found not in self.entries:
                raise FileNotFoundError(2, "No such file or directory")
            directory = found
        return directory, last

    def lookup(self, name: str) -> int | None:
        try:
            directory, last = self.locate(name)
        except FileNotFoundError:
            return None
        return ROOT if last == "." else self.entries[directory].get(last)

    def names(self) -> list[str]:
        """Every file, as the running program sees it."""
        return sorted(self.volatile().files)

    def volatile(self) -> Image:
        """What is there as long as the power stays on: what the death of the process leaves."""
        files: dict[str, bytes] = {}
        directories: list[str] = []
        self.walk(ROOT, "", files, directories)
        return Image(files, tuple(directories))

    def walk(self, directory: int, prefix: str, files: dict[str, bytes], directories: list[str]) -> None:
        for name, inode in self.entries[directory].items():
            if inode in self.entries:
                directories.append(prefix + name)
                self.walk(inode, prefix + name + "/", files, directories)
            else:
                files[prefix + name] = self.contents[inode]

    # -- the journal --------------------------------------------------------------------------------------

    def note(self, kind: int, inode: int = ROOT) -> Operation:
        operation = Operation(kind, len(self.journal), inode)
        self.journal.append(operation)
        return operation

    def mark(self) -> int:
        """A place in the journal: what is promised from here on."""
        return len(self.journal)

    def change(self, *entries: tuple[int, str, int | None]) -> None:
        """Change directories, at once."""
        self.note(ENTRIES).entries = entries
        for directory, name, inode in entries:
            if inode is None:
                self.entries[directory].pop(name, None)
            else:
                self.entries[directory][name] = inode

    def covered(self) -> int:
        return len(self.journal) if self.covers is None else self.covers

    def step(self, what: str) -> float | None:
        """Count an operation. None if it works; else what part of its bytes to write before `fail` is called."""
        self.operations.append(what)
        fault = self.fault
        if fault is None or not fault.first <= len(self.operations) <= fault.last:
            return None
        fault.struck.append(what)
        return fault.part

    def fail(self) -> OSError:
        assert self.fault is not None
        return OSError(self.fault.error, MESSAGES[self.fault.error])

    def attempt(self, what: str) -> None:
        if self.step(what) is not None:
            raise self.fail()

    # -- the door -----------------------------------------------------------------------------------------

    def create(self, name: str) -> OutputFile:
        self.attempt(f"create {name}")
        inode = self.lookup(name)
        if inode is None:
            directory, last = self.locate(name)
            inode = self.new_inode(False)
            self.change((directory, last, inode))
        elif self.contents[inode]:
            self.note(TRUNCATE, inode)
            self.contents[inode] = b""
        return ModelOutputFile(self, name, inode)

    def append(self, name: str) -> OutputFile:
        self.attempt(f"append to {name}")
        inode = self.lookup(name)
        if inode is None:
            directory, last = self.locate(name)
            inode = self.new_inode(False)
            self.change((directory, last, inode))
        return ModelOutputFile(self, name, inode)

    def open(self, name: str) -> InputFile | None:
        if self.limits_reads:
            self.attempt(f"open {name}")
        inode = self.lookup(name)
        if inode is None:
            return None
        if inode in self.entries:
            raise IsADirectoryError(21, "Is a directory")
        return ModelInputFile(self, name, self.contents[inode])

    def make_directory(self, name: str) -> None:
        self.attempt(f"make directory {name}")
        if self.lookup(name) is None:
            directory, last = self.locate(name)
            self.change((directory, last, self.new_inode(True)))

    def is_directory(self, name: str) -> bool:
        return self.lookup(name) in self.entries

    def rename(self, name: str, new_name: str) -> None:
        self.attempt(f"rename {name} {new_name}")
        inode = self.lookup(name)
        if inode is None:
            raise FileNotFoundError(2, "No such file or directory")
        old_directory, old_last = self.locate(name)
        new_directory, new_last = self.locate(new_name)
        if self.entries[new_directory].get(new_last) != inode:
            self.change((old_directory, old_last, None), (new_directory, new_last, inode))

    def remove(self, name: str) -> None:
        self.attempt(f"remove {name}")
        if self.lookup(name) is not None:
            directory, last = self.locate(name)
            self.change((directory, last, None))

    def sync_directory(self, name: str = ".") -> None:
        self.attempt(f"sync directory {name}")
        inode = self.lookup(name)
        if inode is None:
            raise FileNotFoundError(2, "No such file or directory")
        upto = self.covered()
        self.note(SYNC_DIRECTORY, inode).upto = upto


class ModelOutputFile(OutputFile):
    """A file that is written, at the inode that its name had when it was opened."""

    def __init__(self, disk: ModelDisk, name: str, inode: int) -> None:
        self.disk = disk
        self.name = name
        self.inode = inode
        self.closed = False

    def put(self, data: bytes) -> None:
        if data:
            disk = self.disk
            operation = disk.note(WRITE, self.inode)
            operation.position = len(disk.contents[self.inode])
            operation.data = data
            disk.contents[self.inode] += data

    def write(self, data: bytes) -> None:
        assert not self.closed, f"{self.name} is closed"
        part = self.disk.step(f"write {self.name}")
        if part is None:
            self.put(data)
        else:
            self.put(data[: int(len(data) * part)])
            raise self.disk.fail()

    def size_bytes(self) -> i64:
        return len(self.disk.contents[self.inode])

    def truncate(self, size: i64) -> None:
        assert not self.closed, f"{self.name} is closed"
        self.disk.attempt(f"truncate {self.name}")
        operation = self.disk.note(TRUNCATE, self.inode)
        operation.position = int(size)
        self.disk.contents[self.inode] = applied(self.disk.contents[self.inode], operation)

    def sync(self) -> None:
        assert not self.closed, f"{self.name} is closed"
        self.disk.attempt(f"sync {self.name}")
        upto = self.disk.covered()
        self.disk.note(SYNC, self.inode).upto = upto

    def close(self) -> None:
        assert not self.closed, f"{self.name} is closed twice"
        self.closed = True


class ModelInputFile(InputFile):
    """A file that is read as it was when it was opened."""

    def __init__(self, disk: ModelDisk, name: str, data: bytes) -> None:
        self.disk = disk
        self.name = name
        self.data = data
        self.position = 0

    def size_bytes(self) -> i64:
        return len(self.data)

    def read(self, size: int) -> bytes:
        if self.disk.limits_reads:
            self.disk.attempt(f"read {self.name}")
        piece = self.data[self.position : self.position + size]
        self.position += len(piece)
        return piece

    def close(self) -> None:
        pass


class Replay:
    """What is durable and what waits, at a point of a journal. `advance` goes on to the next point."""

    def __init__(self, disk: ModelDisk) -> None:
        start = ModelDisk(disk.image)
        self.contents: dict[int, bytes] = start.contents
        self.entries: dict[int, dict[str, int]] = start.entries
        self.known_directories = set(disk.entries)
        self.waiting: dict[int, list[Operation]] = {}  # of each file
        self.changes: list[Operation] = []  # of all directories, in order

    def advance(self, operation: Operation) -> None:
        if operation.kind in (WRITE, TRUNCATE):
            self.waiting.setdefault(operation.inode, []).append(operation)
        elif operation.kind == SYNC:
            self.sync(operation.inode, operation.upto)
        elif operation.kind == ENTRIES:
            self.changes.append(operation)
        elif operation.kind == SYNC_DIRECTORY:
            self.sync_directory(operation.inode, operation.upto)

    def sync(self, inode: int, upto: int) -> None:
        later: list[Operation] = []
        content = self.contents.get(inode, b"")
        for operation in self.waiting.pop(inode, []):
            if operation.place < upto:
                content = applied(content, operation)
            else:
                later.append(operation)
        self.contents[inode] = content
        if later:
            self.waiting[inode] = later

    def sync_directory(self, inode: int, upto: int) -> None:
        """Make durable what the directory needs, and of others what cannot be told from it."""
        needed = {inode: upto}
        for operation in reversed(self.changes):
            if any(needed.get(directory, 0) > operation.place for directory, _, _ in operation.entries):
                for directory, _, _ in operation.entries:
                    needed[directory] = max(needed.get(directory, 0), operation.place + 1)
        self.changes = self.change_entries(self.entries, needed)

    def change_entries(self, entries: dict[int, dict[str, int]], cuts: dict[int, int]) -> list[Operation]:
        """Apply what comes before the cut of every directory that it names; the rest is returned.

        A directory without a cut takes nothing. What stands behind a change that is not made is not made.
        """
        stopped: set[int] = set()
        left: list[Operation] = []
        for operation in self.changes:
            directories = {directory for directory, _, _ in operation.entries}
            if directories & stopped or any(cuts.get(each, 0) <= operation.place for each in directories):
                stopped |= directories
                left.append(operation)
                continue
            for directory, name, inode in operation.entries:
                if inode is None:
                    entries.setdefault(directory, {}).pop(name, None)
                else:
                    entries.setdefault(directory, {})[name] = inode
        return left

    # -- what a crash leaves ------------------------------------------------------------------------------

    def directory_choices(self) -> list[dict[int, int]]:
        """Cuts of all directories: the whole product, as long as it is small."""
        everything = self.changes[-1].place + 1 if self.changes else 0
        chosen: list[dict[int, int]] = [{}]
        for directory in sorted({each for change in self.changes for each, _, _ in change.entries}):
            places = [
                change.place + 1
                for change in self.changes
                if any(each == directory for each, _, _ in change.entries)
            ]
            if len(chosen) * (len(places) + 1) > 256:
                places = [places[0], places[len(places) // 2], everything]
            chosen = [cuts | {directory: place} for cuts in chosen for place in (0, *places)]
        return chosen

    def tree(self, cuts: dict[int, int]) -> tuple[dict[str, int], tuple[str, ...]]:
        """Files by path and directories, with the changes before the cuts made."""
        entries = self.entries
        if self.changes:
            entries = {directory: dict(names) for directory, names in entries.items()}
            self.change_entries(entries, cuts)
        files: dict[str, int] = {}
        directories: list[str] = []
        todo = [(ROOT, "")]
        while todo:
            directory, prefix = todo.pop()
            for name, inode in entries.get(directory, {}).items():
                if inode in self.known_directories:
                    directories.append(prefix + name)
                    todo.append((inode, prefix + name + "/"))
                else:
                    files[prefix + name] = inode
        return files, tuple(sorted(directories))

    def content(self, inode: int, whole: int, torn: int) -> bytes:
        """A file with so many of the waiting operations, and so many bytes of the next."""
        content = self.contents.get(inode, b"")
        waiting = self.waiting.get(inode, [])
        for operation in waiting[:whole]:
            content = applied(content, operation)
        if torn:
            content = applied(content, waiting[whole], torn)
        return content

    def random_content(self, inode: int, rng: random.Random, holes: bool) -> bytes:
        waiting = self.waiting.get(inode, [])
        whole = rng.randrange(len(waiting) + 1)
        torn = 0
        if whole < len(waiting) and waiting[whole].kind == WRITE:
            torn = rng.randrange(len(waiting[whole].data) + 1)
        content = self.content(inode, whole, torn)
        if holes and rng.random() < 0.7:
            content = with_hole(content, len(self.contents.get(inode, b"")), rng)
        return content

    def newest_contents(self, inode: int) -> Iterator[bytes]:
        """The last waiting operation at each of its bytes, and none and all of the others."""
        waiting = self.waiting[inode]
        last = waiting[-1]
        content = self.content(inode, len(waiting) - 1, 0)
        yield self.contents.get(inode, b"")
        yield content
        if last.kind == TRUNCATE:
            yield applied(content, last)
            return
        for size in range(1, len(last.data) + 1):
            yield applied(content, last, size)

    def images(self, rng: random.Random, limit: int, holes: bool = False) -> Iterator[Image]:
        """Crash states of this point, about `limit` of them at most, some perhaps twice.

        Of every choice of the directories: all files as old as can be and as new as can be. Of the newest tree: the
        file that was written last, torn at each byte. Then at random.
        """
        choices = [self.tree(cuts) for cuts in self.directory_choices()]
        rng.shuffle(choices)
        made = 0
        for files, directories in choices:
            oldest = {path: self.contents.get(inode, b"") for path, inode in files.items()}
            yield Image(oldest, directories)
            made += 1
            if any(inode in self.waiting for inode in files.values()):
                newest = {path: self.newest(inode) for path, inode in files.items()}
                yield Image(newest, directories)
                made += 1
            if made >= limit:
                return
        if not self.waiting:
            return
        last = max(self.waiting, key=lambda inode: self.waiting[inode][-1].place)
        for files, directories in choices:
            paths = [path for path, inode in files.items() if inode == last]
            if not paths or holes:
                continue
            base = {path: self.random_content(inode, rng, False) for path, inode in files.items()}
            for content in thinned(list(self.newest_contents(last)), limit - made, rng):
                yield Image(base | {paths[0]: content}, directories)
                made += 1
            break
        while made < limit:
            files, directories = rng.choice(choices)
            waiting = [inode for inode in files.values() if inode in self.waiting]
            if not waiting and not holes:
                made += 1
                continue
            yield Image(
                {path: self.random_content(inode, rng, holes) for path, inode in files.items()}, directories
            )
            made += 1

    def newest(self, inode: int) -> bytes:
        return self.content(inode, len(self.waiting.get(inode, [])), 0)


def thinned(contents: list[bytes], count: int, rng: random.Random) -> list[bytes]:
    return contents if len(contents) <= count else rng.sample(contents, max(0, count))


def with_hole(content: bytes, durable_bytes: int, rng: random.Random) -> bytes:
    """One or two blocks behind what is durable as zeros."""
    for _ in range(rng.randint(1, 2)):
        first = durable_bytes // BLOCK_BYTES
        last = max(first, (len(content) - 1) // BLOCK_BYTES)
        block = rng.randint(first, last)
        start = max(durable_bytes, block * BLOCK_BYTES)
        end = min(len(content), (block + 1) * BLOCK_BYTES)
        if start < end:
            content = content[:start] + bytes(end - start) + content[end:]
    return content
