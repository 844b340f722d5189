"""The configuration's door to the file system: reads files, expands includes, replaces a file durably."""

import glob
import os
import sys

from gossamer.engine.config import ConfigDoor


class FileSystemDoor(ConfigDoor):
    """The real files and standard input of this process."""

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
        """By a temporary file beside it: written, flushed to disk, renamed, the directory flushed."""
        temporary = b"%s-%d.tmp" % (path, os.getpid())
        directory = os.path.dirname(path) or b"."
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            try:
                written = 0
                while written < len(content):
                    written += os.write(descriptor, content[written:])
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.rename(temporary, path)
        except OSError:
            os.unlink(temporary)
            raise
        parent = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(parent)
        finally:
            os.close(parent)
