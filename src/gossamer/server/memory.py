"""What the server's memory is used for, by account: INFO memory, maxmemory, MEMORY STATS.

`used_memory` is what the process took at its start plus every byte that is accounted for since: keys and values,
clients' buffers, and what other parts report. Resident memory is the system's own figure.
"""

from typing import final

from mypy_extensions import i64

from gossamer.engine.client_memory import client_bytes
from gossamer.engine.engine import Engine


def resident_bytes() -> int:
    """Resident memory of this process now."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * 4096


@final
class MemoryAccount:
    """Adds the parts up; nothing here walks the keyspace."""

    def __init__(self, engine: Engine) -> None:
        self.engine: Engine = engine
        self.startup_bytes: i64 = 0
        self.peak_bytes: i64 = 0
        self.clients_bytes: i64 = 0  # as of the last cron
        self.lazyfree_bytes: i64 = 0

    def note_startup(self) -> None:
        """Call when the server is ready and empty."""
        self.startup_bytes = resident_bytes()

    def measure_clients(self) -> None:
        """Add the clients' buffers up (cron)."""
        total: i64 = 0
        for client in self.engine.clients.values():
            total += client_bytes(client)
        self.clients_bytes = total

    def used_bytes(self) -> i64:
        """`used_memory`; moves the peak."""
        used: i64 = self.startup_bytes + self.clients_bytes + self.engine.keyspace.used_bytes()
        if used > self.peak_bytes:
            self.peak_bytes = used
        return used

    def counted_for_eviction_bytes(self) -> i64:
        """What is compared with `maxmemory`: everything but the buffers of replicas and the AOF."""
        return self.startup_bytes + self.clients_bytes + self.engine.keyspace.used_bytes()
