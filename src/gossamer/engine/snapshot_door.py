"""What the engine knows of snapshots: when the last one was made, and whom to ask for one."""

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import CommandError


@mypyc_attr(allow_interpreted_subclasses=True)
class SnapshotDoor:
    """Implemented by persistence; this one makes no snapshots. Times are Unix seconds."""

    def __init__(self) -> None:
        self.last_save_s: i64 = 0  # of a success, or the start of the server
        self.last_background_ok: bool = True
        self.last_background_took_s: i64 = -1
        self.background_since_s: i64 = -1  # -1 while none runs
        self.saves: i64 = 0  # successes since the start
        self.keys_expired_at_load: i64 = 0
        self.keys_loaded: i64 = 0

    def save(self) -> bool:
        """Make a snapshot before this returns; raises CommandError while a child makes one."""
        return False

    def on_flushed_all(self) -> None:
        """Every database was emptied: a snapshot under way is out of date."""

    def start_background(self, may_wait: bool, may_run_now: bool = True) -> bool:
        """Begin a snapshot in the background; raises CommandError if that cannot be.

        False where it was put off: if it `may_wait`, until another child has ended; not `may_run_now` inside a
        transaction, of which a snapshot would hold a part.
        """
        return False


@mypyc_attr(allow_interpreted_subclasses=True)
class RewriteDoor:
    """Whom to ask for a rewrite of the append only file; implemented by persistence, this one has none."""

    def request_rewrite(self, may_run_now: bool) -> bool:
        """True where it began, False where it was put off; raises CommandError if it cannot be."""
        raise CommandError(b"ERR this server has no append only file")
