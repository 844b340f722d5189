"""What INFO tells, and what is done about it outside a failover."""

from __future__ import annotations

import pytest

from gossamer.sentinel.instances import PRIMARY_REBOOT, REQUEST_IGNORED, SUBJECTIVELY_DOWN, Instance
from support.sentinel_bench import Bench


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.pass_ms(1200)
    return bench


def followed(bench: Bench, server: Instance) -> list[list[bytes]]:
    """The REPLICAOF orders that a server was sent."""
    return [
        argv
        for _, argv, request in bench.take(REQUEST_IGNORED)
        if request.instance is server and argv[0] == b"SLAVEOF"
    ]


@pytest.mark.parametrize(
    "line",
    [b"slave0:ip=10.0.0.2,port=6380,state=online,offset=1,lag=0", b"slave0:10.0.0.2,6380,online"],
)
def test_replicas_are_found_in_both_forms(bench: Bench, line: bytes) -> None:
    for _ in range(2):
        bench.tell_info(bench.primary, b"role:master\r\n" + line + b"\r\n")
    assert bench.events(b"+slave") == [b"+slave slave 10.0.0.2:6380 10.0.0.2 6380 @ main 10.0.0.1 6379"]
    assert bench.door.saves == 1


@pytest.mark.parametrize(
    "line",
    [
        b"slave0:ip=10.0.0.2,port=0",
        b"slave0:ip=,port=1",
        b"slave0:x",
        b"slave0:ip=nowhere,port=1",
        b"slave_x:a,1,b",
    ],
)
def test_a_line_that_names_no_replica_is_passed_over(bench: Bench, line: bytes) -> None:
    bench.tell_info(bench.primary, b"role:master\r\n" + line + b"\r\n")
    assert bench.primary.replicas == {}


def test_fields_of_a_replica_are_taken(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    text = (
        b"run_id:" + b"2" * 40 + b"\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\n"
        b"master_link_status:down\r\nmaster_link_down_since_seconds:7\r\nslave_repl_offset:99\r\n"
        b"slave_priority:5\r\nreplica_announced:0\r\n"
    )
    bench.tell_info(replica, text)
    assert replica.run_id == b"2" * 40
    assert replica.primary_link_down_ms == 7000 and not replica.replica_primary_link_up
    assert (replica.replica_offset, replica.replica_priority, replica.replica_announced) == (99, 5, False)
    assert bench.ask(b"replicas", b"main") == b"*0\r\n"  # it does not want to be known


def test_another_run_id_is_a_reboot(bench: Bench) -> None:
    bench.primary.primary_reboot_down_after_ms = 500
    bench.tell_info(bench.primary, b"run_id:" + b"1" * 40 + b"\r\nrole:master\r\n")
    assert bench.events(b"+reboot") == []
    bench.tell_info(bench.primary, b"run_id:" + b"3" * 40 + b"\r\nrole:master\r\n")
    assert bench.events(b"+reboot") == [b"+reboot master main 10.0.0.1 6379"]
    assert bench.primary.flags & PRIMARY_REBOOT
    for _ in range(20):
        bench.now += 100
        bench.machine.tick(bench.now)
        for connection, _, request in bench.take(1):
            bench.machine.on_reply(
                connection, request, b"LOADING" if request.instance is bench.primary else b"", bench.now
            )
    assert bench.primary.flags & SUBJECTIVELY_DOWN  # it answers, but for too long with nothing but LOADING
    bench.pass_ms(1500)
    assert not bench.primary.flags & (PRIMARY_REBOOT | SUBJECTIVELY_DOWN)


def test_a_replica_that_turned_primary_is_turned_back_after_a_wait(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.tell_info(replica, b"role:master\r\n")
    bench.pass_ms(7900)
    bench.tell_info(replica, b"role:master\r\n")
    assert followed(bench, replica) == []
    bench.pass_ms(200)
    bench.tell_info(bench.primary, b"role:master\r\n")
    bench.tell_info(replica, b"role:master\r\n")
    assert followed(bench, replica) == [[b"SLAVEOF", b"10.0.0.1", b"6379"]]
    assert len(bench.events(b"+convert-to-slave")) == 1


def test_a_replica_of_somebody_else_is_put_right_after_the_failover_timeout(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.tell_info(replica, bench.replica_info(b"10.0.0.7"))
    bench.pass_ms(9900)
    bench.tell_info(replica, bench.replica_info(b"10.0.0.7"))
    assert followed(bench, replica) == []
    bench.pass_ms(200)
    bench.tell_info(bench.primary, b"role:master\r\n")
    bench.tell_info(replica, bench.replica_info(b"10.0.0.7"))
    assert followed(bench, replica) == [[b"SLAVEOF", b"10.0.0.1", b"6379"]]
    assert len(bench.events(b"+fix-slave-config")) == 1


def test_nobody_is_turned_while_the_primary_is_not_known_to_be_well(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.tell_info(replica, b"role:master\r\n")
    bench.pass_ms(8200)
    bench.tell_info(bench.primary, b"role:slave\r\n")
    bench.tell_info(replica, b"role:master\r\n")
    assert followed(bench, replica) == []


def test_commands_go_by_the_names_that_the_servers_know(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    assert bench.ask(b"set", b"main", b"rename-command", b"slaveof", b"hidden") == b"+OK\r\n"
    bench.tell_info(replica, b"role:master\r\n")
    bench.pass_ms(8200)
    bench.tell_info(bench.primary, b"role:master\r\n")
    bench.take(REQUEST_IGNORED)
    bench.tell_info(replica, b"role:master\r\n")
    sent = [argv[0] for _, argv, _ in bench.take(REQUEST_IGNORED)]
    assert sent == [b"MULTI", b"hidden", b"CONFIG", b"CLIENT", b"CLIENT", b"EXEC"]


def test_a_replica_under_another_name_is_the_same_one(bench: Bench) -> None:
    bench.state.resolve_hostnames = True
    bench.door.names = {b"two.example": b"10.0.0.2"}
    for host in (b"two.example", b"10.0.0.2", b"two.example"):
        bench.tell_info(bench.primary, b"role:master\r\nslave0:ip=%s,port=6379,state=online\r\n" % host)
    assert bench.events(b"+slave") == [b"+slave slave 10.0.0.2:6379 10.0.0.2 6379 @ main 10.0.0.1 6379"]


def test_names_are_announced_where_that_is_asked_for(bench: Bench) -> None:
    bench.state.resolve_hostnames = True
    bench.state.announce_hostnames = True
    bench.door.names = {b"two.example": b"10.0.0.2"}
    bench.tell_info(bench.primary, b"role:master\r\nslave0:ip=two.example,port=6379,state=online\r\n")
    assert list(bench.primary.replicas) == [b"two.example:6379"]
    assert bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"0", b"*").startswith(b"*3")
