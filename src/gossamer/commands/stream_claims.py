"""XCLAIM and XAUTOCLAIM: pending entries change hands.

AOF and replicas see one XCLAIM for each entry that did, with its delivery time and count; an entry that is gone from
the stream is claimed, too, by whom it belonged to, which removes it from what is pending there as here.
"""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.commands.arguments import integer_argument_or
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import (
    create_consumer,
    id_argument,
    interval_start,
    lookup_stream,
    no_key_or_group,
    note_change,
    propagate_claim,
    propagate_group_id,
)
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.stream_groups import Consumer, ConsumerGroup, PendingEntry
from gossamer.datatypes.stream_ids import (
    ID_BYTES,
    ID_MAX,
    ID_MIN,
    NotAnId,
    format_id,
    id_milliseconds,
    id_sequence,
    next_id,
    parse_id,
)
from gossamer.datatypes.stream_replies import write_id
from gossamer.datatypes.streams import Stream, plus_one
from gossamer.resp.errors import SYNTAX

_NOT_GIVEN: Final = -1
_BAD_COUNT: Final = b"ERR COUNT must be > 0"
_COUNT_MAX: Final = 0x7FFFFFFFFFFFFFFF // 16
_COUNT_DEFAULT: Final = 100
_ATTEMPTS_PER_COUNT: Final = 10
_STEP: Final = 128


@final
class Claim:
    """A request under way: who claims in which group, and how."""

    def __init__(self, session: Session, argv: list[bytes]) -> None:
        self.session: Session = session
        self.key: bytes = argv[1]
        self.group_name: bytes = argv[2]
        self.consumer_name: bytes = argv[3]
        self.min_idle_ms: i64 = 0
        self.deliver_time_ms: i64 = session.state.now_ms
        self.deliver_count: i64 = _NOT_GIVEN
        self.ids_only: bool = False
        self.consumer: Consumer | None = None
        self.out: BytesWriter = BytesWriter()
        self.claimed: i64 = 0
        self.changes: i64 = 0

    def find_consumer(self, group: ConsumerGroup) -> Consumer:
        """The claiming consumer, created if need be, seen now."""
        consumer = self.consumer
        if consumer is None:
            consumer = group.consumers.get(self.consumer_name)
            if consumer is None:
                consumer = create_consumer(self.session, self.key, group, self.consumer_name)
            consumer.seen_time_ms = self.session.state.now_ms
            self.consumer = consumer
        return consumer

    def propagate(
        self, group: ConsumerGroup, consumer: Consumer, stream_id: bytes, entry: PendingEntry
    ) -> None:
        self.changes += 1
        if self.session.listener.wants_effects():
            propagate_claim(
                self.session,
                self.key,
                self.group_name,
                group,
                consumer.name,
                format_id(stream_id),
                entry.delivery_time_ms,
                entry.delivery_count,
            )

    def forget(self, group: ConsumerGroup, stream_id: bytes, entry: PendingEntry) -> None:
        """Drop a pending entry whose stream entry is gone."""
        self.propagate(group, group.owner(entry), stream_id, entry)
        group.acknowledge(stream_id)

    def take(self, stream: Stream, group: ConsumerGroup, stream_id: bytes, entry: PendingEntry) -> None:
        """Give an entry to the claiming consumer, and reply it."""
        consumer = self.find_consumer(group)
        entry.delivery_time_ms = self.deliver_time_ms
        if self.deliver_count >= 0:
            entry.delivery_count = self.deliver_count
        elif not self.ids_only:
            entry.delivery_count = plus_one(entry.delivery_count)
        group.assign(stream_id, entry, consumer)
        if self.ids_only:
            write_id(self.out, id_milliseconds(stream_id), id_sequence(stream_id))
        else:
            stream.write_range(self.out, stream_id, stream_id, 1, False, None)
        self.claimed += 1
        consumer.active_time_ms = self.session.state.now_ms
        self.propagate(group, consumer, stream_id, entry)

    def is_idle(self, entry: PendingEntry) -> bool:
        if self.min_idle_ms == 0:
            return True
        return self.session.state.now_ms - entry.delivery_time_ms >= self.min_idle_ms


@final
class ClaimOptions:
    """What stands behind the ids of XCLAIM."""

    def __init__(self) -> None:
        self.forces: bool = False
        self.last_id: bytes = ID_MIN


def parse_claim_options(argv: list[bytes], at: i64, claim: Claim) -> ClaimOptions:
    options = ClaimOptions()
    now_ms: i64 = claim.session.state.now_ms
    time_ms: i64 = _NOT_GIVEN
    size: i64 = len(argv)
    i: i64 = at
    while i < size:
        word = argv[i].upper()
        has_more: bool = i + 1 < size
        if word == b"FORCE":
            options.forces = True
        elif word == b"JUSTID":
            claim.ids_only = True
        elif word == b"IDLE" and has_more:
            i += 1
            idle_ms = integer_argument_or(argv[i], b"ERR Invalid IDLE option argument for XCLAIM")
            # A negative idle time lies in the future, and so counts as none.
            time_ms = now_ms - idle_ms if idle_ms >= 0 else now_ms
        elif word == b"TIME" and has_more:
            i += 1
            time_ms = integer_argument_or(argv[i], b"ERR Invalid TIME option argument for XCLAIM")
        elif word == b"RETRYCOUNT" and has_more:
            i += 1
            message = b"ERR Invalid RETRYCOUNT option argument for XCLAIM"
            claim.deliver_count = integer_argument_or(argv[i], message)
        elif word == b"LASTID" and has_more:
            i += 1
            options.last_id = id_argument(argv[i])
        else:
            raise CommandError(b"ERR Unrecognized XCLAIM option '" + argv[i].partition(b"\x00")[0] + b"'")
        i += 1
    if time_ms != _NOT_GIVEN and 0 <= time_ms <= now_ms:
        claim.deliver_time_ms = time_ms
    return options


