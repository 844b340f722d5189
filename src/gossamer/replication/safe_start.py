"""The safe start: a primary that came back with less than its replicas have does not wipe them (`safe-start-guard`).

Owns when a full synchronisation would destroy what only a replica has, and how the server behaves then: it refuses
writes and PING, so that Sentinels take it for down and promote a replica, and tells replicas to ask again later.

Invariants: nothing is held back unless the directive is on; it is over with the first change of the role, with
REPLICAOF NO ONE, and with the first replica that goes on from our own history.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from mypy_extensions import i64

from gossamer.engine.gates import GATE_GUARDED

if TYPE_CHECKING:
    from gossamer.replication.primary import Primary

LATER: Final = b"NOMASTERLINK Safe start: this server has less than you may have, and waits for a decision"


@final
class SafeStart:
    """The guard of one server, from its start until it knows that its data set is the right one."""

    def __init__(self, primary: Primary) -> None:
        self.primary: Primary = primary
        self.decided: bool = False
        self.holding: bool = False

    def refuses(self, replication_id: bytes, offset: i64) -> bool:
        """Whether a replica that asks for this must wait: it has a history that is not ours, or more of it."""
        primary = self.primary
        if self.decided or primary.engine.is_replica or not primary.engine.config.flag("safe-start-guard"):
            return False
        if replication_id == b"?" or offset <= 1:
            return False  # it has followed nobody
        stream = primary.stream
        if stream.vouches_for(replication_id, offset) and offset <= stream.offset() + 1:
            self.decide()
            return False
        if not self.holding:
            self.holding = True
            primary.engine.set_gate(GATE_GUARDED, True)
            primary.door.log(
                "Safe start: a replica has a history that this server has not, or more of it. Writes are refused until "
                "a Sentinel makes this server a replica, or REPLICAOF NO ONE says that its data set is the right one."
            )
        return True

    def decide(self) -> None:
        """The data set of this server is the right one, or not its own any more."""
        self.decided = True
        self.holding = False
        self.primary.engine.set_gate(GATE_GUARDED, False)
