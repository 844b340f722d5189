"""Rewrites, and turning the append only file on and off: what is listed, what is lost (nothing), what is removed."""

import pytest

from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.config import Config, SetError
from gossamer.engine.config_commands import EngineSettings
from gossamer.engine.digest import keyspace_digest
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.persistence.aof_rewrite import ON
from gossamer.persistence.doors import InputFile
from gossamer.server.command_table import all_commands
from gossamer.server.log import NOTHING, Log
from gossamer.server.persistence import Persistence
from persistence.fakes import FakeBackground, FakeDisk, FakeEmergency, FakeProcesses

DIRECTORY = "appendonlydir"
MANIFEST = f"{DIRECTORY}/appendonly.aof.manifest"


class Hooks(EngineHooks):
    def __init__(self, host: "Host") -> None:
        self.host = host

    def disk_error(self) -> bytes | None:
        return self.host.persistence.refusal()


class Host:
    """A server without sockets on a fake disk, which outlives it."""

    def __init__(
        self,
        disk: FakeDisk | None = None,
        appendonly: bytes = b"yes",
        loads_at_once: bool = True,
        **directives: bytes,
    ) -> None:
        self.disk = disk if disk is not None else FakeDisk()
        self.clock = ManualClock()
        self.processes = FakeProcesses()
        self.background = FakeBackground()
        config = Config(70)
        config.set([(b"save", b""), (b"appendonly", appendonly), (b"appendfsync", b"always")])
        for name, value in directives.items():
            config.set([(name.replace("_", "-").encode(), value)])
        limits = Limits()
        limits.compat = 70
        self.engine = Engine(self.clock, limits, Random64(1), 4)
        EngineSettings(self.engine, config).connect()
        self.engine.add_commands(all_commands())
        log = Log()
        log.level = NOTHING
        self.persistence = Persistence(
            self.engine, config, log, self.disk, self.processes, self.background, FakeEmergency()
        )
        self.engine.hooks = Hooks(self)
        self.config = config
        self.persistence.begin_loading()
        if loads_at_once:
            self.load()
        self.client: Client = self.engine.new_client()

    def load(self) -> None:
        while self.persistence.loading is not None:
            self.persistence.step()

    def run(self, *words: bytes) -> bytes:
        self.client.reply.out.truncate(0)
        self.engine.execute(self.client, list(words))
        reply = self.client.reply.out.getvalue()
        self.persistence.before_flush()
        return reply

    def cron(self, ms: int = 100) -> None:
        self.clock.advance_ms(ms)
        self.engine.begin_iteration()
        self.persistence.cron()

    def let_child_end(self) -> None:
        self.processes.run_child()
        self.cron()

    def digest(self) -> bytes:
        return keyspace_digest(self.engine.keyspace)

    def manifest(self) -> list[bytes]:
        return self.disk.files[MANIFEST].splitlines()

    def restarted(self) -> "Host":
        return Host(self.disk)


def line(name: str, sequence: int, kind: str) -> bytes:
    return f"file appendonly.aof.{name} seq {sequence} type {kind}".encode()


def test_a_first_start_makes_directory_base_and_increment() -> None:
    host = Host()
    assert host.manifest() == [line("1.base.rdb", 1, "b"), line("1.incr.aof", 1, "i")]
    assert sorted(host.disk.files) == [
        f"{DIRECTORY}/appendonly.aof.1.base.rdb",
        f"{DIRECTORY}/appendonly.aof.1.incr.aof",
        MANIFEST,
    ]


@pytest.mark.parametrize("preamble", [b"yes", b"no"])
def test_a_rewrite_loses_no_write_made_meanwhile_and_leaves_no_other_file(preamble: bytes) -> None:
    host = Host(aof_use_rdb_preamble=preamble)
    for number in range(200):
        host.run(b"RPUSH", b"list", b"%d" % number)
        host.run(b"HSET", b"hash", b"f%d" % number, b"v")
        host.run(b"SADD", b"set", b"m%d" % number)
        host.run(b"ZADD", b"zset", b"%d.5" % number, b"m%d" % number)
    host.run(b"SET", b"text", b"x", b"PX", b"100000")
    host.run(b"XADD", b"stream", b"1-1", b"f", b"v")
    host.run(b"SELECT", b"2")
    host.run(b"SET", b"elsewhere", b"1")
    assert host.run(b"BGREWRITEAOF") == b"+Background append only file rewriting started\r\n"
    before = host.digest()
    host.processes.run_child()
    host.run(b"INCR", b"meanwhile")
    host.cron()
    host.background.work()
    host.cron()
    suffix = "rdb" if preamble == b"yes" else "aof"
    assert host.manifest() == [line(f"2.base.{suffix}", 2, "b"), line("2.incr.aof", 2, "i")]
    assert len(host.disk.files) == 3
    assert host.digest() != before
    assert host.restarted().digest() == host.digest()


