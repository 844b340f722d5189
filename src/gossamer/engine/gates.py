"""Why the engine looks at requests before it runs them: the bits of `Engine.gate`."""

from typing import Final

GATE_LOADING: Final = 1 << 0
GATE_MEMORY: Final = 1 << 1  # maxmemory is set
GATE_DISK_ERROR: Final = 1 << 2  # stop-writes-on-bgsave-error applies
GATE_PAUSED: Final = 1 << 3
GATE_MONITORS: Final = 1 << 4
GATE_REPLICAS: Final = 1 << 12  # fewer hear us than min-replicas-to-write
GATE_BUSY: Final = 1 << 5  # a slow script runs
GATE_READ_ONLY: Final = 1 << 13  # a replica that takes writes from its primary alone
GATE_STALE: Final = 1 << 14  # a replica whose link is down and that serves nothing then
GATE_ASYNC_LOADING: Final = 1 << 15  # another data set is being loaded beside the one that is served
GATE_GUARDED: Final = 1 << 16  # safe-start-guard: replicas may have more than this primary
