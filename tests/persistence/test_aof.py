"""When what was fed gets to the disk, by each policy, and what becomes of it when the disk fails."""

import pytest

from gossamer.base.clock import ManualClock
from gossamer.engine.config import Config
from gossamer.persistence.aof import AppendOnlyFile
from gossamer.persistence.aof_format import COMMAND, NEED_MORE, AofScanner, ChecksumState
from persistence.fakes import FakeBackground, FakeDisk, FakeEmergency, FakeOutputFile, GaveUp, Lines

NAME = "a.aof"


class Desk:
    """An append only file on a fake disk."""

    def __init__(self, policy: bytes, **directives: bytes) -> None:
        self.config = Config(70)
        self.config.set([(b"appendfsync", policy)])
        for name, value in directives.items():
            self.config.set([(name.replace("_", "-").encode(), value)])
        self.clock = ManualClock()
        self.disk = FakeDisk()
        self.background = FakeBackground()
        self.log = Lines()
        self.aof = AppendOnlyFile(self.clock, self.config, self.background, self.log, FakeEmergency())
        self.aof.follow()
        self.aof.attach(self.disk.create(NAME), 0, ChecksumState())
        self.disk.journal.clear()

    @property
    def file(self) -> FakeOutputFile:
        return self.disk.handed_out[-1]

    def write(self, *words: bytes, database: int = 0) -> None:
        self.aof.feed(database, list(words))

    def content(self) -> bytes:
        return self.disk.files[NAME]

    def commands(self) -> list[list[bytes]]:
        scanner = AofScanner()
        scanner.feed(self.content())
        found = []
        while (kind := scanner.next()) != NEED_MORE:
            if kind == COMMAND:
                found.append(scanner.argv)
        assert not scanner.is_torn()
        return found


def test_always_syncs_once_for_all_that_was_fed() -> None:
    desk = Desk(b"always")
    for number in range(20):
        desk.write(b"SET", b"k", b"%d" % number)
    desk.aof.flush()
    assert desk.disk.journal == ["write", "sync"]
    assert len(desk.commands()) == 21  # SELECT first


def test_nothing_is_done_when_nothing_was_fed() -> None:
    for policy in (b"always", b"everysec", b"no"):
        desk = Desk(policy)
        desk.aof.flush()
        assert desk.disk.journal == []


def test_everysec_writes_at_once_and_syncs_on_the_other_thread_once_a_second() -> None:
    desk = Desk(b"everysec")
    for _ in range(30):
        desk.write(b"INCR", b"n")
        desk.aof.flush()
        desk.background.work()
        desk.clock.advance_ms(100)
    assert desk.disk.journal.count("write") == 30
    assert 3 <= desk.disk.journal.count("sync") <= 4


def test_what_the_last_sync_missed_is_synced_when_traffic_has_stopped() -> None:
    desk = Desk(b"everysec")
    desk.write(b"INCR", b"n")
    desk.aof.flush()
    desk.background.work()
    desk.write(b"INCR", b"n")
    desk.aof.flush()
    desk.clock.advance_ms(1100)
    desk.aof.cron()
    desk.background.work()
    desk.aof.cron()
    assert desk.aof.synced_bytes == desk.aof.written_bytes == len(desk.content())


def test_everysec_lets_a_write_wait_for_a_late_sync_two_seconds_at_most() -> None:
    desk = Desk(b"everysec")
    desk.write(b"SET", b"a", b"1")
    desk.aof.flush()
    assert desk.aof.sync_is_pending()
    before = desk.content()
    desk.write(b"SET", b"b", b"2")
    desk.aof.flush()
    desk.clock.advance_ms(1900)
    desk.aof.flush()
    assert desk.content() == before and desk.aof.delayed_syncs == 0
    desk.clock.advance_ms(200)
    desk.aof.flush()
    assert len(desk.content()) > len(before)
    assert desk.aof.delayed_syncs == 1


def test_no_never_syncs() -> None:
    desk = Desk(b"no")
    for _ in range(30):
        desk.write(b"INCR", b"n")
        desk.aof.flush()
        desk.clock.advance_ms(200)
    assert set(desk.disk.journal) == {"write"} and not desk.background.tasks


