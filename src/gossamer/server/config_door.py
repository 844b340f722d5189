"""The configuration's door to the file system: reads files, expands includes, replaces a file durably."""

import glob
import os
import sys

from gossamer.engine.config import ConfigDoor
from gossamer.persistence.doors import Disk
from gossamer.persistence.durable import replace_file
from gossamer.server.storage import SystemDisk


class FileSystemDoor(ConfigDoor):
    """The real files and standard input of this process."""

    def __init__(self, disk: Disk | None = None) -> None:
        self.disk: Disk = disk if disk is not None else SystemDisk()  # where a file is replaced

    def current_directory(self) -> bytes:
        return os.getcwdb()

    def change_directory(self, path: bytes) -> None:
        os.chdir(path)

    def read_file(self, path: bytes) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def read_standard_input(self) -> bytes:
        return sys.stdin.buffer.read()

    def expand(self, pattern: bytes) -> list[bytes]:
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]

    def check_log_file(self, path: bytes) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644))

    def replace_file(self, path: bytes, content: bytes) -> None:
        name = os.fsdecode(path)
        replace_file(self.disk, name, f"{name}-{os.getpid()}.tmp", content)
