"""A failover, step by step, and each way in which one ends."""

from __future__ import annotations

import pytest

from gossamer.sentinel.failover import select_replica
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    FAILOVER_NONE,
    FAILOVER_WAIT_PROMOTION,
    REQUEST_IGNORED,
    REQUEST_INFO,
    SUBJECTIVELY_DOWN,
    Instance,
)
from support.sentinel_bench import Bench


@pytest.fixture
def bench() -> Bench:
    bench = Bench(quorum=1)
    bench.pass_ms(1200)
    return bench


def orders(bench: Bench, to: Instance) -> list[list[bytes]]:
    """The transactions' commands that a server was sent."""
    sent = [argv for _, argv, request in bench.take(REQUEST_IGNORED) if request.instance is to]
    return [argv for argv in sent if argv[:2] != [b"CLIENT", b"SETNAME"] and argv[0] != b"SUBSCRIBE"]


def test_the_choice_waits_for_what_the_replicas_tell_now(bench: Bench) -> None:
    second, third = bench.add_replicas(2, 3)
    bench.pass_ms(9_000)  # older than what makes a replica of a primary that is down eligible
    bench.primary.flags |= SUBJECTIVELY_DOWN
    assert bench.ask(b"failover", b"main").startswith(b"-NOGOODSLAVE")
    bench.primary.flags &= ~SUBJECTIVELY_DOWN
    assert bench.ask(b"failover", b"main") == b"+OK\r\n"
    bench.primary.flags |= SUBJECTIVELY_DOWN
    bench.primary.subjectively_down_since_ms = bench.now
    bench.pass_ms(200)
    assert bench.events(
        b"+failover-state-select-slave", b"+selected-slave", b"-failover-abort-no-good-slave"
    ) == [b"+failover-state-select-slave master main 10.0.0.1 6379"]
    assert {request.instance.name for _, _, request in bench.take(REQUEST_INFO)} >= {second.name, third.name}
    bench.tell_info(second, bench.replica_info(b"10.0.0.1", offset=10))
    assert bench.events(b"+selected-slave") == []
    bench.tell_info(third, bench.replica_info(b"10.0.0.1", offset=20))
    assert [text.split()[2] for text in bench.events(b"+selected-slave")] == [b"10.0.0.3:6379"]


def test_a_failover_by_hand_from_the_first_event_to_the_last(bench: Bench) -> None:
    second, third = bench.add_replicas(2, 3)
    bench.primary.client_reconfig_script = b"/bin/reconfig"
    bench.primary.notification_script = b"/bin/notify"
    bench.tell_info(third, bench.replica_info(b"10.0.0.1", offset=500))
    bench.door.events.clear()
    assert bench.ask(b"failover", b"main") == b"+OK\r\n"
    bench.take(REQUEST_IGNORED)
    bench.pass_ms(400)
    assert orders(bench, third) == [
        [b"MULTI"],
        [b"SLAVEOF", b"NO", b"ONE"],
        [b"CONFIG", b"REWRITE"],
        [b"CLIENT", b"KILL", b"TYPE", b"normal"],
        [b"CLIENT", b"KILL", b"TYPE", b"pubsub"],
        [b"EXEC"],
    ]
    bench.tell_info(third, b"role:master\r\n")
    bench.pass_ms(100)
    assert orders(bench, second)[1] == [b"SLAVEOF", b"10.0.0.3", b"6379"]
    bench.tell_info(second, bench.replica_info(b"10.0.0.3", link=b"down"))
    bench.tell_info(second, bench.replica_info(b"10.0.0.3"))
    bench.pass_ms(200)
    primary, chosen = b"master main 10.0.0.1 6379", b"slave 10.0.0.3:6379 10.0.0.3 6379 @ main 10.0.0.1 6379"
    other = b"slave 10.0.0.2:6379 10.0.0.2 6379 @ main 10.0.0.1 6379"
    assert bench.events() == [
        b"+new-epoch 1",
        b"+try-failover " + primary,
        b"+vote-for-leader " + b"a" * 40 + b" 1",
        b"+elected-leader " + primary,
        b"+failover-state-select-slave " + primary,
        b"+selected-slave " + chosen,
        b"+failover-state-send-slaveof-noone " + chosen,
        b"+failover-state-wait-promotion " + chosen,
        b"-role-change " + chosen + b" new reported role is master",
        b"+promoted-slave " + chosen,
        b"+failover-state-reconf-slaves " + primary,
        b"+slave-reconf-sent " + other,
        b"+slave-reconf-inprog " + other,
        b"+slave-reconf-done " + other,
        b"+failover-end " + primary,
        b"+switch-master main 10.0.0.1 6379 10.0.0.3 6379",
        b"+slave slave 10.0.0.2:6379 10.0.0.2 6379 @ main 10.0.0.3 6379",
        b"+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ main 10.0.0.3 6379",
    ]
    assert bench.primary.config_epoch == 1
    assert [
        b"/bin/reconfig", b"main", b"leader", b"start", b"10.0.0.1", b"6379", b"10.0.0.3", b"6379"
    ] in bench.door.scripts  # fmt: skip
    notified = [argv[1] for argv in bench.door.scripts if argv[0] == b"/bin/notify"]
    assert b"+switch-master" in notified and b"+slave-reconf-sent" not in notified