def test_history_is_listed_until_it_is_removed() -> None:
    host = Host()
    host.run(b"SET", b"a", b"1")
    host.run(b"BGREWRITEAOF")
    host.let_child_end()
    assert line("1.incr.aof", 1, "h") in host.manifest() and line("1.base.rdb", 1, "h") in host.manifest()
    assert f"{DIRECTORY}/appendonly.aof.1.incr.aof" in host.disk.files
    again = host.restarted()
    again.background.work()
    again.cron()
    assert again.manifest() == [line("2.base.rdb", 2, "b"), line("2.incr.aof", 2, "i")]
    assert f"{DIRECTORY}/appendonly.aof.1.incr.aof" not in host.disk.files


def test_a_child_that_dies_leaves_everything_valid_and_the_next_rewrite_takes_all_increments() -> None:
    host = Host()
    host.run(b"SET", b"a", b"1")
    for _ in range(2):
        host.run(b"BGREWRITEAOF")
        host.processes.kill(max(host.processes.jobs))
        host.run(b"INCR", b"n")
        host.cron()
    assert b"aof_last_bgrewrite_status:err" in host.run(b"INFO", b"persistence")
    assert [entry.split()[-1] for entry in host.manifest()] == [b"b", b"i", b"i", b"i"]
    assert host.restarted().digest() == host.digest()
    host.run(b"BGREWRITEAOF")
    host.let_child_end()
    host.background.work()
    host.cron()
    assert host.manifest() == [line("2.base.rdb", 2, "b"), line("4.incr.aof", 4, "i")]
    assert host.restarted().digest() == host.digest()


def test_after_three_failures_the_servers_own_attempts_wait() -> None:
    host = Host(auto_aof_rewrite_percentage=b"1", auto_aof_rewrite_min_size=b"1")
    for _ in range(3):
        host.run(b"SET", b"a", b"x" * 300)
        host.cron()
        assert host.persistence.rewrites.in_progress()
        host.processes.kill(max(host.processes.jobs))
        host.cron()
    host.cron(1000)
    assert not host.persistence.rewrites.in_progress()
    host.cron(61_000)
    assert host.persistence.rewrites.in_progress()


def test_a_rewrite_begins_by_itself_when_the_file_has_grown_enough() -> None:
    host = Host(auto_aof_rewrite_percentage=b"100", auto_aof_rewrite_min_size=b"2000")
    host.run(b"SET", b"a", b"x" * 500)
    host.cron()
    assert not host.persistence.rewrites.in_progress()
    host.run(b"SET", b"a", b"x" * 2000)
    host.cron()
    assert host.persistence.rewrites.in_progress()
    host.let_child_end()
    host.cron()
    assert not host.persistence.rewrites.in_progress()


def test_inside_a_transaction_a_rewrite_is_put_off() -> None:
    host = Host()
    host.run(b"MULTI")
    host.run(b"INCR", b"n")
    host.run(b"BGREWRITEAOF")
    assert host.run(b"EXEC").endswith(b"+Background append only file rewriting scheduled\r\n")
    host.cron()
    host.let_child_end()
    assert host.restarted().digest() == host.digest()


def test_only_one_child_at_a_time() -> None:
    host = Host()
    host.run(b"SET", b"a", b"1")
    assert host.run(b"BGSAVE") == b"+Background saving started\r\n"
    assert host.run(b"BGREWRITEAOF") == b"+Background append only file rewriting scheduled\r\n"
    host.cron()
    assert len(host.processes.jobs) == 1
    host.let_child_end()
    host.cron()
    assert len(host.processes.jobs) == 2
    assert host.run(b"BGSAVE").startswith(b"-ERR Another child process is active")
    assert host.run(b"BGREWRITEAOF").startswith(b"-ERR Background append only file rewriting already")
    host.let_child_end()
    assert host.restarted().digest() == host.digest()


def test_turning_it_on_writes_the_whole_data_set_first() -> None:
    host = Host(appendonly=b"no")
    host.run(b"SET", b"before", b"1")
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.processes.run_child()
    host.run(b"SET", b"meanwhile", b"1")
    host.cron()
    host.run(b"SET", b"after", b"1")
    assert host.manifest() == [line("1.base.rdb", 1, "b"), line("1.incr.aof", 1, "i")]
    assert host.restarted().digest() == host.digest()


