"""Gossamer inside the test's own process as a target: the whole path from bytes to bytes, without a listener.

Owns: a Server whose loop turns only when a client waits, and its clients. What it is good for: a
debugger, coverage, and a server that is not ready to be started as a process.
"""

from __future__ import annotations

import select
import socket
import tempfile

from gossamer.engine.config_file import start
from gossamer.server.config_door import FileSystemDoor
from gossamer.server.log import Log
from gossamer.server.server import Server
from support.wire import WireClient


class InProcessClient(WireClient):
    """A client whose waiting makes the server work."""

    def __init__(self, server: Server, timeout_s: float = 10.0) -> None:
        self.server = server
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ours = socket.create_connection(listener.getsockname())
            theirs, _ = listener.accept()
        for end in (ours, theirs):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.loop.adopt(theirs, b"127.0.0.1:1", b"127.0.0.1:2")
        self.connection = theirs
        self.start(ours, timeout_s)

    def _fill(self, timeout_s: float) -> bool:
        while timeout_s > 0 and not self.closed_by_server and not select.select([self.socket], [], [], 0)[0]:
            self.server.loop.turn()
        return super()._fill(0.0)


class InProcessTarget:
    """A Gossamer server that runs in this process."""

    def __init__(self, compat: str) -> None:
        self.name = f"gossamer in process as {compat}"
        self.directory = tempfile.TemporaryDirectory(prefix="gossamer-")
        words = [
            "--dir",
            self.directory.name,
            "--save",
            "",
            "--enable-debug-command",
            "yes",
            "--compat",
            compat,
        ]
        config = start([word.encode() for word in words], FileSystemDoor())
        self.server = Server(config, Log())
        self._control: InProcessClient | None = None

    def connect(self) -> InProcessClient:
        return InProcessClient(self.server)

    def control(self) -> InProcessClient:
        if self._control is None or self._control.closed_by_server:
            self._control = self.connect()
        return self._control

    def settle(self) -> None:
        self.control().call("PING")
        self.control().call("PING")

    def alive(self) -> bool:
        return True

    def explain(self) -> str:
        return ""
