"""Where the server listens: the sockets that `bind`, `port`, `tls-port` and `unixsocket` ask for, kept so.

Owns: the listeners, and how CONFIG SET moves them.
Must not know: clients; an accepted socket goes to `welcome`.
Invariant: after a refused change the old addresses are listened on again (the Config asks once more, with the old
values).
"""

import os
import socket
from collections.abc import Callable

from gossamer.base.errors import ConfigError
from gossamer.engine.config import Config
from gossamer.server.listener import Listener, ListenError, listen_addresses, listen_unix
from gossamer.server.log import Log
from gossamer.server.loop import Loop

Welcome = Callable[[socket.socket, bytes, bytes, bool], None]
Place = tuple[str, int, bool]  # address as `bind` spells it, port, whether over TLS


class Listening:
    """All listening sockets of a server; `listeners` keeps its identity."""

    def __init__(self, config: Config, loop: Loop, log: Log, welcome: Welcome) -> None:
        self.config = config
        self.loop = loop
        self.log = log
        self.welcome = welcome
        self.listeners: list[Listener] = []
        self.places: dict[Place, list[Listener]] = {}
        self.unix_path = ""

    def open(self) -> None:
        """Listen wherever the configuration says; raises ListenError."""
        config = self.config
        self.move()
        self.unix_path = os.fsdecode(config.text("unixsocket"))
        if self.unix_path:
            sock = listen_unix(self.unix_path, config.number("unixsocketperm"), config.number("tcp-backlog"))
            self.add(sock, False)
        config.on_change("bind", self.apply_bind)
        config.on_change("port", self.apply_port)
        config.on_change("tls-port", self.apply_port)

    def close(self) -> None:
        """Give every socket back, and the unix socket's file."""
        for listener in self.listeners:
            self.loop.remove(listener.descriptor)
            listener.close()
        self.listeners.clear()
        self.places.clear()
        if self.unix_path:
            try:
                os.unlink(self.unix_path)
            except FileNotFoundError:
                return

    def wanted(self) -> list[Place]:
        """Every TCP place that the configuration names, as often as it does."""
        places: list[Place] = []
        for name, over_tls in (("port", False), ("tls-port", True)):
            port = self.config.number(name)
            if port:
                places += [(os.fsdecode(address), port, over_tls) for address in self.config.addresses()]
        return places

    def move(self) -> None:
        """Close what is no longer wanted, then open what is missing; raises ListenError."""
        wanted = self.wanted()
        for place in list(self.places):
            if place not in wanted:
                for listener in self.places.pop(place):
                    self.drop(listener)
        seen: set[Place] = set()
        for place in wanted:
            address, port, over_tls = place
            if place in self.places and place not in seen:
                seen.add(place)
                continue
            # An address that is named twice is opened twice, and refused by the system as in Redis.
            sockets = listen_addresses([address], port, self.config.number("tcp-backlog"))
            seen.add(place)
            self.places.setdefault(place, []).extend([self.add(sock, over_tls) for sock in sockets])

    def add(self, sock: socket.socket, over_tls: bool) -> Listener:
        listener = Listener(sock, over_tls, self.welcome)
        self.listeners.append(listener)
        self.loop.add(listener.descriptor, listener)
        return listener

    def drop(self, listener: Listener) -> None:
        self.listeners.remove(listener)
        self.loop.remove(listener.descriptor)
        listener.close()

    def apply_bind(self) -> None:
        self.apply("Failed to bind to specified addresses.")

    def apply_port(self) -> None:
        self.apply("Unable to listen on this port. Check server logs.")

    def apply(self, refusal: str) -> None:
        try:
            self.move()
        except ListenError as error:
            self.log.warning(str(error))
            raise ConfigError(refusal) from None
