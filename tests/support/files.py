"""The configuration's door to real files, for tests that read and write them."""

from __future__ import annotations

import glob
import os

from gossamer.engine.config import ConfigDoor


class RealDoor(ConfigDoor):
    """The file system and a given standard input."""

    def __init__(self, standard_input: bytes = b"") -> None:
        self.standard_input = standard_input

    def current_directory(self) -> bytes:
        return os.getcwdb()

    def change_directory(self, path: bytes) -> None:
        os.chdir(path)

    def read_file(self, path: bytes) -> bytes:
        with open(path, "rb") as file:
            return file.read()

    def read_standard_input(self) -> bytes:
        return self.standard_input

    def expand(self, pattern: bytes) -> list[bytes]:
        return sorted(glob.glob(pattern)) if glob.has_magic(pattern) else [pattern]
