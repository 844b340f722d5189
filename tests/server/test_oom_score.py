"""What the kernel is told for when memory runs out: oom-score-adj and oom-score-adj-values."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossamer.base.errors import ConfigError
from gossamer.engine.config import Config
from gossamer.server.log import Log
from gossamer.server.oom_score import OomScore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "oom_score_adj"
    path.write_text("7\n")
    return path


def started(file: Path, **directives: str) -> OomScore:
    config = Config()
    score = OomScore(config, Log(), str(file))
    for name in ("oom-score-adj", "oom-score-adj-values"):
        config.on_change(name, score.apply)
    score.start()
    config.set([(name.replace("_", "-").encode(), value.encode()) for name, value in directives.items()])
    return score


@pytest.mark.parametrize(("mode", "expected"), [("yes", 17), ("relative", 17), ("absolute", 10), ("no", 7)])
def test_each_mode_counts_from_where_it_says(file: Path, mode: str, expected: int) -> None:
    started(file, oom_score_adj_values="10 20 30", oom_score_adj=mode)
    assert int(file.read_text()) == expected


def test_no_brings_back_the_score_of_before(file: Path) -> None:
    score = started(file, oom_score_adj="yes", oom_score_adj_values="10 20 30")
    score.config.set([(b"oom-score-adj", b"absolute")])
    score.config.set([(b"oom-score-adj", b"no")])
    assert int(file.read_text()) == 7


def test_values_alone_change_nothing(file: Path) -> None:
    file.write_text("3")
    started(file, oom_score_adj_values="1 2 3")
    assert file.read_text() == "3"


def test_replicas_and_background_children_have_scores_of_their_own(file: Path) -> None:
    score = started(file, oom_score_adj_values="10 20 30", oom_score_adj="yes")
    score.config.put("replicaof", (b"127.0.0.1", 6379))
    score.apply()
    assert int(file.read_text()) == 27
    score.apply_in_child()
    assert int(file.read_text()) == 37


def test_scores_stay_within_what_the_kernel_takes(file: Path) -> None:
    started(file, oom_score_adj_values="-2000 0 2000", oom_score_adj="yes")
    assert int(file.read_text()) == -1000


def test_a_refusal_by_the_kernel_refuses_the_change(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Failed to apply new oom_score_adj configuration"):
        started(tmp_path / "none", oom_score_adj="yes")
