"""How persistence reaches files and processes: small doors that the server layer opens, and tests break.

Names of files are relative to the server's working directory (the directive `dir`); "/" separates a directory.
Every method may raise OSError; what it did until then stays done: a write that raised may have left any prefix of
its bytes, and after a sync that raised nobody knows what is on the disk.
"""

from mypy_extensions import i64, mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)
class OutputFile:
    """A file that is being written, each write behind the last."""

    def write(self, data: bytes) -> None:
        """Write all of it."""
        raise NotImplementedError

    def size_bytes(self) -> i64:
        """How long the file is now."""
        raise NotImplementedError

    def truncate(self, size: i64) -> None:
        """Cut the file; the next write stands there."""
        raise NotImplementedError

    def sync(self) -> None:
        """What was written is on the disk when this returns."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class InputFile:
    """A file that is being read from its beginning."""

    def size_bytes(self) -> i64:
        raise NotImplementedError

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Disk:
    """The working directory."""

    def create(self, name: str) -> OutputFile:
        """An empty file, in place of one of that name."""
        raise NotImplementedError

    def append(self, name: str) -> OutputFile:
        """A file to be written on behind what it holds; an empty one where there was none."""
        raise NotImplementedError

    def open(self, name: str) -> InputFile | None:
        """None where there is no such file."""
        raise NotImplementedError

    def make_directory(self, name: str) -> None:
        """Nothing where it is there already."""
        raise NotImplementedError

    def is_directory(self, name: str) -> bool:
        raise NotImplementedError

    def rename(self, name: str, new_name: str) -> None:
        """At once, in place of a file of the new name."""
        raise NotImplementedError

    def remove(self, name: str) -> None:
        """Nothing where there is no such file."""
        raise NotImplementedError

    def sync_directory(self, name: str = ".") -> None:
        """What was created, renamed and removed in a directory is on the disk when this returns."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Job:
    """What a child process does."""

    def run(self) -> i64:
        """The child's exit status."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Processes:
    """Child processes that share the memory of the moment in which they began."""

    def own_id(self) -> i64:
        raise NotImplementedError

    def fork(self, job: Job) -> i64:
        """Let a child run the job and end; the child's process id."""
        raise NotImplementedError

    def exit_status(self, process_id: i64) -> i64 | None:
        """None while the child runs; then its status, or minus the signal that ended it."""
        raise NotImplementedError

    def copied_bytes(self) -> i64:
        """How much memory the child that ended last shared with nobody any more (copy on write); 0 if unknown."""
        return 0

    def kill(self, process_id: i64) -> None:
        """End a child and wait for it."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class BackgroundTask:
    """A slow call to the system (a sync, a removal) that another thread makes. It touches nothing but its file."""

    def __init__(self) -> None:
        self.done: bool = False
        self.error: OSError | None = None  # set before `done`

    def run(self) -> None:
        """The call; may raise OSError."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class Background:
    """Another thread, which runs tasks in the order in which they were given."""

    def submit(self, task: BackgroundTask) -> None:
        """Have it run soon; `task.done` tells when it has."""
        raise NotImplementedError

    def drain(self) -> None:
        """Wait until every task is done."""
        raise NotImplementedError


@mypyc_attr(allow_interpreted_subclasses=True)
class EventLog:
    """Where persistence says what happened; here to nobody."""

    def notice(self, text: str) -> None:
        """Something that an operator likes to know."""

    def warning(self, text: str) -> None:
        """Something that an operator must know."""
