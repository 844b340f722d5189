"""What the Sentinel asks of the world. The process implements it with sockets and files, the simulator without.

Owns the interface and the values that pass through it. What comes in are calls of the machine (machine.py):

    machine.start(now_ms)                            once, after the state was read from sentinel.conf
    machine.tick(now_ms) -> int                      every so many ms as it returned last; moves everything forward
    machine.on_reply(connection, request, reply, now_ms)   the answer to a `send` of the commands connection, in order
    machine.on_message(connection, value, now_ms)    anything that arrives on the messages connection
    machine.on_lost(connection, reason, now_ms)      it could not be made or is gone; no more calls about it

`now_ms` is one clock for all of them (the wall clock, as the machine looks for jumps in it: TILT).
"""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from gossamer.sentinel.instances import Connection, Request

# Levels of SentinelDoor.log, as the log's.
LOG_DEBUG: Final = 0
LOG_VERBOSE: Final = 1
LOG_NOTICE: Final = 2
LOG_WARNING: Final = 3


# A reply as a plain value: a string of either kind is bytes, an integer is int, a null is None, an array is a list, an
# error is resp.reply_reader.ErrorReply.
Reply = object


class ScriptJob:
    """A script that waits or runs, as SENTINEL PENDING-SCRIPTS shows it."""

    def __init__(self, argv: list[bytes]) -> None:
        self.argv: list[bytes] = argv  # the path and the arguments
        self.running: bool = False
        self.pid: int = 0
        self.started_ms: int = 0  # while it runs
        self.not_before_ms: int = 0  # while it waits for a new attempt; 0: at once
        self.attempts: int = 0


@mypyc_attr(allow_interpreted_subclasses=True)
class SentinelDoor:
    """No call blocks for long save `resolve` and `save`; none calls the machine back before it has returned."""

    def open(self, connection: Connection) -> None:
        """Begin to connect to connection.instance.address; commands may be sent at once and wait for it.

        OSError where that is plain at once: the text goes into the event. A connection that fails later, or is
        lost, is told by machine.on_lost.
        """
        raise NotImplementedError

    def close(self, connection: Connection) -> None:
        """Close it; the machine hears nothing more of it, its requests are forgotten."""
        raise NotImplementedError

    def send(self, connection: Connection, argv: list[bytes], request: Request) -> bool:
        """Send a command; its reply comes with `request` to machine.on_reply. False: it cannot be sent."""
        raise NotImplementedError

    def local_host(self, connection: Connection) -> bytes:
        """This side's address of the connection as the other side sees it; empty while it is not made."""
        raise NotImplementedError

    def publish(self, channel: bytes, message: bytes) -> None:
        """Give an event to the clients that subscribe to its type (SUBSCRIBE, PSUBSCRIBE)."""
        raise NotImplementedError

    def save(self) -> None:
        """Write the state to sentinel.conf. It is durable when this returns; OSError if it is not."""
        raise NotImplementedError

    def run_script(self, argv: list[bytes]) -> None:
        """Queue a script: argv[0] is its path. It runs, is repeated and killed by the rules of scripts."""
        raise NotImplementedError

    def pending_scripts(self) -> list[ScriptJob]:
        """The queue, running ones included, in order."""
        raise NotImplementedError

    def is_executable(self, path: bytes) -> bool:
        """Whether a file is there that this process may run."""
        raise NotImplementedError

    def random_below(self, limit: int) -> int:
        """Uniform over 0 to limit - 1."""
        raise NotImplementedError

    def log(self, level: int, text: bytes) -> None:
        """A line of the log. Events are logged by the machine; the process only writes."""
        raise NotImplementedError

    def loglevel(self) -> bytes:
        """The least level of which lines are written, by its name in the configuration."""
        raise NotImplementedError

    def set_loglevel(self, name: bytes) -> None:
        """Take a level from now on, and into the file."""
        raise NotImplementedError

    def time_text(self, at_ms: int) -> bytes:
        """A time for people, in the local zone: Mon Nov 23 07:30:00 2026."""
        raise NotImplementedError

    def resolve(self, host: bytes, names: bool) -> bytes | None:
        """The IP address of a host; only what is an address already unless `names`. None: it has none."""
        raise NotImplementedError

    def exit(self, text: bytes) -> None:
        """End the process at once without cleaning up (SENTINEL SIMULATE-FAILURE)."""
        raise NotImplementedError
