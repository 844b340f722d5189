"""DEBUG, as far as test suites of clients and servers use it. Shut by `enable-debug-command` unless opened."""

from typing import Final

from mypy_extensions import i64

from gossamer.base.errors import CommandError
from gossamer.base.glob import match
from gossamer.base.numbers import NotANumber, is_int64, leading_integer, parse_double, to_int64
from gossamer.commands.arguments import integer_argument
from gossamer.commands.table import Command
from gossamer.engine.client import Client
from gossamer.engine.config_file import rewrite
from gossamer.engine.config_kinds import parse_memory
from gossamer.engine.debug_structures import (
    debug_client_eviction,
    debug_htstats,
    debug_htstats_key,
    debug_listpack,
    debug_object,
    debug_quicklist,
    debug_sdslen,
    debug_structsize,
)
from gossamer.engine.digest import keyspace_digest, value_digest
from gossamer.keyspace.database import KEEP_EXPIRE
from gossamer.resp.errors import quoted

DEBUG_REFUSED: Final = (
    b'ERR DEBUG command not allowed. If the enable-debug-command option is set to "local", you can run it from a '
    b"local connection, otherwise you need to set this option in the configuration file, and then restart the server."
)
MUST_BE_POSITIVE: Final = b"ERR value is out of range, must be positive"
PACKED_THRESHOLD_MAX_BYTES: Final = (1 << 32) - (1 << 20)
MATCHES_TRIED: Final = 20_000


def debug(client: Client, argv: list[bytes]) -> None:
    is_local = client.over_unix_socket or client.address.startswith((b"127.", b"[::1]"))
    if not client.engine.config.allows("enable-debug-command", is_local):
        raise CommandError(DEBUG_REFUSED)
    known = SUBCOMMANDS.get(argv[1].lower())
    if (
        known is None
        or not known.fewest <= len(argv) <= known.most
        or (len(argv) > known.most_before_80 and client.limits.compat < 80)
    ):
        raise unknown(argv)
    known.function(client, argv)


def unknown(argv: list[bytes]) -> CommandError:
    return CommandError(
        b"ERR unknown subcommand or wrong number of arguments for '"
        + quoted(argv[1][:128])
        + b"'. Try DEBUG HELP."
    )


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


def debug_aof_flush_sleep(client: Client, argv: list[bytes]) -> None:
    client.engine.debug.aof_flush_sleep_us = max(0, leading_integer(argv[2]))
    client.reply.ok()


def debug_config_rewrite(client: Client, argv: list[bytes]) -> None:
    config = client.engine.config
    reason = "Bad address"  # what the real server says where there is no file
    if config.config_file:
        try:
            rewrite(config, True)
        except OSError as error:
            reason = error.strerror or str(error)
        else:
            client.reply.ok()
            return
    raise CommandError(b"ERR CONFIG-REWRITE-FORCE-ALL failed: " + reason.encode())


def debug_pause_cron(client: Client, argv: list[bytes]) -> None:
    client.engine.debug.cron_paused = leading_integer(argv[2]) != 0
    client.reply.ok()


def debug_set_skip_checksum_validation(client: Client, argv: list[bytes]) -> None:
    client.limits.skip_checksum_validation = 1 if leading_integer(argv[2]) != 0 else 0
    client.reply.ok()


def debug_leak(client: Client, argv: list[bytes]) -> None:
    """The memory of the argument is never given back."""
    client.engine.debug.leaked.append(argv[2])
    client.reply.ok()


def debug_replicate(client: Client, argv: list[bytes]) -> None:
    """Replicas are to run what this server did not."""
    client.engine.add_message(client.db.index, argv[2:])
    client.reply.ok()


def debug_quicklist_packed_threshold(client: Client, argv: list[bytes]) -> None:
    """From which size an element of a large list has a node of its own; 0: what `list-max-listpack-size` says."""
    try:
        size = parse_memory(argv[2])
    except ValueError:
        size = -1
    if not 0 <= size <= PACKED_THRESHOLD_MAX_BYTES:
        raise CommandError(b"ERR argument must be a memory value bigger than 1 and smaller than 4gb")
    client.limits.list_packed_threshold_bytes = size
    client.reply.ok()


