"""Streams without their groups: adding, reading ranges, deleting, trimming."""

from typing import Final, final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.numbers import format_int
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.stream_arguments import (
    INVALID_ID,
    id_argument,
    interval_end,
    interval_start,
    lookup_stream,
    note_change,
)
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.stream_ids import (
    ID_MAX,
    ID_MIN,
    LONGEST_TEXT_BYTES,
    NUMBER_MAX,
    NotAnId,
    format_id,
    id_milliseconds,
    id_sequence,
    make_id,
    next_id,
    parse_number,
    split_id,
)
from gossamer.datatypes.streams import NODE_BYTES_MAX, Stream
from gossamer.keyspace.events import NOTIFY_STREAM
from gossamer.resp.errors import NO_SUCH_KEY, SYNTAX, wrong_arity

_TWO_STRATEGIES: Final = b"ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
_NEGATIVE_MAXLEN: Final = b"ERR The MAXLEN argument must be >= 0."
_NEGATIVE_LIMIT: Final = b"ERR The LIMIT argument must be >= 0."
_LIMIT_ALONE: Final = b"ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
_LIMIT_OF_EXACT: Final = b"ERR syntax error, LIMIT cannot be used without the special ~ option"
_NO_STRATEGY: Final = b"ERR syntax error, XTRIM must be called with at least one trimming strategy"
_NO_STRATEGY_70: Final = b"ERR syntax error, XTRIM must be called with a trimming strategy"
_ID_TOO_LOW: Final = b"ERR The ID specified in XADD is equal or smaller than the target stream top item"
_ID_ZERO: Final = b"ERR The ID specified in XADD must be greater than 0-0"
_EXHAUSTED: Final = b"ERR The stream has exhausted the last possible ID, unable to add more items"
_TOO_LARGE: Final = b"ERR Elements are too large to be stored"
_NEGATIVE_ADDED: Final = b"ERR entries_added must be positive"
_BELOW_GIVEN_DELETED: Final = (
    b"ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id"
)
_BELOW_DELETED: Final = b"ERR The ID specified in XSETID is smaller than current max_deleted_entry_id"
_BELOW_TOP: Final = b"ERR The ID specified in XSETID is smaller than the target stream top item"
_ADDED_BELOW_LENGTH: Final = (
    b"ERR The entries_added specified in XSETID is smaller than the target stream length"
)

TRIM_NOT: Final = 0
TRIM_MAXLEN: Final = 1
TRIM_MINID: Final = 2

_LIMIT_PER_NODE_ENTRY: Final = 100
_LIMIT_DEFAULT: Final = 10000
_LIMIT_MAX: Final = 1000000


@final
class AddOptions:
    """What stands before the fields of XADD, and all options of XTRIM."""

    def __init__(self) -> None:
        self.strategy: i64 = TRIM_NOT
        self.approximate: bool = False
        self.threshold_at: i64 = 0
        self.most: i64 = 0
        self.least_id: bytes = ID_MIN
        self.limit: i64 = 0
        self.limit_given: bool = False
        self.must_exist: bool = False
        self.id_at: i64 = 0
        self.stream_id: bytes | None = None  # None: `*`
        self.sequence_given: bool = True


def parse_add_id(options: AddOptions, argument: bytes) -> None:
    """The id of a new entry, which may leave its sequence open."""
    if len(argument) > LONGEST_TEXT_BYTES:
        raise CommandError(INVALID_ID)
    text, dash, rest = split_id(argument)
    try:
        milliseconds = parse_number(text)
        sequence = 0
        if dash:
            if rest == b"*":
                options.sequence_given = False
            else:
                sequence = parse_number(rest)
    except NotAnId:
        raise CommandError(INVALID_ID) from None
    options.stream_id = make_id(milliseconds, sequence)


