"""What the process does to itself: pid files, supervisors, signals."""

import os
import signal
import socket

import pytest

from gossamer.server.process import (
    Signals,
    remove_file,
    restore_signals,
    supervisor_of,
    tell_supervisor,
    write_pid_file,
)


@pytest.fixture(autouse=True)
def surroundings(monkeypatch):
    monkeypatch.delenv("UPSTART_JOB", raising=False)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


def test_a_pid_file_holds_the_pid_and_a_line_end(tmp_path):
    path = os.fsencode(tmp_path / "pid")
    assert write_pid_file(path) == ""
    assert (tmp_path / "pid").read_text() == f"{os.getpid()}\n"
    remove_file(path)
    remove_file(path)
    assert not (tmp_path / "pid").exists()


def test_a_pid_file_that_cannot_be_written_is_told(tmp_path):
    assert write_pid_file(os.fsencode(tmp_path / "no" / "pid")) == "No such file or directory"


def test_a_supervisor_counts_only_where_its_variable_is_set(monkeypatch):
    assert supervisor_of(b"auto") == supervisor_of(b"systemd") == supervisor_of(b"upstart") == ""
    monkeypatch.setenv("NOTIFY_SOCKET", "/x")
    assert supervisor_of(b"auto") == supervisor_of(b"systemd") == "systemd"
    assert supervisor_of(b"no") == supervisor_of(b"upstart") == ""
    monkeypatch.setenv("UPSTART_JOB", "x")
    assert supervisor_of(b"auto") == supervisor_of(b"upstart") == "upstart"


def test_systemd_hears_that_the_server_is_ready(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(path)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        assert tell_supervisor("systemd", "READY=1\n")
        assert listener.recv(100) == b"READY=1\n"


def test_nobody_is_told_where_nobody_listens(tmp_path, monkeypatch):
    assert not tell_supervisor("systemd", "READY=1\n")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "none"))
    assert not tell_supervisor("systemd", "READY=1\n")
    assert not tell_supervisor("", "READY=1\n")


def test_a_signal_arrives_as_an_event_and_a_second_interrupt_would_kill():
    heard: list[str] = []
    signals = Signals(heard.append)
    try:
        signals.on_readable()
        assert heard == []
        os.kill(os.getpid(), signal.SIGTERM)
        signals.on_readable()
        assert heard == ["SIGTERM"]
        assert signal.getsignal(signal.SIGINT) == signal.SIG_DFL
        signals.stop_failed()
        os.kill(os.getpid(), signal.SIGINT)
        signals.on_readable()
        assert heard == ["SIGTERM", "SIGINT"]
    finally:
        signals.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_child_has_the_signals_of_the_system():
    signals = Signals(lambda name: None)
    try:
        restore_signals()
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT) == signal.SIG_DFL
    finally:
        signals.close()
        signal.signal(signal.SIGINT, signal.default_int_handler)
