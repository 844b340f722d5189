"""Configuration files on a real disk."""

import os
import stat

import pytest

from gossamer.persistence.doors import Disk
from gossamer.server.config_door import FileSystemDoor


def test_a_replaced_file_leaves_no_temporary_file_behind(tmp_path):
    path = tmp_path / "a.conf"
    path.write_bytes(b"old")
    FileSystemDoor().replace_file(os.fsencode(path), b"new" * 100_000)
    assert path.read_bytes() == b"new" * 100_000
    assert os.listdir(tmp_path) == ["a.conf"]
    assert stat.S_IMODE(path.stat().st_mode) & ~0o644 == 0


def test_a_failed_replacement_leaves_the_old_file(tmp_path):
    (tmp_path / "a.conf" / "below").mkdir(parents=True)
    with pytest.raises(OSError):
        FileSystemDoor().replace_file(os.fsencode(tmp_path / "a.conf"), b"new")
    assert os.listdir(tmp_path) == ["a.conf"]


class FullDisk(Disk):
    def create(self, name):
        raise OSError(28, "No space left on device")

    def remove(self, name):
        pass


def test_a_file_is_replaced_through_the_port_that_tests_can_break(tmp_path):
    (tmp_path / "a.conf").write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        FileSystemDoor(FullDisk()).replace_file(os.fsencode(tmp_path / "a.conf"), b"new")
    assert (tmp_path / "a.conf").read_bytes() == b"old"


def test_patterns_are_expanded_in_order_and_plain_paths_are_not_looked_up(tmp_path):
    for name in ("b.conf", "a.conf", "c.txt"):
        (tmp_path / name).touch()
    found = FileSystemDoor().expand(os.fsencode(tmp_path / "*.conf"))
    assert [os.path.basename(path) for path in found] == [b"a.conf", b"b.conf"]
    assert FileSystemDoor().expand(b"/no/such") == [b"/no/such"]
    assert FileSystemDoor().expand(b"/no/such*") == []
