"""Child processes, with the time that each fork took: for INFO and for the latency monitor."""

import os
import signal
from typing import final

from mypy_extensions import i64

from gossamer.engine.engine import Engine
from gossamer.persistence.doors import Job, Processes


@final
class TimedProcesses(Processes):
    """Passes everything on."""

    def __init__(self, engine: Engine, inner: Processes) -> None:
        self.engine: Engine = engine
        self.inner: Processes = inner

    def own_id(self) -> i64:
        return self.inner.own_id()

    def fork(self, job: Job) -> i64:
        clock = self.engine.clock
        started_us: i64 = clock.now_us()
        process_id: i64 = self.inner.fork(job)
        if self.engine.debug.stops_after_fork:
            self.engine.hooks.log_notice(
                "The process stops until somebody continues it (DEBUG PAUSE-AFTER-FORK)."
            )
            os.kill(os.getpid(), signal.SIGSTOP)
        now_us: i64 = clock.now_us()
        self.engine.statistics.forks += 1
        self.engine.statistics.latest_fork_us = now_us - started_us
        self.engine.latency.note(b"fork", (now_us - started_us) // 1000, now_us // 1_000_000)
        return process_id

    def exit_status(self, process_id: i64) -> i64 | None:
        return self.inner.exit_status(process_id)

    def copied_bytes(self) -> i64:
        return self.inner.copied_bytes()

    def kill(self, process_id: i64) -> None:
        self.inner.kill(process_id)
