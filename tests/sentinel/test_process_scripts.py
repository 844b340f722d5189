"""Scripts run beside the loop: bounded, repeated when they ask for it, killed when they take too long."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gossamer.sentinel.doors import LOG_DEBUG, LOG_WARNING, ScriptJob
from gossamer.sentinel.instances import Timings
from gossamer.server.sentinel_scripts import QUEUE_MAX, RUNNING_MAX, SentinelScripts


class Stage:
    """Scripts with a clock of their own and a list of events."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.now_ms = 1000
        self.events: list[tuple[int, bytes, bytes]] = []
        self.scripts = SentinelScripts(
            Timings(), lambda *event: self.events.append(event), lambda: self.now_ms
        )

    def script(self, body: str) -> bytes:
        path = self.directory / f"script{len(list(self.directory.iterdir()))}"
        path.write_text("#!/bin/sh\n" + body + "\n")
        path.chmod(0o755)
        return bytes(path)

    def step_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < deadline
            self.scripts.step()
            time.sleep(0.005)

    def kinds(self) -> list[bytes]:
        return [kind for _, kind, _ in self.events]


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_a_script_gets_its_words_and_is_forgotten_when_it_is_done(stage: Stage) -> None:
    told = stage.directory / "told"
    stage.scripts.add([stage.script(f'echo "$1|$2|$#" > {told}'), b"+sdown", b"two words; $HOME"])
    stage.step_until(lambda: not stage.scripts.jobs)
    assert told.read_text() == "+sdown|two words; $HOME|2\n"
    assert stage.kinds() == [b"+script-child", b"-script-child"]
    assert {level for level, _, _ in stage.events} == {LOG_DEBUG}


def test_status_one_is_repeated_after_twice_the_wait_each_time_and_given_up_after_ten(stage: Stage) -> None:
    stage.scripts.add([stage.script("exit 1")])
    delays = []
    for attempt in range(1, 10):
        job = stage.scripts.jobs[0]

        def is_over(job: ScriptJob = job, attempt: int = attempt) -> bool:
            return job.attempts == attempt and job.not_before_ms != 0

        stage.step_until(is_over)
        delays.append(job.not_before_ms - stage.now_ms)
        stage.now_ms = job.not_before_ms
    stage.step_until(lambda: not stage.scripts.jobs)
    assert delays == [30_000 * 2**n for n in range(9)]
    assert stage.events[-1][:2] == (LOG_WARNING, b"-script-error")
    assert stage.events[-1][2].endswith(b" 0 1")


def test_any_other_status_is_an_error_at_once(stage: Stage) -> None:
    path = stage.script("exit 3")
    stage.scripts.add([path])
    stage.step_until(lambda: not stage.scripts.jobs)
    assert stage.events[-1] == (LOG_WARNING, b"-script-error", path + b" 0 3")


def test_what_cannot_be_started_is_an_error_and_not_repeated(stage: Stage) -> None:
    stage.scripts.add([b"/nonexistent"])
    stage.step_until(lambda: not stage.scripts.jobs)
    assert stage.events == [(LOG_WARNING, b"-script-error", b"/nonexistent 0 2")]


def test_one_that_takes_too_long_is_killed_and_repeated(stage: Stage) -> None:
    stage.scripts.add([stage.script("exec sleep 100")])
    stage.scripts.step()
    stage.now_ms += 60_001
    stage.step_until(lambda: not stage.scripts.running())
    assert stage.kinds() == [b"+script-child", b"-script-timeout", b"-script-child"]
    assert stage.events[-1][2].endswith(b" 0 9")
    assert stage.scripts.jobs[0].not_before_ms == stage.now_ms + 30_000


def test_sixteen_run_at_once_and_the_oldest_that_waits_gives_way(stage: Stage) -> None:
    path = stage.script("exec sleep 100")
    for number in range(QUEUE_MAX):
        stage.scripts.add([path, b"%d" % number])
    stage.scripts.step()
    assert stage.scripts.running() == RUNNING_MAX
    stage.scripts.add([path, b"last"])
    words = [job.argv[1] for job in stage.scripts.jobs]
    assert len(words) == QUEUE_MAX
    assert b"%d" % RUNNING_MAX not in words
    assert words[-1] == b"last"
    for child in stage.scripts.children.values():
        child.kill()
        child.wait()