def test_a_first_rewrite_that_fails_is_tried_again_and_loses_nothing() -> None:
    host = Host(appendonly=b"no")
    host.run(b"SET", b"before", b"1")
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.run(b"INCR", b"n")
    host.processes.kill(max(host.processes.jobs))
    host.cron()
    host.run(b"INCR", b"n")
    host.cron(6000)
    host.run(b"INCR", b"n")
    host.processes.run_child()
    host.run(b"INCR", b"n")
    host.cron()
    restarted = host.restarted()
    assert restarted.run(b"GET", b"before") == b"$1\r\n1\r\n"
    assert restarted.run(b"GET", b"n")[4:5] in (b"4", b"5")  # a fake child sees the memory of when it runs


def test_turning_it_on_fails_cleanly_where_no_child_can_be_made() -> None:
    host = Host(appendonly=b"no")
    host.processes.fails = True
    with pytest.raises(SetError):
        host.config.set([(b"appendonly", b"yes")])
    assert not host.config.flag("appendonly")
    assert host.run(b"SET", b"a", b"1") == b"+OK\r\n"
    host.processes.fails = False
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.let_child_end()
    assert host.restarted().digest() == host.digest()


def test_off_and_on_again_goes_on_from_the_old_list() -> None:
    host = Host()
    host.run(b"SET", b"a", b"1")
    host.run(b"CONFIG", b"SET", b"appendonly", b"no")
    host.run(b"SET", b"b", b"1")
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.let_child_end()
    host.background.work()
    host.cron()
    assert host.manifest() == [line("2.base.rdb", 2, "b"), line("2.incr.aof", 2, "i")]
    assert host.restarted().digest() == host.digest()


def test_each_file_operation_of_a_rewrite_may_fail_and_no_write_is_lost() -> None:
    tried = 0
    for nth in range(1, 40):
        host = Host()
        host.run(b"SET", b"a", b"1")
        start = host.disk.steps
        host.disk.fail_at = start + nth
        try:
            host.run(b"BGREWRITEAOF")
            if host.processes.jobs:
                host.let_child_end()
            host.background.work()
            host.cron()
        except BaseException as stopped:
            assert type(stopped).__name__ == "GaveUp"
            continue
        if host.disk.steps < start + nth:
            break
        tried += 1
        host.disk.fail_at = -1
        host.run(b"INCR", b"n")
        assert host.restarted().digest() == host.digest(), nth
        again = host.run(b"BGREWRITEAOF")
        if again.startswith(b"+"):
            host.let_child_end()
        assert host.restarted().digest() == host.digest(), nth
    assert tried > 12


@pytest.mark.parametrize("policy", [b"everysec", b"no", b"always"])
def test_writes_that_never_stop_cannot_hold_a_rewrite_up(policy: bytes) -> None:
    host = Host(appendfsync=policy)
    host.run(b"SET", b"n", b"0")
    host.run(b"BGREWRITEAOF")
    for turn in range(10):
        if host.processes.jobs:
            break
        host.run(b"SET", b"before", b"%d" % turn)
        host.background.work()
        host.run(b"SET", b"after", b"%d" % turn)
        host.cron()
    assert host.processes.jobs
    host.run(b"SET", b"n", b"1")
    host.let_child_end()
    assert host.restarted().digest() == host.digest()


@pytest.mark.parametrize("policy", [b"everysec", b"no", b"always"])
def test_writes_that_never_stop_cannot_hold_turning_it_on_up(policy: bytes) -> None:
    host = Host(appendonly=b"no", appendfsync=policy)
    host.run(b"SET", b"n", b"0")
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.processes.run_child()
    for turn in range(10):
        host.run(b"SET", b"before", b"%d" % turn)
        host.background.work()
        host.run(b"SET", b"after", b"%d" % turn)
        host.cron()
    assert host.persistence.rewrites.state == ON
    assert host.restarted().digest() == host.digest()


def test_turning_it_off_between_the_end_of_the_child_and_the_sync_leaves_nothing_behind() -> None:
    host = Host(appendonly=b"no", appendfsync=b"no")
    host.run(b"SET", b"n", b"0")
    host.run(b"CONFIG", b"SET", b"appendonly", b"yes")
    host.run(b"INCR", b"n")
    host.let_child_end()
    assert host.persistence.rewrites.in_progress()
    host.run(b"CONFIG", b"SET", b"appendonly", b"no")
    assert not host.processes.ended.get(max(host.processes.jobs)), "nobody kills a process that has ended"
    assert not [name for name in host.disk.files if "temp" in name]
    assert not host.persistence.rewrites.in_progress()