def test_no_appendfsync_on_rewrite_spares_syncs_while_a_child_runs() -> None:
    desk = Desk(b"always", no_appendfsync_on_rewrite=b"yes")
    desk.aof.child_runs = True
    desk.write(b"INCR", b"n")
    desk.aof.flush()
    assert desk.disk.journal == ["write"]
    desk.aof.child_runs = False
    desk.aof.flush()
    assert desk.disk.journal == ["write", "sync"]


def test_a_database_is_selected_when_it_changes_and_in_each_file_anew() -> None:
    desk = Desk(b"always")
    for database in (0, 0, 3, 3, 0):
        desk.write(b"INCR", b"n", database=database)
    desk.aof.flush()
    selects = [argv[1] for argv in desk.commands() if argv[0] == b"SELECT"]
    assert selects == [b"0", b"3", b"0"]
    desk.aof.hand_over(desk.disk.create("b.aof"))
    desk.write(b"INCR", b"n", database=0)
    desk.aof.flush()
    assert desk.disk.files["b.aof"].startswith(b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n")


def test_a_unit_stands_between_multi_and_exec() -> None:
    desk = Desk(b"always")
    desk.aof.begin()
    desk.write(b"SET", b"a", b"1")
    desk.write(b"SET", b"b", b"2")
    desk.aof.end()
    desk.aof.flush()
    assert [argv[0] for argv in desk.commands()] == [b"MULTI", b"SELECT", b"SET", b"SET", b"EXEC"]


def test_the_time_is_told_when_the_second_changes_and_never_inside_a_unit_it_did_not_change_in() -> None:
    desk = Desk(b"always", aof_timestamp_enabled=b"yes")
    desk.write(b"INCR", b"n")
    desk.write(b"INCR", b"n")
    desk.clock.advance_ms(1000)
    desk.write(b"INCR", b"n")
    desk.aof.flush()
    assert desk.content().count(b"#TS:") == 2
    assert desk.content().startswith(b"#TS:1700000000\r\n")


def test_with_check_sums_every_batch_ends_with_its_line() -> None:
    desk = Desk(b"always", aof_checksum_enabled=b"yes")
    for _ in range(3):
        desk.write(b"INCR", b"n")
        desk.aof.flush()
        assert desk.content().endswith(b"\r\n") and desk.content()[-42:].startswith(b"#CRC64:")
    scanner = AofScanner()
    scanner.feed(desk.content())
    while scanner.next() != NEED_MORE:
        pass
    scanner.finish()
    assert scanner.checksum_lines == 3


def test_check_sums_turned_on_in_the_middle_cover_the_file_from_its_beginning() -> None:
    desk = Desk(b"always")
    desk.write(b"SET", b"a", b"1")
    desk.aof.flush()
    desk.config.set([(b"aof-checksum-enabled", b"yes")])
    desk.aof.follow()
    desk.write(b"SET", b"b", b"1")
    desk.aof.flush()
    damaged = bytearray(desk.content())
    damaged[30] ^= 1
    for content, sound in ((desk.content(), True), (bytes(damaged), False)):
        scanner = AofScanner()
        scanner.feed(content)
        try:
            while scanner.next() != NEED_MORE:
                pass
            scanner.finish()
        except Exception:
            assert not sound
        else:
            assert sound


@pytest.mark.parametrize("failing", ["write", "sync"])
def test_under_always_a_failure_ends_the_process_before_any_reply(failing: str) -> None:
    desk = Desk(b"always")
    desk.write(b"INCR", b"n")
    desk.disk.fail_at = desk.disk.steps + (1 if failing == "write" else 2)
    with pytest.raises(GaveUp):
        desk.aof.flush()


@pytest.mark.parametrize("policy", [b"everysec", b"no"])
@pytest.mark.parametrize("short_by", [1, 5, 10_000])
def test_a_short_write_is_cut_off_and_written_again(policy: bytes, short_by: int) -> None:
    desk = Desk(policy)
    desk.write(b"SET", b"a", b"1")
    desk.aof.flush()
    desk.background.work()
    whole = desk.content()
    desk.write(b"SET", b"b", b"2")
    desk.file.short_by = short_by
    desk.aof.flush()
    assert desk.content() == whole
    assert desk.aof.trouble() == "No space left on device"
    desk.aof.flush()
    assert desk.aof.trouble() == ""
    assert [argv[1] for argv in desk.commands()] == [b"0", b"a", b"b"]
    assert any("looks solved" in line for line in desk.log.lines)


@pytest.mark.parametrize("with_sums", [b"yes", b"no"])
def test_a_short_write_that_cannot_be_cut_off_is_completed(with_sums: bytes) -> None:
    desk = Desk(b"everysec", aof_checksum_enabled=with_sums)
    desk.write(b"SET", b"a", b"1")
    desk.file.short_by = 7
    desk.disk.fail_at = desk.disk.steps + 2  # the truncation
    desk.aof.flush()
    assert desk.aof.trouble()
    desk.write(b"SET", b"b", b"2")
    desk.aof.flush()
    assert not desk.aof.trouble()
    assert [argv[1] for argv in desk.commands()] == [b"0", b"a", b"b"]


def test_a_failed_sync_of_the_other_thread_is_trouble_until_one_succeeds() -> None:
    desk = Desk(b"everysec")
    desk.write(b"INCR", b"n")
    desk.disk.fail_at = desk.disk.steps + 2
    desk.aof.flush()
    desk.background.work()
    desk.aof.cron()
    assert desk.aof.trouble() == "No space left on device"
    assert desk.aof.synced_bytes == 0
    desk.clock.advance_ms(1100)
    desk.aof.cron()
    desk.background.work()
    desk.aof.cron()
    assert desk.aof.trouble() == "" and desk.aof.synced_bytes == len(desk.content())


def test_a_large_buffer_gives_its_memory_back() -> None:
    desk = Desk(b"no")
    desk.write(b"SET", b"big", b"x" * (2 << 20))
    desk.aof.flush()
    assert desk.aof.buffered_bytes() == 0
    desk.write(b"SET", b"small", b"x")
    desk.aof.flush()
    assert len(desk.commands()) == 3


def test_a_position_in_what_was_fed_outlives_the_file() -> None:
    """WAITAOF waits for a position: it never goes back, and is durable once its file is, whichever that is."""
    desk = Desk(b"everysec", aof_checksum_enabled=b"yes")
    aof = desk.aof
    positions: list[int] = []

    def write() -> None:
        desk.write(b"SET", b"k", b"v" * 20)
        positions.append(int(aof.fed_bytes()))
        assert aof.durable_bytes() < positions[-1]

    write()
    aof.flush()
    write()
    assert aof.settle()
    assert aof.durable_bytes() >= positions[-1]
    aof.hand_over(desk.disk.create(NAME + ".2"))
    assert aof.durable_bytes() >= positions[-1]
    write()
    aof.forget()  # what a base holds is no longer waited for
    assert aof.fed_bytes() >= positions[-1]
    aof.hand_over(desk.disk.create(NAME + ".3"))
    write()
    assert aof.settle()
    aof.detach()
    aof.attach(desk.disk.create(NAME + ".4"), 0, ChecksumState())
    write()
    assert aof.settle()
    assert aof.durable_bytes() >= positions[-1]
    assert positions == sorted(set(positions))


class SlowFile(FakeOutputFile):
    """Each call takes 20 ms."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk.disk, NAME)
        self.clock = desk.clock

    def write(self, data: bytes) -> None:
        self.clock.advance_ms(20)
        super().write(data)

    def sync(self) -> None:
        self.clock.advance_ms(20)
        super().sync()


@pytest.mark.parametrize(
    ("policy", "child", "events"),
    [
        (b"always", False, {b"aof-write", b"aof-write-alone", b"aof-fsync-always"}),
        (b"no", True, {b"aof-write", b"aof-write-active-child"}),
        (b"everysec", False, {b"aof-write", b"aof-write-pending-fsync"}),
    ],
)
def test_the_latency_monitor_hears_of_slow_writes_and_why(
    policy: bytes, child: bool, events: set[bytes]
) -> None:
    desk = Desk(policy)
    desk.write(b"SET", b"k", b"1")
    desk.aof.flush()  # with everysec the other thread syncs from here on
    desk.aof.latency.threshold_ms = 10
    desk.aof.child_runs = child
    desk.aof.file = SlowFile(desk)
    desk.write(b"SET", b"k", b"2")
    desk.aof.flush(True)
    assert set(desk.aof.latency.series) == events
    assert all(series.latencies_ms == [20] for series in desk.aof.latency.series.values())
