"""Snapshots through doors: the order of what is made durable, failures at every step, children, save points."""

import pytest

from gossamer.base.errors import CommandError
from gossamer.datatypes.streams import Stream
from gossamer.rdb.format import TYPE_STRING
from persistence.fakes import World
from rdb.content import collect


def saved(world: World) -> dict[bytes, object]:
    databases = collect(world.disk.files["dump.rdb"]).databases
    return dict(databases.get(0, {}))


def test_a_save_is_synced_before_it_takes_the_name_and_the_directory_after() -> None:
    world = World()
    world.put(b"k", b"v")
    assert world.snapshots.save()
    assert world.disk.journal == [
        "create temp-1.rdb", "write", "write", "sync", "close", "rename temp-1.rdb dump.rdb", "sync directory"
    ]  # fmt: skip
    collector = collect(world.disk.files["dump.rdb"])
    assert collector.databases == {0: {b"k": b"v"}}
    assert collector.types == {b"k": TYPE_STRING}
    assert collector.aux[b"redis-ver"] == b"7.0.15"
    assert world.keyspace.state.dirty == 0


def test_a_failure_at_any_step_leaves_the_old_file_and_no_other() -> None:
    world = World()
    world.put(b"k", b"old")
    world.snapshots.save()
    for step in range(1, 7):
        world.put(b"k", b"new")
        dirty = world.keyspace.state.dirty
        world.disk.fail_at = world.disk.steps + step
        assert not world.snapshots.save()
        if step < 6:
            assert saved(world) == {b"k": b"old"}
        assert list(world.disk.files) == ["dump.rdb"]
        assert world.keyspace.state.dirty == dirty
    assert world.log.lines[-1] == "! Write error saving DB on disk: No space left on device"


def test_the_file_has_the_version_that_is_configured() -> None:
    world = World()
    world.config.set([(b"rdb-version", b"11"), (b"dbfilename", b"other.rdb")])
    world.snapshots.save()
    assert world.disk.files["other.rdb"].startswith(b"REDIS0011")


def test_a_file_of_our_own_is_never_of_a_version_that_may_lose_something() -> None:
    world = World()
    world.config.set([(b"rdb-version", b"9")])
    world.snapshots.save()
    assert world.disk.files["dump.rdb"].startswith(b"REDIS0010")


def test_version_9_is_for_replicas_where_it_holds_everything_or_the_operator_says_so() -> None:
    world = World()
    content = world.snapshots.content
    world.put(b"k", b"v")
    assert [content.version_for_replica(version) for version in (9, 10, 11)] == [9, 10, 11]
    stream = Stream()
    world.keyspace.databases[0].store(b"x", stream)
    assert content.version_for_replica(9) == 9
    stream.entries_added = 1
    assert content.version_for_replica(9) == 10
    world.config.set([(b"rdb-version", b"9")])
    assert content.version_for_replica(9) == 9


def test_version_9_holds_no_function_libraries() -> None:
    world = World()
    world.snapshots.content.functions = [b"#!lua name=f"]
    assert world.snapshots.content.version_for_replica(9) == 10


def test_a_background_save_counts_only_what_it_holds() -> None:
    world = World()
    world.put(b"a", b"1")
    assert world.snapshots.start_background(False)
    world.put(b"b", b"2")
    world.snapshots.cron()
    assert world.snapshots.in_background()
    world.processes.run_child()
    world.snapshots.cron()
    assert not world.snapshots.in_background()
    assert world.snapshots.last_background_ok
    assert world.keyspace.state.dirty == 1
    assert "dump.rdb" in world.disk.files


def test_one_background_save_at_a_time() -> None:
    world = World()
    world.snapshots.start_background(False)
    for again in (lambda: world.snapshots.start_background(True), world.snapshots.save):
        with pytest.raises(CommandError, match="already in progress"):
            again()


