"""Names of hosts for a Sentinel: resolved by threads, so that a name server that is gone keeps nobody waiting.

Just when machines fail names may fail too, and a Sentinel that waits for them stands still (TILT) when it is needed.

Owns: the cache, and when the system is asked again.
Invariants: the first question for a name waits for its answer; any later one has the last answer at once, and if that
is older than FRESH_S another look-up begins. What was found once is not forgotten because a later look-up fails.
NAMES_MAX are kept.
"""

import socket
import threading
import time
from collections.abc import Callable
from typing import Final

NAMES_MAX: Final = 1024
FRESH_S: Final = 1.0
PATIENCE_S: Final = 0.1  # for a name that was not found the last time


def look_up(name: str) -> str:
    """The first address that the system has for a name, or nothing."""
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return str(found[0][4][0])
    except (OSError, UnicodeError, ValueError):
        return ""


class Name:
    """What is known of one name; `address` is empty where nothing was found."""

    def __init__(self) -> None:
        self.address = ""
        self.asked_s = 0.0
        self.thread: threading.Thread | None = None


class Names:
    """Resolves; `ask` is the question that may take long."""

    def __init__(
        self, ask: Callable[[str], str] = look_up, clock_s: Callable[[], float] = time.monotonic
    ) -> None:
        self.ask = ask
        self.clock_s = clock_s
        self.known: dict[str, Name] = {}

    def resolve(self, name: str) -> str:
        """The address of a name, or nothing."""
        entry = self.known.get(name)
        if entry is None:
            if len(self.known) >= NAMES_MAX:
                del self.known[next(iter(self.known))]
            entry = self.known[name] = Name()
            self.look_again(name, entry, None)
        elif self.clock_s() - entry.asked_s >= FRESH_S:
            self.look_again(name, entry, 0.0 if entry.address else PATIENCE_S)
        return entry.address

    def look_again(self, name: str, entry: Name, patience_s: float | None) -> None:
        """Have a thread ask, unless one does, and wait so long for it (None: to the end)."""
        thread = entry.thread
        if thread is None or not thread.is_alive():
            entry.asked_s = self.clock_s()
            thread = threading.Thread(target=self.answer, args=(name, entry), daemon=True)
            entry.thread = thread
            thread.start()
        if patience_s != 0.0:
            thread.join(patience_s)

    def answer(self, name: str, entry: Name) -> None:
        """In the thread."""
        found = self.ask(name)
        if found:
            entry.address = found
