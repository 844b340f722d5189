"""The slow log: the last commands that took longer than a threshold."""

from typing import Final, final

from mypy_extensions import i64

ARGUMENTS_MAX: Final = 32
ARGUMENT_MAX_BYTES: Final = 128
NEVER_US: Final = 1 << 62


class SlowEntry:
    """One slow command; arguments are shortened as SLOWLOG GET shows them."""

    def __init__(
        self, number: i64, at_s: i64, elapsed_us: i64, argv: list[bytes], peer: bytes, name: bytes
    ) -> None:
        self.number: i64 = number
        self.at_s: i64 = at_s
        self.elapsed_us: i64 = elapsed_us
        self.argv: list[bytes] = argv
        self.peer: bytes = peer
        self.name: bytes = name


def shortened(argv: list[bytes]) -> list[bytes]:
    """At most 32 arguments of at most 128 bytes, with a note of what was left out."""
    count = len(argv)
    kept: list[bytes] = []
    for i in range(min(count, ARGUMENTS_MAX)):
        if i == ARGUMENTS_MAX - 1 and count > ARGUMENTS_MAX:
            kept.append(b"... (%d more arguments)" % (count - ARGUMENTS_MAX + 1))
            break
        argument = argv[i]
        if len(argument) > ARGUMENT_MAX_BYTES:
            left = len(argument) - ARGUMENT_MAX_BYTES
            argument = argument[:ARGUMENT_MAX_BYTES] + b"... (%d more bytes)" % left
        kept.append(argument)
    return kept


@final
class SlowLog:
    """Newest first in `entries`; `watch_above_us` is the least duration that interests it or the latency monitor."""

    def __init__(self) -> None:
        self.threshold_us: i64 = 10000  # slowlog-log-slower-than; negative: off
        self.max_len: i64 = 128
        self.entries: list[SlowEntry] = []
        self.next_number: i64 = 0
        self.watch_above_us: i64 = 10000

    def configure(self, threshold_us: i64, max_len: i64, latency_threshold_ms: i64) -> None:
        """Take the thresholds of the slow log and of the latency monitor (0: off)."""
        self.threshold_us = threshold_us
        self.max_len = max_len
        self.watch_above_us = threshold_us if threshold_us >= 0 else NEVER_US
        if latency_threshold_ms > 0:
            self.watch_above_us = min(self.watch_above_us, latency_threshold_ms * 1000)
        del self.entries[max(0, int(max_len)) :]

    def note(self, argv: list[bytes], elapsed_us: i64, now_us: i64, peer: bytes, name: bytes) -> None:
        """Remember a command if it was slow enough."""
        if self.threshold_us < 0 or elapsed_us < self.threshold_us or self.max_len <= 0:
            return
        entry = SlowEntry(self.next_number, now_us // 1_000_000, elapsed_us, shortened(argv), peer, name)
        self.next_number += 1
        self.entries.insert(0, entry)
        while i64(len(self.entries)) > self.max_len:
            self.entries.pop()