def test_functions_are_part_of_the_base() -> None:
    for preamble in (b"yes", b"no"):
        host = Host(aof_use_rdb_preamble=preamble)
        host.run(b"FUNCTION", b"LOAD", b"#!lua name=l\nredis.register_function('f', function() return 7 end)")
        host.run(b"BGREWRITEAOF")
        host.let_child_end()
        assert host.restarted().run(b"FCALL", b"f", b"0") == b":7\r\n"


def test_what_only_looks_at_the_disk_is_no_write() -> None:
    host = Host()
    host.run(b"SET", b"a", b"1")
    before = host.disk.files[f"{DIRECTORY}/appendonly.aof.1.incr.aof"]
    assert host.run(b"SAVE") == b"+OK\r\n"
    assert host.disk.files[f"{DIRECTORY}/appendonly.aof.1.incr.aof"] == before


def test_a_snapshot_asked_for_by_a_transaction_begins_behind_it() -> None:
    host = Host()
    host.run(b"MULTI")
    host.run(b"BGSAVE")
    assert host.run(b"EXEC") == b"*1\r\n+Background saving scheduled\r\n"
    assert not host.processes.jobs
    host.cron()
    assert len(host.processes.jobs) == 1


def test_history_that_comes_while_older_history_is_removed_is_removed_too() -> None:
    host = Host()
    for value in (b"1", b"2"):
        host.run(b"SET", b"a", value)
        host.run(b"BGREWRITEAOF")
        host.let_child_end()
    for _ in range(2):
        host.background.work()
        host.cron()
    assert host.manifest() == [line("3.base.rdb", 3, "b"), line("3.incr.aof", 3, "i")]
    assert len(host.disk.files) == 3, sorted(host.disk.files)


def test_history_goes_while_the_file_is_off() -> None:
    host = Host()
    host.run(b"CONFIG", b"SET", b"appendonly", b"no")
    host.run(b"BGREWRITEAOF")
    host.let_child_end()
    host.background.work()
    host.cron()
    assert host.manifest() == [line("2.base.rdb", 2, "b")]


def test_a_rewrite_that_is_called_off_before_it_began_takes_no_time() -> None:
    host = Host(appendfsync=b"no")
    host.run(b"SET", b"a", b"1")
    host.run(b"BGREWRITEAOF")
    host.run(b"CONFIG", b"SET", b"appendonly", b"no")
    assert b"aof_current_rewrite_time_sec:-1\r\n" in host.run(b"INFO", b"persistence")


@pytest.mark.parametrize("appendonly", [b"yes", b"no"])
def test_it_is_not_turned_on_or_off_while_loading(appendonly: bytes) -> None:
    """A base that is made now would hold a part of the data set."""
    host = Host()
    host.run(b"SET", b"a", b"1")
    host.run(b"SAVE")
    loading = Host(host.disk, appendonly, loads_at_once=False)
    other = b"no" if appendonly == b"yes" else b"yes"
    assert loading.run(b"CONFIG", b"SET", b"appendonly", other).startswith(b"-LOADING")
    loading.load()
    assert loading.digest() == host.digest()


class SlowDisk(FakeDisk):
    """A directory in which each change and each look takes 7 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.clock: ManualClock | None = None

    def spend(self) -> None:
        if self.clock is not None:
            self.clock.advance_ms(7)

    def rename(self, name: str, new_name: str) -> None:
        self.spend()
        super().rename(name, new_name)

    def remove(self, name: str) -> None:
        self.spend()
        super().remove(name)

    def open(self, name: str) -> InputFile | None:
        self.spend()
        return super().open(name)


def test_the_latency_monitor_hears_of_slow_directories() -> None:
    disk = SlowDisk()
    host = Host(disk)
    host.engine.config.set([(b"latency-monitor-threshold", b"5")])
    disk.clock = host.clock
    rewrites = host.persistence.rewrites
    assert rewrites.request(True)
    host.processes.run_child()
    rewrites.cron()
    host.persistence.snapshots.start_background(False, True)
    host.persistence.snapshots.cancel_background()
    series = host.engine.latency.series
    for event in (b"aof-rename", b"aof-fstat", b"rdb-unlink-temp-file"):
        assert series[event].latencies_ms == [7]
