"""The server as a process: daemon, pid file, supervisor, signals.

Owns: what a process does to itself and tells those who watch over it.
Must not know: what the server does with a request to stop.
"""

import os
import resource
import signal
import socket
import sys
from collections.abc import Callable

from gossamer.server.connection import Endpoint

DEFAULT_PID_FILE = b"/var/run/gossamer.pid"


class Launch:
    """How this process was started, to start it once more (DEBUG RESTART); made before anybody changes directory."""

    def __init__(self) -> None:
        self.executable = sys.executable
        self.words = list(sys.orig_argv)
        self.directory = os.getcwd()

    def problem(self) -> str:
        """Why it cannot be started again, or nothing."""
        if os.access(self.executable, os.X_OK) and os.path.isdir(self.directory):
            return ""
        return f"no permission to run {self.executable} in {self.directory}"

    def again(self) -> None:
        """Put a fresh start in the place of this process; sockets and files are closed by that. Raises OSError."""
        os.chdir(self.directory)
        restore_signals()
        os.execv(self.executable, self.words)


def daemonize() -> None:
    """Go on in a child of its own session, without terminal; the parent ends."""
    sys.stdout.flush()
    if os.fork() != 0:
        os._exit(0)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    if null > 2:
        os.close(null)


def write_pid_file(path: bytes) -> str:
    """Best effort, as in Redis: answers what went wrong, or nothing."""
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(f"{os.getpid()}\n")
    except OSError as error:
        return error.strerror or str(error)
    return ""


def remove_file(path: bytes) -> None:
    """Remove a file that may be gone or out of reach."""
    try:
        os.unlink(path)
    except OSError:
        return


def grant_descriptors(wanted: int) -> int:
    """Let this process open so many files, or as many as the system grants; answers how many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return wanted
    granted = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    for limits in ((wanted, max(wanted, hard)), (granted, hard)):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        except (OSError, ValueError):
            continue  # beyond the hard limit, which only root may raise
        return limits[0]
    return soft


def supervisor_of(mode: bytes) -> str:
    """Who supervises this process, by `supervised`: "upstart", "systemd" or "" for nobody."""
    if mode == b"auto":
        if os.environ.get("UPSTART_JOB"):
            return "upstart"
        return "systemd" if os.environ.get("NOTIFY_SOCKET") else ""
    if mode == b"upstart" and os.environ.get("UPSTART_JOB"):
        return "upstart"
    if mode == b"systemd" and os.environ.get("NOTIFY_SOCKET"):
        return "systemd"
    return ""


def tell_supervisor(supervisor: str, message: str) -> bool:
    """Tell systemd (`READY=1`, `STATUS=...`), or stop until upstart goes on; False where nobody listens."""
    if supervisor == "upstart":
        if "READY=1" in message:
            os.environ.pop("UPSTART_JOB", None)
            os.kill(os.getpid(), signal.SIGSTOP)
        return True
    address = os.environ.get("NOTIFY_SOCKET", "")
    if supervisor != "systemd" or not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), address)
    except OSError:
        return False
    return True


class Signals(Endpoint):
    """SIGTERM and SIGINT as events of the loop, so that they never cut into a command.

    Python's own handlers do not run while compiled code does; the bytes that the interpreter writes into a
    pipe for every signal arrive in any case. After a request to stop, a SIGINT ends the process at once.
    """

    def __init__(self, on_stop: Callable[[str], None]) -> None:
        self.on_stop = on_stop
        self.descriptor, self.writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, ignore)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.set_wakeup_fd(self.writer, warn_on_full_buffer=False)

    def on_readable(self) -> None:
        try:
            numbers = os.read(self.descriptor, 4096)
        except BlockingIOError:
            return
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                self.on_stop(signal.Signals(number).name)

    def stop_failed(self) -> None:
        """The server goes on: a SIGINT is a polite request again."""
        signal.signal(signal.SIGINT, ignore)

    def close(self) -> None:
        """The process is about to end: one who is impatient with SIGTERM must not make a failure of it."""
        restore_signals()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.close(self.descriptor)
        os.close(self.writer)


def ignore(number: int, frame: object) -> None:
    """The byte in the pipe says it all."""


def restore_signals() -> None:
    """The system's handling again: for a SIGINT at the end, and in a child that is to die when it is told to."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
