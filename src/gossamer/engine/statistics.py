"""Counters of INFO: what the server did since it started or since CONFIG RESETSTAT.

Latency per command is kept in a histogram with two significant digits: values below 128 us have a slot each,
above that every power of two is divided into 64 slots. 1,408 slots reach beyond an hour.
"""

from typing import Final, final

from librt.strings import BytesWriter
from librt.vecs import vec
from mypy_extensions import i64

from gossamer.commands.table import Command

HISTOGRAM_SLOTS: Final = 1408
ERROR_KINDS_MAX: Final = 128
SAMPLES: Final = 16
PEAK_SECONDS: Final = 8


def histogram_slot(value_us: i64) -> i64:
    """The slot that counts a duration."""
    if value_us < 128:
        return value_us
    shift: i64 = 0
    while value_us >= 128:
        value_us >>= 1
        shift += 1
    slot: i64 = 64 + shift * 64 + (value_us - 64)
    return slot if slot < HISTOGRAM_SLOTS else HISTOGRAM_SLOTS - 1


def slot_value_us(slot: i64) -> i64:
    """The largest duration that a slot counts."""
    if slot < 128:
        return slot
    shift: i64 = (slot - 64) // 64
    return ((slot - 64) % 64 + 65 << shift) - 1


def record_latency(command: Command, elapsed_us: i64) -> None:
    """Count one call of a command."""
    if len(command.histogram) == 0:
        command.histogram = vec[i64]([0] * HISTOGRAM_SLOTS)
    histogram = command.histogram
    slot: i64 = histogram_slot(elapsed_us)
    histogram[slot] = histogram[slot] + 1


def histogram_of(command: Command) -> list[int]:
    """Calls by slot; empty for a command that was not called."""
    return [int(count) for count in command.histogram]


def percentile_us(histogram: list[int], percentile: float) -> int:
    """The duration that so many percent of the calls did not exceed."""
    total = sum(histogram)
    wanted = max(1, int(total * percentile / 100.0 + 0.5))
    seen = 0
    for slot in range(len(histogram)):
        seen += histogram[slot]
        if seen >= wanted:
            return slot_value_us(slot)
    return 0


class Meter:
    """A rate over the last SAMPLES samples (instantaneous_ops_per_sec and its kin)."""

    def __init__(self) -> None:
        self.samples: list[int] = []
        self.last_count = 0
        self.last_us = 0

    def sample(self, count: int, now_us: int) -> None:
        if self.last_us:
            elapsed = now_us - self.last_us
            if elapsed > 0:
                self.samples.append((count - self.last_count) * 1_000_000 // elapsed)
                if len(self.samples) > SAMPLES:
                    self.samples.pop(0)
        self.last_count = count
        self.last_us = now_us

    def rate(self) -> int:
        return sum(self.samples) // len(self.samples) if self.samples else 0


@final
class Statistics:
    """The counters that no other part owns."""

    def __init__(self, now_us: i64) -> None:
        self.started_us: i64 = now_us
        self.reset()

    def reset(self) -> None:
        """CONFIG RESETSTAT."""
        self.connections_received: i64 = 0
        self.connections_rejected: i64 = 0
        self.commands_processed: i64 = 0
        self.loop_cycles: i64 = 0
        self.input_bytes: i64 = 0
        self.output_bytes: i64 = 0
        self.query_buffer_limit_disconnections: i64 = 0
        self.output_buffer_limit_disconnections: i64 = 0
        self.unexpected_error_replies: i64 = 0  # a replica's, to what its primary ran
        self.sync_full: i64 = 0  # synchronisations that replicas were given
        self.sync_partial: i64 = 0
        self.sync_partial_refused: i64 = 0
        self.reads_processed: i64 = 0
        self.writes_processed: i64 = 0
        self.evicted_clients: i64 = 0
        self.forks: i64 = 0
        self.latest_fork_us: i64 = 0
        self.error_replies: i64 = 0
        self.errors: dict[bytes, i64] = {}
        self.peak_bytes: i64 = 0
        self.input_buffer_peak: i64 = 0  # the largest of any client since the second began
        self.output_buffer_peak: i64 = 0
        self.input_buffer_peaks: list[int] = []  # of the last PEAK_SECONDS
        self.output_buffer_peaks: list[int] = []
        self.operations: Meter = Meter()
        self.input: Meter = Meter()
        self.output: Meter = Meter()

    def end_second(self) -> None:
        """Keep the buffers' maxima of the second that is over for a while."""
        self.input_buffer_peaks = [*self.input_buffer_peaks, int(self.input_buffer_peak)][-PEAK_SECONDS:]
        self.output_buffer_peaks = [*self.output_buffer_peaks, int(self.output_buffer_peak)][-PEAK_SECONDS:]
        self.input_buffer_peak = 0
        self.output_buffer_peak = 0

    def note_error(self, out: BytesWriter, mark: i64) -> None:
        """Count the error reply that stands at `mark` of a reply buffer, by its first word."""
        word = b""
        position: i64 = mark + 1
        size: i64 = len(out)
        letters: list[int] = []
        while position < size and position < mark + 64:
            c: i64 = i64(out[position])
            if c <= 32:
                break
            letters.append(c)
            position += 1
        word = bytes(letters)
        self.error_replies += 1
        known = self.errors.get(word)
        if known is not None:
            self.errors[word] = known + 1
        elif len(self.errors) < ERROR_KINDS_MAX:
            self.errors[word] = 1
