"""What every test run needs: which build mode is under test, and which peers may be absent.

GOSSAMER_TEST_MODE is compiled, interpreted or installed (either); the run refuses to start in another.
GOSSAMER_REQUIRE_PEERS=1 turns every skipped comparison with a peer into a failure.
"""

import os
import shutil
import subprocess
from collections.abc import Generator

import pytest

from gossamer.base import build

pytest_plugins = ["support.fixtures"]

PEERS = ("redis-server", "redis-cli", "redis-benchmark", "valkey-server", "node")


def peers_required() -> bool:
    return os.environ.get("GOSSAMER_REQUIRE_PEERS") == "1"


def peer_version(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        return "absent"
    words = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout.split()
    for word in words:
        if word.removeprefix("v=")[:1].isdigit():
            return word.removeprefix("v=")
    return words[-1] if words else "present"


def pytest_configure(config: pytest.Config) -> None:
    wanted = os.environ.get("GOSSAMER_TEST_MODE", "installed")
    if wanted not in ("installed", build.mode()):
        raise pytest.UsageError(
            f"the {wanted} mode is to be tested, but {build.__file__} runs {build.mode()}"
        )


def pytest_report_header() -> list[str]:
    peers = ", ".join(f"{program} {peer_version(program)}" for program in PEERS)
    required = " (required)" if peers_required() else ""
    return [f"gossamer: {build.mode()}, from {os.path.dirname(build.__file__)}", f"peers{required}: {peers}"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and peers_required() and item.get_closest_marker("peers"):
        report.outcome = "failed"
        report.longrepr = f"GOSSAMER_REQUIRE_PEERS=1, and this was skipped: {reason_of(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if peers_required() and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"GOSSAMER_REQUIRE_PEERS=1, and this file was skipped: {reason_of(report)}"
    return report


def reason_of(report: pytest.TestReport | pytest.CollectReport) -> str:
    return str(report.longrepr[2]) if isinstance(report.longrepr, tuple) else str(report.longrepr)
