"""Files and child processes of this machine, behind the doors of persistence."""

import os
import signal
import stat
from typing import final

from mypy_extensions import i64

from gossamer.persistence.doors import Disk, InputFile, Job, OutputFile, Processes


@final
class SystemOutputFile(OutputFile):
    """A file descriptor that is written to."""

    def __init__(self, name: str) -> None:
        self.descriptor: int = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)

    def write(self, data: bytes) -> None:
        written = os.write(self.descriptor, data)
        while written < len(data):
            written += os.write(self.descriptor, memoryview(data)[written:])

    def sync(self) -> None:
        os.fsync(self.descriptor)

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
        return SystemOutputFile(name)

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

    def sync_directory(self) -> None:
        descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@final
class SystemProcesses(Processes):
    """Children by fork(). A child runs its job and nothing else: no cleanup, no handler of the parent."""

    def own_id(self) -> i64:
        return os.getpid()

    def fork(self, job: Job) -> i64:
        process_id = os.fork()
        if process_id != 0:
            return process_id
        status = 1
        try:
            close_sockets()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            status = int(job.run())
        finally:
            os._exit(status)

    def exit_status(self, process_id: i64) -> i64 | None:
        try:
            ended, status = os.waitpid(int(process_id), os.WNOHANG)
        except ChildProcessError:
            return 255
        return os.waitstatus_to_exitcode(status) if ended else None

    def kill(self, process_id: i64) -> None:
        try:
            os.kill(int(process_id), signal.SIGKILL)
            os.waitpid(int(process_id), 0)
        except (ChildProcessError, ProcessLookupError):
            return


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
