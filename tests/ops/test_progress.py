"""The bar: where it is drawn, where it is not, and what it says."""

import io

import pytest

from gossamer.ops.progress import Progress, duration_text, size_text


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def work(progress: Progress, clock: Clock, steps: int, step_s: float) -> None:
    progress.begin("dump.rdb", steps * 1024)
    for _ in range(steps):
        clock.now_s += step_s
        progress.advance(1024)
    progress.end()


def test_nothing_is_written_where_nobody_looks():
    stream = io.StringIO()
    clock = Clock()
    work(Progress(stream, None, clock), clock, 100, 1.0)
    assert stream.getvalue() == ""


def test_nothing_is_written_for_work_that_ends_soon():
    stream = Terminal()
    clock = Clock()
    work(Progress(stream, None, clock), clock, 100, 0.001)
    assert stream.getvalue() == ""


def test_a_terminal_shows_one_line_that_is_gone_at_the_end():
    stream = Terminal()
    clock = Clock()
    work(Progress(stream, None, clock), clock, 10, 1.0)
    assert "\n" not in stream.getvalue()
    shown = stream.getvalue().split("\r")
    assert shown[5].startswith(
        "dump.rdb   50% [###############...............] 5.0 KiB of 10.0 KiB, 5 s left"
    )
    assert shown[-2].strip() == "" and shown[-1] == ""


def test_a_terminal_is_not_drawn_on_more_often_than_people_see():
    stream = Terminal()
    clock = Clock()
    work(Progress(stream, None, clock), clock, 10_000, 0.001)
    assert stream.getvalue().count("\r") < 110


def test_a_log_gets_a_line_for_each_tenth_when_that_is_asked_for():
    stream = io.StringIO()
    clock = Clock()
    work(Progress(stream, True, clock), clock, 1000, 0.01)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[-1].startswith("dump.rdb  100%")


def test_a_terminal_can_be_told_to_show_nothing():
    stream = Terminal()
    clock = Clock()
    work(Progress(stream, False, clock), clock, 10, 1.0)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (3 << 30, "3.0 GiB"),
        (1 << 62, "4194304.0 TiB"),
    ],
)
def test_a_size_for_people(size: int, text: str):
    assert size_text(size) == text


def test_a_duration_for_people():
    assert [duration_text(seconds) for seconds in (0.2, 59.4, 61, 3600)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "60 min 0 s",
    ]
