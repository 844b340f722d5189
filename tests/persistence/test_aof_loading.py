"""Loading: files in order, units whole, torn ends, refusals with Redis's texts, and the move of an old single file."""

import itertools

import pytest

from gossamer.engine.doors import WriteFeed
from gossamer.engine.snapshot_door import SnapshotDoor
from gossamer.persistence.aof_format import ChecksumState
from gossamer.persistence.aof_loading import AofLoadError, prepare
from gossamer.rdb.writer import Writer
from persistence.aof_content import (
    BASE_AOF,
    BASE_RDB,
    INCREMENT,
    MANIFEST,
    PREFIX,
    SECOND_INCREMENT,
    Loader,
    command,
    timestamp,
)
from persistence.test_loading import small

SET_A = command(b"SET", b"a", b"1")
SET_B = command(b"SET", b"b", b"2")
MULTI = command(b"MULTI")
EXEC = command(b"EXEC")
BASE_LINE = b"file appendonly.aof.1.base.aof seq 1 type b\n"
RDB_LINE = b"file appendonly.aof.1.base.rdb seq 1 type b\n"
INCREMENT_LINE = b"file appendonly.aof.1.incr.aof seq 1 type i\n"
SECOND_LINE = b"file appendonly.aof.2.incr.aof seq 2 type i\n"


def files(**contents: bytes) -> Loader:
    """A directory with a manifest of what is given."""
    loader = Loader()
    names = {"base": BASE_AOF, "rdb": BASE_RDB, "first": INCREMENT, "second": SECOND_INCREMENT}
    lines = {"base": BASE_LINE, "rdb": RDB_LINE, "first": INCREMENT_LINE, "second": SECOND_LINE}
    loader.disk.files[MANIFEST] = b"".join(lines[part] for part in contents)
    for part, content in contents.items():
        loader.disk.files[names[part]] = content
    return loader


def test_base_and_increments_are_loaded_in_order() -> None:
    loader = files(
        base=command(b"SET", b"k", b"base"),
        first=command(b"APPEND", b"k", b"+1"),
        second=command(b"APPEND", b"k", b"+2"),
    )
    loading = loader.load()
    assert loader.value(b"k") == b"base+1+2"
    assert loading.base_bytes == len(loader.disk.files[BASE_AOF])
    assert loading.current_bytes == loading.total_bytes == loading.loaded_bytes()
    assert loading.commands == 3
    assert loader.log.lines == [
        "DB loaded from base file appendonly.aof.1.base.aof: 0.000 seconds",
        "DB loaded from incr file appendonly.aof.1.incr.aof: 0.000 seconds",
        "DB loaded from incr file appendonly.aof.2.incr.aof: 0.000 seconds",
        "DB loaded from append only file: 0.000 seconds",
    ]


def test_each_file_begins_in_database_0() -> None:
    loader = files(base=command(b"SELECT", b"3") + SET_A, first=SET_B)
    loader.load()
    assert (loader.value(b"a", 3), loader.value(b"b", 0)) == (b"1", b"2")


def test_a_base_may_be_a_snapshot_and_commands_may_follow_it() -> None:
    snapshot = small((0, b"past", 1000, -1, -1), (2, b"kept", -1, -1, -1))
    loader = files(rdb=snapshot + command(b"SELECT", b"2") + command(b"APPEND", b"kept", b"+"), first=SET_A)
    loading = loader.load()
    assert (loader.value(b"kept", 2), loader.value(b"a")) == (b"v+", b"1")
    assert loading.keys_loaded == 2
    assert "Reading RDB base file on AOF loading..." in loader.log.lines
    assert "Done loading RDB, keys loaded: 2, keys expired: 0." in loader.log.lines


def test_a_damaged_snapshot_is_refused_and_so_is_a_torn_one() -> None:
    snapshot = small((0, b"k", -1, -1, -1))
    for damaged in (snapshot[:-1] + bytes([snapshot[-1] ^ 1]), snapshot[:-4], snapshot[:7]):
        loader = files(rdb=damaged)
        with pytest.raises(
            AofLoadError, match=r"Error reading the RDB base file .*base\.rdb, AOF loading aborted"
        ):
            loader.load()
        assert loader.disk.files[BASE_RDB] == damaged


def test_it_loads_in_steps_and_tells_how_far_it_is() -> None:
    loader = files(base=SET_A * 100, first=SET_B * 100)
    loading = loader.begin()
    progress = [0]
    while not loading.step(500):
        progress.append(int(loading.loaded_bytes()))
    assert progress == sorted(progress)
    assert len(progress) > 10
    assert loading.loaded_bytes() == loading.total_bytes == 5400


