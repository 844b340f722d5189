"""Keys with an expire time that clients wrote on a writable replica: nobody else will expire them.

The primary sends DEL for keys of its own and knows nothing of these, so the replica remembers them and removes them
itself (as Redis does since 4.0; INFO: `slave_expires_tracked_keys`). A key that the primary writes is its own again.

Owns which keys those are. Must not know who is a replica: the engine says what clients wrote and what the primary did.

Invariant: only keys in `tracked` are removed; what is written is looked at outside of commands (`settle`), because
a look moves the table's place of the entry found last.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.clock import Clock
from gossamer.keyspace.keyspace import Keyspace

SLICE_US: Final = 1000
STEP_KEYS: Final = 64


@final
class OwnExpiringKeys:
    """Of all databases of one server."""

    def __init__(self, keyspace: Keyspace, clock: Clock) -> None:
        self.keyspace: Keyspace = keyspace
        self.clock: Clock = clock
        self.written: dict[tuple[int, bytes], bool] = {}  # by clients, since the last look
        self.tracked: dict[tuple[int, bytes], bool] = {}
        self.round: list[tuple[int, bytes]] = []  # of the tracked, that this round has still to look at

    def note(self, key: bytes, db_index: i64, by_client: bool) -> None:
        """Somebody wrote this key: a client, or the primary."""
        place = (int(db_index), key)
        if by_client:
            self.written[place] = True
        else:
            self.written.pop(place, None)
            self.tracked.pop(place, None)

    def forget(self) -> None:
        """The data set is another one, or this server decides for itself what expires."""
        self.written = {}
        self.tracked = {}
        self.round = []

    def settle(self) -> None:
        """See which of the keys that were written have an expire time."""
        if not self.written:
            return
        for place in self.written:
            if self.expire_ms(place) > 0:
                self.tracked[place] = True
            else:
                self.tracked.pop(place, None)
        self.written = {}

    def count(self) -> i64:
        """How many keys are tracked."""
        self.settle()
        return i64(len(self.tracked))

    def expire_ms(self, place: tuple[int, bytes]) -> i64:
        """The expire time of a key, due or not (Unix ms); 0 without one, and where there is no such key."""
        databases = self.keyspace.databases
        if place[0] >= len(databases):
            return 0
        table = databases[place[0]].table
        return table.at_expire if table.find(place[1]) else 0

    def sweep(self) -> None:
        """Remove what is due, for about a millisecond; a longer round goes on in the next call."""
        self.settle()
        if not self.tracked:
            return
        if not self.round:
            self.round = list(self.tracked)
        now_ms: i64 = self.keyspace.state.now_ms
        until_us: i64 = self.clock.now_us() + SLICE_US
        while self.round:
            step: i64 = STEP_KEYS
            while self.round and step > 0:
                step -= 1
                place = self.round.pop()
                if place not in self.tracked:
                    continue
                expire_ms: i64 = self.expire_ms(place)
                if expire_ms > 0 and expire_ms >= now_ms:
                    continue
                del self.tracked[place]
                if expire_ms > 0:
                    self.keyspace.databases[place[0]].expire_found(place[1])
            if self.clock.now_us() >= until_us:
                return
