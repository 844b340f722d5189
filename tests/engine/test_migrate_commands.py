"""MIGRATE without a network: what goes to the target, and what follows from each answer or silence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gossamer.base.clock import ManualClock
from gossamer.engine.doors import WriteFeed
from gossamer.engine.migration_door import MigrationTarget, MigrationTargets, TargetLost
from gossamer.rdb.payload import dump
from support.engines import EngineClient, new_engine
from support.wire import encode

SLOW = TargetLost(True)
GONE = TargetLost(False)
Line = bytes | TargetLost


class ScriptedTarget(MigrationTarget):
    """Answers with the given lines; one that is an error ends the connection."""

    def __init__(self, lines: Sequence[Line], refuses_writes: bool = False) -> None:
        super().__init__()
        self.lines = list(lines)
        self.refuses_writes = refuses_writes
        self.received = b""

    def send(self, data: bytes, timeout_ms: int) -> None:
        if self.refuses_writes:
            raise GONE
        self.received += data

    def read_line(self, timeout_ms: int) -> bytes:
        line = self.lines.pop(0)
        if isinstance(line, TargetLost):
            raise line
        return line


class ScriptedTargets(MigrationTargets):
    """Hands the given targets out, one after the other; the last connection stays until it is forgotten."""

    def __init__(self, *targets: ScriptedTarget) -> None:
        super().__init__()
        self.fresh = list(targets)
        self.kept: ScriptedTarget | None = None
        self.asked: list[tuple[bytes, bytes, int]] = []

    def connect(self, host: bytes, port: bytes, timeout_ms: int) -> MigrationTarget | None:
        self.asked.append((host, port, timeout_ms))
        if self.kept is None and self.fresh:
            self.kept = self.fresh.pop(0)
        return self.kept

    def forget(self, host: bytes, port: bytes) -> None:
        self.kept = None


class Tape(WriteFeed):
    def __init__(self) -> None:
        self.fed: list[list[bytes]] = []

    def feed(self, db_index: int, argv: list[bytes]) -> None:
        self.fed.append(argv)


class Scene:
    """An engine with keys a, b, c and a target that plays its part."""

    def __init__(self, *targets: ScriptedTarget, compat: int = 72) -> None:
        self.clock = ManualClock(1_700_000_000_000_000)
        self.engine = new_engine(self.clock, compat=compat)
        self.client = EngineClient(self.engine)
        for name in ("a", "b", "c"):
            self.client.call("SET", name, "value of " + name)
        self.targets = ScriptedTargets(*targets)
        self.engine.migration_targets = self.targets
        self.tape = Tape()
        self.engine.feeds.append(self.tape)

    def migrate(self, *words: str) -> bytes:
        return self.client.call("MIGRATE", "host", "6379", *words).raw

    def left(self) -> list[bytes]:
        return sorted(self.client.call("KEYS", "*").plain())


def restore(key: bytes, ttl_ms: int = 0, *options: bytes, name: bytes = b"RESTORE") -> bytes:
    return encode([name, key, ttl_ms, dump(b"value of " + key, 10), *options])


def test_a_key_goes_when_the_target_has_it() -> None:
    target = ScriptedTarget([b"+OK", b"+OK"])
    scene = Scene(target)
    assert scene.migrate("a", "3", "500") == b"+OK\r\n"
    assert target.received == encode(["SELECT", "3"]) + restore(b"a")
    assert scene.targets.asked == [(b"host", b"6379", 500)]
    assert scene.left() == [b"b", b"c"]
    assert scene.tape.fed == [[b"DEL", b"a"]]


def test_select_is_sent_only_when_the_database_differs() -> None:
    target = ScriptedTarget([b"+OK"] * 6)
    scene = Scene(target)
    scene.migrate("a", "0", "0")
    scene.migrate("b", "0", "0")
    scene.migrate("c", "2", "0")
    assert target.received.count(b"SELECT") == 2
    assert [timeout for _, _, timeout in scene.targets.asked] == [1000] * 3


def test_copy_leaves_the_key_and_tells_nobody() -> None:
    target = ScriptedTarget([b"+OK", b"+OK"])
    scene = Scene(target)
    assert scene.migrate("a", "0", "1", "COPY", "REPLACE") == b"+OK\r\n"
    assert target.received.endswith(restore(b"a", 0, b"REPLACE"))
    assert scene.left() == [b"a", b"b", b"c"]
    assert scene.tape.fed == []


def test_what_a_key_still_has_to_live_goes_with_it() -> None:
    target = ScriptedTarget([b"+OK", b"+OK"])
    scene = Scene(target)
    scene.client.call("PEXPIRE", "a", "5000")
    scene.clock.advance_ms(1500)
    scene.migrate("a", "0", "1")
    assert target.received.endswith(restore(b"a", 3500))


def test_a_cluster_node_says_that_it_asks() -> None:
    target = ScriptedTarget([b"+OK", b"+OK"])
    scene = Scene(target)
    scene.engine.config.put("cluster-enabled", True)
    scene.migrate("a", "0", "1")
    assert target.received.endswith(restore(b"a", name=b"RESTORE-ASKING"))


@pytest.mark.parametrize(
    ("words", "login"),
    [(["AUTH", "secret"], ["AUTH", "secret"]), (["AUTH2", "bob", "secret"], ["AUTH", "bob", "secret"])],
)
def test_the_login_goes_first(words: list[str], login: list[str]) -> None:
    target = ScriptedTarget([b"+OK"] * 3)
    scene = Scene(target)
    assert scene.migrate("a", "0", "1", *words) == b"+OK\r\n"
    assert target.received.startswith(encode(login) + encode(["SELECT", "0"]))


def test_the_keys_that_are_here_go_and_the_others_do_not_count() -> None:
    target = ScriptedTarget([b"+OK"] * 3)
    scene = Scene(target)
    assert scene.migrate("", "0", "1", "KEYS", "a", "none", "c") == b"+OK\r\n"
    assert scene.left() == [b"b"]
    assert scene.tape.fed == [[b"DEL", b"a", b"c"]]
    assert scene.migrate("", "0", "1", "KEYS", "none") == b"+NOKEY\r\n"


def test_keys_that_arrived_go_although_another_is_refused() -> None:
    target = ScriptedTarget([b"+OK", b"+OK", b"-BUSYKEY Target key name already exists.", b"+OK"])
    scene = Scene(target)
    reply = scene.migrate("", "0", "1", "KEYS", "a", "b", "c")
    assert reply == b"-ERR Target instance replied with error: BUSYKEY Target key name already exists.\r\n"
    assert scene.left() == [b"b"]
    assert scene.tape.fed == [[b"DEL", b"a", b"c"]]
    target.lines = [b"+OK", b"+OK"]
    scene.migrate("b", "0", "1")
    assert target.received.count(b"SELECT") == 2, "after an error the selected database is not known"


def test_no_key_goes_when_the_login_is_refused() -> None:
    scene = Scene(ScriptedTarget([b"-WRONGPASS no", b"+OK", b"+OK"]))
    reply = scene.migrate("a", "0", "1", "AUTH", "x")
    assert reply == b"-ERR Target instance replied with error: WRONGPASS no\r\n"
    assert scene.left() == [b"a", b"b", b"c"]


@pytest.mark.parametrize("stale", [ScriptedTarget([GONE]), ScriptedTarget([], refuses_writes=True)])
def test_a_connection_that_is_gone_is_replaced_once(stale: ScriptedTarget) -> None:
    scene = Scene(stale, ScriptedTarget([b"+OK", b"+OK"]))
    assert scene.migrate("a", "0", "1") == b"+OK\r\n"
    assert len(scene.targets.asked) == 2


def test_the_second_loss_is_the_answer() -> None:
    scene = Scene(ScriptedTarget([GONE]), ScriptedTarget([b"+OK", GONE]))
    assert scene.migrate("a", "0", "1") == b"-IOERR error or timeout reading to target instance\r\n"
    assert len(scene.targets.asked) == 2
    scene = Scene(ScriptedTarget([], True), ScriptedTarget([], True))
    assert scene.migrate("a", "0", "1") == b"-IOERR error or timeout writing to target instance\r\n"


def test_a_slow_target_is_not_tried_again() -> None:
    scene = Scene(ScriptedTarget([SLOW]), ScriptedTarget([b"+OK", b"+OK"]))
    assert scene.migrate("a", "0", "1") == b"-IOERR error or timeout reading to target instance\r\n"
    assert len(scene.targets.asked) == 1 and scene.targets.kept is None


def test_a_loss_after_the_first_key_keeps_what_was_confirmed() -> None:
    scene = Scene(ScriptedTarget([b"+OK", b"+OK", GONE]), ScriptedTarget([b"+OK"] * 4))
    reply = scene.migrate("", "0", "1", "KEYS", "a", "b", "c")
    assert reply == b"-IOERR error or timeout reading to target instance\r\n"
    assert scene.left() == [b"b", b"c"]
    assert scene.tape.fed == [[b"DEL", b"a"]]
    assert len(scene.targets.asked) == 1


def test_a_target_out_of_reach_is_an_error() -> None:
    assert Scene().migrate("a", "0", "1") == b"-IOERR error or timeout connecting to the client\r\n"