def test_while_it_loads_nothing_expires_and_afterwards_it_does() -> None:
    loader = files(
        first=command(b"SET", b"k", b"1", b"PXAT", b"1000")
        + command(b"APPEND", b"k", b"2")
        + command(b"RENAME", b"k", b"new")
    )
    state = loader.engine.state
    loading = loader.begin()
    loading.step(20)
    assert not state.expires_now
    while not loading.step(20):
        pass
    assert state.expires_now and state.hides_expired
    assert (state.expired_keys, state.dirty) == (0, 0)
    assert loader.engine.keyspace.size() == 1
    assert loader.value(b"new") is None


def test_closing_early_lets_keys_expire_again() -> None:
    loader = files(first=SET_A * 10)
    loading = loader.begin()
    loading.step(20)
    loading.close()
    assert loader.engine.state.expires_now


class Spy(WriteFeed):
    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.seen.append(argv)


def test_nothing_is_fed_counted_or_left_behind() -> None:
    loader = files(first=MULTI + SET_A + command(b"SPOP", b"none") + EXEC + command(b"BLPOP", b"l", b"0"))
    spy = Spy()
    engine = loader.engine
    engine.feeds.append(spy)
    loader.load()
    assert spy.seen == [] and engine.effects == []
    assert engine.feeds == [spy]
    assert engine.commands[b"set"].calls == 0
    assert (engine.clients, engine.running, engine.blocking.clients) == ({}, None, {})


class SavingDoor(SnapshotDoor):
    saved = False

    def on_flushed_all(self) -> None:
        self.saved = True


def test_a_flushall_from_the_past_saves_no_snapshot() -> None:
    loader = files(first=SET_A + command(b"FLUSHALL") + SET_B)
    door = SavingDoor()
    loader.engine.snapshots = door
    loader.load()
    assert loader.engine.keyspace.size() == 1
    assert not door.saved and loader.engine.snapshots is door


def test_function_libraries_of_a_base_are_there_before_the_commands_behind_it() -> None:
    code = b"#!lua name=%s\nredis.register_function('%s', function() return 1 end)"
    pieces: list[bytes] = []
    writer = Writer(pieces.append)
    writer.begin()
    for name in (b"first", b"second"):
        writer.function(code % (name, name))
    writer.end()
    loader = files(
        rdb=b"".join(pieces),
        first=command(b"FUNCTION", b"DELETE", b"first")
        + command(b"FUNCTION", b"LOAD", code % (b"third", b"third")),
    )
    loader.load()
    assert sorted(loader.engine.functions.libraries) == [b"second", b"third"]


def test_a_unit_runs_when_its_exec_has_been_read() -> None:
    loader = files(first=MULTI + SET_A + SET_B + EXEC)
    loading = loader.begin()
    assert not loading.step(len(MULTI + SET_A + SET_B))
    assert loader.engine.keyspace.size() == 0
    assert loading.step()
    assert loader.engine.keyspace.size() == 2


@pytest.mark.parametrize("torn", [MULTI, MULTI + SET_B, MULTI + SET_B + EXEC[:-1]])
def test_a_torn_unit_is_absent_and_cut_off_from_its_multi_on(torn: bytes) -> None:
    loader = files(first=SET_A + torn)
    loading = loader.load()
    assert (loader.value(b"a"), loader.value(b"b")) == (b"1", None)
    assert loader.disk.files[INCREMENT] == SET_A
    assert loading.current_bytes == len(SET_A)
    assert loader.log.lines[:4] == [
        "! Revert incomplete MULTI/EXEC transaction in AOF file appendonly.aof.1.incr.aof",
        "! !!! Warning: short read while loading the AOF file appendonly.aof.1.incr.aof!!!",
        "! !!! Truncating the AOF appendonly.aof.1.incr.aof at offset 27 !!!",
        "! AOF appendonly.aof.1.incr.aof loaded anyway because aof-load-truncated is enabled",
    ]


def test_a_torn_annotation_is_cut_off_too_and_a_whole_one_stays() -> None:
    whole = SET_A + timestamp(1_700_000_000)
    loader = files(first=whole + b"#TS:17")
    loader.load()
    assert loader.disk.files[INCREMENT] == whole


def test_a_cut_is_on_the_disk_before_loading_ends() -> None:
    loader = files(first=SET_A + SET_B[:-1])
    loader.load()
    assert loader.disk.journal[-4:] == [f"append {INCREMENT}", "truncate 27", "sync", "close"]


