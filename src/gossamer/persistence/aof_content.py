"""A data set as the commands that build it: the base of an append only file without RDB preamble.

Large values come in pieces of 64 elements, as in Redis, so that loading them stalls nobody for long.
"""

from collections.abc import Callable
from typing import Final

from librt.strings import BytesWriter
from mypy_extensions import i64

from gossamer.base.numbers import format_double_17
from gossamer.datatypes.hashes import Hash
from gossamer.datatypes.lists import List
from gossamer.datatypes.sets import Set
from gossamer.datatypes.streams import Stream
from gossamer.datatypes.value import Value
from gossamer.datatypes.zsets import ZSet
from gossamer.keyspace.database import Database
from gossamer.keyspace.keyspace import Keyspace
from gossamer.keyspace.walker import Walker
from gossamer.persistence.aof_format import write_command, write_timestamp
from gossamer.persistence.hash_commands import commands_of_field_expiry
from gossamer.persistence.stream_commands import commands_of_stream

ELEMENTS_PER_COMMAND: Final = 64
PIECE_BYTES: Final = 1 << 18


def write_commands(
    sink: Callable[[bytes], None], keyspace: Keyspace, functions: list[bytes], timestamp_s: i64
) -> None:
    """The whole data set; timestamp_s -1 for none."""
    out = BytesWriter()
    if timestamp_s >= 0:
        write_timestamp(out, timestamp_s)
    for code in functions:
        write_command(out, [b"FUNCTION", b"LOAD", code])
    for database in keyspace.databases:
        if database.size() > 0:
            write_command(out, [b"SELECT", b"%d" % database.index])
            write_database_commands(sink, out, database)
    sink(out.getvalue())


def write_database_commands(sink: Callable[[bytes], None], out: BytesWriter, database: Database) -> None:
    """All keys of one database, due ones included."""
    state = database.state
    walker = Walker(database)
    while walker.next():
        key = walker.key
        value = walker.value
        expire_ms: i64 = walker.expire_ms
        if value is None:
            held = database.found_value()
        else:
            held = value
        write_value_commands(out, key, held)
        if expire_ms != 0:
            write_command(out, [b"PEXPIREAT", key, b"%d" % expire_ms])
        if len(out) >= PIECE_BYTES:
            sink(out.getvalue())
            out.truncate(0)
        if state.limits.rdb_key_save_delay_us != 0:
            state.delay.wait(state.limits.rdb_key_save_delay_us)


def write_value_commands(out: BytesWriter, key: bytes, value: bytes | Value) -> None:
    """The commands that make one key."""
    if isinstance(value, bytes):
        write_command(out, [b"SET", key, value])
    elif isinstance(value, List):
        write_in_pieces(out, b"RPUSH", key, value.elements(), ELEMENTS_PER_COMMAND)
    elif isinstance(value, Set):
        write_in_pieces(out, b"SADD", key, value.members(), ELEMENTS_PER_COMMAND)
    elif isinstance(value, ZSet):
        members: list[bytes] = []
        scores: list[float] = []
        value.collect(0, value.length(), members, scores)
        flat: list[bytes] = []
        for i in range(len(members)):
            flat.append(format_double_17(scores[i]))
            flat.append(members[i])
        write_in_pieces(out, b"ZADD", key, flat, 2 * ELEMENTS_PER_COMMAND)
    elif isinstance(value, Hash):
        write_in_pieces(out, b"HMSET", key, value.items(), 2 * ELEMENTS_PER_COMMAND)
        for argv in commands_of_field_expiry(key, value):
            write_command(out, argv)
    else:
        assert isinstance(value, Stream)
        for argv in commands_of_stream(key, value):
            write_command(out, argv)


def write_in_pieces(out: BytesWriter, name: bytes, key: bytes, words: list[bytes], most: i64) -> None:
    """One variadic command again and again until all words are written."""
    n: i64 = len(words)
    start: i64 = 0
    while start < n:
        end: i64 = start + most if start + most < n else n
        write_command(out, [name, key, *words[start:end]])
        start = end
