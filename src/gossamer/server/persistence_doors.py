"""The doors between persistence, the engine and the process: each passes on what it is asked, and knows no more."""

import os
from typing import TYPE_CHECKING

from mypy_extensions import i64

from gossamer.engine.acknowledgements import DurabilityDoor
from gossamer.engine.snapshot_door import RewriteDoor
from gossamer.persistence.aof import Emergency
from gossamer.persistence.aof_rewrite import OFF, ON
from gossamer.persistence.doors import EventLog
from gossamer.server.log import Log

if TYPE_CHECKING:
    from gossamer.server.persistence import Persistence


class LogDoor(EventLog):
    """The log, as persistence sees it."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def notice(self, text: str) -> None:
        self.log.notice(text)

    def warning(self, text: str) -> None:
        self.log.warning(text)


class Rewriter(RewriteDoor):
    """The engine's way to a rewrite."""

    def __init__(self, persistence: "Persistence") -> None:
        self.persistence = persistence

    def request_rewrite(self, may_run_now: bool) -> bool:
        return self.persistence.request_rewrite(may_run_now)


class FileDurability(DurabilityDoor):
    """The engine's way to how far the append only file is."""

    def __init__(self, persistence: "Persistence") -> None:
        self.persistence = persistence

    def is_on(self) -> bool:
        return self.persistence.rewrites.state != OFF

    def fed_bytes(self) -> i64:
        return self.persistence.aof.fed_bytes()

    def durable_bytes(self) -> i64:
        persistence = self.persistence
        return persistence.aof.durable_bytes() if persistence.rewrites.state == ON else -1


class EndOfProcess(Emergency):
    """Ends the server when a promise of `appendfsync always` cannot be kept."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def give_up(self, text: str) -> None:
        self.log.warning(text)
        os._exit(1)