def xclaim(session: Session, argv: list[bytes]) -> None:
    """XCLAIM key group consumer min-idle-time id [id ...] [IDLE ms] [TIME unix-time-ms] [RETRYCOUNT count] [FORCE]
    [JUSTID] [LASTID last-id]"""
    stream = lookup_stream(session, argv[1], False)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if stream is None or group is None:
        raise no_key_or_group(argv[1], argv[2])
    claim = Claim(session, argv)
    message = b"ERR Invalid min-idle-time argument for XCLAIM"
    claim.min_idle_ms = max(integer_argument_or(argv[4], message), 0)
    ids: list[bytes] = []
    for argument in argv[5:]:
        try:
            ids.append(parse_id(argument, 0, True))
        except NotAnId:
            break
    options = parse_claim_options(argv, 5 + len(ids), claim)
    session.propagate_nothing()
    moved: bool = options.last_id > group.last_id
    if moved:
        group.last_id = options.last_id
    if session.limits.compat >= 72:
        claim.find_consumer(group)
    for stream_id in ids:
        entry = group.find_pending(stream_id)
        if not stream.contains(stream_id):
            if entry is not None:
                claim.forget(group, stream_id, entry)
        elif entry is not None:
            if claim.is_idle(entry):
                claim.take(stream, group, stream_id, entry)
        elif options.forces:
            claim.take(stream, group, stream_id, PendingEntry(session.state.now_ms, 1, -1))
    if moved and claim.changes == 0:
        propagate_group_id(session, argv[1], argv[2], group)
        claim.changes = 1
    note_change(session, argv[1], stream, claim.changes)
    session.reply.array(claim.claimed)
    session.reply.raw(claim.out.getvalue())


def xautoclaim(session: Session, argv: list[bytes]) -> None:
    """XAUTOCLAIM key group consumer min-idle-time start [COUNT count] [JUSTID]"""
    claim = Claim(session, argv)
    message = b"ERR Invalid min-idle-time argument for XAUTOCLAIM"
    claim.min_idle_ms = max(integer_argument_or(argv[4], message), 0)
    start = interval_start(argv[5])
    count: i64 = _COUNT_DEFAULT
    size: i64 = len(argv)
    i: i64 = 6
    while i < size:
        word = argv[i].upper()
        if word == b"COUNT" and i + 1 < size:
            i += 1
            count = integer_argument_or(argv[i], _BAD_COUNT)
            if count < 1 or count > _COUNT_MAX:
                raise CommandError(_BAD_COUNT)
        elif word == b"JUSTID":
            claim.ids_only = True
        else:
            raise CommandError(SYNTAX)
        i += 1
    stream = lookup_stream(session, argv[1], False)
    group = stream.groups.get(argv[2]) if stream is not None else None
    if stream is None or group is None:
        raise no_key_or_group(argv[1], argv[2])
    session.propagate_nothing()
    if session.limits.compat >= 72:
        claim.find_consumer(group)
    gone: list[bytes] = []
    cursor = claim_idle(claim, stream, group, start, count, gone)
    note_change(session, argv[1], stream, claim.changes)
    reply = session.reply
    reply.array(3)
    reply.bulk(format_id(cursor))
    reply.array(claim.claimed)
    reply.raw(claim.out.getvalue())
    reply.array(len(gone))
    for stream_id in gone:
        reply.bulk(format_id(stream_id))


def claim_idle(
    claim: Claim, stream: Stream, group: ConsumerGroup, start: bytes, count: i64, gone: list[bytes]
) -> bytes:
    """Claim up to `count` idle entries from `start` on; answers where to go on, ID_MIN at the end.

    `gone` collects the ids of those that the stream has no longer; they count, too.
    """
    attempts: i64 = count * _ATTEMPTS_PER_COUNT
    while True:
        rows = group.pending.rows_from(start, _STEP)
        for row in rows:
            stream_id = row[:ID_BYTES]
            if attempts == 0 or count == 0:
                return stream_id
            attempts -= 1
            entry = PendingEntry.of_row(row)
            if not stream.contains(stream_id):
                claim.forget(group, stream_id, entry)
                gone.append(stream_id)
                count -= 1
            elif claim.is_idle(entry):
                claim.take(stream, group, stream_id, entry)
                count -= 1
        if len(rows) < _STEP or rows[len(rows) - 1][:ID_BYTES] == ID_MAX:
            return ID_MIN
        start = next_id(rows[len(rows) - 1][:ID_BYTES])


_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(b"xclaim", xclaim, -6, "write fast", "stream", (KeySpec("RW update", index=1),), _RANDOM),
    Command(b"xautoclaim", xautoclaim, -6, "write fast", "stream", (KeySpec("RW delete", index=1),), _RANDOM),
)
