"""One Sentinel on a bench: everything that it does is noted, everything that it hears is said by the test.

Owns a door that remembers, and the few words in which a test speaks. Must not know what is expected.
"""

from __future__ import annotations

from gossamer.resp.writer import ReplyWriter
from gossamer.sentinel import commands
from gossamer.sentinel.doors import LOG_DEBUG, ScriptJob, SentinelDoor
from gossamer.sentinel.instances import (
    REQUEST_INFO,
    REQUEST_IS_DOWN,
    REQUEST_PING,
    Connection,
    Instance,
    Request,
    SentinelState,
    add_primary,
)
from gossamer.sentinel.machine import Sentinel

START_MS = 1_000_000_000
MY_ID = b"a" * 40


class BenchDoor(SentinelDoor):
    """Remembers; its disk can be made to fail, addresses to be unknown."""

    def __init__(self) -> None:
        self.sent: list[tuple[Connection, list[bytes], Request]] = []
        self.opened: list[Connection] = []
        self.closed: list[Connection] = []
        self.events: list[tuple[bytes, bytes]] = []
        self.scripts: list[list[bytes]] = []
        self.logged: list[bytes] = []
        self.saves = 0
        self.fails = False
        self.names: dict[bytes, bytes] = {}
        self.exited = False
        self.jobs: list[ScriptJob] = []

    def open(self, connection: Connection) -> None:
        self.opened.append(connection)

    def close(self, connection: Connection) -> None:
        self.closed.append(connection)

    def send(self, connection: Connection, argv: list[bytes], request: Request) -> bool:
        self.sent.append((connection, argv, request))
        return True

    def local_host(self, connection: Connection) -> bytes:
        return b"10.9.9.9"

    def publish(self, channel: bytes, message: bytes) -> None:
        self.events.append((channel, message))

    def save(self) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        self.saves += 1

    def run_script(self, argv: list[bytes]) -> None:
        self.scripts.append(argv)

    def pending_scripts(self) -> list[ScriptJob]:
        return self.jobs

    def is_executable(self, path: bytes) -> bool:
        return path.startswith(b"/bin/")

    def random_below(self, limit: int) -> int:
        return 0

    def log(self, level: int, text: bytes) -> None:
        if level > LOG_DEBUG:
            self.logged.append(text)

    def time_text(self, at_ms: int) -> bytes:
        return b"%d" % at_ms

    def resolve(self, host: bytes, names: bool) -> bytes | None:
        if host[:1].isdigit():
            return host
        return self.names.get(host) if names else None

    def exit(self, text: bytes) -> None:
        self.exited = True


class Bench:
    """A Sentinel that watches `main` at 10.0.0.1:6379."""

    def __init__(self, quorum: int = 2) -> None:
        self.door = BenchDoor()
        self.state = SentinelState()
        self.state.my_id = MY_ID
        self.now = START_MS
        self.primary = add_primary(self.state, self.door, b"main", b"10.0.0.1", 6379, quorum, self.now)
        self.primary.down_after_ms = 3000
        self.primary.failover_timeout_ms = 10_000
        self.machine = Sentinel(self.state, self.door)
        self.machine.start(self.now)
        self.door.events.clear()

    # -- time and what arrives ----------------------------------------------------------------------------

    def pass_ms(self, length_ms: int, answers: bool = True) -> None:
        """Tick through a time; PING is answered by everybody unless told otherwise."""
        end = self.now + length_ms
        while self.now < end:
            self.now = min(self.now + 100, end)
            self.machine.tick(self.now)
            if answers:
                self.answer_pings()

    def answer_pings(self, but: Instance | None = None) -> None:
        for connection, _, request in self.take(REQUEST_PING):
            if request.instance is not but:
                self.machine.on_reply(connection, request, b"PONG", self.now)

    def take(self, kind: int) -> list[tuple[Connection, list[bytes], Request]]:
        """What was sent of a kind and is not answered; it is then."""
        found = [each for each in self.door.sent if each[2].kind == kind]
        self.door.sent = [each for each in self.door.sent if each[2].kind != kind]
        return found

    def tell_info(self, instance: Instance, text: bytes) -> None:
        """Answer INFO whether it was asked or not."""
        self.take(REQUEST_INFO)
        connection = instance.link.commands
        assert connection is not None
        instance.link.pending_commands += 1
        self.machine.on_reply(connection, Request(REQUEST_INFO, instance), text, self.now)

    def tell_vote(self, sentinel: Instance, down: int, leader: bytes, epoch: int) -> None:
        connection = sentinel.link.commands
        assert connection is not None
        sentinel.link.pending_commands += 1
        reply: list[object] = [down, leader, epoch]
        self.machine.on_reply(connection, Request(REQUEST_IS_DOWN, sentinel), reply, self.now)

    def hello(self, text: bytes) -> None:
        connection = self.primary.link.messages
        assert connection is not None
        self.machine.on_message(connection, [b"message", b"__sentinel__:hello", text], self.now)

    def ask(self, *words: bytes) -> bytes:
        """SENTINEL ..., as a client."""
        reply = ReplyWriter()
        self.machine.now_ms = self.now
        commands.sentinel(self.machine, [b"SENTINEL", *words], reply)
        return reply.out.getvalue()

    # -- what is there ------------------------------------------------------------------------------------

    def events(self, *kinds: bytes) -> list[bytes]:
        """The texts of the events of these kinds so far, or of all."""
        return [kind + b" " + text for kind, text in self.door.events if not kinds or kind in kinds]

    def meet(self, number: int) -> Instance:
        """Another Sentinel says hello; its id is the digit forty times."""
        run_id = b"%d" % number * 40
        self.hello(b"10.0.1.%d,26379,%s,0,main,10.0.0.1,6379,0" % (number, run_id))
        return self.primary.sentinels[run_id]

    def add_replicas(self, *numbers: int) -> list[Instance]:
        """Replicas as the primary's INFO tells them, each known in its turn."""
        lines = [
            b"slave%d:ip=10.0.0.%d,port=6379,state=online,offset=0,lag=0" % (index, number)
            for index, number in enumerate(numbers)
        ]
        self.tell_info(self.primary, b"\r\n".join([b"run_id:" + b"1" * 40, b"role:master", *lines]))
        replicas = [self.primary.replicas[b"10.0.0.%d:6379" % number] for number in numbers]
        self.pass_ms(200)
        for replica in replicas:
            self.tell_info(replica, self.replica_info(b"10.0.0.1"))
        return replicas

    @staticmethod
    def replica_info(of: bytes, offset: int = 100, priority: int = 100, link: bytes = b"up") -> bytes:
        return (
            b"role:slave\r\nmaster_host:%s\r\nmaster_port:6379\r\nmaster_link_status:%s\r\n"
            b"slave_repl_offset:%d\r\nslave_priority:%d\r\n" % (of, link, offset, priority)
        )
