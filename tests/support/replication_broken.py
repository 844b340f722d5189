"""Replication that breaks one rule each: the simulator must convict every variant.

Owns the variants, each a patch of one real method. They can only be made where the sources are run as they are
(interpreted): a compiled class takes no patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from gossamer.engine.client import ClientDoor
from gossamer.engine.engine import Engine
from gossamer.replication.backlog import Backlog
from gossamer.replication.incoming_stream import IncomingStream
from gossamer.replication.primary import Primary
from gossamer.replication.primary_link import PrimaryLink
from gossamer.replication.stream import Stream
from support.replication_run import Run
from support.replication_world import Node

Make = Callable[[Any], Any]
Patch = tuple[type, str, Make]


def instead(function: Callable[..., Any]) -> Make:
    """A method in the place of the real one."""
    return lambda original: function


def skips_a_byte(original: Any) -> Any:
    def read(self: Backlog, offset: int, most: int) -> bytes:
        data: bytes = original(self, offset, most)
        return data[1:] if offset == self.first and len(data) > 1 and offset > 1 else data

    return read


def holds_too_much(self: Backlog, offset: int) -> bool:
    return self.first - 40 <= offset <= self.end + 1


def vouches_for_any_offset(self: Stream, replication_id: bytes, offset: int) -> bool:
    return replication_id in (self.replication_id, self.second_id)


def keeps_its_id(self: Stream, replication_id: bytes) -> None:
    self.second_offset = self.offset() + 1
    self.database = -1


def promotes_one_byte_late(original: Any) -> Any:
    def promote(self: Stream, replication_id: bytes) -> None:
        original(self, replication_id)
        self.second_offset += 1 << 40

    return promote


def forgets_to_select_after_promotion(original: Any) -> Any:
    def promote(self: Stream, replication_id: bytes) -> None:
        original(self, replication_id)
        self.database = 0

    return promote


def never_selects(self: Stream, db_index: int) -> None:
    self.database = db_index


def tells_of_no_transaction(self: Stream) -> None:
    """MULTI is left out, EXEC is not."""


def keeps_the_id_without_a_backlog(self: Primary) -> None:
    self.engine.feeds.remove(self.stream)
    self.stream.close()


def opens_under_the_old_id(self: Primary) -> None:
    if self.stream.backlog is None:
        self.keep_stream()
        self.engine.feeds.append(self.stream)


def tells_an_offset_too_low(original: Any) -> Any:
    def begin_bulk(self: Primary, replica: Any, position: int) -> None:
        original(self, replica, position if position < 60 else position - 37)

    return begin_bulk


def starts_the_stream_too_late(original: Any) -> Any:
    def put_online(self: Primary, replica: Any) -> None:
        if replica.position:
            replica.position = self.stream.offset() + 1
        original(self, replica)

    return put_online


def propagates_as_a_replica(original: Any) -> Any:
    def become_replica(self: Primary) -> None:
        original(self)
        self.engine.feeds.append(self.stream)

    return become_replica


def expires_by_itself(original: Any) -> Any:
    def become_replica(self: Engine) -> None:
        original(self)
        self.state.expires_now = True

    return become_replica


def hides_from_the_stream(original: Any) -> Any:
    """The stream of the primary does not find what is due."""

    def apply(self: IncomingStream, data: bytes) -> None:
        state = self.engine.state
        client = self.client
        assert client is not None
        self.raw.append(data)
        self.fed_bytes += len(data)
        self.parser.feed(data)
        while True:
            argv = self.parser.next()
            if argv is None:
                break
            state.hides_expired = True
            self.engine.execute(client, argv)
            client.reply.out.truncate(0)
            if self.client is not client:
                return
            if client.queued is None:
                self.applied = self.fed_bytes - self.parser.buffered_bytes()
        self.forward()

    return apply


def acknowledges_what_it_read(self: PrimaryLink) -> None:
    offset = self.incoming.read_offset() + 1
    self.door.send(b"*3\r\n$8\r\nREPLCONF\r\n$3\r\nACK\r\n$%d\r\n%d\r\n" % (len(b"%d" % offset), offset))


def keeps_its_history(self: PrimaryLink) -> None:
    """What is replaced still counts as the data set of where the server stood."""


def counts_within_transactions(original: Any) -> Any:
    """The offset moves past MULTI before EXEC has come."""

    def end(self: IncomingStream) -> None:
        client = self.client
        if client is not None and client.queued is not None:
            self.applied = self.fed_bytes - self.parser.buffered_bytes()
        original(self)

    return end


def forgets_the_database(original: Any) -> Any:
    def begin(self: IncomingStream, address: bytes, door: ClientDoor) -> None:
        self.database = 0
        original(self, address, door)

    return begin


def asks_for_the_last_byte_again(original: Any) -> Any:
    def ask(self: PrimaryLink, what: int, argv: list[bytes]) -> None:
        if argv[0] == b"PSYNC" and argv[1] != b"?" and int(argv[2]) > 100:
            argv = [argv[0], argv[1], b"%d" % (int(argv[2]) - 14)]
        original(self, what, argv)

    return ask


def keeps_the_old_id(original: Any) -> Any:
    """A new id in +CONTINUE is not taken."""

    def go_on(self: PrimaryLink, replication_id: bytes) -> None:
        original(self, b"")

    return go_on


def keeps_its_replicas(self: Primary) -> None:
    """Nobody is disconnected when the history changes."""


def keeps_the_rest_of_the_old_data(self: Node) -> None:
    self.engine.keyspace.databases[0].clear()


def gives_a_stream_without_one(original: Any) -> Any:
    def synchronize(self: Primary, *arguments: Any) -> None:
        self.serves = True
        original(self, *arguments)

    return synchronize


VARIANTS: Final[dict[str, list[Patch]]] = {
    "the backlog loses a byte where it begins": [(Backlog, "read", skips_a_byte)],
    "+CONTINUE for bytes that are gone": [(Backlog, "holds", instead(holds_too_much))],
    "vouches for any offset of the second id": [(Stream, "vouches_for", instead(vouches_for_any_offset))],
    "keeps its primary's id when promoted": [(Stream, "promote", instead(keeps_its_id))],
    "the second id has no end": [(Stream, "promote", promotes_one_byte_late)],
    "no SELECT after a promotion": [(Stream, "promote", forgets_to_select_after_promotion)],
    "no SELECT at all": [(Stream, "select", instead(never_selects))],
    "EXEC without MULTI": [(Stream, "begin", instead(tells_of_no_transaction))],
    "the id outlives the backlog": [
        (Primary, "close_stream", instead(keeps_the_id_without_a_backlog)),
        (Primary, "open_stream", instead(opens_under_the_old_id)),
    ],
    "an offset before that of the snapshot": [(Primary, "begin_bulk", tells_an_offset_too_low)],
    "what is written during the snapshot is lost": [(Primary, "put_online", starts_the_stream_too_late)],
    "a replica tells of its own what it is told": [(Primary, "become_replica", propagates_as_a_replica)],
    "a replica expires keys by itself": [(Engine, "become_replica", expires_by_itself)],
    "the stream does not find what is due": [(IncomingStream, "apply", hides_from_the_stream)],
    "acknowledges what it has not run": [(PrimaryLink, "acknowledge", instead(acknowledges_what_it_read))],
    "asks to go on from a half loaded data set": [
        (PrimaryLink, "drop_history", instead(keeps_its_history)),
    ],
    "the offset moves within a transaction": [(IncomingStream, "end", counts_within_transactions)],
    "forgets the selected database over a cut": [(IncomingStream, "begin", forgets_the_database)],
    "asks for bytes that it has": [(PrimaryLink, "ask", asks_for_the_last_byte_again)],
    "does not take a new id": [(PrimaryLink, "go_on", keeps_the_old_id)],
    "keeps its replicas over a change of history": [(Primary, "disconnect_replicas", instead(keeps_its_replicas))],
    "leaves old keys beside a new data set": [(Node, "empty", instead(keeps_the_rest_of_the_old_data))],
    "serves its replicas without a link of its own": [(Primary, "synchronize", gives_a_stream_without_one)],
}  # fmt: skip


@contextmanager
def broken(patches: list[Patch]) -> Iterator[None]:
    """Within it the methods are the broken ones."""
    undo = []
    for owner, name, make in patches:
        original = getattr(owner, name)
        undo.append((owner, name, original))
        setattr(owner, name, make(original))
    try:
        yield
    finally:
        for owner, name, original in reversed(undo):
            setattr(owner, name, original)


def convict(name: str, seeds: range) -> tuple[int, str]:
    """The first seed that finds the variant out, and how; -1 where none does."""
    with broken(VARIANTS[name]):
        for seed in seeds:
            run = Run(seed)
            if run.violations:
                return seed, run.violations[0]
    return -1, ""
