"""Which RDB version a replica is sent.

A replica of Valkey 8 or later says which version it is. One of Redis says nothing, and the handshakes of Redis 6.2 and
7.0 are the same to the byte; so it is learned: who takes a whole snapshot and leaves without ever acknowledging
anything is offered the next older version when it comes back. What is wrongly taken for a refusal does no harm, as an
older version is only written where it holds everything (server/replication.py sees to that).

Owns what each replica refused. Must not know sockets, what a snapshot holds, or what is configured.

Invariants: what is offered is never above what is configured; what is remembered is bounded.
"""

from typing import Final, final

from gossamer.rdb.format import VERSION_OLDEST_WRITTEN

REPLICAS_REMEMBERED: Final = 1000
CUTS_PER_REFUSAL: Final = 3  # in a row, in the middle of a transfer
NEWEST_FOR_VALKEY: Final = 11  # behind the magic of Redis: what is newer there is another format to it

NOTHING: Final = 0
OLDER_NEXT: Final = 1
NONE_OLDER: Final = 2


@final
class SnapshotVersions:
    """By where a replica listens, as it says."""

    def __init__(self) -> None:
        self.learned: dict[bytes, int] = {}  # the version to offer
        self.cuts: dict[bytes, int] = {}  # how many in a row
        self.hopeless: dict[bytes, int] = {}  # who refused the oldest, and was told of

    def choose(self, endpoint: bytes, says_valkey: bool, configured: int) -> int:
        """The version for a replica that asks for a snapshot."""
        version = min(self.learned.get(endpoint, configured), configured)
        return min(version, NEWEST_FOR_VALKEY) if says_valkey else version

    def accept(self, endpoint: bytes) -> None:
        """It has loaded what it was sent."""
        self.cuts.pop(endpoint, None)
        self.hopeless.pop(endpoint, None)

    def refuse(self, endpoint: bytes, version: int, was_whole: bool) -> int:
        """It left without a word, all or a part of its snapshot sent: what is learned from that."""
        if not was_whole:
            count = self.cuts.get(endpoint, 0) + 1
            self.remember(self.cuts, endpoint, count)
            if count < CUTS_PER_REFUSAL:
                return NOTHING
        self.cuts.pop(endpoint, None)
        if version > VERSION_OLDEST_WRITTEN:
            self.remember(self.learned, endpoint, version - 1)
            return OLDER_NEXT
        if endpoint in self.hopeless:
            return NOTHING
        self.remember(self.hopeless, endpoint, version)
        return NONE_OLDER

    def remember(self, table: dict[bytes, int], endpoint: bytes, value: int) -> None:
        """The newest entry; the oldest gives way."""
        table.pop(endpoint, None)
        if len(table) >= REPLICAS_REMEMBERED:
            for oldest in table:
                del table[oldest]
                break
        table[endpoint] = value
