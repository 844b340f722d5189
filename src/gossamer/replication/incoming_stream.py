"""The stream of writes that a replica receives: run in order, and passed on as it came.

Owns the client in whose name the stream runs, how far it is run and passed on, and which offset the append only file
has on the disk. Must not know how the stream comes: `primary_link.py` feeds it and is told of its end.

Invariants: what has been run enters the backlog byte for byte, in whole commands and whole transactions; `offset()`
is never inside one; a stream that ends leaves nothing half done, and `database` where the next one goes on.
"""

from typing import Final, final

from mypy_extensions import i64

from gossamer.engine.client import GATE_ACL, Client, ClientDoor
from gossamer.engine.engine import Engine
from gossamer.replication.stream import Stream
from gossamer.resp.parser import RequestParser

OLDEST_PAIRS: Final = 4096


@final
class IncomingStream:
    """What one server receives from its primary, over all its links."""

    def __init__(self, engine: Engine, stream: Stream) -> None:
        self.engine: Engine = engine
        self.stream: Stream = stream  # of this server, for its own replicas
        self.client: Client | None = None  # in whose name it runs, while it does
        self.database: i64 = 0  # that was selected when the last link ended
        self.parser: RequestParser = RequestParser(engine.limits)
        self.raw: list[bytes] = []  # of the stream, since `forwarded`
        self.fed_bytes: i64 = 0  # to the parser, since the stream began
        self.forwarded: i64 = 0  # of these are in the backlog
        self.applied: i64 = 0  # of these are run, transactions only as a whole
        self.durable_pairs: list[tuple[i64, i64]] = []  # bytes fed to the AOF, and the offset that they mean
        self.durable_offset: i64 = -1

    def start_over(self, database: i64, offset: i64) -> None:
        """The data set is that of a snapshot, at this offset: the next append only file will have that much."""
        self.database = database
        self.durable_offset = offset

    def begin(self, address: bytes, door: ClientDoor) -> None:
        """A link brings the stream from where this server stands."""
        engine = self.engine
        client = engine.new_client()
        client.brings_own_data = True
        client.authenticated = True
        client.act_as(engine.acl.default, True)
        client.set_gate(GATE_ACL, False)
        client.address = address
        client.door = door
        client.db = engine.keyspace.databases[self.database]
        client.deny_blocking = True
        self.client = client
        self.parser = RequestParser(engine.limits)
        self.raw = []
        self.fed_bytes = self.forwarded = self.applied = 0
        self.durable_pairs = []

    def end(self) -> None:
        """The link is gone; a transaction that is not complete is as if it had never come."""
        client = self.client
        if client is not None:
            self.forward()
            self.client = None
            self.database = client.db.index
            client.door = ClientDoor()
            if client.queued is not None:
                self.engine.discard_transaction(client)
            self.engine.free_client(client)
        self.raw = []

    def selected(self) -> i64:
        """The database that the stream has selected where we stand in it."""
        client = self.client
        return self.database if client is None else client.db.index

    def offset(self) -> i64:
        """How far the stream has been run."""
        return self.stream.offset() + self.applied - self.forwarded

    def read_offset(self) -> i64:
        """How far it has been read."""
        return self.stream.offset() - self.forwarded + self.fed_bytes

    def apply(self, data: bytes) -> None:
        """Run what is complete, in order, and pass it on to our own replicas as it came. Raises ProtocolError."""
        engine = self.engine
        state = engine.state
        parser = self.parser
        client = self.client
        assert client is not None
        self.raw.append(data)
        self.fed_bytes += len(data)
        parser.feed(data)
        client.last_interaction_us = engine.now_us
        client.input_total_bytes += len(data)
        out = client.reply.out
        hid: bool = state.hides_expired
        try:
            while True:
                argv = parser.next()
                if argv is None:
                    break
                state.hides_expired = False
                engine.execute(client, argv)
                state.hides_expired = hid
                if len(out) > 0:
                    if out[0] == 45:
                        self.note_error(argv, out.getvalue())
                    out.truncate(0)
                if self.client is not client:
                    return  # the command ended this link
                if client.queued is None:
                    self.applied = self.fed_bytes - parser.buffered_bytes()
                engine.statistics.commands_processed += 1
        finally:
            state.hides_expired = hid
        self.forward()

    def forward(self) -> None:
        """Put into the backlog what has been run."""
        left: i64 = self.applied - self.forwarded
        if left <= 0:
            return
        self.forwarded = self.applied
        stream = self.stream
        taken: i64 = 0
        for piece in self.raw:
            size: i64 = len(piece)
            taken += 1
            if size <= left:
                stream.pass_on(piece)
                left -= size
                if left == 0:
                    self.raw = self.raw[taken:]
                    break
            else:
                stream.pass_on(piece[:left])
                self.raw = [piece[left:]] + self.raw[taken:]
                break
        self.note_fed()

    def note_fed(self) -> None:
        """Remember what of the append only file means which offset, for FACK."""
        door = self.engine.acknowledgements.door
        if door.is_on() and len(self.durable_pairs) < OLDEST_PAIRS:
            self.durable_pairs.append((door.fed_bytes(), self.stream.offset()))

    def find_durable_offset(self) -> i64:
        """The offset up to which the append only file on the disk has the stream; -1 without such a file."""
        door = self.engine.acknowledgements.door
        durable: i64 = door.durable_bytes()
        if not door.is_on() or durable < 0:
            return -1
        pairs = self.durable_pairs
        while pairs and pairs[0][0] <= durable:
            self.durable_offset = pairs.pop(0)[1]
        return self.durable_offset

    def note_error(self, argv: list[bytes], reply: bytes) -> None:
        """The primary ran this without an error: the two data sets differ."""
        self.engine.statistics.unexpected_error_replies += 1
        name = argv[0].decode("utf-8", "replace")
        text = reply[1:200].decode("utf-8", "replace").strip()
        self.engine.hooks.log_notice(
            f"== CRITICAL == This replica is sending an error to its master: '{text}' after processing the command "
            f"'{name.lower()}'"
        )
