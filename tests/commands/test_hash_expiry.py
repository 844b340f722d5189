"""Fields that expire, without a server: replies, what is absent when, and what watches, events and followers hear."""

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.errors import CommandError
from gossamer.commands import expiry, hash_expiry, hashes, keys, sort
from gossamer.commands.hash_expiry import LAST_EXPIRE_MS
from gossamer.keyspace.expiry import ExpireCycle
from support.caller import Caller

START_MS = 1_700_000_000_000
GROUPS = (hashes.COMMANDS, hash_expiry.COMMANDS, keys.COMMANDS, expiry.COMMANDS, sort.COMMANDS)


@pytest.fixture
def caller() -> Caller:
    return Caller(GROUPS)


def later(caller: Caller, ms: int) -> None:
    caller.state.set_time(int(caller.state.now_ms) + ms)


def sweep(caller: Caller) -> None:
    """A slice of the expire cycle, as long as it takes."""
    caller.listener.events.clear()
    caller.listener.expired_fields.clear()
    ExpireCycle(caller.session.keyspace, ManualClock()).sweep(1_000_000)


def filled(caller: Caller, size: int, every: int = 2, ms: int = 100) -> None:
    """A hash whose every nth field expires."""
    words = [word for i in range(size) for word in (f"f{i}", str(i))]
    caller.call("HSET", "h", *words)
    fields = [f"f{i}" for i in range(0, size, every)]
    caller.call("HPEXPIRE", "h", str(ms), "FIELDS", str(len(fields)), *fields)


# -- HEXPIRE and its kin --------------------------------------------------------------------------------------


