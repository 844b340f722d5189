"""Hello messages: what is said, who is met, whose configuration counts."""

from __future__ import annotations

import pytest

from gossamer.sentinel.instances import FAILOVER_NONE, REQUEST_PUBLISH, current_address
from support.sentinel_bench import MY_ID, Bench

OTHER = b"2" * 40


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.pass_ms(1200)
    return bench


def test_a_hello_message_says_where_one_is_and_what_one_holds_for_true(bench: Bench) -> None:
    bench.take(REQUEST_PUBLISH)
    bench.state.current_epoch = 7
    bench.primary.config_epoch = 5
    bench.state.port = 5000
    bench.pass_ms(3000)
    argv = bench.take(REQUEST_PUBLISH)[0][1]
    assert argv == [b"PUBLISH", b"__sentinel__:hello", b"10.9.9.9,5000," + MY_ID + b",7,main,10.0.0.1,6379,5"]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"10.0.1.2,26379,x,0,main,10.0.0.1,6379",
        b"10.0.1.2,26379,,0,main,10.0.0.1,6379,0",
        b"10.0.1.2,port,x,0,main,10.0.0.1,6379,0",
        b"10.0.1.2,26379,x,-1,main,10.0.0.1,6379,0",
        b"10.0.1.2,26379,x,9223372036854775807,main,10.0.0.1,6379,0",
        b"10.0.1.2,66379,x,0,main,10.0.0.1,6379,0",
        b"10.0.1.2,26379,x,0,other,10.0.0.1,6379,0",
        b"10.0.1.2,26379," + MY_ID + b",9,main,10.0.0.1,6379,9",
    ],
)
def test_what_is_no_message_of_another_sentinel_changes_nothing(bench: Bench, message: bytes) -> None:
    bench.door.events.clear()
    bench.hello(message)
    assert bench.events() == []
    assert bench.primary.sentinels == {}
    assert bench.state.current_epoch == 0


def test_a_new_sentinel_is_met_once(bench: Bench) -> None:
    for _ in range(2):
        bench.hello(b"10.0.1.2,26379,%s,0,main,10.0.0.1,6379,0" % OTHER)
    assert bench.events(b"+sentinel") == [
        b"+sentinel sentinel %s 10.0.1.2 26379 @ main 10.0.0.1 6379" % OTHER
    ]
    assert bench.door.saves == 1


def test_a_sentinel_at_a_new_address_is_the_same_one(bench: Bench) -> None:
    bench.meet(2)
    bench.hello(b"10.0.1.9,26380,%s,0,main,10.0.0.1,6379,0" % OTHER)
    assert [each.address.ip for each in bench.primary.sentinels.values()] == [b"10.0.1.9"]
    assert bench.events(b"+sentinel-address-switch") == [
        b"+sentinel-address-switch master main 10.0.0.1 6379 ip 10.0.1.9 port 26380 for " + OTHER
    ]
    assert len(bench.events(b"+sentinel")) == 1


def test_a_sentinel_with_a_new_id_takes_the_place_of_the_one_at_its_address(bench: Bench) -> None:
    bench.meet(2)
    bench.hello(b"10.0.1.2,26379,%s,0,main,10.0.0.1,6379,0" % (b"3" * 40))
    assert list(bench.primary.sentinels) == [b"3" * 40]
    assert len(bench.events(b"+sentinel-invalid-addr")) == 1


def test_sentinels_of_two_primaries_share_one_link_and_move_together(bench: Bench) -> None:
    assert bench.ask(b"monitor", b"second", b"10.0.5.1", b"6379", b"2") == b"+OK\r\n"
    first = bench.meet(2)
    bench.hello(b"10.0.1.2,26379,%s,0,second,10.0.5.1,6379,0" % OTHER)
    second = bench.state.primaries[b"second"].sentinels[OTHER]
    assert second.link is first.link and len(first.link.users) == 2
    bench.hello(b"10.0.1.7,26379,%s,0,main,10.0.0.1,6379,0" % OTHER)
    assert second.address.ip == b"10.0.1.7"
    assert bench.events(b"+sentinel-address-update")[0].endswith(b" 1 additional matching instances")


def test_a_greater_current_epoch_is_taken_over_and_kept(bench: Bench) -> None:
    bench.meet(2)
    saves = bench.door.saves
    bench.hello(b"10.0.1.2,26379,%s,4,main,10.0.0.1,6379,0" % OTHER)
    assert bench.state.current_epoch == 4
    assert bench.events(b"+new-epoch") == [b"+new-epoch 4"]
    assert bench.door.saves == saves + 1


def test_a_newer_configuration_moves_the_primary(bench: Bench) -> None:
    bench.primary.client_reconfig_script = b"/bin/reconfig"
    bench.meet(2)
    bench.hello(b"10.0.1.2,26379,%s,4,main,10.0.0.2,6379,4" % OTHER)
    assert bench.events(b"+config-update-from", b"+switch-master", b"+slave") == [
        b"+config-update-from sentinel %s 10.0.1.2 26379 @ main 10.0.0.1 6379" % OTHER,
        b"+switch-master main 10.0.0.1 6379 10.0.0.2 6379",
        b"+slave slave 10.0.0.1:6379 10.0.0.1 6379 @ main 10.0.0.2 6379",
    ]
    assert bench.door.scripts == [
        [b"/bin/reconfig", b"main", b"observer", b"start", b"10.0.0.1", b"6379", b"10.0.0.2", b"6379"]
    ]
    assert list(bench.primary.sentinels) == [OTHER]


@pytest.mark.parametrize("epoch", [3, 4])
def test_a_configuration_that_is_not_newer_changes_nothing(bench: Bench, epoch: int) -> None:
    bench.meet(2)
    bench.primary.config_epoch = 4
    bench.hello(b"10.0.1.2,26379,%s,4,main,10.0.0.2,6379,%d" % (OTHER, epoch))
    assert bench.events(b"+switch-master") == []
    assert bench.primary.config_epoch == 4


def test_a_newer_configuration_ends_ones_own_failover_even_if_it_names_the_old_address(bench: Bench) -> None:
    replica = bench.add_replicas(2)[0]
    bench.meet(2)
    assert bench.ask(b"failover", b"main") == b"+OK\r\n"
    bench.pass_ms(500)
    bench.tell_info(replica, b"role:master\r\n")
    assert current_address(bench.primary).ip == b"10.0.0.2"
    bench.hello(b"10.0.1.2,26379,%s,4,main,10.0.0.1,6379,4" % OTHER)
    assert current_address(bench.primary).ip == b"10.0.0.1"
    assert bench.primary.failover_state == FAILOVER_NONE
    assert bench.events(b"+switch-master") == [b"+switch-master main 10.0.0.2 6379 10.0.0.1 6379"]
