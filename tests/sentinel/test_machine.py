"""Time and links: ticks, TILT, who counts as down, connections that are made again."""

from __future__ import annotations

from gossamer.resp.reply_reader import ErrorReply
from gossamer.sentinel.instances import (
    COMMANDS,
    MESSAGES,
    REQUEST_IGNORED,
    REQUEST_INFO,
    REQUEST_PING,
    SUBJECTIVELY_DOWN,
    SentinelState,
)
from gossamer.sentinel.machine import Sentinel
from support.sentinel_bench import Bench, BenchDoor


def test_a_sentinel_without_an_id_makes_one_and_keeps_it() -> None:
    door, state = BenchDoor(), SentinelState()
    Sentinel(state, door).start(1000)
    assert len(state.my_id) == 40 and set(state.my_id) <= set(b"0123456789abcdef")
    assert door.saves == 1


def test_what_is_said_first_on_each_connection() -> None:
    bench = Bench()
    bench.primary.auth_user, bench.primary.auth_password = b"user", b"secret"
    bench.pass_ms(100, answers=False)
    said = [(connection.purpose, argv) for connection, argv, _ in bench.door.sent]
    assert said[:6] == [
        (COMMANDS, [b"AUTH", b"user", b"secret"]),
        (COMMANDS, [b"CLIENT", b"SETNAME", b"sentinel-aaaaaaaa-cmd"]),
        (COMMANDS, [b"PING"]),
        (MESSAGES, [b"AUTH", b"user", b"secret"]),
        (MESSAGES, [b"CLIENT", b"SETNAME", b"sentinel-aaaaaaaa-pubsub"]),
        (MESSAGES, [b"SUBSCRIBE", b"__sentinel__:hello"]),
    ]


def test_ping_every_second_and_info_every_ten() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    bench.tell_info(bench.primary, b"role:master\r\n")
    pings = infos = 0
    for _ in range(300):
        bench.pass_ms(100, answers=False)
        pings += len([each for each in bench.door.sent if each[2].kind == REQUEST_PING])
        bench.answer_pings()
        for connection, _, request in bench.take(REQUEST_INFO):
            infos += 1
            bench.machine.on_reply(connection, request, b"role:master\r\n", bench.now)
    assert 26 <= pings <= 30
    assert 2 <= infos <= 3


def test_who_does_not_answer_is_down_and_up_again_with_the_next_answer() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    bench.pass_ms(4500, answers=False)
    assert bench.events() == [b"+sdown master main 10.0.0.1 6379"]
    bench.pass_ms(200)
    assert bench.events()[-1] == b"-sdown master main 10.0.0.1 6379"


def test_an_error_is_an_answer_only_if_it_says_loading_or_masterdown() -> None:
    for text, is_down in ((b"LOADING x", False), (b"MASTERDOWN x", False), (b"NOAUTH x", True)):
        bench = Bench()
        for _ in range(60):
            bench.pass_ms(100, answers=False)
            for connection, _, request in bench.take(REQUEST_PING):
                bench.machine.on_reply(connection, request, ErrorReply(text), bench.now)
        assert bool(bench.primary.flags & SUBJECTIVELY_DOWN) == is_down, text


def test_a_script_that_keeps_the_server_busy_is_killed_once() -> None:
    bench = Bench()
    for _ in range(80):
        bench.pass_ms(100, answers=False)
        for connection, _, request in bench.take(REQUEST_PING):
            bench.machine.on_reply(connection, request, ErrorReply(b"BUSY a script"), bench.now)
    kills = [argv for _, argv, _ in bench.take(REQUEST_IGNORED) if argv == [b"SCRIPT", b"KILL"]]
    assert len(kills) == 1


def test_a_primary_that_says_that_it_is_a_replica_is_down_after_a_while() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    bench.tell_info(bench.primary, b"role:slave\r\n")
    assert bench.events() == [b"-role-change master main 10.0.0.1 6379 new reported role is slave"]
    bench.pass_ms(22_900)
    assert not bench.primary.flags & SUBJECTIVELY_DOWN
    bench.pass_ms(300)
    assert bench.primary.flags & SUBJECTIVELY_DOWN


def test_a_lost_connection_is_made_again_after_a_second() -> None:
    bench = Bench()
    bench.pass_ms(1500)
    first = bench.primary.link.commands
    assert first is not None
    bench.machine.on_lost(first, "reset", bench.now)
    assert bench.primary.link.disconnected
    bench.pass_ms(1100)
    second = bench.primary.link.commands
    assert second is not None and second is not first and not bench.primary.link.disconnected
    bench.machine.on_lost(first, "again", bench.now)  # nobody cares for the old one
    assert bench.primary.link.commands is second


def test_a_subscription_that_hears_nothing_is_made_anew() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    messages = bench.primary.link.messages
    bench.pass_ms(15_500)
    assert messages in bench.door.closed
    assert bench.primary.link.messages is not None


def test_a_subscription_that_is_refused_is_tried_again_and_an_older_error_is_not_its_own() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    messages = bench.primary.link.messages
    assert messages is not None
    bench.machine.on_message(messages, ErrorReply(b"NOPERM no SETNAME for you"), bench.now)
    assert not bench.primary.link.disconnected
    bench.machine.on_message(messages, ErrorReply(b"NOAUTH Authentication required."), bench.now)
    assert bench.primary.link.disconnected and messages in bench.door.closed
    bench.pass_ms(1100)
    assert not bench.primary.link.disconnected and bench.primary.link.messages is not messages


def test_a_jump_of_the_clock_is_tilt_and_nothing_is_decided_in_it() -> None:
    for jump_ms in (2100, -1):
        bench = Bench(quorum=1)
        bench.pass_ms(1200)
        bench.now += jump_ms
        bench.machine.tick(bench.now)
        assert bench.events() == [b"+tilt #tilt mode entered"]
        bench.pass_ms(29_800, answers=False)
        assert bench.events(b"+sdown", b"+odown") == []
        assert bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"0", b"*").startswith(b"*3\r\n:0")
        bench.answer_pings()
        bench.pass_ms(400)
        assert bench.events() == [b"+tilt #tilt mode entered", b"-tilt #tilt mode exited"]


def test_a_save_that_failed_is_repeated() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    bench.door.fails = True
    bench.meet(2)
    assert any(b"not able to save" in line for line in bench.door.logged)
    bench.door.fails = False
    bench.pass_ms(1200)
    assert bench.door.saves == 1 and not bench.machine.unsaved


def test_a_primary_that_is_watched_anew_gets_no_vote_in_an_epoch_that_has_begun() -> None:
    bench = Bench()
    bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"3", b"b" * 40)
    bench.ask(b"remove", b"main")
    assert bench.ask(b"monitor", b"main", b"10.0.0.1", b"6379", b"2") == b"+OK\r\n"
    reply = bench.ask(b"is-master-down-by-addr", b"10.0.0.1", b"6379", b"3", b"c" * 40)
    assert reply == b"*3\r\n:0\r\n$1\r\n*\r\n:3\r\n"


def test_hello_is_said_every_two_seconds() -> None:
    bench = Bench()
    bench.pass_ms(1200)
    published = 0
    for _ in range(100):
        bench.pass_ms(100)
        for connection, _, request in bench.take(3):
            published += 1
            bench.machine.on_reply(connection, request, 1, bench.now)
    assert 4 <= published <= 5
