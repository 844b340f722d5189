"""The arguments of check-rdb and check-aof: what is understood, what is refused, and with which status."""

import subprocess
import sys
from pathlib import Path

import pytest

from gossamer.cli.main import main
from persistence.aof_content import command

SET = command(b"SET", b"k", b"v")


@pytest.mark.parametrize("tool", ["check-rdb", "check-aof"])
def test_help_tells_what_a_tool_takes(tool: str, capsys: pytest.CaptureFixture[str]):
    assert main([tool, "--help"]) == main([tool, "-h"]) == 0
    assert f"usage: gossamer {tool}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["check-rdb"],
        ["check-rdb", "--fix", "a"],
        ["check-rdb", "a", "b", "--salvage", "c"],
        ["check-aof"],
        ["check-aof", "a", "b"],
        ["check-aof", "--fix"],
        ["check-aof", "--fix", "--truncate-to-timestamp", "5", "a"],
        ["check-aof", "--truncate-to-timestamp", "soon", "a"],
        ["check-aof", "--truncate-to-timestamp", "0", "a"],
        ["check-aof", "--truncate-to-timestamp", "1_0", "a"],
        ["check-aof", "absent"],
        ["check-rdb", "absent"],
    ],
)
def test_what_cannot_be_done_is_one_clear_line(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(words) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"gossamer {words[0]}: ")


def test_fix_asks_on_standard_input_and_takes_its_end_for_a_no(tmp_path: Path):
    path = tmp_path / "appendonly.aof"
    path.write_bytes(SET + b"*3\r\n")

    def fix(answer: str, *more: str) -> int:
        line = [sys.executable, "-m", "gossamer", "check-aof", "--fix", *more, str(path)]
        done = subprocess.run(line, input=answer, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode

    assert fix("") == 1 and path.read_bytes() == SET + b"*3\r\n"
    assert fix("y\n") == 0 and path.read_bytes() == SET
    assert fix("") == 0


def test_options_reach_the_tool(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "appendonly.aof"
    path.write_bytes(b"#TS:1000\r\n" + SET + b"#TS:1001\r\n" + SET)
    assert main(["check-aof", "--truncate-to-timestamp", "1000", "--yes", "--no-backup", str(path)]) == 0
    assert path.read_bytes() == b"#TS:1000\r\n" + SET
    assert list(tmp_path.iterdir()) == [path]
    assert main(["check-aof", "--progress", str(path)]) == 0
    assert "100%" in capsys.readouterr().err
