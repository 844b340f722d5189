"""Names are resolved without keeping a Sentinel waiting, save for the first time."""

import threading
import time

import pytest

from gossamer.server.sentinel_names import NAMES_MAX, Name, Names, look_up


class NameServer:
    """Answers from a table, and only while it is `there`."""

    def __init__(self) -> None:
        self.table = {"cache": "10.0.0.1"}
        self.there = threading.Event()
        self.there.set()
        self.questions = 0
        self.now_s = 100.0
        self.names = Names(self.ask, lambda: self.now_s)

    def ask(self, name: str) -> str:
        self.questions += 1
        assert self.there.wait(10.0)
        return self.table.get(name, "")

    def settle(self) -> None:
        """Wait for every question that is under way."""
        for entry in self.names.known.values():
            if entry.thread is not None:
                entry.thread.join(10.0)


@pytest.fixture
def server() -> NameServer:
    return NameServer()


def test_the_first_question_has_its_answer(server: NameServer) -> None:
    assert server.names.resolve("cache") == "10.0.0.1"
    assert server.names.resolve("nobody") == ""


def test_a_fresh_answer_is_not_asked_for_again(server: NameServer) -> None:
    for _ in range(5):
        server.names.resolve("cache")
    assert server.questions == 1


def test_a_name_that_moves_is_followed(server: NameServer) -> None:
    server.names.resolve("cache")
    server.table["cache"] = "10.0.0.2"
    server.now_s += 2
    server.names.resolve("cache")
    server.settle()
    assert server.names.resolve("cache") == "10.0.0.2"


def test_nobody_waits_for_a_name_server_that_is_gone(server: NameServer) -> None:
    server.names.resolve("cache")
    server.there.clear()
    began = time.monotonic()
    for _ in range(20):
        server.now_s += 2
        assert server.names.resolve("cache") == "10.0.0.1"
    assert time.monotonic() - began < 1.0
    assert server.questions == 2  # one is under way
    server.there.set()
    server.settle()


def test_what_was_found_once_outlives_a_failure(server: NameServer) -> None:
    server.names.resolve("cache")
    server.table.clear()
    server.now_s += 2
    server.names.resolve("cache")
    server.settle()
    assert server.names.resolve("cache") == "10.0.0.1"


def test_a_name_that_was_not_there_is_found_when_it_is(server: NameServer) -> None:
    assert server.names.resolve("late") == ""
    server.table["late"] = "10.0.0.3"
    server.now_s += 2
    assert server.names.resolve("late") == "10.0.0.3"


def test_a_bounded_number_of_names_is_kept(server: NameServer) -> None:
    server.names.known.update({f"host{number}": Name() for number in range(NAMES_MAX)})
    server.names.resolve("one more")
    assert len(server.names.known) == NAMES_MAX


def test_the_system_knows_this_machine() -> None:
    assert look_up("localhost") in ("127.0.0.1", "::1")
    assert look_up("nosuch.invalid") == ""
