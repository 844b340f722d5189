"""The scripts of a Sentinel: notification-script and client-reconfig-script.

Owns the queue, the child processes, repetition and time limits (Redis: "High availability with Sentinel", scripts).
Must not know why a script runs.

    exit 0: done        exit 1, or killed by a signal: once more later, 10 times at most, each time after twice the wait
    any other exit: an error, not repeated              longer than 60 s: killed, repeated

Invariants: at most QUEUE_MAX jobs, of which RUNNING_MAX run; nothing here waits for a child. When the queue is full the
oldest job that does not run gives way.
"""

import subprocess
from collections.abc import Callable
from typing import Final

from gossamer.sentinel.doors import LOG_DEBUG, LOG_WARNING, ScriptJob
from gossamer.sentinel.instances import Timings

QUEUE_MAX: Final = 256
RUNNING_MAX: Final = 16
ATTEMPTS_MAX: Final = 10
EXIT_REPEAT: Final = 1
EXIT_NOT_STARTED: Final = 2

# Level, type and text of an event.
Announce = Callable[[int, bytes, bytes], None]


class SentinelScripts:
    """Queue with `add`; `step` starts, collects and kills, and is to be called several times a second."""

    def __init__(self, timings: Timings, announce: Announce, now_ms: Callable[[], int]) -> None:
        self.timings: Timings = timings
        self.announce: Announce = announce
        self.now_ms: Callable[[], int] = now_ms
        self.jobs: list[ScriptJob] = []
        self.children: dict[int, subprocess.Popen[bytes]] = {}

    def add(self, argv: list[bytes]) -> None:
        self.jobs.append(ScriptJob(argv))
        if len(self.jobs) > QUEUE_MAX:
            for index, job in enumerate(self.jobs):
                if not job.running:
                    del self.jobs[index]
                    return

    def step(self) -> None:
        """Start what is due, take the results of what has ended, kill what takes too long."""
        if not self.jobs:
            return
        now_ms = self.now_ms()
        for job in [job for job in self.jobs if job.running]:
            self.look_after(job, now_ms)
        for job in self.jobs.copy():
            if len(self.children) >= RUNNING_MAX:
                return
            if not job.running and job.not_before_ms <= now_ms:
                self.start(job, now_ms)

    def start(self, job: ScriptJob, now_ms: int) -> None:
        job.attempts += 1
        job.not_before_ms = 0
        try:
            child = subprocess.Popen(job.argv, stdin=subprocess.DEVNULL)
        except (OSError, ValueError):
            self.finish(job, 0, EXIT_NOT_STARTED)
            return
        job.running = True
        job.pid = child.pid
        job.started_ms = now_ms
        self.children[child.pid] = child
        self.announce(LOG_DEBUG, b"+script-child", b"%d" % child.pid)

    def look_after(self, job: ScriptJob, now_ms: int) -> None:
        """Collect a running job that has ended, or end one that has run too long."""
        child = self.children[job.pid]
        status = child.poll()
        if status is None:
            if now_ms - job.started_ms > self.timings.script_max_runtime:
                self.announce(LOG_WARNING, b"-script-timeout", b"%s %d" % (job.argv[0], job.pid))
                job.started_ms = now_ms  # tell once, and give the system time to end it
                child.kill()
            return
        del self.children[job.pid]
        by_signal, exit_code = (-status, 0) if status < 0 else (0, status)
        self.announce(LOG_DEBUG, b"-script-child", b"%d %d %d" % (job.pid, exit_code, by_signal))
        job.running = False
        job.pid = 0
        job.started_ms = 0
        self.finish(job, by_signal, exit_code)

    def finish(self, job: ScriptJob, by_signal: int, exit_code: int) -> None:
        """Repeat a job that wishes it, let any other go."""
        if (by_signal or exit_code == EXIT_REPEAT) and job.attempts < ATTEMPTS_MAX:
            delay_ms = self.timings.script_retry_delay * (1 << (job.attempts - 1))
            job.not_before_ms = self.now_ms() + delay_ms
            return
        self.jobs.remove(job)
        if by_signal or exit_code:
            self.announce(LOG_WARNING, b"-script-error", b"%s %d %d" % (job.argv[0], by_signal, exit_code))

    def running(self) -> int:
        return len(self.children)
