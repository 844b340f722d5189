"""Who gets what: a primary's decisions, without sockets or processes."""

from __future__ import annotations

import pytest

from gossamer.engine.client import Client
from gossamer.engine.doors import EngineHooks
from gossamer.engine.engine import Engine
from gossamer.engine.gates import GATE_REPLICAS
from gossamer.replication.primary import BULK, ONLINE, WAIT_END, WAIT_START, Primary, Replica, TransferDoor
from support.engines import new_engine

SECOND_US = 1_000_000


class Transfers(TransferDoor):
    """Snapshots that take until the test says so."""

    def __init__(self) -> None:
        self.started: list[tuple[list[Replica], bool]] = []
        self.running = False
        self.lost: list[Replica] = []
        self.fails = False

    def may_start(self) -> bool:
        return not self.running

    def start(self, replicas: list[Replica], to_disk: bool) -> bool:
        if self.fails:
            return False
        self.started.append((replicas, to_disk))
        self.running = True
        return True

    def runs_to_disk(self) -> bool:
        return self.running and self.started[-1][1]

    def forget(self, replica: Replica) -> None:
        self.lost.append(replica)

    def log(self, text: str) -> None:
        pass


class Chance(EngineHooks):
    def __init__(self) -> None:
        self.drawn = 0

    def random_bytes(self, count: int) -> bytes:
        self.drawn += 1
        return bytes([self.drawn]) * count


class House:
    """A primary with what it stands on."""

    def __init__(self) -> None:
        self.transfers = Transfers()
        self.engine: Engine = new_engine(hooks=Chance())
        self.primary = Primary(self.engine, self.transfers, b"0f" * 20)
        self.engine.replication = self.primary
        self.engine.config.put("repl-diskless-sync", False)

    def client(self, eof: bool = True, psync2: bool = True) -> Client:
        client = self.engine.new_client()
        replica = self.primary.replica_of(client)
        replica.knows_eof, replica.knows_psync2 = eof, psync2
        return client

    def said_to(self, client: Client) -> bytes:
        said: bytes = client.reply.out.getvalue()
        client.reply.out.truncate(0)
        return said

    def synchronized(self) -> Client:
        client = self.client()
        self.primary.synchronize(client, b"?", -1, True)
        replica = self.primary.replica_of(client)
        self.transfers.running = False
        self.primary.transferred(replica, False)
        self.said_to(client)
        return client

    def tell(self, count: int) -> None:
        for _ in range(count):
            self.primary.stream.feed(0, [b"INCR", b"k"])
        self.primary.stream.seal()


@pytest.fixture
def house() -> House:
    return House()


def test_the_first_replica_begins_a_history_of_its_own(house: House) -> None:
    client = house.client()
    assert house.engine.feeds == []
    house.primary.synchronize(client, b"?", -1, True)
    assert house.said_to(client) == b"+FULLRESYNC " + b"01" * 20 + b" 0\r\n"
    assert house.engine.feeds == [house.primary.stream]


def test_a_replica_joins_a_transfer_by_file_and_takes_over_its_offset(house: House) -> None:
    first, second = house.client(), house.client()
    house.primary.synchronize(first, b"?", -1, True)
    house.tell(3)
    house.primary.synchronize(second, b"?", -1, True)
    assert len(house.transfers.started) == 1
    assert house.said_to(second) == house.said_to(first)
    assert house.primary.replica_of(second).position == house.primary.replica_of(first).position == 1
    assert house.primary.needed() == 1


def test_a_replica_waits_for_a_transfer_of_its_own_where_it_cannot_join(house: House) -> None:
    house.engine.config.put("repl-diskless-sync", True)
    house.engine.config.put("repl-diskless-sync-delay", 0)
    first, second = house.client(), house.client()
    house.primary.synchronize(first, b"?", -1, True)
    house.tell(3)
    house.primary.synchronize(second, b"?", -1, True)
    waiting = house.primary.replica_of(second)
    assert waiting.state == WAIT_START and house.said_to(second) == b""
    house.transfers.running = False
    house.primary.each_second()
    assert waiting.state == WAIT_END
    assert waiting.position == house.primary.stream.offset() + 1


def test_a_diskless_transfer_waits_for_company(house: House) -> None:
    house.engine.config.put("repl-diskless-sync", True)
    house.engine.config.put("repl-diskless-sync-delay", 5)
    client = house.client()
    house.primary.synchronize(client, b"?", -1, True)
    assert not house.transfers.started
    house.engine.now_us += 5 * SECOND_US
    house.primary.each_second()
    assert house.transfers.started[0][1] is False


def test_who_does_not_know_the_mark_is_served_by_a_file(house: House) -> None:
    house.engine.config.put("repl-diskless-sync", True)
    house.primary.synchronize(house.client(eof=False), b"?", -1, True)
    assert house.transfers.started[0][1] is True


def test_every_offset_of_the_backlog_can_be_gone_on_from_and_no_other(house: House) -> None:
    house.synchronized()
    house.tell(10)
    end = int(house.primary.stream.offset())
    own_id = house.primary.stream.replication_id
    for offset in range(end + 4):
        client = house.client()
        house.primary.synchronize(client, own_id, offset, True)
        replica = house.primary.replica_of(client)
        if 1 <= offset <= end + 1:
            assert replica.state == ONLINE and replica.position == offset
            assert house.said_to(client) == b"+CONTINUE " + own_id + b"\r\n"
        else:
            assert replica.state in (WAIT_START, WAIT_END)
        house.engine.free_client(client)
        house.transfers.running = False
    assert house.engine.statistics.sync_partial == end + 1


