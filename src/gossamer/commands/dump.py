"""DUMP and RESTORE: a value as a payload that any server of the family takes.

Owns options, errors and propagation; the payload is `rdb/payload.py`'s.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.base.errors import CommandError, CorruptError
from gossamer.commands.arguments import integer_argument
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.datatypes.hashes import Hash
from gossamer.keyspace.database import NO_EXPIRE
from gossamer.keyspace.events import NOTIFY_GENERIC
from gossamer.keyspace.state import ACCESS_LFU
from gossamer.rdb.format import TYPE_HASH_ZIPMAP
from gossamer.rdb.payload import dump as dump_payload
from gossamer.rdb.payload import is_sound
from gossamer.rdb.payload import restore as restore_payload
from gossamer.rdb.values import version_with_field_expiry
from gossamer.resp.errors import BUSY_KEY, SYNTAX

BAD_VERSION_OR_CHECKSUM: Final = b"ERR DUMP payload version or checksum are wrong"
BAD_FORMAT: Final = b"ERR Bad data format"
BAD_TTL: Final = b"ERR Invalid TTL value, must be >= 0"
BAD_IDLE_TIME: Final = b"ERR Invalid IDLETIME value, must be >= 0"
BAD_FREQUENCY: Final = b"ERR Invalid FREQ value, must be >= 0 and <= 255"

_OLDEST_COMPAT: Final = 70
_VALKEY_COMPAT: Final = 80


def dump(session: Session, argv: list[bytes]) -> None:
    """DUMP key"""
    value = session.db.lookup_read(argv[1])
    if value is None:
        session.reply.null()
        return
    limits = session.limits
    version = 10 if limits.compat == _OLDEST_COMPAT else 11
    if isinstance(value, Hash) and value.expiring() > 0:
        version = version_with_field_expiry(version, limits.compat >= _VALKEY_COMPAT)
    session.reply.bulk(dump_payload(value, version, limits.rdb_compression != 0))


@final
class RestoreOptions:
    """What stands behind the payload."""

    def __init__(self) -> None:
        self.replace: bool = False
        self.absolute_ttl: bool = False
        self.idle_seconds: i64 = -1
        self.frequency: i64 = -1


def parse_restore_options(argv: list[bytes]) -> RestoreOptions:
    options = RestoreOptions()
    index: i64 = 4
    size: i64 = len(argv)
    while index < size:
        word = argv[index].lower()
        has_argument = index + 1 < size
        if word == b"replace":
            options.replace = True
        elif word == b"absttl":
            options.absolute_ttl = True
        elif word == b"idletime" and has_argument and options.frequency == -1:
            index += 1
            options.idle_seconds = integer_argument(argv[index])
            if options.idle_seconds < 0:
                raise CommandError(BAD_IDLE_TIME)
        elif word == b"freq" and has_argument and options.idle_seconds == -1:
            index += 1
            options.frequency = integer_argument(argv[index])
            if options.frequency < 0 or options.frequency > 255:
                raise CommandError(BAD_FREQUENCY)
        else:
            raise CommandError(SYNTAX)
        index += 1
    return options


def restore(session: Session, argv: list[bytes]) -> None:
    """RESTORE key ttl payload [REPLACE] [ABSTTL] [IDLETIME seconds] [FREQ frequency]"""
    key = argv[1]
    options = parse_restore_options(argv)
    db = session.db
    if not options.replace and db.find_write(key):
        raise CommandError(BUSY_KEY)
    ttl_ms = integer_argument(argv[2])
    if ttl_ms < 0:
        raise CommandError(BAD_TTL)
    if not is_sound(argv[3], look_at_sum=session.limits.skip_checksum_validation == 0):
        raise CommandError(BAD_VERSION_OR_CHECKSUM)
    deep = session.distrusts_payloads()
    if deep and argv[3][0] >= TYPE_HASH_ZIPMAP:
        session.state.payloads_sanitized += 1
    try:
        value = restore_payload(argv[3], session.limits, deep)
    except CorruptError:
        raise CommandError(BAD_FORMAT) from None
    replaced = options.replace and db.delete_any(key)
    expire_ms: i64 = NO_EXPIRE
    if ttl_ms > 0:
        now_ms = session.state.now_ms
        if options.absolute_ttl:
            expire_ms = ttl_ms
        else:
            expire_ms = ttl_ms + now_ms if ttl_ms <= 0x7FFFFFFFFFFFFFFF - now_ms else 0x7FFFFFFFFFFFFFFF
        if expire_ms <= now_ms and session.state.expires_now:
            if replaced:
                session.changed(key, NOTIFY_GENERIC, b"del")
                lazily = session.limits.lazyfree_lazy_server_del
                session.propagate_removal(key, 0 if session.limits.compat == _OLDEST_COMPAT else lazily)
            session.reply.ok()
            return
    if isinstance(value, bytes):
        db.set_string(key, value, expire_ms, False)
    else:
        db.store_with_expire(key, value, expire_ms)
    set_access(session, key, options)
    if expire_ms != NO_EXPIRE and not options.absolute_ttl:
        argv = argv[:]
        argv[2] = str(int(expire_ms)).encode()
        argv.append(b"ABSTTL")
        session.propagate(argv)
    session.changed(key, NOTIFY_GENERIC, b"restore")
    session.reply.ok()


def set_access(session: Session, key: bytes, options: RestoreOptions) -> None:
    """Give a restored key the idle time or frequency that it had, as far as it is kept here."""
    state = session.state
    if state.access_mode == ACCESS_LFU:
        if options.frequency >= 0:
            session.db.set_access_field(key, (state.access_now & 0xFFFF00) | options.frequency)
    elif options.idle_seconds >= 0:
        session.db.set_access_field(key, (state.now_ms // 1000 - options.idle_seconds) & 0xFFFFFF)


_KEY_SPEC: Final = (KeySpec("OW update", index=1),)

COMMANDS: Final = (
    Command(
        b"dump",
        dump,
        2,
        "readonly",
        "keyspace",
        (KeySpec("RO access", index=1),),
        tips=(b"nondeterministic_output",),
    ),
    Command(b"restore", restore, -4, "write denyoom", "keyspace dangerous", _KEY_SPEC),
    Command(b"restore-asking", restore, -4, "write denyoom asking", "keyspace dangerous", _KEY_SPEC),
)
