"""SCAN, and what it shares with HSCAN, SSCAN and ZSCAN: cursors, options, the shape of the reply.

A cursor is a position in the hash space read with its bits reversed (see datatypes/packed_table.py), so the
guarantee of SCAN holds whatever grows or shrinks between two calls. One call reads whole buckets until COUNT
items were seen, or ten buckets for each item asked for.

How HSCAN and its kin use it, in Redis's order of errors: parse_scan_cursor, look the key up, reply_empty_scan
where there is none, parse_scan_options, then scan_table (large form) or everything at once with cursor 0.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.base.numbers import NotANumber, is_int64, to_int64
from gossamer.commands.session import Session
from gossamer.commands.table import Command
from gossamer.datatypes.packed_content import items_in, keys_in
from gossamer.datatypes.packed_table import PackedTable
from gossamer.resp.errors import INVALID_CURSOR, NOT_INTEGER, SYNTAX
from gossamer.resp.writer import ReplyWriter

SCAN_KEYSPACE: Final = 0
SCAN_HASH: Final = 1
SCAN_SET: Final = 2
SCAN_ZSET: Final = 3

_COUNT_DEFAULT: Final = 10
_COUNT_LIMIT: Final = 1 << 40  # more would only overflow the bound on buckets
_CURSOR_MASK: Final = 0x7FFFFFFFFFFFFFFF
_CURSOR_LIMIT: Final = 1 << 64
_BLANKS: Final = b" \t\n\v\f\r"
_KNOWN_TYPES: Final = (b"string", b"list", b"set", b"zset", b"hash", b"stream", b"module")


@final
class ScanOptions:
    """MATCH (None: everything), COUNT, TYPE (empty: any), NOVALUES and NOSCORES of one scan."""

    def __init__(self) -> None:
        self.pattern: bytes | None = None
        self.count: i64 = _COUNT_DEFAULT
        self.type_name: bytes = b""
        self.novalues: bool = False
        self.noscores: bool = False

    def takes(self, name: bytes) -> bool:
        """Whether a key, field or member passes MATCH."""
        pattern = self.pattern
        return pattern is None or match(pattern, name, False)


def parse_scan_cursor(argument: bytes, compat: i64) -> i64:
    """The cursor of a SCAN command (any unsigned 64-bit number); raises CommandError."""
    text = argument.split(b"\0", 1)[0]
    if compat >= 80:
        if not text or (text[:1] == b"-" and is_int64(argument)):
            raise CommandError(INVALID_CURSOR)
        text = text.lstrip(_BLANKS)
    elif not text:
        return 0
    negative = text[:1] == b"-"
    digits = text[1:] if text[:1] in (b"-", b"+") else text
    if not digits.isdigit() or len(digits) > 4000:
        raise CommandError(INVALID_CURSOR)
    value = int(digits)
    if value >= _CURSOR_LIMIT:
        raise CommandError(INVALID_CURSOR)
    return (-value if negative else value) & _CURSOR_MASK


def parse_scan_options(argv: list[bytes], start: i64, kind: i64, compat: i64) -> ScanOptions:
    """The options from argv[start] on, of a scan of that SCAN_ kind; raises CommandError."""
    options = ScanOptions()
    n: i64 = len(argv)
    i: i64 = start
    while i < n:
        name = argv[i].upper()
        has_value = i + 1 < n
        if name == b"COUNT" and has_value:
            try:
                count: i64 = to_int64(argv[i + 1])
            except NotANumber:
                raise CommandError(NOT_INTEGER) from None
            if count < 1:
                raise CommandError(SYNTAX)
            options.count = count if count < _COUNT_LIMIT else _COUNT_LIMIT
        elif name == b"MATCH" and has_value:
            options.pattern = argv[i + 1] if argv[i + 1] != b"*" else None
        elif name == b"TYPE" and has_value and kind == SCAN_KEYSPACE:
            options.type_name = argv[i + 1].lower()
            if compat >= 80 and options.type_name not in _KNOWN_TYPES:
                raise CommandError(b"ERR unknown type name '" + argv[i + 1].split(b"\0", 1)[0] + b"'")
        elif name == b"NOVALUES" and compat >= 80:
            if kind != SCAN_HASH:
                raise CommandError(b"ERR NOVALUES option can only be used in HSCAN")
            options.novalues = True
            i += 1
            continue
        elif name == b"NOSCORES" and compat >= 80:
            if kind != SCAN_ZSET:
                raise CommandError(b"ERR NOSCORES option can only be used in ZSCAN")
            options.noscores = True
            i += 1
            continue
        else:
            raise CommandError(SYNTAX)
        i += 2
    return options


def scan_table(table: PackedTable, cursor: i64, options: ScanOptions, names: list[bytes]) -> i64:
    """Append the keys of buckets from cursor on until COUNT were read; the next cursor, 0 at the end."""
    count: i64 = options.count
    buckets: i64 = count * 10
    while True:
        keys_in(table, table.scan_bucket(cursor), names)
        cursor = table.scan_next(cursor)
        buckets -= 1
        if cursor == 0 or buckets < 0 or i64(len(names)) >= count:
            return cursor


def scan_table_items(table: PackedTable, cursor: i64, options: ScanOptions, flat: list[bytes]) -> i64:
    """As scan_table, for key, payload, key, payload ...; the payloads must be bytes."""
    count: i64 = options.count
    buckets: i64 = count * 10
    while True:
        items_in(table, table.scan_bucket(cursor), flat)
        cursor = table.scan_next(cursor)
        buckets -= 1
        if cursor == 0 or buckets < 0 or i64(len(flat)) >= 2 * count:
            return cursor


def reply_scan(reply: ReplyWriter, cursor: i64, items: list[bytes]) -> None:
    """The next cursor and the items."""
    reply.array(2)
    reply.bulk_integer(cursor)
    reply.bulk_array(items)


def reply_empty_scan(reply: ReplyWriter) -> None:
    """The reply for a key that does not exist."""
    reply.raw(b"*2\r\n$1\r\n0\r\n*0\r\n")


def scan(session: Session, argv: list[bytes]) -> None:
    """SCAN cursor [MATCH pattern] [COUNT count] [TYPE type]"""
    compat: i64 = session.limits.compat
    cursor: i64 = parse_scan_cursor(argv[1], compat)
    options = parse_scan_options(argv, 2, SCAN_KEYSPACE, compat)
    db = session.db
    names: list[bytes] = []
    count: i64 = options.count
    buckets: i64 = count * 10
    while True:
        cursor = db.scan(cursor, names)
        buckets -= 1
        if cursor == 0 or buckets < 0 or i64(len(names)) >= count:
            break
    type_name = options.type_name
    live: list[bytes] = []
    for name in names:
        # Looking a key up removes it when its time is over.
        if options.takes(name) and db.find(name) and (not type_name or db.found_type_name() == type_name):
            live.append(name)
    reply_scan(session.reply, cursor, live)


_TIPS_70: Final = (b"nondeterministic_output", b"request_policy:special")
_TIPS_72: Final = (b"nondeterministic_output", b"request_policy:special", b"response_policy:special")

COMMANDS: Final = (
    Command(b"scan", scan, -2, "readonly", "keyspace", tips=_TIPS_70, max_compat=70),
    Command(b"scan", scan, -2, "readonly", "keyspace", tips=_TIPS_72, min_compat=72),
)
