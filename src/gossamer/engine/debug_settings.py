"""What DEBUG changes in how a server runs, for tests; every part reads its own setting here."""

from typing import final

from mypy_extensions import i64


@final
class DebugSettings:
    """All at rest unless a test says otherwise."""

    def __init__(self) -> None:
        self.cron_paused: bool = False  # PAUSE-CRON
        self.aof_flush_sleep_us: i64 = 0  # AOF-FLUSH-SLEEP
        self.leaked: list[bytes] = []  # LEAK
        self.noscript_lifted: bool = False  # SET-DISABLE-DENY-SCRIPTS
        self.stops_after_fork: bool = False  # PAUSE-AFTER-FORK
