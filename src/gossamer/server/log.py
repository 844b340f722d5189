"""The server's log: Redis's line format, to standard output, a file or the system log.

    2817:M 22 Nov 2026 21:23:40.123 * Ready to accept connections
    pid:role date and local time     level message

Owns: levels, the format, where lines go. Roles: M primary, S replica, X Sentinel, C a child or a server
that is starting.
Must not know: who logs what.
Invariants: a line is one write; a log that cannot be written costs nothing but the line. The file is opened
for every line, so that a rotated file is left behind at once.
"""

import os
import sys
import time
from collections.abc import Callable
from typing import Final

DEBUG: Final = 0
VERBOSE: Final = 1
NOTICE: Final = 2
WARNING: Final = 3
NOTHING: Final = 4  # as a level of the configuration only

LEVELS: Final = {
    b"debug": DEBUG,
    b"verbose": VERBOSE,
    b"notice": NOTICE,
    b"warning": WARNING,
    b"nothing": NOTHING,
}
LINE_MAX_BYTES: Final = 1024

_MARKS: Final = ".-*#"
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_line(pid: int, role: str, now_s: float, level: int, message: str) -> bytes:
    """One line of the log; a message that is too long is cut."""
    at = time.localtime(now_s)
    ms = int(now_s * 1000) % 1000
    stamp = (
        f"{at.tm_mday:02d} {_MONTHS[at.tm_mon - 1]} {at.tm_year} "
        f"{at.tm_hour:02d}:{at.tm_min:02d}:{at.tm_sec:02d}.{ms:03d}"
    )
    text = message.encode("utf-8", "surrogateescape")[: LINE_MAX_BYTES - 1]
    return f"{pid}:{role} {stamp} {_MARKS[level]} ".encode() + text + b"\n"


class Log:
    """Writes lines of at least `level`. `role` is "M" or "S" once `server_started` was called."""

    def __init__(self, wall_clock_s: Callable[[], float] = time.time) -> None:
        self.wall_clock_s = wall_clock_s
        self.level = NOTICE
        self.path = b""
        self.role = "M"
        self.server_pid = 0
        self.to_syslog = False

    def server_started(self) -> None:
        """This process is the server now: lines of any other process are those of a child."""
        self.server_pid = os.getpid()

    def configure(self, level: bytes, path: bytes) -> None:
        """`loglevel` and `logfile`; an empty path is standard output."""
        self.level = LEVELS[level]
        self.path = path

    def open_syslog(self, ident: bytes, facility: bytes) -> None:
        """`syslog-enabled`: lines go to the system log as well."""
        import syslog

        code: int = getattr(syslog, "LOG_" + facility.decode().upper())
        syslog.openlog(ident.decode("utf-8", "replace"), syslog.LOG_PID | syslog.LOG_NDELAY, code)
        self.to_syslog = True

    def debug(self, message: str) -> None:
        self.write(DEBUG, message)

    def verbose(self, message: str) -> None:
        self.write(VERBOSE, message)

    def notice(self, message: str) -> None:
        self.write(NOTICE, message)

    def warning(self, message: str) -> None:
        self.write(WARNING, message)

    def write(self, level: int, message: str) -> None:
        if level < self.level:
            return
        pid = os.getpid()
        role = self.role if pid == self.server_pid or self.role == "X" else "C"
        self.put(format_line(pid, role, self.wall_clock_s(), level, message))
        if self.to_syslog:
            import syslog

            priorities = (syslog.LOG_DEBUG, syslog.LOG_INFO, syslog.LOG_NOTICE, syslog.LOG_WARNING)
            syslog.syslog(priorities[level], message.replace("\0", " "))

    def raw(self, text: str) -> None:
        """Lines without a prefix (the logo)."""
        if self.level <= WARNING:
            self.put(text.encode("utf-8", "surrogateescape") + b"\n")

    def put(self, line: bytes) -> None:
        try:
            if not self.path:
                sys.stdout.flush()
                os.write(1, line)
                return
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        except (OSError, ValueError):
            return
        try:
            os.write(descriptor, line)
        except OSError:
            return
        finally:
            os.close(descriptor)