def test_the_promoted_replica_is_asked_at_once_whether_it_is_one(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.ask(b"failover", b"main")
    bench.pass_ms(400)
    last = bench.door.sent[-1]
    assert (last[1], last[2].instance) == ([b"INFO"], replica)
    assert [argv for _, argv, request in bench.door.sent if request.instance is replica][-2] == [b"EXEC"]


def test_one_failover_at_a_time(bench: Bench) -> None:
    bench.add_replicas(2)
    bench.ask(b"failover", b"main")
    assert bench.ask(b"failover", b"main") == b"-INPROG Failover already in progress\r\n"


def test_no_failover_without_a_replica_to_promote(bench: Bench) -> None:
    assert bench.ask(b"failover", b"main") == b"-NOGOODSLAVE No suitable replica to promote\r\n"


def test_no_failover_without_a_disk(bench: Bench) -> None:
    bench.add_replicas(2)
    bench.door.fails = True
    assert bench.ask(b"failover", b"main").startswith(b"-ERR Failed to save config file")
    assert bench.state.current_epoch == 0
    assert bench.primary.failover_state == FAILOVER_NONE


def test_priority_then_offset_then_run_id_choose_the_replica(bench: Bench) -> None:
    first, second, third = bench.add_replicas(2, 3, 4)
    assert select_replica(bench.machine, bench.primary) is first  # alike: the first of those without a run id
    second.run_id = b"B" * 40
    third.run_id = b"a" * 40
    assert select_replica(bench.machine, bench.primary) is third
    second.replica_offset = 101
    assert select_replica(bench.machine, bench.primary) is second
    first.replica_priority = 10
    assert select_replica(bench.machine, bench.primary) is first
    first.replica_priority = 0  # never
    assert select_replica(bench.machine, bench.primary) is second


def test_a_replica_that_is_not_well_known_is_not_chosen(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    assert select_replica(bench.machine, bench.primary) is replica
    replica.primary_link_down_ms = 30_001
    assert select_replica(bench.machine, bench.primary) is None
    replica.primary_link_down_ms = 0
    replica.info_refreshed_ms = bench.now - 30_001
    assert select_replica(bench.machine, bench.primary) is None
    replica.info_refreshed_ms = bench.now
    replica.link.last_available_ms = bench.now - 5001
    assert select_replica(bench.machine, bench.primary) is None
    replica.link.last_available_ms = bench.now
    replica.link.disconnected = True
    assert select_replica(bench.machine, bench.primary) is None


def test_a_promotion_that_does_not_come_ends_the_failover(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.ask(b"failover", b"main")
    bench.pass_ms(400)
    assert bench.primary.failover_state == FAILOVER_WAIT_PROMOTION
    bench.pass_ms(10_200)
    assert bench.events(b"-failover-abort-slave-timeout") == [
        b"-failover-abort-slave-timeout master main 10.0.0.1 6379"
    ]
    assert not bench.primary.flags & FAILOVER_IN_PROGRESS and bench.primary.promoted_replica is None
    bench.tell_info(replica, b"role:master\r\n")
    assert bench.events(b"+promoted-slave") == []


def test_a_promotion_counts_only_when_it_is_saved(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.ask(b"failover", b"main")
    bench.pass_ms(400)
    bench.door.fails = True
    bench.tell_info(replica, b"role:master\r\n")
    assert bench.primary.config_epoch == 0 and bench.events(b"+promoted-slave") == []
    bench.door.fails = False
    bench.pass_ms(1100)
    bench.tell_info(replica, b"role:master\r\n")
    assert bench.primary.config_epoch == 1 and len(bench.events(b"+promoted-slave")) == 1


def test_replicas_that_do_not_follow_are_left_after_the_timeout(bench: Bench) -> None:
    bench.primary.parallel_syncs = 1
    second, third, fourth = bench.add_replicas(2, 3, 4)
    bench.ask(b"failover", b"main")
    bench.pass_ms(400)
    bench.tell_info(second, b"role:master\r\n")
    bench.pass_ms(300)
    assert len(bench.events(b"+slave-reconf-sent")) == 1
    bench.pass_ms(10_200)
    assert len(bench.events(b"+failover-end-for-timeout")) == 1
    assert len(bench.events(b"-slave-reconf-sent-timeout")) <= 1
    assert len(bench.events(b"+slave-reconf-sent", b"+slave-reconf-sent-be")) == 2
    assert bench.primary.address.ip == b"10.0.0.2"
    assert sorted(bench.primary.replicas) == [b"10.0.0.1:6379", b"10.0.0.3:6379", b"10.0.0.4:6379"]


def test_a_leader_that_is_not_elected_gives_up_and_waits(bench: Bench) -> None:
    bench.add_replicas(2)
    bench.meet(2)
    bench.meet(3)
    for _ in range(200):
        bench.now += 100
        bench.machine.tick(bench.now)
        bench.answer_pings(but=bench.primary)
    assert len(bench.events(b"-failover-abort-not-elected")) == 1
    assert len(bench.events(b"+try-failover")) == 1
    assert any(line.startswith(b"Next failover delay: I will not start") for line in bench.door.logged)


@pytest.mark.parametrize("when", [b"crash-after-election", b"crash-after-promotion"])
def test_a_simulated_failure_ends_the_process(bench: Bench, when: bytes) -> None:
    replica = bench.add_replicas(2)[0]
    assert bench.ask(b"simulate-failure", when) == b"+OK\r\n"
    bench.ask(b"failover", b"main")
    bench.pass_ms(100)
    assert bench.door.exited == (when == b"crash-after-election")
    bench.pass_ms(300)
    if when == b"crash-after-promotion":
        bench.tell_info(replica, b"role:master\r\n")
    assert bench.door.exited