def parse_add_options(session: Session, argv: list[bytes], adds: bool) -> AddOptions:
    """The options from argv[2] on: up to and with the id where `adds`, else all."""
    options = AddOptions()
    size: i64 = len(argv)
    i: i64 = 2
    while i < size:
        argument = argv[i]
        if adds and argument == b"*":
            break
        word = argument.lower() if len(argument) <= 10 else b""
        has_more: bool = i + 1 < size
        if has_more and (word == b"maxlen" or word == b"minid"):
            i = parse_threshold(options, argv, i, word == b"maxlen")
        elif has_more and word == b"limit":
            i += 1
            options.limit = integer_argument(argv[i])
            if options.limit < 0:
                raise CommandError(_NEGATIVE_LIMIT)
            options.limit_given = True
        elif adds and word == b"nomkstream":
            options.must_exist = True
        elif adds:
            parse_add_id(options, argument)
            break
        else:
            raise CommandError(SYNTAX)
        i += 1
    options.id_at = i
    check_limit(session, options, adds)
    return options


def parse_threshold(options: AddOptions, argv: list[bytes], i: i64, by_length: bool) -> i64:
    """MAXLEN or MINID at argv[i]; answers the position of its last argument."""
    if options.strategy != TRIM_NOT:
        raise CommandError(_TWO_STRATEGIES)
    options.strategy = TRIM_MAXLEN if by_length else TRIM_MINID
    i += 1
    if i + 1 < i64(len(argv)) and (argv[i] == b"~" or argv[i] == b"="):
        options.approximate = argv[i] == b"~"
        i += 1
    if by_length:
        options.most = integer_argument(argv[i])
        if options.most < 0:
            raise CommandError(_NEGATIVE_MAXLEN)
    else:
        options.least_id = id_argument(argv[i])
    options.threshold_at = i
    return i


def check_limit(session: Session, options: AddOptions, adds: bool) -> None:
    """Refuse a LIMIT out of place, and set the one that holds where none was given."""
    if options.limit > 0 and options.strategy == TRIM_NOT:
        raise CommandError(_LIMIT_ALONE)
    if not adds and options.strategy == TRIM_NOT:
        raise CommandError(_NO_STRATEGY_70 if session.limits.compat < 72 else _NO_STRATEGY)
    if obeys(session):
        options.limit = 0
    elif options.limit_given:
        if not options.approximate:
            raise CommandError(_LIMIT_OF_EXACT)
    elif options.approximate:
        limit: i64 = _LIMIT_PER_NODE_ENTRY * min(session.limits.stream_node_max_entries, _LIMIT_MAX)
        options.limit = min(limit, _LIMIT_MAX) if limit > 0 else _LIMIT_DEFAULT


def obeys(session: Session) -> bool:
    """Whether the command comes from an AOF or a primary, which decided already what it does."""
    state = session.state
    return not state.expires_now and not state.hides_expired


def trim_stream(stream: Stream, options: AddOptions) -> i64:
    """Remove what the options say; how many entries."""
    if options.strategy == TRIM_MAXLEN:
        return stream.trim_to_length(options.most, options.approximate, options.limit)
    return stream.trim_below(options.least_id, options.approximate, options.limit)


def with_exact_threshold(argv: list[bytes], options: AddOptions, stream: Stream) -> list[bytes]:
    """The command with the threshold that trimming came to, so that it removes the same everywhere."""
    exact = argv[:]
    exact[options.threshold_at - 1] = b"="
    if options.strategy == TRIM_MAXLEN:
        exact[options.threshold_at] = format_int(stream.entry_count)
    else:
        exact[options.threshold_at] = format_id(stream.first_kept_id())
    return exact


