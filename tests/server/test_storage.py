"""Real files and real children behind the doors of persistence."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gossamer.persistence.doors import Job
from gossamer.server.storage import SystemDisk, SystemProcesses
from support.servers import wait_until


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class Exit(Job):
    def __init__(self, status: int) -> None:
        self.status = status

    def run(self) -> int:
        Path("child").write_text(str(os.getpid()))
        return self.status


class Fail(Job):
    def run(self) -> int:
        raise RuntimeError("a bug in the child")


class Sleep(Job):
    def run(self) -> int:
        time.sleep(60)
        return 0


def awaited(processes: SystemProcesses, child: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        status = processes.exit_status(child)
        if status is not None:
            return int(status)
        time.sleep(0.01)
    raise AssertionError("the child does not end")


def test_a_file_is_written_renamed_read_and_removed() -> None:
    disk = SystemDisk()
    assert disk.open("new") is None
    for content in (b"a longer content of old", b"short"):
        file = disk.create("temporary")
        file.write(content)
        file.write(b"")
        file.sync()
        file.close()
        disk.rename("temporary", "new")
        disk.sync_directory()
    read = disk.open("new")
    assert read is not None
    assert (read.size_bytes(), read.read(3), read.read(100), read.read(1)) == (5, b"sho", b"rt", b"")
    read.close()
    disk.remove("new")
    disk.remove("new")
    assert os.listdir(".") == []


def test_a_directory_that_cannot_be_written_is_an_os_error() -> None:
    with pytest.raises(OSError):
        SystemDisk().create("none/such")


@pytest.mark.parametrize("status", [0, 1, 7])
def test_a_child_does_its_job_and_tells_its_status(status: int) -> None:
    processes = SystemProcesses()
    child = int(processes.fork(Exit(status)))
    assert awaited(processes, child) == status
    assert int(Path("child").read_text()) == child != os.getpid() == processes.own_id()


def test_a_bug_in_the_child_is_a_failure(capfd: pytest.CaptureFixture[str]) -> None:
    processes = SystemProcesses()
    assert awaited(processes, int(processes.fork(Fail()))) == 1


class Change(Job):
    """Changes memory that it shares with its parent."""

    def __init__(self, size: int) -> None:
        self.memory = bytearray(b"x" * size)

    def run(self) -> int:
        for at in range(0, len(self.memory), 4096):
            self.memory[at] = 121
        return 0


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the system does not tell")
def test_a_child_tells_how_much_memory_it_made_its_own() -> None:
    processes = SystemProcesses()
    awaited(processes, int(processes.fork(Change(32 << 20))))
    large = int(processes.copied_bytes())
    awaited(processes, int(processes.fork(Exit(0))))
    assert 32 << 20 <= large and int(processes.copied_bytes()) < 32 << 20
    before = len(os.listdir("/proc/self/fd"))
    awaited(processes, int(processes.fork(Fail())))
    assert processes.copied_bytes() == 0
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_killed_child_tells_the_signal_and_is_gone() -> None:
    processes = SystemProcesses()
    child = int(processes.fork(Sleep()))
    assert processes.exit_status(child) is None
    os.kill(child, 9)
    assert awaited(processes, child) == -9
    child = int(processes.fork(Sleep()))
    processes.kill(child)
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)
    processes.kill(child)


def test_a_child_keeps_no_port_busy() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        address = listening.getsockname()
        processes = SystemProcesses()
        child = int(processes.fork(Sleep()))
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(address, 1).close()
            except ConnectionRefusedError:
                break
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        processes.kill(child)


PARENT = """
import time
from gossamer.persistence.doors import Job
from gossamer.server.storage import SystemProcesses

class Sleep(Job):
    def run(self):
        print("ready", flush=True)
        time.sleep(60)
        return 0

print(SystemProcesses().fork(Sleep()), flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs PR_SET_PDEATHSIG")
def test_a_child_does_not_outlive_a_server_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        words = [parent.stdout.readline().strip() for _ in range(2)]
        assert "ready" in words
        child = next(word for word in words if word.isdigit())
        parent.kill()
        parent.wait()
        wait_until(lambda: not is_running(child), 10, "the end of the child")


def is_running(process_id: str) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"  # somebody else may not have waited for it yet