def debug_replybuffer(client: Client, argv: list[bytes]) -> None:
    """Reply buffers here shrink whenever they are sent: checked, and without an effect."""
    what = argv[2].lower()
    if len(argv) != 4 or what not in (b"peak-reset-time", b"resizing"):
        raise unknown(argv)
    if what == b"peak-reset-time" and argv[3].lower() not in (b"never", b"reset"):
        integer_argument(argv[3])
    client.reply.ok()


def debug_clusterlink(client: Client, argv: list[bytes]) -> None:
    raise CommandError(b"ERR Debug option only available for cluster mode enabled setup!")


def debug_drop_cluster_packets(client: Client, argv: list[bytes]) -> None:
    integer_argument(argv[2])
    client.reply.ok()


def debug_stringmatch_test(client: Client, argv: list[bytes]) -> None:
    """Match random patterns against random strings; whatever comes of it must come."""
    alphabet = b"ab*?[]^-\\\x00"
    for _ in range(MATCHES_TRIED):
        words = [
            bytes([alphabet[client.rng.below(len(alphabet))] for _ in range(client.rng.below(24))])
            for _ in range(2)
        ]
        match(words[0], words[1], False)
    who = b"the server" if client.engine.personality.is_valkey else b"Redis"
    client.reply.simple(b"Apparently " + who + b" did not crash: test passed")


def debug_set_active_expire(client: Client, argv: list[bytes]) -> None:
    client.engine.active_expire = leading_integer(argv[2]) != 0
    client.reply.ok()


def positive(word: bytes) -> i64:
    if not is_int64(word) or to_int64(word) < 0:
        raise CommandError(MUST_BE_POSITIVE)
    return to_int64(word)


def debug_populate(client: Client, argv: list[bytes]) -> None:
    """Replicas and the append only file do not hear of these keys."""
    client.propagate_nothing()
    count = positive(argv[2])
    prefix = argv[3] if len(argv) > 3 else b"key"
    size = positive(argv[4]) if len(argv) > 4 else 0
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
        if client.limits.compat >= 80:
            reply.bulk(b"Some real reply following the push reply")
        reply.push(2)
        reply.bulk(b"server-cpu-usage")
        reply.integer(42)
        if client.limits.compat < 80:
            reply.bulk(b"Some real reply following the push reply")
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
            b"string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false"
        )


def write_numbers(client: Client, head: "object") -> None:
    """Three integers behind a head of the given kind."""
    assert callable(head)
    head(3)
    for number in range(3):
        client.reply.integer(number)


def debug_stringmatch_len(client: Client, argv: list[bytes]) -> None:
    client.reply.integer(1 if match(argv[3], b"a" * integer_argument(argv[2]), False) else 0)


def debug_accept(client: Client, argv: list[bytes]) -> None:
    """Settings of structures that Gossamer does not have: taken, without an effect."""
    client.reply.ok()


def debug_restart(client: Client, argv: list[bytes]) -> None:
    """RESTART, CRASH-AND-RECOVER: no reply, unless it fails."""
    delay_ms = integer_argument(argv[2]) if len(argv) > 2 else 0
    client.engine.hooks.restart(argv[1].lower() == b"restart", max(0, int(delay_ms)))
    raise CommandError(b"ERR failed to restart the server. Check server logs.")


def debug_change_repl_id(client: Client, argv: list[bytes]) -> None:
    client.engine.hooks.change_replication_id()
    client.reply.ok()


def debug_set_disable_deny_scripts(client: Client, argv: list[bytes]) -> None:
    client.engine.debug.noscript_lifted = leading_integer(argv[2]) != 0
    client.reply.ok()


def debug_pause_after_fork(client: Client, argv: list[bytes]) -> None:
    client.engine.debug.stops_after_fork = leading_integer(argv[2]) != 0
    client.reply.ok()


