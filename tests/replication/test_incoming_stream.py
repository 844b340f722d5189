"""How far a received stream has been run, passed on and made durable."""

from __future__ import annotations

from gossamer.engine.acknowledgements import DurabilityDoor
from gossamer.engine.client import ClientDoor
from gossamer.replication.incoming_stream import IncomingStream
from gossamer.replication.stream import Stream
from support.engines import new_engine
from support.wire import encode


class Disk(DurabilityDoor):
    """An append only file that is as far as the test says."""

    def __init__(self) -> None:
        self.fed = 0
        self.durable = -1

    def is_on(self) -> bool:
        return True

    def fed_bytes(self) -> int:
        return self.fed

    def durable_bytes(self) -> int:
        return self.durable


def incoming(disk: Disk) -> IncomingStream:
    engine = new_engine()
    engine.acknowledgements.door = disk
    stream = Stream(b"a" * 40)
    stream.restart(b"a" * 40, 1000)
    stream.open(10_000)
    arriving = IncomingStream(engine, stream)
    arriving.start_over(0, 1000)
    arriving.begin(b"10.0.0.1:6379", ClientDoor())
    return arriving


def test_a_transaction_counts_when_it_is_whole_and_not_before() -> None:
    arriving = incoming(Disk())
    words = [encode(["MULTI"]), encode(["SET", "k", "v"]), encode(["EXEC"])]
    arriving.apply(words[0] + words[1])
    assert (arriving.offset(), arriving.read_offset()) == (1000, 1000 + len(words[0] + words[1]))
    arriving.apply(words[2])
    whole = 1000 + sum(map(len, words))
    assert (arriving.offset(), arriving.read_offset(), arriving.stream.offset()) == (whole, whole, whole)


def test_half_a_transaction_leaves_nothing_when_the_link_ends() -> None:
    arriving = incoming(Disk())
    arriving.apply(encode(["SELECT", "3"]) + encode(["MULTI"]) + encode(["SET", "k", "v"]))
    arriving.end()
    assert arriving.offset() == 1000 + len(encode(["SELECT", "3"]))
    assert arriving.selected() == 3 and arriving.engine.keyspace.databases[3].size() == 0


def test_durable_is_what_the_disk_has_of_this_history() -> None:
    disk = Disk()
    arriving = incoming(disk)
    assert arriving.find_durable_offset() == -1  # the new file is not there yet
    disk.durable = 0
    assert arriving.find_durable_offset() == 1000  # it begins with the snapshot
    disk.fed = 50
    arriving.apply(encode(["SET", "k", "v"]))
    assert arriving.find_durable_offset() == 1000
    disk.durable = 50
    written = arriving.offset()
    assert arriving.find_durable_offset() == written > 1000
    arriving.end()
    arriving.start_over(0, 400)  # a snapshot of another history, which is younger
    arriving.begin(b"10.0.0.2:6379", ClientDoor())
    assert arriving.find_durable_offset() == 400
