"""MIGRATE between Gossamer and the real servers, and against a target that misbehaves, told apart from none of them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from conformance.conftest import Pair
from conformance.differential import ProcessTarget, Target, content_differences, content_of
from support.servers import ServerAbsent, ServerPool, start_gossamer, start_peer, wait_until
from support.wire import Argument, WireClient, encode

pytestmark = pytest.mark.peers

COMPATS = ["redis:7.0", "valkey:8.0"]
LARGE = 700  # more elements than any packed encoding holds
FILL: list[list[Argument]] = [
    ["SET", "string", "text"],
    ["SET", b"\x00\r\n\xff bin ary", b"\x00\xff\r\n" * 100],
    ["SET", "number", "-12345"],
    ["SET", "long", b"x" * 300_000],
    ["SET", "", "the empty key"],
    ["SET", "with-ttl", "x", "PX", 500_000],
    ["RPUSH", "list", "a", 1, b"\x00"],
    ["RPUSH", "large-list", *range(LARGE), b"y" * 20_000],
    ["SADD", "intset", 1, 2, 70_000],
    ["SADD", "set", "a", "b", b"\xff"],
    ["SADD", "large-set", *(f"m{n}" for n in range(LARGE))],
    ["HSET", "hash", "f", "v", b"\x00", b"\x01"],
    ["HSET", "large-hash", *range(2 * LARGE)],
    ["ZADD", "zset", "1.5", "a", "-inf", "b", "1e300", b"\x00"],
    ["ZADD", "large-zset", *(word for n in range(LARGE) for word in (n / 7, f"m{n}"))],
    ["XADD", "stream", "1-1", "f", "v"],
    ["XADD", "stream", "5-0", "g", "w"],
    ["XGROUP", "CREATE", "stream", "group", "0"],
    ["XREADGROUP", "GROUP", "group", "bob", "COUNT", "1", "STREAMS", "stream", ">"],
    ["SETBIT", "bits", 100_000, 1],
    ["PFADD", "hll", *range(100)],
    ["EXPIRE", "large-zset", 1000],
]


def server_of(servers: ServerPool, kind: str, compat: str) -> ProcessTarget:
    try:
        return ProcessTarget(servers.get(kind, compat), f"{kind} {compat}")
    except ServerAbsent as absent:
        pytest.skip(f"{absent} is absent")


def values_of(target: Target) -> dict[str, object]:
    """The content without encodings and the order that some of them keep, and without times of consumers."""
    values: dict[str, object] = {}
    for name, entry in content_of(target).items():
        assert isinstance(entry, tuple)
        kind, _, life, value = entry
        if kind == b"hash":
            value = sorted(
                value if isinstance(value[0], tuple) else zip(value[::2], value[1::2], strict=True)
            )
        elif kind == b"set":
            value = sorted(value)
        elif kind == b"stream":
            value = value[: value.index(b"groups")]
        values[name] = (kind, b"", life, value)
    return values


@pytest.mark.parametrize("direction", ["from Gossamer", "to Gossamer"])
@pytest.mark.parametrize("peer", COMPATS)
def test_every_value_moves_to_the_other_server(peer: str, direction: str, servers: ServerPool) -> None:
    ours, theirs = server_of(servers, "gossamer", peer), server_of(servers, "peer", peer)
    source, destination = (ours, theirs) if direction == "from Gossamer" else (theirs, ours)
    for target in (ours, theirs):
        target.control().call("FLUSHALL")
    control = source.control()
    assert not [reply for reply in control.pipeline(FILL) if reply.is_error]
    content = values_of(source)
    keys = control.call("KEYS", "*").plain()
    port = destination.server.port
    assert control.call("MIGRATE", "127.0.0.1", port, "string", 0, 5000).raw == b"+OK\r\n"
    reply = control.call("MIGRATE", "127.0.0.1", port, "", 0, 5000, "KEYS", *keys)
    assert reply.raw == b"+OK\r\n"
    assert control.call("DBSIZE").value == 0
    assert not content_differences(content, values_of(destination))
    pending = destination.control().call("XPENDING", "stream", "group").plain()
    assert pending[0] == 1


def test_a_server_that_answers_as_another_version_moves_keys_to_the_oldest(servers: ServerPool) -> None:
    """The RDB version that is written decides, not the version that is answered as."""
    old = server_of(servers, "peer", "redis:7.0")
    old.control().call("FLUSHALL")
    with start_gossamer("redis:7.2") as server, server.client() as client:
        client.call("SADD", "set", "a", "b")
        assert client.call("MIGRATE", "127.0.0.1", old.server.port, "set", 0, 5000).raw == b"+OK\r\n"
    assert sorted(old.control().call("SMEMBERS", "set").plain()) == [b"a", b"b"]


class ScriptedServer:
    """A listening socket whose n-th connection answers with the n-th script: replies, b"" closes, None is silence.

    A reply is sent when a request has arrived for it.
    """

    def __init__(self, scripts: list[list[bytes | None]]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.scripts = scripts
        self.received: list[bytes] = []
        self.threads: list[threading.Thread] = []
        self.sockets: list[socket.socket] = []
        self.acceptor = threading.Thread(target=self.accept, daemon=True)
        self.acceptor.start()

    def accept(self) -> None:
        for number, script in enumerate(self.scripts):
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.sockets.append(connection)
            self.received.append(b"")
            thread = threading.Thread(target=self.serve, args=(connection, number, script), daemon=True)
            thread.start()
            self.threads.append(thread)

    def serve(self, connection: socket.socket, number: int, script: list[bytes | None]) -> None:
        answered = 0
        with contextlib.suppress(OSError):
            while answered < len(script):
                while requests_in(self.received[number]) <= answered:
                    data = connection.recv(1 << 16)
                    if not data:
                        return
                    self.received[number] += data
                reply = script[answered]
                if reply == b"":
                    connection.shutdown(socket.SHUT_RDWR)
                    return
                if reply is None:
                    return  # the socket stays open
                connection.sendall(reply + b"\r\n")
                answered += 1

    def close(self) -> None:
        self.listener.close()
        for connection in self.sockets:
            connection.close()


def requests_in(data: bytes) -> int:
    """How many whole requests stand in data."""
    count = position = 0
    while position < len(data):
        end = data.find(b"\r\n", position)
        if end < 0:
            break
        words = int(data[position + 1 : end])
        position = end + 2
        for _ in range(words):
            end = data.find(b"\r\n", position)
            if end < 0:
                return count
            position = end + 2 + int(data[position + 1 : end]) + 2
            if position > len(data):
                return count
        count += 1
    return count


OK = b"+OK"
SCENES: dict[str, tuple[list[list[bytes | None]], list[list[Argument]]]] = {
    "plain": ([[OK] * 9], [["a", 0, 500], ["b", 0, 500], ["c", 1, 500]]),
    "copy and replace": ([[OK] * 9], [["a", 0, 500, "COPY", "REPLACE"], ["a", 0, 500, "replace"]]),
    "several": ([[OK] * 9], [["", 0, 500, "KEYS", "a", "none", "b", "a"]]),
    "same key twice": ([[OK, OK, b"-BUSYKEY there"]], [["", 0, 500, "KEYS", "a", "a"]]),
    "login": ([[OK] * 9], [["a", 0, 500, "AUTH", "secret"], ["b", 0, 500, "AUTH2", "bob", "secret"]]),
    "login refused": ([[b"-ERR no", OK, OK, OK, OK, OK]], [["a", 0, 500, "AUTH", "x"], ["a", 0, 500]]),
    "select refused": (
        [[b"-ERR DB index is out of range", OK, OK, OK]],
        [["a", 99, 500], ["a", 99, 500]],
    ),
    "one refused": (
        [[OK, OK, b"-BUSYKEY x", OK, OK, OK]],
        [["", 0, 500, "KEYS", "a", "b", "c"], ["b", 0, 500]],
    ),
    "all refused": ([[OK, b"-A 1", b"-B 2"]], [["", 0, 500, "KEYS", "a", "b"]]),
    "lost at once": ([[b""], [OK] * 3], [["a", 0, 500]]),
    "lost twice": ([[b""], [b""], [OK] * 3], [["a", 0, 500], ["a", 0, 500]]),
    "lost at the first key": ([[OK, b""], [OK] * 3], [["a", 0, 500]]),
    "lost at the second key": (
        [[OK, OK, b""], [OK] * 3],
        [["", 0, 500, "KEYS", "a", "b", "c"], ["b", 0, 500]],
    ),
    "lost after a refusal": (
        [[OK, b"-ERR x", b""], [OK] * 3],
        [["", 0, 500, "KEYS", "a", "b"], ["b", 0, 500]],
    ),
    "silent": ([[None], [OK] * 3], [["a", 0, 150], ["a", 0, 500]]),
    "silent at the second key": ([[OK, OK, None], [OK] * 3], [["", 0, 150, "KEYS", "a", "b"], ["b", 0, 500]]),
    "stale connection": ([[OK, OK, b""], [OK] * 3], [["a", 0, 500], ["b", 0, 500]]),
    "negative database": ([[b"-ERR x", b"-ERR y"]], [["a", -1, 500]]),
    "huge numbers": ([[OK, OK]], [["a", "9223372036854775807", "9223372036854775807"]]),
}
# Requests that reach no target.
REFUSED: list[list[Argument]] = [
    [],
    ["127.0.0.1"],
    ["127.0.0.1", 1, "a", 0],
    ["127.0.0.1", 1, "a", 0, 100],
    ["127.0.0.1", 0, "a", 0, 100],
    ["127.0.0.1", "x", "a", 0, 100],
    ["127.0.0.1", -5, "a", 0, 100],
    ["", 1, "a", 0, 100],
    ["no such host", 1, "a", 0, 100],
    [b"\xff\x00", 1, "a", 0, 100],
    ["127.0.0.1", 1, "none", 0, 100],
    ["127.0.0.1", 1, "", 0, 100],
    ["127.0.0.1", 1, "a", "x", 100],
    ["127.0.0.1", 1, "a", 0, "x"],
    ["127.0.0.1", 1, "a", 0, "9223372036854775808"],
    ["127.0.0.1", 1, "a", 0, 100, "nonsense"],
    ["127.0.0.1", 1, "a", 0, 100, "COPY", "COPY", "REPLACE", "nonsense"],
    ["127.0.0.1", 1, "a", 0, 100, "AUTH"],
    ["127.0.0.1", 1, "a", 0, 100, "AUTH2", "x"],
    ["127.0.0.1", 1, "a", "x", 100, "nonsense"],
    ["127.0.0.1", 1, "a", 0, 100, "KEYS", "a"],
    ["127.0.0.1", 1, "a", 0, 100, "KEYS"],
    ["127.0.0.1", 1, "", 0, 100, "KEYS"],
    ["127.0.0.1", 1, "", 0, 100, "KEYS", "none"],
    ["127.0.0.1", 1, "", 0, 100, "AUTH", "KEYS", "KEYS", "none"],
]


def play(server: ProcessTarget, name: str) -> tuple[list[bytes], list[bytes], list[bytes], bytes]:
    """Replies, what each connection of the target received, the keys that are left, and the events."""
    scripts, requests = SCENES[name]
    target = ScriptedServer(scripts)
    with server.server.client() as client, server.server.client() as listener:
        client.pipeline([("FLUSHALL",), *(("SET", key, "value of " + key) for key in "abc")])
        listener.call("CONFIG", "SET", "notify-keyspace-events", "KA")
        listener.call("PSUBSCRIBE", "*")
        replies = [client.call("MIGRATE", "127.0.0.1", target.port, *request).raw for request in requests]
        left = sorted(client.call("KEYS", "*").plain())
        client.call("PING")
        time.sleep(0.01)
        events = b"".join(reply.raw for reply in listener.available())
    with server.server.client() as client:
        client.call("CONFIG", "SET", "notify-keyspace-events", "")
    target.close()
    return replies, [received for received in target.received], left, events


@pytest.mark.parametrize("compat", COMPATS)
def test_a_target_sees_and_causes_what_it_does_with_the_real_server(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    assert isinstance(ours, ProcessTarget) and isinstance(theirs, ProcessTarget)
    ours.control().call("CONFIG", "SET", "rdb-version", "10" if compat == "redis:7.0" else "11")
    wrong = []
    for name in SCENES:
        mine, other = play(ours, name), play(theirs, name)
        if mine != other:
            wrong.append(f"{name}:\n  ours:   {mine}\n  theirs: {other}")
    ours.control().call("CONFIG", "SET", "rdb-version", "10")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("compat", COMPATS)
def test_what_is_refused_is_refused_in_the_same_words(compat: str, targets: Pair) -> None:
    ours, theirs = targets(compat)
    wrong = []
    for target in (ours, theirs):
        target.control().pipeline([("FLUSHALL",), ("SET", "a", "x")])
    for request in REFUSED:
        words = [word if isinstance(word, bytes) else str(word) for word in request]
        mine = ours.control().call("MIGRATE", *words)
        other = theirs.control().call("MIGRATE", *words)
        if mine != other:
            wrong.append(f"{request}: {mine}, the real server says {other}")
    assert not wrong, "\n".join(wrong)


def appended(client: WireClient, text: bytes) -> bytes:
    """What the append only file got, from where `text` was set."""
    name = client.call("CONFIG", "GET", "dir").plain()[1].decode()
    from pathlib import Path

    path = next(Path(name).glob("appendonlydir/*.incr.aof"))
    return path.read_bytes().partition(text)[2]


@pytest.mark.parametrize("compat", COMPATS)
def test_the_append_only_file_gets_one_del(compat: str) -> None:
    """Of the keys that were confirmed, and of those alone."""
    logs = []
    for start in (start_gossamer, start_peer):
        try:
            server = start(compat, "--appendonly", "yes", "--appendfsync", "always")
        except ServerAbsent as absent:
            pytest.skip(f"{absent} is absent")
        with server, server.client() as client:
            for name, (scripts, requests) in SCENES.items():
                if name.startswith(("silent", "huge")):
                    continue
                target = ScriptedServer(scripts)
                client.pipeline([("SET", key, "value of " + key) for key in "abc"])
                client.call("SET", "here", name)
                for request in requests:
                    client.call("MIGRATE", "127.0.0.1", target.port, *request)
                target.close()
            logs.append(appended(client, b"plain"))
    assert logs[0] == logs[1]
    assert encode(["DEL", "a", "b", "a"]) in logs[0]


@contextlib.contextmanager
def counted(client: WireClient) -> Iterator[list[int]]:
    """How many connections to targets INFO tells of."""

    def look() -> int:
        text = client.call("INFO", "stats").plain()
        return int(text.partition(b"migrate_cached_sockets:")[2].split(b"\r\n")[0])

    found = [look()]
    yield found
    found.append(look())


def test_connections_are_counted(servers: ServerPool) -> None:
    target = ScriptedServer([[OK] * 2])
    with server_of(servers, "gossamer", "redis:7.0").server.client() as client:
        client.call("SET", "k", "v")
        with counted(client) as found:
            assert client.call("MIGRATE", "127.0.0.1", target.port, "k", 0, 500).raw == b"+OK\r\n"
        assert found[1] == found[0] + 1
    target.close()


def test_the_target_gets_the_shortest_life_of_a_key(targets: Pair) -> None:
    ours, _ = targets("redis:7.0")
    assert isinstance(ours, ProcessTarget)
    target = ScriptedServer([[OK] * 2])
    control = ours.control()
    control.pipeline([("FLUSHALL",), ("SET", "k", "v", "PX", "100000")])
    assert control.call("MIGRATE", "127.0.0.1", target.port, "k", 0, 500).raw == b"+OK\r\n"
    wait_until(lambda: b"RESTORE" in target.received[0])
    life = int(target.received[0].partition(b"\r\nk\r\n")[2].split(b"\r\n")[1])
    assert 95_000 < life <= 100_000
    target.close()