def debug_die(client: Client, argv: list[bytes]) -> None:
    """SEGFAULT, PANIC, ASSERT, OOM: end the process as a crash would, without saving."""
    client.engine.hooks.crash()


HELP: Final = (
    b"DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    b"AOF-FLUSH-SLEEP <microseconds>",
    b"    Sleep before the append only file is written to.",
    b"CHANGE-REPL-ID",
    b"    Take a new replication id: replicas synchronise anew.",
    b"CLIENT-EVICTION",
    b"    The clients that maxmemory-clients may close, by the size of their buffers.",
    b"CLOSE-CLUSTER-LINK-ON-PACKET-DROP, DELAY-RDB-CLIENT-FREE-SECONDS, DICT-RESIZING,",
    b"DROP-CLUSTER-PACKET-FILTER, REPLYBUFFER",
    b"    Accepted without an effect.",
    b"CONFIG-REWRITE-FORCE-ALL",
    b"    Write every directive into the configuration file.",
    b"CRASH-AND-RECOVER [<milliseconds>]",
    b"    Begin anew without saving, after so long.",
    b"DIGEST",
    b"    A number for the whole data set, the same on redis-server 7.0 for the same data.",
    b"DIGEST-VALUE <key> [<key> ...]",
    b"    The same for single values.",
    b"ERROR <text>",
    b"    Answer with an error of that text.",
    b"HTSTATS <db> [full]",
    b"    How full the buckets of a database are.",
    b"HTSTATS-KEY <key> [full]",
    b"    How full the buckets of a hash, a set or a sorted set are.",
    b"LEAK <string>",
    b"    Keep the memory of a string for ever.",
    b"LISTPACK <key>, QUICKLIST <key> [<0|1>]",
    b"    Write what the value is made of into the log.",
    b"LOADAOF",
    b"    Empty the data set and load the append only file.",
    b"LOG <text>",
    b"    Write a line into the log.",
    b"OBJECT <key> [fast]",
    b"    Encoding, size in a DUMP payload, idle time, nodes of a list.",
    b"PAUSE-AFTER-FORK <0|1>",
    b"    Stop the process (SIGSTOP) whenever it has forked.",
    b"PAUSE-CRON <0|1>",
    b"    Hold back what happens several times a second.",
    b"POPULATE <count> [<prefix>] [<size>]",
    b"    Create keys prefix:0, prefix:1 ... with values of that size.",
    b"PROTOCOL <type>",
    b"    Answer with a value of that type.",
    b"QUICKLIST-PACKED-THRESHOLD <size>",
    b"    Give elements from that size on nodes of their own in large lists; 0 for the usual rule.",
    b"RELOAD [MERGE] [NOFLUSH] [NOSAVE]",
    b"    Save, empty and load the data set.",
    b"REPLICATE <command> [<arg> ...]",
    b"    Let replicas run what this server did not.",
    b"RESTART [<milliseconds>]",
    b"    Rewrite the configuration file, save, and begin anew, after so long.",
    b"SDSLEN <key>",
    b"    The memory of a key and of its string.",
    b"SEGFAULT, PANIC, ASSERT, OOM",
    b"    End the process without saving.",
    b"SET-ACTIVE-EXPIRE <0|1>",
    b"    Switch the active expire cycle off or on.",
    b"SET-DISABLE-DENY-SCRIPTS <0|1>",
    b"    Let scripts call what is not for scripts.",
    b"SET-SKIP-CHECKSUM-VALIDATION <0|1>",
    b"    Let RESTORE take payloads whose check sum is wrong.",
    b"SLEEP <seconds>",
    b"    Do nothing for so long, as a slow command would.",
    b"STRINGMATCH-LEN <len> <pattern>",
    b"    Match a pattern against so many letters a.",
    b"STRINGMATCH-TEST",
    b"    Match random patterns.",
    b"STRUCTSIZE",
    b"    The sizes of basic structures.",
    b"HELP",
    b"    This text.",
)


def debug_help(client: Client, argv: list[bytes]) -> None:
    client.reply.simple_array(HELP)