def test_each_field_has_its_own_answer(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    assert caller.line("HEXPIRE h 10 FIELDS 3 a x b") == [1, -2, 1]
    assert caller.line("HTTL h FIELDS 3 a b x") == [10, 10, -2]
    assert caller.line("HEXPIRE h 0 FIELDS 2 a x") == [2, -2]
    assert caller.line("HKEYS h") == [b"b"]
    assert caller.line("HEXPIRE nokey 10 FIELDS 2 a b") == [-2, -2]
    assert caller.line("HTTL nokey FIELDS 2 a b") == [-2, -2]
    assert caller.line("HPERSIST nokey FIELDS 2 a b") == [-2, -2]


@pytest.mark.parametrize(
    ("line", "time_ms"),
    [
        ("HEXPIRE h 10 FIELDS 1 a", START_MS + 10_000),
        ("HPEXPIRE h 10 FIELDS 1 a", START_MS + 10),
        ("HEXPIREAT h 1700000005 FIELDS 1 a", 1_700_000_005_000),
        ("HPEXPIREAT h 1700000000005 FIELDS 1 a", 1_700_000_000_005),
    ],
)
def test_followers_hear_the_absolute_time(caller: Caller, line: str, time_ms: int) -> None:
    caller.line("HSET h a 1")
    assert caller.line(line) == [1]
    assert caller.propagated == [[b"HPEXPIREAT", b"h", b"%d" % time_ms, b"FIELDS", b"1", b"a"]]
    assert caller.events == [(b"hexpire", b"h")]
    assert caller.modified == [b"h"]
    assert caller.line("HPEXPIRETIME h FIELDS 1 a") == [time_ms]
    assert caller.line("HEXPIRETIME h FIELDS 1 a") == [(time_ms + 999) // 1000]
    assert caller.line("HPTTL h FIELDS 1 a") == [time_ms - START_MS]


def test_only_fields_that_were_set_are_told(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2 c 3")
    caller.line("HPEXPIREAT h 1700000000500 FIELDS 1 a")
    assert caller.line("HPEXPIREAT h 1700000000400 NX FIELDS 3 a b x") == [0, 1, -2]
    assert caller.propagated == [[b"HPEXPIREAT", b"h", b"1700000000400", b"FIELDS", b"1", b"b"]]
    dirty = caller.state.dirty
    assert caller.line("HEXPIRE h 5 XX FIELDS 2 c x") == [0, -2]
    assert caller.state.dirty == dirty and caller.propagated is None and not caller.events


@pytest.mark.parametrize(
    ("option", "plain", "shorter", "equal", "longer"),
    [("NX", 1, 0, 0, 0), ("XX", 0, 1, 1, 1), ("GT", 0, 0, 0, 1), ("LT", 1, 1, 0, 0)],
)
def test_conditions(caller: Caller, option: str, plain: int, shorter: int, equal: int, longer: int) -> None:
    for seconds, answer in ((50, shorter), (100, equal), (200, longer)):
        caller.line("HSET h a 1 b 2")
        caller.line("HEXPIRE h 100 FIELDS 1 a")
        assert caller.line(f"HEXPIRE h {seconds} {option} FIELDS 2 a b") == [answer, plain]


def test_a_time_that_is_over_takes_the_field(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2 c 3")
    assert caller.line("HPEXPIREAT h 5 FIELDS 2 a b") == [2, 2]
    assert caller.propagated == [[b"HDEL", b"h", b"a", b"b"]]
    assert caller.events == [(b"hexpired", b"h")]
    assert caller.line("HEXPIREAT h 0 FIELDS 1 c") == [2]
    assert caller.events == [(b"hexpired", b"h"), (b"del", b"h")]
    assert caller.content() == {}


def test_a_replica_keeps_a_field_whose_time_is_over(caller: Caller) -> None:
    caller.line("HSET h a 1")
    caller.state.expires_now = False
    caller.state.hides_expired = False
    assert caller.line("HPEXPIREAT h 0 FIELDS 1 a") == [1]
    assert caller.line("HGET h a") == b"1"
    caller.state.hides_expired = True
    assert caller.line("HGET h a") is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("HEXPIRE h x FIELDS 1 a", "value is not an integer or out of range"),
        ("HEXPIRE h -1 FIELDS 1 a", "invalid expire time, must be >= 0"),
        ("HEXPIRE h 9223372036854775807 FIELDS 1 a", "invalid expire time in 'hexpire' command"),
        (f"HPEXPIRE h {LAST_EXPIRE_MS} FIELDS 1 a", "invalid expire time in 'hpexpire' command"),
        (f"HPEXPIREAT h {LAST_EXPIRE_MS + 1} FIELDS 1 a", "invalid expire time in 'hpexpireat' command"),
        ("HEXPIRE h 1 NX XX FIELDS 1 a", "Mandatory argument FIELDS is missing or not at the right position"),
        ("HEXPIRE h 1 FIELD 1 a", "Mandatory argument FIELDS is missing or not at the right position"),
        ("HTTL h 1 a b", "Mandatory argument FIELDS is missing or not at the right position"),
        ("HEXPIRE h 1 FIELDS 0 a", "Number of fields must be a positive integer"),
        ("HPERSIST h FIELDS x a", "Number of fields must be a positive integer"),
        ("HEXPIRE h 1 FIELDS 2 a", "The `numfields` parameter must match the number of arguments"),
        ("HGETDEL h FIELDS 1 a b", "The `numfields` parameter must match the number of arguments"),
        ("HSETEX h FIELDS 1 a", "The `numfields` parameter must match the number of arguments"),
        ("HSETEX h FNX FXX FIELDS 1 a 1", "Only one of FXX or FNX arguments can be specified"),
        ("HSETEX h EX 1 KEEPTTL FIELDS 1 a 1", "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments"),
        ("HGETEX h PX 1 PERSIST FIELDS 1 a", "Only one of EX, PX, EXAT, PXAT or PERSIST arguments"),
        ("HGETEX h KEEPTTL FIELDS 1 a", "unknown argument: KEEPTTL"),
        ("HSETEX h EX -1 FIELDS 1 a 1", "invalid expire time in 'hsetex' command"),
        ("HGETEX h EX FIELDS 1 a", "value is not an integer or out of range"),
        ("HEXPIRE s 1 FIELDS 1 a", "WRONGTYPE"),
        ("HSETEX s FIELDS 1 a 1", "WRONGTYPE"),
        ("HTTL s FIELDS 1 a", "WRONGTYPE"),
    ],
)
def test_refusals(caller: Caller, line: str, message: str) -> None:
    caller.session.db.set_string(b"s", b"text", 0, False)
    caller.line("HSET h a 1")
    before = caller.content()
    with pytest.raises(CommandError, match=message):
        caller.line(line)
    assert caller.content() == before


def test_the_last_time_that_the_file_format_holds_can_be_set(caller: Caller) -> None:
    caller.line("HSET h a 1")
    assert caller.line(f"HPEXPIREAT h {LAST_EXPIRE_MS} FIELDS 1 a") == [1]
    assert caller.line("HPEXPIRETIME h FIELDS 1 a") == [LAST_EXPIRE_MS]


def test_hpersist_ends_it(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    caller.line("HEXPIRE h 10 FIELDS 1 a")
    assert caller.line("HPERSIST h FIELDS 3 a b x") == [1, -1, -2]
    assert caller.propagated == [[b"HPERSIST", b"h", b"FIELDS", b"1", b"a"]]
    assert caller.events == [(b"hpersist", b"h")]
    assert caller.session.db.field_expiry.count() == 0
    later(caller, 20_000)
    assert caller.line("HMGET h a b") == [b"1", b"2"]


# -- what other commands see ----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [6, 400, 3000])
@pytest.mark.parametrize("is_replica", [False, True])
def test_a_due_field_is_absent_for_every_command(caller: Caller, size: int, is_replica: bool) -> None:
    filled(caller, size)
    later(caller, 100)
    assert caller.line("HLEN h") == size, "a field lives through its last millisecond"
    later(caller, 1)
    caller.state.expires_now = not is_replica
    live = {f"f{i}".encode(): str(i).encode() for i in range(1, size, 2)}
    last = f"f{size - 2}"
    assert caller.line(f"HGET h {last}") is None
    assert caller.line(f"HEXISTS h {last}") == 0
    assert caller.line(f"HSTRLEN h {last}") == 0
    assert caller.line(f"HMGET h {last} f1") == [None, b"1"]
    assert caller.line(f"HTTL h FIELDS 2 {last} f1") == [-2, -1]
    assert caller.line("HLEN h") == len(live)
    flat = caller.line("HGETALL h")
    assert isinstance(flat, list)
    assert dict(zip(flat[::2], flat[1::2], strict=True)) == live
    for line in ("HKEYS h", f"HRANDFIELD h {size}"):
        names = caller.line(line)
        assert isinstance(names, list)
        assert sorted(names) == sorted(live)
    values = caller.line("HVALS h")
    assert isinstance(values, list)
    assert sorted(values) == sorted(live.values())
    assert caller.line("HRANDFIELD h") in live
    found: list[bytes] = []
    cursor = b"0"
    while True:
        reply = caller.call("HSCAN", "h", cursor)
        assert isinstance(reply, list)
        cursor = reply[0]
        found += reply[1][::2]
        if cursor == b"0":
            break
    assert set(found) == set(live)
    assert caller.line(f"HDEL h {last}") == 0
    assert caller.line("HSETNX h f1 9") == 0


def test_a_replica_hides_and_never_removes(caller: Caller) -> None:
    filled(caller, 6)
    later(caller, 1000)
    caller.state.expires_now = False
    assert caller.line("HLEN h") == 3
    sweep(caller)
    assert caller.expired_fields == []
    caller.state.hides_expired = False  # what its primary says finds them
    assert caller.line("HLEN h") == 6
    assert caller.line("HDEL h f0 f2 f4") == 3


def test_a_hash_of_due_fields_alone_is_empty_on_a_replica(caller: Caller) -> None:
    filled(caller, 3, 1)
    later(caller, 1000)
    caller.state.expires_now = False
    assert caller.line("HGETALL h") == []
    assert caller.line("HLEN h") == 0
    assert caller.line("HRANDFIELD h") is None
    assert caller.line("HRANDFIELD h 5") == []
    assert caller.line("HRANDFIELD h -5") == []
    assert caller.line("HSCAN h 0") == [b"0", []]


def test_hset_makes_a_field_stay_and_hincrby_does_not(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2 c 3 d 4")
    caller.line("HEXPIRE h 10 FIELDS 4 a b c d")
    assert caller.line("HSET h a 5") == 0
    assert caller.line("HINCRBY h b 5") == 7
    assert caller.propagated is None
    assert caller.line("HINCRBYFLOAT h c 0.5") == b"3.5"
    assert caller.propagated == [[b"HSETEX", b"h", b"KEEPTTL", b"FIELDS", b"1", b"c", b"3.5"]]
    assert caller.line("HTTL h FIELDS 4 a b c d") == [-1, 10, 10, 10]
    caller.line("HDEL h d")
    caller.line("HSET h d 4")
    assert caller.line("HTTL h FIELDS 1 d") == [-1]


@pytest.mark.parametrize("size", [6, 3000])
def test_a_field_that_was_due_begins_anew(caller: Caller, size: int) -> None:
    filled(caller, size)
    later(caller, 1000)
    assert caller.line(f"HINCRBY h f{size - 2} 5") == 5
    assert caller.line(f"HSETNX h f{size - 4} new") == 1
    assert caller.line(f"HSET h f{size - 6} new") == 1
    assert caller.line(f"HTTL h FIELDS 3 f{size - 2} f{size - 4} f{size - 6}") == [-1, -1, -1]
    sweep(caller)
    assert caller.line("HLEN h") == size // 2 + 3


def test_what_a_lookup_removes_is_told(caller: Caller) -> None:
    filled(caller, 6)
    later(caller, 101)
    caller.line("HGET h f1")
    assert caller.expired_fields == [(b"h", [b"f0", b"f2", b"f4"])]
    assert caller.events == [(b"hexpired", b"h")]
    assert caller.modified == [b"h"]
    assert caller.state.expired_fields == 3
    caller.line("HGET h f1")
    assert caller.expired_fields == []


def test_the_key_goes_with_the_last_field(caller: Caller) -> None:
    filled(caller, 4, 1)
    later(caller, 101)
    assert caller.line("HSET h x 1") == 1
    assert caller.events == [(b"hexpired", b"h"), (b"del", b"h"), (b"new", b"h"), (b"hset", b"h")]
    assert caller.line("HGETALL h") == [b"x", b"1"]


# -- the expire cycle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4, 3000])
def test_the_cycle_removes_due_fields(caller: Caller, size: int) -> None:
    filled(caller, size)
    later(caller, 100)
    sweep(caller)
    assert caller.expired_fields == []
    later(caller, 1)
    sweep(caller)
    gone = [name for _, names in caller.expired_fields for name in names]
    assert sorted(gone) == sorted(f"f{i}".encode() for i in range(0, size, 2))
    assert caller.session.db.field_expiry.count() == 0
    value = caller.session.db.peek(b"h")
    assert not isinstance(value, bytes)
    assert value is not None
    assert value.length() == size // 2


def test_the_cycle_takes_the_key_with_the_last_field(caller: Caller) -> None:
    filled(caller, 5, 1)
    later(caller, 500)
    sweep(caller)
    assert caller.events == [(b"hexpired", b"h"), (b"del", b"h")]
    assert caller.content() == {}
    assert caller.session.db.used_bytes() == Caller(GROUPS).session.db.used_bytes()


def test_times_that_were_put_off_are_obeyed(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    caller.line("HPEXPIRE h 100 FIELDS 1 a")
    caller.line("HPEXPIRE h 500 FIELDS 2 a b")
    later(caller, 200)
    sweep(caller)
    assert caller.line("HLEN h") == 2
    caller.line("HPEXPIRE h 100 FIELDS 1 b")
    later(caller, 101)
    sweep(caller)
    assert caller.line("HKEYS h") == [b"a"]
    later(caller, 500)
    sweep(caller)
    assert caller.content() == {}


@pytest.mark.parametrize(
    "removal", ["DEL h", "FLUSHDB", "FLUSHALL", "HDEL h a b", "HSET h a 1 b 2", "RENAME k h"]
)
def test_a_hash_that_is_gone_is_forgotten(caller: Caller, removal: str) -> None:
    caller.line("HSET h a 1 b 2")
    caller.line("HEXPIRE h 10 FIELDS 2 a b")
    caller.line("HSET k a 1")
    assert caller.session.db.field_expiry.count() == 1
    caller.line(removal)
    assert caller.session.db.field_expiry.count() == 0
    later(caller, 20_000)
    sweep(caller)
    assert caller.expired_fields == []


@pytest.mark.parametrize("size", [4, 400])
def test_times_follow_a_key_that_is_moved_or_copied(caller: Caller, size: int) -> None:
    filled(caller, size)
    caller.line("RENAME h g")
    caller.line("COPY g c")
    caller.line("COPY g d DB 1")
    caller.line("MOVE g 1")
    caller.line("SWAPDB 0 1")
    caller.line("COPY g h DB 1")
    assert caller.line("HPTTL d FIELDS 2 f0 f1") == [100, -1]
    databases = caller.session.keyspace.databases
    assert [databases[i].field_expiry.count() for i in (0, 1)] == [2, 2]
    later(caller, 101)
    sweep(caller)
    assert len({key for key, _ in caller.expired_fields}) == 4
    assert caller.line("HLEN g") == size // 2
    assert [databases[i].field_expiry.count() for i in (0, 1)] == [0, 0]


def test_sort_does_not_see_a_due_field(caller: Caller) -> None:
    caller.line("HSET w1 f 5 g 1")
    caller.line("HPEXPIRE w1 10 FIELDS 1 f")
    caller.session.db.set_string(b"x", b"1", 0, False)
    later(caller, 11)
    value = sort.lookup_by_pattern(caller.session.db, b"w*->f", b"1")
    assert value is None
    assert sort.lookup_by_pattern(caller.session.db, b"w*->g", b"1") == b"1"


# -- HGETEX, HSETEX, HGETDEL ----------------------------------------------------------------------------------


def test_hgetex_reads_and_sets_the_time(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    assert caller.line("HGETEX h FIELDS 2 a x") == [b"1", None]
    assert (caller.events, caller.modified, caller.propagated) == ([], [], None)
    assert caller.line("HGETEX h EX 10 FIELDS 2 a x") == [b"1", None]
    assert caller.propagated == [[b"HPEXPIREAT", b"h", b"%d" % (START_MS + 10_000), b"FIELDS", b"1", b"a"]]
    assert caller.events == [(b"hexpire", b"h")]
    assert caller.line("HTTL h FIELDS 2 a b") == [10, -1]
    assert caller.line("HGETEX h PERSIST FIELDS 2 a b") == [b"1", b"2"]
    assert caller.propagated == [[b"HPERSIST", b"h", b"FIELDS", b"1", b"a"]]
    assert caller.events == [(b"hpersist", b"h")]
    assert caller.line("HGETEX h PERSIST FIELDS 2 a b") == [b"1", b"2"]
    assert not caller.events and caller.propagated is None
    assert caller.line("HGETEX h PX 0 FIELDS 2 a b") == [b"1", b"2"]
    assert caller.propagated == [[b"HDEL", b"h", b"a", b"b"]]
    assert caller.events == [(b"hexpired", b"h"), (b"del", b"h")]
    assert caller.content() == {}
    assert caller.line("HGETEX h EX 10 FIELDS 2 a b") == [None, None]


def test_hsetex_sets_values_and_times(caller: Caller) -> None:
    assert caller.line("HSETEX h EX 10 FIELDS 2 a 1 b 2") == 1
    at = b"%d" % (START_MS + 10_000)
    assert caller.propagated == [[b"HSETEX", b"h", b"PXAT", at, b"FIELDS", b"2", b"a", b"1", b"b", b"2"]]
    assert caller.events == [(b"new", b"h"), (b"hset", b"h"), (b"hexpire", b"h")]
    assert caller.state.dirty == 2
    assert caller.line("HSETEX h KEEPTTL FIELDS 2 a 3 c 3") == 1
    assert caller.propagated == [[b"HSETEX", b"h", b"KEEPTTL", b"FIELDS", b"2", b"a", b"3", b"c", b"3"]]
    assert caller.line("HTTL h FIELDS 3 a b c") == [10, 10, -1]
    assert caller.line("HSETEX h FIELDS 1 a 4") == 1
    assert caller.propagated == [[b"HSET", b"h", b"a", b"4"]]
    assert caller.line("HTTL h FIELDS 1 a") == [-1]
    assert caller.line("HMGET h a b c") == [b"4", b"2", b"3"]


def test_hsetex_conditions_hold_for_all_fields_or_none(caller: Caller) -> None:
    assert caller.line("HSETEX h XX FIELDS 1 a 1") == 0
    assert caller.line("HSETEX h FXX FIELDS 1 a 1") == 0
    assert caller.content() == {}
    assert caller.line("HSETEX h FNX NX FIELDS 1 a 1") == 1
    assert caller.line("HSETEX h FNX FIELDS 2 b 1 a 1") == 0
    assert caller.line("HSETEX h FXX FIELDS 2 a 2 b 2") == 0
    assert caller.line("HSETEX h NX FIELDS 1 b 2") == 0
    assert not caller.events and caller.propagated is None
    assert caller.line("HSETEX h FXX XX PX 5 FIELDS 1 a 2") == 1
    later(caller, 6)
    assert caller.line("HSETEX h FXX FIELDS 1 a 3") == 0


def test_hsetex_with_a_time_that_is_over_removes(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    assert caller.line("HSETEX h EXAT 1 FIELDS 2 a 9 x 9") == 1
    assert caller.propagated == [[b"HDEL", b"h", b"a"]]
    assert caller.events == [(b"hexpired", b"h")]
    assert caller.line("HSETEX nokey PX 0 FIELDS 1 a 9") == 1
    assert not caller.events and caller.propagated is None
    assert caller.line("HSETEX h EX 0 FIELDS 1 b 9") == 1
    assert caller.content() == {}


def test_hgetdel_takes_fields_and_with_the_last_the_key(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2 c 3")
    assert caller.line("HGETDEL h FIELDS 3 a x a") == [b"1", None, None]
    assert caller.propagated == [[b"HDEL", b"h", b"a"]]
    assert caller.events == [(b"hdel", b"h")]
    assert caller.line("HGETDEL h FIELDS 1 x") == [None]
    assert not caller.events and caller.propagated is None
    assert caller.line("HGETDEL h FIELDS 2 b c") == [b"2", b"3"]
    assert caller.events == [(b"hdel", b"h"), (b"del", b"h")]
    assert caller.line("HGETDEL h FIELDS 1 b") == [None]


# -- what a hash costs ----------------------------------------------------------------------------------------


def test_a_hash_without_expiring_fields_stays_as_it_was(caller: Caller) -> None:
    caller.line("HSET h a 1 b 2")
    before = caller.session.db.used_bytes()
    assert caller.line("HEXPIRE h 10 FIELDS 1 x") == [-2]
    assert caller.line("HPERSIST h FIELDS 1 a") == [-1]
    assert caller.line("HGETEX h PERSIST FIELDS 1 a") == [b"1"]
    assert caller.line("HTTL h FIELDS 1 a") == [-1]
    assert caller.session.db.encoding(b"h") == b"listpack"
    assert caller.session.db.used_bytes() == before
    caller.line("HEXPIRE h 10 FIELDS 1 a")
    assert caller.session.db.encoding(b"h") == b"hashtable"
