"""Replacing small files: the order of steps, and what each failure leaves."""

import pytest

from gossamer.persistence.durable import directory_of, replace_file
from gossamer.server.storage import SystemDisk
from persistence.fakes import FakeDisk


def test_the_bytes_are_on_the_disk_before_the_rename_and_the_directory_after() -> None:
    disk = FakeDisk()
    replace_file(disk, "d/name", "d/temp", b"new")
    assert disk.files == {"d/name": b"new"}
    assert disk.journal == [
        "create d/temp",
        "write",
        "sync",
        "close",
        "rename d/temp d/name",
        "sync directory d",
    ]


def test_a_failure_at_any_step_leaves_old_or_new_whole_and_no_temporary() -> None:
    for failing in range(1, 6):
        disk = FakeDisk()
        disk.files["name"] = b"old"
        disk.fail_at = failing
        with pytest.raises(OSError, match="No space left"):
            replace_file(disk, "name", "temp", b"new")
        assert disk.files == {"name": b"new" if failing == 5 else b"old"}


class Stubborn(FakeDisk):
    """Removes nothing."""

    def remove(self, name: str) -> None:
        raise PermissionError(1, "Operation not permitted")


def test_a_temporary_that_cannot_be_removed_hides_no_error() -> None:
    disk = Stubborn()
    disk.fail_at = 2
    with pytest.raises(OSError, match="No space left"):
        replace_file(disk, "name", "temp", b"new")
    assert disk.files == {"temp": b""}


@pytest.mark.parametrize(
    ("name", "directory"), [("a", "."), ("d/a", "d"), ("/a", "/"), ("/d/e/a", "/d/e"), ("d//a", "d/")]
)
def test_the_directory_of_a_name(name: str, directory: str) -> None:
    assert directory_of(name) == directory


def test_on_a_real_disk(tmp_path: object) -> None:
    name = f"{tmp_path}/file"
    for content in (b"first", b"second" * 1000):
        replace_file(SystemDisk(), name, f"{name}.temp", content)
        with open(name, "rb") as file:
            assert file.read() == content
