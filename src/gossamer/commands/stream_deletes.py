"""XDELEX and XACKDEL: deleting entries with a word on what consumer groups still owe (Redis 8.2).

Whoever follows is told the XDEL and XACK that it comes to, which every server knows.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import NotANumber, to_int64
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import id_argument, lookup_stream, note_change
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.stream_ids import format_id
from gossamer.datatypes.streams import Stream
from gossamer.keyspace.events import NOTIFY_STREAM
from gossamer.resp.errors import SYNTAX

_IDS_NOT_POSITIVE: Final = b"ERR Number of IDs must be a positive integer"
_IDS_NOT_MATCHING: Final = b"ERR The `numids` parameter must match the number of arguments"

KEEPREF: Final = 1
DELREF: Final = 2
ACKED: Final = 3

_ABSENT: Final = -1
_DELETED: Final = 1
_STILL_REFERENCED: Final = 2


@final
class DeleteOptions:
    def __init__(self) -> None:
        self.strategy: i64 = 0
        self.ids: list[bytes] = []


def parse_delete_options(argv: list[bytes], start: i64) -> DeleteOptions:
    """[KEEPREF | DELREF | ACKED] IDS numids id [id ...], in any order; raises CommandError."""
    options = DeleteOptions()
    size: i64 = len(argv)
    index: i64 = start
    while index < size:
        word = argv[index].upper()
        if word == b"IDS" and not options.ids and index + 1 < size:
            try:
                count: i64 = to_int64(argv[index + 1])
            except NotANumber:
                raise CommandError(_IDS_NOT_POSITIVE) from None
            if count < 1:
                raise CommandError(_IDS_NOT_POSITIVE)
            if count > size - index - 2:
                raise CommandError(_IDS_NOT_MATCHING)
            for argument in argv[index + 2 : index + 2 + count]:
                options.ids.append(id_argument(argument))
            index += 2 + count
            continue
        strategy: i64 = 0
        if word == b"KEEPREF":
            strategy = KEEPREF
        elif word == b"DELREF":
            strategy = DELREF
        elif word == b"ACKED":
            strategy = ACKED
        if strategy == 0 or options.strategy != 0:
            raise CommandError(_IDS_NOT_MATCHING if options.ids else SYNTAX)
        options.strategy = strategy
        index += 1
    if not options.ids:
        raise CommandError(SYNTAX)
    if options.strategy == 0:
        options.strategy = KEEPREF
    return options


@final
class Deletion:
    """What a command did so far to one stream."""

    def __init__(self, stream: Stream) -> None:
        self.stream: Stream = stream
        self.deleted: list[bytes] = []
        self.acknowledged: dict[bytes, list[bytes]] = {}  # by group
        self.first_deleted: bool = False

    def acknowledge(self, group_name: bytes, stream_id: bytes) -> bool:
        if not self.stream.groups[group_name].acknowledge(stream_id):
            return False
        self.acknowledged.setdefault(group_name, []).append(stream_id)
        return True

    def forget_references(self, stream_id: bytes) -> None:
        for name in self.stream.groups:
            self.acknowledge(name, stream_id)

    def delete(self, stream_id: bytes) -> bool:
        if not self.stream.delete(stream_id):
            return False
        self.deleted.append(stream_id)
        if stream_id == self.stream.first_id:
            self.first_deleted = True
        return True

    def is_done_with(self, stream_id: bytes) -> bool:
        """Whether every group has read and acknowledged an entry; where there is no group, nobody has."""
        for group in self.stream.groups.values():
            if group.last_id < stream_id or group.find_pending(stream_id) is not None:
                return False
        return len(self.stream.groups) > 0

    def tell(self, session: Session, key: bytes) -> None:
        """Store the stream, if it changed, and say so."""
        stream = self.stream
        for name, ids in self.acknowledged.items():
            note_change(session, key, stream, len(ids))
            session.propagate([b"XACK", key, name, *[format_id(stream_id) for stream_id in ids]])
        if self.deleted:
            if self.first_deleted or stream.entry_count == 0:
                stream.renew_first_id()
            session.db.store(key, stream)
            session.state.dirty += len(self.deleted) - 1
            session.changed(key, NOTIFY_STREAM, b"xdel")
            session.propagate([b"XDEL", key, *[format_id(stream_id) for stream_id in self.deleted]])


def reply_absent(session: Session, count: i64) -> None:
    session.reply.array(count)
    while count > 0:
        session.reply.integer(_ABSENT)
        count -= 1


def xdelex(session: Session, argv: list[bytes]) -> None:
    """XDELEX key [KEEPREF | DELREF | ACKED] IDS numids id [id ...]"""
    key = argv[1]
    options = parse_delete_options(argv, 2)
    stream = lookup_stream(session, key, True)
    if stream is None:
        reply_absent(session, len(options.ids))
        return
    deletion = Deletion(stream)
    session.reply.array(len(options.ids))
    for stream_id in options.ids:
        answer: i64 = _ABSENT
        if options.strategy == ACKED and stream.contains(stream_id) and not deletion.is_done_with(stream_id):
            answer = _STILL_REFERENCED
        else:
            if deletion.delete(stream_id):
                answer = _DELETED
            if options.strategy == DELREF:
                deletion.forget_references(stream_id)
        session.reply.integer(answer)
    deletion.tell(session, key)


def xackdel(session: Session, argv: list[bytes]) -> None:
    """XACKDEL key group [KEEPREF | DELREF | ACKED] IDS numids id [id ...]"""
    key = argv[1]
    group_name = argv[2]
    options = parse_delete_options(argv, 3)
    stream = lookup_stream(session, key, True)
    if stream is None or group_name not in stream.groups:
        reply_absent(session, len(options.ids))
        return
    deletion = Deletion(stream)
    session.reply.array(len(options.ids))
    for stream_id in options.ids:
        answer: i64 = _ABSENT
        if deletion.acknowledge(group_name, stream_id):
            answer = _DELETED
            if options.strategy == ACKED and not deletion.is_done_with(stream_id):
                answer = _STILL_REFERENCED
            else:
                deletion.delete(stream_id)
        if options.strategy == DELREF and not stream.contains(stream_id):
            deletion.forget_references(stream_id)
        session.reply.integer(answer)
    deletion.tell(session, key)


COMMANDS: Final = (
    Command(b"xdelex", xdelex, -5, "write fast", "stream", (KeySpec("RW delete", index=1),), newer=True),
    Command(
        b"xackdel", xackdel, -6, "write fast", "stream", (KeySpec("RW update delete", index=1),), newer=True
    ),
)
