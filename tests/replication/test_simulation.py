"""Replication in the simulator: a small part of what `make replication` runs; broken variants are found out."""

import os
import subprocess
import sys

import pytest

from gossamer.base import build

WORLDS = 60
QUICK_TO_CONVICT = (
    "keeps its primary's id when promoted",
    "no SELECT at all",
    "a replica expires keys by itself",
)


def run_campaign(*options: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own, since hashes have to be the same in every run."""
    environment = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "support.replication_campaign", "--parallel", "1", *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_no_world_breaks_a_rule() -> None:
    run = run_campaign("--seeds", str(WORLDS), "--sound-only")
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"0 of {WORLDS} worlds broke a rule" in run.stdout


def test_a_seed_tells_the_same_story_twice() -> None:
    first, second = (run_campaign("--seed", "3") for _ in range(2))
    assert first.stdout == second.stdout
    assert "all faults are over" in first.stdout


@pytest.mark.skipif(build.compiled(), reason="a compiled class takes no patch")
def test_broken_replication_is_found_out() -> None:
    names = [word for name in QUICK_TO_CONVICT for word in ("--only", name)]
    run = run_campaign("--broken", *names)
    assert run.returncode == 0, run.stdout + run.stderr
    assert f"{len(QUICK_TO_CONVICT)} of {len(QUICK_TO_CONVICT)} found out" in run.stdout
