"""What replicas are told: every write as a command, the database it belongs to, and signs of life.

Owns the spelling and the id of the history. Must not know who listens; backlog.py keeps the bytes.

Invariants: `database` is what a replica that has read up to the end has selected, -1 where the next command must say
it; `offset()` counts every byte, told or still in `writer`.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.engine.doors import HEARS_REPLICAS, WriteFeed
from gossamer.replication.backlog import BLOCK_BYTES, Backlog
from gossamer.resp.writer import ReplyWriter

NO_ID: Final = b"0" * 40

_MULTI: Final = b"*1\r\n$5\r\nMULTI\r\n"
_EXEC: Final = b"*1\r\n$4\r\nEXEC\r\n"
_PING: Final = b"*1\r\n$4\r\nPING\r\n"
_GETACK: Final = b"*3\r\n$8\r\nREPLCONF\r\n$6\r\nGETACK\r\n$1\r\n*\r\n"
_SELECT: Final = b"SELECT"


@final
class Stream(WriteFeed):
    """The stream of one history. Nothing is kept while it has no backlog."""

    def __init__(self, replication_id: bytes) -> None:
        self.replication_id: bytes = replication_id
        self.second_id: bytes = NO_ID  # of the history that this one goes on from
        self.second_offset: i64 = -1  # the first that the second id does not vouch for
        self.backlog: Backlog | None = None
        self.writer: ReplyWriter = ReplyWriter()
        self.database: i64 = -1
        self.told: i64 = 0  # the offset of the last byte while there is no backlog

    def offset(self) -> i64:
        """Of the last byte."""
        backlog = self.backlog
        return self.told if backlog is None else backlog.end + i64(len(self.writer.out))

    def open(self, size_bytes: i64) -> None:
        """Begin to keep what is told."""
        self.backlog = Backlog(size_bytes, self.told)
        self.database = -1

    def close(self) -> None:
        """Keep nothing any more. Who comes back later cannot go on from here: the id must change."""
        self.told = self.offset()
        self.writer.out.truncate(0)
        self.backlog = None

    def restart(self, replication_id: bytes, offset: i64) -> None:
        """Stand in another history, which is held from here on."""
        self.writer.out.truncate(0)
        self.backlog = None
        self.told = offset
        self.change_id(replication_id)

    def pass_on(self, data: bytes) -> None:
        """A replica's: bytes of its primary's stream, as they came."""
        backlog = self.backlog
        if backlog is not None:
            backlog.append(data)

    def change_id(self, replication_id: bytes) -> None:
        """Begin another history, which goes on from none."""
        self.replication_id = replication_id
        self.second_id = NO_ID
        self.second_offset = -1

    def promote(self, replication_id: bytes) -> None:
        """Begin a history of one's own that goes on from the one up to here (PSYNC2)."""
        self.second_id = self.replication_id
        self.second_offset = self.offset() + 1
        self.replication_id = replication_id
        self.database = -1

    def vouches_for(self, replication_id: bytes, offset: i64) -> bool:
        """Whether who has the named history and wants this offset next has a prefix of ours."""
        if replication_id == self.replication_id:
            return True
        return replication_id == self.second_id and offset <= self.second_offset

    def seal(self) -> None:
        """Put what was told into the backlog."""
        out = self.writer.out
        backlog = self.backlog
        if backlog is not None and len(out) > 0:
            backlog.append(out.getvalue())
            out.truncate(0)

    # -- what is told -------------------------------------------------------------------------------------

    def hears(self) -> i64:
        return HEARS_REPLICAS

    def begin(self) -> None:
        self.writer.raw(_MULTI)

    def select(self, db_index: i64) -> None:
        if db_index != self.database:
            self.database = db_index
            self.writer.bulk_array([_SELECT, b"%d" % db_index])

    def feed(self, db_index: i64, argv: list[bytes]) -> None:
        self.select(db_index)
        self.writer.bulk_array(argv)
        if len(self.writer.out) > BLOCK_BYTES:
            self.seal()

    def feed_message(self, db_index: i64, argv: list[bytes]) -> None:
        self.feed(db_index, argv)

    def end(self) -> None:
        self.writer.raw(_EXEC)

    def feed_ping(self) -> None:
        self.writer.raw(_PING)

    def feed_acknowledgement_request(self) -> None:
        self.writer.raw(_GETACK)
