"""Votes: once per epoch, durable before they are told, counted against majority and quorum."""

from __future__ import annotations

import pytest

from gossamer.sentinel import voting
from gossamer.sentinel.instances import (
    FAILOVER_IN_PROGRESS,
    OBJECTIVELY_DOWN,
    PRIMARY_DOWN,
    REQUEST_IS_DOWN,
)
from support.sentinel_bench import MY_ID, Bench

B, C = b"b" * 40, b"c" * 40


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.pass_ms(1200)
    return bench


def down(bench: Bench) -> None:
    """The primary answers no more."""
    for _ in range(45):
        bench.now += 100
        bench.machine.tick(bench.now)
        bench.answer_pings(but=bench.primary)


def test_a_vote_is_given_once_per_epoch(bench: Bench) -> None:
    assert voting.vote(bench.machine, bench.primary, 3, B) == (B, 3)
    assert voting.vote(bench.machine, bench.primary, 3, C) == (B, 3)
    assert voting.vote(bench.machine, bench.primary, 2, C) == (B, 3)
    assert voting.vote(bench.machine, bench.primary, 4, C) == (C, 4)
    assert bench.events(b"+new-epoch", b"+vote-for-leader") == [
        b"+new-epoch 3",
        b"+vote-for-leader %s 3" % B,
        b"+new-epoch 4",
        b"+vote-for-leader %s 4" % C,
    ]


def test_a_vote_that_cannot_be_saved_is_not_given(bench: Bench) -> None:
    bench.door.fails = True
    assert (
        bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"3", B)
        == b"*3\r\n:0\r\n$1\r\n*\r\n:0\r\n"
    )
    assert bench.state.current_epoch == 0
    assert bench.events(b"+vote-for-leader") == []
    bench.door.fails = False
    bench.now += 2000
    assert bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"3", C).endswith(C + b"\r\n:3\r\n")


def test_an_answer_tells_of_a_vote_only_where_one_was_asked_for(bench: Bench) -> None:
    assert voting.answer(bench.machine, b"10.0.0.1", 6379, 5, b"*") == (False, b"", 0)
    assert voting.answer(bench.machine, b"10.0.0.9", 6379, 5, B) == (False, b"", 0)
    assert bench.state.current_epoch == 0
    down(bench)
    assert voting.answer(bench.machine, b"10.0.0.1", 6379, 5, B) == (True, B, 5)


def test_the_others_are_asked_once_the_primary_is_down(bench: Bench) -> None:
    bench.meet(2)
    bench.pass_ms(1500)
    assert bench.take(REQUEST_IS_DOWN) == []
    down(bench)
    argv = bench.take(REQUEST_IS_DOWN)[0][1]
    assert argv == [b"SENTINEL", b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"0", b"*"]


def test_down_for_enough_is_objectively_down(bench: Bench) -> None:
    other = bench.meet(2)
    bench.pass_ms(1500)
    down(bench)
    assert bench.events(b"+odown") == []
    bench.tell_vote(other, 1, b"*", 0)
    bench.machine.tick(bench.now)
    assert bench.events(b"+odown") == [b"+odown master main 10.0.0.1 6379 #quorum 2/2"]
    bench.tell_vote(other, 0, b"*", 0)
    bench.machine.tick(bench.now)
    assert bench.events(b"-odown") == [b"-odown master main 10.0.0.1 6379"]


def test_an_opinion_grows_old(bench: Bench) -> None:
    other = bench.meet(2)
    bench.pass_ms(1500)
    down(bench)
    bench.tell_vote(other, 1, b"*", 0)
    bench.primary.failover_start_ms = bench.now  # no failover now
    bench.machine.tick(bench.now)
    assert bench.primary.flags & OBJECTIVELY_DOWN
    for _ in range(60):
        bench.now += 100
        bench.machine.tick(bench.now)
        bench.answer_pings(but=bench.primary)
    assert not bench.primary.flags & OBJECTIVELY_DOWN


@pytest.mark.parametrize(
    ("others", "quorum", "votes", "leader"),
    [
        (2, 2, {2: MY_ID}, MY_ID),
        (2, 3, {2: MY_ID}, b""),
        (4, 2, {2: MY_ID}, b""),
        (4, 2, {2: MY_ID, 3: MY_ID}, MY_ID),
        (4, 2, {2: B, 3: B, 4: MY_ID}, B),
        (2, 1, {}, b""),
    ],
)
def test_a_leader_needs_a_majority_and_the_quorum(
    others: int, quorum: int, votes: dict[int, bytes], leader: bytes
) -> None:
    bench = Bench(quorum)
    bench.pass_ms(1200)
    sentinels = {number: bench.meet(number) for number in range(2, 2 + others)}
    bench.pass_ms(200)
    for number, choice in votes.items():
        bench.tell_vote(sentinels[number], 1, choice, 6)
    assert voting.elected_leader(bench.machine, bench.primary, 6) == leader


def test_votes_of_another_epoch_do_not_count(bench: Bench) -> None:
    other = bench.meet(2)
    bench.pass_ms(200)
    bench.tell_vote(other, 1, MY_ID, 5)
    assert voting.elected_leader(bench.machine, bench.primary, 6) == b""


def test_votes_are_asked_for_in_the_epoch_of_the_failover(bench: Bench) -> None:
    other = bench.meet(2)
    bench.pass_ms(1500)
    down(bench)
    bench.take(REQUEST_IS_DOWN)
    bench.tell_vote(other, 1, b"*", 0)
    bench.pass_ms(100, answers=False)
    assert bench.primary.flags & FAILOVER_IN_PROGRESS
    assert bench.take(REQUEST_IS_DOWN)[0][1][4:] == [b"1", MY_ID]
    bench.state.current_epoch = 9
    bench.pass_ms(1500, answers=False)
    assert bench.take(REQUEST_IS_DOWN)[-1][1][4:] == [b"1", MY_ID]


def test_an_opinion_about_the_primary_before_says_nothing_about_the_next(bench: Bench) -> None:
    other = bench.meet(2)
    bench.pass_ms(1500)
    down(bench)
    connection, _, question = bench.take(REQUEST_IS_DOWN)[0]
    bench.tell_vote(other, 1, b"*", 0)
    bench.hello(b"10.0.1.2,26379,%s,4,main,10.0.0.2,6379,4" % (b"2" * 40))
    assert not other.flags & PRIMARY_DOWN
    bench.machine.on_reply(connection, question, [1, b"*", 0], bench.now)
    assert not other.flags & PRIMARY_DOWN
