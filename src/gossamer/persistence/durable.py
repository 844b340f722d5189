"""Replacing a small file so that a crash at any moment leaves the old content or the new, whole.

The order is: temporary file, its bytes on the disk, rename, the directory on the disk. Before the last step a crash
may bring back the old content; after it the new one stays.
"""

from gossamer.persistence.doors import Disk


def directory_of(name: str) -> str:
    """The directory part of a name; "." where it has none."""
    slash = name.rfind("/")
    if slash < 0:
        return "."
    return name[:slash] if slash > 0 else "/"


def replace_file(disk: Disk, name: str, temporary: str, content: bytes) -> None:
    """Give `name` a new content by way of `temporary`, a name in the same directory.

    Raises OSError, and then leaves no temporary file as far as it can be removed. An error of the last step leaves
    the new content in place, which may not outlive a crash.
    """
    try:
        file = disk.create(temporary)
        try:
            file.write(content)
            file.sync()
        finally:
            file.close()
        disk.rename(temporary, name)
    except OSError:
        _discard(disk, temporary)
        raise
    disk.sync_directory(directory_of(name))


def _discard(disk: Disk, name: str) -> None:
    try:
        disk.remove(name)
    except OSError:
        return
