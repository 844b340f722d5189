"""A replica's side: the link to its primary, from the first PING to the stream of writes.

Owns the states of the link (docs/design/replication.md) and what is said on it; `incoming_stream.py` runs the writes
that arrive. Must not know sockets or files: LinkDoor connects, sends, and keeps and loads the snapshot.

Invariants: while `knows_history` this server holds exactly what the history `stream.replication_id` held at
`stream.offset()`; `engine.is_replica` exactly while there is a primary to follow.
"""

from typing import Final, final

from mypy_extensions import i64, mypyc_attr

from gossamer.base.errors import ProtocolError
from gossamer.base.numbers import is_int64, to_int64
from gossamer.engine.client import ClientDoor
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_READ_ONLY, GATE_STALE
from gossamer.replication.incoming_stream import IncomingStream
from gossamer.replication.primary import Primary
from gossamer.resp.writer import ReplyWriter

NO_PRIMARY: Final = 0
CONNECT: Final = 1
CONNECTING: Final = 2
HANDSHAKE: Final = 3
TRANSFER: Final = 4
LOADING: Final = 5
CONNECTED: Final = 6
STATE_NAMES: Final = (b"none", b"connect", b"connecting", b"handshake", b"sync", b"sync", b"connected")

# What is said of ourselves, whatever we answer as: Valkey 9 sends hashes with expiring fields to nobody older.
READS_LIKE: Final = b"9.0.0"

# What an answer of the handshake belongs to, in the order of asking.
ASKED_PING: Final = 0
ASKED_AUTH: Final = 1
ASKED_PORT: Final = 2
ASKED_ADDRESS: Final = 3
ASKED_CAPABILITIES: Final = 4
ASKED_VERSION: Final = 5
ASKED_PSYNC: Final = 6

LINE_MAX_BYTES: Final = 4096
MARK_BYTES: Final = 40


@mypyc_attr(allow_interpreted_subclasses=True)
class LinkDoor:
    """What the link needs of the server around it."""

    def connect(self, host: bytes, port: i64) -> None:
        """Begin to connect; `PrimaryLink.connected()` or `lost()` follows."""
        raise NotImplementedError

    def send(self, data: bytes) -> None:
        """To the primary, now or as soon as it takes it."""
        raise NotImplementedError

    def disconnect(self) -> None:
        """Close the connection, if there is one; the link hears no more of it."""
        raise NotImplementedError

    def hold(self, on: bool) -> None:
        """Take no further bytes from the connection for now, or take them again."""

    def begin_snapshot(self, size: i64) -> None:
        """A snapshot of so many bytes comes, or one of unknown size (-1)."""
        raise NotImplementedError

    def take_snapshot(self, data: bytes) -> None:
        """Bytes of it."""
        raise NotImplementedError

    def complete_snapshot(self) -> None:
        """It is whole: load it, in the place of the data set; then call `PrimaryLink.snapshot_loaded()`."""
        raise NotImplementedError

    def drop_snapshot(self) -> None:
        """The rest of it does not come. Where it was being loaded already, the data set is left empty."""
        raise NotImplementedError

    def role_changed(self) -> None:
        """This server has become a replica or a primary."""

    def log(self, text: str) -> None:
        """A line for the log."""


@final
class LinkClientDoor(ClientDoor):
    """What CLIENT KILL does to the link."""

    def __init__(self, link: "PrimaryLink") -> None:
        self.link: PrimaryLink = link

    def close(self) -> None:
        self.link.break_off("closed by a command")


