"""Under GOSSAMER_REQUIRE_PEERS=1 a comparison with a peer that did not happen is a failure."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
PROJECT = CONFTEST.parent.parent

SKIPPED_TEST = """
import pytest

@pytest.mark.peers
def test_against_a_peer():
    pytest.skip("no-such-server is not installed")

def test_of_ours():
    pytest.skip("for another reason")
"""

SKIPPED_FILE = """
import pytest

pytest.importorskip("no_such_module")
"""


def outcome(directory: Path, source: str, required: str) -> str:
    shutil.copy(CONFTEST, directory / "conftest.py")
    shutil.copy(PROJECT / "pyproject.toml", directory / "pyproject.toml")
    (directory / "tests").mkdir()
    (directory / "tests" / "test_sample.py").write_text(source)
    path = os.pathsep.join([str(CONFTEST.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "GOSSAMER_REQUIRE_PEERS": required, "PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    result = subprocess.run(
        command, cwd=directory, env=environment, text=True, stdout=subprocess.PIPE, check=False
    )
    return result.stdout


@pytest.mark.parametrize("required", ["0", "1"])
def test_a_skipped_comparison_fails_only_where_peers_are_required(tmp_path: Path, required: str) -> None:
    output = outcome(tmp_path, SKIPPED_TEST, required)
    if required == "1":
        assert "1 failed, 1 skipped" in output
        assert "no-such-server is not installed" in output
    else:
        assert "2 skipped" in output


def test_a_skipped_file_fails_where_peers_are_required(tmp_path: Path) -> None:
    output = outcome(tmp_path, SKIPPED_FILE, "1")
    assert "1 error" in output
    assert "no_such_module" in output
