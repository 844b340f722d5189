"""Key commands without a server: what they say to events, AOF and replicas, as the real servers were seen to."""

import pytest

from gossamer.base.limits import POLICIES
from gossamer.commands import expiry, keys, lists, object, scan, sets, sort, strings
from gossamer.keyspace.events import NOTIFY_ALL, NOTIFY_KEY_MISS, NOTIFY_NEW
from support.caller import Caller

NOW_MS = 1_700_000_000_000
GROUPS = (
    strings.COMMANDS,
    keys.COMMANDS,
    expiry.COMMANDS,
    sort.COMMANDS,
    scan.COMMANDS,
    lists.COMMANDS,
    sets.COMMANDS,
    object.COMMANDS,
)

# After these commands: the events, and what is propagated (None: the command as it came).
EFFECTS = [
    ("MSET n 1 b 1", "new n, set n, new b, set b", None),
    ("EXPIRE n 100", "expire n", f"PEXPIREAT n {NOW_MS + 100_000}"),
    ("PEXPIREAT n 99999999999999 XX", "expire n", None),
    ("EXPIRE n 50 LT", "expire n", f"PEXPIREAT n {NOW_MS + 50_000} LT"),
    ("EXPIRE n 60 LT", "", None),
    ("EXPIRE n -1", "del n", "DEL n"),
    ("PERSIST b", "", None),
    ("EXPIREAT b 99999999999", "expire b", "PEXPIREAT b 99999999999000"),
    ("PERSIST b", "persist b", None),
    ("RENAME b aa", "new aa, rename_from b, rename_to aa", None),
    ("SET b 1", "new b, set b", None),
    ("RENAMENX aa b", "", None),
    ("RENAMENX aa a", "new a, rename_from aa, rename_to a", None),
    ("RENAME a b", "new b, rename_from a, rename_to b", None),
    ("COPY b bb", "new bb, copy_to bb", None),
    ("COPY b bb REPLACE", "new bb, copy_to bb", None),
    ("COPY b bb DB 1", "new bb, copy_to bb", None),
    ("COPY b bb DB 1", "", None),
    ("MOVE b 1", "new b, move_from b, move_to b", None),
    ("DEL bb zz", "del bb", None),
    ("TOUCH bb", "keymiss bb", None),
    ("EXISTS qq", "keymiss qq", None),
    ("TTL qq", "keymiss qq", None),
    ("TYPE qq", "keymiss qq", None),
    ("OBJECT ENCODING qq", "", None),
    ("EXPIRE qq 100", "", None),
    ("SORT qq", "keymiss qq", None),
    ("RPUSH l 3 1 2", "new l, rpush l", None),
    ("SORT l STORE l", "sortstore l", None),
    ("SORT l LIMIT 5 10 STORE l", "del l", None),
    ("UNLINK l", "", None),
    ("FLUSHDB", "", "FLUSHDB"),
    ("FLUSHALL ASYNC", "", "FLUSHALL ASYNC"),
]


def say(caller: Caller, line: str) -> None:
    words = line.split(" ")
    if words[0] == "OBJECT":
        caller.listener.events.clear()
        function = caller.commands[b"object"].subcommands[words[1].lower().encode()].function
        assert function is not None
        function(caller.session, [word.encode() for word in words])
    else:
        caller.line(line)


def test_each_command_says_what_the_real_server_says() -> None:
    caller = Caller(GROUPS, 70)
    caller.state.notify_mask = NOTIFY_ALL | NOTIFY_NEW | NOTIFY_KEY_MISS
    for line, events, propagated in EFFECTS:
        say(caller, line)
        said = ", ".join(f"{event.decode()} {key.decode()}" for event, key in caller.events)
        assert (line, said) == (line, events)
        sent = None if caller.propagated is None else [b" ".join(argv).decode() for argv in caller.propagated]
        assert (line, sent) == (line, None if propagated is None else [propagated])


