"""The log's lines and where they go."""

import os
import re

import pytest

from gossamer.server.log import DEBUG, NOTICE, WARNING, Log, format_line

AT_S = 1_700_000_000.123


@pytest.fixture(autouse=True)
def utc(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_line_has_the_form_of_redis():
    assert format_line(7, "M", AT_S, NOTICE, "Ready") == b"7:M 14 Nov 2023 22:13:20.123 * Ready\n"
    assert format_line(7, "C", AT_S, DEBUG, "x").endswith(b" . x\n")
    assert format_line(7, "X", AT_S, WARNING, "x").endswith(b" # x\n")


def test_a_long_message_is_cut():
    assert len(format_line(1, "M", AT_S, NOTICE, "x" * 5000)) < 1100


def lines_of(path):
    return path.read_text().splitlines() if path.exists() else []


def test_only_lines_of_the_level_and_above_are_written(tmp_path):
    log = Log(lambda: AT_S)
    log.configure(b"notice", os.fsencode(tmp_path / "log"))
    log.debug("a")
    log.verbose("b")
    log.notice("c")
    log.warning("d")
    assert [line[-3:] for line in lines_of(tmp_path / "log")] == ["* c", "# d"]
    log.configure(b"nothing", os.fsencode(tmp_path / "log"))
    log.warning("e")
    assert len(lines_of(tmp_path / "log")) == 2


def test_a_server_that_starts_and_its_children_are_marked_c(tmp_path):
    log = Log(lambda: AT_S)
    log.configure(b"debug", os.fsencode(tmp_path / "log"))
    log.notice("starting")
    log.server_started()
    log.notice("primary")
    log.role = "S"
    log.notice("replica")
    log.server_pid = 1
    log.notice("child")
    roles = [re.findall(r"^\d+:(.)", line)[0] for line in lines_of(tmp_path / "log")]
    assert roles == ["C", "M", "S", "C"]


def test_a_rotated_file_is_left_behind(tmp_path):
    log = Log(lambda: AT_S)
    log.configure(b"debug", os.fsencode(tmp_path / "log"))
    log.notice("one")
    (tmp_path / "log").rename(tmp_path / "log.1")
    log.notice("two")
    assert len(lines_of(tmp_path / "log")) == len(lines_of(tmp_path / "log.1")) == 1


def test_a_log_that_cannot_be_written_is_silent(tmp_path):
    log = Log(lambda: AT_S)
    log.configure(b"debug", os.fsencode(tmp_path / "no" / "log"))
    log.warning("lost")


def test_standard_output_is_the_default(capfd):
    Log(lambda: AT_S).warning("here \udcff")
    assert capfd.readouterr().out.startswith(f"{os.getpid()}:C 14 Nov 2023")
