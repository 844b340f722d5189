"""Listening sockets: addresses of `bind`, the unix socket, the TLS port; accepting and refusing clients."""

import os
import socket
import stat
from collections.abc import Callable
from typing import Final

from gossamer.base.errors import GossamerError
from gossamer.server.connection import Endpoint

ACCEPTS_PER_TURN: Final = 1000
EVERYWHERE: Final = {"0.0.0.0": "*", "::": "-::*"}  # as the directive bind spells them


class ListenError(GossamerError):
    """An address cannot be listened on; the text is the line for the log."""


class Listener(Endpoint):
    """One listening socket; each accepted socket goes to `welcome(sock, peer, local, over_tls)`."""

    def __init__(
        self,
        sock: socket.socket,
        over_tls: bool,
        welcome: Callable[[socket.socket, bytes, bytes, bool], None],
    ) -> None:
        self.socket = sock
        self.descriptor = sock.fileno()
        self.over_tls = over_tls
        self.welcome = welcome

    def on_readable(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                accepted, peer = self.socket.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionError:
                continue  # this peer is gone already
            except OSError:
                return  # descriptors ran out: the next turn tries again
            family = accepted.family
            try:
                local = accepted.getsockname()
            except OSError:
                accepted.close()
                continue
            self.welcome(
                accepted,
                printable_address(family, peer, local),
                printable_address(family, local, local),
                self.over_tls,
            )

    def close(self) -> None:
        self.socket.close()


def describe_listeners(listeners: list[Listener]) -> list[bytes]:
    """The values of INFO's listener0, listener1 ...: one for each kind of socket, with all its addresses."""
    addresses: dict[str, list[str]] = {}
    ports: dict[str, int] = {}
    for listener in listeners:
        name = listener.socket.getsockname()
        kind = "unix" if isinstance(name, str) else "tls" if listener.over_tls else "tcp"
        host = name if isinstance(name, str) else EVERYWHERE.get(name[0], name[0])
        addresses.setdefault(kind, []).append(f"bind={host}")
        if not isinstance(name, str):
            ports[kind] = name[1]
    described = []
    for kind, binds in addresses.items():
        port = f",port={ports[kind]}" if kind in ports else ""
        described.append(f"name={kind},{','.join(binds)}{port}".encode())
    return described


def printable_address(family: int, address: object, local: object) -> bytes:
    """`127.0.0.1:6379`, `[::1]:6379` or `/path:0`, as CLIENT LIST shows it."""
    if family == socket.AF_UNIX:
        path = local if isinstance(local, str) else ""
        return path.encode() + b":0"
    assert isinstance(address, tuple)
    host = str(address[0])
    port = int(address[1])
    return f"[{host}]:{port}".encode() if ":" in host else f"{host}:{port}".encode()


def listen_tcp(host: str, port: int, backlog: int, ipv6: bool) -> socket.socket:
    """A listening TCP socket that does not block."""
    sock = socket.socket(socket.AF_INET6 if ipv6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if ipv6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((host, port))
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def listen_addresses(binds: list[str], port: int, backlog: int) -> list[socket.socket]:
    """One socket per address of `bind`; an address with a leading '-' may be missing on this machine.

    Raises ListenError with Redis's words if an address that must be there cannot be bound.
    """
    sockets: list[socket.socket] = []
    for given in binds:
        optional = given.startswith("-")
        address = given[1:] if optional else given
        ipv6 = ":" in address
        host = {"*": "0.0.0.0", "::*": "::"}.get(address, address)
        try:
            sockets.append(listen_tcp(host, port, backlog, ipv6))
        except OSError as error:
            missing = error.errno in (99, 97, 93)  # not available, family or protocol not supported
            if optional and missing:
                continue
            for sock in sockets:
                sock.close()
            raise ListenError(
                f"Warning: Could not create server TCP listening socket {address}:{port}: bind: {error.strerror}"
            ) from error
    return sockets


def listen_unix(path: str, permissions: int, backlog: int) -> socket.socket:
    """A listening unix socket; a socket file that is left over is removed first."""
    try:
        if stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(path)
        if permissions:
            os.chmod(path, permissions)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise ListenError(f"Failed opening Unix socket: bind: {error.strerror}") from error
    return sock
