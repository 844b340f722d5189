"""What was denied: the entries of ACL LOG, newest first.

Must not know: users, rules. Invariant: no more than `max_len` entries (acllog-max-len); equal denials within a minute
are one entry that counts them.
"""

from typing import Final, final

from mypy_extensions import i64

GROUPING_MAX_MS: Final = 60_000
ENTRIES_COMPARED: Final = 10


@final
class AclLogEntry:
    """One denial, or several of a kind."""

    def __init__(
        self, reason: i64, context: bytes, denied: bytes, user: bytes, now_ms: i64, client: bytes
    ) -> None:
        self.number: i64 = 0
        self.count: i64 = 1
        self.reason: i64 = reason  # a DENIED_ number of acl.py
        self.context: bytes = context  # toplevel, multi, lua
        self.denied: bytes = denied  # the command, key or channel
        self.user: bytes = user
        self.created_ms: i64 = now_ms
        self.updated_ms: i64 = now_ms
        self.client: bytes = client  # its line of CLIENT LIST

    def is_like(self, other: "AclLogEntry") -> bool:
        return (
            self.reason == other.reason
            and self.context == other.context
            and self.denied == other.denied
            and self.user == other.user
            and other.updated_ms - self.updated_ms <= GROUPING_MAX_MS
        )


@final
class AclLog:
    """The log of one server, and the counters of INFO."""

    def __init__(self) -> None:
        self.max_len: i64 = 128
        self.entries: list[AclLogEntry] = []
        self.next_number: i64 = 0
        self.denials: list[int] = [0, 0, 0, 0, 0]  # by reason

    def add(self, entry: AclLogEntry) -> None:
        """Count a denial: with one of the latest entries if it is of the same kind, else as a new one."""
        self.denials[entry.reason] += 1
        for position, known in enumerate(self.entries[:ENTRIES_COMPARED]):
            if known.is_like(entry):
                known.count += 1
                known.updated_ms = entry.updated_ms
                known.client = entry.client
                self.entries.insert(0, self.entries.pop(position))
                return
        entry.number = self.next_number
        self.next_number += 1
        self.entries.insert(0, entry)
        self.trim()

    def set_max_len(self, max_len: i64) -> None:
        self.max_len = max_len
        self.trim()

    def trim(self) -> None:
        del self.entries[max(0, int(self.max_len)) :]
