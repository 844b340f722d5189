"""Keyspace changed, and said so: the promise that watches, the AOF and replicas rest on, for every write command.

Random sequences of every group of data commands run on an engine with a clock that only moves when it is told. After
each command the whole data set is compared with what it was before, and with what the engine said; at the end a
second engine, which was told nothing but the effects, must hold the same.
"""

from __future__ import annotations

import importlib
import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from conformance.arguments import Group, Snippet, Step
from conformance.newer_group import NEWER_GROUPS
from conformance.propagation import BEGIN, END, Effect, Recorder
from conformance.propagation_groups import DATA_GROUPS, FORMS_GROUP, SERVED_GROUP
from gossamer.base.clock import ManualClock
from gossamer.base.limits import Limits
from gossamer.base.rng import Random64
from gossamer.engine.client import Client
from gossamer.engine.config_commands import EngineSettings
from gossamer.engine.config_file import start
from gossamer.engine.digest import value_digest
from gossamer.engine.doors import EngineHooks, WriteFeed
from gossamer.engine.engine import Engine
from gossamer.keyspace.keyspace import Keyspace
from gossamer.persistence.aof_loading import AofClient
from gossamer.persistence.doors import EventLog
from gossamer.server.command_table import all_commands
from gossamer.server.config_door import FileSystemDoor

EXAMPLES = int(os.environ.get("GOSSAMER_EXAMPLES", "8"))
CAMPAIGN = "GOSSAMER_EXAMPLES" in os.environ
NAMES = [name for name in DATA_GROUPS if name != "events"]  # which changes what is said
ALL = (
    *(importlib.import_module(f"conformance.groups.{name}").GROUP for name in NAMES),
    FORMS_GROUP,
    SERVED_GROUP,
    *NEWER_GROUPS,
)
# No keyspace event names the keys; PFCOUNT writes down what it counted.
TELLS_WITHOUT_KEY = (b"FLUSHALL", b"FLUSHDB", b"SWAPDB", b"PFCOUNT")

Content = dict[tuple[int, bytes], tuple[bytes, int]]


class Sleeper(EngineHooks):
    """DEBUG SLEEP moves the clock."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock

    def sleep(self, seconds: float) -> None:
        self.clock.advance_ms(int(seconds * 1000))

    def log_bug(self, what: str, error: BaseException) -> None:
        raise AssertionError(f"{what} has a bug") from error


class Silent(EventLog):
    """The loader must have nothing to tell."""

    def notice(self, text: str) -> None:
        raise AssertionError(text)

    def warning(self, text: str) -> None:
        raise AssertionError(text)


def new_engine(compat: str, group: Group, clock: ManualClock) -> Engine:
    words = ["--enable-debug-command", "yes", "--databases", "16", "--compat", compat]
    config = start([word.encode() for word in words], FileSystemDoor())
    engine = Engine(clock, Limits(), Random64(7), 16)
    EngineSettings(engine, config).connect()
    engine.hooks = Sleeper(clock)
    engine.add_commands(all_commands())
    for name, setting in (group.config or {}).items():
        if config.find(name.encode()) is not None:
            config.set([(name.encode(), setting.encode())])
    config.set([(b"notify-keyspace-events", b"KEA")])
    return engine


def content_of(keyspace: Keyspace) -> Content:
    """Every key, due ones too, with a digest of its value and its expire time."""
    content: Content = {}
    for database in keyspace.databases:
        for key in database.keys() if database.size() else ():
            assert database.table.find(key)
            expire_ms = int(database.table.at_expire)
            content[int(database.index), key] = (value_digest(database.found_value(), expire_ms), expire_ms)
    return content


class Subject:
    """An engine with clients, and everything that it says."""

    def __init__(self, compat: str, group: Group) -> None:
        self.clock = ManualClock()
        self.engine = new_engine(compat, group, self.clock)
        self.feed = Recorder()
        self.engine.feeds.append(self.feed)
        self.clients = [self.engine.new_client() for _ in range(group.clients)]
        for client in self.clients:
            client.address = b"127.0.0.1:1"
        self.listener = self.engine.new_client()
        self.engine.execute(self.listener, [b"PSUBSCRIBE", b"__keyspace@*"])
        self.told: list[Effect] = []
        self.has_streams = group.name.startswith("streams")

    def run(self, step: Step) -> None:
        """A command, with the promise checked."""
        client = self.clients[step.client]
        if client.blocked_command is not None or client.closed:
            return
        before = content_of(self.engine.keyspace)
        dirty = int(self.engine.state.dirty)
        watcher = self.watcher(before)
        self.listener.reply.out.truncate(0)
        self.engine.begin_iteration()
        self.engine.execute(client, list(step.argv))
        client.reply.out.truncate(0)
        after = content_of(self.engine.keyspace)
        effects = self.feed.take()
        self.told += effects
        assert not self.engine.effects, "effects left behind"
        wrote = int(self.engine.state.dirty) != dirty
        own = [e for e in effects if e not in (BEGIN, END)]
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        removed_by_server = len(own) > 0 and all(is_removal(effect) for effect in own)
        if changed:
            assert own, f"{changed} changed, and no effect tells it"
            assert wrote or removed_by_server, f"{changed} changed, and dirty did not move"
            # Redis holds that a key which was due when it was watched does not change when it goes.
            now_ms = int(self.engine.state.now_ms)
            if any(name in before and not 0 < before[name][1] < now_ms for name in changed):
                assert watcher.watch_dirty, f"{changed} changed, and a WATCH did not see it"
            self.check_events(own, changed)
        if wrote:
            # A consumer whom XREADGROUP made without entries counts as a change, and no real server tells it.
            assert own or self.has_streams, "dirty moved, and no effect tells why"
        elif own and not removed_by_server:
            told = {effect.argv[0].upper() for effect in own}
            assert told <= {b"FLUSHALL", b"FLUSHDB", b"DEL", b"UNLINK", b"HDEL"}, "an effect of no change"
        self.engine.free_client(watcher)

    def watcher(self, content: Content) -> Client:
        watcher = self.engine.new_client()
        for index, key in content:
            watcher.db = self.engine.keyspace.databases[index]
            self.engine.watches.add(watcher, key)
        return watcher

    def check_events(self, effects: list[Effect], changed: set[tuple[int, bytes]]) -> None:
        if any(effect.argv[0].upper() in TELLS_WITHOUT_KEY for effect in effects):
            return
        said = self.listener.reply.out.getvalue()
        for index, key in changed:
            name = b"__keyspace@%d__:%s\r\n" % (index, key)
            assert name in said, f"{key!r} changed, and no keyspace event says so"


def is_removal(effect: Effect) -> bool:
    if effect.argv[0] == b"HDEL":
        return True  # of fields whose time was over
    return effect.argv[0] in (b"DEL", b"UNLINK") and len(effect.argv) == 2


def replayed(compat: str, group: Group, effects: list[Effect], clock: ManualClock) -> Content:
    """The data set of an engine that loads these effects as an AOF."""
    engine = new_engine(compat, group, clock)
    engine.begin_iteration()
    engine.state.expires_now = engine.state.hides_expired = False
    loader = AofClient(engine, Silent(), "effects")
    database = 0
    in_unit = False
    for effect in effects:
        if effect.database not in (database, -1):
            database = effect.database
            loader.take([b"SELECT", b"%d" % database], in_unit, 0)
        in_unit = effect != END and (in_unit or effect == BEGIN)
        loader.take(list(effect.argv), in_unit, 0)
    return content_of(engine.keyspace)


@pytest.mark.parametrize("compat", ["redis:7.0", "valkey:8.0"])
@pytest.mark.parametrize("group", ALL, ids=lambda group: str(group.name))
def test_what_changed_was_said_and_what_was_said_makes_the_same_data_set(group: Group, compat: str) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=not CAMPAIGN,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        print_blob=True,
    )
    @given(group.sequences())
    def run(snippets: list[Snippet]) -> None:
        subject = Subject(compat, group)
        for part in snippets:
            for step in part.steps:
                subject.run(step)
        ours = content_of(subject.engine.keyspace)
        theirs = replayed(compat, group, subject.told, subject.clock)
        assert ours == theirs, "\n".join(str(effect) for effect in subject.told)

    run()


class Journal(WriteFeed):
    """A feed that writes down its calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[object, ...]] = []

    def begin(self) -> None:
        self.calls.append(("begin",))

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.calls.append(("feed", int(db_index), b" ".join(argv)))

    def feed_message(self, db_index: int, argv: list[bytes]) -> None:
        self.calls.append(("message", int(db_index), b" ".join(argv)))

    def end(self) -> None:
        self.calls.append(("end",))


