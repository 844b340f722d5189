"""Logs of commands that cost much: time (the slow log), the bytes of a request, the bytes of a reply.

Owns the entries and the thresholds. Must not know: how COMMANDLOG and SLOWLOG ask for them.
"""

from typing import Final, final

from mypy_extensions import i64

ARGUMENTS_MAX: Final = 32
ARGUMENT_MAX_BYTES: Final = 128
NEVER: Final = 1 << 62


class LogEntry:
    """One command; arguments are shortened as SLOWLOG GET shows them. The cost is in us or in bytes."""

    def __init__(
        self, number: i64, at_s: i64, cost: i64, argv: list[bytes], peer: bytes, name: bytes
    ) -> None:
        self.number: i64 = number
        self.at_s: i64 = at_s
        self.cost: i64 = cost
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


def wire_bytes(argv: list[bytes]) -> i64:
    """The size of a request as an array of bulk strings."""
    size: i64 = 3 + i64(len(b"%d" % len(argv)))
    for word in argv:
        length: i64 = len(word)
        size += length + 5 + i64(len(b"%d" % length))
    return size


@final
class CommandLog:
    """Newest first in `entries`; `watch_above` is the least cost that interests it, or a monitor beside it."""

    def __init__(self, threshold: i64) -> None:
        self.threshold: i64 = threshold  # negative: off
        self.max_len: i64 = 128
        self.entries: list[LogEntry] = []
        self.next_number: i64 = 0
        self.watch_above: i64 = threshold

    def configure(self, threshold: i64, max_len: i64, monitor_above: i64 = NEVER) -> None:
        """Take the thresholds of the log and of what else looks at the cost (the latency monitor)."""
        self.threshold = threshold
        self.max_len = max_len
        self.watch_above = min(threshold if threshold >= 0 else NEVER, monitor_above)
        del self.entries[max(0, int(max_len)) :]

    def note(self, argv: list[bytes], cost: i64, now_us: i64, peer: bytes, name: bytes) -> None:
        """Remember a command if it cost enough."""
        if self.threshold < 0 or cost < self.threshold or self.max_len <= 0:
            return
        entry = LogEntry(self.next_number, now_us // 1_000_000, cost, shortened(argv), peer, name)
        self.next_number += 1
        self.entries.insert(0, entry)
        while i64(len(self.entries)) > self.max_len:
            self.entries.pop()
