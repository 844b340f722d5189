"""check-aof on whole data sets: what a path stands for, what is said, what is cut and what is refused."""

import io
import random
from pathlib import Path

import pytest

from gossamer.ops.aof_repair import CutRequest, cut_file
from gossamer.ops.check_aof import Options, check, run
from gossamer.ops.check_rdb import CheckError
from gossamer.ops.progress import Progress
from gossamer.persistence.aof_format import ChecksumState
from gossamer.persistence.manifest import ManifestError
from persistence.aof_content import command, timestamp
from rdb.content import Collector, write_all

SET = command(b"SET", b"k", b"v")
BASE = "appendonly.aof.1.base.rdb"
FIRST = "appendonly.aof.1.incr.aof"
LAST = "appendonly.aof.2.incr.aof"
MANIFEST = "appendonly.aof.manifest"
LINES = f"file {BASE} seq 1 type b\nfile {FIRST} seq 1 type i\nfile {LAST} seq 2 type i\n"


def snapshot() -> bytes:
    collector = Collector()
    collector.databases = {0: {b"a": b"1", b"b": b"2"}}
    return write_all(collector)


class Case:
    """A data set in a directory, and a user."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.put(BASE, snapshot())
        self.put(FIRST, SET * 3)
        self.put(LAST, SET * 2)
        self.put(MANIFEST, LINES.encode())
        self.answers: list[str] = []
        self.asked: list[str] = []
        self.said = ""

    def put(self, name: str, data: bytes) -> None:
        (self.directory / name).write_bytes(data)

    def read(self, name: str) -> bytes:
        return (self.directory / name).read_bytes()

    def names(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())

    def check(self, options: Options | None = None, path: str = MANIFEST) -> bool:
        lines: list[str] = []

        def ask(question: str) -> str:
            self.asked.append(question)
            return self.answers.pop(0)

        quiet = Progress(io.StringIO(), False)
        try:
            return check(str(self.directory / path), options or Options(), quiet, lines.append, ask)
        finally:
            self.said = "\n".join(lines)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    directory = tmp_path / "appendonlydir"
    directory.mkdir()
    return Case(directory)


FIX = Options(fix=True)
FIX_YES = Options(fix=True, yes=True)


# -- what a path stands for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [MANIFEST, "", ".."])
def test_a_manifest_its_directory_and_the_servers_own_are_one_data_set(case: Case, path: str):
    assert case.check(path=path)
    assert "manifest, 3 files" in case.said
    assert "snapshot     RDB version 10" in case.said and "2 keys" in case.said
    assert "commands     3" in case.said and "commands     2" in case.said
    assert case.said.endswith("sound: everything can be loaded")


def test_a_file_stands_for_itself(case: Case):
    assert case.check(path=FIRST) and "commands     3" in case.said
    assert case.check(path=BASE) and "2 keys" in case.said


def test_an_old_single_file_with_a_snapshot_in_front_is_read_whole(case: Case):
    case.put("old.aof", snapshot() + SET)
    assert case.check(path="old.aof")
    assert "2 keys" in case.said and "commands     1" in case.said


def test_an_empty_file_is_sound(case: Case):
    case.put(LAST, b"")
    assert case.check()
    assert "empty" in case.said


def test_a_manifest_with_comments_is_known_as_one(case: Case):
    case.put(MANIFEST, b"# ours\n" + LINES.encode())
    assert case.check()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b"file a seq 1 type b\nfile b seq 1 type b\n", "duplicate base"),
        (b"file ../a seq 1 type b\n", "can't be a path"),
        (b"file a seq 1 type z\n", "Unknown AOF file type"),
    ],
)
def test_a_manifest_that_no_server_follows_is_named(
    case: Case, text: bytes, reason: str, capsys: pytest.CaptureFixture[str]
):
    case.put(MANIFEST, text)
    with pytest.raises(ManifestError, match=reason):
        case.check()
    assert run(str(case.directory / MANIFEST), Options()) == 1
    assert "manifest DAMAGED" in capsys.readouterr().out


def test_a_directory_without_a_manifest_or_with_two_is_told(case: Case, tmp_path: Path):
    case.put("other.manifest", LINES.encode())
    with pytest.raises(
        CheckError, match="2 manifests, name one of them: appendonly.aof.manifest, other.manifest"
    ):
        case.check(path="")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckError, match="holds no manifest"):
        case.check(path="../empty")


def test_a_missing_file_is_named_and_nothing_repairs_it(case: Case):
    (case.directory / FIRST).unlink()
    assert not case.check()
    assert f"{FIRST}: MISSING" in case.said
    assert f"cannot be repaired by --fix: {FIRST} is missing" in case.said
    with pytest.raises(CheckError, match="missing"):
        case.check(FIX_YES)


def test_files_that_no_line_names_are_told_of_and_do_no_harm(case: Case):
    case.put("appendonly.aof.7.incr.aof", b"junk")
    case.put("temp-rewriteaof-bg-123.aof", b"junk")
    case.put("notes.txt", b"mine")
    case.put(MANIFEST, LINES.encode() + b"file appendonly.aof.0.incr.aof seq 3 type h\n")
    assert case.check()
    assert "never loaded: appendonly.aof.7.incr.aof, temp-rewriteaof-bg-123.aof" in case.said
    assert "history, removed at the next start: appendonly.aof.0.incr.aof" in case.said
    assert "notes.txt" not in case.said


# -- a torn end ---------------------------------------------------------------------------------------------


def test_a_torn_end_is_told_and_left_alone_without_fix(case: Case):
    case.put(LAST, SET * 2 + SET[:9])
    assert not case.check()
    assert f"{LAST}: incr, TORN" in case.said
    assert f"survives a cut: 2 commands, up to offset {2 * len(SET)}" in case.said
    assert "lost by a cut: 9 bytes" in case.said
    assert "--fix cuts the damaged end off" in case.said
    assert case.read(LAST) == SET * 2 + SET[:9]


def test_fix_cuts_a_torn_end_after_a_yes_and_keeps_a_copy(case: Case):
    torn = SET * 2 + SET[:9]
    case.put(LAST, torn)
    for answer in ("n", "", "what"):
        case.answers = [answer]
        assert not case.check(FIX)
        assert case.read(LAST) == torn and case.said.endswith("Aborted, nothing was changed")
    case.answers = ["y"]
    assert case.check(FIX)
    assert case.asked == ["Continue? [y/N]: "] * 4
    assert case.read(LAST) == SET * 2
    assert case.read(LAST + ".before-fix") == torn
    assert case.said.endswith("sound now")
    assert case.check() and "never loaded" not in case.said


def test_fix_asks_nobody_with_yes_and_keeps_no_copy_when_told_so(case: Case):
    case.put(LAST, SET * 2 + command(b"MULTI") + SET)
    before = case.names()
    assert case.check(Options(fix=True, yes=True, backup=False))
    assert case.read(LAST) == SET * 2
    assert case.names() == before and case.asked == []


def test_a_second_fix_does_not_overwrite_the_copy_of_the_first(case: Case):
    case.put(LAST, SET * 3 + b"*3")
    assert case.check(FIX_YES)
    case.put(LAST, SET * 2 + b"*")
    assert case.check(FIX_YES)
    assert case.read(LAST + ".before-fix") == SET * 3 + b"*3"
    assert case.read(LAST + ".before-fix.2") == SET * 2 + b"*"


def test_fix_leaves_a_sound_data_set_alone(case: Case):
    before = {name: case.read(name) for name in case.names()}
    assert case.check(FIX_YES)
    assert {name: case.read(name) for name in case.names()} == before


@pytest.mark.parametrize("name", [FIRST, BASE])
def test_fix_refuses_to_cut_what_others_follow(case: Case, name: str):
    case.put(name, case.read(name)[:-3])
    before = case.read(name)
    assert not case.check()
    assert "cannot be repaired by --fix" in case.said
    with pytest.raises(CheckError, match="is not the last file" if name == FIRST else "snapshot"):
        case.check(FIX_YES)
    assert case.read(name) == before


def test_fix_cuts_a_file_that_only_empty_ones_follow(case: Case):
    case.put(FIRST, SET * 3 + b"*3")
    case.put(LAST, b"")
    assert case.check(FIX_YES)
    assert case.read(FIRST) == SET * 3


def test_a_file_that_changed_since_it_was_looked_at_is_not_cut(case: Case):
    case.put(LAST, SET + b"*")
    request = CutRequest(str(case.directory / LAST), len(SET) + 1, len(SET), True, False)
    case.put(LAST, SET + SET)
    with pytest.raises(CheckError, match="has changed since it was checked"):
        cut_file(request)
    assert case.read(LAST) == SET + SET


# -- damage -------------------------------------------------------------------------------------------------


def test_damage_with_commands_behind_it_is_cut_only_on_a_whole_yes(case: Case):
    damaged = SET + b"junk" + SET * 5
    case.put(LAST, damaged)
    assert not case.check()
    assert f"Expected '*' or '#', at offset {len(SET)}" in case.said
    assert f"lost by a cut: {len(damaged) - len(SET)} bytes with 4 complete commands" in case.said
    assert f"4 commands can be read behind the damage, from offset {2 * len(SET) + 4} on" in case.said
    case.answers = ["y"]
    assert not case.check(FIX) and case.read(LAST) == damaged
    case.answers = ["yes"]
    assert case.check(FIX)
    assert case.asked[0].startswith("Type yes")
    assert case.read(LAST) == SET


def checksummed() -> tuple[bytes, int]:
    """Two batches; and where the second one begins."""
    sums = ChecksumState()
    sums.add(SET)
    first = SET + sums.line()
    sums.add(SET * 3)
    return first + SET * 3 + sums.line(), len(first)


def test_a_wrong_check_sum_is_named_with_its_range(case: Case):
    data, second = checksummed()
    damaged = bytearray(data)
    damaged[second + len(SET) - 3] ^= 1
    case.put(LAST, bytes(damaged))
    assert not case.check()
    assert f"Check sum is wrong: bytes {second} to {second + 3 * len(SET)} are damaged" in case.said
    assert "survives a cut: 1 command," in case.said
    assert "--keep-unverified keeps them" in case.said
    assert case.check(FIX_YES)
    assert case.read(LAST) == data[:second]


def test_what_a_check_sum_puts_in_doubt_is_kept_on_demand(case: Case):
    data, second = checksummed()
    damaged = bytearray(data)
    damaged[second + len(SET) - 3] ^= 1
    case.put(LAST, bytes(damaged))
    assert case.check(Options(fix=True, yes=True, keep_unverified=True))
    assert case.read(LAST) == bytes(damaged[: second + 3 * len(SET)])


def test_check_sums_that_hold_are_said_to_vouch_for_all_bytes(case: Case):
    data, _ = checksummed()
    case.put(LAST, data)
    assert case.check() and "check sums   2 lines, all bytes verified" in case.said
    case.put(LAST, data + SET)
    assert case.check()
    assert f"2 lines hold, up to offset {len(data)}; {len(SET)} bytes behind not verified" in case.said


def test_a_damaged_length_that_looks_like_a_tear_is_not_cut_lightly(case: Case):
    damaged = SET + SET.replace(b"$1\r\nk", b"$9999\r\nk") + SET * 4
    case.put(LAST, damaged)
    assert not case.check()
    case.answers = ["y"]
    if "TORN" in case.said:
        assert "look before you cut" in case.said
    assert not case.check(FIX) and case.read(LAST) == damaged


# -- a point in time ----------------------------------------------------------------------------------------


def stamped() -> bytes:
    return timestamp(1000) + SET + timestamp(1001) + SET * 2


def test_a_point_in_time_is_reached_by_a_cut_of_the_last_file(case: Case):
    case.put(LAST, stamped())
    case.answers = ["n"]
    assert not case.check(Options(until_s=1000)) and case.read(LAST) == stamped()
    assert case.check(Options(until_s=1000, yes=True))
    assert case.read(LAST) == timestamp(1000) + SET
    assert case.read(LAST + ".before-fix") == stamped()
    assert "1 command up to 1000 (1970-01-01 00:16:40 UTC) stay" in case.said
    assert "2 complete commands go" in case.said


def test_nothing_is_cut_when_nothing_is_younger(case: Case):
    case.put(LAST, stamped())
    assert case.check(Options(until_s=1001, yes=True))
    assert "nothing is younger" in case.said and case.read(LAST) == stamped()
    case.put(LAST, SET)
    assert case.check(Options(until_s=1001, yes=True))
    assert "no time stamps" in case.said


def test_a_time_before_the_last_file_is_refused(case: Case):
    case.put(LAST, stamped())
    with pytest.raises(CheckError, match="has nothing before timestamp 999"):
        case.check(Options(until_s=999, yes=True))
    case.put(FIRST, stamped())
    with pytest.raises(CheckError, match="is not the last file"):
        case.check(Options(until_s=1000, yes=True))
    assert case.read(LAST) == case.read(FIRST) == stamped()


def test_damage_before_the_point_in_time_is_refused_and_behind_it_is_cut_away(case: Case):
    case.put(LAST, timestamp(1000) + b"junk" + stamped())
    with pytest.raises(CheckError, match="damaged before"):
        case.check(Options(until_s=1000, yes=True))
    case.put(LAST, stamped() + b"junk")
    assert case.check(Options(until_s=1000, yes=True))
    assert case.read(LAST) == timestamp(1000) + SET


# -- hostile bytes ------------------------------------------------------------------------------------------


def test_names_that_are_no_text_are_shown_escaped(case: Case, capsys: pytest.CaptureFixture[str]):
    case.put(MANIFEST, b'file "\\xff\\x1b[2J.aof" seq 1 type i\n')
    assert run(str(case.directory), Options()) == 1
    said = capsys.readouterr()
    assert "\\udcff\\x1b[2J.aof: MISSING" in said.out
    assert "\x1b" not in said.out + said.err


def test_any_bytes_give_a_verdict_and_never_a_traceback(case: Case, capsys: pytest.CaptureFixture[str]):
    chance = random.Random(5)
    data, _ = checksummed()
    whole = {
        BASE: snapshot(),
        LAST: stamped() + command(b"MULTI") + SET + command(b"EXEC"),
        MANIFEST: LINES.encode(),
    }
    whole[FIRST] = data
    for _ in range(400):
        name = chance.choice(list(whole))
        damaged = bytearray(whole[name])
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.choice((0, 10, 13, 35, 36, 42, 49, 57, 255))
        case.put(name, bytes(damaged[: chance.randrange(1, len(damaged) + 1)]))
        path = case.directory / chance.choice(("", name))
        until_s = chance.choice((-1, 1000))
        assert run(str(path), Options(until_s < 0, until_s, True, False)) in (0, 1)
        for other, content in whole.items():
            case.put(other, content)
    capsys.readouterr()