def test_a_save_waits_for_another_child_only_when_told() -> None:
    world = World()
    world.snapshots.other_child_active = True
    with pytest.raises(CommandError, match="Another child process is active"):
        world.snapshots.start_background(False)
    assert not world.snapshots.start_background(True)
    world.snapshots.cron()
    assert not world.processes.jobs
    world.snapshots.other_child_active = False
    world.snapshots.cron()
    assert len(world.processes.jobs) == 1


@pytest.mark.parametrize("status", [1, -11])
def test_a_child_that_fails_is_told_of_and_leaves_nothing(status: int) -> None:
    world = World()
    world.put(b"k", b"v")
    world.snapshots.start_background(False)
    child = int(world.snapshots.child_id)
    if status < 0:
        world.disk.files[f"temp-{child}.rdb"] = b"half"
    world.processes.ended[child] = status
    world.snapshots.cron()
    assert not world.snapshots.last_background_ok
    assert world.keyspace.state.dirty == 1
    assert not world.disk.files


def test_a_child_that_cannot_write_fails() -> None:
    world = World()
    world.snapshots.start_background(False)
    world.disk.fail_at = world.disk.steps + 2
    world.processes.run_child()
    world.snapshots.cron()
    assert not world.snapshots.last_background_ok
    assert not world.disk.files


def test_no_fork_no_save() -> None:
    world = World()
    world.processes.fails = True
    with pytest.raises(CommandError) as caught:
        world.snapshots.start_background(False)
    assert caught.value.message == b"ERR"
    assert not world.snapshots.last_background_ok


def test_a_save_point_needs_both_its_changes_and_its_seconds() -> None:
    world = World(b"60 2")
    world.put(b"a", b"1")
    world.pass_seconds(100)
    world.snapshots.cron()
    assert not world.processes.jobs
    world.put(b"b", b"2")
    world.snapshots.cron()
    assert len(world.processes.jobs) == 1
    world.processes.run_child()
    world.snapshots.cron()
    world.put(b"c", b"3")
    world.put(b"d", b"4")
    world.snapshots.cron()
    assert len(world.processes.jobs) == 1
    world.pass_seconds(61)
    world.snapshots.cron()
    assert len(world.processes.jobs) == 2


def test_after_a_failure_save_points_pause_and_writes_stop() -> None:
    world = World(b"1 1")
    world.put(b"a", b"1")
    world.pass_seconds(10)
    world.snapshots.cron()
    world.processes.ended[100] = 1
    world.snapshots.cron()
    assert not world.snapshots.may_write()
    world.snapshots.cron()
    assert len(world.processes.jobs) == 1
    world.pass_seconds(6)
    world.snapshots.cron()
    world.processes.run_child()
    world.snapshots.cron()
    assert world.snapshots.may_write()


def test_a_cancelled_save_leaves_nothing() -> None:
    world = World()
    world.snapshots.start_background(False)
    world.disk.files["temp-100.rdb"] = b"half"
    world.snapshots.cancel_background()
    assert not world.snapshots.in_background()
    assert not world.disk.files


def test_idle_times_or_frequencies_are_kept_as_the_policy_uses_them() -> None:
    world = World()
    world.config.attach(world.keyspace.state.limits)
    world.put(b"k", b"v")
    world.snapshots.save()
    assert not collect(world.disk.files["dump.rdb"]).idle
    world.config.set([(b"maxmemory-policy", b"allkeys-lru")])
    world.keyspace.state.set_time(world.keyspace.state.now_ms + 90_000)
    world.snapshots.save()
    assert collect(world.disk.files["dump.rdb"]).idle == {b"k": 90}
    world.config.set([(b"maxmemory-policy", b"allkeys-lfu")])
    world.keyspace.databases[0].set_access_field(b"k", 77)
    world.config.set([(b"lfu-decay-time", b"0")])
    world.snapshots.save()
    assert collect(world.disk.files["dump.rdb"]).frequency == {b"k": 77}