class Subcommand:
    """A subcommand of DEBUG, which COMMAND does not tell of; lengths of argv."""

    def __init__(self, function: "object", fewest: int, most: int, most_before_80: int = 1 << 20) -> None:
        self.handler = function
        self.fewest = fewest
        self.most = most
        self.most_before_80 = most_before_80  # in versions before Valkey 8.0

    def function(self, client: Client, argv: list[bytes]) -> None:
        assert callable(self.handler)
        self.handler(client, argv)


ANY: Final = 1 << 20
SUBCOMMANDS: Final = {
    b"sleep": Subcommand(debug_sleep, 3, 3),
    b"digest": Subcommand(debug_digest, 2, 2),
    b"digest-value": Subcommand(debug_digest_value, 2, ANY),
    b"object": Subcommand(debug_object, 3, 4, 3),
    b"reload": Subcommand(debug_reload, 2, ANY),
    b"loadaof": Subcommand(debug_loadaof, 2, 2),
    b"set-active-expire": Subcommand(debug_set_active_expire, 3, 3),
    b"populate": Subcommand(debug_populate, 3, 5),
    b"error": Subcommand(debug_error, 3, 3),
    b"log": Subcommand(debug_log, 3, 3),
    b"protocol": Subcommand(debug_protocol, 3, 3),
    b"stringmatch-len": Subcommand(debug_stringmatch_len, 4, 4),
    b"listpack": Subcommand(debug_listpack, 3, 3),
    b"htstats": Subcommand(debug_htstats, 3, 4, 3),
    b"change-repl-id": Subcommand(debug_change_repl_id, 2, 2),
    b"quicklist-packed-threshold": Subcommand(debug_quicklist_packed_threshold, 3, 3),
    b"replybuffer": Subcommand(debug_replybuffer, 3, 4),
    b"quicklist": Subcommand(debug_quicklist, 3, 4),
    b"htstats-key": Subcommand(debug_htstats_key, 3, 4, 3),
    b"sdslen": Subcommand(debug_sdslen, 3, 3),
    b"structsize": Subcommand(debug_structsize, 2, 2),
    b"client-eviction": Subcommand(debug_client_eviction, 2, 2),
    b"aof-flush-sleep": Subcommand(debug_aof_flush_sleep, 3, 3),
    b"pause-cron": Subcommand(debug_pause_cron, 3, 3),
    b"set-skip-checksum-validation": Subcommand(debug_set_skip_checksum_validation, 3, 3),
    b"leak": Subcommand(debug_leak, 3, 3),
    b"replicate": Subcommand(debug_replicate, 3, ANY),
    b"clusterlink": Subcommand(debug_clusterlink, 5, 5),
    b"drop-cluster-packet-filter": Subcommand(debug_drop_cluster_packets, 3, 3),
    b"close-cluster-link-on-packet-drop": Subcommand(debug_accept, 3, 3, 0),
    b"dict-resizing": Subcommand(debug_accept, 3, 3, 0),
    b"pause-after-fork": Subcommand(debug_pause_after_fork, 3, 3, 0),
    b"delay-rdb-client-free-seconds": Subcommand(debug_accept, 3, 3, 0),
    b"restart": Subcommand(debug_restart, 2, ANY),
    b"crash-and-recover": Subcommand(debug_restart, 2, ANY),
    b"config-rewrite-force-all": Subcommand(debug_config_rewrite, 2, 2),
    b"stringmatch-test": Subcommand(debug_stringmatch_test, 2, 2),
    b"set-disable-deny-scripts": Subcommand(debug_set_disable_deny_scripts, 3, 3),
    b"segfault": Subcommand(debug_die, 2, 2),
    b"panic": Subcommand(debug_die, 2, 2),
    b"assert": Subcommand(debug_die, 2, 2),
    b"oom": Subcommand(debug_die, 2, 2),
    b"help": Subcommand(debug_help, 2, 2),
}

COMMANDS: Final = (Command(b"debug", debug, -2, "admin noscript loading stale protected", ""),)
