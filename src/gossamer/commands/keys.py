"""Commands on keys whatever their type, and on whole databases. Expire times: expiry.py; SCAN: scan.py."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.commands.arguments import int32_argument, integer_argument_or
from gossamer.commands.session import Session
from gossamer.commands.table import Command, KeySpec
from gossamer.keyspace.database import Database
from gossamer.keyspace.events import NOTIFY_GENERIC
from gossamer.resp.errors import DB_OUT_OF_RANGE, NO_SUCH_KEY, SAME_OBJECT, SYNTAX

_RANDOM_TRIES: Final = 100

# -- looking ------------------------------------------------------------------------------------------------


def exists(session: Session, argv: list[bytes]) -> None:
    """EXISTS key [key ...]"""
    db = session.db
    found: i64 = 0
    n: i64 = len(argv)
    i: i64 = 1
    while i < n:
        if db.find_read_untouched(argv[i]):
            found += 1
        i += 1
    session.reply.integer(found)


def touch(session: Session, argv: list[bytes]) -> None:
    """TOUCH key [key ...]"""
    db = session.db
    state = session.state
    touches: bool = state.touches
    state.touches = True  # also for a client in NO-TOUCH
    found: i64 = 0
    n: i64 = len(argv)
    i: i64 = 1
    while i < n:
        if db.find_read(argv[i]):
            found += 1
        i += 1
    state.touches = touches
    session.reply.integer(found)


def type_command(session: Session, argv: list[bytes]) -> None:
    """TYPE key"""
    db = session.db
    session.reply.simple(db.found_type_name() if db.find_read_untouched(argv[1]) else b"none")


def keys(session: Session, argv: list[bytes]) -> None:
    """KEYS pattern"""
    pattern = argv[1]
    names = session.db.live_keys()
    if pattern != b"*":
        names = [name for name in names if match(pattern, name, False)]
    session.reply.bulk_array(names)


def randomkey(session: Session, argv: list[bytes]) -> None:
    """RANDOMKEY"""
    db = session.db
    tries: i64 = _RANDOM_TRIES
    while True:
        key = db.random_key()
        # A due key is removed by looking it up, but on a replica: there it is better than none at last.
        if key is None or db.exists(key) or (not session.state.expires_now and tries == 0):
            session.reply.bulk_or_null(key)
            return
        tries -= 1


def dbsize(session: Session, argv: list[bytes]) -> None:
    """DBSIZE"""
    session.reply.integer(session.db.size())


# -- removing and moving ------------------------------------------------------------------------------------


def delete(session: Session, argv: list[bytes]) -> None:
    """DEL key [key ...], UNLINK key [key ...]"""
    db = session.db
    removed: i64 = 0
    n: i64 = len(argv)
    i: i64 = 1
    while i < n:
        key = argv[i]
        if db.delete(key):
            session.changed(key, NOTIFY_GENERIC, b"del")
            removed += 1
        i += 1
    session.reply.integer(removed)


def rename_key(session: Session, argv: list[bytes], only_new: bool) -> bool:
    """Rename argv[1] to argv[2]; False where the name is taken and `only_new` is asked for."""
    db = session.db
    source = argv[1]
    target = argv[2]
    if not db.find_write(source):
        raise CommandError(NO_SUCH_KEY)
    if source == target:
        return not only_new
    if db.find_write(target):
        if only_new:
            return False
        db.delete(target)
    db.transfer(source, db, target, False)
    session.changed(source, NOTIFY_GENERIC, b"rename_from")
    session.state.listener.on_modified(target, db.index)
    session.notify(NOTIFY_GENERIC, b"rename_to", target)
    return True


def rename(session: Session, argv: list[bytes]) -> None:
    """RENAME key newkey"""
    rename_key(session, argv, False)
    session.reply.ok()


def renamenx(session: Session, argv: list[bytes]) -> None:
    """RENAMENX key newkey"""
    session.reply.integer(1 if rename_key(session, argv, True) else 0)


def database_argument(session: Session, argument: bytes) -> Database:
    """The database that an argument names; raises CommandError."""
    index: i64 = int32_argument(argument)
    if not 0 <= index < i64(len(session.keyspace.databases)):
        raise CommandError(DB_OUT_OF_RANGE)
    return session.keyspace.databases[index]


def move(session: Session, argv: list[bytes]) -> None:
    """MOVE key db"""
    source = session.db
    key = argv[1]
    target = database_argument(session, argv[2])
    if target is source:
        raise CommandError(SAME_OBJECT)
    if not source.find_write(key) or target.find_write(key):
        session.reply.integer(0)
        return
    source.transfer(key, target, key, False)
    session.changed(key, NOTIFY_GENERIC, b"move_from")
    session.state.listener.on_modified(key, target.index)
    session.state.notify(NOTIFY_GENERIC, b"move_to", key, target.index)
    session.reply.integer(1)


def copy(session: Session, argv: list[bytes]) -> None:
    """COPY source destination [DB destination-db] [REPLACE]"""
    source = session.db
    target = source
    replace: bool = False
    n: i64 = len(argv)
    i: i64 = 3
    while i < n:
        word = argv[i].upper()
        if word == b"REPLACE":
            replace = True
        elif word == b"DB" and i + 1 < n:
            i += 1
            target = database_argument(session, argv[i])
        else:
            raise CommandError(SYNTAX)
        i += 1
    key = argv[1]
    new_key = argv[2]
    if target is source and key == new_key:
        raise CommandError(SAME_OBJECT)
    if not source.find_read(key):
        session.reply.integer(0)
        return
    if target.find_write(new_key):
        if not replace:
            session.reply.integer(0)
            return
        target.delete(new_key)
    source.transfer(key, target, new_key, True)
    session.changed_in(target, new_key, NOTIFY_GENERIC, b"copy_to")
    session.reply.integer(1)


# -- whole databases ----------------------------------------------------------------------------------------


def swapdb(session: Session, argv: list[bytes]) -> None:
    """SWAPDB index1 index2"""
    first: i64 = database_index(argv[1], b"ERR invalid first DB index")
    second: i64 = database_index(argv[2], b"ERR invalid second DB index")
    count: i64 = len(session.keyspace.databases)
    if not (0 <= first < count and 0 <= second < count):
        raise CommandError(DB_OUT_OF_RANGE)
    if first != second:
        session.listener.on_swapping(first, second)
        session.keyspace.swap(first, second)
        session.listener.on_swapped(first, second)
    session.state.dirty += 1
    session.reply.ok()


def database_index(argument: bytes, message: bytes) -> i64:
    index: i64 = integer_argument_or(argument, message)
    if not -(1 << 31) <= index < 1 << 31:
        raise CommandError(message)
    return index


def check_flush_options(argv: list[bytes]) -> None:
    """FLUSHALL and FLUSHDB take one option, ASYNC or SYNC, which makes no difference: no flush waits."""
    if len(argv) > 2 or (len(argv) == 2 and argv[1].upper() not in (b"ASYNC", b"SYNC")):
        raise CommandError(SYNTAX)


def empty_database(session: Session, database: Database) -> None:
    session.listener.on_emptying(database.index)
    session.state.dirty += database.size()
    database.clear()


def flushdb(session: Session, argv: list[bytes]) -> None:
    """FLUSHDB [ASYNC | SYNC]"""
    check_flush_options(argv)
    empty_database(session, session.db)
    session.propagate(argv)  # also where there was nothing to flush
    session.reply.ok()


def flushall(session: Session, argv: list[bytes]) -> None:
    """FLUSHALL [ASYNC | SYNC]"""
    check_flush_options(argv)
    for database in session.keyspace.databases:
        empty_database(session, database)
    session.listener.on_flushed_all()
    session.propagate(argv)  # also where there was nothing to flush
    session.reply.ok()


_LOOK: Final = (KeySpec("RO", index=1),)
_LOOK_ALL: Final = (KeySpec("RO", index=1, last=-1),)
_REMOVE_ALL: Final = (KeySpec("RM delete", index=1, last=-1),)
_SUM: Final = (b"request_policy:multi_shard", b"response_policy:agg_sum")
_EVERYWHERE: Final = (b"request_policy:all_shards", b"response_policy:all_succeeded")
_RANDOM_70: Final = (b"request_policy:all_shards", b"nondeterministic_output")
_RANDOM_72: Final = (b"request_policy:all_shards", b"response_policy:special", b"nondeterministic_output")
_KEYS_TIPS: Final = (b"request_policy:all_shards", b"nondeterministic_output_order")
_DBSIZE_TIPS: Final = (b"request_policy:all_shards", b"response_policy:agg_sum")
_SOURCE: Final = KeySpec("RW access delete", index=1)

COMMANDS: Final = (
    Command(b"del", delete, -2, "write", "keyspace", _REMOVE_ALL, _SUM),
    Command(b"unlink", delete, -2, "write fast", "keyspace", _REMOVE_ALL, _SUM),
    Command(b"exists", exists, -2, "readonly fast", "keyspace", _LOOK_ALL, _SUM),
    Command(b"touch", touch, -2, "readonly fast", "keyspace", _LOOK_ALL, _SUM),
    Command(b"type", type_command, 2, "readonly fast", "keyspace", _LOOK),
    Command(b"keys", keys, 2, "readonly", "keyspace dangerous", tips=_KEYS_TIPS),
    Command(b"randomkey", randomkey, 1, "readonly", "keyspace", tips=_RANDOM_70, max_compat=70),
    Command(b"randomkey", randomkey, 1, "readonly", "keyspace", tips=_RANDOM_72, min_compat=72),
    Command(b"rename", rename, 3, "write", "keyspace", (_SOURCE, KeySpec("OW update", index=2))),
    Command(b"renamenx", renamenx, 3, "write fast", "keyspace", (_SOURCE, KeySpec("OW insert", index=2))),
    Command(
        b"copy",
        copy,
        -3,
        "write denyoom",
        "keyspace",
        (KeySpec("RO access", index=1), KeySpec("OW update", index=2)),
    ),
    Command(b"move", move, 3, "write fast", "keyspace", (KeySpec("RW access update", index=1),)),
    Command(b"dbsize", dbsize, 1, "readonly fast", "keyspace", tips=_DBSIZE_TIPS),
    Command(b"swapdb", swapdb, 3, "write fast", "keyspace dangerous"),
    Command(b"flushdb", flushdb, -1, "write", "keyspace dangerous", tips=_EVERYWHERE),
    Command(b"flushall", flushall, -1, "write", "keyspace dangerous", tips=_EVERYWHERE),
)