@final
class PrimaryLink:
    """The link of one server to its primary, if it has one."""

    def __init__(self, engine: Engine, primary: Primary, door: LinkDoor) -> None:
        self.engine: Engine = engine
        self.primary: Primary = primary  # this server's other side
        self.door: LinkDoor = door
        self.state: i64 = NO_PRIMARY
        self.host: bytes = b""
        self.port: i64 = 0
        self.knows_history: bool = False  # and may ask to go on from where it stands
        self.incoming: IncomingStream = IncomingStream(engine, primary.stream)
        self.asked: list[i64] = []
        self.buffer: bytes = b""  # what has arrived and is not understood yet
        self.state_since_us: i64 = 0
        self.heard_us: i64 = 0  # when the last bytes came
        self.down_since_us: i64 = 0
        self.asks_to_take_over: bool = False  # PSYNC ... FAILOVER
        self.coming_id: bytes = b""  # of the history that the snapshot belongs to
        self.coming_offset: i64 = 0
        self.coming_bytes: i64 = 0  # that the snapshot still has; -1: up to the mark
        self.snapshot_bytes: i64 = -1  # that it has in all; -1: unknown
        self.taken_bytes: i64 = 0
        self.mark: bytes = b""
        self.header_seen: bool = False

    # -- who is the primary -------------------------------------------------------------------------------

    def follow(self, host: bytes, port: i64) -> None:
        """REPLICAOF host port: be a replica from now on, or one of somebody else."""
        was_primary: bool = self.state == NO_PRIMARY
        self.leave()
        self.host = host
        self.port = port
        stream = self.primary.stream
        if was_primary:
            self.knows_history = True  # one's own
            self.engine.become_replica()
            self.primary.become_replica()
            self.incoming.database = max(stream.database, 0)
        self.enter(CONNECT)
        self.down_since_us = self.engine.now_us
        self.judge()
        self.door.role_changed()
        self.door.log(f"Connecting to MASTER {self.label()}")
        self.connect()

    def follow_nobody(self) -> None:
        """REPLICAOF NO ONE: be a primary, whose history goes on from the one followed so far (PSYNC2)."""
        if self.state == NO_PRIMARY:
            return
        self.leave()
        self.host = b""
        self.enter(NO_PRIMARY)
        self.engine.become_primary()
        self.primary.become_primary(self.knows_history)
        self.knows_history = False
        self.judge()
        self.door.role_changed()

    def remember(self, host: bytes, port: i64, replication_id: bytes, offset: i64, database: i64) -> None:
        """At the start of a server that is a replica: what its file says of where it stood (an id, or none)."""
        if replication_id:
            self.primary.stream.restart(replication_id, offset)
            self.knows_history = True
            self.incoming.database = database
        self.host = host
        self.port = port
        self.engine.become_replica()
        self.primary.become_replica()
        self.enter(CONNECT)
        self.down_since_us = self.engine.now_us
        self.judge()
        self.door.role_changed()

    def leave(self) -> None:
        """End the link as it stands."""
        if self.state >= CONNECTING:
            self.door.disconnect()
            self.forget_connection()

    def label(self) -> str:
        return f"{self.host.decode('utf-8', 'replace')}:{self.port}"

    def selected(self) -> i64:
        """The database that the stream has selected where we stand in it."""
        return self.incoming.selected()

    # -- the connection -----------------------------------------------------------------------------------

    def enter(self, state: i64) -> None:
        self.state = state
        self.state_since_us = self.engine.now_us
        self.heard_us = self.engine.now_us
        self.primary.serves = state in (NO_PRIMARY, CONNECTED)

    def connect(self) -> None:
        self.enter(CONNECTING)
        self.door.connect(self.host, self.port)

    def connected(self) -> None:
        """The connection stands."""
        self.enter(HANDSHAKE)
        self.buffer = b""
        self.asked = []
        self.ask(ASKED_PING, [b"PING"])

    def lost(self, reason: str, by_peer: bool = True) -> None:
        """The connection is gone, or could not be made: it is tried again."""
        before: i64 = self.state
        if before < CONNECTING:
            return
        self.forget_connection()
        self.enter(CONNECT)
        if before == CONNECTED:
            self.door.log(f"Connection with master lost. ({reason})")
            self.down_since_us = self.engine.now_us
            self.judge()
            self.connect()  # at once: what we miss may soon leave the backlog
        else:
            self.door.log(f"Error condition on socket for SYNC: {reason}")
            if by_peer and before in (TRANSFER, LOADING):
                self.connect()  # as Redis does; what fails on this side is tried again with patience

    def break_off(self, reason: str) -> None:
        """End the connection from this side, and try again."""
        if self.state >= CONNECTING:
            self.door.disconnect()
            self.lost(reason, False)

    def forget_connection(self) -> None:
        """What belongs to one connection only."""
        if self.state == TRANSFER or self.state == LOADING:
            self.door.drop_snapshot()
        self.incoming.end()
        self.buffer = b""

    # -- handshake ----------------------------------------------------------------------------------------

    def ask(self, what: i64, argv: list[bytes]) -> None:
        self.asked.append(what)
        writer = ReplyWriter()
        writer.bulk_array(argv)
        self.door.send(writer.out.getvalue())

    def receive(self, data: bytes) -> None:
        """Bytes from the primary."""
        self.heard_us = self.engine.now_us
        if self.state == CONNECTED:
            self.apply(data)
            return
        self.buffer = self.buffer + data if self.buffer else data
        while self.buffer and self.state in (HANDSHAKE, TRANSFER):
            if self.state == TRANSFER and self.header_seen:
                if not self.receive_snapshot():
                    return
                continue
            line = self.take_line()
            if line is None:
                return
            if not line:
                continue  # a sign of life while a snapshot is made
            if self.state == HANDSHAKE:
                self.hear_answer(line)
            else:
                self.hear_header(line)

    def take_line(self) -> bytes | None:
        """The next line without its end, or None where it is not complete."""
        end = self.buffer.find(b"\n")
        if end < 0:
            if len(self.buffer) > LINE_MAX_BYTES:
                self.break_off("an endless line")
            return None
        line = self.buffer[:end]
        self.buffer = self.buffer[end + 1 :]
        return line.removesuffix(b"\r")

    def hear_answer(self, line: bytes) -> None:
        """An answer of the handshake."""
        if not self.asked:
            self.break_off("an answer to nothing")
            return
        what: i64 = self.asked.pop(0)
        text = line.decode("utf-8", "replace")
        if what == ASKED_PING:
            if not line.startswith((b"+", b"-NOAUTH", b"-NOPERM", b"-ERR operation not permitted")):
                self.door.log(f"Error reply to PING from master: '{text}'")
                self.break_off("PING was refused")
                return
            self.door.log("Master replied to PING, replication can continue...")
            self.introduce()
        elif what == ASKED_AUTH:
            if line.startswith(b"-"):
                self.door.log(f"Unable to AUTH to MASTER: {text}")
                self.break_off("AUTH was refused")
        elif what == ASKED_PSYNC:
            self.hear_psync(line, text)
        elif line.startswith(b"-"):
            self.door.log(f"(Non critical) Master does not understand REPLCONF: {text}")
        if self.state == HANDSHAKE and not self.asked and what != ASKED_PSYNC:
            self.ask_for_stream()

    def introduce(self) -> None:
        """Say who we are and what we understand."""
        config = self.engine.config
        password = config.text(self.directive("auth"))
        if password:
            user = config.text(self.directive("user"))
            self.ask(ASKED_AUTH, [b"AUTH", user, password] if user else [b"AUTH", password])
        own = "tls-port" if config.flag("tls-replication") else "port"
        port: i64 = config.number("replica-announce-port") or config.number(own)
        self.ask(ASKED_PORT, [b"REPLCONF", b"listening-port", b"%d" % port])
        address = config.text("replica-announce-ip")
        if address:
            self.ask(ASKED_ADDRESS, [b"REPLCONF", b"ip-address", address])
        self.ask(ASKED_CAPABILITIES, [b"REPLCONF", b"capa", b"eof", b"capa", b"psync2"])
        self.ask(ASKED_VERSION, [b"REPLCONF", b"version", READS_LIKE])

    def directive(self, what: str) -> str:
        return ("primary" if self.engine.limits.compat >= 80 else "master") + what

    def ask_for_stream(self) -> None:
        stream = self.primary.stream
        if not self.knows_history:
            self.door.log("Full resync requested: no history to go on from")
            self.ask(ASKED_PSYNC, [b"PSYNC", b"?", b"-1"])
            return
        offset: i64 = stream.offset() + 1
        request = [b"PSYNC", stream.replication_id, b"%d" % offset]
        if self.asks_to_take_over:
            request.append(b"FAILOVER")
        self.door.log(
            f"Trying a partial resynchronization (request {stream.replication_id.decode()}:{int(offset)})."
        )
        self.ask(ASKED_PSYNC, request)

    def hear_psync(self, line: bytes, text: str) -> None:
        """The answer to PSYNC."""
        words = line.split()
        kind = words[0] if words else b""
        if self.asks_to_take_over:
            self.asks_to_take_over = False
            self.primary.failover.answered(kind == b"+FULLRESYNC" or kind == b"+CONTINUE")
            if self.state != HANDSHAKE:
                return  # it was refused, and this server is the primary again
        if kind == b"+FULLRESYNC" and len(words) == 3 and len(words[1]) == 40 and is_int64(words[2]):
            self.door.log(f"Full resync from master: {text[12:]}")
            self.coming_id = words[1]
            self.coming_offset = to_int64(words[2])
            self.header_seen = False
            self.taken_bytes = 0
            self.snapshot_bytes = -1
            self.enter(TRANSFER)
        elif kind == b"+CONTINUE":
            self.go_on(words[1] if len(words) > 1 and len(words[1]) == 40 else b"")
        elif line.startswith((b"-NOMASTERLINK", b"-LOADING")):
            self.door.log(f"Master is currently unable to PSYNC but should be in the future: {text}")
            self.break_off("the primary cannot give the stream now")
        else:
            self.door.log(f"Unexpected reply to PSYNC from master: {text}")
            self.break_off("PSYNC was refused")

    def go_on(self, replication_id: bytes) -> None:
        """A partial synchronisation: the next byte is the one that we asked for."""
        stream = self.primary.stream
        self.door.log("Successful partial resynchronization with master.")
        if replication_id and replication_id != stream.replication_id:
            stream.promote(replication_id)
            self.primary.disconnect_replicas()  # they learn of the new id when they come back
            self.door.log(f"Master replication ID changed to {replication_id.decode()}")
        self.primary.keep_stream()
        self.begin_stream()

    # -- snapshot -----------------------------------------------------------------------------------------

    def hear_header(self, line: bytes) -> None:
        """`$EOF:mark` or `$bytes`, or an error."""
        if line.startswith(b"$EOF:") and len(line) == 5 + MARK_BYTES:
            self.mark = line[5:]
            self.coming_bytes = -1
        elif line.startswith(b"$") and is_int64(line[1:]) and to_int64(line[1:]) >= 0:
            self.mark = b""
            self.coming_bytes = to_int64(line[1:])
        else:
            text = line.decode("utf-8", "replace")
            self.door.log(f"MASTER aborted replication with an error or spoke nonsense: {text[:200]}")
            self.break_off("no snapshot came")
            return
        self.header_seen = True
        self.snapshot_bytes = self.coming_bytes
        size = "streaming from master with EOF" if self.mark else f"receiving {int(self.coming_bytes)} bytes"
        self.door.log(f"MASTER <-> REPLICA sync: {size}")
        self.door.begin_snapshot(self.coming_bytes)
        if self.coming_bytes == 0:
            self.complete_snapshot()

    def receive_snapshot(self) -> bool:
        """What is in the buffer belongs to the snapshot, as far as that goes; False where more has to come."""
        data = self.buffer
        size: i64 = len(data)
        if self.mark:
            at: i64 = data.find(self.mark)
            part_end: i64 = at if at >= 0 else self.end_before_mark(data)
            self.buffer = data[at + MARK_BYTES :] if at >= 0 else data[part_end:]
            self.give(data[:part_end])
            if at < 0:
                return False
        else:
            part_end = min(size, self.coming_bytes)
            self.buffer = data[part_end:]
            self.coming_bytes -= part_end
            self.give(data[:part_end])
            if self.coming_bytes > 0:
                return False
        if self.state == TRANSFER:
            self.complete_snapshot()
        return True

    def give(self, data: bytes) -> None:
        if data:
            self.taken_bytes += len(data)
            self.door.take_snapshot(data)

    def end_before_mark(self, data: bytes) -> i64:
        """Where the bytes end that cannot be the beginning of the mark."""
        size: i64 = len(data)
        keep: i64 = min(size, MARK_BYTES - 1)
        while keep > 0 and not self.mark.startswith(data[size - keep :]):
            keep -= 1
        return size - keep

    def complete_snapshot(self) -> None:
        self.enter(LOADING)
        self.door.hold(True)
        self.door.complete_snapshot()

    def drop_history(self) -> None:
        """The data set is about to be replaced: nobody can go on from what was, here or further down."""
        self.knows_history = False
        self.primary.abandon_stream()
        self.engine.own_expiring.forget()

    def snapshot_loaded(self, well: bool, database: i64) -> None:
        """The data set is that of the snapshot, and `database` what its stream has selected; or it is empty."""
        if self.state != LOADING:
            return
        if not well:
            self.enter(CONNECTING)
            self.door.hold(False)
            self.break_off("the snapshot cannot be loaded")
            return
        stream = self.primary.stream
        stream.restart(self.coming_id, self.coming_offset)
        self.primary.keep_stream()
        self.knows_history = True
        self.incoming.start_over(database, self.coming_offset)
        self.door.log("MASTER <-> REPLICA sync: Finished with success")
        uses_mark: bool = len(self.mark) > 0
        self.begin_stream()
        if uses_mark:
            self.acknowledge()
        self.door.hold(False)
        rest = self.buffer
        self.buffer = b""
        if rest:
            self.apply(rest)

    # -- the stream ---------------------------------------------------------------------------------------

    def begin_stream(self) -> None:
        """From now on every byte is a write."""
        rest = self.buffer
        self.buffer = b""
        self.incoming.begin(self.host + b":%d" % self.port, LinkClientDoor(self))
        self.enter(CONNECTED)
        self.judge()
        if rest:
            self.apply(rest)

    def apply(self, data: bytes) -> None:
        """Bytes of the stream."""
        try:
            self.incoming.apply(data)
        except ProtocolError as error:
            self.door.log(f"Protocol error from master: {error.reason.decode('utf-8', 'replace')}")
            self.knows_history = False
            self.break_off("it broke the protocol")

    def acknowledge(self) -> None:
        """REPLCONF ACK: how far we are, on the disk too since 7.2."""
        if self.state != CONNECTED:
            return
        words = [b"REPLCONF", b"ACK", b"%d" % self.incoming.offset()]
        durable = self.incoming.find_durable_offset()
        if durable >= 0 and self.engine.limits.compat >= 72:
            words += [b"FACK", b"%d" % durable]
        writer = ReplyWriter()
        writer.bulk_array(words)
        self.door.send(writer.out.getvalue())

    # -- time ---------------------------------------------------------------------------------------------

    def each_second(self) -> None:
        """Attempts, time limits, signs of life."""
        if self.state == NO_PRIMARY:
            return
        engine = self.engine
        timeout_us: i64 = engine.config.number("repl-timeout") * 1_000_000
        if self.state == CONNECT:
            self.door.log(f"Connecting to MASTER {self.label()}")
            self.connect()
        elif self.state in (CONNECTING, HANDSHAKE) and engine.now_us - self.state_since_us > timeout_us:
            self.break_off("Timeout connecting to the MASTER...")
        elif self.state == TRANSFER and engine.now_us - self.heard_us > timeout_us:
            self.break_off(
                "Timeout receiving bulk data from MASTER... If the problem persists try to set the 'repl-timeout' "
                "parameter in redis.conf to a larger value."
            )
        elif self.state == LOADING:
            self.door.send(b"\n")
        elif self.state == CONNECTED and engine.now_us - self.heard_us > timeout_us:
            self.door.log("MASTER timeout: no data nor PING received...")
            self.break_off("timeout")
        elif self.state == CONNECTED:
            self.acknowledge()

    def judge(self) -> None:
        """What clients may do, by the role, the state of the link and the configuration."""
        engine = self.engine
        config = engine.config
        is_replica: bool = self.state != NO_PRIMARY
        engine.set_gate(GATE_READ_ONLY, is_replica and config.flag("replica-read-only"))
        engine.notes_own_keys = is_replica and not config.flag("replica-read-only")
        stale: bool = is_replica and self.state != CONNECTED and not config.flag("replica-serve-stale-data")
        engine.set_gate(GATE_STALE, stale)

    # -- what others see ----------------------------------------------------------------------------------

    def add_facts(self, facts: dict[bytes, bytes | int]) -> None:
        """INFO replication of a replica."""
        if self.state == NO_PRIMARY:
            return
        now_us = self.engine.now_us
        up = self.state == CONNECTED
        offset = self.primary.stream.offset()
        syncing = self.state in (TRANSFER, LOADING)
        facts[b"role"] = b"slave"
        facts[b"master_host"] = self.host
        facts[b"master_port"] = self.port
        facts[b"master_link_status"] = b"up" if up else b"down"
        facts[b"master_last_io_seconds_ago"] = (now_us - self.heard_us) // 1_000_000 if up else -1
        facts[b"master_sync_in_progress"] = 1 if syncing else 0
        facts[b"slave_read_repl_offset"] = self.incoming.read_offset() if up else offset
        facts[b"slave_repl_offset"] = offset
        if syncing:
            total = max(self.snapshot_bytes, 0)
            facts[b"master_sync_total_bytes"] = total
            facts[b"master_sync_read_bytes"] = self.taken_bytes
            facts[b"master_sync_left_bytes"] = total - self.taken_bytes
            facts[b"master_sync_perc"] = b"%.2f" % (
                100 * int(self.taken_bytes) / int(total) if total else 0.0
            )
            facts[b"master_sync_last_io_seconds_ago"] = (now_us - self.heard_us) // 1_000_000
        if not up:
            facts[b"master_link_down_since_seconds"] = max(0, (now_us - self.down_since_us) // 1_000_000)
        config = self.engine.config
        facts[b"slave_priority"] = config.number("replica-priority")
        facts[b"slave_read_only"] = 1 if config.flag("replica-read-only") else 0
        facts[b"replica_announced"] = 1 if config.flag("replica-announced") else 0