def id_to_add(session: Session, stream: Stream, options: AddOptions) -> bytes:
    """The id that a new entry gets; raises CommandError."""
    last_id = stream.last_id
    if last_id == ID_MAX:
        raise CommandError(_EXHAUSTED)
    stream_id = options.stream_id
    if stream_id is None:
        now_ms = int(session.state.now_ms)
        if now_ms > id_milliseconds(last_id):
            return make_id(now_ms, 0)
        return next_id(last_id)
    if not options.sequence_given and id_milliseconds(stream_id) == id_milliseconds(last_id):
        if id_sequence(last_id) == NUMBER_MAX:
            raise CommandError(_TOO_LARGE if session.limits.compat < 72 else _ID_TOO_LOW)
        return next_id(last_id)
    if stream_id <= last_id:
        raise CommandError(_ID_TOO_LOW)
    return stream_id


def xadd(session: Session, argv: list[bytes]) -> None:
    """XADD key [NOMKSTREAM] [MAXLEN | MINID [= | ~] threshold [LIMIT count]] * | id field value [field value ...]"""
    options = parse_add_options(session, argv, True)
    start: i64 = options.id_at + 1
    size: i64 = len(argv)
    if size - start < 2 or (size - start) & 1:
        raise CommandError(wrong_arity(b"xadd"))
    if options.sequence_given and options.stream_id == ID_MIN:
        raise CommandError(_ID_ZERO)
    key = argv[1]
    stream = lookup_stream(session, key, True)
    if stream is None:
        if options.must_exist:
            session.reply.null()
            return
        stream = Stream()
    stream_id = id_to_add(session, stream, options)
    content_bytes: i64 = 0
    i: i64 = start
    while i < size:
        content_bytes += len(argv[i])
        i += 1
    if content_bytes > NODE_BYTES_MAX:
        raise CommandError(_TOO_LARGE)
    stream.append(stream_id, argv, start, content_bytes, session.limits)
    trimmed: i64 = 0
    if options.strategy != TRIM_NOT:
        trimmed = trim_stream(stream, options)
    session.db.store(key, stream)
    text = format_id(stream_id)
    session.reply.bulk(text)
    session.changed(key, NOTIFY_STREAM, b"xadd")
    if trimmed > 0:
        session.notify(NOTIFY_STREAM, b"xtrim", key)
    generated: bool = options.stream_id is None or not options.sequence_given
    if generated or options.approximate:
        argv = with_exact_threshold(argv, options, stream) if options.approximate else argv[:]
        if generated:
            argv[options.id_at] = text
        session.propagate(argv)


def xtrim(session: Session, argv: list[bytes]) -> None:
    """XTRIM key MAXLEN | MINID [= | ~] threshold [LIMIT count]"""
    options = parse_add_options(session, argv, False)
    key = argv[1]
    stream = lookup_stream(session, key, True)
    removed: i64 = 0
    if stream is not None:
        removed = trim_stream(stream, options)
        if removed > 0:
            session.db.store(key, stream)
            session.state.dirty += removed - 1
            session.changed(key, NOTIFY_STREAM, b"xtrim")
            if options.approximate:
                session.propagate(with_exact_threshold(argv, options, stream))
    session.reply.integer(removed)


def xlen(session: Session, argv: list[bytes]) -> None:
    """XLEN key"""
    stream = lookup_stream(session, argv[1], False)
    session.reply.integer(0 if stream is None else stream.entry_count)


def xrange(session: Session, argv: list[bytes]) -> None:
    """XRANGE key start end [COUNT count]"""
    reply_range(session, argv, interval_start(argv[2]), interval_end(argv[3]), False)


def xrevrange(session: Session, argv: list[bytes]) -> None:
    """XREVRANGE key end start [COUNT count]"""
    reply_range(session, argv, interval_start(argv[3]), interval_end(argv[2]), True)


def reply_range(session: Session, argv: list[bytes], start: bytes, stop: bytes, backward: bool) -> None:
    count: i64 = -1
    i: i64 = 4
    size: i64 = len(argv)
    while i < size:
        if argv[i].upper() != b"COUNT" or i + 1 >= size:
            raise CommandError(SYNTAX)
        count = max(integer_argument(argv[i + 1]), 0)
        i += 2
    reply = session.reply
    stream = lookup_stream(session, argv[1], False)
    if stream is None:
        reply.array(0)
        return
    if count == 0:
        reply.null_array()
        return
    entries = BytesWriter()
    written: i64 = stream.write_range(entries, start, stop, max(count, 0), backward, None)
    reply.array(written)
    reply.raw(entries.getvalue())


