"""What the engine asks of replication: how far the replicas are. This one has none."""

from mypy_extensions import i64, mypyc_attr

from gossamer.engine.client import Client


@mypyc_attr(allow_interpreted_subclasses=True)
class ReplicationDoor:
    """Offsets are those of the stream of writes."""

    def offset(self) -> i64:
        """The end of what was told to replicas so far."""
        return 0

    def count(self) -> i64:
        """How many replicas there are."""
        return 0

    def count_at(self, offset: i64) -> i64:
        """How many replicas have everything up to there."""
        return 0

    def count_durable_at(self, offset: i64) -> i64:
        """How many replicas have everything up to there on their disks."""
        return 0

    def ask(self) -> None:
        """Have the replicas say soon how far they are."""

    def on_flushed_all(self) -> None:
        """Every database was emptied: a snapshot for replicas that is under way is out of date."""

    def forget(self, client: Client) -> None:
        """The connection of a replica is gone."""
