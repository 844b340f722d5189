"""Sentinels of any kind over servers of any kind, as processes: started, made quick, killed, asked.

Owns: their files, and the waits until they know one another.
Must not know: what is tested.
Invariants: as in servers.py; a group is ready when every Sentinel knows all replicas and all other Sentinels.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from support.servers import ServerProcess, program_of, wait_until
from support.wire import Argument, Reply, WireClient

NAME = "mymaster"
# Real ones wait for seconds here and there; tests need not.
QUICK_TIMINGS = ("info-period", "500", "publish-period", "300", "ping-period", "200", "ask-period", "300")


class SentinelProcess(ServerProcess):
    """One Sentinel: "gossamer", "redis-server" or "valkey-server". Its file is made at the first start."""

    def __init__(self, kind: str, lines: Sequence[str], port: int | None = None) -> None:
        super().__init__(kind, (), port, start=False)
        self.credentials: tuple[str, str] | None = None
        self.file = self.directory / "sentinel.conf"
        text = "\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", *lines, ""])
        self.file.write_text(text)

    def command_line(self) -> list[str]:
        return [*program_of(self.kind), str(self.file), "--sentinel"]

    def call(self, *argv: Argument) -> Reply:
        with self.client() as client:
            if self.credentials is not None:
                client.call("AUTH", *self.credentials)
            return client.call(*argv)

    def state(self, *argv: Argument) -> dict[str, str]:
        """The fields of a reply like SENTINEL MASTER's."""
        words = [word.decode() for word in self.call(*argv).plain()]
        return dict(zip(words[::2], words[1::2], strict=True))

    def states(self, *argv: Argument) -> list[dict[str, str]]:
        """The same for SENTINEL REPLICAS, SENTINELS, MASTERS."""
        found = []
        for each in self.call(*argv).plain():
            words = [word.decode() for word in each]
            found.append(dict(zip(words[::2], words[1::2], strict=True)))
        return found

    def primary_port(self) -> int:
        """Where this Sentinel says that the primary is."""
        address = self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME).plain()
        return int(address[1])

    def said(self, event: str) -> bool:
        """Whether its log has a line of this event."""
        return f" {event}" in self.log.read_text(errors="replace")


class SentinelGroup:
    """A primary, its replicas, and the Sentinels over them."""

    def __init__(
        self,
        sentinels: Iterable[str],
        servers: Iterable[str] = ("redis-server", "redis-server", "redis-server"),
        quorum: int = 2,
        down_after_ms: int | Sequence[int] = 500,
        lines: Sequence[str] = (),
        server_arguments: Sequence[str] = (),
        sentinel_lines: Sequence[str] = (),
        quick: bool = True,
    ) -> None:
        for kind in {*sentinels, *servers}:
            program_of(kind)  # ServerAbsent, before anything is started
        self.servers: list[ServerProcess] = []
        self.sentinels: list[SentinelProcess] = []
        self.server_arguments = list(server_arguments)
        self.quick = quick
        try:
            for kind in servers:
                self.add_server(kind)
            for index, kind in enumerate(sentinels):
                period = down_after_ms if isinstance(down_after_ms, int) else down_after_ms[index]
                own = [
                    f"sentinel monitor {NAME} 127.0.0.1 {self.servers[0].port} {quorum}",
                    f"sentinel down-after-milliseconds {NAME} {period}",
                    f"sentinel failover-timeout {NAME} 10000",
                    *(f"sentinel {line}" for line in lines),
                    *sentinel_lines,
                ]
                self.add_sentinel(kind, own)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> SentinelGroup:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def add_server(self, kind: str) -> ServerProcess:
        """The primary first, then replicas of it."""
        arguments = ["--repl-diskless-sync-delay", "0", "--bind", "127.0.0.1", *self.server_arguments]
        if self.servers:
            arguments += ["--replicaof", "127.0.0.1", str(self.servers[0].port)]
        server = ServerProcess(kind, arguments, start=False)
        self.servers.append(server)
        server.start()
        return server

    def add_sentinel(self, kind: str, lines: Sequence[str]) -> SentinelProcess:
        sentinel = SentinelProcess(kind, lines)
        self.sentinels.append(sentinel)
        sentinel.start()
        return sentinel

    def server_at(self, port: int) -> ServerProcess:
        return next(server for server in self.servers if server.port == port)

    # -- waiting ------------------------------------------------------------------------------------------

    def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Until everybody knows everybody."""
        if self.quick:
            for sentinel in self.sentinels:
                assert sentinel.call("SENTINEL", "DEBUG", *QUICK_TIMINGS).raw == b"+OK\r\n"
        wait_until(self.is_ready, timeout_s, "Sentinels that know one another")

    def is_ready(self) -> bool:
        for sentinel in self.sentinels:
            state = sentinel.state("SENTINEL", "MASTER", NAME)
            wanted = (str(len(self.servers) - 1), str(len(self.sentinels) - 1))
            if (state["num-slaves"], state["num-other-sentinels"]) != wanted or state["flags"] != "master":
                return False
            members = sentinel.states("SENTINEL", "REPLICAS", NAME) + sentinel.states(
                "SENTINEL", "SENTINELS", NAME
            )
            if any("down" in each["flags"] or "disconnected" in each["flags"] for each in members):
                return False
            if any(each.get("master-link-status", "ok") != "ok" for each in members):
                return False
        return True

    def wait_switch(
        self, old_port: int, sentinels: Sequence[SentinelProcess] = (), timeout_s: float = 30.0
    ) -> int:
        """Until these Sentinels (all of them) name one primary that is not the old one; its port."""
        asked = sentinels or self.sentinels

        def switched() -> bool:
            ports = {sentinel.primary_port() for sentinel in asked}
            return len(ports) == 1 and old_port not in ports

        wait_until(switched, timeout_s, "a new primary")
        return asked[0].primary_port()

    def wait_following(self, port: int, timeout_s: float = 30.0) -> None:
        """Until every server that runs is the primary at `port`, or follows it with its link up."""

        def follow() -> bool:
            for server in self.servers:
                if server.process is None or server.process.poll() is not None:
                    continue
                try:
                    with server.client() as client:
                        role = client.call("ROLE").plain()
                except ConnectionError:
                    return False  # a Sentinel has clients closed when it changes a role
                if role[0] == b"master" and server.port != port:
                    return False
                if role[0] == b"slave" and (role[2] != port or role[3] != b"connected"):
                    return False
            return True

        wait_until(follow, timeout_s, f"servers that follow {port}")

    def stop(self) -> None:
        for process in [*self.sentinels, *self.servers]:
            process.crash()
            process.stop()


def wait_for_write(ports: Iterable[int], timeout_s: float = 60.0) -> tuple[int, float]:
    """Try to write to each of the servers until one takes it: its port and the time (monotonic) of the reply."""
    deadline = time.monotonic() + timeout_s
    clients: dict[int, WireClient] = {}
    try:
        while time.monotonic() < deadline:
            for port in ports:
                try:
                    if port not in clients:
                        clients[port] = WireClient(port, timeout_s=2.0)
                    if clients[port].call("SET", "written", "1").raw == b"+OK\r\n":
                        return port, time.monotonic()
                except OSError:
                    clients.pop(port, None)
            time.sleep(0.005)
    finally:
        for client in clients.values():
            client.close()
    raise AssertionError(f"no server took a write within {timeout_s} s")