def test_an_unknown_history_is_never_gone_on_from(house: House) -> None:
    house.synchronized()
    house.tell(10)
    client = house.client()
    house.primary.synchronize(client, b"ff" * 20, 5, True)
    assert house.engine.statistics.sync_partial == 0 and house.engine.statistics.sync_partial_refused == 1


def test_a_failed_snapshot_ends_the_attempt(house: House) -> None:
    house.transfers.fails = True
    client = house.client()
    house.primary.synchronize(client, b"?", -1, True)
    assert client.close_after_reply and house.said_to(client).startswith(b"-ERR")


def test_what_a_replica_needs_is_known_until_it_is_gone(house: House) -> None:
    client = house.synchronized()
    replica = house.primary.replica_of(client)
    replica.state = BULK
    house.tell(5)
    assert house.primary.needed() == replica.position
    house.engine.free_client(client)
    assert house.transfers.lost == [replica]
    assert house.primary.needed() == house.primary.stream.offset() + 1


def test_acknowledgements_count_for_offsets_and_never_fall(house: House) -> None:
    client = house.synchronized()
    house.tell(1)
    offset = house.primary.stream.offset()
    assert house.primary.count_at(offset) == 0
    house.primary.acknowledge(client, offset, -1)
    house.primary.acknowledge(client, 1, -1)
    assert house.primary.count_at(offset) == 1
    assert house.primary.count_durable_at(offset) == 0


def test_writes_are_refused_once_replicas_are_silent_too_long(house: House) -> None:
    house.engine.config.put("min-replicas-to-write", 1)
    client = house.synchronized()
    assert not house.engine.gate & GATE_REPLICAS
    house.engine.now_us += 11 * SECOND_US
    house.primary.each_second()
    assert house.engine.gate & GATE_REPLICAS
    house.primary.acknowledge(client, 1, -1)
    assert not house.engine.gate & GATE_REPLICAS


def test_a_backlog_that_nobody_reads_ends_and_its_history_with_it(house: House) -> None:
    house.engine.config.put("repl-backlog-ttl", 10)
    client = house.synchronized()
    old_id, offset = house.primary.stream.replication_id, house.primary.stream.offset()
    house.engine.free_client(client)
    house.engine.now_us += 11 * SECOND_US
    house.primary.each_second()
    assert house.primary.stream.backlog is None and house.engine.feeds == []
    assert house.primary.stream.replication_id != old_id
    assert house.primary.stream.offset() == offset


def synchronize_and_leave(house: House, acknowledge: bool, port: int = 6379) -> int:
    """The version that a replica at this port was sent, before it went with or without a word."""
    client = house.client()
    replica = house.primary.replica_of(client)
    replica.port = port
    house.primary.synchronize(client, b"?", -1, True)
    house.transfers.running = False
    house.primary.transferred(replica, False)
    if acknowledge:
        house.primary.acknowledge(client, 1, -1)
    house.engine.free_client(client)
    return replica.version


def test_who_takes_a_snapshot_and_goes_without_a_word_is_sent_an_older_one(house: House) -> None:
    assert synchronize_and_leave(house, acknowledge=False) == 10
    assert synchronize_and_leave(house, acknowledge=True) == 9
    assert synchronize_and_leave(house, acknowledge=True) == 9
    assert synchronize_and_leave(house, acknowledge=True, port=6380) == 10


def test_nothing_is_learned_from_who_does_not_say_where_it_listens(house: House) -> None:
    assert synchronize_and_leave(house, acknowledge=False, port=0) == 10
    assert synchronize_and_leave(house, acknowledge=False, port=0) == 10


def test_replicas_of_different_versions_share_no_snapshot(house: House) -> None:
    synchronize_and_leave(house, acknowledge=False)
    old, new = house.client(), house.client()
    house.primary.replica_of(old).port = 6379
    house.transfers.running = True
    house.primary.synchronize(old, b"?", -1, True)
    house.primary.synchronize(new, b"?", -1, True)
    house.transfers.running = False
    house.primary.each_second()
    assert [replica.version for replica in house.transfers.started[-1][0]] == [9]
    assert house.primary.replica_of(new).state == WAIT_START


def test_what_lagging_replicas_hold_is_told_and_statistics_begin_anew(house: House) -> None:
    house.synchronized()
    backlog = house.primary.stream.backlog
    assert backlog is not None
    house.tell(10)
    backlog.size_bytes = 100
    held = int(house.primary.stream.offset() - backlog.first + 1)
    assert held > 100
    facts: dict[bytes, bytes | int] = {}
    house.primary.add_facts(facts)
    assert facts[b"mem_total_replication_buffers"] == held
    assert facts[b"mem_clients_slaves"] == held - 100
    assert facts[b"mem_replication_backlog"] == 100
    assert facts[b"sync_full"] == 1
    house.engine.statistics.reset()
    house.primary.add_facts(facts)
    assert facts[b"sync_full"] == 0