def calls_of(*lines: str) -> list[tuple[object, ...]]:
    """What a feed is called with while these commands run."""
    engine = new_engine("redis:7.0", FORMS_GROUP, ManualClock())
    journal = Journal()
    engine.feeds.append(journal)
    client = engine.new_client()
    client.address = b"127.0.0.1:1"
    for line in lines:
        engine.begin_iteration()
        engine.execute(client, line.encode().split())
    return journal.calls


def test_a_write_alone_is_fed_alone() -> None:
    assert calls_of("SET k v", "GET k", "SELECT 3", "INCR n") == [
        ("feed", 0, b"SET k v"),
        ("feed", 3, b"INCR n"),
    ]


def test_a_transaction_of_one_write_is_fed_alone_and_one_of_two_as_a_unit() -> None:
    one = calls_of("MULTI", "GET k", "SET k v", "EXEC")
    assert one == [("feed", 0, b"SET k v")]
    two = calls_of("MULTI", "SET k v", "SELECT 1", "DEL none", "SET k w", "EXEC")
    assert two == [("begin",), ("feed", 0, b"SET k v"), ("feed", 1, b"SET k w"), ("end",)]


def test_messages_are_for_replicas_and_stand_in_the_unit_of_their_transaction() -> None:
    assert calls_of("PUBLISH c m", "SPUBLISH s m") == [
        ("message", 0, b"PUBLISH c m"),
        ("message", 0, b"SPUBLISH s m"),
    ]
    unit = calls_of("SELECT 2", "MULTI", "PUBLISH c m", "SET k v", "EXEC")
    assert unit == [("begin",), ("message", 2, b"PUBLISH c m"), ("feed", 2, b"SET k v"), ("end",)]


def test_a_key_that_a_read_found_due_is_told_at_once() -> None:
    calls = calls_of("SET k v PX 1", "DEBUG SLEEP 0.005", "GET k", "GET k")
    assert calls[1:] == [("feed", 0, b"DEL k")]
    calls = calls_of("SET k v PX 1", "DEBUG SLEEP 0.005", "SET k w")
    assert calls[1:] == [("begin",), ("feed", 0, b"DEL k"), ("feed", 0, b"SET k w"), ("end",)]


def test_a_key_that_a_refused_command_found_due_is_told() -> None:
    calls = calls_of("SET k v PX 1", "RPUSH l x", "DEBUG SLEEP 0.005", "RENAME k l", "MSETNX l y k z")
    assert calls[2:] == [("feed", 0, b"DEL k")]
