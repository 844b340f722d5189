"""What the engine asks of the layers above it: small interfaces that they implement.

Each one's own version here does nothing, so that an engine stands without any server around it.
"""

from typing import Final

from mypy_extensions import i64, mypyc_attr

HEARS_AOF: Final = 1  # the values of redis.REPL_AOF and REPL_REPLICA
HEARS_REPLICAS: Final = 2


@mypyc_attr(allow_interpreted_subclasses=True)
class InfoSource:
    """A part of the server that knows values of INFO fields."""

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        """Put field names and values into facts."""


@mypyc_attr(allow_interpreted_subclasses=True)
class WriteFeed:
    """Who sees every write in the form that AOF and replicas need, in order.

    A command that stands alone is fed alone. Commands that must be seen all or none stand between `begin` and
    `end`. Selecting a database is the feed's own business.
    """

    def hears(self) -> i64:
        """What kind of feed it is, for effects that are not for all (redis.set_repl)."""
        return HEARS_AOF

    def begin(self) -> None:
        """What is fed up to `end` belongs together (MULTI)."""

    def select(self, db_index: i64) -> None:
        """What is told next concerns this database. 7.0 says so before MULTI, later versions after it."""

    def feed(self, db_index: i64, argv: list[bytes]) -> None:
        """A command that ran in a database. argv may be shared: it is not to be changed."""

    def feed_message(self, db_index: i64, argv: list[bytes]) -> None:
        """PUBLISH or SPUBLISH: replicas pass it on to their subscribers; it is no part of the data set."""

    def end(self) -> None:
        """What belongs together is complete (EXEC)."""


@mypyc_attr(allow_interpreted_subclasses=True)
class EngineHooks:
    """What the engine asks of the server layer."""

    def free_memory(self) -> bool:
        """Evict until the limit is met; False where it cannot be."""
        return True

    def disk_error(self) -> bytes | None:
        """The MISCONF reply that refuses writes now, or None."""
        return None

    def shutdown(self, save: bool | None, now: bool, force: bool) -> bytes | None:
        """End the server (save: None asks the configuration); the error reply where it must not end."""
        return b"ERR this server cannot be shut down by a client"

    def shutdown_waits(self) -> bool:
        """Whether a shutdown was asked for and waits for replicas; who asked waits with it."""
        return False

    def abort_shutdown(self) -> bool:
        """Call off a shutdown that waits; False where none does."""
        return False

    def reload(self, save: bool, flush: bool, merge: bool) -> bytes | None:
        """DEBUG RELOAD: save, empty and load the data set; the error reply where that failed."""
        return b"ERR this server has no files"

    def random_bytes(self, count: int) -> bytes:
        """Bytes that nobody can guess (ACL GENPASS)."""
        raise NotImplementedError("this engine has no source of secrets")

    def reload_aof(self) -> bytes | None:
        """DEBUG LOADAOF: empty the data set and load the append only file; the error reply where that failed."""
        return b"ERR this server has no files"

    def sleep(self, seconds: float) -> None:
        """Let everybody wait (DEBUG SLEEP)."""

    def crash(self) -> None:
        """End the process at once, as a crash would."""

    def restart(self, gracefully: bool, delay_ms: int) -> None:
        """Begin the process anew, after an orderly end or after none; comes back only where that failed."""

    def change_replication_id(self) -> None:
        """Take a new name for the history of this data set, so that no replica can go on from it."""

    def log_notice(self, text: str) -> None:
        """A line for the log."""

    def log_script(self, level: int, text: str) -> None:
        """A script's own line for the log: 0 debug, 1 verbose, 2 notice, 3 warning."""

    def serve_others(self) -> bool:
        """While a slow script runs: look after the other clients once; False where the server is to end."""
        return True

    def log_bug(self, what: str, error: BaseException) -> None:
        """A handler's bug: it costs one client its reply."""