def test_what_cannot_be_cut_is_refused() -> None:
    loader = files(first=SET_A + SET_B[:-1])
    loader.disk.fail_at = 2
    with pytest.raises(AofLoadError, match="Error truncating the AOF file .*: No space left on device"):
        loader.load()


def test_without_aof_load_truncated_a_torn_end_is_refused_and_stays() -> None:
    loader = files(first=SET_A + SET_B[:-1])
    loader.config.set([(b"aof-load-truncated", b"no")])
    with pytest.raises(AofLoadError) as caught:
        loader.load()
    text = str(caught.value)
    assert text.startswith(
        "Unexpected end of file reading the append only file appendonly.aof.1.incr.aof, whose"
    )
    assert "at offset 27" in text
    assert "gossamer check-aof --fix appendonlydir/appendonly.aof.manifest" in text
    assert "'aof-load-truncated' configuration option to yes" in text
    assert loader.disk.files[INCREMENT] == SET_A + SET_B[:-1]


def test_a_torn_file_before_one_that_holds_nothing_is_the_last_that_counts() -> None:
    loader = files(base=SET_A + SET_B[:-1], first=b"")
    loader.load()
    assert loader.disk.files[BASE_AOF] == SET_A


def test_a_torn_file_that_is_not_the_last_is_refused_and_stays() -> None:
    loader = files(base=SET_A + SET_B[:-1], first=SET_A)
    with pytest.raises(
        AofLoadError, match=r"the truncated file is not the last file: appendonly\.aof\.1\.base\.aof"
    ):
        loader.load()
    assert loader.disk.files[BASE_AOF] == SET_A + SET_B[:-1]


@pytest.mark.parametrize("bad", [b"x", b"*0\r\n", b"\r\n", b"*1\r\n:4\r\nPING\r\n", b"*1\r\n$-1\r\n", b"RED"])
def test_a_bad_format_is_refused_with_file_and_offset(bad: bytes) -> None:
    loader = files(first=SET_A + bad)
    with pytest.raises(AofLoadError) as caught:
        loader.load()
    text = str(caught.value)
    assert text.startswith("Bad file format reading the append only file appendonly.aof.1.incr.aof: ")
    assert "at offset " in text
    assert "gossamer check-aof --fix appendonlydir/appendonly.aof.manifest" in text
    assert loader.disk.files[INCREMENT] == SET_A + bad


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize(
    ("argv", "text"),
    [
        ((b"NoSuch", b"a"), "Unknown command 'NoSuch' reading the append only file"),
        ((b"CONFIG", b"zork"), "Unknown command 'CONFIG' reading the append only file"),
        ((b"CONFIG",), "Unknown command 'CONFIG' reading the append only file"),
        ((b"SET", b"a"), "Wrong number of arguments for 'set' reading the append only file"),
    ],
)
def test_a_command_that_cannot_be_run_is_refused(argv: tuple[bytes, ...], text: str, unit: bool) -> None:
    data = MULTI + command(*argv) + EXEC if unit else command(*argv)
    with pytest.raises(AofLoadError, match=f"{text} appendonly.aof.1.incr.aof"):
        files(first=SET_A + data).load()


def test_a_command_that_fails_is_told_of_and_passed_over() -> None:
    push = command(b"LPUSH", b"a", b"x")
    loader = files(first=SET_A + push + MULTI + MULTI + push + EXEC + SET_B)
    loader.load()
    assert loader.value(b"b") == b"2"
    begin = "! == CRITICAL == This server is sending an error to its AOF-loading-client: "
    wrong_type = "'-WRONGTYPE Operation against a key holding the wrong kind of value'"
    assert loader.log.lines[:3] == [
        f"{begin}{wrong_type} after processing the command 'lpush'",
        f"{begin}'MULTI calls can not be nested' after processing the command 'exec'",
        f"{begin}{wrong_type} after processing the command 'exec'",
    ]


@pytest.mark.parametrize("missing", [BASE_AOF, INCREMENT])
def test_a_file_that_is_named_and_missing_is_fatal(missing: str) -> None:
    loader = files(base=SET_A, first=SET_B)
    del loader.disk.files[missing]
    name = missing.rpartition("/")[2]
    with pytest.raises(
        AofLoadError, match=f"Unable to obtain the AOF file {name} length. stat: No such file"
    ):
        loader.begin()


