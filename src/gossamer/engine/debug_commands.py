"""DEBUG, as far as test suites of clients and servers use it. Shut by `enable-debug-command` unless opened."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.base.numbers import NotANumber, is_int64, parse_double, to_int64
from gossamer.commands.table import Command
from gossamer.datatypes import listpack
from gossamer.datatypes.value import Value
from gossamer.engine.client import Client
from gossamer.engine.digest import keyspace_digest, value_digest
from gossamer.keyspace.access import lru_idle_seconds
from gossamer.keyspace.database import KEEP_EXPIRE
from gossamer.rdb.payload import dump
from gossamer.resp.errors import NO_SUCH_KEY, NOT_INTEGER

DEBUG_REFUSED: Final = (
    b'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a '
    b"local connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
PAYLOAD_ENVELOPE_BYTES: Final = 11  # type byte, version and check sum of a DUMP payload


def debug(client: Client, argv: list[bytes]) -> None:
    is_local = client.over_unix_socket or client.address.startswith((b"127.", b"[::1]"))
    if not client.engine.config.allows("enable-debug-command", is_local):
        raise CommandError(DEBUG_REFUSED)
    known = SUBCOMMANDS.get(argv[1].lower())
    if known is None or not known.fewest <= len(argv) <= known.most:
        raise CommandError(
            b"ERR unknown subcommand or wrong number of arguments for '"
            + argv[1][:128]
            + b"'. Try DEBUG HELP."
        )
    known.function(client, argv)


def debug_sleep(client: Client, argv: list[bytes]) -> None:
    try:
        seconds = parse_double(argv[2])
    except NotANumber:
        seconds = 0.0
    client.engine.hooks.sleep(seconds)
    client.reply.ok()


def debug_digest(client: Client, argv: list[bytes]) -> None:
    client.reply.simple(keyspace_digest(client.keyspace))


def debug_digest_value(client: Client, argv: list[bytes]) -> None:
    client.reply.array(len(argv) - 2)
    for key in argv[2:]:
        value = client.db.peek(key)
        if value is None:
            client.reply.simple(b"0" * 40)
        else:
            client.reply.simple(value_digest(value, int(client.db.table.at_expire)))


def debug_object(client: Client, argv: list[bytes]) -> None:
    key = argv[2]
    value = client.db.peek(key)
    encoding = client.db.encoding(key)
    if value is None or encoding is None:
        raise CommandError(NO_SUCH_KEY)
    field = client.db.access_field(key)
    size = len(dump(value, 10)) - PAYLOAD_ENVELOPE_BYTES
    idle = lru_idle_seconds(field, client.state.now_ms)
    text = (
        f"Value at:0x{id(value):x} refcount:1 encoding:{encoding.decode()} serializedlength:{size} "
        f"lru:{field} lru_seconds_idle:{idle}"
    )
    client.reply.simple(text.encode())


def debug_reload(client: Client, argv: list[bytes]) -> None:
    save = flush = True
    merge = False
    for word in argv[2:]:
        option = word.lower()
        if option == b"merge":
            merge = True
        elif option == b"noflush":
            flush = False
        elif option == b"nosave":
            save = False
        else:
            raise CommandError(b"ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.")
    refusal = client.engine.hooks.reload(save, flush, merge)
    if refusal is not None:
        raise CommandError(refusal)
    client.reply.ok()


def debug_loadaof(client: Client, argv: list[bytes]) -> None:
    refusal = client.engine.hooks.reload_aof()
    if refusal is not None:
        raise CommandError(refusal)
    client.state.dirty = 0
    client.reply.ok()


def debug_set_active_expire(client: Client, argv: list[bytes]) -> None:
    client.engine.active_expire = argv[2] != b"0"
    client.reply.ok()


def integer(word: bytes) -> i64:
    if not is_int64(word):
        raise CommandError(NOT_INTEGER)
    return to_int64(word)


def debug_populate(client: Client, argv: list[bytes]) -> None:
    count = integer(argv[2])
    prefix = argv[3] if len(argv) > 3 else b"key"
    size = integer(argv[4]) if len(argv) > 4 else 0
    for number in range(count):
        key = prefix + b":%d" % number
        if client.db.exists(key):
            continue
        value = b"value:%d" % number
        if size > 0:
            value = value[:size].ljust(size, b"\0")
        client.db.set_string(key, value, KEEP_EXPIRE, False)
        client.state.dirty += 1
        client.listener.on_modified(key, client.db.index)
    client.reply.ok()


def debug_error(client: Client, argv: list[bytes]) -> None:
    client.reply.error(argv[2])


def debug_log(client: Client, argv: list[bytes]) -> None:
    client.engine.hooks.log_notice("DEBUG LOG: " + argv[2].decode("utf-8", "replace"))
    client.reply.ok()


def debug_protocol(client: Client, argv: list[bytes]) -> None:
    reply = client.reply
    kind = argv[2].lower()
    if kind == b"string":
        reply.bulk(b"Hello World")
    elif kind == b"integer":
        reply.integer(12345)
    elif kind == b"double":
        reply.double(3.141)
    elif kind == b"null":
        reply.null()
    elif kind == b"array":
        write_numbers(client, reply.array)
    elif kind == b"set":
        write_numbers(client, reply.set)
    elif kind == b"map":
        reply.map(3)
        for number in range(3):
            reply.integer(number)
            reply.boolean(number == 1)
    elif kind == b"attrib":
        if reply.protocol == 3:
            reply.raw(b"|1\r\n$14\r\nkey-popularity\r\n*2\r\n$7\r\nkey:123\r\n:90\r\n")
        reply.bulk(b"Some real reply following the attribute")
    elif kind == b"push":
        if reply.protocol == 2:
            raise CommandError(b"ERR RESP2 is not supported by this command")
        reply.push(2)
        reply.bulk(b"server-cpu-usage")
        reply.integer(42)
    elif kind == b"verbatim":
        reply.verbatim(b"txt", b"This is a verbatim\nstring")
    elif kind == b"true":
        reply.boolean(True)
    elif kind == b"false":
        reply.boolean(False)
    elif kind == b"bignum":
        reply.big_number(b"1234567999999999999999999999999999999")
    else:
        raise CommandError(
            b"ERR Wrong protocol type name. Please use one of the following: "
            b"string|integer|double|null|array|set|map|attrib|push|verbatim|true|false"
        )


def write_numbers(client: Client, head: "object") -> None:
    """Three integers behind a head of the given kind."""
    assert callable(head)
    head(3)
    for number in range(3):
        client.reply.integer(number)


def debug_stringmatch_len(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(1 if match(argv[3], b"a" * integer(argv[2]), False) else 0)


def debug_listpack(client: Client, argv: list[bytes]) -> None:
    value = client.db.peek(argv[2])
    if value is None:
        raise CommandError(NO_SUCH_KEY)
    packed = value.packed() if isinstance(value, Value) else None
    if packed is None or client.db.encoding(argv[2]) != b"listpack":
        raise CommandError(b"ERR Not a listpack encoded object.")
    client.engine.hooks.log_notice(f"listpack of {argv[2]!r}: {listpack.entries(packed)!r}")
    client.reply.simple(b"Listpack structure printed on stdout")


def debug_htstats(client: Client, argv: list[bytes]) -> None:
    index = integer(argv[2])
    if not 0 <= index < len(client.keyspace.databases):
        raise CommandError(b"ERR Out of range database")
    table = client.keyspace.databases[index].table
    text = (
        f"[Dictionary HT]\nbuckets: {len(table.buckets)}\nnumber of elements: {table.count}\n"
        f"mean entries per bucket: {int(table.count) / len(table.buckets):.2f}\n"
        f"[Expires HT]\nnumber of elements: {table.expires_count}\n"
    )
    client.reply.verbatim(b"txt", text.encode())


def debug_accept(client: Client, argv: list[bytes]) -> None:
    """Settings of structures that Gossamer does not have: taken, without an effect."""
    client.reply.ok()


def debug_die(client: Client, argv: list[bytes]) -> None:
    """SEGFAULT, PANIC, ASSERT, OOM: end the process as a crash would, without saving."""
    client.engine.hooks.crash()


HELP: Final = (
    b"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"CHANGE-REPL-ID, JMAP, QUICKLIST-PACKED-THRESHOLD, REPLYBUFFER, SET-DISABLE-DENY-SCRIPTS",
    b"    Accepted without an effect.",
    b"DIGEST",
    b"    A number for the whole data set, the same on redis-server 7.0 for the same data.",
    b"DIGEST-VALUE <key> [<key> ...]",
    b"    The same for single values.",
    b"ERROR <text>",
    b"    Answer with an error of that text.",
    b"HTSTATS <db>",
    b"    How full the buckets of a database are.",
    b"LISTPACK <key>",
    b"    Write the elements of a listpack into the log.",
    b"LOG <text>",
    b"    Write a line into the log.",
    b"OBJECT <key>",
    b"    Encoding, size in a DUMP payload, idle time.",
    b"POPULATE <count> [<prefix>] [<size>]",
    b"    Create keys prefix:0, prefix:1 ... with values of that size.",
    b"PROTOCOL <type>",
    b"    Answer with a value of that type.",
    b"RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
    b"    Save, empty and load the data set.",
    b"SEGFAULT, PANIC, ASSERT, OOM",
    b"    End the process without saving.",
    b"SET-ACTIVE-EXPIRE <0|1>",
    b"    Switch the active expire cycle off or on.",
    b"SLEEP <seconds>",
    b"    Do nothing for so long, as a slow command would.",
    b"STRINGMATCH-LEN <len> <pattern>",
    b"    Match a pattern against so many letters a.",
    b"HELP",
    b"    This text.",
)


def debug_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(HELP)


class Subcommand:
    """A subcommand of DEBUG, which COMMAND does not tell of; lengths of argv."""

    def __init__(self, function: "object", fewest: int, most: int) -> None:
        self.handler = function
        self.fewest = fewest
        self.most = most

    def function(self, client: Client, argv: list[bytes]) -> None:
        assert callable(self.handler)
        self.handler(client, argv)


ANY: Final = 1 << 20
SUBCOMMANDS: Final = {
    b"sleep": Subcommand(debug_sleep, 3, 3),
    b"digest": Subcommand(debug_digest, 2, 2),
    b"digest-value": Subcommand(debug_digest_value, 3, ANY),
    b"object": Subcommand(debug_object, 3, 4),
    b"reload": Subcommand(debug_reload, 2, 5),
    b"loadaof": Subcommand(debug_loadaof, 2, 2),
    b"set-active-expire": Subcommand(debug_set_active_expire, 3, 3),
    b"populate": Subcommand(debug_populate, 3, 5),
    b"error": Subcommand(debug_error, 3, 3),
    b"log": Subcommand(debug_log, 3, 3),
    b"protocol": Subcommand(debug_protocol, 3, 3),
    b"stringmatch-len": Subcommand(debug_stringmatch_len, 4, 4),
    b"listpack": Subcommand(debug_listpack, 3, 3),
    b"htstats": Subcommand(debug_htstats, 3, 4),
    b"change-repl-id": Subcommand(debug_accept, 2, 2),
    b"jmap": Subcommand(debug_accept, 2, 2),
    b"quicklist-packed-threshold": Subcommand(debug_accept, 3, 3),
    b"replybuffer": Subcommand(debug_accept, 3, 4),
    b"set-disable-deny-scripts": Subcommand(debug_accept, 3, 3),
    b"segfault": Subcommand(debug_die, 2, 2),
    b"panic": Subcommand(debug_die, 2, 2),
    b"assert": Subcommand(debug_die, 2, 2),
    b"oom": Subcommand(debug_die, 2, 2),
    b"help": Subcommand(debug_help, 2, 2),
}

COMMANDS: Final = (Command(b"debug", debug, -2, "admin noscript loading stale protected", ""),)
