"""What a Sentinel's machine asks of the world, done with sockets, files, processes and the system's names.

Owns nothing of its own: it hands each wish to the part that fulfils it.
"""

import os
import secrets
import socket
import time

from gossamer.engine.config_file import rewrite
from gossamer.engine.engine import Engine
from gossamer.sentinel.doors import ScriptJob, SentinelDoor
from gossamer.sentinel.instances import Connection, Request
from gossamer.server.log import Log
from gossamer.server.sentinel_links import SentinelLinks
from gossamer.server.sentinel_names import Names
from gossamer.server.sentinel_scripts import SentinelScripts

SIMULATED_FAILURE_STATUS = 99


class SystemSentinelDoor(SentinelDoor):
    """The door of a running process."""

    def __init__(self, engine: Engine, links: SentinelLinks, scripts: SentinelScripts, log: Log) -> None:
        self.engine = engine
        self.links = links
        self.scripts = scripts
        self.names = Names()
        self.logs = (log.debug, log.verbose, log.notice, log.warning)

    # -- connections --------------------------------------------------------------------------------------

    def open(self, connection: Connection) -> None:
        self.links.open(connection)

    def close(self, connection: Connection) -> None:
        self.links.close(connection)

    def send(self, connection: Connection, argv: list[bytes], request: Request) -> bool:
        return self.links.send(connection, argv, request)

    def local_host(self, connection: Connection) -> bytes:
        return self.links.local_host(connection)

    def resolve(self, host: bytes, names: bool) -> bytes | None:
        text = host.decode("utf-8", "surrogateescape")
        for family in (socket.AF_INET, socket.AF_INET6):
            try:
                socket.inet_pton(family, text)
            except (OSError, ValueError, UnicodeError):
                continue
            return host
        address = self.names.resolve(text) if names and text else ""
        if address:
            return address.encode()
        self.logs[3](f"Failed to resolve hostname '{text}'")
        return None

    # -- people -------------------------------------------------------------------------------------------

    def publish(self, channel: bytes, message: bytes) -> None:
        self.engine.pubsub.publish(channel, message)

    def log(self, level: int, text: bytes) -> None:
        self.logs[level](text.decode("utf-8", "surrogateescape"))

    def loglevel(self) -> bytes:
        return self.engine.config.choice("loglevel")

    def set_loglevel(self, name: bytes) -> None:
        self.engine.config.set([(b"loglevel", name)])

    def run_script(self, argv: list[bytes]) -> None:
        self.scripts.add(argv)

    def pending_scripts(self) -> list[ScriptJob]:
        return self.scripts.jobs

    # -- the system ---------------------------------------------------------------------------------------

    def save(self) -> None:
        rewrite(self.engine.config)

    def is_executable(self, path: bytes) -> bool:
        return os.access(path, os.X_OK)

    def random_below(self, limit: int) -> int:
        return secrets.randbelow(limit)

    def time_text(self, at_ms: int) -> bytes:
        return time.ctime(at_ms / 1000).encode()

    def exit(self, text: bytes) -> None:
        self.log(3, text)
        os._exit(SIMULATED_FAILURE_STATUS)
