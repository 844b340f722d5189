"""Files and child processes of this machine, behind the doors of persistence."""

import os
import queue
import signal
import stat
import sys
import threading
import time
from typing import Final, final

from mypy_extensions import i64

from gossamer.persistence.doors import Background, BackgroundTask, Disk, InputFile, Job, OutputFile, Processes
from gossamer.server.oom_score import OomScore

PR_SET_PDEATHSIG: Final = 1  # prctl(2)
# Bytes and size, without the times of the file, where the system can do that.
SYNC_FILE: Final = os.fdatasync if hasattr(os, "fdatasync") else os.fsync


@final
class SystemOutputFile(OutputFile):
    """A file descriptor that is written to; `mode` is O_TRUNC or O_APPEND."""

    def __init__(self, name: str, mode: int) -> None:
        self.descriptor: int = os.open(name, os.O_WRONLY | os.O_CREAT | mode | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        written = os.write(self.descriptor, data)
        while written < len(data):
            written += os.write(self.descriptor, memoryview(data)[written:])

    def size_bytes(self) -> i64:
        return os.fstat(self.descriptor).st_size

    def truncate(self, size: i64) -> None:
        os.ftruncate(self.descriptor, int(size))
        os.lseek(self.descriptor, int(size), os.SEEK_SET)

    def sync(self) -> None:
        SYNC_FILE(self.descriptor)

    def close(self) -> None:
        os.close(self.descriptor)


@final
class SystemInputFile(InputFile):
    """A file descriptor that is read from."""

    def __init__(self, name: str) -> None:
        self.descriptor: int = os.open(name, os.O_RDONLY | os.O_CLOEXEC)

    def size_bytes(self) -> i64:
        return os.fstat(self.descriptor).st_size

    def read(self, size: int) -> bytes:
        return os.read(self.descriptor, size)

    def close(self) -> None:
        os.close(self.descriptor)


@final
class SystemDisk(Disk):
    """The working directory of the process."""

    def create(self, name: str) -> OutputFile:
        return SystemOutputFile(name, os.O_TRUNC)

    def append(self, name: str) -> OutputFile:
        return SystemOutputFile(name, os.O_APPEND)

    def open(self, name: str) -> InputFile | None:
        try:
            return SystemInputFile(name)
        except FileNotFoundError:
            return None

    def rename(self, name: str, new_name: str) -> None:
        os.rename(name, new_name)

    def remove(self, name: str) -> None:
        try:
            os.unlink(name)
        except FileNotFoundError:
            return

    def make_directory(self, name: str) -> None:
        try:
            os.mkdir(name, 0o755)
        except FileExistsError:
            return

    def is_directory(self, name: str) -> bool:
        return os.path.isdir(name)

    def sync_directory(self, name: str = ".") -> None:
        descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@final
class SystemBackground(Background):
    """One thread, started with the first task. A child process has the queue but not the thread: it submits nothing."""

    def __init__(self) -> None:
        self.tasks: queue.SimpleQueue[BackgroundTask] = queue.SimpleQueue()
        self.started: bool = False
        self.last: BackgroundTask | None = None

    def submit(self, task: BackgroundTask) -> None:
        if not self.started:
            self.started = True
            threading.Thread(target=self.work, name="gossamer-disk", daemon=True).start()
        self.last = task
        self.tasks.put(task)

    def work(self) -> None:
        while True:
            task = self.tasks.get()
            try:
                task.run()
            except OSError as error:
                task.error = error
            task.done = True

    def drain(self) -> None:
        last = self.last
        while last is not None and not last.done:
            time.sleep(0.001)


@final
class SystemProcesses(Processes):
    """Children by fork(), one at a time. A child runs its job and nothing else: no cleanup, no handler of the parent.

    Before it ends it says through a pipe how much memory it shares with nobody.
    """

    def __init__(self, oom_score: OomScore | None = None) -> None:
        self.oom_score: OomScore | None = oom_score
        self.pipe: int = -1  # from the child
        self.copied: i64 = 0  # by the child that ended last

    def own_id(self) -> i64:
        return os.getpid()

    def fork(self, job: Job) -> i64:
        self.close_pipe()
        parent_id = os.getpid()
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            process_id = os.fork()
        except OSError:
            os.close(reader)
            os.close(writer)
            raise
        if process_id != 0:
            os.close(writer)
            self.pipe = reader
            return process_id
        status = 1
        try:
            end_with(parent_id)
            close_sockets()
            if self.oom_score is not None:
                self.oom_score.apply_in_child()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            status = int(job.run())
            os.write(writer, b"%d" % unshared_bytes())
        finally:
            os._exit(status)

    def exit_status(self, process_id: i64) -> i64 | None:
        try:
            ended, status = os.waitpid(int(process_id), os.WNOHANG)
        except ChildProcessError:
            return 255
        if not ended:
            return None
        self.hear_copied()
        return os.waitstatus_to_exitcode(status)

    def hear_copied(self) -> None:
        """What the child that has ended said of its memory."""
        self.copied = 0
        try:
            said = os.read(self.pipe, 32)
        except OSError:
            said = b""
        if said.isdigit():
            self.copied = int(said)
        self.close_pipe()

    def close_pipe(self) -> None:
        if self.pipe != -1:
            os.close(self.pipe)
            self.pipe = -1

    def copied_bytes(self) -> i64:
        return self.copied

    def kill(self, process_id: i64) -> None:
        self.close_pipe()
        try:
            os.kill(int(process_id), signal.SIGKILL)
            os.waitpid(int(process_id), 0)
        except (ChildProcessError, ProcessLookupError):
            return


def end_with(parent_id: int) -> None:
    """Have this process end when its parent does, where the system can do that: nobody waits for it then."""
    if sys.platform == "linux":
        try:
            import ctypes  # in the child: the server itself has no use for it

            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
        except (ImportError, AttributeError):
            pass  # a system without it
    if os.getppid() != parent_id:
        os._exit(1)


def close_sockets() -> None:
    """Close every socket of this process: a child must keep no port busy and no connection half open."""
    try:
        descriptors = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    except OSError:
        descriptors = list(range(3, os.sysconf("SC_OPEN_MAX")))
    for descriptor in descriptors:
        try:
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.close(descriptor)
        except OSError:
            continue


def unshared_bytes() -> int:
    """The memory of this process that it shares with no other and has changed; 0 where the system does not tell."""
    try:
        with open("/proc/self/smaps_rollup", "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith(b"Private_Dirty:"):
            return int(line.split()[1]) * 1024
    return 0