def test_a_manifest_that_cannot_be_followed_is_fatal() -> None:
    loader = files(first=SET_A)
    loader.disk.files[MANIFEST] += b"nonsense\n"
    with pytest.raises(AofLoadError) as caught:
        loader.begin()
    assert str(caught.value).splitlines() == [
        "*** FATAL AOF MANIFEST FILE ERROR ***",
        "Reading the manifest file, at line 2",
        ">>> 'nonsense'",
        "Invalid AOF manifest file format",
    ]


def test_empty_files_are_an_empty_data_set() -> None:
    loading = files(base=b"", first=b"").load()
    assert loading.engine.keyspace.size() == 0
    assert loading.last_checksums is not None
    assert (loading.total_bytes, loading.last_checksums.offset) == (0, 0)


@pytest.mark.parametrize("torn", [b"", SET_A[:-1], MULTI + SET_B])
@pytest.mark.parametrize("step", [1, 50, 1 << 20])
def test_the_check_sum_goes_on_where_the_last_increment_ends(torn: bytes, step: int) -> None:
    sums = ChecksumState()
    sums.add(SET_A)
    data = SET_A + sums.line() + SET_B
    sums.add(SET_B)
    loader = files(base=SET_B, first=data + torn)
    last = loader.load(step).last_checksums
    assert last is not None
    assert last.line() == sums.line()
    assert loader.disk.files[INCREMENT] == data


def test_damage_under_a_check_sum_is_refused_though_the_format_is_good() -> None:
    sums = ChecksumState()
    sums.add(SET_A)
    good = SET_A + sums.line() + SET_B
    loader = files(first=good.replace(b"$1\r\na\r\n", b"$1\r\nq\r\n"))
    with pytest.raises(AofLoadError, match="Check sum is wrong: bytes 0 to 27 are damaged at offset 0"):
        loader.load()


# -- the old single file ------------------------------------------------------------------------------------


def old_file(*lines: bytes) -> Loader:
    loader = Loader()
    loader.disk.directories.clear()
    loader.disk.files[PREFIX] = SET_A
    if lines:
        loader.disk.directories.add("appendonlydir")
        loader.disk.files[MANIFEST] = b"".join(lines)
    return loader


MOVED = {MANIFEST: b"file appendonly.aof seq 1 type b\n", "appendonlydir/appendonly.aof": SET_A}


@pytest.mark.parametrize("lines", [(), (b"# nothing\n",), (b"file appendonly.aof seq 1 type b\n",)])
def test_an_old_single_file_becomes_the_base(lines: tuple[bytes, ...]) -> None:
    loader = old_file(*lines)
    loading = loader.load()
    assert loader.value(b"a") == b"1"
    assert loader.disk.files == MOVED
    assert loading.last_checksums is None
    assert loader.log.lines[0] == (
        "Successfully migrated an old-style AOF file (appendonly.aof) into the AOF directory (appendonlydir)."
    )


def test_an_old_file_beside_a_list_of_others_is_left_alone() -> None:
    loader = old_file(INCREMENT_LINE)
    loader.disk.files[INCREMENT] = SET_B
    loader.load()
    assert (loader.value(b"a"), loader.value(b"b")) == (None, b"2")
    assert loader.disk.files[PREFIX] == SET_A


def test_an_old_file_that_was_moved_already_is_left_alone() -> None:
    loader = old_file(b"file appendonly.aof seq 1 type b\n")
    loader.disk.files["appendonlydir/appendonly.aof"] = SET_B
    loader.load()
    assert (loader.value(b"a"), loader.value(b"b")) == (None, b"2")


def test_an_old_file_may_have_a_preamble() -> None:
    loader = old_file()
    loader.disk.files[PREFIX] = small((0, b"k", -1, -1, -1)) + SET_A
    loader.load()
    assert (loader.value(b"k"), loader.value(b"a")) == (b"v", b"1")
    assert "Reading RDB preamble from AOF file..." in loader.log.lines


def test_a_move_that_fails_at_any_step_goes_on_at_the_next_start() -> None:
    for failing in itertools.count(1):
        loader = old_file()
        loader.disk.fail_at = failing
        try:
            prepare(loader.disk, loader.config, loader.log)
        except AofLoadError as error:
            assert "No space left on device" in str(error)
        else:
            break
        loader.disk.fail_at = -1
        loader.load()
        assert loader.value(b"a") == b"1"
        assert loader.disk.files == MOVED
    assert failing == 11  # one more than there are steps


def test_without_files_there_is_nothing_to_load() -> None:
    loader = Loader()
    assert prepare(loader.disk, loader.config, loader.log) is None
    assert loader.begin().step()