def xdel(session: Session, argv: list[bytes]) -> None:
    """XDEL key id [id ...]"""
    key = argv[1]
    stream = lookup_stream(session, key, True)
    if stream is None:
        session.reply.integer(0)
        return
    ids: list[bytes] = []
    for argument in argv[2:]:
        ids.append(id_argument(argument))
    deleted: i64 = 0
    first_deleted: bool = False
    for stream_id in ids:
        if stream.delete(stream_id):
            deleted += 1
            if stream_id == stream.first_id:
                first_deleted = True
    if deleted > 0:
        if first_deleted or stream.entry_count == 0:
            stream.renew_first_id()
        session.db.store(key, stream)
        session.state.dirty += deleted - 1
        session.changed(key, NOTIFY_STREAM, b"xdel")
    session.reply.integer(deleted)


def xsetid(session: Session, argv: list[bytes]) -> None:
    """XSETID key last-id [ENTRIESADDED entries-added] [MAXDELETEDID max-deleted-id]"""
    last_id = id_argument(argv[2])
    max_deleted_id = ID_MIN
    entries_added: i64 = -1
    size: i64 = len(argv)
    i: i64 = 3
    while i < size:
        word = argv[i].lower()
        if i + 1 < size and word == b"entriesadded":
            entries_added = integer_argument(argv[i + 1])
            if entries_added < 0:
                raise CommandError(_NEGATIVE_ADDED)
        elif i + 1 < size and word == b"maxdeletedid":
            max_deleted_id = id_argument(argv[i + 1])
            if last_id < max_deleted_id:
                raise CommandError(_BELOW_GIVEN_DELETED)
        else:
            raise CommandError(SYNTAX)
        i += 2
    key = argv[1]
    stream = lookup_stream(session, key, True)
    if stream is None:
        raise CommandError(NO_SUCH_KEY)
    if last_id < stream.max_deleted_id:
        raise CommandError(_BELOW_DELETED)
    if stream.entry_count > 0:
        if last_id < stream.last_entry_id():
            raise CommandError(_BELOW_TOP)
        if entries_added != -1 and stream.entry_count > entries_added:
            raise CommandError(_ADDED_BELOW_LENGTH)
    stream.last_id = last_id
    if entries_added != -1:
        stream.entries_added = entries_added
    if max_deleted_id != ID_MIN:
        stream.max_deleted_id = max_deleted_id
    note_change(session, key, stream, 1)
    session.notify(NOTIFY_STREAM, b"xsetid", key)
    session.reply.ok()


_READ: Final = (KeySpec("RO access", 1),)
_DELETE: Final = (KeySpec("RW delete", 1),)
_UPDATE: Final = (KeySpec("RW update", 1),)
_ADD: Final = (
    KeySpec("RW update", 1, notes=b"It is UPDATE, for what trimming removes is not always what is oldest"),
)
_RANDOM: Final = (b"nondeterministic_output",)

COMMANDS: Final = (
    Command(b"xadd", xadd, -5, "write denyoom fast", "stream", _ADD, _RANDOM),
    Command(b"xtrim", xtrim, -4, "write", "stream", _DELETE, _RANDOM),
    Command(b"xlen", xlen, 2, "readonly fast", "stream", (KeySpec("RO", 1),)),
    Command(b"xrange", xrange, -4, "readonly", "stream", _READ),
    Command(b"xrevrange", xrevrange, -4, "readonly", "stream", _READ),
    Command(b"xdel", xdel, -3, "write fast", "stream", _DELETE),
    Command(b"xsetid", xsetid, -3, "write denyoom fast", "stream", _UPDATE),
)
