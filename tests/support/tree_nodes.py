"""One server of a replication tree, with the link to whom it follows.

Owns: how it is started, told whom to follow, paused, and asked where it stands and what it holds.
Must not know: which faults there are, what is compared.
"""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import time
from collections.abc import Sequence

from conformance.differential import ProcessTarget, content_of
from support.links import Link
from support.servers import ServerProcess

GOSSAMER, REDIS, VALKEY = "gossamer", "redis-server", "valkey-server"
FOLLOW_WITHIN_S = 15.0
PORTS = (10_000, 32_000)  # below those that are given to whoever asks for any
LATER = (b"-LOADING", b"-ERR REPLICAOF not allowed while failing over")


def lasting_port() -> int:
    """A free one that the kernel gives to nobody else while its server is down."""
    while True:
        port = random.SystemRandom().randrange(*PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class Broken(AssertionError):
    """What must hold does not."""


class Node:
    """One server and its link to whom it follows."""

    def __init__(self, number: int, kind: str, options: Sequence[str], seed: int) -> None:
        self.number = number
        self.kind = kind
        self.options = list(options)
        self.server = ServerProcess(kind, self.options, port=lasting_port(), start=False)
        self.link = Link(0, seed)
        self.parent: Node | None = None
        self.paused = False

    @property
    def name(self) -> str:
        return f"{self.number}:{self.kind}"

    def is_up(self) -> bool:
        return self.server.process is not None and self.server.process.poll() is None

    def start(self) -> None:
        following = ["--replicaof", f"127.0.0.1 {self.link.port}"] if self.parent is not None else []
        self.server.arguments = [*self.options, *following]
        self.server.start()

    def follow(self, parent: Node | None) -> None:
        """As of now and of any later start."""
        self.place(parent)
        self.take_place()

    def place(self, parent: Node | None) -> None:
        """Where it is to stand, whether it can be told now or not."""
        self.parent = parent
        if parent is not None:
            self.link.lead_to(parent.server.port)

    def take_place(self) -> None:
        """Tell it whom to follow; no harm where it does."""
        if not self.is_up():
            return
        words = ("NO", "ONE") if self.parent is None else ("127.0.0.1", str(self.link.port))
        reply = self.call("REPLICAOF", *words)
        deadline = time.monotonic() + FOLLOW_WITHIN_S
        while reply.startswith(LATER) and time.monotonic() < deadline:
            self.link.heal()  # what it loads may come over it
            time.sleep(0.05)
            reply = self.call("REPLICAOF", *words)
        if not reply.startswith(b"+OK"):
            raise Broken(f"{self.name}: REPLICAOF {' '.join(words)}: {reply!r}")

    def call(self, *argv: str, timeout_s: float = 10.0) -> bytes:
        with self.server.client(timeout_s=timeout_s) as client:
            return client.call(*argv).raw

    def pause(self) -> None:
        if self.server.process is not None:
            self.server.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self) -> None:
        if self.paused and self.is_up():
            assert self.server.process is not None
            self.server.process.send_signal(signal.SIGCONT)
        self.paused = False

    def info(self, *sections: str) -> dict[str, str]:
        with self.server.client() as client:
            text = client.call("INFO", *sections).plain()
        if not isinstance(text, bytes):
            return {}
        return dict(line.split(":", 1) for line in text.decode(errors="replace").splitlines() if ":" in line)

    def where(self) -> tuple[str, str]:
        """Replication id and offset; of a replica whose link is down neither."""
        info = self.info("replication")
        if self.parent is None:
            return info.get("master_replid", ""), info.get("master_repl_offset", "unknown")
        if info.get("role") != "slave" or info.get("master_link_status") != "up":
            return "", "link down"
        return info["master_replid"], info["slave_repl_offset"]

    def digest(self) -> bytes:
        return self.call("DEBUG", "DIGEST", timeout_s=30.0)

    def functions(self) -> bytes:
        with self.server.client() as client:
            libraries = client.call("FUNCTION", "LIST", "WITHCODE").plain()
        return repr(sorted(map(repr, libraries))).encode()

    def content(self) -> dict[str, object]:
        return {
            key: essence(value) for key, value in content_of(ProcessTarget(self.server, self.name)).items()
        }


def essence(entry: object) -> object:
    """What servers of different makes have in common of a key: type, value, no encoding, no TTL."""
    assert isinstance(entry, tuple)
    kind, _, expire, value = entry
    if kind == b"set":
        value = sorted(value)
    elif kind == b"hash" and value and isinstance(value[0], bytes):
        value = sorted(zip(value[::2], value[1::2], strict=True))
    elif kind == b"stream":
        value = stream_essence(value)
    elif kind == b"zset":
        value = [word if i % 2 == 0 else float(word) for i, word in enumerate(value)]
    return kind, expire == -1, value


def stream_essence(value: object) -> object:
    """XINFO STREAM FULL without the shape of the tree and what only newer servers tell."""
    if not isinstance(value, list):
        return value
    result = []
    skip = False
    for item in value:
        if skip:
            skip = False
        elif item in (b"radix-tree-keys", b"radix-tree-nodes", b"seen-time", b"active-time"):
            skip = True
        else:
            result.append(stream_essence(item))
    return result
