"""TCP connections that misbehave on demand: what stands between a replica and its primary.

Owns: listening, carrying bytes both ways in pieces of random size, and the faults: cut (at once or behind so
many bytes), stall, throttle, refuse.
Must not know: what is said over it.
Invariants: bytes arrive in order, none is made up, and none is lost but at the end of a connection that was
cut; after `heal()` a link carries what it is given.
"""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time

LARGEST_PIECE_BYTES = 65536
STEP_S = 0.01


class Link:
    """A port of its own that leads to `target_port`, which may change (for connections to come)."""

    def __init__(self, target_port: int, seed: int) -> None:
        self.target_port = target_port
        self.rng = random.Random(seed)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.sockets: set[socket.socket] = set()
        self.refuses = False
        self.stalled_until = 0.0
        self.bytes_per_s = 0
        self.left_bytes = -1  # before the cut; -1: no cut is due
        self.carried_bytes = 0
        self.closed = False
        threading.Thread(target=self._accept, daemon=True, name=f"link-{self.port}").start()

    # -- faults -------------------------------------------------------------------------------------------

    def cut(self, hard: bool = False) -> None:
        """End every connection; hard: with a reset."""
        with self.lock:
            sockets, self.sockets = self.sockets, set()
        for end in sockets:
            with contextlib.suppress(OSError):
                if hard:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RDWR)

    def cut_after(self, count: int) -> None:
        """Cut behind so many more bytes, either way."""
        self.left_bytes = count

    def stall(self, seconds: float) -> None:
        """Carry nothing for so long; nobody is told."""
        self.stalled_until = time.monotonic() + seconds

    def heal(self) -> None:
        self.refuses = False
        self.stalled_until = 0.0
        self.bytes_per_s = 0
        self.left_bytes = -1

    def lead_to(self, port: int) -> None:
        """From now on to another server."""
        self.target_port = port
        self.cut()

    def close(self) -> None:
        self.closed = True
        self.listener.close()
        self.cut()

    # -- bytes --------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while not self.closed:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if self.refuses:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.target_port), timeout=2.0)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.sockets |= {near, far}
            left = [2]  # directions that carry
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink, left), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, left: list[int]) -> None:
        rng = random.Random(self.rng.random())
        try:
            while True:
                while time.monotonic() < self.stalled_until and not self.closed:
                    time.sleep(STEP_S)
                data = source.recv(
                    rng.choice((rng.randint(1, 200), LARGEST_PIECE_BYTES, LARGEST_PIECE_BYTES))
                )
                if not data:
                    break
                while time.monotonic() < self.stalled_until and not self.closed:
                    time.sleep(STEP_S)
                if 0 <= self.left_bytes <= len(data):
                    sink.sendall(data[: self.left_bytes])
                    self.left_bytes = -1
                    self.cut()
                    break
                if self.left_bytes > 0:
                    self.left_bytes -= len(data)
                sink.sendall(data)
                self.carried_bytes += len(data)
                if self.bytes_per_s:
                    time.sleep(len(data) / self.bytes_per_s)
        except OSError:
            pass
        finally:
            for end in (source, sink):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            with self.lock:
                left[0] -= 1
                if not left[0]:
                    self.sockets -= {source, sink}
                    source.close()
                    sink.close()