@pytest.mark.parametrize("command", ["RENAME {} new", "RENAMENX {} new", "COPY {} new", "MOVE {} 1"])
def test_expire_time_and_encoding_travel_with_the_key(command: str) -> None:
    for key, make in (
        ("string", ["SET string 1", "APPEND string 2"]),
        ("long", ["SET long " + "x" * 3000, "APPEND long y"]),
        ("list", ["RPUSH list a b c"]),
        ("set", ["SADD set " + " ".join(f"member:{n}" for n in range(200))]),
    ):
        caller = Caller(GROUPS)
        for line in make:
            caller.line(line)
        caller.line(f"EXPIRE {key} 100")
        db = caller.session.db
        encoding, value = db.encoding(key.encode()), db.peek(key.encode())
        caller.line(command.format(key))
        target = caller.session.keyspace.databases[1 if command.startswith("MOVE") else 0]
        name = key.encode() if command.startswith("MOVE") else b"new"
        assert target.expire_time(name) == NOW_MS + 100_000
        assert target.encoding(name) == encoding
        assert type(target.peek(name)) is type(value)
        assert db.exists(key.encode()) == command.startswith("COPY")


def test_a_copy_is_another_value() -> None:
    caller = Caller(GROUPS)
    caller.line("SADD s " + " ".join(f"member:{n}" for n in range(200)))
    caller.line("COPY s t")
    caller.line("SADD t more")
    caller.line("SREM s member:1")
    assert (caller.line("SCARD s"), caller.line("SCARD t")) == (199, 201)


def test_times_are_rounded_to_the_nearest_second() -> None:
    caller = Caller(GROUPS)
    caller.line("SET k v")
    for milliseconds, seconds in ((1499, 1), (1500, 2), (499, 0), (10_000, 10)):
        caller.line(f"PEXPIRE k {milliseconds}")
        assert caller.line("TTL k") == seconds
        assert caller.line("PTTL k") == milliseconds
        assert caller.line("PEXPIRETIME k") == NOW_MS + milliseconds
    caller.line("PEXPIREAT k 9223372036854775807")
    assert caller.line("EXPIRETIME k") == 9223372036854776
    caller.line("PERSIST k")
    assert caller.line("TTL k") == -1
    assert caller.line("TTL none") == -2


def test_swapdb_exchanges_keys_and_leaves_clients_where_they_are() -> None:
    caller = Caller(GROUPS)
    caller.line("SET here 1")
    caller.line("SWAPDB 0 1")
    assert caller.line("DBSIZE") == 0
    caller.line("SWAPDB 1 0")
    assert caller.line("GET here") == b"1"


def test_keys_does_not_show_what_is_due() -> None:
    caller = Caller(GROUPS)
    caller.line("MSET a 1 b 1 c 1")
    caller.line("PEXPIRE b 5")
    caller.state.set_time(NOW_MS + 6)
    listed = caller.call("KEYS", "*")
    assert isinstance(listed, list) and sorted(listed) == [b"a", b"c"]
    assert caller.line("DBSIZE") == 3
    assert caller.call("KEYS", "[bc]") == [b"c"]
    assert {str(caller.call("RANDOMKEY")) for _ in range(40)} == {"b'a'", "b'c'"}
    caller.line("DEL a c b")
    assert caller.line("RANDOMKEY") is None


def test_scan_goes_through_everything_in_steps_of_about_count() -> None:
    caller = Caller(GROUPS)
    for n in range(1000):
        caller.line(f"SET key:{n} v")
    seen: list[bytes] = []
    cursor, steps = b"0", 0
    while True:
        reply = caller.call("SCAN", cursor, "COUNT", "50")
        assert isinstance(reply, list)
        cursor, names = reply
        assert len(names) < 100
        seen += names
        steps += 1
        if cursor == b"0":
            break
    assert sorted(seen) == sorted(b"key:%d" % n for n in range(1000))
    assert 10 <= steps <= 25


def test_scan_removes_what_is_due_and_filters_by_type() -> None:
    caller = Caller(GROUPS)
    caller.line("SET old v PX 5")
    caller.line("SET new v")
    caller.line("SADD set 1")
    caller.state.set_time(NOW_MS + 6)
    assert caller.line("SCAN 0 TYPE string COUNT 100") == [b"0", [b"new"]]
    assert caller.line("DBSIZE") == 2


@pytest.mark.parametrize(
    ("policy", "references"), [("allkeys-lru", 1), ("volatile-lfu", 1), ("allkeys-random", 2147483647)]
)
def test_small_integers_are_not_shared_where_eviction_asks_for_their_last_use(
    policy: str, references: int
) -> None:
    caller = Caller(GROUPS)
    caller.line("SET n 1")
    caller.state.limits.maxmemory_policy = POLICIES[policy.encode()]
    assert object.references(caller.session, b"n") == 2147483647
    caller.state.limits.maxmemory_bytes = 1 << 30
    assert object.references(caller.session, b"n") == references
