"""The latency monitor: a time series of spikes per event (Redis: "Latency monitoring")."""

from typing import Final, final

from mypy_extensions import i64

SAMPLES_MAX: Final = 160


class LatencySeries:
    """The last 160 spikes of one event; spikes of the same second are one sample with the larger latency."""

    def __init__(self) -> None:
        self.times_s: list[int] = []
        self.latencies_ms: list[int] = []
        self.all_time_max_ms = 0

    def add(self, at_s: int, latency_ms: int) -> None:
        self.all_time_max_ms = max(self.all_time_max_ms, latency_ms)
        if self.times_s and self.times_s[-1] == at_s:
            self.latencies_ms[-1] = max(self.latencies_ms[-1], latency_ms)
            return
        self.times_s.append(at_s)
        self.latencies_ms.append(latency_ms)
        if len(self.times_s) > SAMPLES_MAX:
            self.times_s.pop(0)
            self.latencies_ms.pop(0)


@final
class LatencyMonitor:
    """Off while `threshold_ms` is 0 (latency-monitor-threshold)."""

    def __init__(self) -> None:
        self.threshold_ms: i64 = 0
        self.series: dict[bytes, LatencySeries] = {}

    def note(self, event: bytes, latency_ms: i64, now_s: i64) -> None:
        """Record a latency of an event if it reaches the threshold."""
        if self.threshold_ms == 0 or latency_ms < self.threshold_ms:
            return
        series = self.series.get(event)
        if series is None:
            series = LatencySeries()
            self.series[event] = series
        series.add(int(now_s), int(latency_ms))

    def note_span(self, event: bytes, since_us: i64, now_us: i64) -> None:
        """Record how long something took that has just ended."""
        self.note(event, (now_us - since_us) // 1000, now_us // 1_000_000)
