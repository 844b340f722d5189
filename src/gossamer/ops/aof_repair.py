"""Cuts the end of a file off, after a copy of the whole was made.

Invariant: the file is touched only when the copy (unless none is wanted) is on the disk, and only if it is still the
file that was looked at.
"""

import os
import shutil
from dataclasses import dataclass
from typing import Final

from gossamer.ops.check_rdb import CheckError, sync_directory

BACKUP_SUFFIX: Final = ".before-fix"
_BACKUPS_MAX: Final = 1000


@dataclass
class CutRequest:
    """Keep `keep_bytes` of a file that has `size_bytes`. `careful`: more than a torn end goes."""

    path: str
    size_bytes: int
    keep_bytes: int
    backup: bool
    careful: bool


def cut_file(request: CutRequest) -> str:
    """Cut, durably; the name of the copy, if one was made. Raises CheckError and OSError."""
    refuse_change(request)
    kept = copy_beside(request.path) if request.backup else ""
    with open(request.path, "r+b", buffering=0) as file:
        refuse_change(request)
        file.truncate(request.keep_bytes)
        os.fsync(file.fileno())
    return kept


def refuse_change(request: CutRequest) -> None:
    if os.stat(request.path).st_size != request.size_bytes:
        raise CheckError(
            f"{request.path} has changed since it was checked: stop the server that writes it, then check again"
        )


def copy_beside(path: str) -> str:
    """Copy a file to a new name beside it, durably. An old copy is never overwritten."""
    target = free_name(path)
    try:
        with open(path, "rb") as source, open(target, "xb") as output:
            shutil.copyfileobj(source, output, 1 << 20)
            output.flush()
            os.fsync(output.fileno())
    except OSError:
        if os.path.exists(target):
            os.unlink(target)
        raise
    shutil.copymode(path, target)
    sync_directory(target)
    return target


def free_name(path: str) -> str:
    for number in range(1, _BACKUPS_MAX):
        name = path + BACKUP_SUFFIX + (f".{number}" if number > 1 else "")
        if not os.path.lexists(name):
            return name
    raise CheckError(f"too many copies of {path} from earlier repairs")
