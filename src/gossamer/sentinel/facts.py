"""INFO sentinel."""

from __future__ import annotations

from gossamer.sentinel.core import SentinelCore
from gossamer.sentinel.instances import OBJECTIVELY_DOWN, SUBJECTIVELY_DOWN, Instance


def status(primary: Instance) -> bytes:
    if primary.flags & OBJECTIVELY_DOWN:
        return b"odown"
    return b"sdown" if primary.flags & SUBJECTIVELY_DOWN else b"ok"


def sentinel_lines(core: SentinelCore, now_ms: int) -> list[bytes]:
    """The lines below `# Sentinel`, without line ends."""
    state = core.state
    jobs = core.door.pending_scripts()
    tilt_s = (now_ms - state.tilt_start_ms) // 1000 if state.tilt else -1
    lines = [
        b"sentinel_masters:%d" % len(state.primaries),
        b"sentinel_tilt:%d" % state.tilt,
        b"sentinel_tilt_since_seconds:%d" % tilt_s,
        b"sentinel_running_scripts:%d" % sum(1 for job in jobs if job.running),
        b"sentinel_scripts_queue_length:%d" % len(jobs),
        b"sentinel_simulate_failure_flags:%d"
        % (state.crash_after_election + 2 * state.crash_after_promotion),
    ]
    for index, primary in enumerate(state.primaries.values()):
        lines.append(
            b"master%d:name=%s,status=%s,address=%s:%d,slaves=%d,sentinels=%d"
            % (
                index,
                primary.name,
                status(primary),
                state.announced(primary.address),
                primary.address.port,
                len(primary.replicas),
                len(primary.sentinels) + 1,
            )
        )
    return lines
