"""What MIGRATE asks of the layer above: connections to other servers, used by one command at a time.

The engine's own version knows no network: every target is out of reach.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import GossamerError

NO_DATABASE: Final = -1


class TargetLost(GossamerError):
    """A connection to another server does not carry on; `timed_out` where it only was too slow."""

    def __init__(self, timed_out: bool) -> None:
        super().__init__("timed out" if timed_out else "lost")
        self.timed_out = timed_out


@mypyc_attr(allow_interpreted_subclasses=True)
class MigrationTarget:
    """A connection to another server; `database` is the one that it has selected, as far as that is known."""

    def __init__(self) -> None:
        self.database: i64 = NO_DATABASE

    def send(self, data: bytes, timeout_ms: i64) -> None:
        """Send all of it; raises TargetLost when it takes longer than that."""
        raise TargetLost(False)

    def read_line(self, timeout_ms: i64) -> bytes:
        """The next line without its end; raises TargetLost when it takes longer than that."""
        raise TargetLost(False)


@mypyc_attr(allow_interpreted_subclasses=True)
class MigrationTargets:
    """The servers that keys move to, by host and port as the command spells them."""

    def connect(self, host: bytes, port: bytes, timeout_ms: i64) -> MigrationTarget | None:
        """The connection that is at hand, or a new one; None where the server is not reached in time."""
        return None

    def forget(self, host: bytes, port: bytes) -> None:
        """Close the connection that is at hand, if there is one."""
